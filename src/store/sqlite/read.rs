//! Reading the whole shop from SQLite: one read transaction.

use super::{cannot_open, configure, is_new, schema_version};
use crate::{
    domain::Timestamp,
    store::{
        StoreError, StoreOptions, migrations,
        read::{EntityRow, EventRow, PurchaseRow, Source, Table, Visit, VisitEntity, VisitEvent},
    },
};
use async_trait::async_trait;
use futures_util::TryStreamExt;
use sqlx::{
    ConnectOptions, Connection, Executor, Row, SqliteConnection, sqlite::SqliteConnectOptions,
};

pub(crate) struct Reader {
    connection: SqliteConnection,
}

impl Reader {
    pub(crate) async fn open(
        address: SqliteConnectOptions,
        options: &StoreOptions,
    ) -> Result<Self, StoreError> {
        if is_new(&address) {
            return Err(migrations::missing(&migrations::sqlite()));
        }
        let file = address.get_filename().display().to_string();
        let address =
            configure(address, options).pragma("query_only", "ON").pragma("cache_size", "-65536");
        let mut connection = address.connect().await.map_err(|error| cannot_open(&file, error))?;
        let found =
            schema_version(&mut connection).await.map_err(|error| cannot_open(&file, error))?;
        migrations::check(found, &migrations::sqlite())?;
        connection.execute("BEGIN").await?;
        Ok(Self { connection })
    }
}

#[async_trait]
impl Source for Reader {
    async fn moment(&mut self) -> Result<Timestamp, StoreError> {
        // The first read of the transaction fixes what all others see.
        let query = sqlx::query_scalar("SELECT unixepoch() FROM revisions LIMIT 1");
        let now: i64 = query.fetch_one(&mut self.connection).await?;
        Ok(Timestamp(u32::try_from(now).unwrap_or(u32::MAX)))
    }

    async fn kinds(&mut self) -> Result<Vec<(String, String)>, StoreError> {
        Ok(sqlx::query_as("SELECT name, kind FROM attribute_kinds ORDER BY name")
            .fetch_all(&mut self.connection)
            .await?)
    }

    async fn entities(&mut self, table: Table, visit: VisitEntity<'_>) -> Result<(), StoreError> {
        let mut rows = sqlx::query(match table {
            Table::Articles => {
                "SELECT key, id, available AND removed = 0, attributes FROM articles ORDER BY key"
            }
            Table::Customers => "SELECT key, id, 1, attributes FROM customers ORDER BY key",
        })
        .fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await? {
            visit(EntityRow {
                key: row.try_get(0)?,
                id: row.try_get(1)?,
                available: row.try_get::<i64, _>(2)? != 0,
                attributes: row.try_get(3)?,
            })?;
        }
        Ok(())
    }

    async fn purchases(&mut self, visit: Visit<'_, PurchaseRow>) -> Result<(), StoreError> {
        const SELECT: &str =
            "SELECT customer, article, at * 1000 + millis, price, channel, weight FROM purchases";
        let mut rows = sqlx::query(SELECT).fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await? {
            visit(PurchaseRow {
                customer: row.try_get(0)?,
                article: row.try_get(1)?,
                at: row.try_get(2)?,
                price: row.try_get::<Option<f64>, _>(3)?.map(|price| price as f32),
                channel: row
                    .try_get::<Option<i64>, _>(4)?
                    .and_then(|channel| u8::try_from(channel).ok()),
                weight: row.try_get::<Option<f64>, _>(5)?.map(|weight| weight as f32),
            })?;
        }
        Ok(())
    }

    async fn events(&mut self, types: &[&str], visit: VisitEvent<'_>) -> Result<(), StoreError> {
        const SELECT: &str = "
            SELECT e.type, coalesce(e.customer, v.customer), e.visitor, e.article, e.at, e.quantity, e.price
            FROM events e LEFT JOIN visitors v ON v.key = e.visitor
            WHERE e.type IN (SELECT value FROM json_each($1)) AND NOT e.imported AND e.article IS NOT NULL";
        let types = serde_json::to_string(types).expect("names are plain text");
        let mut rows = sqlx::query(SELECT).bind(types).fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await? {
            visit(EventRow {
                kind: row.try_get(0)?,
                customer: row.try_get(1)?,
                visitor: row.try_get(2)?,
                article: row.try_get(3)?,
                at: row.try_get(4)?,
                quantity: row.try_get::<f64, _>(5)? as f32,
                price: row.try_get::<Option<f64>, _>(6)?.map(|price| price as f32),
            })?;
        }
        Ok(())
    }

    async fn close(self: Box<Self>) {
        let Self { connection } = *self;
        let _ = connection.close().await;
    }
}
