//! Articles by a model: nearest to the query vector, or bought before most often.

use super::{Drawn, Registered, Source, registered};
use crate::{
    recommend::{
        Context, Eligible, RecommendError, Snapshot, Subject,
        query::{self, Basis, Query, index},
    },
    retrieval,
};
use serde::Deserialize;

pub(super) const NAME: &str = "model";
pub(super) const REGISTERED: Registered = registered::<Model>(
    NAME,
    "Articles by a trained model: `model` names it, else it is the model of the request.",
);

/// The articles whose vectors have the largest inner product with the query vector; for a model
/// that counts, the customer's own articles.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Model {
    #[serde(default)]
    model: Option<String>,
}

impl Source for Model {
    fn name(&self) -> &'static str {
        NAME
    }

    fn find(&self, context: &Context<'_>, want: usize) -> Result<Drawn, RecommendError> {
        let Some(snapshot) = self.other(context)? else {
            return find_in(context, context.snapshot, context.query()?, want);
        };
        find_in(context, snapshot, &query::form(context, snapshot)?, want)
    }

    /// A model that counts finds nothing but purchases.
    fn tells_purchases(&self, context: &Context<'_>) -> bool {
        let snapshot = self.other(context).ok().flatten().unwrap_or(context.snapshot);
        context.request.subject == Subject::Customer && snapshot.model().frequency().is_some()
    }
}

impl Model {
    /// The model, if it is not the request's own.
    fn other<'a>(&self, context: &Context<'a>) -> Result<Option<&'a Snapshot>, RecommendError> {
        let Some(name) = self.model.as_deref() else { return Ok(None) };
        if name == context.snapshot.model().name() {
            return Ok(None);
        }
        let found = context.shop.model(name, context.snapshot);
        found.map(Some).ok_or_else(|| RecommendError::UnknownModel(name.to_owned()))
    }
}

fn find_in(
    context: &Context<'_>,
    snapshot: &Snapshot,
    query: &Query,
    want: usize,
) -> Result<Drawn, RecommendError> {
    match &query.basis {
        Basis::Vector(vector) => nearest(snapshot, vector, &*context.eligible_in(snapshot)?, want),
        Basis::Own(own) => {
            let allowed =
                own.iter().copied().filter(|(row, _)| context.eligible.rows.contains(*row));
            Ok(Drawn { articles: allowed.take(want).collect(), ..Drawn::default() })
        }
        Basis::Nothing => Ok(Drawn::default()),
    }
}

/// The eligible articles with the largest inner products, those newer than the model among them.
fn nearest(
    snapshot: &Snapshot,
    vector: &[f32],
    eligible: &Eligible,
    want: usize,
) -> Result<Drawn, RecommendError> {
    let index = index(snapshot)?;
    let everything = eligible.items.count() == index.len();
    let allowed = (!everything).then_some(&eligible.items);
    let query = retrieval::Query { vector, k: want, allowed };
    let search = Some(snapshot.model().search_plan(&query));
    let hits = index.search(&query)?;
    let fresh = snapshot.nearest_fresh(vector, want, eligible)?;
    let indexed = hits.iter().filter_map(|hit| Some((snapshot.row_of_item(hit.item)?, hit.score)));
    Ok(Drawn { articles: merge(indexed, &fresh, want), search, left_out: false })
}

/// The best `k` of two lists in order of falling score; the first list wins ties.
fn merge(
    indexed: impl Iterator<Item = (u32, f32)>,
    fresh: &[(f32, u32)],
    k: usize,
) -> Vec<(u32, f32)> {
    let fresh = fresh.iter().map(|&(score, row)| (row, score));
    let (mut indexed, mut fresh) = (indexed.peekable(), fresh.peekable());
    std::iter::from_fn(|| match (indexed.peek(), fresh.peek()) {
        (Some(a), Some(b)) if b.1 > a.1 => fresh.next(),
        (Some(_), _) => indexed.next(),
        (None, _) => fresh.next(),
    })
    .take(k)
    .collect()
}
