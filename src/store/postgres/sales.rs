//! What sells, on Postgres.

use super::Postgres;
use crate::{
    domain::{ArticleId, Timestamp},
    statistics::Purchase,
    store::{ArticleSales, PurchaseLog, SalesWindow, StoreError, records::unreadable},
};
use futures_util::TryStreamExt;
use sqlx::{Executor, Row};
use std::time::Duration;

/// The exponent is bounded: Postgres reports an underflow as an error.
const SALES: &str = "
    WITH latest AS (SELECT max(at) AS at FROM purchases WHERE at <= to_timestamp($1))
    SELECT a.id, s.sales
    FROM (
        SELECT p.article, sum(
            coalesce(p.weight, 1) * power(2.0, -least(greatest(extract(epoch FROM l.at - p.at)::float8, 0) / $2, 500))
        ) AS sales
        FROM purchases p, latest l
        WHERE p.at > l.at - make_interval(secs => $3)
        GROUP BY p.article
    ) s JOIN articles a ON a.key = s.article";

/// Longest run of the statement: it reads every purchase.
const LONGEST: Duration = Duration::from_secs(600);

const ARTICLES: &str = "SELECT key, id FROM articles ORDER BY key";

/// Purchases dated later than now count as made at the latest moment before it.
const PURCHASES: &str = "
    WITH latest AS (SELECT max(at) AS at FROM purchases WHERE at <= to_timestamp($1))
    SELECT p.customer, p.article, extract(epoch FROM least(p.at, l.at))::int8, coalesce(p.weight, 1)
    FROM purchases p, latest l
    WHERE p.at > l.at - make_interval(secs => $2)";

/// A transaction that may read for long.
macro_rules! patient {
    ($store:expr) => {{
        let begin = $store.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        let mut transaction = $store.within(begin).await?;
        let allow = format!("SET LOCAL statement_timeout = {}", LONGEST.as_millis());
        $store.within(transaction.execute(sqlx::AssertSqlSafe(allow))).await?;
        transaction
    }};
}

pub(super) async fn purchases(store: &Postgres, window: SalesWindow) -> Result<PurchaseLog, StoreError> {
    let mut transaction = patient!(store);
    let articles: Vec<(i32, String)> = store.within(sqlx::query_as(ARTICLES).fetch_all(&mut *transaction)).await?;
    let parse = |(key, id): (i32, String)| Some((key, ArticleId::parse(&id).ok()?));
    let (mut log, numbers) = PurchaseLog::numbered(articles.into_iter().filter_map(parse).collect());
    let query = sqlx::query_as(PURCHASES).bind(f64::from(window.now.0)).bind(f64::from(window.days) * 86_400.0);
    let read = async {
        let mut rows = query.fetch(&mut *transaction);
        while let Some((customer, article, at, weight)) = rows.try_next().await? {
            let (customer, article, at, weight): (i32, i32, i64, f32) = (customer, article, at, weight);
            let at = Timestamp(u32::try_from(at.max(0)).unwrap_or(u32::MAX));
            if let Some(&article) = numbers.get(&article) {
                log.add(Purchase { customer: customer as u32, article, at, weight });
            }
        }
        Ok::<_, sqlx::Error>(())
    };
    tokio::time::timeout(LONGEST, read).await.map_err(|_| super::no_answer())??;
    Ok(log)
}

pub(super) async fn count(store: &Postgres, window: SalesWindow) -> Result<Vec<ArticleSales>, StoreError> {
    let mut transaction = patient!(store);
    let query = sqlx::query(SALES)
        .bind(f64::from(window.now.0))
        .bind(window.half_life_days * 86_400.0)
        .bind(f64::from(window.days) * 86_400.0);
    let rows = tokio::time::timeout(LONGEST + store.patience, query.fetch_all(&mut *transaction));
    let rows = rows.await.map_err(|_| super::no_answer())??;
    let read = |row: &sqlx::postgres::PgRow| {
        let article = ArticleId::parse(row.try_get(0)?).map_err(|error| unreadable("an article", &error))?;
        Ok(ArticleSales { article, sales: row.try_get::<f64, _>(1)? as f32 })
    };
    rows.iter().map(read).collect()
}
