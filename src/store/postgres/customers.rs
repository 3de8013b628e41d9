//! Customers on Postgres, over connections of their own.

use super::no_answer;
use crate::{
    domain::{ArticleId, CustomerId, Timestamp},
    store::{
        Attributes, PurchaseRecord, ReadCustomer, StoreError, StoreOptions,
        customers::{CustomerRow, collect},
        records::{read_attributes, unreadable},
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

    pub(super) async fn read(&self, ids: &[CustomerId], purchases: usize) -> Result<Vec<ReadCustomer>, StoreError> {
        // One statement, so customers and purchases are of one moment: at least one row for a known customer.
        const SELECT: &str = "
            SELECT c.id, c.attributes::text, p.at, a.id, p.weight
            FROM customers c
            LEFT JOIN LATERAL (
                SELECT at, article, weight FROM purchases WHERE customer = c.key
                ORDER BY at DESC, article DESC LIMIT $2
            ) p ON true
            LEFT JOIN articles a ON a.key = p.article
            WHERE c.id = ANY($1)
            ORDER BY c.key, p.at DESC, p.article DESC";
        let ids: Vec<&str> = ids.iter().map(CustomerId::as_str).collect();
        let limit = i64::try_from(purchases).unwrap_or(i64::MAX);
        let mut connection = self.pool.acquire().await?;
        let query = sqlx::query(SELECT).bind(ids).bind(limit).fetch_all(&mut *connection);
        let answer = tokio::time::timeout(self.patience, query).await;
        let Ok(rows) = answer else {
            // Whoever used it next would wait for the rest of this answer.
            drop(connection.detach());
            return Err(no_answer());
        };
        collect(&rows?)
    }
}

impl CustomerRow for PgRow {
    fn id(&self) -> Result<&str, sqlx::Error> {
        self.try_get(0)
    }

    fn attributes(&self) -> Result<Attributes, StoreError> {
        read_attributes(self.try_get(1)?, || self.customer())
    }

    fn purchase(&self) -> Result<Option<PurchaseRecord>, StoreError> {
        let (Some(at), Some(article)) = (self.try_get::<Option<OffsetDateTime>, _>(2)?, self.try_get(3)?) else {
            return Ok(None);
        };
        let millis = at.millisecond();
        let at = u32::try_from(at.unix_timestamp()).map_err(|error| unreadable(&self.customer(), &error))?;
        let article = ArticleId::parse(article).map_err(|error| unreadable(&self.customer(), &error))?;
        let weight = self.try_get::<Option<f32>, _>(4)?.unwrap_or(1.0);
        Ok(Some(PurchaseRecord { article, at: Timestamp(at), millis, weight }))
    }
}
