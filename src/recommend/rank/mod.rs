//! Ranking: from what the sources say to one order.

pub(super) mod features;
mod fusion;
mod learned;

pub use features::{Aspect, FeatureSet};
pub use fusion::Fusion;
pub use learned::{Learned, ListModel, RankedBy, RankerSpec};

use super::{Candidates, Context, Recipe, RecommendError, Shop, Snapshot, Subject};

/// Orders candidates: gives each a score, a strength above 0 and the source that ranks it best,
/// then sorts them.
pub trait Rank: Send + Sync + std::fmt::Debug {
    /// # Errors
    /// When a model fails; then the ranks in the sources decide.
    fn rank(
        &self,
        context: &Context<'_>,
        candidates: &mut Candidates,
    ) -> Result<(), RecommendError>;
}

/// The learned ranker of a request: the one that its recipe names, or its own model if that is one
/// and no sources are named.
///
/// # Errors
/// As [`named`].
pub(super) fn learned<'a>(context: &Context<'a>) -> Result<Option<Learned<'a>>, RecommendError> {
    let (request, snapshot) = (context.request, context.snapshot);
    if request.recipe.ranker.is_some() {
        return named(context.shop, snapshot, &request.recipe);
    }
    let asks_model = request.recipe.sources.is_empty() && request.generation.is_none();
    Ok(if asks_model && request.subject != Subject::Everyone { snapshot.ranker() } else { None })
}

/// The ranker that a recipe names; `None` where it names none.
///
/// # Errors
/// [`RecommendError::UnknownModel`]; [`RecommendError::RankerUnfit`] for a model that is no ranker,
/// and for other sources than it was trained on.
pub fn named<'a>(
    shop: &'a Shop,
    snapshot: &'a Snapshot,
    recipe: &Recipe,
) -> Result<Option<Learned<'a>>, RecommendError> {
    let Some(name) = &recipe.ranker else { return Ok(None) };
    let unfit = |problem: &str| RecommendError::RankerUnfit {
        ranker: name.clone(),
        problem: problem.to_owned(),
    };
    let own = name == snapshot.model().name();
    let model = if own { Some(snapshot) } else { shop.model(name, snapshot) };
    let model = model.ok_or_else(|| RecommendError::UnknownModel(name.clone()))?;
    let learned = model
        .ranker()
        .ok_or_else(|| unfit("it is no ranker; train one with the family `ranker`"))?;
    if recipe.sources.is_empty() || recipe.sources == learned.spec.sources {
        return Ok(Some(learned));
    }
    Err(unfit(
        "it was trained on other sources than `sources` names; leave `sources` out, or train it on these",
    ))
}
