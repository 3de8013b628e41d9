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

/// The moment that ages are counted to; see [`SalesWindow::now`]. It reads `told`, whose moments are
/// whole seconds as `now` is: what was bought in this second is not yet to come.
macro_rules! latest {
    () => {
        "newest AS (
            SELECT at FROM (SELECT at FROM purchases UNION ALL SELECT at FROM told) p
            WHERE at <= to_timestamp($1) ORDER BY at DESC LIMIT 101
        ),
        gaps AS (SELECT at, lead(at) OVER (ORDER BY at DESC) AS before FROM newest),
        many AS (SELECT count(*) >= 10000 AS many FROM (SELECT FROM purchases LIMIT 10000) p),
        latest AS (
            SELECT coalesce(
                min(before) FILTER (WHERE at - before > interval '28 days' AND many), max(at)
            ) AS at FROM gaps, many
        )"
    };
}

/// What the shop sold: imported, and told but not imported since. What came back counts against it.
/// The exponent is bounded: Postgres reports an underflow as an error.
const SALES: &str = concat!(
    "
    WITH told AS (
        SELECT date_trunc('second', e.at) AS at, a.key AS article, e.counts
        FROM events e JOIN articles a ON a.id = e.article
        WHERE e.retention = 0 AND e.counts <> 0 AND NOT e.imported
    ),
    ", latest!(), "
    SELECT a.id, s.sales
    FROM (
        SELECT p.article, sum(
            p.weight * power(2.0, -least(greatest(extract(epoch FROM l.at - p.at)::float8, 0) / $2, 500))
        ) AS sales
        FROM (
            SELECT article, at, coalesce(weight, 1) AS weight FROM purchases
            UNION ALL SELECT article, at, counts FROM told
        ) p, latest l
        WHERE p.at > l.at - make_interval(secs => $3)
        GROUP BY p.article
    ) s JOIN articles a ON a.key = s.article"
);

/// Longest run of the statement: it reads every purchase.
const LONGEST: Duration = Duration::from_secs(600);

const EVENTS: &str = "SELECT value FROM revisions WHERE name = 'events'";

const ARTICLES: &str = "SELECT key, id FROM articles ORDER BY key";

/// Purchases dated later than now count as made at the latest moment before it.
const PURCHASES: &str = concat!(
    "
    WITH told AS (
        SELECT e.customer, e.visitor, a.key AS article, date_trunc('second', e.at) AS at, e.counts
        FROM events e JOIN articles a ON a.id = e.article
        WHERE e.retention = 0 AND e.counts <> 0 AND NOT e.imported
    ),
    ",
    latest!(),
    "
    SELECT p.customer, p.visitor, p.article, extract(epoch FROM least(p.at, l.at))::int8, p.weight
    FROM (
        SELECT customer, NULL AS visitor, article, at, coalesce(weight, 1) AS weight FROM purchases
        UNION ALL SELECT customer, visitor, article, at, counts FROM told
    ) p, latest l
    WHERE p.at > l.at - make_interval(secs => $2)"
);

const VIEWS: &str = "
    SELECT e.customer, e.visitor, a.key, floor(extract(epoch FROM e.at))::int8
    FROM events e JOIN articles a ON a.id = e.article
    WHERE e.retention = 1 AND e.type IN ('view', 'click') AND coalesce(e.customer, e.visitor) IS NOT NULL
        AND e.at >= to_timestamp($1) - make_interval(secs => $2) AND e.at < to_timestamp($1 + 1)
    ORDER BY e.revision DESC LIMIT $3";

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

pub(super) async fn purchases(
    store: &Postgres,
    window: SalesWindow,
) -> Result<PurchaseLog, StoreError> {
    let mut transaction = patient!(store);
    let articles: Vec<(i32, String)> =
        store.within(sqlx::query_as(ARTICLES).fetch_all(&mut *transaction)).await?;
    let parse = |(key, id): (i32, String)| Some((key, ArticleId::parse(&id).ok()?));
    let (mut log, numbers) =
        PurchaseLog::numbered(articles.into_iter().filter_map(parse).collect());
    log.events = store.within(sqlx::query_scalar(EVENTS).fetch_one(&mut *transaction)).await?;
    let query = sqlx::query_as(PURCHASES)
        .bind(f64::from(window.now.0))
        .bind(f64::from(window.days) * 86_400.0);
    let views = sqlx::query_as(VIEWS)
        .bind(f64::from(window.now.0))
        .bind(PurchaseLog::VIEW_DAYS as f64 * 86_400.0);
    let views = views.bind(PurchaseLog::MOST_VIEWS);
    let read = async {
        let mut rows = query.fetch(&mut *transaction);
        while let Some((customer, visitor, article, at, weight)) = rows.try_next().await? {
            let (article, at, weight): (i32, i64, f32) = (article, at, weight);
            let at = Timestamp(u32::try_from(at.max(0)).unwrap_or(u32::MAX));
            if let Some(&article) = numbers.get(&article) {
                let customer = log.buyer(customer, visitor);
                log.add(Purchase { customer, article, at, weight });
            }
        }
        drop(rows);
        let mut rows = views.fetch(&mut *transaction);
        while let Some((customer, visitor, article, at)) = rows.try_next().await? {
            let (article, at): (i32, i64) = (article, at);
            log.add_view(customer, visitor, numbers.get(&article), at);
        }
        Ok::<_, sqlx::Error>(())
    };
    tokio::time::timeout(LONGEST, read).await.map_err(|_| super::no_answer())??;
    Ok(log)
}

pub(super) async fn count(
    store: &Postgres,
    window: SalesWindow,
) -> Result<Vec<ArticleSales>, StoreError> {
    let mut transaction = patient!(store);
    let query = sqlx::query(SALES)
        .bind(f64::from(window.now.0))
        .bind(window.half_life_days * 86_400.0)
        .bind(f64::from(window.days) * 86_400.0);
    let rows = tokio::time::timeout(LONGEST + store.patience, query.fetch_all(&mut *transaction));
    let rows = rows.await.map_err(|_| super::no_answer())??;
    let read = |row: &sqlx::postgres::PgRow| {
        let article =
            ArticleId::parse(row.try_get(0)?).map_err(|error| unreadable("an article", &error))?;
        Ok(ArticleSales { article, sales: row.try_get::<f64, _>(1)?.max(0.0) as f32 })
    };
    rows.iter().map(read).collect()
}
