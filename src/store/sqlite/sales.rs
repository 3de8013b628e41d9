//! What sells, on SQLite.

use super::Sqlite;
use crate::{
    domain::{ArticleId, Timestamp},
    statistics::Purchase,
    store::{ArticleSales, PurchaseLog, SalesWindow, StoreError, records::unreadable},
};
use futures_util::TryStreamExt;
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

const ARTICLES: &str = "SELECT key, id FROM articles ORDER BY key";

/// Purchases dated later than now count as made at the latest moment before it.
const PURCHASES: &str = "
    WITH latest AS (SELECT max(at) AS at FROM purchases WHERE at <= $1)
    SELECT p.customer, p.article, min(p.at, l.at), coalesce(p.weight, 1.0)
    FROM purchases p, latest l
    WHERE p.at > l.at - $2";

pub(super) async fn purchases(store: &Sqlite, window: SalesWindow) -> Result<PurchaseLog, StoreError> {
    let mut transaction = store.readers.begin().await?;
    let articles: Vec<(i32, String)> = sqlx::query_as(ARTICLES).fetch_all(&mut *transaction).await?;
    let parse = |(key, id): (i32, String)| Some((key, ArticleId::parse(&id).ok()?));
    let (mut log, numbers) = PurchaseLog::numbered(articles.into_iter().filter_map(parse).collect());
    let query = sqlx::query_as(PURCHASES).bind(i64::from(window.now.0)).bind(i64::from(window.days) * 86_400);
    let mut rows = query.fetch(&mut *transaction);
    while let Some((customer, article, at, weight)) = rows.try_next().await? {
        let (customer, article, at, weight): (i32, i32, i64, f64) = (customer, article, at, weight);
        let at = Timestamp(u32::try_from(at.max(0)).unwrap_or(u32::MAX));
        if let Some(&article) = numbers.get(&article) {
            log.add(Purchase { customer: customer as u32, article, at, weight: weight as f32 });
        }
    }
    drop(rows);
    Ok(log)
}

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
