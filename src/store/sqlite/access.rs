//! Keys and the record of changes on SQLite.

use super::{Sqlite, advance_revision};
use crate::store::{
    AuditRecord, Change, KeyRecord, NewKey, StoreError,
    access::{
        ChangeOutcome, read_hash, read_json, read_moment, read_scopes, unknown_key, write_scopes,
    },
};
use sqlx::Row;

pub(super) async fn keys(store: &Sqlite) -> Result<Vec<KeyRecord>, StoreError> {
    const SELECT: &str = "
        SELECT name, hash, scopes, requests_per_second, created_at, withdrawn_at FROM api_keys ORDER BY key";
    let rows = sqlx::query(SELECT).fetch_all(&store.readers).await?;
    let read = |row: &sqlx::sqlite::SqliteRow| {
        let name: String = row.try_get(0)?;
        Ok(KeyRecord {
            hash: read_hash(&name, row.try_get(1)?)?,
            scopes: read_scopes(&name, row.try_get(2)?)?,
            requests_per_second: row
                .try_get::<Option<i64>, _>(3)?
                .and_then(|rate| u32::try_from(rate).ok()),
            created_at: read_moment(row.try_get(4)?),
            withdrawn_at: row.try_get::<Option<i64>, _>(5)?.map(read_moment),
            name,
        })
    };
    rows.iter().map(read).collect()
}

pub(super) async fn add_key(store: &Sqlite, key: &NewKey<'_>) -> Result<(), StoreError> {
    let mut transaction = store.begin().await?;
    sqlx::query(
        "INSERT INTO api_keys (name, hash, scopes, requests_per_second) VALUES ($1, $2, $3, $4)",
    )
    .bind(key.name)
    .bind(&key.hash[..])
    .bind(write_scopes(key.scopes))
    .bind(key.requests_per_second)
    .execute(&mut *transaction)
    .await?;
    advance_revision(&mut transaction, "keys").await?;
    store.commit(transaction).await
}

pub(super) async fn withdraw_key(store: &Sqlite, name: &str) -> Result<(), StoreError> {
    let mut transaction = store.begin().await?;
    let withdraw =
        "UPDATE api_keys SET withdrawn_at = unixepoch() WHERE name = $1 AND withdrawn_at IS NULL";
    let changed = sqlx::query(withdraw).bind(name).execute(&mut *transaction).await?;
    if changed.rows_affected() == 0 {
        return Err(unknown_key(name));
    }
    advance_revision(&mut transaction, "keys").await?;
    store.commit(transaction).await
}

pub(super) async fn begin_change(store: &Sqlite, change: &Change<'_>) -> Result<i64, StoreError> {
    let insert =
        "INSERT INTO audit (actor, action, subject, before) VALUES ($1, $2, $3, $4) RETURNING id";
    let query =
        sqlx::query_scalar(insert).bind(change.actor).bind(change.action).bind(change.subject);
    Ok(query.bind(change.before.as_ref().map(ToString::to_string)).fetch_one(&store.writer).await?)
}

pub(super) async fn end_change(
    store: &Sqlite,
    id: i64,
    outcome: ChangeOutcome<'_>,
) -> Result<(), StoreError> {
    let word = if outcome.is_ok() { "done" } else { "failed" };
    sqlx::query("UPDATE audit SET outcome = $2, after = $3, error = $4 WHERE id = $1")
        .bind(id)
        .bind(word)
        .bind(outcome.ok().flatten().map(ToString::to_string))
        .bind(outcome.err())
        .execute(&store.writer)
        .await?;
    Ok(())
}

pub(super) async fn audit(
    store: &Sqlite,
    before: i64,
    limit: u32,
) -> Result<Vec<AuditRecord>, StoreError> {
    const SELECT: &str = "
        SELECT id, at, actor, action, subject, before, after, outcome, error
        FROM audit WHERE id < $1 ORDER BY id DESC LIMIT $2";
    let rows = sqlx::query(SELECT).bind(before).bind(limit).fetch_all(&store.readers).await?;
    let read = |row: &sqlx::sqlite::SqliteRow| {
        let id = row.try_get(0)?;
        Ok(AuditRecord {
            id,
            at: read_moment(row.try_get(1)?),
            actor: row.try_get(2)?,
            action: row.try_get(3)?,
            subject: row.try_get(4)?,
            before: read_json(id, row.try_get(5)?)?,
            after: read_json(id, row.try_get(6)?)?,
            outcome: row.try_get(7)?,
            error: row.try_get(8)?,
        })
    };
    rows.iter().map(read).collect()
}
