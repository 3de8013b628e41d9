//! What sells, on SQLite.

use super::{Sqlite, events::revision};
use crate::{
    domain::{ArticleId, Timestamp},
    statistics::Purchase,
    store::{ArticleSales, PurchaseLog, SalesWindow, StoreError, records::unreadable},
};
use futures_util::TryStreamExt;
use sqlx::Row;

/// The moment that ages are counted to; see [`SalesWindow::now`]. It reads `all_of`.
macro_rules! latest {
    () => {
        "newest AS (SELECT at FROM all_of WHERE at <= $1 ORDER BY at DESC LIMIT 101),
        gaps AS (SELECT at, lead(at) OVER (ORDER BY at DESC) AS before FROM newest),
        many AS (SELECT count(*) >= 10000 AS many FROM (SELECT 1 FROM purchases LIMIT 10000)),
        latest AS (
            SELECT coalesce(
                min(before) FILTER (WHERE at - before > 28 * 86400 AND many), max(at)
            ) AS at FROM gaps, many
        )"
    };
}

/// What the shop sold: imported, and told but not imported since. What came back counts against it.
/// The build of SQLite has no power function. `2^−h` is `2^−f / 2^n` with the whole part `n` and
/// the fraction `f` of `h`; the polynomial is that of Taylor up to the fourth power, which is
/// within 0.2 % of `2^−f`.
const SALES: &str = concat!(
    "
    WITH all_of AS (
        SELECT article, at, coalesce(weight, 1.0) AS weight FROM purchases
        UNION ALL
        SELECT a.key, e.at / 1000, e.counts FROM events e JOIN articles a ON a.id = e.article
        WHERE e.retention = 0 AND e.counts <> 0 AND NOT e.imported
    ),
    ", latest!(), ",
    ages AS (
        SELECT p.article, p.weight, max(l.at - p.at, 0) / $2 AS h
        FROM all_of p, latest l
        WHERE p.at > l.at - $3
    ),
    parts AS (SELECT article, weight, min(CAST(h AS INTEGER), 60) AS n, h - CAST(h AS INTEGER) AS f FROM ages)
    SELECT a.id, sum(weight * (1.0 - f * (0.693147 - f * (0.240227 - f * (0.055504 - f * 0.009618)))) / (1 << n))
    FROM parts JOIN articles a ON a.key = parts.article
    GROUP BY article"
);

const ARTICLES: &str = "SELECT key, id FROM articles ORDER BY key";

/// Purchases dated later than now count as made at the latest moment before it.
const PURCHASES: &str = concat!(
    "
    WITH all_of AS (
        SELECT customer, NULL AS visitor, article, at, coalesce(weight, 1.0) AS weight FROM purchases
        UNION ALL
        SELECT e.customer, e.visitor, a.key, e.at / 1000, e.counts FROM events e JOIN articles a ON a.id = e.article
        WHERE e.retention = 0 AND e.counts <> 0 AND NOT e.imported
    ),
    ", latest!(), "
    SELECT p.customer, p.visitor, p.article, min(p.at, l.at), p.weight
    FROM all_of p, latest l
    WHERE p.at > l.at - $2"
);

const VIEWS: &str = "
    SELECT e.customer, e.visitor, a.key, e.at / 1000
    FROM events e JOIN articles a ON a.id = e.article
    WHERE e.retention = 1 AND e.type IN ('view', 'click') AND coalesce(e.customer, e.visitor) IS NOT NULL
        AND e.at >= ($1 - $2) * 1000 AND e.at < ($1 + 1) * 1000
    ORDER BY e.revision DESC LIMIT $3";

pub(super) async fn purchases(
    store: &Sqlite,
    window: SalesWindow,
) -> Result<PurchaseLog, StoreError> {
    let mut transaction = store.readers.begin().await?;
    let articles: Vec<(i32, String)> =
        sqlx::query_as(ARTICLES).fetch_all(&mut *transaction).await?;
    let parse = |(key, id): (i32, String)| Some((key, ArticleId::parse(&id).ok()?));
    let (mut log, numbers) =
        PurchaseLog::numbered(articles.into_iter().filter_map(parse).collect());
    log.events = revision(&mut transaction).await?;
    let query = sqlx::query_as(PURCHASES)
        .bind(i64::from(window.now.0))
        .bind(i64::from(window.days) * 86_400);
    let mut rows = query.fetch(&mut *transaction);
    while let Some((customer, visitor, article, at, weight)) = rows.try_next().await? {
        let (article, at, weight): (i32, i64, f64) = (article, at, weight);
        let at = Timestamp(u32::try_from(at.max(0)).unwrap_or(u32::MAX));
        if let Some(&article) = numbers.get(&article) {
            let customer = log.buyer(customer, visitor);
            log.add(Purchase { customer, article, at, weight: weight as f32 });
        }
    }
    drop(rows);
    let query =
        sqlx::query_as(VIEWS).bind(i64::from(window.now.0)).bind(PurchaseLog::VIEW_DAYS * 86_400);
    let mut rows = query.bind(PurchaseLog::MOST_VIEWS).fetch(&mut *transaction);
    while let Some((customer, visitor, article, at)) = rows.try_next().await? {
        let (article, at): (i32, i64) = (article, at);
        log.add_view(customer, visitor, numbers.get(&article), at);
    }
    drop(rows);
    Ok(log)
}

pub(super) async fn count(
    store: &Sqlite,
    window: SalesWindow,
) -> Result<Vec<ArticleSales>, StoreError> {
    let query = sqlx::query(SALES)
        .bind(i64::from(window.now.0))
        .bind(window.half_life_days * 86_400.0)
        .bind(i64::from(window.days) * 86_400);
    let rows = query.fetch_all(&store.readers).await?;
    let read = |row: &sqlx::sqlite::SqliteRow| {
        let article =
            ArticleId::parse(row.try_get(0)?).map_err(|error| unreadable("an article", &error))?;
        Ok(ArticleSales { article, sales: row.try_get::<f64, _>(1)?.max(0.0) as f32 })
    };
    rows.iter().map(read).collect()
}
