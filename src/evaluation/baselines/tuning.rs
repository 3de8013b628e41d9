//! Choosing a baseline's settings on validation purchases.

use super::Known;
use crate::{
    dataset::{Case, Dataset, Histories, Protocol, Split},
    evaluation::{Evaluation, EvaluationError, Scorer},
};

/// More cases would cost time and move no choice.
const MOST_CASES: usize = 3_000;

/// Validation purchases, and what was bought before them.
pub struct Tuning<'a> {
    pub(super) known: Known<'a>,
    protocol: Protocol,
    cases: Vec<Case>,
    metric: String,
}

impl<'a> Tuning<'a> {
    /// `metric` is one of [`crate::evaluation::METRICS`] by name; `None` when the split holds nothing out for validation.
    pub fn new(dataset: &'a Dataset, histories: &'a Histories, split: &'a Split, metric: &str) -> Option<Self> {
        let known = Known { dataset, histories, train: &split.train };
        let count = split.validation.len().min(MOST_CASES);
        let spaced = |at: usize| split.validation[at * split.validation.len() / count].clone();
        let cases: Vec<Case> = (0..count).map(spaced).collect();
        let (protocol, metric) = (split.protocol, metric.to_owned());
        (!cases.is_empty()).then_some(Self { known, protocol, cases, metric })
    }

    fn value(&self, scorer: &dyn Scorer) -> Result<f64, EvaluationError> {
        let Known { dataset, histories, .. } = self.known;
        let evaluation = Evaluation { dataset, histories, protocol: self.protocol, cases: &self.cases };
        Ok(evaluation.row(scorer)?.metrics.get(&self.metric).copied().unwrap_or(0.0))
    }
}

/// A baseline with something to choose.
pub(super) trait Tunable<'a>: Scorer + Sized {
    type Settings: Copy;

    /// The settings of a shop without validation purchases.
    const USUAL: Self::Settings;

    /// One for each point of the grid, the plainest first, because the first of equals is chosen. Made one after the
    /// other: some are too large to be held together.
    fn candidates(known: Known<'a>) -> impl Iterator<Item = Self>;

    fn chosen(&self) -> Self::Settings;

    fn fit(known: Known<'a>, settings: Self::Settings) -> Self;
}

/// The baseline with the settings that rank the validation purchases best.
pub(super) fn tuned<'a, B: Tunable<'a>>(known: Known<'a>, tuning: Option<&Tuning<'a>>) -> Result<B, EvaluationError> {
    let Some(tuning) = tuning else { return Ok(B::fit(known, B::USUAL)) };
    let mut best: Option<(f64, B::Settings)> = None;
    for candidate in B::candidates(tuning.known) {
        let value = tuning.value(&candidate)?;
        if best.is_none_or(|(highest, _)| value > highest) {
            best = Some((value, candidate.chosen()));
        }
    }
    Ok(B::fit(known, best.map_or(B::USUAL, |(_, settings)| settings)))
}
