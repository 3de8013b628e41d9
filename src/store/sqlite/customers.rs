//! Customers on SQLite.

use crate::{
    domain::CustomerId,
    store::{
        Attributes, Millis, ReadCustomer, StoreError,
        customers::{ACTIONS, CustomerRow, Entry, collect},
        records::read_attributes,
    },
};
use sqlx::{Row, SqlitePool, sqlite::SqliteRow};

pub(super) async fn read(
    pool: &SqlitePool,
    ids: &[CustomerId],
    purchases: usize,
) -> Result<Vec<ReadCustomer>, StoreError> {
    // One statement for each, so customer and purchases are of one moment: at least one row for a
    // known customer. There is no round trip to save here, and SQLite has no LATERAL that would
    // stop at the latest purchases of every customer.
    const SELECT: &str = "
        SELECT c.id, c.attributes, h.at, h.article, h.weight, h.type
        FROM customers c
        LEFT JOIN (
            SELECT p.at * 1000 + p.millis AS at, a.id AS article, coalesce(p.weight, 1.0) AS weight, NULL AS type, a.key
            FROM (
                SELECT at, millis, article, weight FROM purchases
                WHERE customer = (SELECT key FROM customers WHERE id = $1)
                ORDER BY at DESC, millis DESC, article DESC LIMIT $2
            ) p JOIN articles a ON a.key = p.article
            UNION ALL
            SELECT * FROM (
                SELECT e.at, e.article, e.quantity, e.type, NULL FROM events e
                WHERE e.customer = (SELECT key FROM customers WHERE id = $1)
                    AND e.article IS NOT NULL AND NOT e.imported
                    AND (e.retention < 2 OR e.at > (unixepoch() - 86400) * 1000)
                ORDER BY e.at DESC, e.article DESC LIMIT $3
            )
        ) h ON true
        WHERE c.id = $1
        ORDER BY h.at DESC, h.key DESC, h.article DESC";
    let limit = i64::try_from(purchases).unwrap_or(i64::MAX);
    let events = limit.saturating_add(ACTIONS);
    let mut connection = pool.acquire().await?;
    let mut customers = Vec::with_capacity(ids.len());
    for id in ids {
        let rows = sqlx::query(SELECT)
            .bind(id.as_str())
            .bind(limit)
            .bind(events)
            .fetch_all(&mut *connection)
            .await?;
        customers.extend(collect(&rows, purchases)?);
    }
    Ok(customers)
}

impl CustomerRow for SqliteRow {
    fn id(&self) -> Result<&str, sqlx::Error> {
        self.try_get(0)
    }

    fn attributes(&self) -> Result<Attributes, StoreError> {
        read_attributes(self.try_get(1)?, || self.customer())
    }

    fn entry(&self) -> Result<Option<Entry<'_>>, sqlx::Error> {
        let (Some(at), Some(article)) = (self.try_get::<Option<i64>, _>(2)?, self.try_get(3)?)
        else {
            return Ok(None);
        };
        let weight = self.try_get::<f64, _>(4)? as f32;
        Ok(Some(Entry { article, at: Millis(at), weight, kind: self.try_get(5)? }))
    }
}
