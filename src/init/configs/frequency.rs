use super::{Proposal, Wanted, does_not_fit, fits, percent};

const FAMILY: &str = "frequency";
/// Share of repeated purchases below which customers' own articles are no recommendation.
const SOME: f64 = 0.01;

/// Personal frequency: what a customer bought before, and then what sells.
pub(super) fn proposal(wanted: &Wanted<'_>) -> Proposal {
    let repeats = percent(wanted.shop.repeats);
    let dated = wanted.shop.days.is_some();
    if wanted.shop.repeats < SOME && !dated {
        let why = format!(
            "{repeats} of the purchases repeat an earlier one and there are no dates: no frequency model"
        );
        return does_not_fit(FAMILY, why);
    }
    let why = match wanted.shop.repeats >= SOME {
        true => format!(
            "{repeats} of the purchases repeat an earlier one: what was bought before is bought again"
        ),
        false => format!(
            "only {repeats} of the purchases repeat an earlier one, but there are dates: it follows what sells now"
        ),
    };
    let config = format!(
        "# Personal frequency: a customer's own articles by how often and how lately they were bought, then what sells\n\
         # now. {why}.\n\
         # There is nothing to train: `train` chooses the half-lives on the validation purchases.\n\n\
         [model]\nname = \"{FAMILY}\"\nfamily = \"{FAMILY}\"\n\n\
         [training]\nmetric = \"{}\"\nevaluation_cases = {}\nrefit = \"all\"\n\n{}",
        wanted.protocol.metric,
        wanted.effort.cases(),
        wanted.split()
    );
    fits(FAMILY, why, config)
}
