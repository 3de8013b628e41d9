//! `vitrine-server migrate`

use super::DatabaseArguments;
use crate::store;

/// Brings the database's schema up to date (SQLite: makes the file when it is missing).
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  vitrine-server migrate --database postgres://vitrine@localhost/vitrine"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    database: DatabaseArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let options = store::StoreOptions::default();
    let (before, after) = super::user_error(super::block_on(store::migrate(
        &arguments.database.database,
        &options,
    ))?)?;
    if before == after {
        println!("the schema is up to date (version {after})");
    } else {
        println!("the schema went from version {before} to {after}");
    }
    Ok(())
}
