//! Keeping two retrainings of one shop apart.

use super::{Address, StoreError, StoreOptions, postgres, sqlite};
use sqlx::PgConnection;
use std::fs::File;

/// Held while a retraining runs. The database, or the system, gives it back when the process ends,
/// however it ends.
pub struct RetrainLock {
    _held: Held,
}

enum Held {
    /// A lock of the session.
    Postgres { _session: PgConnection },
    /// A lock on a file beside the database.
    File { _locked: File },
}

impl RetrainLock {
    /// `None` when another process holds it.
    ///
    /// # Errors
    /// A database that is away, or a file that cannot be made.
    pub async fn take(url: &str, options: &StoreOptions) -> Result<Option<Self>, StoreError> {
        let held = match Address::parse(url)? {
            Address::Postgres(address) => postgres::lock_retraining(address, options)
                .await?
                .map(|session| Held::Postgres { _session: session }),
            Address::Sqlite(address) => {
                sqlite::lock_retraining(&address)?.map(|locked| Held::File { _locked: locked })
            }
        };
        Ok(held.map(|held| Self { _held: held }))
    }
}
