use super::{Known, Popularity};
use crate::{
    bundle::RowKind,
    dataset::Case,
    evaluation::{EvaluationError, Ranker},
};

/// The customer's own articles again, the latest first; then the popular ones.
pub struct LastPurchases<'a> {
    known: Known<'a>,
    popularity: Popularity,
}

impl<'a> LastPurchases<'a> {
    pub const NAME: &'static str = "last-purchases";

    pub fn new(known: Known<'a>) -> Self {
        Self { known, popularity: Popularity::of_all(known) }
    }
}

impl Ranker for LastPurchases<'_> {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn kind(&self) -> RowKind {
        RowKind::Baseline
    }

    fn score(&self, cases: &[Case], scores: &mut [f32]) -> Result<(), EvaluationError> {
        self.popularity.score(cases, scores)?;
        let Known { dataset, histories, .. } = self.known;
        for (case, scores) in cases.iter().zip(scores.chunks_mut(dataset.articles.len())) {
            // Oldest first, so that an article bought twice keeps its latest place. Counts stay below 2³², and
            // places above it are whole multiples of 2⁹: f32 tells the last 2²³ of them apart.
            for (place, &row) in histories.of_customer(case.customer)[..case.known as usize].iter().enumerate() {
                scores[dataset.purchases.article[row as usize] as usize] = 4_294_967_296.0 + 512.0 * (place + 1) as f32;
            }
        }
        Ok(())
    }
}
