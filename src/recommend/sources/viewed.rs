//! What the customer looked at.

use super::{Drawn, Registered, Source, registered};
use crate::recommend::{ActionKind, Context, RecommendError};
use serde::Deserialize;

const NAME: &str = "recently_viewed";
pub(super) const REGISTERED: Registered = registered::<RecentlyViewed>(
    NAME,
    "The articles that the customer or visitor viewed or clicked, the latest first, as `POST /v1/events` told.",
);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecentlyViewed {}

impl Source for RecentlyViewed {
    fn name(&self) -> &'static str {
        NAME
    }

    fn find(&self, context: &Context<'_>, want: usize) -> Result<Drawn, RecommendError> {
        let catalogue = context.snapshot.catalogue();
        let viewed =
            context.customer.actions.iter().filter(|action| action.kind == ActionKind::View);
        let mut rows: Vec<u32> = Vec::new();
        for row in viewed.filter_map(|action| catalogue.row(action.article.as_str())) {
            if rows.len() == want {
                break;
            }
            if context.eligible.rows.contains(row) && !rows.contains(&row) {
                rows.push(row);
            }
        }
        let articles = rows
            .into_iter()
            .zip(1u16..)
            .map(|(row, place)| (row, 1.0 / f32::from(place)))
            .collect();
        Ok(Drawn { articles, ..Drawn::default() })
    }

    /// Whoever knows a customer's id must not learn from a name what that customer looked at. The
    /// id of a visitor is random and known to the visitor's browser alone.
    fn tells_purchases(&self, context: &Context<'_>) -> bool {
        context.request.customer.is_some()
    }
}
