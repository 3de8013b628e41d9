//! What sells, on Postgres.

use super::Postgres;
use crate::{
    domain::ArticleId,
    store::{ArticleSales, SalesWindow, StoreError, records::unreadable},
};
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

pub(super) async fn count(store: &Postgres, window: SalesWindow) -> Result<Vec<ArticleSales>, StoreError> {
    let begin = store.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    let mut transaction = store.within(begin).await?;
    let allow = format!("SET LOCAL statement_timeout = {}", LONGEST.as_millis());
    store.within(transaction.execute(sqlx::AssertSqlSafe(allow))).await?;
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
