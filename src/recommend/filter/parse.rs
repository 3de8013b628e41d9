//! Reading a filter.

use super::{Clause, Condition, FilterError, MAX_CLAUSES, MAX_DEPTH, MAX_VALUES};
use crate::domain::{ArticleId, Number};
use serde_json::{Map, Value};

/// The member of a filter that lists articles.
pub(super) const ARTICLES: &str = "article_ids";
/// Most days of `min_days_ago` and `max_days_ago`: more than 270 years.
const MAX_DAYS: u64 = 100_000;

/// Reads a filter and counts its parts.
#[derive(Default)]
pub(super) struct Parser {
    clauses: usize,
    /// Whether a condition depends on the request.
    pub(super) relative: bool,
    pub(super) reads_customer: bool,
}

impl Parser {
    pub(super) fn group<'a>(
        &mut self,
        members: impl Iterator<Item = (&'a String, &'a Value)>,
        depth: usize,
    ) -> Result<Vec<Clause>, FilterError> {
        members.map(|(name, value)| self.clause(name, value, depth)).collect()
    }

    fn clause(&mut self, name: &str, value: &Value, depth: usize) -> Result<Clause, FilterError> {
        let invalid = |problem: String| FilterError::Invalid { attribute: name.into(), problem };
        self.clauses += 1;
        if self.clauses > MAX_CLAUSES {
            return Err(invalid(format!("a filter holds at most {MAX_CLAUSES} conditions")));
        }
        if depth > MAX_DEPTH {
            return Err(invalid(format!("combinations are nested at most {MAX_DEPTH} deep")));
        }
        match name {
            "all" => self.groups(name, value, depth).map(Clause::All),
            "any" => self.groups(name, value, depth).map(Clause::Any),
            "not" => match value {
                Value::Object(members) => self.group(members.iter(), depth + 1).map(Clause::Not),
                _ => {
                    Err(invalid("give a filter, such as {\"not\": {\"colour\": \"Black\"}}".into()))
                }
            },
            ARTICLES => articles(value).map(Clause::Articles).map_err(invalid),
            _ => Ok(Clause::Attribute(name.into(), self.condition(value, depth).map_err(invalid)?)),
        }
    }

    fn groups(
        &mut self,
        name: &str,
        value: &Value,
        depth: usize,
    ) -> Result<Vec<Vec<Clause>>, FilterError> {
        let invalid = || FilterError::Invalid {
            attribute: name.into(),
            problem: format!(
                "give a list of filters, at least one: {{\"{name}\": [{{…}}, {{…}}]}}"
            ),
        };
        let groups = value.as_array().filter(|groups| !groups.is_empty()).ok_or_else(invalid)?;
        if groups.len() > MAX_CLAUSES {
            let problem = format!("a list holds at most {MAX_CLAUSES} filters");
            return Err(FilterError::Invalid { attribute: name.into(), problem });
        }
        let group =
            |group: &Value| self.group(group.as_object().ok_or_else(invalid)?.iter(), depth + 1);
        groups.iter().map(group).collect()
    }

    /// What the value of an attribute in a filter says.
    fn condition(&mut self, value: &Value, depth: usize) -> Result<Condition, String> {
        match value {
            Value::Object(members) => self.object(members, depth),
            Value::Array(values) if values.len() > MAX_VALUES => {
                Err(format!("a list holds at most {MAX_VALUES} values"))
            }
            Value::Array(values) => {
                let texts = values.iter().map(scalar).collect::<Option<Vec<_>>>();
                Ok(Condition::any_of(texts.ok_or("a list holds texts and numbers only")?))
            }
            value => {
                let text = scalar(value)
                    .ok_or("give a value, a list of values, or {\"min\": …, \"max\": …}")?;
                Ok(Condition::AnyOf(vec![text]))
            }
        }
    }

    fn object(&mut self, members: &Map<String, Value>, depth: usize) -> Result<Condition, String> {
        const ALONE: [&str; 5] = ["not", "exists", "same_as", "differs_from", "from"];
        if members.contains_key("min_days_ago") || members.contains_key("max_days_ago") {
            self.relative = true;
            return parse_days(members);
        }
        let Some((key, value)) = members.iter().find(|(key, _)| ALONE.contains(&key.as_str()))
        else {
            return parse_range(members);
        };
        if members.len() > 1 {
            return Err(format!("`{key}` stands alone; combine conditions with `all`"));
        }
        match (key.as_str(), value) {
            ("exists", Value::Bool(exists)) => Ok(Condition::Exists(*exists)),
            ("exists", _) => Err("`exists` must be true or false".into()),
            ("same_as" | "differs_from", Value::String(what)) if what == "article" => {
                self.relative = true;
                let negated = key == "differs_from";
                Ok(if negated {
                    Condition::Not(Box::new(Condition::OfArticle))
                } else {
                    Condition::OfArticle
                })
            }
            ("same_as" | "differs_from", _) => Err(format!("give {{\"{key}\": \"article\"}}")),
            ("from", value) => {
                (self.relative, self.reads_customer) = (true, true);
                let attribute = value.as_str().and_then(|text| text.strip_prefix("customer."));
                let attribute = attribute.filter(|attribute| !attribute.is_empty());
                let attribute = attribute
                    .ok_or("give an attribute of the customer: {\"from\": \"customer.country\"}")?;
                Ok(Condition::OfCustomer(attribute.to_owned()))
            }
            _ if depth > MAX_DEPTH => {
                Err(format!("conditions are nested at most {MAX_DEPTH} deep"))
            }
            (_, value) => Ok(Condition::Not(Box::new(self.condition(value, depth + 1)?))),
        }
    }
}

impl Condition {
    /// The canonical form of a list.
    pub(super) fn any_of(mut texts: Vec<String>) -> Self {
        texts.sort_unstable();
        texts.dedup();
        Self::AnyOf(texts)
    }
}

fn articles(value: &Value) -> Result<Vec<ArticleId>, String> {
    let ids = value.as_array().ok_or("give a list of article ids")?;
    if ids.len() > MAX_VALUES {
        return Err(format!("a list holds at most {MAX_VALUES} articles"));
    }
    let id = |id: &Value| id.as_str().and_then(|id| ArticleId::parse(id).ok());
    let ids = ids.iter().map(id).collect::<Option<Vec<_>>>();
    let mut ids = ids.ok_or("a list holds article ids only, as texts")?;
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

fn parse_days(members: &Map<String, Value>) -> Result<Condition, String> {
    let (mut min, mut max) = (0, None);
    for (key, value) in members {
        let days = value.as_u64().filter(|&days| days <= MAX_DAYS).map(|days| days as u32);
        let days = days
            .ok_or_else(|| format!("`{key}` must be a whole number of days from 0 to {MAX_DAYS}"));
        match key.as_str() {
            "min_days_ago" => min = days?,
            "max_days_ago" => max = Some(days?),
            _ => return Err(format!("`min_days_ago` and `max_days_ago` stand without `{key}`")),
        }
    }
    match max {
        Some(max) if min > max => {
            Err(format!("`min_days_ago` {min} is above `max_days_ago` {max}"))
        }
        _ => Ok(Condition::DaysAgo { min, max }),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn parse_range(range: &Map<String, Value>) -> Result<Condition, String> {
    let (mut min, mut max) = (None, None);
    for (key, value) in range {
        // By its digits: whole numbers are exact to 64 bits.
        let number = value.as_number().and_then(|number| Number::parse(&number.to_string()));
        let number =
            number.ok_or_else(|| format!("`{key}` must be a number of at most 64 bits"))?;
        match key.as_str() {
            "min" => min = Some(number),
            "max" => max = Some(number),
            _ => return Err(format!("a range has `min` and `max`, not `{key}`")),
        }
    }
    match (min, max) {
        (None, None) => Err("a range needs `min`, `max` or both".into()),
        (Some(min), Some(max)) if min > max => Err(format!("`min` {min} is above `max` {max}")),
        _ => Ok(Condition::Range { min, max }),
    }
}
