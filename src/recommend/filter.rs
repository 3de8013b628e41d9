//! Simple attribute filters: `{"index_group_name": "Ladieswear", "colour_group_name": ["Black", "White"],
//! "price": {"min": 5, "max": 20}}`. All conditions must hold; a list means any of its values.

use super::Catalogue;
use crate::{dataset::Values, retrieval::ItemSet};
use serde_json::Value;
use std::{collections::BTreeMap, fmt::Write};

/// A parsed filter in canonical form: equal filters have equal [`Filter::key`]s however they were written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    conditions: Vec<(String, Condition)>,
    key: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Condition {
    /// Sorted texts, numbers as they are written in JSON.
    AnyOf(Vec<String>),
    /// Both ends included.
    Range { min: f32, max: f32 },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    #[error("the catalogue has no attribute `{name}`; it has: {}", known.join(", "))]
    UnknownAttribute { name: String, known: Vec<String> },
    #[error("filter on `{attribute}`: {problem}")]
    Invalid { attribute: String, problem: String },
}

/// Most values one condition may list.
const MAX_VALUES: usize = 1_000;

impl Filter {
    /// # Errors
    /// [`FilterError::Invalid`] when a condition is no text, number, true/false, list of them, or `{min, max}`.
    pub fn parse(conditions: &BTreeMap<String, Value>) -> Result<Self, FilterError> {
        let mut filter = Self::default();
        for (attribute, value) in conditions {
            let invalid =
                |problem: &str| FilterError::Invalid { attribute: attribute.clone(), problem: problem.into() };
            let condition = match value {
                Value::Object(range) => parse_range(range).map_err(|problem| invalid(&problem))?,
                Value::Array(values) if values.len() > MAX_VALUES => {
                    return Err(invalid(&format!("a list holds at most {MAX_VALUES} values")));
                }
                Value::Array(values) => {
                    let mut texts = values
                        .iter()
                        .map(scalar)
                        .collect::<Option<Vec<_>>>()
                        .ok_or_else(|| invalid("a list holds texts and numbers only"))?;
                    texts.sort_unstable();
                    texts.dedup();
                    Condition::AnyOf(texts)
                }
                value => Condition::AnyOf(vec![
                    scalar(value)
                        .ok_or_else(|| invalid("give a value, a list of values, or {\"min\": …, \"max\": …}"))?,
                ]),
            };
            // Debug output escapes, so different filters never share a key.
            let _ = write!(filter.key, "{attribute:?}={condition:?};");
            filter.conditions.push((attribute.clone(), condition));
        }
        Ok(filter)
    }

    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Names the set of articles within one snapshot.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Narrows `rows` (of the catalogue) to those that meet every condition.
    ///
    /// # Errors
    /// When the catalogue lacks an attribute, or a range is asked of one that holds no numbers.
    pub fn narrow(&self, catalogue: &Catalogue, rows: &mut ItemSet) -> Result<(), FilterError> {
        for (name, condition) in &self.conditions {
            let attribute = find_attribute(catalogue, name)?;
            let matching = condition
                .matching(&catalogue.column(attribute).values, catalogue.len())
                .map_err(|problem| FilterError::Invalid { attribute: name.clone(), problem })?;
            rows.intersect(&matching);
        }
        Ok(())
    }
}

/// The column of an attribute.
///
/// # Errors
/// [`FilterError::UnknownAttribute`], naming those that exist.
pub fn find_attribute(catalogue: &Catalogue, name: &str) -> Result<usize, FilterError> {
    catalogue.attribute(name).ok_or_else(|| FilterError::UnknownAttribute {
        name: name.chars().take(64).collect(),
        known: catalogue.attribute_names().into_iter().map(str::to_owned).collect(),
    })
}

impl Condition {
    fn matching(&self, values: &Values, rows: usize) -> Result<ItemSet, String> {
        let mut set = ItemSet::empty(rows);
        match (self, values) {
            (Self::AnyOf(texts), Values::Category { codes, dictionary }) => {
                let wanted: Vec<u32> = texts.iter().filter_map(|text| dictionary.find(text)).collect();
                collect(&mut set, codes.iter().map(|code| wanted.contains(code)));
            }
            (Self::AnyOf(texts), Values::Tags { offsets, codes, dictionary }) => {
                let wanted: Vec<u32> = texts.iter().filter_map(|text| dictionary.find(text)).collect();
                let tags = |pair: &[u32]| codes[pair[0] as usize..pair[1] as usize].iter().any(|c| wanted.contains(c));
                collect(&mut set, offsets.windows(2).map(tags));
            }
            (Self::AnyOf(texts), Values::Number(numbers)) => {
                let wanted = texts.iter().map(|text| text.parse::<f32>()).collect::<Result<Vec<_>, _>>();
                let wanted = wanted.map_err(|_| "it holds numbers; give a number or {\"min\": …, \"max\": …}")?;
                collect(&mut set, numbers.iter().map(|number| wanted.contains(number)));
            }
            (&Self::Range { min, max }, Values::Number(numbers)) => {
                collect(&mut set, numbers.iter().map(|&number| (min..=max).contains(&number)));
            }
            (Self::Range { .. }, _) => return Err("it holds texts, which have no min and max; give values".into()),
        }
        Ok(set)
    }
}

fn collect(set: &mut ItemSet, matches: impl Iterator<Item = bool>) {
    for (row, _) in matches.enumerate().filter(|(_, matches)| *matches) {
        set.insert(row as u32);
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

fn parse_range(range: &serde_json::Map<String, Value>) -> Result<Condition, String> {
    let (mut min, mut max) = (f32::NEG_INFINITY, f32::INFINITY);
    for (key, value) in range {
        let number = value.as_f64().map(|n| n as f32).filter(|n| n.is_finite());
        let number = number.ok_or_else(|| format!("`{key}` must be a number"))?;
        match key.as_str() {
            "min" => min = number,
            "max" => max = number,
            _ => return Err(format!("a range has `min` and `max`, not `{key}`")),
        }
    }
    match range.is_empty() {
        true => Err("a range needs `min`, `max` or both".into()),
        false if min > max => Err(format!("`min` {min} is above `max` {max}")),
        false => Ok(Condition::Range { min, max }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::{CatalogueBuilder, Cell};

    fn catalogue() -> Catalogue {
        let mut builder = CatalogueBuilder::default();
        let tags = ["a".to_owned(), "b".to_owned()];
        builder.push("1", true, [("colour", Cell::Text("Black")), ("price", Cell::Number(5.0))]);
        builder.push("2", true, [("colour", Cell::Text("White")), ("price", Cell::Number(20.0))]);
        builder.push("3", true, [("tags", Cell::Tags(&tags)), ("price", Cell::Number(20.01))]);
        builder.finish(1)
    }

    fn rows(json: &str) -> Result<Vec<u32>, FilterError> {
        let catalogue = catalogue();
        let mut rows = ItemSet::full(catalogue.len());
        Filter::parse(&serde_json::from_str(json).unwrap())?.narrow(&catalogue, &mut rows)?;
        Ok(rows.iter().collect())
    }

    #[test]
    fn conditions_are_anded_and_lists_ored() {
        assert_eq!(rows("{}").unwrap(), [0, 1, 2]);
        assert_eq!(rows(r#"{"colour": "Black"}"#).unwrap(), [0]);
        assert_eq!(rows(r#"{"colour": ["Black", "White", "Pink"]}"#).unwrap(), [0, 1]);
        assert_eq!(rows(r#"{"colour": []}"#).unwrap(), [0; 0]);
        assert_eq!(rows(r#"{"price": {"min": 5, "max": 20}}"#).unwrap(), [0, 1]);
        assert_eq!(rows(r#"{"price": {"min": 20}, "colour": "White"}"#).unwrap(), [1]);
        assert_eq!(rows(r#"{"price": 20}"#).unwrap(), [1]);
        assert_eq!(rows(r#"{"price": "20.0"}"#).unwrap(), [1]);
        assert_eq!(rows(r#"{"tags": "b"}"#).unwrap(), [2]);
    }

    #[test]
    fn bad_filters_are_named() {
        let message = |json| rows(json).unwrap_err().to_string();
        assert!(message(r#"{"color": "Black"}"#).contains("`color`; it has: colour, price, tags"));
        assert!(message(r#"{"colour": {"min": 1}}"#).contains("no min and max"));
        assert!(message(r#"{"price": {"min": 9, "max": 1}}"#).contains("above"));
        assert!(message(r#"{"price": {"minimum": 9}}"#).contains("`minimum`"));
        assert!(message(r#"{"price": {}}"#).contains("needs"));
        assert!(message(r#"{"price": null}"#).contains("give a value"));
        assert!(message(r#"{"price": "cheap"}"#).contains("numbers"));
        assert!(message(r#"{"colour": [["x"]]}"#).contains("texts and numbers only"));
    }

    #[test]
    fn equal_filters_share_a_key_and_different_ones_do_not() {
        let key = |json: &str| Filter::parse(&serde_json::from_str(json).unwrap()).unwrap().key().to_owned();
        assert_eq!(key(r#"{"a": ["x", "y"], "b": 1}"#), key(r#"{"b": 1, "a": ["y", "x", "y"]}"#));
        assert_ne!(key(r#"{"a": "x\";y"}"#), key(r#"{"a": ["x", "y"]}"#));
        assert_ne!(key(r#"{"a": {"min": 1}}"#), key(r#"{"a": {"max": 1}}"#));
    }
}
