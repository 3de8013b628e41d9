use super::{Proposal, Wanted, does_not_fit, fits, percent, training};
use crate::dataset::TimeUnit;
use std::fmt::Write;

const FAMILY: &str = "decoder";
/// Customers who bought at three moments or more.
const SEQUENCES: usize = 100;
/// Most purchases of one epoch; more are cut to the last days.
const MOST: usize = 1_000_000;
/// Share of purchases that share their moment with another, from which the order says nothing.
const TIES: f64 = 0.95;

/// A transformer over a customer's purchases in their order.
pub(super) fn proposal(wanted: &Wanted<'_>) -> Proposal {
    let shop = wanted.shop;
    if shop.sequences < SEQUENCES {
        let why = format!(
            "{} customers bought at three moments or more; it learns from sequences and needs {SEQUENCES}",
            shop.sequences
        );
        return does_not_fit(FAMILY, why);
    }
    if shop.ties > TIES {
        let why = format!(
            "{} of the purchases share their moment with another: there is no order to learn",
            percent(shop.ties)
        );
        return does_not_fit(FAMILY, why);
    }
    let why = format!(
        "{} customers bought at three moments or more ({} of the purchases share their moment with another): it learns \
         what follows what",
        shop.sequences,
        percent(shop.ties)
    );
    fits(FAMILY, why.clone(), config(wanted, &why))
}

fn config(wanted: &Wanted<'_>, why: &str) -> String {
    let shop = wanted.shop;
    let window = wanted.window(MOST);
    let purchases = window.as_ref().map_or(shop.purchases, |window| window.purchases);
    let epochs = wanted.epochs(purchases, 2, 40);
    let dim = if shop.purchases < 150_000 { 64 } else { 128 };
    // Long histories (films, songs) tell enough for a second block, and little must be dropped.
    let long = shop.history.three_quarters > 40;
    let length = if long { 100 } else { 50 };
    let (layers, heads, dropout) = if long { (2, 2, "0.2") } else { (1, 1, "0.5") };
    let negatives = shop.articles.clamp(256, 4_096);
    let gaps = match shop.time_unit {
        TimeUnit::Second | TimeUnit::Day => {
            "# Purchases are read with the time to the next one, the latest with the time to now.\n\
             gaps = true\n"
        }
        TimeUnit::Position => "",
    };
    let mut text = format!(
        "# A decoder transformer over a customer's purchases in their order; models/configs/decoder-modern.toml, sized to\n\
         # this shop.\n# {why}.\n\n\
         [model]\nname = \"{FAMILY}\"\nfamily = \"{FAMILY}\"\ndim = {dim}\n\n\
         [sequence]\nlength = {length}\n# Few customers a step where histories are long, many where they are short.\n\
         batch_purchases = 1536\ntied = true\n{gaps}# Items bought after the same others start near each other.\n\
         init = \"neighbours\"\n\n\
         [decoder]\nlayers = {layers}\nheads = {heads}\nfeed_forward = {}\nactivation = \"gelu\"\n\
         positions = \"rotary\"\n# Where histories are short, much is dropped.\ndropout = {dropout}\n\n\
         [loss]\nlogq = true\nuniform_negatives = {negatives}\nlabel_smoothing = 0.2\n\n\
         [optimizer]\nlearning_rate = 0.0015\nbeta2 = 0.98\nwarmup_steps = 100\nema_decay = 0.999\n\n[training]\n{}",
        dim * 2,
        training(wanted, epochs, 5)
    );
    if let Some(window) = window {
        let _ = writeln!(text, "# All {} purchases would take long.", shop.purchases);
        let _ = writeln!(text, "window_days = {}", window.days);
    }
    text.push('\n');
    text.push_str(&wanted.split());
    text
}
