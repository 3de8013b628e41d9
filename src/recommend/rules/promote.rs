//! Room for articles of a kind.

use super::{Claim, Registered, Rule, registered};
use crate::recommend::Filter;
use serde::Deserialize;

pub(super) const REGISTERED: Registered = registered::<Promote>(
    "promote",
    "At least so many articles are of `filter`, spread evenly: `at_least` of the placement's `k`, or `share` of the \
     list, above 0 and up to 1.",
);

/// Shares are counted in millionths.
const WHOLE: u64 = 1_000_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Promote {
    filter: Filter,
    at_least: Option<u64>,
    share: Option<f64>,
}

impl Rule for Promote {
    fn filter(&self) -> Option<&Filter> {
        Some(&self.filter)
    }

    fn claim(&self, k: usize) -> Option<Claim<'_>> {
        // Of the placement's `k`, not the request's: pages of any size are parts of one list.
        let (least, of) = match (self.at_least, self.share) {
            (Some(least), _) => (least, k as u64),
            (None, share) => ((share? * WHOLE as f64).round() as u64, WHOLE),
        };
        (least > 0).then_some(Claim::Share { least, of })
    }

    fn problem(&self, k: usize) -> Option<String> {
        match (self.at_least, self.share) {
            (Some(least), None) if (1..=k as u64).contains(&least) => None,
            (Some(least), None) => {
                Some(format!("`at_least` must be 1 to {k}, the placement's `k`, not {least}"))
            }
            (None, Some(share)) if share * WHOLE as f64 >= 1.0 && share <= 1.0 => None,
            (None, Some(share)) => {
                Some(format!("`share` must be above 0 and at most 1, not {share}"))
            }
            _ => Some("give either `at_least` or `share`".to_owned()),
        }
    }
}
