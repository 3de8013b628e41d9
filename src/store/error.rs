//! What a database can fail of, told without SQL and without passwords.

use sqlx::error::{DatabaseError, ErrorKind};

/// Which kind to use when: the caller may try again ([`Unavailable`](Self::Unavailable)), must
/// change the request ([`Refused`](Self::Refused), [`BadArticle`](Self::BadArticle),
/// [`NotFound`](Self::NotFound),
/// [`Conflict`](Self::Conflict), [`Changed`](Self::Changed)), an operator must act
/// ([`NotMigrated`](Self::NotMigrated)), or something is broken ([`Fault`](Self::Fault)).
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or gave no connection or answer in time; worth trying again.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The database (or a check before it) refuses the data given.
    #[error("the database refused: {0}")]
    Refused(String),
    /// An article that the catalogue does not take; nothing was written.
    #[error("{0}")]
    BadArticle(String),
    #[error("{}", not_migrated(*found, *needed))]
    NotMigrated { found: i64, needed: i64 },
    #[error("{0}")]
    NotFound(String),
    /// What was to be changed has changed meanwhile; nothing was written.
    #[error("{0}")]
    Changed(String),
    /// The change is about a customer or visitor who was erased; nothing was written.
    #[error("{0}")]
    Erased(String),
    /// The change would contradict the state of other things.
    #[error("{0}")]
    Conflict(String),
    /// The database answered with an error that neither the caller nor time can mend.
    #[error("the database failed: {0}")]
    Fault(String),
}

fn not_migrated(found: i64, needed: i64) -> String {
    if found < needed {
        format!(
            "the database has schema version {found}, this program needs {needed}: run `vitrine-server migrate`"
        )
    } else {
        format!(
            "the database has schema version {found}, this program only knows {needed}: run a newer version of it"
        )
    }
}

impl StoreError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Io(error) => Self::Unavailable(format!("the connection failed ({error})")),
            sqlx::Error::Tls(error) => Self::Unavailable(format!("no secure connection ({error})")),
            sqlx::Error::PoolTimedOut => {
                Self::Unavailable("no connection became free in time".into())
            }
            sqlx::Error::PoolClosed => Self::Unavailable("the connection pool is closed".into()),
            sqlx::Error::WorkerCrashed => Self::Unavailable("the database thread ended".into()),
            // The stream broke in the middle of a message.
            sqlx::Error::Protocol(what) => {
                Self::Unavailable(format!("the connection was lost ({what})"))
            }
            sqlx::Error::BeginFailed => Self::Unavailable("the connection was lost".into()),
            sqlx::Error::Configuration(error) => {
                Self::Refused(format!("the database URL is wrong: {error}"))
            }
            sqlx::Error::Migrate(error) => (*error).into(),
            sqlx::Error::Database(error) => from_database(&*error),
            other => Self::Fault(other.to_string()),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        use sqlx::migrate::MigrateError;
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            MigrateError::VersionMismatch(version) => Self::Fault(format!(
                "migration {version} was applied in another form than this program has: the database was made by a \
                 different build"
            )),
            other => Self::Fault(other.to_string()),
        }
    }
}

fn from_database(error: &dyn DatabaseError) -> StoreError {
    let code = error.code().unwrap_or_default();
    if is_outage(&code) {
        return StoreError::Unavailable(format!("{} (code {code})", error.message()));
    }
    match error.kind() {
        ErrorKind::Other if is_bad_data(&code) => {
            StoreError::Refused(format!("{} (code {code})", error.message()))
        }
        ErrorKind::Other => StoreError::Fault(format!("{} (code {code})", error.message())),
        _ => StoreError::Refused(violation(error)),
    }
}

/// Codes that say "not now": SQLSTATE classes of Postgres, result codes of SQLite.
fn is_outage(code: &str) -> bool {
    const SQLSTATES: [&str; 8] = [
        "40001", // serialization failure
        "40P01", // deadlock
        "55P03", // lock not available
        "57014", // statement timeout
        "57P01", // shutting down
        "57P02", // crashed
        "57P03", // starting up
        "53300", // too many connections
    ];
    // The low byte of an extended SQLite code is the code: 5 busy, 6 locked, 10 I/O error, 13 disk
    // full.
    let sqlite =
        code.parse::<u32>().is_ok_and(|n| code.len() < 5 && matches!(n & 0xff, 5 | 6 | 10 | 13));
    SQLSTATES.contains(&code)
        || code.len() == 5 && (code.starts_with("08") || code.starts_with("53"))
        || sqlite
}

/// Class 22 of SQLSTATE, "data exception": a value that the column's type cannot hold.
fn is_bad_data(code: &str) -> bool {
    code.len() == 5 && code.starts_with("22")
}

/// Constraint names in the words of the shop.
fn violation(error: &dyn DatabaseError) -> String {
    // SQLite names the constraint only inside its message.
    let text = error.constraint().unwrap_or_else(|| error.message());
    let known = [
        ("articles_price_not_negative", "a price must not be negative"),
        ("attributes_object", "attributes must be one object"),
        ("purchases_customer_exists", "a purchase names a customer that does not exist"),
        ("purchases_article_exists", "a purchase names an article that does not exist"),
        ("FOREIGN KEY", "a row refers to another that does not exist"),
        ("models_one_active", "a model can have one active version only"),
        (
            "api_keys_name_unique",
            "there is a key of this name already: withdraw it first, or choose another name",
        ),
        (
            "api_keys.name",
            "there is a key of this name already: withdraw it first, or choose another name",
        ),
        ("models_version_unique", "this version of the model is registered already"),
    ];
    known
        .iter()
        .find(|(name, _)| text.contains(name))
        .map_or_else(|| text.to_owned(), |(_, words)| (*words).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_worth_trying_again() {
        for outage in ["57P01", "57014", "53300", "08006", "40P01", "5", "6", "517", "522"] {
            assert!(is_outage(outage), "{outage}");
        }
        for other in ["42P01", "23505", "22P02", "1", "19", "2067", ""] {
            assert!(!is_outage(other), "{other}");
        }
        assert!(StoreError::from(sqlx::Error::PoolTimedOut).is_transient());
        assert!(!StoreError::from(sqlx::Error::RowNotFound).is_transient());
    }

    #[test]
    fn a_schema_behind_and_one_ahead_need_different_remedies() {
        assert!(
            StoreError::NotMigrated { found: 0, needed: 2 }
                .to_string()
                .contains("vitrine-server migrate")
        );
        assert!(StoreError::NotMigrated { found: 3, needed: 2 }.to_string().contains("newer"));
    }
}
