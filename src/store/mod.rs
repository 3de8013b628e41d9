//! The database: catalogue, customers, purchases, model versions, placements. The only module with
//! sqlx; Postgres and SQLite behind [`Store`], one conformance suite (`tests/store`) over both.
//! Knows no HTTP.
//!
//! [`migrate`] makes or renews the schema, [`connect`] opens a migrated database, [`watch`] tells
//! of changes made by any process. Connections that break are replaced on the next call; a database
//! that comes back is used again without a restart.

mod access;
mod attribution;
mod changes;
mod customers;
mod error;
mod events;
mod import;
mod ledger;
mod lock;
mod migrations;
mod options;
mod placements;
mod postgres;
mod read;
mod records;
mod schema;
mod sqlite;

pub use access::{AuditRecord, Change, ChangeOutcome, KeyRecord, NewKey, audited};
pub use attribution::{AttributionQuery, AttributionRow, Dimension};
pub use changes::watch;
pub use customers::ReadCustomer;
#[cfg(feature = "server")]
pub(crate) use customers::take_back;
pub use error::StoreError;
pub use events::{
    ActionRecord, Counting, CustomerExport, CustomerUpsert, Erasure, EventItem, EventLine,
    EventPage, MOST_COUNTED_AN_HOUR, MOST_COUNTED_ANONYMOUSLY, Millis, NewEvent, Origin, Person,
    Retention, Verdict,
};
pub use import::{Import, MissingArticles, Outcome, Report, import};
pub use lock::RetrainLock;
pub use options::{DEFAULT_URL, StoreOptions};
pub use placements::{PlacementChange, PlacementVersion};
pub use read::{InvalidReadOptions, ReadOptions, ReadReport, read_dataset};
pub use records::{
    ArticleChange, ArticleRecord, ArticleSales, AttributeValue, Attributes, CatalogueChanges,
    CustomerRecord, ModelVersion, PurchaseLog, PurchaseRecord, Revisions, SalesWindow, pseudonym,
};

pub use schema::{AttributeRecord, CatalogueLimits, Schema};

use crate::domain::{ArticleId, AttributeKind, CustomerId, Timestamp, VisitorId};
use async_trait::async_trait;
use options::Address;
use std::{sync::Arc, time::Duration};

/// What the server asks of a database.
#[async_trait]
pub trait Store: Send + Sync {
    /// Makes sure that the schema is the one this program was built for. Asks the database until it
    /// has said so once.
    async fn check_schema(&self) -> Result<(), StoreError>;
    /// One round trip.
    async fn ping(&self) -> Result<(), StoreError>;

    /// The connections at this moment.
    fn connections(&self) -> ConnectionCounts;

    /// The counters of changes. Read them *before* the data: what is read afterwards is at least
    /// that new.
    async fn revisions(&self) -> Result<Revisions, StoreError>;
    /// Returns early when a change is announced, else after `longest`. Announcements may be lost (a
    /// broken connection, another process on SQLite), so the caller compares [`Store::revisions`];
    /// see [`watch`].
    async fn wait_for_change(&self, longest: Duration);
    /// A number that grows with every change of the catalogue.
    async fn catalogue_version(&self) -> Result<i64, StoreError> {
        Ok(self.revisions().await?.catalogue)
    }

    /// The kinds of the catalogue's attributes. Read them *before* the articles: an attribute that
    /// is missing here was written later.
    async fn schema(&self) -> Result<Schema, StoreError>;
    /// Gives an attribute a kind that no import changes.
    ///
    /// [`StoreError::BadArticle`] when an article has a value of another kind.
    async fn declare_attribute(&self, name: &str, kind: AttributeKind) -> Result<(), StoreError>;
    /// How the catalogue changed since a version of it, as of one moment; `None` when more than
    /// `most` articles did.
    async fn catalogue_changes(
        &self,
        since: i64,
        most: usize,
    ) -> Result<Option<CatalogueChanges>, StoreError>;

    /// Gives every article to `visit`, all as of one moment; holds only a page of them in memory.
    /// Rows that cannot be read are left out and told in the log.
    async fn visit_catalogue(
        &self,
        visit: &mut (dyn FnMut(ArticleRecord) + Send),
    ) -> Result<(), StoreError>;
    /// The whole catalogue. Prefer [`Store::visit_catalogue`] where it is turned into something
    /// smaller.
    async fn catalogue(&self) -> Result<Vec<ArticleRecord>, StoreError> {
        let mut articles = Vec::new();
        self.visit_catalogue(&mut |article| articles.push(article)).await?;
        Ok(articles)
    }
    /// Those of the ids that exist, in any order.
    async fn articles(&self, ids: &[ArticleId]) -> Result<Vec<ArticleRecord>, StoreError>;
    /// Inserts or replaces, all or none; of two with one id the last counts. Articles equal to what
    /// is there change nothing, the catalogue version included. [`StoreError::BadArticle`] for one
    /// that contradicts the schema or is larger than the limits; then nothing is written.
    async fn put_articles(&self, articles: &[ArticleRecord]) -> Result<(), StoreError>;
    /// Ids that do not exist are returned; the others are changed.
    async fn set_available(
        &self,
        ids: &[ArticleId],
        available: bool,
    ) -> Result<Vec<ArticleId>, StoreError>;

    /// Takes articles out of the catalogue; purchases keep their ids. Ids that do not exist are
    /// returned.
    async fn delete_articles(&self, ids: &[ArticleId]) -> Result<Vec<ArticleId>, StoreError>;

    /// What sells: the articles with a purchase in the window, in any order. One statement over all
    /// purchases, which may take seconds on millions of them.
    async fn sales(&self, window: SalesWindow) -> Result<Vec<ArticleSales>, StoreError>;

    /// The purchases in the window, whose half-life makes no difference. They stream from the
    /// database and take 16 bytes each here; millions take seconds.
    async fn purchases(&self, window: SalesWindow) -> Result<PurchaseLog, StoreError>;

    /// Those of the customers that exist, in any order, each with at most `purchases` purchases. A
    /// row that cannot be read spoils the record of its customer alone.
    async fn customers(
        &self,
        ids: &[CustomerId],
        purchases: usize,
    ) -> Result<Vec<ReadCustomer>, StoreError>;
    /// `None` for an unknown customer; at most `purchases` purchases.
    async fn customer(
        &self,
        id: &CustomerId,
        purchases: usize,
    ) -> Result<Option<CustomerRecord>, StoreError> {
        let read = self.customers(std::slice::from_ref(id), purchases).await?.pop();
        read.map(|(_, record)| record).transpose()
    }

    /// Ids of customers in their own order, beyond `after`.
    async fn customer_ids(
        &self,
        after: Option<&CustomerId>,
        limit: u32,
    ) -> Result<Vec<CustomerId>, StoreError>;

    /// Inserts customers or replaces their attributes, all or none. [`StoreError::Erased`] for one
    /// who was.
    async fn put_customers(&self, customers: &[CustomerUpsert]) -> Result<(), StoreError>;
    /// Joins what a visitor did, and will do, to a customer, who is added if there is none.
    async fn merge_visitor(
        &self,
        visitor: &VisitorId,
        customer: &CustomerId,
    ) -> Result<(), StoreError>;
    /// Removes a person with all that is kept of them, and keeps a salted hash that refuses what
    /// comes late.
    async fn erase(&self, person: &Person) -> Result<Erasure, StoreError>;
    /// All that is kept of a customer; `None` for an unknown one.
    async fn export_customer(&self, id: &CustomerId) -> Result<Option<CustomerExport>, StoreError>;

    /// Writes events, all that are accepted in one transaction; answers the verdicts in their
    /// order. A customer who is not known is added; an event with both a customer and a visitor
    /// joins them.
    async fn add_events(&self, events: &[NewEvent]) -> Result<Vec<Verdict>, StoreError>;
    /// Lines behind a revision, whole revisions only, so possibly more than `most`.
    async fn events_since(&self, revision: i64, most: u32) -> Result<EventPage, StoreError>;
    /// The latest actions of a visitor who is no customer yet.
    async fn visitor(&self, id: &VisitorId, most: usize) -> Result<Vec<ActionRecord>, StoreError>;
    /// What came of recommendations, a row for each group of the query's dimensions.
    async fn attribution(
        &self,
        query: &AttributionQuery,
    ) -> Result<Vec<AttributionRow>, StoreError>;
    /// Removes events of a kind received before a moment; answers how many where the database
    /// knows.
    async fn drop_events(&self, retention: Retention, before: Timestamp)
    -> Result<u64, StoreError>;
    /// A secret that all replicas share: made on the first call. 32 random bytes.
    async fn secret(&self, name: &str) -> Result<[u8; 32], StoreError>;

    /// Adds a version of a model; nothing when it is there already.
    async fn register_model(&self, model: &str, version: &str) -> Result<(), StoreError>;
    /// All versions, newest first within a model.
    async fn models(&self) -> Result<Vec<ModelVersion>, StoreError>;
    /// Makes a registered version the active one of its model, and with `default` its model the one
    /// of requests that name none; the first model ever activated becomes the default anyway.
    /// Answers the version it replaces (`None` for the first one, and when it is active already).
    async fn activate(
        &self,
        model: &str,
        version: &str,
        default: bool,
    ) -> Result<Option<String>, StoreError>;
    /// [`Store::activate`] that leaves the default alone.
    async fn activate_model(
        &self,
        model: &str,
        version: &str,
    ) -> Result<Option<String>, StoreError> {
        self.activate(model, version, false).await
    }
    /// Takes the active version of a model out of service and forgets its activations; answers it.
    /// The default model can go only as the last one.
    async fn deactivate_model(&self, model: &str) -> Result<String, StoreError>;
    /// The model of requests that name none: an active one; `None` while no model is active.
    async fn default_model(&self) -> Result<Option<String>, StoreError>;
    /// The version that [`Store::rollback_model`] would make active.
    async fn rollback_target(&self, model: &str) -> Result<String, StoreError>;
    /// Makes the version that was active before the current one active again; answers it. Each
    /// rollback goes one activation further back.
    async fn rollback_model(&self, model: &str) -> Result<String, StoreError>;

    /// The current version of each placement, by name; none of those that are deleted.
    async fn placements(&self) -> Result<Vec<PlacementVersion>, StoreError>;
    /// The newest versions of a placement, deletions included; none of a name that was never used.
    async fn placement_versions(
        &self,
        name: &str,
        limit: u32,
    ) -> Result<Vec<PlacementVersion>, StoreError>;
    /// Changes placements, all or none, each by a new version; one that is so already stays as it
    /// is. Answers the versions that are current then, 0 for those that are deleted.
    /// [`StoreError::Changed`] when another version is current than a change expects.
    async fn change_placements(
        &self,
        changes: &[PlacementChange<'_>],
        author: &str,
    ) -> Result<Vec<i64>, StoreError>;
    /// Gives a placement the definition that it had before the current one, in a new version;
    /// answers it, 0 where that deletes the placement. Each rollback goes one definition further
    /// back.
    async fn rollback_placement(
        &self,
        name: &str,
        expected: Option<i64>,
        author: &str,
    ) -> Result<i64, StoreError>;

    /// All keys, withdrawn ones included, in the order they were made.
    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError>;
    /// Adds a key; refused when one of that name is in use.
    async fn add_key(&self, key: &NewKey<'_>) -> Result<(), StoreError>;
    /// Makes a key void for good.
    async fn withdraw_key(&self, name: &str) -> Result<(), StoreError>;

    /// Records that a change begins; answers the row. See [`audited`].
    async fn begin_change(&self, change: &Change<'_>) -> Result<i64, StoreError>;
    /// Completes the row of a change.
    async fn end_change(&self, row: i64, outcome: ChangeOutcome<'_>) -> Result<(), StoreError>;
    /// Recorded changes with an id below `before`, the latest first.
    async fn audit(&self, before: i64, limit: u32) -> Result<Vec<AuditRecord>, StoreError>;
}

/// Connections to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConnectionCounts {
    pub used: u32,
    pub idle: u32,
    /// Open at most.
    pub max: u32,
}

impl ConnectionCounts {
    fn of<D: sqlx::Database>(pool: &sqlx::Pool<D>) -> Self {
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        Self {
            used: pool.size().saturating_sub(idle),
            idle,
            max: pool.options().get_max_connections(),
        }
    }
}

impl std::iter::Sum for ConnectionCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        let add = |a: Self, b: Self| Self {
            used: a.used + b.used,
            idle: a.idle + b.idle,
            max: a.max + b.max,
        };
        counts.fold(Self::default(), add)
    }
}

/// Opens a database: `postgres://…` or `sqlite:path`.
///
/// # Errors
/// [`StoreError::NotMigrated`] unless its schema is the one this program was built for,
/// `Unavailable` when it cannot be reached, `Refused` for a URL of neither kind.
pub async fn connect(url: &str, options: &StoreOptions) -> Result<Arc<dyn Store>, StoreError> {
    let store = connect_later(url, options)?;
    store.check_schema().await?;
    Ok(store)
}

/// A database that need not be reachable yet. Its schema is checked by the first call that reaches
/// it.
///
/// # Errors
/// [`StoreError::Refused`] for a URL of neither kind.
pub fn connect_later(url: &str, options: &StoreOptions) -> Result<Arc<dyn Store>, StoreError> {
    Ok(match Address::parse(url)? {
        Address::Postgres(address) => Arc::new(postgres::Postgres::new(address, options)),
        Address::Sqlite(address) => Arc::new(sqlite::Sqlite::new(address, options)),
    })
}

/// Brings the schema up to date (SQLite: makes the file when it is missing). Answers the schema
/// versions before and after.
///
/// # Errors
/// [`StoreError::NotMigrated`] when the schema is newer than this program; otherwise as
/// [`connect`].
pub async fn migrate(url: &str, options: &StoreOptions) -> Result<(i64, i64), StoreError> {
    match Address::parse(url)? {
        Address::Postgres(address) => postgres::migrate(address, options).await,
        Address::Sqlite(address) => sqlite::migrate(address, options).await,
    }
}

/// Makes the schema of an SQLite database whose file is missing or empty, so that the embedded
/// default needs no setup; leaves every other database alone. Answers whether it did.
///
/// # Errors
/// As [`migrate`].
pub async fn migrate_if_new(url: &str, options: &StoreOptions) -> Result<bool, StoreError> {
    match Address::parse(url)? {
        Address::Sqlite(address) if sqlite::is_new(&address) => {
            sqlite::migrate(address, options).await?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// What the errors of schema changes say on both databases.
mod schema_errors {
    use super::{AttributeKind, StoreError};

    pub(super) fn held_otherwise(article: &str, name: &str, kind: AttributeKind) -> StoreError {
        StoreError::BadArticle(format!(
            "article `{article}` has a value of attribute `{name}` that is not {kind}; change the articles that have \
             one, then declare the attribute again; nothing was written"
        ))
    }
}

/// What the errors of model changes say on both databases.
mod model_errors {
    use super::StoreError;

    pub(super) fn unknown(model: &str, version: &str) -> StoreError {
        StoreError::NotFound(format!(
            "model `{model}` has no version `{version}`; register it first"
        ))
    }

    pub(super) fn inactive(model: &str) -> StoreError {
        StoreError::NotFound(format!("model `{model}` has no active version"))
    }

    pub(super) fn is_default(model: &str) -> StoreError {
        StoreError::Conflict(format!(
            "model `{model}` is the default while others are active: activate one of those as the default first"
        ))
    }

    /// `active`: the only activation on the stack, if any.
    pub(super) fn nothing_before(model: &str, active: Option<&str>) -> StoreError {
        StoreError::NotFound(match active {
            Some(version) => format!("model `{model}` had no active version before `{version}`"),
            None => return inactive(model),
        })
    }
}
