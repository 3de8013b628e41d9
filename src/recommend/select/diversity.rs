//! Diversity: maximal marginal relevance (Carbonell & Goldstein 1998) over the vectors of articles.

use super::Picks;
use crate::recommend::{Candidates, Snapshot, query::dot};

/// The candidates of a list, in the order in which they add most to what stands already: each time
/// the one with the greatest `(1 − d) · strength / best strength − d · similarity`, where the
/// similarity is the cosine to the most similar article of the list, and at least 0. An article
/// without a vector is like none.
pub(super) struct Variety<'a> {
    snapshot: &'a Snapshot,
    /// d, above 0 and up to 1.
    diversity: f32,
    rows: Vec<u32>,
    relevance: Vec<f32>,
    /// To the most similar article of the list.
    similarity: Vec<f32>,
    open: Vec<bool>,
    /// Unit vectors of the candidates, a column each: the similarities of all candidates to one
    /// article are then sums of whole rows, which the compiler computes several at a time.
    units: Vec<f32>,
    /// Room for the similarities to one article.
    cosines: Vec<f32>,
}

/// Candidates that are reordered. Those behind follow in their order.
pub(in crate::recommend) const POOL: usize = 300;

impl<'a> Variety<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, diversity: f32, candidates: &Candidates) -> Self {
        let pool = &candidates.list[..candidates.list.len().min(POOL)];
        let best = pool.first().map_or(1.0, |candidate| candidate.strength);
        let count = pool.len();
        let mut variety = Self {
            snapshot,
            diversity,
            rows: pool.iter().map(|candidate| candidate.row).collect(),
            relevance: pool.iter().map(|candidate| candidate.strength / best).collect(),
            similarity: vec![0.0; count],
            open: vec![true; count],
            units: Vec::new(),
            cosines: vec![0.0; count],
        };
        for (place, candidate) in pool.iter().enumerate() {
            let Some((vector, scale)) = unit(snapshot, candidate.row) else { continue };
            variety.units.resize(vector.len() * count, 0.0);
            for (dimension, x) in vector.iter().enumerate() {
                variety.units[dimension * count + place] = x * scale;
            }
        }
        variety
    }

    /// The place of the candidate that comes next, of those that the list admits.
    pub(super) fn next(&mut self, picks: &Picks<'_>) -> Option<usize> {
        loop {
            let gain = |place: usize| {
                (1.0 - self.diversity) * self.relevance[place]
                    - self.diversity * self.similarity[place]
            };
            let open = (0..self.rows.len()).filter(|&place| self.open[place]);
            // Among equals the stronger.
            let best =
                open.reduce(|best, place| if gain(place) > gain(best) { place } else { best })?;
            self.open[best] = false;
            if picks.admits(self.rows[best]) {
                return Some(best);
            }
        }
    }

    /// An article stands in the list.
    pub(super) fn see(&mut self, row: u32) {
        let Some((vector, scale)) = unit(self.snapshot, row) else { return };
        if self.units.is_empty() {
            return;
        }
        self.cosines.fill(0.0);
        for (x, column) in vector.iter().zip(self.units.chunks_exact(self.rows.len())) {
            let x = x * scale;
            self.cosines.iter_mut().zip(column).for_each(|(cosine, y)| *cosine += x * y);
        }
        for (similarity, cosine) in self.similarity.iter_mut().zip(&self.cosines) {
            *similarity = similarity.max(*cosine);
        }
    }
}

/// The vector of an article and what makes its length 1; `None` where it has none.
fn unit(snapshot: &Snapshot, row: u32) -> Option<(&[f32], f32)> {
    let vector = snapshot.vector(row)?;
    let norm = dot(vector, vector).sqrt();
    (norm > 0.0 && norm.is_finite()).then_some((vector, 1.0 / norm))
}
