//! Ranking: from what the sources say to one order.

mod fusion;

pub use fusion::Fusion;

use super::{Candidates, Context, RecommendError};

/// Orders candidates: gives each a score, a strength above 0 and the source that ranks it best, then
/// sorts them.
pub trait Rank: Send + Sync + std::fmt::Debug {
    /// # Errors
    /// When a model fails; then the order of [`Fusion`] stands.
    fn rank(&self, context: &Context<'_>, candidates: &mut Candidates) -> Result<(), RecommendError>;
}
