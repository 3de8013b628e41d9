//! Customers on SQLite.

use crate::{
    domain::{ArticleId, CustomerId, Timestamp},
    store::{
        Attributes, PurchaseRecord, ReadCustomer, StoreError,
        customers::{CustomerRow, collect},
        records::{read_attributes, unreadable},
    },
};
use sqlx::{Row, SqlitePool, sqlite::SqliteRow};

pub(super) async fn read(
    pool: &SqlitePool,
    ids: &[CustomerId],
    purchases: usize,
) -> Result<Vec<ReadCustomer>, StoreError> {
    // One statement for each, so customer and purchases are of one moment: at least one row for a known customer. There
    // is no round trip to save here, and SQLite has no LATERAL that would stop at the latest purchases of every customer.
    const SELECT: &str = "
        SELECT c.id, c.attributes, p.at, a.id, p.millis, p.weight
        FROM customers c
        LEFT JOIN (
            SELECT at, millis, article, weight FROM purchases WHERE customer = (SELECT key FROM customers WHERE id = $1)
            ORDER BY at DESC, millis DESC, article DESC LIMIT $2
        ) p ON true
        LEFT JOIN articles a ON a.key = p.article
        WHERE c.id = $1
        ORDER BY p.at DESC, p.millis DESC, p.article DESC";
    let limit = i64::try_from(purchases).unwrap_or(i64::MAX);
    let mut connection = pool.acquire().await?;
    let mut customers = Vec::with_capacity(ids.len());
    for id in ids {
        let rows = sqlx::query(SELECT).bind(id.as_str()).bind(limit).fetch_all(&mut *connection).await?;
        customers.extend(collect(&rows)?);
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

    fn purchase(&self) -> Result<Option<PurchaseRecord>, StoreError> {
        let (Some(at), Some(article)) = (self.try_get::<Option<i64>, _>(2)?, self.try_get(3)?) else {
            return Ok(None);
        };
        let at = u32::try_from(at).map_err(|error| unreadable(&self.customer(), &error))?;
        let article = ArticleId::parse(article).map_err(|error| unreadable(&self.customer(), &error))?;
        let millis = u16::try_from(self.try_get::<i64, _>(4)?).map_err(|error| unreadable(&self.customer(), &error))?;
        let weight = self.try_get::<Option<f64>, _>(5)?.map_or(1.0, |weight| weight as f32);
        Ok(Some(PurchaseRecord { article, at: Timestamp(at), millis, weight }))
    }
}
