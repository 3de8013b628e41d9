//! Articles that shall not be shown.

use super::{Registered, Rule, registered};
use crate::recommend::Filter;
use serde::Deserialize;

pub(super) const REGISTERED: Registered =
    registered::<Hide>("hide", "Articles of `filter` are never answered, whatever finds them.");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hide {
    filter: Filter,
}

impl Rule for Hide {
    fn filter(&self) -> Option<&Filter> {
        Some(&self.filter)
    }

    fn hides(&self) -> bool {
        true
    }
}
