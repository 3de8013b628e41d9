//! What sells, on SQLite.

use super::Sqlite;
use crate::{
    domain::ArticleId,
    store::{ArticleSales, SalesWindow, StoreError, records::unreadable},
};
use sqlx::Row;

/// The build of SQLite has no power function. `2^−h` is `2^−f / 2^n` with the whole part `n` and
/// the fraction `f` of `h`; the polynomial is that of Taylor up to the fourth power, which is
/// within 0.2 % of `2^−f`.
const SALES: &str = "
    WITH latest AS (SELECT max(at) AS at FROM purchases WHERE at <= $1),
    ages AS (
        SELECT p.article, coalesce(p.weight, 1.0) AS weight, max(l.at - p.at, 0) / $2 AS h
        FROM purchases p, latest l
        WHERE p.at > l.at - $3
    ),
    parts AS (SELECT article, weight, min(CAST(h AS INTEGER), 60) AS n, h - CAST(h AS INTEGER) AS f FROM ages)
    SELECT a.id, sum(weight * (1.0 - f * (0.693147 - f * (0.240227 - f * (0.055504 - f * 0.009618)))) / (1 << n))
    FROM parts JOIN articles a ON a.key = parts.article
    GROUP BY article";

pub(super) async fn count(store: &Sqlite, window: SalesWindow) -> Result<Vec<ArticleSales>, StoreError> {
    let query = sqlx::query(SALES)
        .bind(i64::from(window.now.0))
        .bind(window.half_life_days * 86_400.0)
        .bind(i64::from(window.days) * 86_400);
    let rows = query.fetch_all(&store.readers).await?;
    let read = |row: &sqlx::sqlite::SqliteRow| {
        let article = ArticleId::parse(row.try_get(0)?).map_err(|error| unreadable("an article", &error))?;
        Ok(ArticleSales { article, sales: row.try_get::<f64, _>(1)? as f32 })
    };
    rows.iter().map(read).collect()
}
