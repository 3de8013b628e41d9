//! How to reach a database and how long to wait for it.

use super::{CatalogueLimits, StoreError};
use std::{str::FromStr, time::Duration};

/// The embedded default, beside the working directory's other files.
pub const DEFAULT_URL: &str = "sqlite:vitrine.sqlite";

/// Pool sizes and time-outs. The defaults suit one server beside its database.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Connections for [`super::Store::customers`], at most. Everything else shares two more, so
    /// that long work never makes customers wait; on Postgres one more listens for changes.
    pub max_connections: u32,
    /// Longest wait for a free connection, opening one included.
    pub acquire_timeout: Duration,
    /// Longest run of one statement. SQLite: longest wait for another process's lock.
    pub statement_timeout: Duration,
    /// Longest run of a query for customers. Only Postgres can stop it.
    pub customers_timeout: Duration,
    /// How much a change of articles may bring.
    pub catalogue: CatalogueLimits,
}

impl StoreOptions {
    /// Connections for everything but customers: one may be in the middle of the catalogue, one in
    /// the middle of the purchases, one writes events (on Postgres), and the last answers
    /// meanwhile.
    pub const OTHER_CONNECTIONS: u32 = 4;
}

impl Default for StoreOptions {
    fn default() -> Self {
        let statement_timeout = Duration::from_secs(10);
        Self {
            max_connections: 8,
            acquire_timeout: Duration::from_secs(2),
            statement_timeout,
            customers_timeout: statement_timeout,
            catalogue: CatalogueLimits::default(),
        }
    }
}

/// A parsed database URL.
pub(super) enum Address {
    Postgres(sqlx::postgres::PgConnectOptions),
    Sqlite(sqlx::sqlite::SqliteConnectOptions),
}

impl Address {
    /// The text of the URL stays out of the errors: it may hold a password.
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            Ok(Self::Postgres(sqlx::postgres::PgConnectOptions::from_str(url)?))
        } else if let Some(path) = url.strip_prefix("sqlite:") {
            if path.contains(":memory:")
                || path.contains("mode=memory")
                || path.trim_start_matches('/').is_empty()
            {
                // Several connections share the database, which an in-memory one cannot give.
                return Err(StoreError::Refused("SQLite needs a file: write `sqlite:PATH`".into()));
            }
            Ok(Self::Sqlite(sqlx::sqlite::SqliteConnectOptions::from_str(url)?))
        } else {
            Err(StoreError::Refused(
                "the database URL must begin with `postgres://` or `sqlite:`".into(),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_one_of_two_databases() {
        assert!(matches!(
            Address::parse("postgres://shop:secret@db/vitrine"),
            Ok(Address::Postgres(_))
        ));
        assert!(matches!(Address::parse("postgresql://db/vitrine"), Ok(Address::Postgres(_))));
        assert!(matches!(Address::parse(DEFAULT_URL), Ok(Address::Sqlite(_))));
        for bad in [
            "",
            "mysql://x",
            "sqlite:",
            "sqlite::memory:",
            "vitrine.sqlite",
            "postgres://a:secret@h:port/d",
        ] {
            let error = Address::parse(bad).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(!error.is_empty() && !error.contains("secret"), "{bad}: {error}");
        }
    }
}
