//! The rows of the database in the domain's words, and the checks both databases share.

use super::{
    ActionRecord, CatalogueLimits, StoreError,
    schema::{check_article, check_size},
};
use crate::{
    domain::{ArticleId, AttributeKind, CustomerId, Number, Timestamp},
    statistics::Purchase,
};
use hashbrown::HashMap;
use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fmt};

/// Attributes under the shop's own column names, such as `garment_group_name`.
pub type Attributes = BTreeMap<String, AttributeValue>;

/// A row of the catalogue.
#[derive(Debug, Clone, PartialEq)]
pub struct ArticleRecord {
    pub id: ArticleId,
    pub available: bool,
    /// In the shop's currency; finite and not negative.
    pub price: Option<f64>,
    pub image_url: Option<String>,
    pub attributes: Attributes,
}

/// What became of an article since a version of the catalogue.
#[derive(Debug, Clone, PartialEq)]
pub enum ArticleChange {
    Put(ArticleRecord),
    Removed(ArticleId),
}

/// How the catalogue differs from an earlier version of it.
#[derive(Debug, Clone, PartialEq)]
pub struct CatalogueChanges {
    /// The version with these changes.
    pub version: i64,
    /// Attributes that are new or have another kind now.
    pub kinds: BTreeMap<String, AttributeKind>,
    /// In the order in which they were made; of each article the latest.
    pub articles: Vec<ArticleChange>,
}

/// One attribute: a JSON number, text, or list of texts.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub enum AttributeValue {
    Number(Number),
    Text(String),
    Tags(Vec<String>),
}

/// A customer with the latest purchases.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomerRecord {
    pub id: CustomerId,
    pub attributes: Attributes,
    /// Newest first; within one moment in a stable order that means nothing
    /// ([`crate::dataset::Ties`] draws one).
    pub purchases: Vec<PurchaseRecord>,
    /// The latest other things that the customer did, newest first: no purchases and no returns.
    pub actions: Vec<ActionRecord>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PurchaseRecord {
    pub article: ArticleId,
    pub at: Timestamp,
    /// Milliseconds after `at`, below 1,000.
    pub millis: u16,
    /// How much it counts: the weight of its event, times its quantity.
    pub weight: f32,
}

/// A registered bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelVersion {
    pub model: String,
    pub version: String,
    pub active: bool,
}

/// Counters that grow in the transaction of the change they count: who has seen a number has seen
/// the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Revisions {
    /// Changes of articles.
    pub catalogue: i64,
    /// Registrations, activations and rollbacks of models.
    pub models: i64,
    /// Imports of purchases.
    pub purchases: i64,
    /// Keys made and withdrawn.
    pub keys: i64,
    /// Changes of placements.
    pub placements: i64,
    /// Events told: batches of them.
    pub events: i64,
    /// Customers changed or erased.
    pub customers: i64,
}

/// Which purchases count as sales, and how much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SalesWindow {
    /// A purchase counts half as much as one that was made so many days later.
    pub half_life_days: f64,
    /// Purchases made more than so many days before the latest one do not count.
    pub days: u32,
    /// The present moment. Purchases dated later are taken for made at the latest moment before it,
    /// so that one row with a wrong date does not make all others look old. So are at most 100
    /// purchases that come after 28 days without any, in a shop that has imported 10,000: the first
    /// ones after an old import.
    pub now: Timestamp,
}

impl SalesWindow {
    /// Purchases of a shop that may have begun anew after a long time without any.
    pub const MANY: usize = 10_000;
}

/// How well an article sells: the sum over its purchases of their weights, each halved for every
/// half-life between it and the latest purchase of the shop.
#[derive(Debug, Clone, PartialEq)]
pub struct ArticleSales {
    pub article: ArticleId,
    pub sales: f32,
}

/// Purchases of a window, with running numbers for customers and articles.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PurchaseLog {
    /// By number.
    pub articles: Vec<ArticleId>,
    /// In any order.
    pub purchases: Vec<Purchase>,
    /// What came back, with weights below 0.
    pub returns: Vec<Purchase>,
    /// What somebody viewed or clicked in the last 28 days, the latest two million.
    pub views: Vec<Purchase>,
    /// The first moment after all of them.
    pub until: Timestamp,
    /// Revision of the events that these purchases hold all of, and none later.
    pub events: i64,
}

impl PurchaseLog {
    /// What is viewed together changes faster than what is bought together, and there is far more
    /// of it.
    pub(super) const VIEW_DAYS: i64 = 28;
    pub(super) const MOST_VIEWS: i64 = 2_000_000;

    /// Gives running numbers to the articles of a database, by key.
    pub(super) fn numbered(articles: Vec<(i32, ArticleId)>) -> (Self, HashMap<i32, u32>) {
        let numbers = articles.iter().zip(0..).map(|(&(key, _), number)| (key, number)).collect();
        let articles = articles.into_iter().map(|(_, id)| id).collect();
        (Self { articles, ..Self::default() }, numbers)
    }

    /// The number of a buyer: of a customer, else of a visitor, else one that nobody else has.
    pub(super) fn buyer(&self, customer: Option<i32>, visitor: Option<i32>) -> u32 {
        const VISITORS: u32 = 2 << 30;
        const NOBODY: u32 = 3 << 30;
        const BELOW: u32 = (1 << 30) - 1;
        match (customer, visitor) {
            (Some(key), _) => key.unsigned_abs(),
            (None, Some(key)) => VISITORS | (key.unsigned_abs() & BELOW),
            (None, None) => NOBODY | (self.purchases.len() as u32 & BELOW),
        }
    }

    pub(super) fn add_view(
        &mut self,
        customer: Option<i32>,
        visitor: Option<i32>,
        article: Option<&u32>,
        at: i64,
    ) {
        let Some(&article) = article else { return };
        let (customer, at) = (
            self.buyer(customer, visitor),
            Timestamp(u32::try_from(at.max(0)).unwrap_or(u32::MAX)),
        );
        self.views.push(Purchase { customer, article, at, weight: 1.0 });
    }

    pub(super) fn add(&mut self, purchase: Purchase) {
        self.until = self.until.max(Timestamp(purchase.at.0.saturating_add(1)));
        if purchase.weight > 0.0 { &mut self.purchases } else { &mut self.returns }.push(purchase);
    }
}

const OUT_OF_RANGE: &str = "a number must lie between -2^63 and 2^63";

impl<'de> Deserialize<'de> for AttributeValue {
    /// By hand, because a derived untagged enum copies every value first and cannot say what was
    /// expected.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;
        impl<'de> Visitor<'de> for Value {
            type Value = AttributeValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, a text or a list of texts")
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<AttributeValue, E> {
                Number::new(value)
                    .map(AttributeValue::Number)
                    .ok_or_else(|| E::custom(OUT_OF_RANGE))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<AttributeValue, E> {
                Ok(AttributeValue::Number(Number::Integer(value)))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<AttributeValue, E> {
                i64::try_from(value)
                    .map_err(|_| E::custom(OUT_OF_RANGE))
                    .and_then(|value| self.visit_i64(value))
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<AttributeValue, E> {
                Ok(AttributeValue::Text(value.to_owned()))
            }
            fn visit_string<E: Error>(self, value: String) -> Result<AttributeValue, E> {
                Ok(AttributeValue::Text(value))
            }
            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut values: A,
            ) -> Result<AttributeValue, A::Error> {
                let mut tags = Vec::with_capacity(values.size_hint().unwrap_or(0).min(64));
                while let Some(tag) = values.next_element()? {
                    tags.push(tag);
                }
                Ok(AttributeValue::Tags(tags))
            }
        }
        deserializer.deserialize_any(Value)
    }
}

/// Checked articles in the order of ids, the last of each id: one statement must not meet a row
/// twice.
pub(super) fn checked_articles<'a>(
    articles: &'a [ArticleRecord],
    limits: &CatalogueLimits,
) -> Result<Vec<&'a ArticleRecord>, StoreError> {
    let mut last = BTreeMap::new();
    for article in articles {
        check_article(article)?;
        check_size(article, limits)?;
        last.insert(&article.id, article);
    }
    Ok(last.into_values().collect())
}

/// The columns of an article as a database gives them.
pub(super) struct ArticleRow {
    pub id: String,
    pub available: bool,
    pub price: Option<f64>,
    pub image_url: Option<String>,
    pub attributes: String,
}

/// Turns rows into records. What this program cannot have written is left out and told in the log;
/// it never keeps the other articles out.
#[derive(Default)]
pub(super) struct ArticleReader {
    left_out: usize,
    first: Option<String>,
}

impl ArticleReader {
    /// The article without what cannot be read of it; `None` if its id is no id.
    pub(super) fn read(&mut self, row: ArticleRow) -> Option<ArticleRecord> {
        let id = match ArticleId::parse(&row.id) {
            Ok(id) => id,
            Err(error) => {
                self.leave_out(|| format!("article `{}`: {error}", row.id.escape_debug()));
                return None;
            }
        };
        let price = row.price.filter(|&price| {
            let is_price = price >= 0.0 && Number::new(price).is_some();
            if !is_price {
                self.leave_out(|| format!("article `{id}`: the price {price} is no price"));
            }
            is_price
        });
        let attributes = serde_json::from_str(&row.attributes)
            .unwrap_or_else(|_| self.salvage(&id, &row.attributes));
        Some(ArticleRecord {
            id,
            available: row.available,
            price,
            image_url: row.image_url,
            attributes,
        })
    }

    /// The attributes that can be read.
    fn salvage(&mut self, id: &ArticleId, json: &str) -> Attributes {
        let values: BTreeMap<String, serde_json::Value> = match serde_json::from_str(json) {
            Ok(values) => values,
            Err(error) => {
                self.leave_out(|| {
                    format!("article `{id}`: the attributes are no JSON object: {error}")
                });
                return Attributes::new();
            }
        };
        let mut attributes = Attributes::new();
        for (name, value) in values {
            match serde_json::from_value(value) {
                Ok(value) => drop(attributes.insert(name, value)),
                Err(error) => {
                    self.leave_out(|| format!("article `{id}`: attribute `{name}`: {error}"))
                }
            }
        }
        attributes
    }

    fn leave_out(&mut self, reason: impl FnOnce() -> String) {
        self.left_out += 1;
        self.first.get_or_insert_with(reason);
    }

    /// Tells the log once what was left out.
    pub(super) fn finish(self) {
        if let Some(first) = self.first {
            tracing::warn!(
                values = self.left_out,
                first,
                "the database holds what cannot be read; it is left out"
            );
        }
    }
}

pub(super) fn read_attributes(
    json: &str,
    what: impl Fn() -> String,
) -> Result<Attributes, StoreError> {
    serde_json::from_str(json).map_err(|error| unreadable(&what(), &error))
}

/// A customer in an error, and so in the log, which must not name people. Whoever has the id can
/// find the line.
pub fn pseudonym(id: &str) -> String {
    let hash = Sha256::digest(id.as_bytes());
    let start: String = hash[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("the customer whose id has a SHA-256 that begins with {start}")
}

/// A row this program cannot have written.
pub(super) fn unreadable(what: &str, error: &dyn std::error::Error) -> StoreError {
    StoreError::Fault(format!("the row of {what} cannot be read: {error}"))
}

pub(super) fn write_attributes(attributes: &Attributes) -> String {
    serde_json::to_string(attributes).expect("checked attributes are plain JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_as_they_were_written() {
        let json = r#"{"age":31,"neg":-2,"size":1.5,"tags":["a","b"],"text":"Grün ✓"}"#;
        let attributes = read_attributes(json, String::new).unwrap();
        assert_eq!(attributes["age"], AttributeValue::Number(Number::Integer(31)));
        assert_eq!(attributes["neg"], AttributeValue::Number(Number::Integer(-2)));
        assert_eq!(attributes["size"], AttributeValue::Number(Number::Decimal(1.5)));
        assert_eq!(attributes["text"], AttributeValue::Text("Grün ✓".into()));
        assert_eq!(attributes["tags"], AttributeValue::Tags(vec!["a".into(), "b".into()]));
        assert_eq!(
            read_attributes(&write_attributes(&attributes), String::new).unwrap(),
            attributes
        );
    }

    #[test]
    fn errors_do_not_name_customers() {
        let error = unreadable(&pseudonym("ann@shop.example"), &std::fmt::Error).to_string();
        // `printf ann@shop.example | sha256sum`
        assert!(!error.contains("ann@") && error.contains("begins with 6a0bf011a1fc"), "{error}");
    }

    #[test]
    fn other_json_is_refused_with_what_was_expected() {
        for bad in [r#"{"a":true}"#, r#"{"a":null}"#, r#"{"a":{}}"#, r#"{"a":[1]}"#] {
            let error = serde_json::from_str::<Attributes>(bad).unwrap_err().to_string();
            assert!(error.contains("expected a"), "{bad}: {error}");
        }
    }

    #[test]
    fn numbers_beyond_64_bits_are_refused() {
        for bad in ["9223372036854775808", "18446744073709551615", "1e300", "-1e19"] {
            let error = serde_json::from_str::<Attributes>(&format!("{{\"a\":{bad}}}"))
                .unwrap_err()
                .to_string();
            assert!(error.contains("between -2^63 and 2^63"), "{bad}: {error}");
        }
        let exact = r#"{"a":9223372036854775807,"b":16777217}"#;
        assert_eq!(write_attributes(&serde_json::from_str(exact).unwrap()), exact);
    }

    #[test]
    fn a_bad_row_loses_only_what_is_bad() {
        let row = |id: &str, price, attributes: &str| ArticleRow {
            id: id.to_owned(),
            available: true,
            price,
            image_url: None,
            attributes: attributes.to_owned(),
        };
        let mut reader = ArticleReader::default();
        assert_eq!(reader.read(row("a\nb", None, "{}")), None);
        let odd = r#"{"good":1,"flag":true,"nested":{"a":1},"huge":1e300,"text":"x"}"#;
        let article = reader.read(row("a", Some(f64::INFINITY), odd)).unwrap();
        assert_eq!(article.price, None);
        assert_eq!(article.attributes.keys().collect::<Vec<_>>(), ["good", "text"]);
        assert_eq!(reader.read(row("b", None, "[]")).unwrap().attributes, Attributes::new());
        assert_eq!(reader.left_out, 6);
    }

    #[test]
    fn of_two_articles_with_one_id_the_last_counts() {
        let article = |id: &str, available| ArticleRecord {
            id: ArticleId::parse(id).unwrap(),
            available,
            price: None,
            image_url: None,
            attributes: Attributes::new(),
        };
        let articles = [article("b", true), article("a", true), article("b", false)];
        let checked = checked_articles(&articles, &CatalogueLimits::default()).unwrap();
        assert_eq!(checked, [&articles[1], &articles[2]]);
    }
}
