//! A rule as it is written in a placement.

use super::{MAX_NAME, REGISTRY, Rule};
use crate::domain::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::sync::Arc;

/// A rule of a placement, with its name and the time in which it holds.
#[derive(Debug, Clone)]
pub struct RuleSpec {
    pub(super) rule: Arc<dyn Rule>,
    kind: &'static str,
    name: String,
    /// The first moment at which it holds.
    pub(super) from: Option<Timestamp>,
    /// The first moment at which it holds no more.
    until: Option<Timestamp>,
    /// As it was written.
    definition: Map<String, Value>,
}

impl RuleSpec {
    /// A rule as it is written in JSON or TOML: `rule` names its kind and `name` the rule itself;
    /// `from` and `until` may follow, the rest are the parameters of the kind.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(definition: Map<String, Value>) -> Result<Self, String> {
        let mut parameters = definition.clone();
        let kind = match parameters.remove("rule") {
            Some(Value::String(kind)) => kind,
            _ => return Err("a rule needs its kind: {\"rule\": \"boost\", …}".to_owned()),
        };
        let kind = REGISTRY.iter().find(|known| known.name == kind).ok_or_else(|| {
            let known: Vec<&str> = REGISTRY.iter().map(|kind| kind.name).collect();
            let kind: String = kind.chars().take(MAX_NAME).collect();
            format!("there is no rule `{kind}`; there are: {}", known.join(", "))
        })?;
        let name = match parameters.remove("name") {
            Some(Value::String(name)) if (1..=MAX_NAME).contains(&name.chars().count()) => name,
            _ => {
                return Err(format!(
                    "rule `{}`: give it a `name` of 1 to {MAX_NAME} characters",
                    kind.name
                ));
            }
        };
        let mut moment = |key: &str| match parameters.remove(key) {
            None => Ok(None),
            Some(Value::String(text)) => match Timestamp::parse(&text) {
                Ok(moment) => Ok(Some(moment)),
                Err(error) => Err(format!("rule `{name}`, `{key}`: {error}")),
            },
            Some(_) => Err(format!(
                "rule `{name}`, `{key}`: give a date or a moment as a text: \"2026-11-27\""
            )),
        };
        let (from, until) = (moment("from")?, moment("until")?);
        if let (Some(from), Some(until)) = (from, until)
            && from >= until
        {
            return Err(format!(
                "rule `{name}`: it ends at {until}, not after its start at {from}"
            ));
        }
        let rule = (kind.parse)(Value::Object(parameters));
        let rule = rule.map_err(|error| format!("rule `{name}` ({}): {error}", kind.name))?;
        Ok(Self { rule, kind: kind.name, name, from, until, definition })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which of [`REGISTRY`] it is.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Whether it holds at this moment.
    pub fn holds_at(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
    }

    /// Whether there is a moment at which both hold.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let begins_before_end = |a: &Self, b: &Self| match (a.from, b.until) {
            (Some(from), Some(until)) => from < until,
            _ => true,
        };
        begins_before_end(self, other) && begins_before_end(other, self)
    }

    pub(super) fn problem(&self, k: usize) -> Option<String> {
        match self.rule.filter() {
            Some(filter) if filter.is_empty() => {
                Some("its filter selects everything; give a condition".to_owned())
            }
            _ => self.rule.problem(k),
        }
    }
}

impl PartialEq for RuleSpec {
    fn eq(&self, other: &Self) -> bool {
        self.definition == other.definition
    }
}

impl Serialize for RuleSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.definition.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RuleSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let definition = Map::deserialize(deserializer)?;
        Self::parse(definition).map_err(serde::de::Error::custom)
    }
}
