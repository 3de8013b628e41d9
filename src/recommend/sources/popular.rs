//! What sells best.

use super::{Drawn, Registered, Source, registered};
use crate::recommend::{Context, RecommendError};
use serde::Deserialize;

pub(super) const NAME: &str = "popular";
pub(super) const REGISTERED: Registered = registered::<Popular>(NAME, "What sells best, as the server counts sales.");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Popular {}

impl Source for Popular {
    fn name(&self) -> &'static str {
        NAME
    }

    fn find(&self, context: &Context<'_>, want: usize) -> Result<Drawn, RecommendError> {
        let snapshot = context.snapshot;
        let rows = snapshot.by_popularity(&context.eligible.rows).take(want);
        let sold = rows.map(|row| (row, snapshot.popularity(row))).take_while(|&(_, sales)| sales > 0.0);
        Ok(Drawn { articles: sold.collect(), ..Drawn::default() })
    }
}
