//! The store on Postgres.

mod access;
mod catalogue;
mod load;
mod models;
mod sales;

pub(super) use load::Loader;

use super::{
    ArticleRecord, ArticleSales, AuditRecord, Change, ChangeOutcome, CustomerRecord, KeyRecord, ModelVersion, NewKey,
    PurchaseRecord, Revisions, SalesWindow, Store, StoreError, StoreOptions, migrations,
    records::{read_attributes, unreadable},
};
use crate::domain::{ArticleId, CustomerId, Timestamp};
use async_trait::async_trait;
use sqlx::{
    Connection, PgConnection, PgPool, Row,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::{sync::Mutex, time::timeout};

/// Where changes are announced; the payload is the name of the revision that grew.
const CHANNEL: &str = "vitrine_changes";

pub(super) struct Postgres {
    pool: PgPool,
    /// Longest a read may take as seen from here: behind the server's own statement time-out, for the case
    /// that the server does not answer at all.
    patience: Duration,
    /// Opened by the first wait; `None` after it broke.
    listener: Mutex<Option<PgListener>>,
}

/// Brings the schema up to date; see [`super::migrate`].
pub(super) async fn migrate(address: PgConnectOptions, options: &StoreOptions) -> Result<(i64, i64), StoreError> {
    // No statement time-out: a migration may build an index, and may wait for another replica's.
    let mut connection = open_one(&address, options.acquire_timeout).await?;
    let result = migrations::run(&migrations::postgres(), &mut connection).await;
    // Also releases the lock when the migration failed half-way.
    let _ = connection.close().await;
    result
}

async fn open_one(address: &PgConnectOptions, longest: Duration) -> Result<PgConnection, StoreError> {
    Ok(timeout(longest, PgConnection::connect_with(address)).await.map_err(|_| no_answer())??)
}

fn no_answer() -> StoreError {
    StoreError::Unavailable("it did not answer in time".into())
}

impl Postgres {
    pub(super) async fn open(address: PgConnectOptions, options: &StoreOptions) -> Result<Self, StoreError> {
        let limit = options.statement_timeout.as_millis().to_string();
        let address = address.application_name("vitrine").options([("statement_timeout", limit)]);
        let pool = PgPoolOptions::new()
            .max_connections(options.max_connections)
            .acquire_timeout(options.acquire_timeout)
            .connect_lazy_with(address);
        let patience = options.acquire_timeout + options.statement_timeout + Duration::from_secs(1);
        let store = Self { pool, patience, listener: Mutex::new(None) };
        let version = async { schema_version(&mut *store.pool.acquire().await?).await };
        migrations::check(store.within(version).await?, &migrations::postgres())?;
        Ok(store)
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
        Ok(timeout(self.patience, work).await.map_err(|_| no_answer())??)
    }
}

/// The newest migration applied; 0 for a database without any.
async fn schema_version(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    let exists: bool =
        sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(&mut *connection).await?;
    if !exists {
        return Ok(0);
    }
    let version: Option<i64> =
        sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(connection).await?;
    Ok(version.unwrap_or(0))
}

/// Locks a revision's row: whoever changes what it counts stands in line here, so the counts grow in the order
/// of commits and two writers cannot deadlock on the rows behind it.
async fn lock_revision(connection: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT value FROM revisions WHERE name = $1 FOR UPDATE").bind(name).execute(connection).await?;
    Ok(())
}

/// Counts a change and announces it; both take effect with the commit.
async fn advance_revision(connection: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE revisions SET value = value + 1 WHERE name = $1").bind(name).execute(&mut *connection).await?;
    sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(name).execute(connection).await?;
    Ok(())
}

#[async_trait]
impl Store for Postgres {
    async fn ping(&self) -> Result<(), StoreError> {
        self.within(sqlx::query("SELECT 1").execute(&self.pool)).await?;
        Ok(())
    }

    async fn revisions(&self) -> Result<Revisions, StoreError> {
        let rows: Vec<(String, i64)> =
            self.within(sqlx::query_as("SELECT name, value FROM revisions").fetch_all(&self.pool)).await?;
        let value = |name| rows.iter().find(|row| row.0 == name).map_or(0, |row| row.1);
        let [catalogue, models, purchases, keys] = ["catalogue", "models", "purchases", "keys"].map(value);
        Ok(Revisions { catalogue, models, purchases, keys })
    }

    async fn wait_for_change(&self, longest: Duration) {
        let mut slot = self.listener.lock().await;
        let announced = async {
            if slot.is_none() {
                let mut listener = PgListener::connect_with(&self.pool).await.ok()?;
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

    async fn visit_catalogue(&self, visit: &mut (dyn FnMut(ArticleRecord) + Send)) -> Result<(), StoreError> {
        catalogue::visit(self, visit).await
    }

    async fn articles(&self, ids: &[ArticleId]) -> Result<Vec<ArticleRecord>, StoreError> {
        catalogue::select(self, ids).await
    }

    async fn put_articles(&self, articles: &[ArticleRecord]) -> Result<(), StoreError> {
        catalogue::put(&self.pool, articles).await
    }

    async fn set_available(&self, ids: &[ArticleId], available: bool) -> Result<Vec<ArticleId>, StoreError> {
        catalogue::set_available(&self.pool, ids, available).await
    }

    async fn sales(&self, window: SalesWindow) -> Result<Vec<ArticleSales>, StoreError> {
        sales::count(self, window).await
    }

    async fn customer(&self, id: &CustomerId, purchases: usize) -> Result<Option<CustomerRecord>, StoreError> {
        // One statement, so customer and purchases are of one moment: at least one row for a known customer.
        const SELECT: &str = "
            SELECT c.attributes::text, p.at, a.id, p.weight
            FROM customers c
            LEFT JOIN (
                SELECT at, article, weight FROM purchases WHERE customer = (SELECT key FROM customers WHERE id = $1)
                ORDER BY at DESC, article DESC LIMIT $2
            ) p ON true
            LEFT JOIN articles a ON a.key = p.article
            WHERE c.id = $1
            ORDER BY p.at DESC, p.article DESC";
        let limit = i64::try_from(purchases).unwrap_or(i64::MAX);
        let query = sqlx::query(SELECT).bind(id.as_str()).bind(limit);
        let rows = self.within(query.fetch_all(&self.pool)).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let what = || format!("customer `{id}`");
        let attributes = read_attributes(first.try_get(0)?, what)?;
        let mut purchases = Vec::with_capacity(rows.len());
        for row in &rows {
            let (Some(at), Some(article)) = (row.try_get::<Option<OffsetDateTime>, _>(1)?, row.try_get(2)?) else {
                break;
            };
            let millis = at.millisecond();
            let at = u32::try_from(at.unix_timestamp()).map_err(|error| unreadable(&what(), &error))?;
            let article = ArticleId::parse(article).map_err(|error| unreadable(&what(), &error))?;
            let weight = row.try_get::<Option<f32>, _>(3)?.unwrap_or(1.0);
            purchases.push(PurchaseRecord { article, at: Timestamp(at), millis, weight });
        }
        Ok(Some(CustomerRecord { id: id.clone(), attributes, purchases }))
    }

    async fn customer_ids(&self, after: Option<&CustomerId>, limit: u32) -> Result<Vec<CustomerId>, StoreError> {
        // No id is empty, so the empty text comes before all.
        const SELECT: &str = "SELECT id FROM customers WHERE id > $1 ORDER BY id LIMIT $2";
        let after = after.map_or("", CustomerId::as_str);
        let query = sqlx::query_scalar(SELECT).bind(after).bind(i64::from(limit));
        let ids: Vec<String> = self.within(query.fetch_all(&self.pool)).await?;
        let read = |id: String| CustomerId::parse(&id).map_err(|error| unreadable(&format!("customer `{id}`"), &error));
        ids.into_iter().map(read).collect()
    }

    async fn register_model(&self, model: &str, version: &str) -> Result<(), StoreError> {
        models::register(&self.pool, model, version).await
    }

    async fn models(&self) -> Result<Vec<ModelVersion>, StoreError> {
        models::all(self).await
    }

    async fn activate_model(&self, model: &str, version: &str) -> Result<Option<String>, StoreError> {
        models::activate(&self.pool, model, version).await
    }

    async fn rollback_model(&self, model: &str) -> Result<String, StoreError> {
        models::rollback(&self.pool, model).await
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
