//! The rows of the database in the domain's words, and the checks both databases share.

use super::StoreError;
use crate::domain::{ArticleId, CustomerId, Timestamp};
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
    pub price: Option<f32>,
    pub image_url: Option<String>,
    pub attributes: Attributes,
}

/// One attribute: a JSON number, text, or list of texts.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub enum AttributeValue {
    Number(f64),
    Text(String),
    Tags(Vec<String>),
}

/// A customer with the latest purchases.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomerRecord {
    pub id: CustomerId,
    pub attributes: Attributes,
    /// Newest first; within one moment in a stable order that means nothing ([`crate::dataset::Ties`] draws one).
    pub purchases: Vec<PurchaseRecord>,
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

/// Counters that grow in the transaction of the change they count: who has seen a number has seen the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Revisions {
    /// Changes of articles.
    pub catalogue: i64,
    /// Registrations, activations and rollbacks of models.
    pub models: i64,
    /// Imports of purchases.
    pub purchases: i64,
}

/// Which purchases count as sales, and how much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SalesWindow {
    /// A purchase counts half as much as one that was made so many days later.
    pub half_life_days: f64,
    /// Purchases made more than so many days before the latest one do not count.
    pub days: u32,
    /// The present moment. Purchases dated later are taken for made at the latest moment before it, so that one row with
    /// a wrong date does not make all others look old.
    pub now: Timestamp,
}

/// How well an article sells: the sum over its purchases of their weights, each halved for every half-life between it
/// and the latest purchase of the shop.
#[derive(Debug, Clone, PartialEq)]
pub struct ArticleSales {
    pub article: ArticleId,
    pub sales: f32,
}

impl<'de> Deserialize<'de> for AttributeValue {
    /// By hand, because a derived untagged enum copies every value first and cannot say what was expected.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;
        impl<'de> Visitor<'de> for Value {
            type Value = AttributeValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, a text or a list of texts")
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<AttributeValue, E> {
                Ok(AttributeValue::Number(value))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<AttributeValue, E> {
                Ok(AttributeValue::Number(value as f64))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<AttributeValue, E> {
                Ok(AttributeValue::Number(value as f64))
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<AttributeValue, E> {
                Ok(AttributeValue::Text(value.to_owned()))
            }
            fn visit_string<E: Error>(self, value: String) -> Result<AttributeValue, E> {
                Ok(AttributeValue::Text(value))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<AttributeValue, A::Error> {
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

/// Checks what a database could not hold or give back, so that both refuse the same things.
pub(super) fn check_article(article: &ArticleRecord) -> Result<(), StoreError> {
    let refuse = |what: String| Err(StoreError::Refused(format!("article `{}`: {what}", article.id)));
    if article.price.is_some_and(|price| !price.is_finite() || price < 0.0) {
        return refuse("the price must be a number of at least 0".into());
    }
    if article.image_url.as_deref().is_some_and(|url| url.contains('\0')) {
        return refuse("the image URL must not contain the character U+0000".into());
    }
    check_attributes(&article.attributes).or_else(refuse)
}

pub(super) fn check_attributes(attributes: &Attributes) -> Result<(), String> {
    for (name, value) in attributes {
        let nul = match value {
            AttributeValue::Number(number) if !number.is_finite() => {
                return Err(format!("attribute `{name}` must be a finite number"));
            }
            AttributeValue::Number(_) => false,
            AttributeValue::Text(text) => text.contains('\0'),
            AttributeValue::Tags(tags) => tags.iter().any(|tag| tag.contains('\0')),
        };
        if nul || name.contains('\0') {
            // Postgres cannot hold it.
            return Err(format!("attribute `{}` must not contain the character U+0000", name.replace('\0', "")));
        }
    }
    Ok(())
}

/// Checked articles in the order of ids, the last of each id: one statement must not meet a row twice.
pub(super) fn checked_articles(articles: &[ArticleRecord]) -> Result<Vec<&ArticleRecord>, StoreError> {
    let mut last = BTreeMap::new();
    for article in articles {
        check_article(article)?;
        last.insert(&article.id, article);
    }
    Ok(last.into_values().collect())
}

/// The columns of an article as a database gives them.
pub(super) struct ArticleRow {
    pub id: String,
    pub available: bool,
    pub price: Option<f32>,
    pub image_url: Option<String>,
    pub attributes: String,
}

impl TryFrom<ArticleRow> for ArticleRecord {
    type Error = StoreError;
    fn try_from(row: ArticleRow) -> Result<Self, StoreError> {
        let what = || format!("article `{}`", row.id);
        let attributes = read_attributes(&row.attributes, what)?;
        let id = ArticleId::parse(&row.id).map_err(|error| unreadable(&what(), &error))?;
        Ok(Self { id, available: row.available, price: row.price, image_url: row.image_url, attributes })
    }
}

pub(super) fn read_attributes(json: &str, what: impl Fn() -> String) -> Result<Attributes, StoreError> {
    serde_json::from_str(json).map_err(|error| unreadable(&what(), &error))
}

/// A customer in an error, and so in the log, which must not name people. Whoever has the id can find the line.
pub(super) fn pseudonym(id: &CustomerId) -> String {
    let hash = Sha256::digest(id.as_str().as_bytes());
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
        assert_eq!(attributes["age"], AttributeValue::Number(31.0));
        assert_eq!(attributes["neg"], AttributeValue::Number(-2.0));
        assert_eq!(attributes["text"], AttributeValue::Text("Grün ✓".into()));
        assert_eq!(attributes["tags"], AttributeValue::Tags(vec!["a".into(), "b".into()]));
        assert_eq!(read_attributes(&write_attributes(&attributes), String::new).unwrap(), attributes);
    }

    #[test]
    fn errors_do_not_name_customers() {
        let id = CustomerId::parse("ann@shop.example").unwrap();
        let error = unreadable(&pseudonym(&id), &std::fmt::Error).to_string();
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
    fn what_a_database_cannot_hold_is_refused() {
        let article = |price, value| ArticleRecord {
            id: ArticleId::parse("a1").unwrap(),
            available: true,
            price,
            image_url: None,
            attributes: BTreeMap::from([("colour".to_owned(), value)]),
        };
        let text = || AttributeValue::Text("red".into());
        assert!(check_article(&article(Some(0.0), text())).is_ok());
        for bad in [
            article(Some(-1.0), text()),
            article(Some(f32::NAN), text()),
            article(None, AttributeValue::Number(f64::INFINITY)),
            article(None, AttributeValue::Text("a\0".into())),
            article(None, AttributeValue::Tags(vec!["\0".into()])),
        ] {
            let error = check_article(&bad).unwrap_err().to_string();
            assert!(error.contains("a1"), "{error}");
        }
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
        let checked = checked_articles(&articles).unwrap();
        assert_eq!(checked, [&articles[1], &articles[2]]);
    }
}
