//! Events on SQLite. Writers hold the file's write lock.

use super::{Sqlite, advance_revision};
use crate::{
    domain::{ArticleId, CustomerId, InvalidId, Timestamp, VisitorId},
    store::{
        ActionRecord, EventLine, EventPage, Millis, NewEvent, Retention, Store, StoreError, Verdict,
        events::{ERASURE_SALT, random_secret},
        ledger::{self, EventRow, Hash, Ledger, SeenTable, VisitorKey},
        records::unreadable,
    },
};
use async_trait::async_trait;
use hashbrown::{HashMap, HashSet};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

const SINCE: &str = "
    SELECT e.revision, e.type, e.at, c.id, v.id, e.article, CASE WHEN e.imported THEN 0.0 ELSE e.counts END
    FROM events e
    LEFT JOIN customers c ON c.key = e.customer
    LEFT JOIN visitors v ON v.key = e.visitor
    WHERE e.revision > $1 AND e.revision <= $2
    ORDER BY e.revision";

const VISITOR: &str = "
    SELECT e.type, e.article, e.at, e.quantity
    FROM events e
    WHERE e.visitor = (SELECT key FROM visitors WHERE id = $1) AND e.article IS NOT NULL
    ORDER BY e.at DESC, e.article DESC LIMIT $2";

pub(super) async fn add(store: &Sqlite, events: &[NewEvent]) -> Result<Vec<Verdict>, StoreError> {
    let salt = secret(store, ERASURE_SALT).await?;
    let mut transaction = store.begin().await?;
    let revision = revision(&mut transaction).await? + 1;
    let now = Millis::now();
    let verdicts = ledger::write(&mut Writer(&mut transaction), events, &salt, revision, now).await?;
    if verdicts.contains(&Verdict::Accepted) {
        advance_revision(&mut transaction, "events").await?;
    }
    store.commit(transaction).await?;
    Ok(verdicts)
}

pub(super) async fn revision(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT value FROM revisions WHERE name = 'events'").fetch_one(connection).await
}

pub(super) async fn since(store: &Sqlite, after: i64, most: u32) -> Result<EventPage, StoreError> {
    const END: &str = "SELECT revision FROM events WHERE revision > $1 ORDER BY revision LIMIT 1 OFFSET $2";
    store.check_schema().await?;
    let mut reading = store.readers.begin().await?;
    let newest = revision(&mut reading).await?;
    let end: Option<i64> =
        sqlx::query_scalar(END).bind(after).bind(i64::from(most)).fetch_optional(&mut *reading).await?;
    let until = end.unwrap_or(newest).min(newest);
    let rows = sqlx::query(SINCE).bind(after).bind(until).fetch_all(&mut *reading).await?;
    let lines = rows.iter().map(read_line).collect::<Result<_, _>>()?;
    Ok(EventPage { lines, revision: until, more: until < newest })
}

fn read_line(row: &SqliteRow) -> Result<EventLine, StoreError> {
    let broken = |error: InvalidId| unreadable("an event", &error);
    let customer: Option<&str> = row.try_get(3)?;
    let visitor: Option<&str> = row.try_get(4)?;
    let article: Option<&str> = row.try_get(5)?;
    Ok(EventLine {
        revision: row.try_get(0)?,
        kind: row.try_get(1)?,
        at: Millis(row.try_get(2)?),
        customer: customer.map(CustomerId::parse).transpose().map_err(broken)?,
        visitor: visitor.map(VisitorId::parse).transpose().map_err(broken)?,
        article: article.map(ArticleId::parse).transpose().map_err(broken)?,
        counts: row.try_get::<f64, _>(6)? as f32,
    })
}

pub(super) async fn visitor(store: &Sqlite, id: &VisitorId, most: usize) -> Result<Vec<ActionRecord>, StoreError> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = sqlx::query(VISITOR).bind(id.as_str()).bind(most).fetch_all(&store.customers).await?;
    let read = |row: &SqliteRow| {
        let article = ArticleId::parse(row.try_get(1)?).map_err(|error| unreadable("an event", &error))?;
        let quantity = row.try_get::<f64, _>(3)? as f32;
        Ok(ActionRecord { kind: row.try_get(0)?, article, at: Millis(row.try_get(2)?), quantity })
    };
    rows.iter().map(read).collect()
}

pub(super) async fn drop_before(store: &Sqlite, retention: Retention, before: Timestamp) -> Result<u64, StoreError> {
    let before = i64::from(before.0) * 1_000;
    let mut transaction = store.begin().await?;
    let dropped = sqlx::query("DELETE FROM events WHERE retention = $1 AND received < $2")
        .bind(retention.number())
        .bind(before)
        .execute(&mut *transaction)
        .await?;
    // Nobody will send them again.
    sqlx::query("DELETE FROM event_ids WHERE received < $1").bind(before).execute(&mut *transaction).await?;
    store.commit(transaction).await?;
    Ok(dropped.rows_affected())
}

pub(super) async fn secret(store: &Sqlite, name: &str) -> Result<[u8; 32], StoreError> {
    const READ: &str = "SELECT value FROM secrets WHERE name = $1";
    if let Some(secret) = store.secrets.get(name) {
        return Ok(secret);
    }
    store.check_schema().await?;
    let value: Option<Vec<u8>> = sqlx::query_scalar(READ).bind(name).fetch_optional(&store.readers).await?;
    let value = match value {
        Some(value) => value,
        None => {
            let offered = random_secret();
            let mut transaction = store.begin().await?;
            let insert = sqlx::query("INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING");
            insert.bind(name).bind(&offered[..]).execute(&mut *transaction).await?;
            let value = sqlx::query_scalar(READ).bind(name).fetch_one(&mut *transaction).await?;
            store.commit(transaction).await?;
            value
        }
    };
    store.secrets.keep(name, &value)
}

/// The statements of a transaction.
pub(super) struct Writer<'a>(pub(super) &'a mut SqliteConnection);

#[async_trait]
impl Ledger for Writer<'_> {
    async fn erased(&mut self, asked: &[Hash]) -> Result<HashSet<Hash>, StoreError> {
        let mut found = HashSet::new();
        for hash in asked {
            let query = sqlx::query("SELECT 1 FROM erased WHERE hash = $1").bind(&hash[..]);
            if query.fetch_optional(&mut *self.0).await?.is_some() {
                found.insert(*hash);
            }
        }
        Ok(found)
    }

    async fn see(&mut self, table: SeenTable, asked: &[Hash], now: Millis) -> Result<HashSet<Hash>, StoreError> {
        let mut new = HashSet::new();
        for hash in asked {
            let insert = match table {
                SeenTable::Events => {
                    sqlx::query("INSERT INTO event_ids (id, received) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                        .bind(&hash[..])
                        .bind(now.0)
                }
                SeenTable::OrderLines => {
                    sqlx::query("INSERT INTO order_lines (id) VALUES ($1) ON CONFLICT DO NOTHING").bind(&hash[..])
                }
            };
            if insert.execute(&mut *self.0).await?.rows_affected() > 0 {
                new.insert(*hash);
            }
        }
        Ok(new)
    }

    async fn customer_keys(&mut self, ids: &[&str]) -> Result<HashMap<String, i32>, StoreError> {
        let mut keys = HashMap::new();
        for &id in ids {
            let insert = sqlx::query("INSERT INTO customers (id) VALUES ($1) ON CONFLICT DO NOTHING").bind(id);
            insert.execute(&mut *self.0).await?;
            let select = sqlx::query_scalar("SELECT key FROM customers WHERE id = $1").bind(id);
            keys.insert(id.to_owned(), select.fetch_one(&mut *self.0).await?);
        }
        Ok(keys)
    }

    async fn visitor_keys(&mut self, ids: &[&str]) -> Result<HashMap<String, VisitorKey>, StoreError> {
        let mut keys = HashMap::new();
        for &id in ids {
            let insert = sqlx::query("INSERT INTO visitors (id) VALUES ($1) ON CONFLICT DO NOTHING").bind(id);
            insert.execute(&mut *self.0).await?;
            let select = sqlx::query_as("SELECT key, customer FROM visitors WHERE id = $1").bind(id);
            let (key, customer) = select.fetch_one(&mut *self.0).await?;
            keys.insert(id.to_owned(), VisitorKey { key, customer });
        }
        Ok(keys)
    }

    async fn join(&mut self, visitor: i32, customer: i32) -> Result<(), StoreError> {
        for statement in [
            "UPDATE visitors SET customer = $2 WHERE key = $1",
            "UPDATE events SET customer = $2 WHERE visitor = $1 AND customer IS NULL",
        ] {
            sqlx::query(statement).bind(visitor).bind(customer).execute(&mut *self.0).await?;
        }
        Ok(())
    }

    async fn count(&mut self, hour: i32, added: &[(Hash, f32)]) -> Result<HashMap<Hash, f32>, StoreError> {
        const ADD: &str = "
            INSERT INTO counted_hours (id, hour, used) VALUES ($1, $2, $3)
            ON CONFLICT (id) DO UPDATE SET hour = excluded.hour,
                used = excluded.used + CASE WHEN counted_hours.hour = excluded.hour THEN counted_hours.used ELSE 0 END
            RETURNING used";
        let mut sums = HashMap::new();
        for (hash, used) in added {
            let query = sqlx::query_scalar(ADD).bind(&hash[..]).bind(hour).bind(f64::from(*used));
            let sum: f64 = query.fetch_one(&mut *self.0).await?;
            sums.insert(*hash, sum as f32);
        }
        Ok(sums)
    }

    async fn insert(&mut self, rows: &[EventRow<'_>], revision: i64, now: Millis) -> Result<(), StoreError> {
        const INSERT: &str = "
            INSERT INTO events (
                revision, received, at, retention, line, customer, visitor, counts, quantity, price, type, event_id,
                article, order_id, currency, list, route, model, version, source, position, answered
            )
            VALUES (
                $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22
            )";
        for row in rows {
            let origin = row.item.and_then(|item| item.origin.as_ref());
            sqlx::query(INSERT)
                .bind(revision)
                .bind(now.0)
                .bind(row.event.at.0)
                .bind(row.retention())
                .bind(row.line)
                .bind(row.customer)
                .bind(row.visitor)
                .bind(f64::from(row.counts))
                .bind(f64::from(row.quantity()))
                .bind(row.item.and_then(|item| item.price))
                .bind(row.event.kind.as_str())
                .bind(row.event.event_id.as_str())
                .bind(row.item.map(|item| item.article.as_str()))
                .bind(row.event.order_id.as_deref())
                .bind(row.event.currency.as_deref())
                .bind(origin.map(|origin| origin.list.as_str()))
                .bind(origin.map(|origin| origin.route.as_str()))
                .bind(origin.map(|origin| origin.model.as_str()))
                .bind(origin.map(|origin| origin.version.as_str()))
                .bind(origin.map(|origin| origin.source.as_str()))
                .bind(origin.map(|origin| origin.position))
                .bind(origin.map(|origin| i64::from(origin.answered.0) * 1_000))
                .execute(&mut *self.0)
                .await?;
        }
        Ok(())
    }
}
