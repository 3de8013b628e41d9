use super::{Known, Popularity};
use crate::{
    bundle::RowKind,
    dataset::Case,
    evaluation::{EvaluationError, Scorer},
};

/// The customer's own articles again, the latest first; then the popular ones.
pub struct LastPurchases<'a> {
    known: Known<'a>,
    popularity: Vec<f32>,
}

impl<'a> LastPurchases<'a> {
    pub const NAME: &'static str = "last-purchases";

    pub fn new(known: Known<'a>) -> Self {
        Self { known, popularity: Popularity::all_time(known).shares() }
    }
}

impl Scorer for LastPurchases<'_> {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn kind(&self) -> RowKind {
        RowKind::Baseline
    }

    fn score(&self, cases: &[Case], scores: &mut [f32]) -> Result<(), EvaluationError> {
        for (case, scores) in cases.iter().zip(scores.chunks_mut(self.popularity.len())) {
            scores.copy_from_slice(&self.popularity);
            // Oldest first, so that an article bought twice keeps its latest place.
            for (place, (article, ..)) in self.known.history(case).enumerate() {
                scores[article as usize] = (place + 1) as f32;
            }
        }
        Ok(())
    }
}
