//! Placements on Postgres.

use super::{Postgres, advance_revision, lock_revision};
use crate::store::{
    PlacementChange, PlacementVersion, StoreError,
    access::read_moment,
    placements::{NewVersion, Newest, nothing_before, read_definition},
};
use sqlx::{PgConnection, PgPool, Row};

const CURRENT: &str = "
    SELECT name, version, definition::text, restores, extract(epoch FROM created_at)::bigint, created_by
    FROM placements p
    WHERE definition IS NOT NULL AND version = (SELECT max(version) FROM placements WHERE name = p.name)
    ORDER BY name";
const VERSIONS: &str = "
    SELECT name, version, definition::text, restores, extract(epoch FROM created_at)::bigint, created_by
    FROM placements WHERE name = $1 ORDER BY version DESC LIMIT $2";
/// The newest version below another one.
const BELOW: &str = "
    SELECT version, definition::text, restores FROM placements
    WHERE name = $1 AND version < $2 ORDER BY version DESC LIMIT 1";

pub(super) async fn current(store: &Postgres) -> Result<Vec<PlacementVersion>, StoreError> {
    store.within(sqlx::query(CURRENT).fetch_all(&store.pool)).await?.iter().map(read).collect()
}

pub(super) async fn versions(
    store: &Postgres,
    name: &str,
    limit: u32,
) -> Result<Vec<PlacementVersion>, StoreError> {
    let query = sqlx::query(VERSIONS).bind(name).bind(i64::from(limit));
    store.within(query.fetch_all(&store.pool)).await?.iter().map(read).collect()
}

pub(super) async fn change(
    pool: &PgPool,
    changes: &[PlacementChange<'_>],
    author: &str,
) -> Result<Vec<i64>, StoreError> {
    let mut transaction = pool.begin().await?;
    lock_revision(&mut transaction, "placements").await?;
    let (mut versions, mut changed) = (Vec::with_capacity(changes.len()), false);
    for change in changes {
        let newest = below(&mut transaction, change.name, i64::MAX).await?.unwrap_or_default();
        let version = match newest.next(change)? {
            Some(row) => {
                insert(&mut transaction, &row, author).await?;
                changed = true;
                if row.definition.is_some() { row.version } else { 0 }
            }
            None => newest.current(),
        };
        versions.push(version);
    }
    if changed {
        advance_revision(&mut transaction, "placements").await?;
    }
    transaction.commit().await?;
    Ok(versions)
}

pub(super) async fn rollback(
    pool: &PgPool,
    name: &str,
    expected: Option<i64>,
    author: &str,
) -> Result<i64, StoreError> {
    let mut transaction = pool.begin().await?;
    lock_revision(&mut transaction, "placements").await?;
    let newest = below(&mut transaction, name, i64::MAX).await?.unwrap_or_default();
    newest.expect(name, expected)?;
    let earlier = below(&mut transaction, name, newest.origin()).await?;
    let earlier = earlier.ok_or_else(|| nothing_before(name))?;
    let row = newest.restoring(name, &earlier);
    insert(&mut transaction, &row, author).await?;
    advance_revision(&mut transaction, "placements").await?;
    transaction.commit().await?;
    Ok(if row.definition.is_some() { row.version } else { 0 })
}

async fn below(
    connection: &mut PgConnection,
    name: &str,
    version: i64,
) -> Result<Option<Newest>, StoreError> {
    let row = sqlx::query(BELOW).bind(name).bind(version).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(None) };
    let definition = read_definition(name, row.try_get(1)?)?;
    Ok(Some(Newest { version: row.try_get(0)?, definition, restores: row.try_get(2)? }))
}

async fn insert(
    connection: &mut PgConnection,
    row: &NewVersion<'_>,
    author: &str,
) -> Result<(), StoreError> {
    let insert = "
        INSERT INTO placements (name, version, definition, restores, created_by) VALUES ($1, $2, $3::json, $4, $5)";
    sqlx::query(insert)
        .bind(row.name)
        .bind(row.version)
        .bind(row.definition.map(ToString::to_string))
        .bind(row.restores)
        .bind(author)
        .execute(connection)
        .await?;
    Ok(())
}

fn read(row: &sqlx::postgres::PgRow) -> Result<PlacementVersion, StoreError> {
    let name: String = row.try_get(0)?;
    Ok(PlacementVersion {
        version: row.try_get(1)?,
        definition: read_definition(&name, row.try_get(2)?)?,
        restores: row.try_get(3)?,
        created_at: read_moment(row.try_get(4)?),
        created_by: row.try_get(5)?,
        name,
    })
}
