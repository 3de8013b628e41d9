use super::{Effort, Proposal, Wanted, does_not_fit, fits, training};

const FAMILY: &str = "ranker";
/// Customers who bought at two moments or more: each has a list to learn from.
const PAIRS: usize = 100;

/// A network that orders what the sources of the pipeline find.
pub(super) fn proposal(wanted: &Wanted<'_>) -> Proposal {
    let shop = wanted.shop;
    if shop.days.is_none() {
        return does_not_fit(FAMILY, "the purchases have no dates: it learns from lists of past moments".to_owned());
    }
    if shop.pairs < PAIRS {
        let why =
            format!("{} customers bought two different articles; it learns from lists and needs {PAIRS}", shop.pairs);
        return does_not_fit(FAMILY, why);
    }
    let why = format!(
        "{} customers bought two different articles or more: it orders what sells, what they bought, what is bought \
         together and what customers of the same taste buy",
        shop.pairs
    );
    let lists = match wanted.effort {
        Effort::Usual => 20,
        Effort::Quick => 6,
    };
    let config = format!(
        "# Orders what several sources find; models/configs/ranker.toml, sized to this shop. The server needs no other model\n\
         # beside it.\n# {why}.\n\n\
         [model]\nname = \"{FAMILY}\"\nfamily = \"{FAMILY}\"\n\n\
         [ranker]\n# Moments of the past to learn from.\nlists = {lists}\nhidden = [64, 32]\n\n\
         [optimizer]\nlearning_rate = 0.002\nweight_decay = 0.00002\nbeta2 = 0.98\nwarmup_steps = 100\n\
         schedule = \"cosine\"\n\n[training]\n{}\n{}",
        training(wanted, 4, 4),
        wanted.split()
    );
    fits(FAMILY, why, config)
}
