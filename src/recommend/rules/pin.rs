//! An article at a fixed position.

use super::{Claim, Registered, Rule, registered};
use crate::domain::ArticleId;
use serde::Deserialize;

pub(super) const REGISTERED: Registered = registered::<Pin>(
    "pin",
    "The article `article_id` stands at `position`, from 1, unless the request's filter, its exclusions or the \
     availability forbid it.",
);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pin {
    article_id: ArticleId,
    position: usize,
}

impl Rule for Pin {
    fn claim(&self, _k: usize) -> Option<Claim<'_>> {
        Some(Claim::Position { article: &self.article_id, position: self.position })
    }

    fn problem(&self, k: usize) -> Option<String> {
        let position = self.position;
        let within = (1..=k).contains(&position);
        (!within)
            .then(|| format!("`position` must be 1 to {k}, the placement's `k`, not {position}"))
    }
}
