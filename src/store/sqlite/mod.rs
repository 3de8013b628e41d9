//! The store on SQLite: one file, many readers, one writer.

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
    ConnectOptions, Connection, Sqlite as Driver, SqliteConnection, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tokio::sync::Notify;

pub(super) struct Sqlite {
    address: SqliteConnectOptions,
    /// Set once the schema is known to be the right one.
    checked: AtomicBool,
    /// Connections for customers.
    customers: SqlitePool,
    readers: SqlitePool,
    /// One connection: writers stand in line here instead of at the file's lock.
    writer: SqlitePool,
    changed: Notify,
    limits: CatalogueLimits,
    secrets: Secrets,
}

/// Pages of the log after which it is copied into the file: 32 MB. Events write to the same pages
/// again and again, and the fewer copies, the fewer of them are written twice.
const LOG_PAGES: &str = "8000";

/// Write-ahead log: readers never wait for the writer. `NORMAL` may lose the last commits on a
/// power cut, never the file. The busy time-out covers other processes, such as an import beside a
/// running server. Deleted bytes are overwritten, so that nothing of an erased person stays in the
/// file.
fn configure(address: SqliteConnectOptions, options: &StoreOptions) -> SqliteConnectOptions {
    address
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(options.statement_timeout)
        .foreign_keys(true)
        .pragma("secure_delete", "ON")
        .pragma("wal_autocheckpoint", LOG_PAGES)
}

/// Whether the database's file is missing or empty.
pub(super) fn is_new(address: &SqliteConnectOptions) -> bool {
    std::fs::metadata(address.get_filename()).map_or(true, |file| file.len() == 0)
}

/// Brings the schema up to date, making the file when it is missing; see [`super::migrate`].
pub(super) async fn migrate(
    address: SqliteConnectOptions,
    options: &StoreOptions,
) -> Result<(i64, i64), StoreError> {
    let file = address.get_filename().display().to_string();
    make_private(&address)?;
    let address = configure(address, options).create_if_missing(true);
    let mut connection = address.connect().await.map_err(|error| cannot_open(&file, error))?;
    let result = migrations::run(&migrations::sqlite(), &mut connection).await;
    let _ = connection.close().await;
    result
}

fn cannot_open(file: &str, error: impl Into<StoreError>) -> StoreError {
    match error.into() {
        StoreError::Fault(why) => StoreError::Fault(format!("`{file}` cannot be opened: {why}")),
        other => other,
    }
}

/// Makes the file of a new database, which will hold personal data, readable by its owner alone.
/// SQLite gives the files beside it (`-wal`, `-shm`) the same permissions.
fn make_private(address: &SqliteConnectOptions) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = address.get_filename();
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(StoreError::Fault(format!("`{}` cannot be made: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

/// The locked file beside the database; see [`super::RetrainLock`].
pub(super) fn lock_retraining(
    address: &SqliteConnectOptions,
) -> Result<Option<std::fs::File>, StoreError> {
    let mut path = address.get_filename().as_os_str().to_owned();
    path.push(".retrain-lock");
    let path = std::path::PathBuf::from(path);
    let failed =
        |error: std::io::Error| StoreError::Fault(format!("`{}`: {error}", path.display()));
    let file = std::fs::File::create(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

impl Sqlite {
    /// Opens the file when it is first used.
    pub(super) fn new(address: SqliteConnectOptions, options: &StoreOptions) -> Self {
        let configured = configure(address.clone(), options);
        let pool = |size| {
            SqlitePoolOptions::new()
                .max_connections(size)
                .acquire_timeout(options.acquire_timeout)
                // A file does not hang up: no round trip before each use, no renewal.
                .test_before_acquire(false)
                .max_lifetime(None)
                .idle_timeout(None)
        };
        let reading = || configured.clone().pragma("query_only", "ON");
        Self {
            address,
            checked: AtomicBool::new(false),
            customers: pool(options.max_connections).connect_lazy_with(reading()),
            readers: pool(StoreOptions::OTHER_CONNECTIONS).connect_lazy_with(reading()),
            writer: pool(1).connect_lazy_with(
                configured
                    // An event that was accepted outlives a power cut.
                    .synchronous(SqliteSynchronous::Full)
                    // Keeps the statement journal, which undoes a failed statement, in memory. In a
                    // file it costs as many writes as the write-ahead log.
                    .pragma("temp_store", "MEMORY"),
            ),
            changed: Notify::new(),
            limits: options.catalogue,
            secrets: Secrets::default(),
        }
    }

    /// Takes the file's write lock at once: a transaction that began by reading could not wait for
    /// it.
    async fn begin(&self) -> Result<Transaction<'static, Driver>, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    async fn commit(&self, transaction: Transaction<'static, Driver>) -> Result<(), StoreError> {
        transaction.commit().await?;
        // All who wait now, and the next one who would otherwise miss what happened before it
        // waits.
        self.changed.notify_waiters();
        self.changed.notify_one();
        Ok(())
    }
}

/// The newest migration applied; 0 for a database without any.
async fn schema_version(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    let exists: bool = sqlx::query_scalar(
        "SELECT count(*) > 0 FROM sqlite_schema WHERE name = '_sqlx_migrations'",
    )
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

/// Counts a change; takes effect with the commit.
async fn advance_revision(
    connection: &mut SqliteConnection,
    name: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE revisions SET value = value + 1 WHERE name = $1")
        .bind(name)
        .execute(connection)
        .await?;
    Ok(())
}

/// A list of ids as one parameter for `json_each`, so that the statement text (and its plan) stays
/// the same.
fn json_ids(ids: &[ArticleId]) -> String {
    serde_json::to_string(ids).expect("ids are plain text")
}

#[async_trait]
impl Store for Sqlite {
    async fn check_schema(&self) -> Result<(), StoreError> {
        if self.checked.load(Ordering::Relaxed) {
            return Ok(());
        }
        if is_new(&self.address) {
            // Opening it would make the file.
            return Err(migrations::missing(&migrations::sqlite()));
        }
        let version = async { schema_version(&mut *self.readers.acquire().await?).await };
        let file = self.address.get_filename().display().to_string();
        let found = version.await.map_err(|error: sqlx::Error| cannot_open(&file, error))?;
        migrations::check(found, &migrations::sqlite())?;
        self.checked.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        // Reads a page of the file, unlike `SELECT 1`.
        sqlx::query("SELECT value FROM revisions LIMIT 1").execute(&self.readers).await?;
        Ok(())
    }

    fn connections(&self) -> ConnectionCounts {
        [&self.customers, &self.readers, &self.writer].map(ConnectionCounts::of).into_iter().sum()
    }

    async fn revisions(&self) -> Result<Revisions, StoreError> {
        self.check_schema().await?;
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT name, value FROM revisions").fetch_all(&self.readers).await?;
        let value = |name| rows.iter().find(|row| row.0 == name).map_or(0, |row| row.1);
        let names =
            ["catalogue", "models", "purchases", "keys", "placements", "events", "customers"];
        let [catalogue, models, purchases, keys, placements, events, customers] = names.map(value);
        Ok(Revisions { catalogue, models, purchases, keys, placements, events, customers })
    }

    async fn wait_for_change(&self, longest: Duration) {
        let _ = tokio::time::timeout(longest, self.changed.notified()).await;
    }

    async fn schema(&self) -> Result<Schema, StoreError> {
        catalogue::schema(&mut *self.readers.acquire().await?).await
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
        customers::read(&self.customers, ids, purchases).await
    }

    async fn customer_ids(
        &self,
        after: Option<&CustomerId>,
        limit: u32,
    ) -> Result<Vec<CustomerId>, StoreError> {
        // No id is empty, so the empty text comes before all.
        const SELECT: &str = "SELECT id FROM customers WHERE id > $1 ORDER BY id LIMIT $2";
        let after = after.map_or("", CustomerId::as_str);
        let query = sqlx::query_scalar(SELECT).bind(after).bind(limit);
        let ids: Vec<String> = query.fetch_all(&self.readers).await?;
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
        models::register(self, model, version).await
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
        models::activate(self, model, version, default).await
    }

    async fn deactivate_model(&self, model: &str) -> Result<String, StoreError> {
        models::deactivate(self, model).await
    }

    async fn default_model(&self) -> Result<Option<String>, StoreError> {
        models::default(self).await
    }

    async fn rollback_target(&self, model: &str) -> Result<String, StoreError> {
        models::rollback_target(self, model).await
    }

    async fn rollback_model(&self, model: &str) -> Result<String, StoreError> {
        models::rollback(self, model).await
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
        placements::change(self, changes, author).await
    }

    async fn rollback_placement(
        &self,
        name: &str,
        expected: Option<i64>,
        author: &str,
    ) -> Result<i64, StoreError> {
        placements::rollback(self, name, expected, author).await
    }

    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        access::keys(self).await
    }

    async fn add_key(&self, key: &NewKey<'_>) -> Result<(), StoreError> {
        access::add_key(self, key).await
    }

    async fn withdraw_key(&self, name: &str) -> Result<(), StoreError> {
        access::withdraw_key(self, name).await
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
