//! Attribute filters: `{"index_group_name": "Ladieswear", "colour_group_name": ["Black", "White"],
//! "price": {"min": 5, "max": 20}}`. All conditions must hold; a list means any of its values.
//!
//! A condition may be turned round (`{"colour": {"not": "Black"}}`) or ask whether there is a value
//! at all (`{"colour": {"exists": false}}`). Whole filters combine: `{"any": [{…}, {…}]}`,
//! `{"all": [{…}, {…}]}` and `{"not": {…}}`, beside conditions and inside each other.
//! `{"article_ids": ["1", "2"]}` holds for these articles.
//!
//! Some conditions depend on the request: `{"launched": {"max_days_ago": 30}}`,
//! `{"brand": {"same_as": "article"}}`, `{"brand": {"differs_from": "article"}}` and
//! `{"market": {"from": "customer.country"}}`. Before such a filter is applied, [`Filter::resolve`]
//! makes it a plain one, so that requests that come to the same share what it selects.

mod parse;
mod relative;

pub(super) use relative::Given;

use super::{Catalogue, Column, Group};
use crate::{
    domain::{ArticleId, AttributeKind, Number},
    retrieval::ItemSet,
};
use hashbrown::HashSet;
use parse::Parser;
use relative::{day_of_number, day_of_text};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::BTreeMap;

/// A parsed filter in canonical form: equal filters have equal [`Filter::key`]s however they were
/// written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    clauses: Vec<Clause>,
    key: String,
    /// Whether it has to be resolved.
    relative: bool,
    reads_customer: bool,
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
    /// The article is one of these. Sorted.
    Articles(Vec<ArticleId>),
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
    /// A date of these days, both included: whole days since 1970-01-01.
    Days {
        from: Option<i64>,
        to: i64,
    },
    /// A date at least `min` and at most `max` days before the request. To be resolved.
    DaysAgo {
        min: u32,
        max: Option<u32>,
    },
    /// A value of the article looked at. To be resolved.
    OfArticle,
    /// A value of this attribute of the customer. To be resolved.
    OfCustomer(String),
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
        let mut parser = Parser::default();
        let clauses = parser.group(conditions.iter(), 0)?;
        let Parser { relative, reads_customer, .. } = parser;
        Ok(Self { relative, reads_customer, ..Self::plain(clauses) })
    }

    fn plain(clauses: Vec<Clause>) -> Self {
        // Debug output escapes, so different filters never share a key.
        let key = if clauses.is_empty() { String::new() } else { format!("{clauses:?}") };
        Self { clauses, key, relative: false, reads_customer: false }
    }

    /// This filter without the articles that any of the others selects. All are plain ones.
    pub(super) fn without<'a>(&self, others: impl Iterator<Item = &'a Self>) -> Self {
        let hidden = others.map(|other| Clause::Not(other.clauses.clone()));
        Self::plain(self.clauses.iter().cloned().chain(hidden).collect())
    }

    /// Whether it depends on more than the article: it has to be resolved for each request.
    pub fn is_relative(&self) -> bool {
        self.relative
    }

    /// Whether it reads attributes of the customer, so that its answers tell them.
    pub fn reads_customer(&self) -> bool {
        self.reads_customer
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
    ///
    /// A condition that is not resolved holds for every article.
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

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let conditions = BTreeMap::deserialize(deserializer)?;
        Self::parse(&conditions).map_err(serde::de::Error::custom)
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
    Articles(HashSet<u32>),
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
    Days {
        from: Option<i64>,
        to: i64,
    },
    Anything,
}

impl<'a> Conditions<'a> {
    fn of(clauses: &[Clause], catalogue: &'a Catalogue) -> Result<Self, FilterError> {
        let one = |group: &Vec<Clause>| Self::of(group, catalogue);
        let groups = |groups: &[Vec<Clause>]| groups.iter().map(one).collect::<Result<Vec<_>, _>>();
        let bound = |clause: &Clause| -> Result<_, FilterError> {
            Ok(match clause {
                Clause::Attribute(name, condition) => {
                    let column = catalogue.column(find_attribute(catalogue, name)?);
                    let wanted = condition.wanted(column).map_err(|problem| {
                        FilterError::Invalid { attribute: name.clone(), problem }
                    })?;
                    Bound::Attribute(column, wanted)
                }
                Clause::All(all) => Bound::All(groups(all)?),
                Clause::Any(any) => Bound::Any(groups(any)?),
                Clause::Not(group) => Bound::Not(Self::of(group, catalogue)?),
                Clause::Articles(ids) => {
                    let rows = ids.iter().filter_map(|id| catalogue.row(id.as_str()));
                    Bound::Articles(rows.collect())
                }
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
            Bound::Articles(rows) => rows.contains(&row),
        })
    }
}

impl Wanted {
    fn holds(&self, column: &Column, row: u32) -> bool {
        match self {
            Self::Texts(codes) => column.any_code(row, |code| codes.contains(code)),
            Self::Numbers(numbers) => {
                column.number(row).is_some_and(|number| numbers.contains(&number))
            }
            Self::Range { min, max } => column.number(row).is_some_and(|number| {
                min.is_none_or(|min| min <= number) && max.is_none_or(|max| number <= max)
            }),
            Self::Not(wanted) => !wanted.holds(column, row),
            Self::Exists(wanted) => column.has_value(row) == *wanted,
            Self::Days { from, to } => {
                let within = |day: i64| from.is_none_or(|from| from <= day) && day <= *to;
                // Each date is read where it is asked for: most columns of dates have as many
                // values as articles.
                column.number(row).map(day_of_number).is_some_and(within)
                    || column.text(row).and_then(day_of_text).is_some_and(within)
                    || column
                        .texts(row)
                        .is_some_and(|texts| texts.filter_map(day_of_text).any(within))
            }
            Self::Anything => true,
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
            Clause::Articles(ids) => {
                let absent = ids
                    .iter()
                    .filter(|id| catalogue.row(id.as_str()).is_none())
                    .take(MAX_UNMATCHED);
                let attribute = || parse::ARTICLES.to_owned();
                found.extend(absent.map(|id| UnmatchedValue {
                    attribute: attribute(),
                    value: id.as_str().to_owned(),
                }));
            }
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
                Wanted::Numbers(
                    numbers.ok_or("it holds numbers; give a number or {\"min\": …, \"max\": …}")?,
                )
            }
            (Self::AnyOf(texts), AttributeKind::Text | AttributeKind::Texts) => {
                let mut codes = ItemSet::empty(column.codes());
                texts
                    .iter()
                    .filter_map(|text| column.code(text))
                    .for_each(|code| codes.insert(code));
                Wanted::Texts(codes)
            }
            (&Self::Range { min, max }, AttributeKind::Number) => Wanted::Range { min, max },
            (Self::Range { .. }, _) => {
                return Err("it holds texts, which have no min and max; give values".into());
            }
            (Self::Not(condition), _) => Wanted::Not(Box::new(condition.wanted(column)?)),
            (&Self::Exists(exists), _) => Wanted::Exists(exists),
            (&Self::Days { from, to }, _) => Wanted::Days { from, to },
            (Self::DaysAgo { .. } | Self::OfArticle | Self::OfCustomer(_), _) => Wanted::Anything,
        })
    }

    /// Values of the condition that no article has; not many more than are told.
    fn unmatched(&self, catalogue: &Catalogue, column: &Column) -> Vec<String> {
        let texts = match self {
            Self::AnyOf(texts) => texts,
            Self::Not(condition) => return condition.unmatched(catalogue, column),
            _ => return Vec::new(),
        };
        let absent: Vec<&String> = match column.kind() {
            AttributeKind::Number => {
                let held = held_numbers(catalogue, column, texts);
                let is_held =
                    |text: &str| group_of(text).is_some_and(|number| held.contains(&number));
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

/// Names for an error: a catalogue of bare ids has none.
fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests;
