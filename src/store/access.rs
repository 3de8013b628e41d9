//! Keys of the API and the record of changes, in the words of both databases.

use super::{Store, StoreError};
use crate::domain::Timestamp;
use serde_json::Value;
use std::fmt::Display;

/// A key as the database knows it; the secret itself is kept nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    pub name: String,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// What the key may do, in the words of the server.
    pub scopes: Vec<String>,
    /// Most requests in a second; `None` for the server's own limit.
    pub requests_per_second: Option<u32>,
    pub created_at: Timestamp,
    /// The key is void from then on.
    pub withdrawn_at: Option<Timestamp>,
}

/// A key to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey<'a> {
    pub name: &'a str,
    pub hash: [u8; 32],
    pub scopes: &'a [String],
    pub requests_per_second: Option<u32>,
}

/// A change that somebody is about to make.
#[derive(Debug, Clone, PartialEq)]
pub struct Change<'a> {
    /// Who: the name of a key, or the user of a command line.
    pub actor: &'a str,
    /// What is done, such as `models.activate`.
    pub action: &'a str,
    /// To what, such as the name of a model.
    pub subject: &'a str,
    pub before: Option<Value>,
}

/// A change as it was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRecord {
    /// Grows with time.
    pub id: i64,
    pub at: Timestamp,
    pub actor: String,
    pub action: String,
    pub subject: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
    /// `begun`, `done` or `failed`.
    pub outcome: String,
    /// Why it failed.
    pub error: Option<String>,
}

/// How a change ended: what is there now, or why it failed.
pub type ChangeOutcome<'a> = Result<Option<&'a Value>, &'a str>;

/// Makes a change and records it: a row before, its outcome after. A change that cannot be recorded
/// is not made. `work` answers what is there after the change beside its own result.
///
/// # Errors
/// Those of the work, and [`StoreError`] when the row cannot be written.
pub async fn audited<T, E: From<StoreError> + Display>(
    store: &dyn Store,
    change: Change<'_>,
    work: impl Future<Output = Result<(T, Option<Value>), E>>,
) -> Result<T, E> {
    let row = store.begin_change(&change).await?;
    let result = work.await;
    let error = result.as_ref().err().map(ToString::to_string);
    let outcome = match (&result, &error) {
        (Ok((_, after)), _) => Ok(after.as_ref()),
        (Err(_), error) => Err(error.as_deref().unwrap_or_default()),
    };
    // The change itself is made or refused by now; its row stays `begun`.
    if let Err(error) = store.end_change(row, outcome).await {
        tracing::warn!(%error, row, action = change.action, "the outcome of a change could not be recorded");
    }
    result.map(|(value, _)| value)
}

/// Texts of scopes as one JSON list.
pub(super) fn write_scopes(scopes: &[String]) -> String {
    Value::from(scopes).to_string()
}

pub(super) fn read_scopes(name: &str, json: &str) -> Result<Vec<String>, StoreError> {
    serde_json::from_str(json)
        .map_err(|error| StoreError::Fault(format!("the scopes of the key `{name}`: {error}")))
}

pub(super) fn read_hash(name: &str, bytes: &[u8]) -> Result<[u8; 32], StoreError> {
    let fault = |_| {
        StoreError::Fault(format!("the hash of the key `{name}` has {} bytes, not 32", bytes.len()))
    };
    bytes.try_into().map_err(fault)
}

pub(super) fn read_json(id: i64, json: Option<String>) -> Result<Option<Value>, StoreError> {
    let fault = |error| StoreError::Fault(format!("row {id} of the audit: {error}"));
    json.map(|json| serde_json::from_str(&json).map_err(fault)).transpose()
}

pub(super) fn read_moment(seconds: i64) -> Timestamp {
    Timestamp(u32::try_from(seconds.max(0)).unwrap_or(u32::MAX))
}

pub(super) fn unknown_key(name: &str) -> StoreError {
    StoreError::NotFound(format!("there is no key `{name}`, or it is withdrawn already"))
}
