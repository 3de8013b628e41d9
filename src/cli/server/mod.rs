//! `vitrine-server`: one file a command.

mod audit;
mod batch;
mod check_bundle;
mod health;
mod import;
mod keys;
mod migrate;
mod models;
mod openapi;
mod placements;
pub(super) mod serve;

use crate::{
    cli::{block_on, user_error},
    store::{self, Change, Store, StoreError, StoreOptions},
};
use clap::{Parser, Subcommand};
use std::sync::Arc;

/// Answers recommendation requests over HTTP.
#[derive(Parser)]
#[command(name = "vitrine-server", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Migrate(migrate::Arguments),
    Import(import::Arguments),
    Models(models::Arguments),
    Batch(batch::Arguments),
    Keys(keys::Arguments),
    Audit(audit::Arguments),
    Placements(placements::Arguments),
    Openapi(openapi::Arguments),
    Serve(serve::Arguments),
    Health(health::Arguments),
    #[command(hide = true)]
    CheckBundle(check_bundle::Arguments),
}

/// Which database a command works on.
#[derive(clap::Args)]
struct DatabaseArguments {
    /// `postgres://user@host/name`, or `sqlite:path` for the embedded database
    #[arg(long, value_name = "URL", env = "VITRINE__DATABASE__URL", hide_env_values = true, default_value = store::DEFAULT_URL)]
    database: String,
}

/// Parses the process's arguments and runs the command they name.
///
/// # Errors
/// Whatever the command failed of; bad input is marked (see [`crate::cli::BadInput`]).
pub fn run() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Migrate(arguments) => migrate::run(&arguments),
        Command::Import(arguments) => import::run(&arguments),
        Command::Models(arguments) => models::run(&arguments),
        Command::Batch(arguments) => batch::run(&arguments),
        Command::Keys(arguments) => keys::run(&arguments),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Placements(arguments) => placements::run(&arguments),
        Command::Openapi(_) => openapi::run(),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Health(arguments) => health::run(&arguments),
        Command::CheckBundle(arguments) => check_bundle::run(&arguments),
    }
}

impl DatabaseArguments {
    /// Opens the database; a new SQLite file gets its schema first.
    async fn open(&self) -> anyhow::Result<Arc<dyn Store>> {
        let options = StoreOptions::default();
        user_error(store::migrate_if_new(&self.database, &options).await)?;
        user_error(store::connect(&self.database, &options).await)
    }
}

/// Makes a change and records it under the user of this command line; see [`store::audited`].
async fn audited<T>(
    store: &dyn Store,
    change: Change<'_>,
    work: impl Future<Output = Result<(T, Option<serde_json::Value>), StoreError>>,
) -> anyhow::Result<T> {
    user_error(store::audited(store, Change { actor: &author(), ..change }, work).await)
}

/// The user of this command line, as records of changes name them.
fn author() -> String {
    let user =
        ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    format!("cli:{}", user.unwrap_or_else(user_number))
}

/// Containers often have a user without a name.
fn user_number() -> String {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self")
        .map_or_else(|_| "unknown".into(), |process| format!("uid-{}", process.uid()))
}

/// This very program, for commands that start it again.
fn own_program() -> std::path::PathBuf {
    let linux = std::path::Path::new("/proc/self/exe");
    // It leads to the running program even after an upgrade has replaced the file.
    if linux.exists() {
        linux.to_owned()
    } else {
        std::env::current_exe().unwrap_or_else(|_| "vitrine-server".into())
    }
}

/// Runs the server on all processors.
fn block_on_all<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    // Whoever waited for work on other threads, such as opening a bundle, has gone.
    runtime.shutdown_background();
    Ok(result)
}
