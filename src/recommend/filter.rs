//! Simple attribute filters: `{"index_group_name": "Ladieswear", "colour_group_name": ["Black", "White"],
//! "price": {"min": 5, "max": 20}}`. All conditions must hold; a list means any of its values.

use super::{Catalogue, Column};
use crate::{
    domain::{AttributeKind, Number},
    retrieval::ItemSet,
};
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
    Range { min: Option<Number>, max: Option<Number> },
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

    /// The filter for the columns of a catalogue.
    ///
    /// # Errors
    /// When the catalogue lacks an attribute, or a range is asked of one that holds no numbers.
    pub fn on<'a>(&self, catalogue: &'a Catalogue) -> Result<Conditions<'a>, FilterError> {
        let condition = |(name, condition): &(String, Condition)| -> Result<_, FilterError> {
            let column = catalogue.column(find_attribute(catalogue, name)?);
            let wanted = condition
                .wanted(column)
                .map_err(|problem| FilterError::Invalid { attribute: name.clone(), problem })?;
            Ok((column, wanted))
        };
        self.conditions.iter().map(condition).collect::<Result<_, _>>().map(Conditions)
    }
}

/// A filter for the columns of one catalogue.
pub struct Conditions<'a>(Vec<(&'a Column, Wanted)>);

/// What a condition wants of a column.
enum Wanted {
    /// By code of the column's texts.
    Texts(ItemSet),
    Numbers(Vec<Number>),
    Range {
        min: Option<Number>,
        max: Option<Number>,
    },
}

impl Conditions<'_> {
    /// Whether the article of a row meets every condition.
    pub fn hold(&self, row: u32) -> bool {
        self.0.iter().all(|(column, wanted)| match wanted {
            Wanted::Texts(codes) => column.any_code(row, |code| codes.contains(code)),
            Wanted::Numbers(numbers) => column.number(row).is_some_and(|number| numbers.contains(&number)),
            Wanted::Range { min, max } => column
                .number(row)
                .is_some_and(|number| min.is_none_or(|min| min <= number) && max.is_none_or(|max| number <= max)),
        })
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
    fn wanted(&self, column: &Column) -> Result<Wanted, String> {
        Ok(match (self, column.kind()) {
            (Self::AnyOf(texts), AttributeKind::Number) => {
                let numbers = texts.iter().map(|text| Number::parse(text)).collect::<Option<_>>();
                Wanted::Numbers(numbers.ok_or("it holds numbers; give a number or {\"min\": …, \"max\": …}")?)
            }
            (Self::AnyOf(texts), AttributeKind::Text | AttributeKind::Texts) => {
                let mut codes = ItemSet::empty(column.codes());
                texts.iter().filter_map(|text| column.code(text)).for_each(|code| codes.insert(code));
                Wanted::Texts(codes)
            }
            (&Self::Range { min, max }, AttributeKind::Number) => Wanted::Range { min, max },
            (Self::Range { .. }, _) => return Err("it holds texts, which have no min and max; give values".into()),
        })
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
    let (mut min, mut max) = (None, None);
    for (key, value) in range {
        // By its digits: whole numbers are exact to 64 bits.
        let number = value.as_number().and_then(|number| Number::parse(&number.to_string()));
        let number = number.ok_or_else(|| format!("`{key}` must be a number of at most 64 bits"))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recommend::{CatalogueBuilder, Cell};

    fn catalogue() -> Catalogue {
        let mut builder = CatalogueBuilder::default();
        let tags = ["a".to_owned(), "b".to_owned()];
        let number = |text| Cell::Number(Number::parse(text).unwrap());
        builder.push(
            "1",
            true,
            [("colour", Cell::Text("Black")), ("price", number("5")), ("ean", number("4006381333931"))],
        );
        builder.push(
            "2",
            true,
            [("colour", Cell::Text("White")), ("price", number("20")), ("ean", number("4006381333932"))],
        );
        builder.push(
            "3",
            true,
            [("tags", Cell::Texts(&tags)), ("price", number("20.01")), ("ean", number("9007199254740993"))],
        );
        builder.finish(1)
    }

    fn rows(json: &str) -> Result<Vec<u32>, FilterError> {
        let catalogue = catalogue();
        let mut rows = ItemSet::full(catalogue.len());
        let filter = Filter::parse(&serde_json::from_str(json).unwrap())?;
        let conditions = filter.on(&catalogue)?;
        rows.retain(|row| conditions.hold(row));
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
        assert_eq!(rows(r#"{"price": {"min": 20, "max": 20.005}}"#).unwrap(), [1]);
    }

    #[test]
    fn whole_numbers_are_compared_exactly() {
        assert_eq!(rows(r#"{"ean": 4006381333931}"#).unwrap(), [0]);
        assert_eq!(rows(r#"{"ean": "4006381333932"}"#).unwrap(), [1]);
        assert_eq!(rows(r#"{"ean": 9007199254740992}"#).unwrap(), [0; 0]);
        assert_eq!(rows(r#"{"ean": [9007199254740993, 1]}"#).unwrap(), [2]);
        assert_eq!(rows(r#"{"ean": {"min": 4006381333932, "max": 9007199254740992}}"#).unwrap(), [1]);
        assert!(rows(r#"{"ean": {"min": 1e300}}"#).is_err());
    }

    #[test]
    fn bad_filters_are_named() {
        let message = |json| rows(json).unwrap_err().to_string();
        assert!(message(r#"{"color": "Black"}"#).contains("`color`; it has: colour, ean, price, tags"));
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
