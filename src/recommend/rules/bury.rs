//! Articles that shall come later.

use super::{Registered, Rule, boost::MAX_FACTOR, registered};
use crate::recommend::{Candidate, Candidates, Filter};
use serde::Deserialize;

pub(super) const REGISTERED: Registered = registered::<Bury>(
    "bury",
    "Articles of `filter` come later: their strength counts `factor` times, a number below 1 and at least 0.001.",
);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bury {
    filter: Filter,
    factor: f32,
}

impl Rule for Bury {
    fn filter(&self) -> Option<&Filter> {
        Some(&self.filter)
    }

    fn strength(&self, _candidates: &Candidates, candidate: &Candidate) -> f32 {
        candidate.strength * self.factor
    }

    fn problem(&self, _k: usize) -> Option<String> {
        let (factor, least) = (self.factor, 1.0 / MAX_FACTOR);
        let makes_sense = factor >= least && factor < 1.0;
        (!makes_sense).then(|| {
            format!("`factor` must be below 1 and at least {least}, not {factor}; use `hide` for 0")
        })
    }
}
