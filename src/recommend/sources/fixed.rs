//! A list that somebody wrote.

use super::{Drawn, Registered, Source, registered};
use crate::{
    domain::ArticleId,
    recommend::{Context, RecommendError},
};
use serde::Deserialize;

const NAME: &str = "fixed";
pub(super) const REGISTERED: Registered =
    registered::<Fixed>(NAME, "The articles of `article_ids`, in their order.");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fixed {
    article_ids: Vec<ArticleId>,
}

impl Source for Fixed {
    fn name(&self) -> &'static str {
        NAME
    }

    fn find(&self, context: &Context<'_>, want: usize) -> Result<Drawn, RecommendError> {
        let rows =
            self.article_ids.iter().filter_map(|id| context.snapshot.catalogue().row(id.as_str()));
        let eligible = rows.filter(|&row| context.eligible.rows.contains(row));
        let ranked =
            eligible.take(want).zip(1u16..).map(|(row, place)| (row, 1.0 / f32::from(place)));
        Ok(Drawn { articles: ranked.collect(), ..Drawn::default() })
    }
}
