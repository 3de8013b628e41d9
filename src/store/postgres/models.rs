//! Model versions on Postgres.

use super::{Postgres, advance_revision, lock_revision};
use crate::store::{ModelVersion, StoreError, model_errors};
use sqlx::{PgConnection, PgPool};

pub(super) async fn register(pool: &PgPool, model: &str, version: &str) -> Result<(), StoreError> {
    let mut transaction = pool.begin().await?;
    lock_revision(&mut transaction, "models").await?;
    let insert = "INSERT INTO models (model, version) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    let added = sqlx::query(insert).bind(model).bind(version).execute(&mut *transaction).await?;
    if added.rows_affected() > 0 {
        advance_revision(&mut transaction, "models").await?;
    }
    Ok(transaction.commit().await?)
}

pub(super) async fn all(store: &Postgres) -> Result<Vec<ModelVersion>, StoreError> {
    let query =
        sqlx::query_as("SELECT model, version, active FROM models ORDER BY model, key DESC");
    let rows: Vec<(String, String, bool)> = store.within(query.fetch_all(&store.pool)).await?;
    Ok(rows
        .into_iter()
        .map(|(model, version, active)| ModelVersion { model, version, active })
        .collect())
}

pub(super) async fn activate(
    pool: &PgPool,
    model: &str,
    version: &str,
    default: bool,
) -> Result<Option<String>, StoreError> {
    let mut transaction = pool.begin().await?;
    lock_revision(&mut transaction, "models").await?;
    let wanted: Option<(i32, bool)> =
        sqlx::query_as("SELECT key, active FROM models WHERE model = $1 AND version = $2")
            .bind(model)
            .bind(version)
            .fetch_optional(&mut *transaction)
            .await?;
    let (key, active) = wanted.ok_or_else(|| model_errors::unknown(model, version))?;
    let mut before = None;
    if !active {
        before = make_active(&mut transaction, model, key).await?;
        let push = "INSERT INTO model_activations (model_key) VALUES ($1)";
        sqlx::query(push).bind(key).execute(&mut *transaction).await?;
    }
    let renamed = set_default(&mut transaction, model, default).await?;
    if !active || renamed {
        advance_revision(&mut transaction, "models").await?;
    }
    transaction.commit().await?;
    Ok(before)
}

/// Makes the model the default: in place of another one only with `replace`. Answers whether that
/// changed anything.
async fn set_default(
    connection: &mut PgConnection,
    model: &str,
    replace: bool,
) -> Result<bool, sqlx::Error> {
    const UPSERT: &str = "
        INSERT INTO default_model (model) VALUES ($1)
        ON CONFLICT (one) DO UPDATE SET model = excluded.model WHERE $2 AND default_model.model <> excluded.model";
    Ok(sqlx::query(UPSERT).bind(model).bind(replace).execute(connection).await?.rows_affected() > 0)
}

pub(super) async fn default(store: &Postgres) -> Result<Option<String>, StoreError> {
    store
        .within(sqlx::query_scalar("SELECT model FROM default_model").fetch_optional(&store.pool))
        .await
}

pub(super) async fn deactivate(pool: &PgPool, model: &str) -> Result<String, StoreError> {
    const WITHDRAW: &str = "
        UPDATE model_activations SET withdrawn_at = now()
        WHERE withdrawn_at IS NULL AND model_key IN (SELECT key FROM models WHERE model = $1)";
    let mut transaction = pool.begin().await?;
    lock_revision(&mut transaction, "models").await?;
    let update = "UPDATE models SET active = false WHERE model = $1 AND active RETURNING version";
    let version: Option<String> =
        sqlx::query_scalar(update).bind(model).fetch_optional(&mut *transaction).await?;
    let version = version.ok_or_else(|| model_errors::inactive(model))?;
    let removed = sqlx::query("DELETE FROM default_model WHERE model = $1")
        .bind(model)
        .execute(&mut *transaction)
        .await?;
    let others: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM models WHERE active)")
        .fetch_one(&mut *transaction)
        .await?;
    if removed.rows_affected() > 0 && others {
        return Err(model_errors::is_default(model));
    }
    sqlx::query(WITHDRAW).bind(model).execute(&mut *transaction).await?;
    advance_revision(&mut transaction, "models").await?;
    transaction.commit().await?;
    Ok(version)
}

/// Moves the flag; the one before loses it first, because the database allows one a model.
async fn make_active(
    connection: &mut PgConnection,
    model: &str,
    key: i32,
) -> Result<Option<String>, sqlx::Error> {
    let before = sqlx::query_scalar(
        "UPDATE models SET active = false WHERE model = $1 AND active RETURNING version",
    )
    .bind(model)
    .fetch_optional(&mut *connection)
    .await?;
    sqlx::query("UPDATE models SET active = true WHERE key = $1")
        .bind(key)
        .execute(connection)
        .await?;
    Ok(before)
}

/// The latest two activations of a model that stand: their keys, and key and version of what they
/// activated.
const STACK: &str = "
    SELECT a.key, m.key, m.version FROM model_activations a JOIN models m ON m.key = a.model_key
    WHERE m.model = $1 AND a.withdrawn_at IS NULL ORDER BY a.key DESC LIMIT 2";

/// The activation to withdraw, and the key and version of what was active before it.
fn before_top(model: &str, stack: &[(i32, i32, String)]) -> Result<(i32, i32, String), StoreError> {
    match stack {
        [(current, ..), (_, key, version)] => Ok((*current, *key, version.clone())),
        _ => Err(model_errors::nothing_before(model, stack.first().map(|top| top.2.as_str()))),
    }
}

pub(super) async fn rollback_target(store: &Postgres, model: &str) -> Result<String, StoreError> {
    let query = sqlx::query_as(STACK).bind(model);
    Ok(before_top(model, &store.within(query.fetch_all(&store.pool)).await?)?.2)
}

pub(super) async fn rollback(pool: &PgPool, model: &str) -> Result<String, StoreError> {
    let mut transaction = pool.begin().await?;
    lock_revision(&mut transaction, "models").await?;
    let stack: Vec<(i32, i32, String)> =
        sqlx::query_as(STACK).bind(model).fetch_all(&mut *transaction).await?;
    let (current, key, version) = before_top(model, &stack)?;
    let withdraw = "UPDATE model_activations SET withdrawn_at = now() WHERE key = $1";
    sqlx::query(withdraw).bind(current).execute(&mut *transaction).await?;
    make_active(&mut transaction, model, key).await?;
    advance_revision(&mut transaction, "models").await?;
    transaction.commit().await?;
    Ok(version)
}
