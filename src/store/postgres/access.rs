//! Keys and the record of changes on Postgres.

use super::{Postgres, advance_revision, lock_revision};
use crate::store::{
    AuditRecord, Change, KeyRecord, NewKey, StoreError,
    access::{
        ChangeOutcome, read_hash, read_json, read_moment, read_scopes, unknown_key, write_scopes,
    },
};
use sqlx::{PgPool, Row};

pub(super) async fn keys(store: &Postgres) -> Result<Vec<KeyRecord>, StoreError> {
    const SELECT: &str = "
        SELECT name, hash, scopes::text, requests_per_second, extract(epoch FROM created_at)::bigint,
            extract(epoch FROM withdrawn_at)::bigint
        FROM api_keys ORDER BY key";
    let rows = store.within(sqlx::query(SELECT).fetch_all(&store.pool)).await?;
    let read = |row: &sqlx::postgres::PgRow| {
        let name: String = row.try_get(0)?;
        Ok(KeyRecord {
            hash: read_hash(&name, row.try_get(1)?)?,
            scopes: read_scopes(&name, row.try_get(2)?)?,
            requests_per_second: row
                .try_get::<Option<i32>, _>(3)?
                .and_then(|rate| u32::try_from(rate).ok()),
            created_at: read_moment(row.try_get(4)?),
            withdrawn_at: row.try_get::<Option<i64>, _>(5)?.map(read_moment),
            name,
        })
    };
    rows.iter().map(read).collect()
}

pub(super) async fn add_key(pool: &PgPool, key: &NewKey<'_>) -> Result<(), StoreError> {
    let mut transaction = pool.begin().await?;
    lock_revision(&mut transaction, "keys").await?;
    let insert = "INSERT INTO api_keys (name, hash, scopes, requests_per_second) VALUES ($1, $2, $3::jsonb, $4)";
    sqlx::query(insert)
        .bind(key.name)
        .bind(&key.hash[..])
        .bind(write_scopes(key.scopes))
        .bind(key.requests_per_second.map(|rate| i32::try_from(rate).unwrap_or(i32::MAX)))
        .execute(&mut *transaction)
        .await?;
    advance_revision(&mut transaction, "keys").await?;
    Ok(transaction.commit().await?)
}

pub(super) async fn withdraw_key(pool: &PgPool, name: &str) -> Result<(), StoreError> {
    let mut transaction = pool.begin().await?;
    lock_revision(&mut transaction, "keys").await?;
    let withdraw =
        "UPDATE api_keys SET withdrawn_at = now() WHERE name = $1 AND withdrawn_at IS NULL";
    let changed = sqlx::query(withdraw).bind(name).execute(&mut *transaction).await?;
    if changed.rows_affected() == 0 {
        return Err(unknown_key(name));
    }
    advance_revision(&mut transaction, "keys").await?;
    Ok(transaction.commit().await?)
}

pub(super) async fn begin_change(store: &Postgres, change: &Change<'_>) -> Result<i64, StoreError> {
    let insert = "INSERT INTO audit (actor, action, subject, before) VALUES ($1, $2, $3, $4::json) RETURNING id";
    let query =
        sqlx::query_scalar(insert).bind(change.actor).bind(change.action).bind(change.subject);
    store
        .within(query.bind(change.before.as_ref().map(ToString::to_string)).fetch_one(&store.pool))
        .await
}

pub(super) async fn end_change(
    store: &Postgres,
    id: i64,
    outcome: ChangeOutcome<'_>,
) -> Result<(), StoreError> {
    let word = if outcome.is_ok() { "done" } else { "failed" };
    let update =
        sqlx::query("UPDATE audit SET outcome = $2, after = $3::json, error = $4 WHERE id = $1")
            .bind(id)
            .bind(word)
            .bind(outcome.ok().flatten().map(ToString::to_string))
            .bind(outcome.err());
    store.within(update.execute(&store.pool)).await?;
    Ok(())
}

pub(super) async fn audit(
    store: &Postgres,
    before: i64,
    limit: u32,
) -> Result<Vec<AuditRecord>, StoreError> {
    const SELECT: &str = "
        SELECT id, extract(epoch FROM at)::bigint, actor, action, subject, before::text, after::text, outcome, error
        FROM audit WHERE id < $1 ORDER BY id DESC LIMIT $2";
    let query = sqlx::query(SELECT).bind(before).bind(i64::from(limit));
    let rows = store.within(query.fetch_all(&store.pool)).await?;
    let read = |row: &sqlx::postgres::PgRow| {
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
