use super::{Proposal, Wanted, does_not_fit, fits, training};

const FAMILY: &str = "elsa";
/// Customers with two articles, from which articles can be said to go together.
const PAIRS: usize = 50;

/// A linear autoencoder over what customers bought, in any order.
pub(super) fn proposal(wanted: &Wanted<'_>) -> Proposal {
    let shop = wanted.shop;
    if shop.pairs < PAIRS {
        let why = format!(
            "{} customers bought two different articles; it learns from pairs and needs {PAIRS}",
            shop.pairs
        );
        return does_not_fit(FAMILY, why);
    }
    let why = format!(
        "{} customers bought two different articles or more: it learns which go together",
        shop.pairs
    );
    // Wide enough to tell a catalogue apart, narrow enough to learn from few customers.
    let dim = match shop.pairs {
        0..=500 => 64,
        501..=5_000 => 128,
        _ => 256,
    };
    // A step costs much the same for 64 customers as for 512: few customers want small steps.
    let batch = match shop.pairs {
        0..=2_000 => 64,
        2_001..=20_000 => 256,
        _ => 512,
    };
    // A step turns the whole table, so an epoch costs steps times articles times width.
    let cost = shop.pairs.div_ceil(batch) * shop.articles * dim;
    let epochs = (wanted.effort.table_budget() / cost.max(1)).clamp(5, 40);
    let config = format!(
        "# ELSA, a linear autoencoder: articles that the same customers buy are near to each other, whatever the order.\n\
         # {why}. It trains in seconds.\n\n\
         [model]\nname = \"{FAMILY}\"\nfamily = \"{FAMILY}\"\ndim = {dim}\n\n\
         [elsa]\n# The latest purchases that a query reads.\nlength = 200\ndecay = 1.0\n\n\
         [optimizer]\n# Steps turn whole rows of unit length, so the rate is far above that of a deep model.\n\
         learning_rate = 0.1\n\n\
         [training]\n# Customers a step.\nbatch_size = {batch}\n{}\n{}",
        training(wanted, epochs, 4),
        wanted.split()
    );
    fits(FAMILY, why, config)
}
