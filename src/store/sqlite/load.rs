//! Bulk loading into SQLite.

use super::{advance_revision, cannot_open, catalogue, configure, is_new, schema_version};
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
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Executor, Row, SqlSafeStr, SqliteConnection,
    sqlite::SqliteConnectOptions,
};

/// Purchases a statement: past a few hundred rows the cost of a statement vanishes.
const ROWS: usize = 500;

pub(crate) struct Loader {
    connection: SqliteConnection,
    fingerprint: String,
}

impl Loader {
    pub(crate) async fn open(
        address: SqliteConnectOptions,
        options: &StoreOptions,
    ) -> Result<Self, StoreError> {
        if is_new(&address) {
            return Err(migrations::missing(&migrations::sqlite()));
        }
        let file = address.get_filename().display().to_string();
        let address = configure(address, options).pragma("cache_size", "-65536");
        let mut connection = address.connect().await.map_err(|error| cannot_open(&file, error))?;
        let found =
            schema_version(&mut connection).await.map_err(|error| cannot_open(&file, error))?;
        migrations::check(found, &migrations::sqlite())?;
        Ok(Self { connection, fingerprint: String::new() })
    }
}

/// Advances the progress row, or finds that another import did.
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
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        let found: Option<(i64, i64, i64, bool)> =
            sqlx::query_as(SELECT).bind(fingerprint).fetch_optional(&mut *transaction).await?;
        if let Some((articles, customers, purchases, finished)) = found {
            let [articles, customers, purchases] =
                [articles, customers, purchases].map(|n| n as usize);
            return Ok(Done { articles, customers, purchases, finished });
        }
        // The same columns as the table it will replace, whatever migrations have made of it.
        let table: String =
            sqlx::query_scalar("SELECT sql FROM sqlite_schema WHERE name = 'purchases'")
                .fetch_one(&mut *transaction)
                .await?;
        let columns = table.find('(').map_or("", |at| &table[at..]);
        transaction.execute("DROP TABLE IF EXISTS purchases_incoming").await?;
        let create = format!("CREATE TABLE purchases_incoming {columns}");
        transaction.execute(AssertSqlSafe(create).into_sql_str()).await?;
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
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        advance!(&mut *transaction, &self.fingerprint, "articles", step);
        let kinds = catalogue::schema(&mut transaction).await?.admit_columns(import.kinds)?;
        let revision = catalogue::next_revision(&mut transaction).await?;
        catalogue::write_kinds(&mut transaction, &kinds, false, revision).await?;
        let mut changed = kinds.len() as u64;
        for page in import.pages {
            let page = page?;
            page.iter().try_for_each(|article| check_article(&article.record))?;
            changed += catalogue::write_imported(&mut transaction, &page, revision).await?;
        }
        let removed =
            catalogue::remove_missing(&mut transaction, &import.missing, revision).await?;
        if changed + removed > 0 {
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
        const WRITE: &str = "
            INSERT INTO customers (id, attributes)
            SELECT value ->> 0, value -> 1 FROM json_each($1) WHERE true ORDER BY key
            ON CONFLICT (id) DO UPDATE SET attributes = excluded.attributes WHERE attributes <> excluded.attributes";
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        advance!(&mut *transaction, &self.fingerprint, "customers", step);
        for page in rows.chunks(2_000) {
            let mut json = String::from("[");
            for row in page {
                if json.len() > 1 {
                    json.push(',');
                }
                let id = serde_json::to_string(row.id).expect("a text is plain JSON");
                json.extend(["[", &id, ",", &row.attributes, "]"]);
            }
            json.push(']');
            sqlx::query(WRITE).bind(json).execute(&mut *transaction).await?;
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
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        advance!(&mut *transaction, &self.fingerprint, "purchases", step);
        let full = insert(ROWS);
        let mut nth = Nth::default();
        for page in rows.chunks(ROWS) {
            let sql = if page.len() == ROWS { full.clone() } else { insert(page.len()) };
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for row in page {
                query = query
                    .bind(row.customer)
                    .bind(i64::from(row.at))
                    .bind(row.article)
                    .bind(nth.next(row))
                    .bind(row.price.map(f64::from))
                    .bind(row.channel.map(i32::from))
                    .bind(row.weight.map(f64::from))
                    .bind(i32::from(row.millis));
            }
            query.execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn finish(&mut self) -> Result<(), StoreError> {
        // Rows of purchases hold keys and no ids: there is nothing to overwrite in millions of
        // them.
        self.connection.execute("PRAGMA secure_delete = OFF").await?;
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        let finished = sqlx::query(
            "UPDATE import_progress SET finished_at = unixepoch() WHERE fingerprint = $1 AND finished_at IS NULL",
        )
        .bind(&self.fingerprint)
        .execute(&mut *transaction)
        .await?;
        if finished.rows_affected() == 0 {
            return Err(another_import());
        }
        transaction.execute(MARK_TOLD).await?;
        transaction.execute("DROP TABLE purchases").await?;
        transaction.execute("ALTER TABLE purchases_incoming RENAME TO purchases").await?;
        advance_revision(&mut transaction, "purchases").await?;
        transaction.commit().await?;
        // Gives the log's space back; a reader in the way only puts it off.
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").await?;
        Ok(())
    }
}

/// Marks the told purchases that the files hold as well.
const MARK_TOLD: &str = "
    UPDATE events SET imported = NOT imported
    WHERE retention = 0 AND type = 'purchase' AND imported <> EXISTS (
        SELECT 1 FROM purchases_incoming p JOIN articles a ON a.key = p.article
        WHERE p.customer = events.customer AND a.id = events.article
            AND p.at BETWEEN events.at / 1000 - 86400 AND events.at / 1000 + 86400
            AND (p.at / 86400 = events.at / 86400000 OR abs(p.at - events.at / 1000) <= 7200)
    )";

/// An INSERT of so many purchases; few distinct texts, so the prepared statement is found again.
fn insert(rows: usize) -> String {
    let mut sql = String::from(
        "INSERT INTO purchases_incoming (customer, at, article, nth, price, channel, weight, millis) VALUES ",
    );
    for row in 0..rows {
        sql.push_str(if row == 0 { "(?,?,?,?,?,?,?,?)" } else { ",(?,?,?,?,?,?,?,?)" });
    }
    sql
}

/// Numbers the purchases that a customer made of one article in one second. Within a second those
/// of other articles may stand between them.
#[derive(Default)]
struct Nth {
    moment: Option<(i32, u32)>,
    /// The articles of this moment, each with the number of its next purchase.
    next: Vec<(i32, i32)>,
}

impl Nth {
    fn next(&mut self, row: &PurchaseRow) -> i32 {
        let moment = Some((row.customer, row.at));
        if moment != self.moment {
            self.moment = moment;
            self.next.clear();
        }
        match self.next.iter_mut().find(|(article, _)| *article == row.article) {
            Some((_, next)) => {
                *next += 1;
                *next - 1
            }
            None => {
                self.next.push((row.article, 1));
                0
            }
        }
    }
}
