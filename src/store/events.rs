//! What happens in the shop, in the words of both databases: what customers and visitors do with
//! articles, told beside what is imported.
//!
//! An event is written once, however often it is sent ([`Verdict::Duplicate`]), and everything that
//! is derived from it follows from its rows: histories read them, counts of the shop add
//! [`EventLine::counts`], attribution sums their columns. Writers stand in line at the revision
//! `events`, so a reader that has seen a revision misses nothing of what comes behind it.

use super::{
    Attributes, StoreError,
    records::{pseudonym, read_attributes, unreadable},
};
use crate::domain::{ArticleId, CustomerId, InvalidId, Timestamp, VisitorId};
use hashbrown::HashSet;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, PoisonError},
};
use time::OffsetDateTime;

/// A moment in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Millis(pub i64);

/// An event that somebody tells. It is checked: what is in it can be written.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// Chosen by the sender, who sends it again with every retry.
    pub event_id: String,
    /// Such as `purchase`; which types there are is the server's to say.
    pub kind: String,
    pub retention: Retention,
    pub at: Millis,
    pub customer: Option<CustomerId>,
    pub visitor: Option<VisitorId>,
    pub order_id: Option<String>,
    pub currency: Option<String>,
    /// What the shop's counts may gain from the lines of this event.
    pub counting: Counting,
    /// Empty for an event without articles, such as a search.
    pub items: Vec<EventItem>,
}

/// An article of an event.
#[derive(Debug, Clone, PartialEq)]
pub struct EventItem {
    pub article: ArticleId,
    /// Positive.
    pub quantity: f32,
    /// Of one piece.
    pub price: Option<f64>,
    /// What tells two lines of one order apart: chosen by the shop, else drawn from the article.
    pub line: Option<String>,
    /// The answer that led to it, if a valid `recommendation_id` says so.
    pub origin: Option<Origin>,
}

/// How the lines of an event change the counts of the whole shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counting {
    /// They sell.
    Adds,
    /// They come back.
    Takes,
    Nothing,
}

/// How long rows of a kind are kept; each kind has partitions of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Retention {
    /// Purchases and returns.
    Facts,
    /// Views, clicks, carts and the like.
    Actions,
    Impressions,
}

impl Retention {
    pub const ALL: [Self; 3] = [Self::Facts, Self::Actions, Self::Impressions];

    pub(super) fn number(self) -> i16 {
        self as i16
    }
}

/// The answer that an event comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Identifies the answer: a short hash of its `recommendation_id`.
    pub list: String,
    /// The placement, or the route of requests without one.
    pub route: String,
    pub model: String,
    pub version: String,
    /// The source that the article came from first.
    pub source: String,
    /// Place in the list, from 1.
    pub position: i16,
    pub answered: Timestamp,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Accepted,
    /// It was accepted before, or all its order lines were.
    Duplicate,
    /// Its customer or visitor was erased; nothing of it is kept.
    Erased,
}

/// A line of an event as followers read it.
#[derive(Debug, Clone, PartialEq)]
pub struct EventLine {
    pub revision: i64,
    pub kind: String,
    pub at: Millis,
    pub customer: Option<CustomerId>,
    pub visitor: Option<VisitorId>,
    pub article: Option<ArticleId>,
    /// What it adds to the counts of the shop; negative for what comes back; 0 once an import has
    /// it.
    pub counts: f32,
}

/// Lines behind a revision.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EventPage {
    /// In the order of revisions.
    pub lines: Vec<EventLine>,
    /// Everything up to this revision is in this page or before it.
    pub revision: i64,
    /// Whether there is more behind it.
    pub more: bool,
}

/// Something that a customer or visitor did with an article.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionRecord {
    pub kind: String,
    pub article: ArticleId,
    pub at: Millis,
    pub quantity: f32,
}

/// A customer as the shop's back office tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomerUpsert {
    pub id: CustomerId,
    pub attributes: Attributes,
}

/// Whom an erasure or an export concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Person {
    Customer(CustomerId),
    Visitor(VisitorId),
}

/// What an erasure removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Erasure {
    /// Whether there was a record.
    pub known: bool,
    pub purchases: u64,
    pub events: u64,
    /// Visitors that were joined to the customer.
    pub visitors: Vec<VisitorId>,
}

/// Everything that is kept of a customer.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomerExport {
    pub id: CustomerId,
    pub attributes: Attributes,
    pub visitors: Vec<VisitorId>,
    /// Imported purchases: article, moment and price.
    pub purchases: Vec<(ArticleId, Timestamp, Option<f64>)>,
    /// Rows of events, oldest first, as columns and values.
    pub events: Vec<BTreeMap<String, serde_json::Value>>,
}

impl CustomerExport {
    /// Of what a database holds; `purchases` have their moments in seconds since 1970, `events` are
    /// JSON objects.
    ///
    /// # Errors
    /// What this program cannot have written.
    pub(super) fn read(
        id: &CustomerId,
        attributes: &str,
        visitors: &[String],
        purchases: &[(String, i64, Option<f64>)],
        events: &[String],
    ) -> Result<Self, StoreError> {
        let name = || pseudonym(id.as_str());
        let broken = |error: InvalidId| unreadable(&name(), &error);
        let purchase = |(article, at, price): &(String, i64, Option<f64>)| {
            Ok((ArticleId::parse(article)?, Millis(at * 1_000).timestamp(), *price))
        };
        Ok(Self {
            id: id.clone(),
            attributes: read_attributes(attributes, name)?,
            visitors: visitors
                .iter()
                .map(|id| VisitorId::parse(id))
                .collect::<Result<_, _>>()
                .map_err(broken)?,
            purchases: purchases.iter().map(purchase).collect::<Result<_, _>>().map_err(broken)?,
            events: events.iter().map(|json| read_event(json)).collect::<Result<_, _>>()?,
        })
    }
}

/// How much one subject may add to the count of one article within an hour.
pub const MOST_COUNTED_AN_HOUR: f32 = 10.0;
/// The same for all events without a subject together.
pub const MOST_COUNTED_ANONYMOUSLY: f32 = 100.0;

/// The first 16 bytes of the SHA-256 of parts that are told apart by their lengths.
pub(super) fn short_hash(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut short = [0; 16];
    short.copy_from_slice(&hash.finalize()[..16]);
    short
}

impl EventLine {
    /// Whom it is about.
    pub fn people(&self) -> impl Iterator<Item = Person> {
        let customer = self.customer.clone().map(Person::Customer);
        customer.into_iter().chain(self.visitor.clone().map(Person::Visitor))
    }
}

impl Person {
    /// What the tombstone of this person holds.
    pub(super) fn tombstone(&self, salt: &[u8]) -> [u8; 16] {
        match self {
            Self::Customer(id) => short_hash(&[salt, b"customer", id.as_str().as_bytes()]),
            Self::Visitor(id) => short_hash(&[salt, b"visitor", id.as_str().as_bytes()]),
        }
    }
}

/// Who was erased.
#[derive(Debug, Default)]
pub(super) struct Tombstones {
    salt: Vec<u8>,
    hashes: HashSet<[u8; 16]>,
}

impl Tombstones {
    pub(super) fn new(salt: Option<Vec<u8>>, hashes: Vec<Vec<u8>>) -> Self {
        let hashes = hashes.into_iter().filter_map(|bytes| bytes.try_into().ok()).collect();
        Self { salt: salt.unwrap_or_default(), hashes }
    }

    /// Whether the customer was erased.
    pub(super) fn hold(&self, id: &str) -> bool {
        !self.hashes.is_empty()
            && self.hashes.contains(&short_hash(&[&self.salt, b"customer", id.as_bytes()]))
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Facts => "facts",
            Self::Actions => "actions",
            Self::Impressions => "impressions",
        })
    }
}

/// The error of a change of a customer who was erased.
pub(super) fn was_erased() -> StoreError {
    StoreError::Erased("this customer was erased; a person who comes back needs a new id".into())
}

impl From<OffsetDateTime> for Millis {
    fn from(moment: OffsetDateTime) -> Self {
        Self(moment.unix_timestamp() * 1_000 + i64::from(moment.millisecond()))
    }
}

/// The secret that tombstones are hashed with.
pub(super) const ERASURE_SALT: &str = "erasure";

impl Millis {
    /// The present moment.
    pub fn now() -> Self {
        OffsetDateTime::now_utc().into()
    }

    /// What a calendar cannot hold becomes 1970.
    pub(super) fn datetime(self) -> OffsetDateTime {
        let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000);
        moment.unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    /// Whole hours since 1970.
    pub(super) fn hour(self) -> i32 {
        i32::try_from(self.0 / 3_600_000).unwrap_or(i32::MAX)
    }

    /// The whole second.
    pub fn timestamp(self) -> Timestamp {
        Timestamp(u32::try_from(self.0.max(0) / 1_000).unwrap_or(u32::MAX))
    }

    /// Milliseconds within the second.
    pub fn millis(self) -> u16 {
        self.0.rem_euclid(1_000) as u16
    }
}

/// Secrets that were read: they never change.
#[derive(Debug, Default)]
pub(super) struct Secrets(Mutex<BTreeMap<String, [u8; 32]>>);

impl Secrets {
    pub(super) fn get(&self, name: &str) -> Option<[u8; 32]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied()
    }

    /// # Errors
    /// When the value of the database is no secret.
    pub(super) fn keep(&self, name: &str, value: &[u8]) -> Result<[u8; 32], StoreError> {
        let fault =
            |_| StoreError::Fault(format!("the secret `{name}` has {} bytes, not 32", value.len()));
        let value = value.try_into().map_err(fault)?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), value);
        Ok(value)
    }
}

pub(super) fn random_secret() -> [u8; 32] {
    rand::random()
}

/// A row of an export: without what is empty.
fn read_event(json: &str) -> Result<BTreeMap<String, serde_json::Value>, StoreError> {
    let row: BTreeMap<String, serde_json::Value> = serde_json::from_str(json)
        .map_err(|error| StoreError::Fault(format!("an event cannot be exported: {error}")))?;
    Ok(row.into_iter().filter(|(_, value)| !value.is_null()).collect())
}
