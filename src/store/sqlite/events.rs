//! Events on SQLite. Writers hold the file's write lock.

use super::Sqlite;
use crate::{
    domain::{ArticleId, CustomerId, InvalidId, Timestamp, VisitorId},
    store::{
        ActionRecord, EventLine, EventPage, Millis, NewEvent, Retention, Store, StoreError,
        Verdict,
        events::{ERASURE_SALT, random_secret},
        ledger::{
            self, EventRow, Hash, Ledger, PersonKey, PersonTable, SeenTable, hashes, person_keys,
        },
        records::unreadable,
    },
};
use async_trait::async_trait;
use hashbrown::{HashMap, HashSet};
use sqlx::{QueryBuilder, Row, SqliteConnection, sqlite::SqliteRow};

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
    let revision = next_revision(&mut transaction).await?;
    let now = Millis::now();
    let verdicts =
        ledger::write(&mut Writer(&mut transaction), events, &salt, revision, now).await?;
    if verdicts.contains(&Verdict::Accepted) {
        store.commit(transaction).await?;
    } else {
        // Every event is known already, by its id or by its order lines: no new revision.
        transaction.rollback().await?;
    }
    Ok(verdicts)
}

/// Advances the revision of events and answers the new one, under which the batch is written.
async fn next_revision(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    const ADVANCE: &str =
        "UPDATE revisions SET value = value + 1 WHERE name = 'events' RETURNING value";
    sqlx::query_scalar(ADVANCE).fetch_one(connection).await
}

pub(super) async fn revision(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT value FROM revisions WHERE name = 'events'")
        .fetch_one(connection)
        .await
}

pub(super) async fn since(store: &Sqlite, after: i64, most: u32) -> Result<EventPage, StoreError> {
    const END: &str =
        "SELECT revision FROM events WHERE revision > $1 ORDER BY revision LIMIT 1 OFFSET $2";
    store.check_schema().await?;
    let mut reading = store.readers.begin().await?;
    let newest = revision(&mut reading).await?;
    let end: Option<i64> = sqlx::query_scalar(END)
        .bind(after)
        .bind(i64::from(most))
        .fetch_optional(&mut *reading)
        .await?;
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

pub(super) async fn visitor(
    store: &Sqlite,
    id: &VisitorId,
    most: usize,
) -> Result<Vec<ActionRecord>, StoreError> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows =
        sqlx::query(VISITOR).bind(id.as_str()).bind(most).fetch_all(&store.customers).await?;
    let read = |row: &SqliteRow| {
        let article =
            ArticleId::parse(row.try_get(1)?).map_err(|error| unreadable("an event", &error))?;
        let quantity = row.try_get::<f64, _>(3)? as f32;
        Ok(ActionRecord { kind: row.try_get(0)?, article, at: Millis(row.try_get(2)?), quantity })
    };
    rows.iter().map(read).collect()
}

pub(super) async fn drop_before(
    store: &Sqlite,
    retention: Retention,
    before: Timestamp,
) -> Result<u64, StoreError> {
    let before = i64::from(before.0) * 1_000;
    let mut transaction = store.begin().await?;
    let dropped = sqlx::query("DELETE FROM events WHERE retention = $1 AND received < $2")
        .bind(retention.number())
        .bind(before)
        .execute(&mut *transaction)
        .await?;
    // Nobody will send them again.
    sqlx::query("DELETE FROM event_ids WHERE received < $1")
        .bind(before)
        .execute(&mut *transaction)
        .await?;
    // Only the present hour is ever asked for.
    let hours =
        sqlx::query("DELETE FROM counted_hours WHERE hour < $1").bind(Millis::now().hour() - 1);
    hours.execute(&mut *transaction).await?;
    store.commit(transaction).await?;
    Ok(dropped.rows_affected())
}

pub(super) async fn secret(store: &Sqlite, name: &str) -> Result<[u8; 32], StoreError> {
    const READ: &str = "SELECT value FROM secrets WHERE name = $1";
    if let Some(secret) = store.secrets.get(name) {
        return Ok(secret);
    }
    store.check_schema().await?;
    let value: Option<Vec<u8>> =
        sqlx::query_scalar(READ).bind(name).fetch_optional(&store.readers).await?;
    let value = match value {
        Some(value) => value,
        None => {
            let offered = random_secret();
            let mut transaction = store.begin().await?;
            let insert = sqlx::query(
                "INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            );
            insert.bind(name).bind(&offered[..]).execute(&mut *transaction).await?;
            let value = sqlx::query_scalar(READ).bind(name).fetch_one(&mut *transaction).await?;
            store.commit(transaction).await?;
            value
        }
    };
    store.secrets.keep(name, &value)
}

/// Rows of one statement.
const TOGETHER: usize = 50;

/// The statements of a transaction.
pub(super) struct Writer<'a>(pub(super) &'a mut SqliteConnection);

/// Values as one parameter for `json_each`: one statement for all of them. Each statement goes to
/// the thread of its connection and back, which takes longer than most statements.
fn list<T: serde::Serialize>(values: impl Iterator<Item = T>) -> String {
    serde_json::to_string(&values.collect::<Vec<_>>()).expect("texts and numbers are plain JSON")
}

fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[async_trait]
impl Ledger for Writer<'_> {
    async fn erased(&mut self, asked: &[Hash]) -> Result<HashSet<Hash>, StoreError> {
        const SELECT: &str =
            "SELECT hash FROM erased WHERE hash IN (SELECT unhex(value) FROM json_each($1))";
        let query = sqlx::query_scalar(SELECT).bind(list(asked.iter().map(hex)));
        Ok(hashes(query.fetch_all(&mut *self.0).await?))
    }

    async fn see(
        &mut self,
        table: SeenTable,
        asked: &[Hash],
        now: Millis,
    ) -> Result<HashSet<Hash>, StoreError> {
        let asked = list(asked.iter().map(hex));
        let new = match table {
            SeenTable::Events => sqlx::query_scalar(
                "INSERT INTO event_ids (id, received) SELECT unhex(value), $2 FROM json_each($1) WHERE true \
                 ON CONFLICT DO NOTHING RETURNING id",
            )
            .bind(asked)
            .bind(now.0),
            SeenTable::OrderLines => sqlx::query_scalar(
                "INSERT INTO order_lines (id) SELECT unhex(value) FROM json_each($1) WHERE true \
                 ON CONFLICT DO NOTHING RETURNING id",
            )
            .bind(asked),
        };
        Ok(hashes(new.fetch_all(&mut *self.0).await?))
    }

    async fn persons(
        &mut self,
        table: PersonTable,
        ids: &[&str],
    ) -> Result<HashMap<String, PersonKey>, StoreError> {
        let select = match table {
            PersonTable::Customers => {
                "SELECT id, key, NULL FROM customers WHERE id IN (SELECT value FROM json_each($1))"
            }
            PersonTable::Visitors => {
                "SELECT id, key, customer FROM visitors WHERE id IN (SELECT value FROM json_each($1))"
            }
        };
        let query = sqlx::query_as(select).bind(list(ids.iter()));
        Ok(person_keys(query.fetch_all(&mut *self.0).await?))
    }

    async fn add(
        &mut self,
        table: PersonTable,
        ids: &[&str],
    ) -> Result<HashMap<String, PersonKey>, StoreError> {
        let insert = match table {
            PersonTable::Customers => {
                "INSERT INTO customers (id) SELECT value FROM json_each($1) WHERE true \
                 ON CONFLICT DO NOTHING RETURNING id, key, NULL"
            }
            PersonTable::Visitors => {
                "INSERT INTO visitors (id) SELECT value FROM json_each($1) WHERE true \
                 ON CONFLICT DO NOTHING RETURNING id, key, customer"
            }
        };
        let query = sqlx::query_as(insert).bind(list(ids.iter()));
        Ok(person_keys(query.fetch_all(&mut *self.0).await?))
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

    async fn count(
        &mut self,
        hour: i32,
        added: &[(Hash, f32)],
    ) -> Result<HashMap<Hash, f32>, StoreError> {
        const ADD: &str = "
            INSERT INTO counted_hours (id, hour, used)
            SELECT unhex(value ->> 0), $2, value ->> 1 FROM json_each($1) WHERE true
            ON CONFLICT (id) DO UPDATE SET hour = excluded.hour,
                used = excluded.used + CASE WHEN counted_hours.hour = excluded.hour THEN counted_hours.used ELSE 0 END
            RETURNING id, used";
        let added = list(added.iter().map(|(hash, used)| (hex(hash), used)));
        let rows: Vec<(Vec<u8>, f64)> =
            sqlx::query_as(ADD).bind(added).bind(hour).fetch_all(&mut *self.0).await?;
        Ok(rows
            .into_iter()
            .filter_map(|(id, used)| Some((id.try_into().ok()?, used as f32)))
            .collect())
    }

    async fn insert(
        &mut self,
        rows: &[EventRow<'_>],
        revision: i64,
        now: Millis,
    ) -> Result<(), StoreError> {
        const INSERT: &str = "
            INSERT INTO events (
                revision, received, at, retention, line, customer, visitor, counts, quantity, price, type, event_id,
                article, order_id, currency, list, route, model, version, source, position, answered
            ) ";
        for rows in rows.chunks(TOGETHER) {
            // Two texts of statements at most times: the whole pieces and the rest, so their plans
            // are kept.
            let mut insert = QueryBuilder::new(INSERT);
            insert.push_values(rows, |mut values, row| {
                let origin = row.item.and_then(|item| item.origin.as_ref());
                values
                    .push_bind(revision)
                    .push_bind(now.0)
                    .push_bind(row.event.at.0)
                    .push_bind(row.retention())
                    .push_bind(row.line)
                    .push_bind(row.customer)
                    .push_bind(row.visitor)
                    .push_bind(f64::from(row.counts))
                    .push_bind(f64::from(row.quantity()))
                    .push_bind(row.item.and_then(|item| item.price))
                    .push_bind(row.event.kind.as_str())
                    .push_bind(row.event.event_id.as_str())
                    .push_bind(row.item.map(|item| item.article.as_str()))
                    .push_bind(row.event.order_id.as_deref())
                    .push_bind(row.event.currency.as_deref())
                    .push_bind(origin.map(|origin| origin.list.as_str()))
                    .push_bind(origin.map(|origin| origin.route.as_str()))
                    .push_bind(origin.map(|origin| origin.model.as_str()))
                    .push_bind(origin.map(|origin| origin.version.as_str()))
                    .push_bind(origin.map(|origin| origin.source.as_str()))
                    .push_bind(origin.map(|origin| origin.position))
                    .push_bind(origin.map(|origin| i64::from(origin.answered.0) * 1_000));
            });
            insert.build().execute(&mut *self.0).await?;
        }
        Ok(())
    }

    async fn with_id(
        &mut self,
        statement: &'static str,
        id: &str,
    ) -> Result<Vec<(i32, String)>, StoreError> {
        Ok(sqlx::query_as(statement).bind(id).fetch_all(&mut *self.0).await?)
    }

    async fn with_key(
        &mut self,
        statement: &'static str,
        key: i32,
    ) -> Result<Vec<(i32, String)>, StoreError> {
        Ok(sqlx::query_as(statement).bind(key).fetch_all(&mut *self.0).await?)
    }

    async fn run(&mut self, statement: &'static str, key: i32) -> Result<u64, StoreError> {
        Ok(sqlx::query(statement).bind(key).execute(&mut *self.0).await?.rows_affected())
    }

    async fn bury(&mut self, hashes: &[Hash]) -> Result<(), StoreError> {
        for hash in hashes {
            let bury = sqlx::query("INSERT INTO erased (hash) VALUES ($1) ON CONFLICT DO NOTHING")
                .bind(&hash[..]);
            bury.execute(&mut *self.0).await?;
        }
        Ok(())
    }
}
