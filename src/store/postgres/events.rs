//! Events on Postgres. Rows go into partitions of one kind of retention and one month of receipt,
//! so that what is too old goes by dropping a table.

use super::{Postgres, advance_revision, lock_revision, no_answer};
use crate::{
    domain::{ArticleId, CustomerId, Timestamp, VisitorId},
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
use sqlx::{Connection, Executor, PgConnection, Row, postgres::PgRow};
use std::sync::atomic::Ordering;
use time::{Date, Month};

/// Partitions are made under this lock.
const LOCK_KEY: i64 = i64::from_be_bytes(*b"vitrine\x01");

const SINCE: &str = "
    SELECT e.revision, e.type, (extract(epoch FROM e.at) * 1000)::int8, c.id, v.id, e.article,
        CASE WHEN e.imported THEN 0 ELSE e.counts END
    FROM events e
    LEFT JOIN customers c ON c.key = e.customer
    LEFT JOIN visitors v ON v.key = e.visitor
    WHERE e.revision > $1 AND e.revision <= $2
    ORDER BY e.revision";

const VISITOR: &str = "
    SELECT e.type, e.article, (extract(epoch FROM e.at) * 1000)::int8, e.quantity
    FROM events e
    WHERE e.visitor = (SELECT key FROM visitors WHERE id = $1) AND e.article IS NOT NULL
    ORDER BY e.at DESC, e.article DESC LIMIT $2";

pub(super) async fn add(store: &Postgres, events: &[NewEvent]) -> Result<Vec<Verdict>, StoreError> {
    let salt = secret(store, ERASURE_SALT).await?;
    let work = async {
        let mut connection = store.pool.acquire().await?;
        let now = Millis::now();
        make_partitions(store, &mut connection, now).await?;
        let mut transaction = connection.begin().await?;
        let revision = lock_revision(&mut transaction, "events").await? + 1;
        let verdicts =
            ledger::write(&mut Transaction(&mut transaction), events, &salt, revision, now).await?;
        if verdicts.contains(&Verdict::Accepted) {
            advance_revision(&mut transaction, "events").await?;
        }
        transaction.commit().await?;
        Ok(verdicts)
    };
    tokio::time::timeout(store.patience, work).await.map_err(|_| no_answer())?
}

/// Makes the partitions of this month and the next; asks the database once a month.
async fn make_partitions(
    store: &Postgres,
    connection: &mut PgConnection,
    now: Millis,
) -> Result<(), StoreError> {
    let today = now.datetime().date();
    let months = i32::from(u8::from(today.month())) + 12 * today.year();
    if store.partitions.load(Ordering::Relaxed) == months {
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(LOCK_KEY)
        .execute(&mut *transaction)
        .await?;
    let this = first_of_month(today);
    let next = following(this);
    for (from, to) in [(this, next), (next, following(next))] {
        for retention in Retention::ALL {
            let (name, parent) = (partition(retention, from), format!("events_{retention}"));
            let create = format!(
                "CREATE TABLE IF NOT EXISTS {name} PARTITION OF {parent} FOR VALUES FROM ('{from} 00:00+00') TO ('{to} 00:00+00')"
            );
            transaction.execute(sqlx::AssertSqlSafe(create)).await?;
        }
    }
    transaction.commit().await?;
    store.partitions.store(months, Ordering::Relaxed);
    Ok(())
}

fn first_of_month(date: Date) -> Date {
    date.replace_day(1).unwrap_or(date)
}

fn following(first: Date) -> Date {
    let year = first.year() + i32::from(first.month() == Month::December);
    Date::from_calendar_date(year, first.month().next(), 1).unwrap_or(Date::MAX)
}

fn partition(retention: Retention, month: Date) -> String {
    format!("events_{retention}_{:04}_{:02}", month.year(), u8::from(month.month()))
}

pub(super) async fn since(
    store: &Postgres,
    revision: i64,
    most: u32,
) -> Result<EventPage, StoreError> {
    const END: &str =
        "SELECT revision FROM events WHERE revision > $1 ORDER BY revision OFFSET $2 LIMIT 1";
    store.check_schema().await?;
    let work = async {
        let newest = store
            .pool
            .acquire()
            .await?
            .fetch_one("SELECT value FROM revisions WHERE name = 'events'")
            .await?;
        let newest: i64 = newest.try_get(0)?;
        let end: Option<i64> = sqlx::query_scalar(END)
            .bind(revision)
            .bind(i64::from(most))
            .fetch_optional(&store.pool)
            .await?;
        let until = end.unwrap_or(newest).min(newest);
        let rows = sqlx::query(SINCE).bind(revision).bind(until).fetch_all(&store.pool).await?;
        Ok::<_, sqlx::Error>((rows, until, until < newest))
    };
    let (rows, until, more) = store.within(work).await?;
    let lines = rows.iter().map(read_line).collect::<Result<_, _>>()?;
    Ok(EventPage { lines, revision: until, more })
}

fn read_line(row: &PgRow) -> Result<EventLine, StoreError> {
    let broken = |error: crate::domain::InvalidId| unreadable("an event", &error);
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
        counts: row.try_get(6)?,
    })
}

pub(super) async fn visitor(
    store: &Postgres,
    id: &VisitorId,
    most: usize,
) -> Result<Vec<ActionRecord>, StoreError> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let query = sqlx::query(VISITOR).bind(id.as_str()).bind(most);
    let rows = store.within(query.fetch_all(store.customers.pool())).await?;
    let read = |row: &PgRow| {
        let article =
            ArticleId::parse(row.try_get(1)?).map_err(|error| unreadable("an event", &error))?;
        Ok(ActionRecord {
            kind: row.try_get(0)?,
            article,
            at: Millis(row.try_get(2)?),
            quantity: row.try_get(3)?,
        })
    };
    rows.iter().map(read).collect()
}

/// Drops the partitions that hold nothing received at `before` or later; with them the ids of
/// events that nobody will send again.
pub(super) async fn drop_before(
    store: &Postgres,
    retention: Retention,
    before: Timestamp,
) -> Result<u64, StoreError> {
    const PARTITIONS: &str = "
        SELECT child.relname::text FROM pg_inherits
        JOIN pg_class child ON child.oid = inhrelid JOIN pg_class parent ON parent.oid = inhparent
        WHERE parent.relname = $1 ORDER BY 1";
    let parent = format!("events_{retention}");
    let names: Vec<String> =
        store.within(sqlx::query_scalar(PARTITIONS).bind(&parent).fetch_all(&store.pool)).await?;
    // Names end with the month, so they sort as months do.
    let first_kept = partition(retention, first_of_month(before.datetime().date()));
    let mut dropped = 0;
    for name in names.into_iter().filter(|name| *name < first_kept) {
        let count = format!("SELECT count(*) FROM {name}");
        let rows: i64 = store
            .within(sqlx::query_scalar(sqlx::AssertSqlSafe(count)).fetch_one(&store.pool))
            .await?;
        let drop = format!("DROP TABLE IF EXISTS {name}");
        store.within(store.pool.execute(sqlx::AssertSqlSafe(drop))).await?;
        dropped += rows.unsigned_abs();
    }
    let forget = sqlx::query("DELETE FROM event_ids WHERE received < $1").bind(before.datetime());
    store.within(forget.execute(&store.pool)).await?;
    // Only the present hour is ever asked for.
    let hours =
        sqlx::query("DELETE FROM counted_hours WHERE hour < $1").bind(Millis::now().hour() - 1);
    store.within(hours.execute(&store.pool)).await?;
    Ok(dropped)
}

pub(super) async fn secret(store: &Postgres, name: &str) -> Result<[u8; 32], StoreError> {
    if let Some(secret) = store.secrets.get(name) {
        return Ok(secret);
    }
    store.check_schema().await?;
    let offered = random_secret();
    let insert =
        sqlx::query("INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING");
    store.within(insert.bind(name).bind(&offered[..]).execute(&store.pool)).await?;
    let select = sqlx::query_scalar("SELECT value FROM secrets WHERE name = $1").bind(name);
    let value: Vec<u8> = store.within(select.fetch_one(&store.pool)).await?;
    store.secrets.keep(name, &value)
}

/// The statements of a transaction.
pub(super) struct Transaction<'a>(pub(super) &'a mut PgConnection);

fn slices(hashes: &[Hash]) -> Vec<&[u8]> {
    hashes.iter().map(|hash| &hash[..]).collect()
}

#[async_trait]
impl Ledger for Transaction<'_> {
    async fn erased(&mut self, asked: &[Hash]) -> Result<HashSet<Hash>, StoreError> {
        let query =
            sqlx::query_scalar("SELECT hash FROM erased WHERE hash = ANY($1)").bind(slices(asked));
        Ok(hashes(query.fetch_all(&mut *self.0).await?))
    }

    async fn see(
        &mut self,
        table: SeenTable,
        asked: &[Hash],
        now: Millis,
    ) -> Result<HashSet<Hash>, StoreError> {
        let new = match table {
            SeenTable::Events => sqlx::query_scalar(
                "INSERT INTO event_ids (id, received) SELECT id, $2 FROM unnest($1::bytea[]) AS i (id) \
                 ON CONFLICT DO NOTHING RETURNING id",
            )
            .bind(slices(asked))
            .bind(now.datetime()),
            SeenTable::OrderLines => sqlx::query_scalar(
                "INSERT INTO order_lines (id) SELECT id FROM unnest($1::bytea[]) AS i (id) \
                 ON CONFLICT DO NOTHING RETURNING id",
            )
            .bind(slices(asked)),
        };
        Ok(hashes(new.fetch_all(&mut *self.0).await?))
    }

    /// One look into the index for each. A statement with `= ANY` may be planned while the table is
    /// empty, and then reads the whole table each time until it is analysed.
    async fn persons(
        &mut self,
        table: PersonTable,
        ids: &[&str],
    ) -> Result<HashMap<String, PersonKey>, StoreError> {
        let select = match table {
            PersonTable::Customers => {
                "SELECT i.id, c.key, NULL::int FROM unnest($1::text[]) AS i (id), \
                 LATERAL (SELECT key FROM customers WHERE id = i.id LIMIT 1) c"
            }
            PersonTable::Visitors => {
                "SELECT i.id, v.key, v.customer FROM unnest($1::text[]) AS i (id), \
                 LATERAL (SELECT key, customer FROM visitors WHERE id = i.id LIMIT 1) v"
            }
        };
        Ok(person_keys(sqlx::query_as(select).bind(ids).fetch_all(&mut *self.0).await?))
    }

    async fn add(
        &mut self,
        table: PersonTable,
        ids: &[&str],
    ) -> Result<HashMap<String, PersonKey>, StoreError> {
        let insert = match table {
            PersonTable::Customers => {
                "INSERT INTO customers (id) SELECT unnest($1::text[]) \
                 ON CONFLICT DO NOTHING RETURNING id, key, NULL::int"
            }
            PersonTable::Visitors => {
                "INSERT INTO visitors (id) SELECT unnest($1::text[]) \
                 ON CONFLICT DO NOTHING RETURNING id, key, customer"
            }
        };
        Ok(person_keys(sqlx::query_as(insert).bind(ids).fetch_all(&mut *self.0).await?))
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
            INSERT INTO counted_hours AS c (id, hour, used)
            SELECT i.id, $1, i.used FROM unnest($2::bytea[], $3::real[]) AS i (id, used)
            ON CONFLICT (id) DO UPDATE SET hour = excluded.hour,
                used = excluded.used + CASE WHEN c.hour = excluded.hour THEN c.used ELSE 0 END
            RETURNING id, used";
        let ids: Vec<&[u8]> = added.iter().map(|(hash, _)| &hash[..]).collect();
        let used: Vec<f32> = added.iter().map(|&(_, used)| used).collect();
        let query = sqlx::query_as(ADD).bind(hour).bind(ids).bind(used);
        let rows: Vec<(Vec<u8>, f32)> = query.fetch_all(&mut *self.0).await?;
        Ok(rows.into_iter().filter_map(|(id, used)| Some((id.try_into().ok()?, used))).collect())
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
            )
            SELECT $1, $2, i.* FROM unnest(
                $3::timestamptz[], $4::smallint[], $5::smallint[], $6::integer[], $7::integer[], $8::real[], $9::real[],
                $10::float8[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[],
                $18::text[], $19::text[], $20::text[], $21::smallint[], $22::timestamptz[]
            ) AS i";
        let origin = |row: &EventRow<'_>| row.item.and_then(|item| item.origin.clone());
        macro_rules! column {
            (|$row:ident| $value:expr) => {
                rows.iter().map(|$row| $value).collect::<Vec<_>>()
            };
        }
        sqlx::query(INSERT)
            .bind(revision)
            .bind(now.datetime())
            .bind(column!(|row| row.event.at.datetime()))
            .bind(column!(|row| row.retention()))
            .bind(column!(|row| row.line))
            .bind(column!(|row| row.customer))
            .bind(column!(|row| row.visitor))
            .bind(column!(|row| row.counts))
            .bind(column!(|row| row.quantity()))
            .bind(column!(|row| row.item.and_then(|item| item.price)))
            .bind(column!(|row| row.event.kind.as_str()))
            .bind(column!(|row| row.event.event_id.as_str()))
            .bind(column!(|row| row.item.map(|item| item.article.as_str())))
            .bind(column!(|row| row.event.order_id.as_deref()))
            .bind(column!(|row| row.event.currency.as_deref()))
            .bind(column!(|row| origin(row).map(|origin| origin.list)))
            .bind(column!(|row| origin(row).map(|origin| origin.route)))
            .bind(column!(|row| origin(row).map(|origin| origin.model)))
            .bind(column!(|row| origin(row).map(|origin| origin.version)))
            .bind(column!(|row| origin(row).map(|origin| origin.source)))
            .bind(column!(|row| origin(row).map(|origin| origin.position)))
            .bind(column!(|row| origin(row).map(|origin| origin.answered.datetime())))
            .execute(&mut *self.0)
            .await?;
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
        let hashes: Vec<&[u8]> = hashes.iter().map(|hash| &hash[..]).collect();
        let bury = "INSERT INTO erased (hash) SELECT unnest($1::bytea[]) ON CONFLICT DO NOTHING";
        sqlx::query(bury).bind(hashes).execute(&mut *self.0).await?;
        Ok(())
    }
}
