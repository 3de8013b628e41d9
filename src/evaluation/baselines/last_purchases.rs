use super::{Known, Popularity};
use crate::{
    bundle::RowKind,
    dataset::Case,
    domain::Timestamp,
    evaluation::{EvaluationError, Scorer},
};

/// The customer's own articles again, the latest first; then the popular ones. Of the articles of
/// one moment, which have no order, the popular ones stand first.
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
            let popularity = |article: u32| self.popularity[article as usize];
            let mut own: Vec<(u32, Timestamp)> =
                self.known.history(case).map(|(article, moment, _)| (article, moment)).collect();
            own.sort_by(|a, b| {
                a.1.cmp(&b.1).then_with(|| popularity(a.0).total_cmp(&popularity(b.0)))
            });
            // Oldest first, so that an article bought twice keeps its latest place.
            for (place, (article, _)) in own.into_iter().enumerate() {
                scores[article as usize] = (place + 1) as f32;
            }
        }
        Ok(())
    }
}
