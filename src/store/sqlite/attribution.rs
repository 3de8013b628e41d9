//! What came of recommendations, on SQLite.

use super::Sqlite;
use crate::store::{
    AttributionQuery, AttributionRow, StoreError,
    attribution::{read_sums, sums},
};
use sqlx::Row;

const TOUCHED: &str = "
    WITH purchases_of AS (
        SELECT e.*, min(e.quantity, coalesce((
            SELECT sum(r.quantity) FROM events r
            WHERE r.type = 'return' AND r.order_id = e.order_id AND r.article = e.article
        ), 0.0)) AS back,
        CASE WHEN e.route IS NULL THEN (
            SELECT c.rowid FROM events c
            WHERE c.type = 'click' AND c.route IS NOT NULL AND (c.customer = e.customer OR c.visitor = e.visitor)
                AND c.at <= e.at AND c.at > e.at - 7 * 86400000
            ORDER BY c.at DESC LIMIT 1
        ) END AS click
        FROM events e
        WHERE e.retention = 0 AND e.type = 'purchase' AND e.at >= $1 AND e.at < $2
    ),
    touched AS (
        SELECT type, 0 AS assisted, '' AS ordered, 1.0 AS quantity, 0.0 AS price, 0.0 AS back,
            route AS placement, model, version, source, position, date(at / 1000, 'unixepoch') AS day, currency
        FROM events
        WHERE retention > 0 AND route IS NOT NULL AND at >= $1 AND at < $2
        UNION ALL
        SELECT type, 0, coalesce(order_id, event_id), quantity, price, back,
            route, model, version, source, position, date(at / 1000, 'unixepoch'), currency
        FROM purchases_of WHERE route IS NOT NULL
        UNION ALL
        SELECT p.type, 1, coalesce(p.order_id, p.event_id), p.quantity, p.price, p.back,
            c.route, c.model, c.version, c.source, c.position, date(p.at / 1000, 'unixepoch'), p.currency
        FROM purchases_of p JOIN events c ON c.rowid = p.click
    ) ";

pub(super) async fn report(
    store: &Sqlite,
    query: &AttributionQuery,
) -> Result<Vec<AttributionRow>, StoreError> {
    let text = format!("{TOUCHED}{}", sums(&query.by));
    let millis = |moment: crate::domain::Timestamp| i64::from(moment.0) * 1_000;
    let statement =
        sqlx::query(sqlx::AssertSqlSafe(text)).bind(millis(query.from)).bind(millis(query.until));
    let rows = statement.fetch_all(&store.readers).await?;
    let dimensions = query.by.len();
    rows.iter().map(|row| Ok(read_sums!(row, dimensions))).collect()
}
