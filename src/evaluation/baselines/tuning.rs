//! Choosing a baseline's settings on validation purchases.

use super::Known;
use crate::{
    dataset::{Case, Dataset, Histories, Protocol, Split},
    evaluation::{Evaluation, EvaluationError, Scorer},
};

/// More cases would cost time and move no choice.
const MOST_CASES: usize = 3_000;

/// Validation windows at most.
const MOST_FOLDS: usize = 4;

/// Validation purchases, and what was bought before them.
pub struct Tuning<'a> {
    /// The validation window first, then earlier ones.
    folds: Vec<(Known<'a>, Vec<Case>)>,
    protocol: Protocol,
    metric: String,
    stop: &'a (dyn Fn() -> bool + Sync),
}

impl<'a> Tuning<'a> {
    /// `metric` is one of [`crate::evaluation::METRICS`] by name; `None` when the split holds
    /// nothing out for validation. `stop` is asked before every candidate; `true` ends the search
    /// with [`EvaluationError::Stopped`].
    pub fn new(
        dataset: &'a Dataset,
        histories: &'a Histories,
        split: &'a Split,
        metric: &str,
        stop: &'a (dyn Fn() -> bool + Sync),
    ) -> Option<Self> {
        let folds = split.folds(dataset, histories, MOST_FOLDS).into_iter();
        let known = |train| Known { dataset, histories, train };
        let folds: Vec<_> = folds.map(|fold| (known(fold.train), spaced(fold.cases))).collect();
        (!folds.is_empty()).then(|| Self {
            folds,
            protocol: split.protocol,
            metric: metric.to_owned(),
            stop,
        })
    }

    /// The metric of a scorer on a fold.
    fn value(
        &self,
        scorer: &dyn Scorer,
        (known, cases): &(Known<'_>, Vec<Case>),
    ) -> Result<f64, EvaluationError> {
        let Known { dataset, histories, .. } = *known;
        let evaluation = Evaluation { dataset, histories, protocol: self.protocol, cases };
        Ok(evaluation.row(scorer)?.metrics.get(&self.metric).copied().unwrap_or(0.0))
    }
}

/// At most [`MOST_CASES`] of the cases, spread evenly.
fn spaced(cases: Vec<Case>) -> Vec<Case> {
    let count = cases.len().min(MOST_CASES);
    (0..count).map(|at| cases[at * cases.len() / count].clone()).collect()
}

/// A baseline with something to choose.
pub(super) trait Tunable<'a>: Scorer + Sized {
    type Settings: Copy;

    /// How many validation windows the settings are chosen on. What only counts is tried on
    /// several; what takes long on the latest alone.
    const FOLDS: usize = 1;

    /// The settings of a shop without validation purchases.
    const USUAL: Self::Settings;

    /// One for each point of the grid, the plainest first, because the first of equals is chosen.
    /// Made one after the other: some are too large to be held together.
    fn candidates(known: Known<'a>) -> impl Iterator<Item = Self>;

    fn chosen(&self) -> Self::Settings;

    fn fit(known: Known<'a>, settings: Self::Settings) -> Self;
}

/// The baseline with the settings that rank the validation purchases best.
pub(super) fn tuned<'a, B: Tunable<'a>>(
    known: Known<'a>,
    tuning: Option<&Tuning<'a>>,
) -> Result<B, EvaluationError> {
    let Some(tuning) = tuning else { return Ok(B::fit(known, B::USUAL)) };
    // Each candidate's settings and the sum of its values.
    let mut tried: Vec<(B::Settings, f64)> = Vec::new();
    for fold in tuning.folds.iter().take(B::FOLDS) {
        for (at, candidate) in B::candidates(fold.0).enumerate() {
            if (tuning.stop)() {
                return Err(EvaluationError::Stopped);
            }
            let value = tuning.value(&candidate, fold)?;
            match tried.get_mut(at) {
                Some((_, sum)) => *sum += value,
                None => tried.push((candidate.chosen(), value)),
            }
        }
    }
    let mut best = (B::USUAL, f64::NEG_INFINITY);
    for (settings, sum) in tried {
        if sum > best.1 {
            best = (settings, sum);
        }
    }
    Ok(B::fit(known, best.0))
}
