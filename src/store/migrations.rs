//! The schema's versions, embedded in the binary. Built from plain files rather than by sqlx's
//! macro, which would bring its parser into every build.

use super::StoreError;
use sqlx::{
    SqlSafeStr,
    migrate::{Migrate, Migration, MigrationType, Migrator},
};

const TABLE: &str = "_sqlx_migrations";

macro_rules! migrations {
    ($database:literal: $($version:literal $name:literal),+ $(,)?) => {
        Migrator::with_migrations(vec![$(Migration::new(
            $version,
            $name.into(),
            MigrationType::Simple,
            include_str!(concat!("../../migrations/", $database, "/", $name, ".sql")).into_sql_str(),
            false,
        )),+])
    };
}

pub(super) fn postgres() -> Migrator {
    migrations!(
        "postgres": 1 "0001_schema", 2 "0002_weights", 3 "0003_popularity", 4 "0004_catalogue", 5 "0005_keys",
        6 "0006_default_model", 7 "0007_placements", 8 "0008_events"
    )
}

pub(super) fn sqlite() -> Migrator {
    migrations!(
        "sqlite": 1 "0001_schema", 2 "0002_weights", 3 "0003_popularity", 4 "0004_catalogue", 5 "0005_keys",
        6 "0006_default_model", 7 "0007_placements", 8 "0008_events"
    )
}

/// The newest version a migrator knows.
pub(super) fn newest(migrator: &Migrator) -> i64 {
    migrator.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Applies what is missing; answers the versions before and after.
pub(super) async fn run<C: Migrate>(
    migrator: &Migrator,
    connection: &mut C,
) -> Result<(i64, i64), StoreError> {
    // Postgres's advisory lock (nothing on SQLite): replicas that start together migrate once. The
    // migrator takes it again, which a session may; on an error the caller closes the connection
    // and with it the lock.
    connection.lock().await?;
    connection.ensure_migrations_table(TABLE).await?;
    let before = applied(connection).await?;
    let newest = newest(migrator);
    if before > newest {
        return Err(StoreError::NotMigrated { found: before, needed: newest });
    }
    migrator.run_direct(None, connection, false).await?;
    connection.unlock().await?;
    Ok((before, newest))
}

async fn applied<C: Migrate>(connection: &mut C) -> Result<i64, StoreError> {
    let applied = connection.list_applied_migrations(TABLE).await?;
    Ok(applied.iter().map(|migration| migration.version).max().unwrap_or(0))
}

/// The version found in the database must be the one this program was built for.
pub(super) fn check(found: i64, migrator: &Migrator) -> Result<(), StoreError> {
    let needed = newest(migrator);
    if found == needed { Ok(()) } else { Err(StoreError::NotMigrated { found, needed }) }
}

/// The error of a database without any schema.
pub(super) fn missing(migrator: &Migrator) -> StoreError {
    StoreError::NotMigrated { found: 0, needed: newest(migrator) }
}
