//! What came of recommendations, on Postgres.

use super::Postgres;
use crate::store::{
    AttributionQuery, AttributionRow, StoreError,
    attribution::{read_sums, sums},
};
use sqlx::Row;

const TOUCHED: &str = "
    WITH purchases_of AS (
        SELECT e.*, least(e.quantity, coalesce((
            SELECT sum(r.quantity) FROM events r
            WHERE r.retention = 0 AND r.type = 'return' AND r.order_id = e.order_id AND r.article = e.article
        ), 0)) AS back
        FROM events e
        WHERE e.retention = 0 AND e.type = 'purchase' AND e.at >= to_timestamp($1) AND e.at < to_timestamp($2)
    ),
    assisted AS (
        SELECT p.at, p.quantity, p.price, p.back, p.currency, coalesce(p.order_id, p.event_id) AS ordered,
            c.route, c.model, c.version, c.source, c.position
        FROM purchases_of p
        JOIN LATERAL (
            SELECT route, model, version, source, position FROM events c
            WHERE c.retention = 1 AND c.type = 'click' AND c.route IS NOT NULL
                AND (c.customer = p.customer OR c.visitor = p.visitor)
                AND c.at <= p.at AND c.at > p.at - interval '7 days'
            ORDER BY c.at DESC LIMIT 1
        ) c ON true
        WHERE p.route IS NULL
    ),
    touched AS (
        SELECT type, false AS assisted, '' AS ordered, 1::float8 AS quantity, 0::float8 AS price, 0::float8 AS back,
            route AS placement, model, version, source, position, (at AT TIME ZONE 'UTC')::date AS day, currency
        FROM events
        WHERE retention > 0 AND route IS NOT NULL AND at >= to_timestamp($1) AND at < to_timestamp($2)
        UNION ALL
        SELECT type, false, coalesce(order_id, event_id), quantity::float8, price, back::float8,
            route, model, version, source, position, (at AT TIME ZONE 'UTC')::date, currency
        FROM purchases_of WHERE route IS NOT NULL
        UNION ALL
        SELECT 'purchase', true, ordered, quantity::float8, price, back::float8,
            route, model, version, source, position, (at AT TIME ZONE 'UTC')::date, currency
        FROM assisted
    ) ";

pub(super) async fn report(
    store: &Postgres,
    query: &AttributionQuery,
) -> Result<Vec<AttributionRow>, StoreError> {
    let text = format!("{TOUCHED}{}", sums(&query.by));
    let statement = sqlx::query(sqlx::AssertSqlSafe(text))
        .bind(f64::from(query.from.0))
        .bind(f64::from(query.until.0));
    let rows = store.within(statement.fetch_all(&store.pool)).await?;
    let dimensions = query.by.len();
    rows.iter().map(|row| Ok(read_sums!(row, dimensions))).collect()
}
