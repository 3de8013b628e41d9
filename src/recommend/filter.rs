//! Attribute filters: `{"index_group_name": "Ladieswear", "colour_group_name": ["Black", "White"],
//! "price": {"min": 5, "max": 20}}`. All conditions must hold; a list means any of its values.
//!
//! A condition may be turned round (`{"colour": {"not": "Black"}}`) or ask whether there is a value
//! at all (`{"colour": {"exists": false}}`). Whole filters combine: `{"any": [{…}, {…}]}`,
//! `{"all": [{…}, {…}]}` and `{"not": {…}}`, beside conditions and inside each other.

use super::{Catalogue, Column, Group};
use crate::{
    domain::{AttributeKind, Number},
    retrieval::ItemSet,
};
use hashbrown::HashSet;
use serde_json::Value;
use std::collections::BTreeMap;

/// A parsed filter in canonical form: equal filters have equal [`Filter::key`]s however they were written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    clauses: Vec<Clause>,
    key: String,
}

/// One member of a filter.
#[derive(Debug, Clone, PartialEq)]
enum Clause {
    Attribute(String, Condition),
    /// Every group holds; a group holds where all its clauses do.
    All(Vec<Vec<Clause>>),
    /// At least one group holds.
    Any(Vec<Vec<Clause>>),
    /// The group does not hold.
    Not(Vec<Clause>),
}

#[derive(Debug, Clone, PartialEq)]
enum Condition {
    /// Sorted texts, numbers as they are written in JSON.
    AnyOf(Vec<String>),
    /// Both ends included.
    Range {
        min: Option<Number>,
        max: Option<Number>,
    },
    /// Holds for articles without a value too.
    Not(Box<Condition>),
    Exists(bool),
}

/// A value that a filter names and no article has: probably a misspelling.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct UnmatchedValue {
    pub attribute: String,
    pub value: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    #[error("the catalogue has no attribute `{name}`; it has: {}", listed(known))]
    UnknownAttribute { name: String, known: Vec<String> },
    #[error("filter on `{attribute}`: {problem}")]
    Invalid { attribute: String, problem: String },
}

/// Most values one condition may list.
const MAX_VALUES: usize = 1_000;
/// Most conditions and combinations of one filter: each is a pass over the catalogue.
const MAX_CLAUSES: usize = 256;
/// Deepest nesting of combinations.
const MAX_DEPTH: usize = 8;
/// Most values named in [`Filter::unmatched`].
const MAX_UNMATCHED: usize = 16;

impl Filter {
    /// # Errors
    /// [`FilterError::Invalid`] when a condition or a combination is not of the forms above, or the
    /// filter is too large.
    pub fn parse(conditions: &BTreeMap<String, Value>) -> Result<Self, FilterError> {
        let mut parser = Parser { clauses: 0 };
        let clauses = parser.group(conditions.iter(), 0)?;
        // Debug output escapes, so different filters never share a key.
        let key = if clauses.is_empty() { String::new() } else { format!("{clauses:?}") };
        Ok(Self { clauses, key })
    }

    pub fn is_empty(&self) -> bool {
        self.clauses.is_empty()
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
        Conditions::of(&self.clauses, catalogue)
    }

    /// Values that no article of the catalogue has, available or not; at most a few of them. A text
    /// that an article had once counts as one that it has.
    pub fn unmatched(&self, catalogue: &Catalogue) -> Vec<UnmatchedValue> {
        let mut found = Vec::new();
        unmatched(&self.clauses, catalogue, &mut found);
        found.truncate(MAX_UNMATCHED);
        found
    }
}

/// A filter for the columns of one catalogue.
pub struct Conditions<'a>(Vec<Bound<'a>>);

/// A clause for the columns of one catalogue.
enum Bound<'a> {
    Attribute(&'a Column, Wanted),
    All(Vec<Conditions<'a>>),
    Any(Vec<Conditions<'a>>),
    Not(Conditions<'a>),
}

/// What a condition wants of a column.
enum Wanted {
    /// By code of the column's texts.
    Texts(ItemSet),
    Numbers(Vec<Number>),
    Range {
        min: Option<Number>,
        max: Option<Number>,
    },
    Not(Box<Wanted>),
    Exists(bool),
}

impl<'a> Conditions<'a> {
    fn of(clauses: &[Clause], catalogue: &'a Catalogue) -> Result<Self, FilterError> {
        let one = |group: &Vec<Clause>| Self::of(group, catalogue);
        let groups = |groups: &[Vec<Clause>]| groups.iter().map(one).collect::<Result<Vec<_>, _>>();
        let bound = |clause: &Clause| -> Result<_, FilterError> {
            Ok(match clause {
                Clause::Attribute(name, condition) => {
                    let column = catalogue.column(find_attribute(catalogue, name)?);
                    let wanted = condition
                        .wanted(column)
                        .map_err(|problem| FilterError::Invalid { attribute: name.clone(), problem })?;
                    Bound::Attribute(column, wanted)
                }
                Clause::All(all) => Bound::All(groups(all)?),
                Clause::Any(any) => Bound::Any(groups(any)?),
                Clause::Not(group) => Bound::Not(Self::of(group, catalogue)?),
            })
        };
        clauses.iter().map(bound).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the article of a row meets every condition.
    pub fn hold(&self, row: u32) -> bool {
        self.0.iter().all(|clause| match clause {
            Bound::Attribute(column, wanted) => wanted.holds(column, row),
            Bound::All(groups) => groups.iter().all(|group| group.hold(row)),
            Bound::Any(groups) => groups.iter().any(|group| group.hold(row)),
            Bound::Not(group) => !group.hold(row),
        })
    }
}

impl Wanted {
    fn holds(&self, column: &Column, row: u32) -> bool {
        match self {
            Self::Texts(codes) => column.any_code(row, |code| codes.contains(code)),
            Self::Numbers(numbers) => column.number(row).is_some_and(|number| numbers.contains(&number)),
            Self::Range { min, max } => column
                .number(row)
                .is_some_and(|number| min.is_none_or(|min| min <= number) && max.is_none_or(|max| number <= max)),
            Self::Not(wanted) => !wanted.holds(column, row),
            Self::Exists(wanted) => column.has_value(row) == *wanted,
        }
    }
}

fn unmatched(clauses: &[Clause], catalogue: &Catalogue, found: &mut Vec<UnmatchedValue>) {
    for clause in clauses {
        match clause {
            Clause::Attribute(name, condition) => {
                let Some(attribute) = catalogue.attribute(name) else { continue };
                for value in condition.unmatched(catalogue, catalogue.column(attribute)) {
                    let value = UnmatchedValue { attribute: name.clone(), value };
                    if !found.contains(&value) {
                        found.push(value);
                    }
                }
            }
            Clause::All(groups) | Clause::Any(groups) => {
                groups.iter().for_each(|group| unmatched(group, catalogue, found));
            }
            Clause::Not(group) => unmatched(group, catalogue, found),
        }
    }
}

/// Reads a filter and counts its parts.
struct Parser {
    clauses: usize,
}

impl Parser {
    fn group<'a>(
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
                _ => Err(invalid("give a filter, such as {\"not\": {\"colour\": \"Black\"}}".into())),
            },
            _ => Ok(Clause::Attribute(name.into(), condition(value, depth).map_err(invalid)?)),
        }
    }

    fn groups(&mut self, name: &str, value: &Value, depth: usize) -> Result<Vec<Vec<Clause>>, FilterError> {
        let invalid = || FilterError::Invalid {
            attribute: name.into(),
            problem: format!("give a list of filters, at least one: {{\"{name}\": [{{…}}, {{…}}]}}"),
        };
        let groups = value.as_array().filter(|groups| !groups.is_empty()).ok_or_else(invalid)?;
        if groups.len() > MAX_CLAUSES {
            let problem = format!("a list holds at most {MAX_CLAUSES} filters");
            return Err(FilterError::Invalid { attribute: name.into(), problem });
        }
        let group = |group: &Value| self.group(group.as_object().ok_or_else(invalid)?.iter(), depth + 1);
        groups.iter().map(group).collect()
    }
}

/// What the value of an attribute in a filter says.
fn condition(value: &Value, depth: usize) -> Result<Condition, String> {
    match value {
        Value::Object(members) if members.contains_key("not") || members.contains_key("exists") => {
            let (1, Some((key, value))) = (members.len(), members.iter().next()) else {
                return Err("`not` and `exists` stand alone; combine conditions with `all`".into());
            };
            match (key.as_str(), value) {
                ("exists", Value::Bool(exists)) => Ok(Condition::Exists(*exists)),
                ("exists", _) => Err("`exists` must be true or false".into()),
                _ if depth > MAX_DEPTH => Err(format!("conditions are nested at most {MAX_DEPTH} deep")),
                _ => Ok(Condition::Not(Box::new(condition(value, depth + 1)?))),
            }
        }
        Value::Object(range) => parse_range(range),
        Value::Array(values) if values.len() > MAX_VALUES => Err(format!("a list holds at most {MAX_VALUES} values")),
        Value::Array(values) => {
            let texts = values.iter().map(scalar).collect::<Option<Vec<_>>>();
            let mut texts = texts.ok_or("a list holds texts and numbers only")?;
            texts.sort_unstable();
            texts.dedup();
            Ok(Condition::AnyOf(texts))
        }
        value => {
            let text = scalar(value).ok_or("give a value, a list of values, or {\"min\": …, \"max\": …}")?;
            Ok(Condition::AnyOf(vec![text]))
        }
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
            (Self::Not(condition), _) => Wanted::Not(Box::new(condition.wanted(column)?)),
            (&Self::Exists(exists), _) => Wanted::Exists(exists),
        })
    }

    /// Values of the condition that no article has; not many more than are told.
    fn unmatched(&self, catalogue: &Catalogue, column: &Column) -> Vec<String> {
        let texts = match self {
            Self::AnyOf(texts) => texts,
            Self::Not(condition) => return condition.unmatched(catalogue, column),
            Self::Range { .. } | Self::Exists(_) => return Vec::new(),
        };
        let absent: Vec<&String> = match column.kind() {
            AttributeKind::Number => {
                let held = held_numbers(catalogue, column, texts);
                let is_held = |text: &str| group_of(text).is_some_and(|number| held.contains(&number));
                texts.iter().filter(|text| !is_held(text)).collect()
            }
            AttributeKind::Text | AttributeKind::Texts => {
                texts.iter().filter(|text| column.code(text).is_none()).collect()
            }
        };
        absent.into_iter().take(MAX_UNMATCHED).cloned().collect()
    }
}

/// Those of the numbers that an article has: one pass over the column, ended once all are found.
fn held_numbers(catalogue: &Catalogue, column: &Column, texts: &[String]) -> HashSet<Group> {
    let mut missing: HashSet<Group> = texts.iter().filter_map(|text| group_of(text)).collect();
    let mut held = HashSet::new();
    for row in catalogue.present().iter() {
        if missing.is_empty() {
            break;
        }
        held.extend(column.group(row).filter(|number| missing.remove(number)));
    }
    held
}

/// A number as a column of numbers has it.
fn group_of(text: &str) -> Option<Group> {
    Number::parse(text).map(Group::from)
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

/// Names for an error: a catalogue of bare ids has none.
fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
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
    fn filters_are_negated_and_combined() {
        assert_eq!(rows(r#"{"colour": {"not": "Black"}}"#).unwrap(), [1, 2]);
        assert_eq!(rows(r#"{"colour": {"not": ["Black", "White"]}}"#).unwrap(), [2]);
        assert_eq!(rows(r#"{"price": {"not": {"max": 10}}}"#).unwrap(), [1, 2]);
        assert_eq!(rows(r#"{"colour": {"exists": true}}"#).unwrap(), [0, 1]);
        assert_eq!(rows(r#"{"tags": {"exists": false}}"#).unwrap(), [0, 1]);
        assert_eq!(rows(r#"{"not": {"colour": "White", "price": 20}}"#).unwrap(), [0, 2]);
        assert_eq!(rows(r#"{"not": {}}"#).unwrap(), [0; 0]);
        assert_eq!(rows(r#"{"any": [{"colour": "Black"}, {"tags": "a"}]}"#).unwrap(), [0, 2]);
        assert_eq!(rows(r#"{"all": [{"price": {"min": 5}}, {"price": {"max": 20}}]}"#).unwrap(), [0, 1]);
        let nested = r#"{"price": {"min": 5}, "not": {"any": [{"colour": "Black"}, {"not": {"tags": "b"}}]}}"#;
        assert_eq!(rows(nested).unwrap(), [2]);
    }

    #[test]
    fn bad_combinations_are_named() {
        let message = |json: &str| rows(json).unwrap_err().to_string();
        for (bad, says) in [
            (r#"{"any": []}"#, "at least one"),
            (r#"{"all": {"colour": "Black"}}"#, "list of filters"),
            (r#"{"any": ["Black"]}"#, "list of filters"),
            (r#"{"not": "Black"}"#, "give a filter"),
            (r#"{"not": {"color": "Black"}}"#, "no attribute `color`"),
            (r#"{"colour": {"exists": "yes"}}"#, "true or false"),
            (r#"{"price": {"not": 1, "min": 2}}"#, "stand alone"),
            (r#"{"colour": {"not": null}}"#, "give a value"),
        ] {
            assert!(message(bad).contains(says), "{bad}: {}", message(bad));
        }
        let deep = format!("{}{{}}{}", "{\"not\":".repeat(20), "}".repeat(20));
        assert!(message(&deep).contains("deep"), "{}", message(&deep));
        let deep = format!("{{\"price\":{}1{}}}", "{\"not\":".repeat(20), "}".repeat(20));
        assert!(message(&deep).contains("deep"), "{}", message(&deep));
        let wide = format!("{{\"any\":[{}]}}", vec![r#"{"price": 1}"#; 256].join(","));
        assert!(message(&wide).contains("256"), "{}", message(&wide));
    }

    #[test]
    fn values_that_no_article_has_are_named() {
        let unmatched = |json: &str| -> Vec<String> {
            let filter = Filter::parse(&serde_json::from_str(json).unwrap()).unwrap();
            filter.unmatched(&catalogue()).into_iter().map(|u| format!("{}={}", u.attribute, u.value)).collect()
        };
        assert_eq!(unmatched(r#"{"colour": ["Black", "Blakc"], "price": [5, 6]}"#), ["colour=Blakc", "price=6"]);
        assert_eq!(
            unmatched(r#"{"any": [{"tags": "c"}, {"not": {"colour": {"not": "Red"}}}]}"#),
            ["tags=c", "colour=Red"]
        );
        assert_eq!(unmatched(r#"{"colour": "White", "price": {"min": 100}}"#), [""; 0]);
    }

    #[test]
    fn bad_filters_are_named() {
        let message = |json| rows(json).unwrap_err().to_string();
        assert!(message(r#"{"color": "Black"}"#).contains("`color`; it has: colour, ean, price, tags"));
        let bare = FilterError::UnknownAttribute { name: "color".to_owned(), known: Vec::new() };
        assert!(bare.to_string().ends_with("it has: none"));
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
