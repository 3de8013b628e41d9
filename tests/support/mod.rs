//! What the integration tests share. Each test binary uses a part of it.
#![allow(dead_code)]

pub mod postgres;

use sqlx::{Connection, Executor, PgConnection};
use std::{path::Path, sync::Arc, time::Duration};
use vitrine::store::{self, Store, StoreOptions};

/// For everything that is not about time: a busy machine may take seconds for what else takes
/// milliseconds.
pub fn patient() -> StoreOptions {
    let long = Duration::from_secs(60);
    StoreOptions {
        acquire_timeout: long,
        statement_timeout: long,
        customers_timeout: long,
        ..StoreOptions::default()
    }
}

/// A migrated database of its own for one test.
pub struct Database {
    pub url: String,
    pub store: Arc<dyn Store>,
    _directory: Option<tempfile::TempDir>,
}

impl Database {
    /// An SQLite file in a temporary directory.
    pub async fn sqlite() -> Self {
        let (url, directory) = empty_sqlite();
        Self::open(url, Some(directory)).await
    }

    /// A database in the shared throw-away cluster.
    pub async fn postgres() -> Self {
        Self::open(postgres::shared().database(), None).await
    }

    async fn open(url: String, directory: Option<tempfile::TempDir>) -> Self {
        let options = patient();
        store::migrate(&url, &options).await.expect("a new database can be migrated");
        let store =
            store::connect(&url, &options).await.expect("a migrated database can be opened");
        Self { url, store, _directory: directory }
    }
}

/// The URL of an SQLite file that does not exist, in a directory that goes with the second value.
pub fn empty_sqlite() -> (String, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    (format!("sqlite:{}", directory.path().join("shop.sqlite").display()), directory)
}

/// Runs statements past the store, as an operator would.
pub async fn execute(url: &str, statements: &str) {
    try_execute(url, statements).await.expect("the statement runs");
}

pub async fn try_execute(url: &str, statements: &str) -> Result<(), sqlx::Error> {
    let statements = sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned()));
    if url.starts_with("sqlite:") {
        statements.execute(&mut sqlx::SqliteConnection::connect(url).await?).await?;
    } else {
        statements.execute(&mut PgConnection::connect(url).await?).await?;
    }
    Ok(())
}

/// A Postgres session that holds a lock until it is dropped.
pub async fn hold_lock(url: &str, statement: &'static str) -> PgConnection {
    let mut connection = PgConnection::connect(url).await.expect("Postgres accepts connections");
    for statement in ["BEGIN", statement] {
        connection.execute(statement).await.expect("the lock is free");
    }
    connection
}

/// Has a row once a session of a Postgres database waits for a lock.
pub const BLOCKED: &str = "SELECT 'x' FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// The texts of one column.
pub async fn texts(url: &str, query: &str) -> Vec<String> {
    let query = sqlx::AssertSqlSafe(query.to_owned());
    let texts = if url.starts_with("sqlite:") {
        let mut connection = sqlx::SqliteConnection::connect(url).await.expect("the file opens");
        sqlx::query_scalar(query).fetch_all(&mut connection).await
    } else {
        let mut connection =
            PgConnection::connect(url).await.expect("Postgres accepts connections");
        sqlx::query_scalar(query).fetch_all(&mut connection).await
    };
    texts.expect("the query runs")
}

/// Where a database holds a text: tables of Postgres; of SQLite the files themselves, what was
/// deleted included.
pub async fn places_of(url: &str, text: &str) -> Vec<String> {
    let Some(file) = url.strip_prefix("sqlite:") else {
        const TABLES: &str = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
        let mut places = Vec::new();
        for table in texts(url, TABLES).await {
            let rows = format!(
                "SELECT '{table}'::text FROM {table} t WHERE t::text LIKE '%{text}%' LIMIT 1"
            );
            places.extend(texts(url, &rows).await);
        }
        return places;
    };
    let files = [file.to_owned(), format!("{file}-wal")];
    files.into_iter().filter(|file| file_holds(Path::new(file), text)).collect()
}

/// Whether the bytes of a file hold a text that no letter or digit follows.
pub fn file_holds(file: &Path, text: &str) -> bool {
    let bytes = std::fs::read(file).unwrap_or_default();
    let ends = |at: usize| !bytes.get(at + text.len()).is_some_and(u8::is_ascii_alphanumeric);
    memchr::memmem::find_iter(&bytes, text).any(ends)
}
