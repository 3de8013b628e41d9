//! Rules: what a merchandiser wants of the answers of one placement, whatever the model says. Each
//! kind is one file here and one line of [`REGISTRY`].
//!
//! A rule acts at one of three moments, which is why [`Rule`] has three methods with a default and
//! not one: what it hides must be known before a source searches, what it weighs must be ranked,
//! and what it places is only known when the list is picked.
//!
//! No rule shows what the request's filter, its exclusions or the availability forbid.

mod boost;
mod bury;
mod hide;
mod in_force;
mod pin;
mod promote;
mod spec;

pub use in_force::IgnoredRule;
pub(super) use in_force::InForce;
pub use spec::RuleSpec;

use super::{Candidate, Candidates, Catalogue, Filter, Recipe};
use crate::domain::{ArticleId, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{fmt::Debug, sync::Arc};

/// What a merchandiser wants of the answers.
pub trait Rule: Send + Sync + Debug {
    /// The articles it is about; `None`: all, or those it names otherwise.
    fn filter(&self) -> Option<&Filter> {
        None
    }

    /// Whether the articles of its filter may not be answered, by no source and no fill.
    fn hides(&self) -> bool {
        false
    }

    /// The new strength, above 0, of a candidate that the rule is about.
    fn strength(&self, _candidates: &Candidates, candidate: &Candidate) -> f32 {
        candidate.strength
    }

    /// The places of the list that it wants; `k`: articles of an answer of the placement.
    fn claim(&self, _k: usize) -> Option<Claim<'_>> {
        None
    }

    /// What is wrong with it, whatever the catalogue holds.
    fn problem(&self, _k: usize) -> Option<String> {
        None
    }
}

/// Places of the list that a rule wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim<'a> {
    /// This article at this position, from 1.
    Position { article: &'a ArticleId, position: usize },
    /// The first p articles have at least ⌊`least` · p / `of`⌋ of the rule's filter.
    Share { least: u64, of: u64 },
}

/// A kind of rule.
pub struct Registered {
    pub name: &'static str,
    /// What it does, for documentation.
    pub about: &'static str,
    parse: fn(Value) -> Result<Arc<dyn Rule>, serde_json::Error>,
}

/// All kinds of rules.
pub const REGISTRY: &[Registered] =
    &[boost::REGISTERED, bury::REGISTERED, promote::REGISTERED, pin::REGISTERED, hide::REGISTERED];

/// Most rules of one placement.
pub const MAX_RULES: usize = 32;
/// Longest name of a rule, in characters.
const MAX_NAME: usize = 64;

const fn registered<R: Rule + DeserializeOwned + 'static>(
    name: &'static str,
    about: &'static str,
) -> Registered {
    let parse =
        |parameters| Ok(Arc::new(serde_json::from_value::<R>(parameters)?) as Arc<dyn Rule>);
    Registered { name, about, parse }
}

/// The rules of a placement, which do not contradict each other.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rules {
    specs: Vec<RuleSpec>,
    /// Articles of an answer where the request does not say.
    k: usize,
}

impl Rules {
    /// # Errors
    /// Which rule makes no sense or contradicts which other, whatever the catalogue holds.
    pub fn new(specs: Vec<RuleSpec>, k: usize) -> Result<Self, String> {
        if specs.len() > MAX_RULES {
            return Err(format!("holds at most {MAX_RULES} rules, not {}", specs.len()));
        }
        for (at, spec) in specs.iter().enumerate() {
            if let Some(problem) = spec.problem(k) {
                return Err(format!("has a rule `{}` that cannot hold: {problem}", spec.name()));
            }
            for other in &specs[..at] {
                if let Some(problem) = contradiction(spec, other, k) {
                    return Err(format!(
                        "has rules `{}` and `{}` that contradict: {problem}",
                        other.name(),
                        spec.name()
                    ));
                }
            }
        }
        let rules = Self { specs, k };
        rules.check_shares()?;
        Ok(rules)
    }

    pub fn is_empty(&self) -> bool {
        self.specs.is_empty()
    }

    /// Whether a catalogue has all that the rules name, and whether any of them hides or forbids
    /// what another shows. What depends on the request is not judged.
    ///
    /// # Errors
    /// What is wrong with which rule.
    pub fn check(&self, catalogue: &Catalogue, recipe: &Recipe) -> Result<(), String> {
        for spec in &self.specs {
            let fits = spec.rule.filter().map_or(Ok(()), |filter| filter.on(catalogue).map(drop));
            fits.map_err(|error| {
                format!("has a rule `{}` that does not fit the catalogue: {error}", spec.name())
            })?;
        }
        for spec in &self.specs {
            if let Some(Claim::Position { article, .. }) = spec.rule.claim(self.k) {
                let shown = self.check_pin(catalogue, recipe, spec, article);
                shown.map_err(|problem| {
                    format!("has a rule `{}` that cannot hold: {problem}", spec.name())
                })?;
            }
        }
        Ok(())
    }

    fn check_pin(
        &self,
        catalogue: &Catalogue,
        recipe: &Recipe,
        pin: &RuleSpec,
        article: &ArticleId,
    ) -> Result<(), String> {
        let row = catalogue.row(article.as_str());
        let row = row.ok_or_else(|| format!("the catalogue has no article `{article}`"))?;
        if recipe.exclude.article_ids.contains(article) {
            return Err(format!("`exclude` names its article `{article}`"));
        }
        let holds =
            |filter: &Filter| filter.on(catalogue).is_ok_and(|conditions| conditions.hold(row));
        if !recipe.filter.is_relative() && !holds(&recipe.filter) {
            return Err(format!("the placement's filter rules its article `{article}` out"));
        }
        let hidden = |other: &&RuleSpec| {
            let filter =
                other.rule.filter().filter(|filter| other.rule.hides() && !filter.is_relative());
            filter.is_some_and(holds) && other.meets(pin)
        };
        match self.specs.iter().find(hidden) {
            Some(hide) => Err(format!("the rule `{}` hides its article `{article}`", hide.name())),
            None => Ok(()),
        }
    }

    /// At no moment may promotions want more than the whole list.
    fn check_shares(&self) -> Result<(), String> {
        let starts = self.specs.iter().map(|spec| spec.from.unwrap_or_default());
        for at in starts {
            let (mut sum, mut names) = (0.0, Vec::new());
            for spec in self.specs.iter().filter(|spec| spec.holds_at(at)) {
                if let Some(Claim::Share { least, of }) = spec.rule.claim(self.k) {
                    sum += least as f64 / of as f64;
                    names.push(spec.name());
                }
            }
            // Shares are whole millionths, so this much is rounding.
            if sum > 1.0 + 1e-9 {
                let names = names.join("`, `");
                return Err(format!(
                    "has rules `{names}` that promote more than the whole list together"
                ));
            }
        }
        Ok(())
    }

    /// Those that hold at a moment, with their places.
    fn at(&self, at: Timestamp) -> impl Iterator<Item = (usize, &RuleSpec)> {
        self.specs.iter().enumerate().filter(move |(_, spec)| spec.holds_at(at))
    }

    pub(super) fn specs(&self) -> &[RuleSpec] {
        &self.specs
    }
}

fn contradiction(a: &RuleSpec, b: &RuleSpec, k: usize) -> Option<String> {
    if a.name() == b.name() {
        return Some("they have the same name".to_owned());
    }
    if !a.meets(b) {
        return None;
    }
    match (a.rule.claim(k)?, b.rule.claim(k)?) {
        (Claim::Position { position: one, .. }, Claim::Position { position: other, .. })
            if one == other =>
        {
            Some(format!("both pin an article at position {one}"))
        }
        (Claim::Position { article: one, .. }, Claim::Position { article: other, .. })
            if one == other =>
        {
            Some(format!("both pin the article `{one}`"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
