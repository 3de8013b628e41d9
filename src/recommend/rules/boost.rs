//! Articles that shall come earlier.

use super::{Registered, Rule, registered};
use crate::recommend::{Candidate, Candidates, Filter};
use serde::Deserialize;

pub(super) const REGISTERED: Registered = registered::<Boost>(
    "boost",
    "Articles of `filter` come earlier: their strength counts `factor` times, a number above 1 and up to 1000.",
);

/// The greatest factor.
pub(super) const MAX_FACTOR: f32 = 1_000.0;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Boost {
    filter: Filter,
    factor: f32,
}

impl Rule for Boost {
    fn filter(&self) -> Option<&Filter> {
        Some(&self.filter)
    }

    fn strength(&self, _candidates: &Candidates, candidate: &Candidate) -> f32 {
        candidate.strength * self.factor
    }

    fn problem(&self, _k: usize) -> Option<String> {
        let makes_sense = self.factor > 1.0 && self.factor <= MAX_FACTOR;
        let factor = self.factor;
        (!makes_sense)
            .then(|| format!("`factor` must be above 1 and at most {MAX_FACTOR}, not {factor}"))
    }
}
