use super::{Candidates, Context, Rank, RecommendError};
use crate::recommend::sources::SourceSpec;

/// Reciprocal rank fusion (Cormack, Clarke & Büttcher 2009): the strength of an article is the sum,
/// over the sources that found it, of `weight / (60 + rank)` with ranks from 1. Scores of different
/// sources have no common scale; ranks have. One source alone keeps its order and its scores.
#[derive(Debug)]
pub struct Fusion<'a> {
    pub sources: &'a [SourceSpec],
}

impl Fusion<'_> {
    /// The constant of the paper: how little the first ranks stand out.
    const DAMPING: f32 = 60.0;
}

impl Rank for Fusion<'_> {
    fn rank(
        &self,
        _context: &Context<'_>,
        candidates: &mut Candidates,
    ) -> Result<(), RecommendError> {
        let mut list = std::mem::take(&mut candidates.list);
        for candidate in &mut list {
            let found = candidates.found(candidate).iter().zip(self.sources).enumerate();
            let (mut best, mut strength, mut score) = (0.0, 0.0, 0.0);
            for (source, (found, spec)) in found {
                let Some(found) = found else { continue };
                let share = spec.weight / (Self::DAMPING + 1.0 + found.rank as f32);
                strength += share;
                if share > best {
                    (best, score, candidate.best) = (share, found.score, source);
                }
            }
            candidate.strength = strength;
            candidate.score = if self.sources.len() == 1 { score } else { strength };
        }
        candidates.list = list;
        candidates.sort();
        Ok(())
    }
}
