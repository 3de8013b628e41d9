//! The store on Postgres.

mod access;
mod attribution;
mod catalogue;
mod customers;
mod events;
mod load;
mod models;
mod persons;
mod placements;
mod read;
mod sales;

pub(super) use load::Loader;
pub(super) use read::Reader;

use super::{
    ActionRecord, ArticleRecord, ArticleSales, AttributionQuery, AttributionRow, AuditRecord,
    CatalogueChanges, CatalogueLimits, Change, ChangeOutcome, ConnectionCounts, CustomerExport,
    CustomerUpsert, Erasure, EventPage, KeyRecord, ModelVersion, NewEvent, NewKey, Person,
    PlacementChange, PlacementVersion, PurchaseLog, ReadCustomer, Retention, Revisions,
    SalesWindow, Schema, Store, StoreError, StoreOptions, Verdict, events::Secrets, migrations,
    records::unreadable,
};
use crate::domain::{ArticleId, AttributeKind, CustomerId, Timestamp, VisitorId};
use async_trait::async_trait;
use sqlx::{
    Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use std::{
    sync::atomic::{AtomicBool, AtomicI32, Ordering},
    time::Duration,
};
use tokio::{sync::Mutex, time::timeout};

/// Where changes are announced; the payload is the name of the revision that grew.
const CHANNEL: &str = "vitrine_changes";

pub(super) struct Postgres {
    pool: PgPool,
    customers: customers::Customers,
    /// One connection that listens for changes.
    announcements: PgPool,
    /// Set once the schema is known to be the right one.
    checked: AtomicBool,
    /// Longest a read may take as seen from here: behind the server's own statement time-out, for
    /// the case that the server does not answer at all.
    patience: Duration,
    /// Opened by the first wait; `None` after it broke.
    listener: Mutex<Option<PgListener>>,
    limits: CatalogueLimits,
    secrets: Secrets,
    /// The month whose partitions of events are known to exist; 0 before the first.
    partitions: AtomicI32,
}

/// Brings the schema up to date; see [`super::migrate`].
pub(super) async fn migrate(
    address: PgConnectOptions,
    options: &StoreOptions,
) -> Result<(i64, i64), StoreError> {
    // No statement time-out: a migration may build an index, and may wait for another replica's.
    let mut connection = open_one(&address, options.acquire_timeout).await?;
    let result = migrations::run(&migrations::postgres(), &mut connection).await;
    // Also releases the lock when the migration failed half-way.
    let _ = connection.close().await;
    result
}

async fn open_one(
    address: &PgConnectOptions,
    longest: Duration,
) -> Result<PgConnection, StoreError> {
    Ok(timeout(longest, PgConnection::connect_with(address)).await.map_err(|_| no_answer())??)
}

/// Names the lock of retrainings.
const RETRAIN_LOCK: i64 = i64::from_be_bytes(*b"vitrine\x01");

/// A session that holds the lock of retrainings; see [`super::RetrainLock`].
pub(super) async fn lock_retraining(
    address: PgConnectOptions,
    options: &StoreOptions,
) -> Result<Option<PgConnection>, StoreError> {
    let mut connection =
        open_one(&address.application_name("vitrine retrain"), options.acquire_timeout).await?;
    let query = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(RETRAIN_LOCK);
    let is_free: bool = query.fetch_one(&mut connection).await?;
    Ok(is_free.then_some(connection))
}

fn no_answer() -> StoreError {
    StoreError::Unavailable("it did not answer in time".into())
}

impl Postgres {
    /// Connects when it is first used.
    pub(super) fn new(address: PgConnectOptions, options: &StoreOptions) -> Self {
        let address = address.application_name("vitrine");
        let pool = |connections, statement_timeout: Duration| {
            let limit = statement_timeout.as_millis().to_string();
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(options.acquire_timeout)
                .connect_lazy_with(address.clone().options([("statement_timeout", limit)]))
        };
        Self {
            pool: pool(StoreOptions::OTHER_CONNECTIONS, options.statement_timeout),
            customers: customers::Customers::new(
                pool(options.max_connections, options.customers_timeout),
                options,
            ),
            announcements: pool(1, options.statement_timeout),
            checked: AtomicBool::new(false),
            patience: options.acquire_timeout + options.statement_timeout + Duration::from_secs(1),
            listener: Mutex::new(None),
            limits: options.catalogue,
            secrets: Secrets::default(),
            partitions: AtomicI32::new(0),
        }
    }

    async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, StoreError> {
        Ok(timeout(self.patience, work).await.map_err(|_| no_answer())??)
    }
}

/// The newest migration applied; 0 for a database without any.
async fn schema_version(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    let exists: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?;
    if !exists {
        return Ok(0);
    }
    let version: Option<i64> = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations")
        .fetch_one(connection)
        .await?;
    Ok(version.unwrap_or(0))
}

/// Locks a revision's row: whoever changes what it counts stands in line here, so the counts grow
/// in the order of commits and two writers cannot deadlock on the rows behind it. Answers its
/// value.
async fn lock_revision(connection: &mut PgConnection, name: &str) -> Result<i64, sqlx::Error> {
    let lock = "SELECT value FROM revisions WHERE name = $1 FOR UPDATE";
    sqlx::query_scalar(lock).bind(name).fetch_one(connection).await
}

/// Counts a change and announces it; both take effect with the commit.
async fn advance_revision(connection: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE revisions SET value = value + 1 WHERE name = $1")
        .bind(name)
        .execute(&mut *connection)
        .await?;
    sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(name).execute(connection).await?;
    Ok(())
}

#[async_trait]
impl Store for Postgres {
    async fn check_schema(&self) -> Result<(), StoreError> {
        // Several may ask at once: waiting for each other would add up while the database is away.
        if !self.checked.load(Ordering::Relaxed) {
            let version = async { schema_version(&mut *self.pool.acquire().await?).await };
            migrations::check(self.within(version).await?, &migrations::postgres())?;
            self.checked.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.within(sqlx::query("SELECT 1").execute(&self.pool)).await?;
        Ok(())
    }

    fn connections(&self) -> ConnectionCounts {
        [self.customers.pool(), &self.pool, &self.announcements]
            .map(ConnectionCounts::of)
            .into_iter()
            .sum()
    }

    async fn revisions(&self) -> Result<Revisions, StoreError> {
        self.check_schema().await?;
        let rows: Vec<(String, i64)> = self
            .within(sqlx::query_as("SELECT name, value FROM revisions").fetch_all(&self.pool))
            .await?;
        let value = |name| rows.iter().find(|row| row.0 == name).map_or(0, |row| row.1);
        let names =
            ["catalogue", "models", "purchases", "keys", "placements", "events", "customers"];
        let [catalogue, models, purchases, keys, placements, events, customers] = names.map(value);
        Ok(Revisions { catalogue, models, purchases, keys, placements, events, customers })
    }

    async fn wait_for_change(&self, longest: Duration) {
        let mut slot = self.listener.lock().await;
        let announced = async {
            if slot.is_none() {
                let mut listener = PgListener::connect_with(&self.announcements).await.ok()?;
                listener.listen(CHANNEL).await.ok()?;
                *slot = Some(listener);
                // Something may have changed while nobody listened.
                return Some(());
            }
            match slot.as_mut()?.try_recv().await {
                Ok(Some(_)) => Some(()),
                // The connection broke; the next wait opens another.
                Ok(None) | Err(_) => {
                    *slot = None;
                    None
                }
            }
        };
        let started = tokio::time::Instant::now();
        if let Ok(None) = timeout(longest, announced).await {
            tokio::time::sleep_until(started + longest).await;
        }
    }

    async fn schema(&self) -> Result<Schema, StoreError> {
        catalogue::schema(&mut *self.pool.acquire().await?).await
    }

    async fn declare_attribute(&self, name: &str, kind: AttributeKind) -> Result<(), StoreError> {
        catalogue::declare(self, name, kind).await
    }

    async fn catalogue_changes(
        &self,
        since: i64,
        most: usize,
    ) -> Result<Option<CatalogueChanges>, StoreError> {
        catalogue::changes(self, since, most).await
    }

    async fn visit_catalogue(
        &self,
        visit: &mut (dyn FnMut(ArticleRecord) + Send),
    ) -> Result<(), StoreError> {
        catalogue::visit(self, visit).await
    }

    async fn articles(&self, ids: &[ArticleId]) -> Result<Vec<ArticleRecord>, StoreError> {
        catalogue::select(self, ids).await
    }

    async fn put_articles(&self, articles: &[ArticleRecord]) -> Result<(), StoreError> {
        catalogue::put(self, articles).await
    }

    async fn set_available(
        &self,
        ids: &[ArticleId],
        available: bool,
    ) -> Result<Vec<ArticleId>, StoreError> {
        catalogue::set_available(self, ids, available).await
    }

    async fn delete_articles(&self, ids: &[ArticleId]) -> Result<Vec<ArticleId>, StoreError> {
        catalogue::delete(self, ids).await
    }

    async fn sales(&self, window: SalesWindow) -> Result<Vec<ArticleSales>, StoreError> {
        sales::count(self, window).await
    }

    async fn purchases(&self, window: SalesWindow) -> Result<PurchaseLog, StoreError> {
        sales::purchases(self, window).await
    }

    async fn customers(
        &self,
        ids: &[CustomerId],
        purchases: usize,
    ) -> Result<Vec<ReadCustomer>, StoreError> {
        self.check_schema().await?;
        self.customers.read(ids, purchases).await
    }

    async fn customer_ids(
        &self,
        after: Option<&CustomerId>,
        limit: u32,
    ) -> Result<Vec<CustomerId>, StoreError> {
        // No id is empty, so the empty text comes before all.
        const SELECT: &str = "SELECT id FROM customers WHERE id > $1 ORDER BY id LIMIT $2";
        let after = after.map_or("", CustomerId::as_str);
        let query = sqlx::query_scalar(SELECT).bind(after).bind(i64::from(limit));
        let ids: Vec<String> = self.within(query.fetch_all(&self.pool)).await?;
        let read = |id: String| {
            CustomerId::parse(&id).map_err(|error| unreadable(&format!("customer `{id}`"), &error))
        };
        ids.into_iter().map(read).collect()
    }

    async fn put_customers(&self, customers: &[CustomerUpsert]) -> Result<(), StoreError> {
        persons::put(self, customers).await
    }

    async fn merge_visitor(
        &self,
        visitor: &VisitorId,
        customer: &CustomerId,
    ) -> Result<(), StoreError> {
        persons::merge(self, visitor, customer).await
    }

    async fn erase(&self, person: &Person) -> Result<Erasure, StoreError> {
        persons::erase(self, person).await
    }

    async fn export_customer(&self, id: &CustomerId) -> Result<Option<CustomerExport>, StoreError> {
        persons::export(self, id).await
    }

    async fn add_events(&self, events: &[NewEvent]) -> Result<Vec<Verdict>, StoreError> {
        events::add(self, events).await
    }

    async fn events_since(&self, revision: i64, most: u32) -> Result<EventPage, StoreError> {
        events::since(self, revision, most).await
    }

    async fn visitor(&self, id: &VisitorId, most: usize) -> Result<Vec<ActionRecord>, StoreError> {
        events::visitor(self, id, most).await
    }

    async fn attribution(
        &self,
        query: &AttributionQuery,
    ) -> Result<Vec<AttributionRow>, StoreError> {
        attribution::report(self, query).await
    }

    async fn drop_events(
        &self,
        retention: Retention,
        before: Timestamp,
    ) -> Result<u64, StoreError> {
        events::drop_before(self, retention, before).await
    }

    async fn secret(&self, name: &str) -> Result<[u8; 32], StoreError> {
        events::secret(self, name).await
    }

    async fn register_model(&self, model: &str, version: &str) -> Result<(), StoreError> {
        models::register(&self.pool, model, version).await
    }

    async fn models(&self) -> Result<Vec<ModelVersion>, StoreError> {
        models::all(self).await
    }

    async fn activate(
        &self,
        model: &str,
        version: &str,
        default: bool,
    ) -> Result<Option<String>, StoreError> {
        models::activate(&self.pool, model, version, default).await
    }

    async fn deactivate_model(&self, model: &str) -> Result<String, StoreError> {
        models::deactivate(&self.pool, model).await
    }

    async fn default_model(&self) -> Result<Option<String>, StoreError> {
        models::default(self).await
    }

    async fn rollback_target(&self, model: &str) -> Result<String, StoreError> {
        models::rollback_target(self, model).await
    }

    async fn rollback_model(&self, model: &str) -> Result<String, StoreError> {
        models::rollback(&self.pool, model).await
    }

    async fn placements(&self) -> Result<Vec<PlacementVersion>, StoreError> {
        placements::current(self).await
    }

    async fn placement_versions(
        &self,
        name: &str,
        limit: u32,
    ) -> Result<Vec<PlacementVersion>, StoreError> {
        placements::versions(self, name, limit).await
    }

    async fn change_placements(
        &self,
        changes: &[PlacementChange<'_>],
        author: &str,
    ) -> Result<Vec<i64>, StoreError> {
        placements::change(&self.pool, changes, author).await
    }

    async fn rollback_placement(
        &self,
        name: &str,
        expected: Option<i64>,
        author: &str,
    ) -> Result<i64, StoreError> {
        placements::rollback(&self.pool, name, expected, author).await
    }

    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        access::keys(self).await
    }

    async fn add_key(&self, key: &NewKey<'_>) -> Result<(), StoreError> {
        access::add_key(&self.pool, key).await
    }

    async fn withdraw_key(&self, name: &str) -> Result<(), StoreError> {
        access::withdraw_key(&self.pool, name).await
    }

    async fn begin_change(&self, change: &Change<'_>) -> Result<i64, StoreError> {
        access::begin_change(self, change).await
    }

    async fn end_change(&self, row: i64, outcome: ChangeOutcome<'_>) -> Result<(), StoreError> {
        access::end_change(self, row, outcome).await
    }

    async fn audit(&self, before: i64, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        access::audit(self, before, limit).await
    }
}
