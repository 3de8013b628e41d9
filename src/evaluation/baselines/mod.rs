//! The rankings a model must beat, as the field uses them. Those with settings choose them on
//! validation purchases.

mod ease;
mod ials;
mod interactions;
mod item_knn;
mod known;
mod last_purchases;
mod personal;
mod popularity;
mod transitions;
mod tuning;

pub use ease::Ease;
pub use ials::Ials;
pub use item_knn::ItemKnn;
pub use known::Known;
pub use last_purchases::LastPurchases;
pub use personal::Personal;
pub use popularity::Popularity;
pub use transitions::Transitions;
pub use tuning::Tuning;

use super::{Evaluation, EvaluationError, Measured, Scorer};
use std::time::Instant;
use tuning::tuned;

/// The names on the command line and in reports.
pub const NAMES: [&str; 11] = [
    Popularity::ALL_TIME,
    Popularity::RECENT,
    Popularity::DECAYED,
    LastPurchases::NAME,
    Personal::TOP,
    Personal::FILLED,
    Personal::DECAYED,
    ItemKnn::NAME,
    Transitions::NAME,
    Ease::NAME,
    Ials::NAME,
];

/// Makes a baseline by its name, with settings that are chosen on validation purchases where there
/// are any; `None` when there is none of that name.
///
/// # Errors
/// When a candidate cannot be ranked, because there are no articles.
pub fn baseline<'a>(
    name: &str,
    known: Known<'a>,
    tuning: Option<&Tuning<'a>>,
) -> Result<Option<Box<dyn Scorer + 'a>>, EvaluationError> {
    Ok(Some(match name {
        Popularity::ALL_TIME => Box::new(Popularity::all_time(known)),
        Popularity::RECENT => Box::new(tuned::<popularity::Recent>(known, tuning)?.0),
        Popularity::DECAYED => Box::new(tuned::<popularity::Decayed>(known, tuning)?.0),
        ItemKnn::NAME => Box::new(tuned::<ItemKnn<'_>>(known, tuning)?),
        LastPurchases::NAME => Box::new(LastPurchases::new(known)),
        Personal::TOP => Box::new(Personal::top(known)),
        Personal::FILLED => Box::new(Personal::filled(known)),
        Personal::DECAYED => Box::new(tuned::<Personal<'_>>(known, tuning)?),
        Transitions::NAME => Box::new(tuned::<Transitions<'_>>(known, tuning)?),
        Ease::NAME => Box::new(tuned::<Ease<'_>>(known, tuning)?),
        Ials::NAME => Box::new(tuned::<Ials<'_>>(known, tuning)?),
        _ => return Ok(None),
    }))
}

/// Why a baseline cannot be computed for a catalogue of this size.
pub fn unavailable(name: &str, articles: usize) -> Option<String> {
    let too_many = name == Ease::NAME && articles > Ease::MOST_ARTICLES;
    too_many.then(|| {
        let most = Ease::MOST_ARTICLES;
        format!("`{name}` is left out: it inverts a matrix of {articles} × {articles} articles, and takes up to {most}")
    })
}

/// Tunes, counts and ranks one baseline. The seconds of its row are those of all three.
///
/// # Errors
/// When there are no cases, or no baseline has this name.
pub fn measure(
    name: &str,
    evaluation: &Evaluation<'_>,
    train: &[u32],
    tuning: Option<&Tuning<'_>>,
) -> Result<Measured, EvaluationError> {
    let started = Instant::now();
    let known = Known { dataset: evaluation.dataset, histories: evaluation.histories, train };
    let scorer = baseline(name, known, tuning)?
        .ok_or(EvaluationError::Nothing("no baseline has this name"))?;
    let mut measured = evaluation.measure(scorer.as_ref())?;
    measured.row.seconds = Some(started.elapsed().as_secs_f64());
    Ok(measured)
}

#[cfg(test)]
mod tests;
