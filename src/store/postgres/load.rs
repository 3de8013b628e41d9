//! Bulk loading into Postgres: `unnest` for what may exist already, binary COPY for purchases.

use super::{advance_revision, catalogue, lock_revision, open_one, schema_version};
use crate::store::{
    StoreError, StoreOptions,
    events::{ERASURE_SALT, Tombstones},
    import::{
        ArticleImport, CustomerRow, Done, KeyVisitor, PurchaseRow, Step, Table, Target,
        another_import,
    },
    migrations,
    schema::check_article,
};
use async_trait::async_trait;
use futures_util::TryStreamExt;
use sqlx::{Connection, Executor, PgConnection, Row, postgres::PgConnectOptions};
use std::time::Duration;

pub(crate) struct Loader {
    connection: PgConnection,
    fingerprint: String,
}

/// Marks the told purchases that the files hold as well.
const MARK_TOLD: &str = "
    UPDATE events e SET imported = m.imported
    FROM (
        SELECT e.event_id, e.line, EXISTS (
            SELECT FROM purchases_incoming p JOIN articles a ON a.key = p.article
            WHERE p.customer = e.customer AND a.id = e.article
                AND p.at BETWEEN e.at - interval '1 day' AND e.at + interval '1 day'
                AND (
                    (p.at AT TIME ZONE 'UTC')::date = (e.at AT TIME ZONE 'UTC')::date
                    OR p.at BETWEEN e.at - interval '2 hours' AND e.at + interval '2 hours'
                )
        ) AS imported
        FROM events e WHERE e.retention = 0 AND e.type = 'purchase'
    ) m
    WHERE e.retention = 0 AND e.event_id = m.event_id AND e.line = m.line AND e.imported <> m.imported";

/// Held while an import begins and while one finishes: nothing but this keeps two apart that build
/// the same index.
const LOCK_KEY: i64 = i64::from_be_bytes(*b"vitrine\0");

/// Bytes of COPY data sent at a time.
const CHUNK: usize = 1 << 20;

impl Loader {
    pub(crate) async fn open(
        address: PgConnectOptions,
        options: &StoreOptions,
    ) -> Result<Self, StoreError> {
        // No statement time-out: building the index of a large table takes minutes.
        let address =
            address.application_name("vitrine import").options([("maintenance_work_mem", "256MB")]);
        let mut connection = open_one(&address, options.acquire_timeout).await?;
        migrations::check(schema_version(&mut connection).await?, &migrations::postgres())?;
        Ok(Self { connection, fingerprint: String::new() })
    }

    /// One try of the swap. DROP needs the exclusive lock of the tables referred to as well, and
    /// whoever comes later waits behind it; so it gives up soon rather than hold up every reader
    /// behind a slow one. The order of the tables is that in which readers come to them.
    async fn swap(&mut self) -> Result<(), StoreError> {
        let mut transaction = self.connection.begin().await?;
        // No event is written meanwhile.
        lock_revision(&mut transaction, "events").await?;
        for statement in [
            MARK_TOLD,
            "SET LOCAL lock_timeout = '500ms'",
            "LOCK TABLE customers, purchases, articles, purchases_incoming IN ACCESS EXCLUSIVE MODE",
            "DROP TABLE purchases",
            "ALTER TABLE purchases_incoming RENAME TO purchases",
            "ALTER INDEX purchases_incoming_latest RENAME TO purchases_latest",
        ] {
            transaction.execute(statement).await?;
        }
        let finished = sqlx::query(
            "UPDATE import_progress SET finished_at = now() WHERE fingerprint = $1 AND finished_at IS NULL",
        )
        .bind(&self.fingerprint)
        .execute(&mut *transaction)
        .await?;
        if finished.rows_affected() == 0 {
            return Err(another_import());
        }
        advance_revision(&mut transaction, "purchases").await?;
        Ok(transaction.commit().await?)
    }
}

/// Advances the progress row, or finds that another import did. Done first in a batch's
/// transaction: of two imports the second waits here for the first one's commit and then stops.
macro_rules! advance {
    ($connection:expr, $fingerprint:expr, $column:literal, $step:expr) => {{
        let update = concat!(
            "UPDATE import_progress SET ",
            $column,
            " = $3 ",
            "WHERE fingerprint = $1 AND ",
            $column,
            " = $2 AND finished_at IS NULL"
        );
        let (from, to) = ($step.from as i64, $step.to as i64);
        let advanced =
            sqlx::query(update).bind($fingerprint).bind(from).bind(to).execute($connection).await?;
        if advanced.rows_affected() == 0 {
            return Err(another_import());
        }
    }};
}

#[async_trait]
impl Target for Loader {
    async fn begin(&mut self, fingerprint: &str) -> Result<Done, StoreError> {
        const SELECT: &str = "
            SELECT articles, customers, purchases, finished_at IS NOT NULL FROM import_progress
            WHERE fingerprint = $1";
        fingerprint.clone_into(&mut self.fingerprint);
        let mut transaction = self.connection.begin().await?;
        // Of two imports that begin at once the second finds the row of the first.
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(LOCK_KEY)
            .execute(&mut *transaction)
            .await?;
        let found: Option<(i64, i64, i64, bool)> =
            sqlx::query_as(SELECT).bind(fingerprint).fetch_optional(&mut *transaction).await?;
        if let Some((articles, customers, purchases, finished)) = found {
            let [articles, customers, purchases] =
                [articles, customers, purchases].map(|n| n as usize);
            return Ok(Done { articles, customers, purchases, finished });
        }
        transaction.execute("DROP TABLE IF EXISTS purchases_incoming").await?;
        transaction
            .execute(
                "CREATE TABLE purchases_incoming (LIKE purchases INCLUDING ALL EXCLUDING INDEXES)",
            )
            .await?;
        transaction.execute("DELETE FROM import_progress").await?;
        let insert = "INSERT INTO import_progress (fingerprint) VALUES ($1)";
        sqlx::query(insert).bind(fingerprint).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(Done::default())
    }

    async fn put_articles(
        &mut self,
        import: ArticleImport<'_>,
        step: Step,
    ) -> Result<usize, StoreError> {
        let mut transaction = self.connection.begin().await?;
        advance!(&mut *transaction, &self.fingerprint, "articles", step);
        let revision = lock_revision(&mut transaction, "catalogue").await? + 1;
        let kinds = catalogue::schema(&mut transaction).await?.admit_columns(import.kinds)?;
        catalogue::write_kinds(&mut transaction, &kinds, false, revision).await?;
        let mut changed = kinds.len() as i64;
        for page in import.pages {
            let page = page?;
            page.iter().try_for_each(|article| check_article(&article.record))?;
            changed += catalogue::write_imported(&mut transaction, &page, revision).await?;
        }
        let removed =
            catalogue::remove_missing(&mut transaction, &import.missing, revision).await?;
        if changed > 0 || removed > 0 {
            advance_revision(&mut transaction, "catalogue").await?;
        }
        transaction.commit().await?;
        Ok(removed as usize)
    }

    async fn put_customers(
        &mut self,
        rows: &[CustomerRow<'_>],
        step: Step,
    ) -> Result<(), StoreError> {
        // As for articles: no key is drawn for a row that exists.
        const UPDATE: &str = "
            UPDATE customers c SET attributes = i.attributes::jsonb
            FROM unnest($1::text[], $2::text[]) AS i (id, attributes)
            WHERE c.id = i.id AND c.attributes <> i.attributes::jsonb";
        const INSERT: &str = "
            INSERT INTO customers (id, attributes)
            SELECT i.id, i.attributes::jsonb
            FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS i (id, attributes, n)
            WHERE NOT EXISTS (SELECT FROM customers c WHERE c.id = i.id) ORDER BY n
            ON CONFLICT DO NOTHING";
        let ids: Vec<&str> = rows.iter().map(|row| row.id).collect();
        let attributes: Vec<&str> = rows.iter().map(|row| &*row.attributes).collect();
        let mut transaction = self.connection.begin().await?;
        advance!(&mut *transaction, &self.fingerprint, "customers", step);
        for statement in [UPDATE, INSERT] {
            sqlx::query(statement).bind(&ids).bind(&attributes).execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn tombstones(&mut self) -> Result<Tombstones, StoreError> {
        let salt =
            sqlx::query_scalar("SELECT value FROM secrets WHERE name = $1").bind(ERASURE_SALT);
        let salt = salt.fetch_optional(&mut self.connection).await?;
        let hashes =
            sqlx::query_scalar("SELECT hash FROM erased").fetch_all(&mut self.connection).await?;
        Ok(Tombstones::new(salt, hashes))
    }

    async fn keys(&mut self, table: Table, visit: KeyVisitor<'_>) -> Result<(), StoreError> {
        let mut rows = sqlx::query(match table {
            Table::Articles => "SELECT id, key FROM articles",
            Table::Customers => "SELECT id, key FROM customers",
        })
        .fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await? {
            let (id, key): (&str, i32) = (row.try_get(0)?, row.try_get(1)?);
            visit(id, key);
        }
        Ok(())
    }

    async fn put_purchases(&mut self, rows: &[PurchaseRow], step: Step) -> Result<(), StoreError> {
        let mut transaction = self.connection.begin().await?;
        advance!(&mut *transaction, &self.fingerprint, "purchases", step);
        let copy = "COPY purchases_incoming (at, customer, article, price, channel, weight) FROM STDIN (FORMAT binary)";
        let mut copy = transaction.copy_in_raw(copy).await?;
        let mut buffer = Vec::with_capacity(CHUNK + 64);
        buffer.extend_from_slice(HEADER);
        for row in rows {
            encode(row, &mut buffer);
            if buffer.len() >= CHUNK {
                copy.send(&buffer[..]).await?;
                buffer.clear();
            }
        }
        buffer.extend_from_slice(&(-1i16).to_be_bytes());
        copy.send(&buffer[..]).await?;
        copy.finish().await?;
        Ok(transaction.commit().await?)
    }

    async fn finish(&mut self) -> Result<(), StoreError> {
        // Until the connection closes, so that whoever waits here finds all done.
        sqlx::query("SELECT pg_advisory_lock($1)")
            .bind(LOCK_KEY)
            .execute(&mut self.connection)
            .await?;
        let unfinished =
            "SELECT FROM import_progress WHERE fingerprint = $1 AND finished_at IS NULL";
        let unfinished = sqlx::query(unfinished)
            .bind(&self.fingerprint)
            .fetch_optional(&mut self.connection)
            .await?;
        if unfinished.is_none() {
            return Err(another_import());
        }
        // Each step by itself, so that none holds locks longer than it must; all can be repeated.
        // NOT VALID and VALIDATE, because adding a valid constraint would block writers of both
        // tables while it looks.
        for statement in [
            "CREATE INDEX IF NOT EXISTS purchases_incoming_latest ON purchases_incoming (customer, at)",
            "ALTER TABLE purchases_incoming DROP CONSTRAINT IF EXISTS purchases_customer_exists, \
             ADD CONSTRAINT purchases_customer_exists FOREIGN KEY (customer) REFERENCES customers ON DELETE CASCADE NOT VALID",
            "ALTER TABLE purchases_incoming DROP CONSTRAINT IF EXISTS purchases_article_exists, \
             ADD CONSTRAINT purchases_article_exists FOREIGN KEY (article) REFERENCES articles NOT VALID",
            // Customers who asked to be forgotten while the import ran.
            "DELETE FROM purchases_incoming p WHERE NOT EXISTS (SELECT FROM customers c WHERE c.key = p.customer)",
            "ALTER TABLE purchases_incoming VALIDATE CONSTRAINT purchases_customer_exists",
            "ALTER TABLE purchases_incoming VALIDATE CONSTRAINT purchases_article_exists",
        ] {
            self.connection.execute(statement).await?;
        }
        let mut tries = 120;
        while let Err(error) = self.swap().await {
            tries -= 1;
            if !error.is_transient() || tries == 0 {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        // The planner knows nothing of the new table yet.
        self.connection.execute("ANALYZE articles, customers, purchases").await?;
        Ok(())
    }
}

/// Signature, flags and extension length of the binary COPY format.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// Appends a tuple: the number of fields, then each with its length (−1 for NULL), big-endian.
fn encode(row: &PurchaseRow, buffer: &mut Vec<u8>) {
    /// From 1970-01-01 to 2000-01-01, where Postgres counts from, in seconds.
    const EPOCH: i64 = 946_684_800;
    let at = (i64::from(row.at) - EPOCH) * 1_000_000 + i64::from(row.millis) * 1_000;
    buffer.extend_from_slice(&6i16.to_be_bytes());
    buffer.extend_from_slice(&8i32.to_be_bytes());
    buffer.extend_from_slice(&at.to_be_bytes());
    for key in [row.customer, row.article] {
        buffer.extend_from_slice(&4i32.to_be_bytes());
        buffer.extend_from_slice(&key.to_be_bytes());
    }
    encode_real(row.price, buffer);
    match row.channel {
        Some(channel) => {
            buffer.extend_from_slice(&2i32.to_be_bytes());
            buffer.extend_from_slice(&i16::from(channel).to_be_bytes());
        }
        None => buffer.extend_from_slice(&(-1i32).to_be_bytes()),
    }
    encode_real(row.weight, buffer);
}

fn encode_real(number: Option<f32>, buffer: &mut Vec<u8>) {
    match number {
        Some(number) => {
            buffer.extend_from_slice(&4i32.to_be_bytes());
            buffer.extend_from_slice(&number.to_be_bytes());
        }
        None => buffer.extend_from_slice(&(-1i32).to_be_bytes()),
    }
}
