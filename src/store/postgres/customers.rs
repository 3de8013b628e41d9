//! Customers on Postgres, over connections of their own.

use super::no_answer;
use crate::{
    domain::CustomerId,
    store::{
        Attributes, ReadCustomer, StoreError, StoreOptions,
        customers::{ACTIONS, CustomerRow, Entry, collect},
        records::read_attributes,
    },
};
use sqlx::{PgPool, Row, postgres::PgRow};
use std::time::Duration;
use time::OffsetDateTime;

/// How long after the server's own time-out an answer may still come.
const MARGIN: Duration = Duration::from_millis(500);

/// Connections whose statements are stopped early by the server.
pub(super) struct Customers {
    pool: PgPool,
    patience: Duration,
}

impl Customers {
    pub(super) fn new(pool: PgPool, options: &StoreOptions) -> Self {
        Self { pool, patience: options.customers_timeout + MARGIN }
    }

    pub(super) fn pool(&self) -> &PgPool {
        &self.pool
    }

    pub(super) async fn read(
        &self,
        ids: &[CustomerId],
        purchases: usize,
    ) -> Result<Vec<ReadCustomer>, StoreError> {
        // One statement, so customers and purchases are of one moment: at least one row for a known
        // customer.
        const SELECT: &str = "
            SELECT c.id, c.attributes::text, h.at, h.article, h.weight, h.type
            FROM customers c
            LEFT JOIN LATERAL (
                SELECT p.at, a.id AS article, coalesce(p.weight, 1) AS weight, NULL AS type, a.key
                FROM (
                    SELECT at, article, weight FROM purchases WHERE customer = c.key
                    ORDER BY at DESC, article DESC LIMIT $2
                ) p JOIN articles a ON a.key = p.article
                UNION ALL
                (
                    SELECT e.at, e.article, e.quantity, e.type, NULL FROM events e
                    WHERE e.customer = c.key AND e.article IS NOT NULL AND NOT e.imported
                        AND (e.retention < 2 OR e.at > now() - interval '1 day')
                    ORDER BY e.at DESC, e.article DESC LIMIT $3
                )
            ) h ON true
            WHERE c.id = ANY($1)
            ORDER BY c.key, h.at DESC, h.key DESC, h.article DESC";
        let ids: Vec<&str> = ids.iter().map(CustomerId::as_str).collect();
        let limit = i64::try_from(purchases).unwrap_or(i64::MAX);
        let mut connection = self.pool.acquire().await?;
        let events = limit.saturating_add(ACTIONS);
        let query =
            sqlx::query(SELECT).bind(ids).bind(limit).bind(events).fetch_all(&mut *connection);
        let answer = tokio::time::timeout(self.patience, query).await;
        let Ok(rows) = answer else {
            // Whoever used it next would wait for the rest of this answer.
            drop(connection.detach());
            return Err(no_answer());
        };
        collect(&rows?, purchases)
    }
}

impl CustomerRow for PgRow {
    fn id(&self) -> Result<&str, sqlx::Error> {
        self.try_get(0)
    }

    fn attributes(&self) -> Result<Attributes, StoreError> {
        read_attributes(self.try_get(1)?, || self.customer())
    }

    fn entry(&self) -> Result<Option<Entry<'_>>, sqlx::Error> {
        let (Some(at), Some(article)) =
            (self.try_get::<Option<OffsetDateTime>, _>(2)?, self.try_get(3)?)
        else {
            return Ok(None);
        };
        Ok(Some(Entry { article, at: at.into(), weight: self.try_get(4)?, kind: self.try_get(5)? }))
    }
}
