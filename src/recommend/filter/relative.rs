//! Conditions that depend on the request: the days before it, the article looked at, the customer.

use super::{Clause, Condition, Filter};
use crate::{
    domain::{AttributeKind, Number, Timestamp},
    features::Attributes,
    recommend::Catalogue,
};
use std::borrow::Cow;
use time::{
    Date, OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description,
};

/// What conditions are resolved by.
#[derive(Clone, Copy)]
pub(in crate::recommend) struct Given<'a> {
    pub catalogue: &'a Catalogue,
    pub at: Timestamp,
    /// The row of the article looked at.
    pub article: Option<u32>,
    pub customer: &'a dyn Attributes,
}

/// A filter that depends on the article alone.
pub(in crate::recommend) struct Resolved<'a> {
    pub filter: Cow<'a, Filter>,
    /// Whether a condition was left out, because nobody looks at an article or the article or the
    /// customer has no such value.
    pub left_out: bool,
}

impl Filter {
    /// The filter as it stands for one request. A condition without its value is left out, and a
    /// combination in which all conditions are left out is left out too: it never selects nothing,
    /// nor everything, because a value is missing.
    pub(in crate::recommend) fn resolve<'a>(&'a self, given: &Given<'_>) -> Resolved<'a> {
        if !self.relative {
            return Resolved { filter: Cow::Borrowed(self), left_out: false };
        }
        let mut resolver = Resolver { given, left_out: false };
        let clauses = resolver.group(&self.clauses).unwrap_or_default();
        Resolved { filter: Cow::Owned(Self::plain(clauses)), left_out: resolver.left_out }
    }
}

struct Resolver<'a> {
    given: &'a Given<'a>,
    left_out: bool,
}

impl Resolver<'_> {
    /// `None`: all of it is left out. An empty group says something and stays.
    fn group(&mut self, clauses: &[Clause]) -> Option<Vec<Clause>> {
        let kept: Vec<Clause> = clauses.iter().filter_map(|clause| self.clause(clause)).collect();
        (clauses.is_empty() || !kept.is_empty()).then_some(kept)
    }

    fn groups(&mut self, groups: &[Vec<Clause>]) -> Option<Vec<Vec<Clause>>> {
        let kept: Vec<Vec<Clause>> = groups.iter().filter_map(|group| self.group(group)).collect();
        (!kept.is_empty()).then_some(kept)
    }

    fn clause(&mut self, clause: &Clause) -> Option<Clause> {
        match clause {
            Clause::Attribute(name, condition) => {
                Some(Clause::Attribute(name.clone(), self.condition(name, condition)?))
            }
            Clause::All(groups) => self.groups(groups).map(Clause::All),
            Clause::Any(groups) => self.groups(groups).map(Clause::Any),
            Clause::Not(group) => self.group(group).map(Clause::Not),
            Clause::Articles(_) => Some(clause.clone()),
        }
    }

    fn condition(&mut self, name: &str, condition: &Condition) -> Option<Condition> {
        // The plain filter refuses an unknown attribute, so the condition stands as it is.
        let Some(column) = self.given.catalogue.attribute(name) else {
            return Some(condition.clone());
        };
        let values = match condition {
            Condition::Not(condition) => {
                return self
                    .condition(name, condition)
                    .map(|condition| Condition::Not(Box::new(condition)));
            }
            &Condition::DaysAgo { min, max } => {
                let today = i64::from(self.given.at.day());
                let from = max.map(|max| today - i64::from(max));
                return Some(Condition::Days { from, to: today - i64::from(min) });
            }
            Condition::OfArticle => self.of_article(column),
            Condition::OfCustomer(attribute) => self.of_customer(column, attribute),
            plain => return Some(plain.clone()),
        };
        self.left_out |= values.is_empty();
        (!values.is_empty()).then(|| Condition::any_of(values))
    }

    fn of_article(&self, column: usize) -> Vec<String> {
        let (column, Some(row)) = (self.given.catalogue.column(column), self.given.article) else {
            return Vec::new();
        };
        let one = column.text(row).map(str::to_owned);
        let one = one.or_else(|| column.number(row).map(|number| number.to_string()));
        let several = column.texts(row).into_iter().flatten().map(str::to_owned);
        one.into_iter().chain(several).collect()
    }

    fn of_customer(&self, column: usize, attribute: &str) -> Vec<String> {
        let (customer, mut values) = (self.given.customer, Vec::new());
        customer.for_each_tag(attribute, &mut |text| values.push(text.to_owned()));
        if values.is_empty() {
            // The digits of the 32 bits: as the shop wrote the number, unless it has more than
            // seven.
            values.extend(customer.number(attribute).map(|number| number.to_string()));
        }
        if self.given.catalogue.column(column).kind() == AttributeKind::Number {
            values.retain(|text| Number::parse(text).is_some());
        }
        values
    }
}

/// The day of a number of seconds since 1970.
pub(super) fn day_of_number(seconds: Number) -> i64 {
    (seconds.to_f64() / f64::from(Timestamp::DAY)).floor() as i64
}

/// The day of a date or moment: in UTC where its zone is written, else as it is written. Articles
/// may be older than 1970.
pub(super) fn day_of_text(text: &str) -> Option<i64> {
    let text = text.trim();
    let moment = || OffsetDateTime::parse(text, &Rfc3339).ok().map(OffsetDateTime::unix_timestamp);
    let date = || {
        // `2026-01-31`, or a moment without a zone: `2026-01-31 12:00:00`.
        let date = text
            .get(..10)
            .filter(|_| matches!(text.as_bytes().get(10), None | Some(b' ' | b'T')))?;
        let date = Date::parse(date, format_description!("[year]-[month]-[day]")).ok()?;
        Some(date.midnight().assume_utc().unix_timestamp())
    };
    let seconds = if text.len() == 10 { date() } else { moment().or_else(date) }?;
    Some(seconds.div_euclid(i64::from(Timestamp::DAY)))
}
