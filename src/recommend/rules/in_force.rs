//! The rules that hold for one request.

use super::{Claim, RuleSpec, Rules};
use crate::recommend::{Candidates, Eligible, Filter, FilterError, Snapshot, filter::Given};
use std::{borrow::Cow, sync::Arc};

/// The rules that hold for one request, and those that would if they could.
#[derive(Debug, Default)]
pub struct InForce<'a> {
    rules: Vec<Applied<'a>>,
    pub ignored: Vec<IgnoredRule>,
    k: usize,
}

/// A rule that a request does without.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct IgnoredRule {
    pub rule: String,
    pub reason: String,
}

#[derive(Debug)]
struct Applied<'a> {
    /// Of [`Candidate::rules`](crate::recommend::Candidate::rules).
    bit: u64,
    spec: &'a RuleSpec,
    filter: Option<Cow<'a, Filter>>,
    /// The available articles of the filter, where the rule does not hide them.
    about: Option<Arc<Eligible>>,
}

/// A claim of a rule.
pub struct Claimed<'a> {
    pub bit: u64,
    pub claim: Claim<'a>,
    pub about: Option<&'a Eligible>,
}

impl<'a> InForce<'a> {
    /// A rule whose filter lacks a value, or names an attribute that the catalogue has no longer,
    /// is ignored as a whole: with fewer conditions it would be about articles that nobody meant.
    pub(in crate::recommend) fn of(
        rules: &'a Rules,
        given: &Given<'_>,
        snapshot: &Snapshot,
    ) -> Self {
        let mut in_force = Self { k: rules.k, ..Self::default() };
        for (place, spec) in rules.at(given.at) {
            let mut applied = Applied { bit: 1 << place, spec, filter: None, about: None };
            if let Some(filter) = spec.rule.filter() {
                let resolved = filter.resolve(given);
                if resolved.left_out {
                    let reason = "its filter reads an article or a value that this request lacks";
                    in_force.ignore(spec, reason.to_owned());
                    continue;
                }
                if !spec.rule.hides() {
                    match snapshot.eligible(&resolved.filter) {
                        Ok(about) => applied.about = Some(about),
                        Err(error) => {
                            in_force.ignore(spec, error.to_string());
                            continue;
                        }
                    }
                }
                applied.filter = Some(resolved.filter);
            }
            in_force.rules.push(applied);
        }
        in_force
    }

    fn ignore(&mut self, spec: &RuleSpec, reason: String) {
        self.ignored.push(IgnoredRule { rule: spec.name().to_owned(), reason });
    }

    /// The filter without what rules hide, and what it selects.
    ///
    /// # Errors
    /// When the filter itself does not fit the catalogue.
    pub(in crate::recommend) fn eligible(
        &mut self,
        filter: Cow<'a, Filter>,
        snapshot: &Snapshot,
    ) -> Result<(Cow<'a, Filter>, Arc<Eligible>), FilterError> {
        if self.hidden().next().is_some() {
            let rest = filter.without(self.hidden());
            if let Ok(eligible) = snapshot.eligible(&rest) {
                return Ok((Cow::Owned(rest), eligible));
            }
            self.ignore_unfit_hides(snapshot);
            let rest = filter.without(self.hidden());
            let eligible = snapshot.eligible(&rest)?;
            return Ok((Cow::Owned(rest), eligible));
        }
        let eligible = snapshot.eligible(&filter)?;
        Ok((filter, eligible))
    }

    fn hidden(&self) -> impl Iterator<Item = &Filter> {
        let hides = self.rules.iter().filter(|rule| rule.spec.rule.hides());
        hides.filter_map(|rule| rule.filter.as_deref())
    }

    /// How many available articles the rule at this place hides.
    pub(in crate::recommend) fn hidden_by(&self, place: usize, snapshot: &Snapshot) -> usize {
        let hides = self.rules.iter().find(|rule| rule.bit == 1 << place && rule.spec.rule.hides());
        let eligible = hides.and_then(|rule| snapshot.eligible(rule.filter.as_deref()?).ok());
        eligible.map_or(0, |eligible| eligible.rows.count())
    }

    fn ignore_unfit_hides(&mut self, snapshot: &Snapshot) {
        let (rules, ignored) = (&mut self.rules, &mut self.ignored);
        rules.retain(|rule| {
            match rule.filter.as_deref().map(|filter| filter.on(snapshot.catalogue())) {
                Some(Err(error)) => {
                    ignored.push(IgnoredRule {
                        rule: rule.spec.name().to_owned(),
                        reason: error.to_string(),
                    });
                    false
                }
                _ => true,
            }
        });
    }

    /// Gives candidates their strengths by the rules, one rule after the other, and sorts them anew
    /// where that changed any.
    pub(in crate::recommend) fn weigh(&self, candidates: &mut Candidates) {
        let mut changed = false;
        for rule in self.rules.iter().filter(|rule| !rule.spec.rule.hides()) {
            for place in 0..candidates.list.len() {
                let candidate = candidates.list[place];
                if rule.about.as_ref().is_some_and(|about| !about.rows.contains(candidate.row)) {
                    continue;
                }
                let strength = rule.spec.rule.strength(candidates, &candidate);
                if strength == candidate.strength || strength.is_nan() {
                    continue;
                }
                let candidate = &mut candidates.list[place];
                // Many factors multiply beyond 32 bits, and a strength stays above 0.
                candidate.strength = strength.clamp(f32::MIN_POSITIVE, f32::MAX);
                candidate.rules |= rule.bit;
                changed = true;
            }
        }
        if changed {
            candidates.sort();
        }
    }

    /// What the rules want of the list, in their order.
    pub(in crate::recommend) fn claims(&self) -> impl Iterator<Item = Claimed<'_>> {
        self.rules.iter().filter_map(|rule| {
            let claim = rule.spec.rule.claim(self.k)?;
            Some(Claimed { bit: rule.bit, claim, about: rule.about.as_deref() })
        })
    }

    /// Whether the order of the candidates depends on rules.
    pub(in crate::recommend) fn reorder(&self) -> bool {
        self.rules.iter().any(|Applied { spec, .. }| {
            !spec.rule.hides() && !matches!(spec.rule.claim(self.k), Some(Claim::Position { .. }))
        })
    }

    /// The rules that set these bits.
    pub(in crate::recommend) fn named(&self, bits: u64) -> impl Iterator<Item = &str> {
        self.rules.iter().filter(move |rule| rule.bit & bits != 0).map(|rule| rule.spec.name())
    }
}
