//! `vitrine-server models`: what the database says of versions. Running servers follow it.

use super::{DatabaseArguments, user_error};
use crate::{
    bundle::{self, Bundle},
    cli::OrBadInput,
    store::{self, Store, StoreOptions},
};
use anyhow::anyhow;
use clap::Subcommand;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Lists, activates and rolls back versions of models; running servers follow within moments.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  vitrine-server models list\n  \
    vitrine-server models activate retrieval 20260131T120000000Z-1a2b3c4d\n  vitrine-server models rollback retrieval")]
pub(super) struct Arguments {
    #[command(flatten)]
    database: DatabaseArguments,
    /// Where bundles lie
    #[arg(long, value_name = "DIR", env = "VITRINE__MODELS__DIRECTORY", default_value = "models")]
    models: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// All versions, newest first
    List,
    /// Check a bundle and make it the active version of its model; without VERSION the newest one of the folder
    Activate { model: String, version: Option<String> },
    /// Make the version before the active one active again
    Rollback { model: String },
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    super::block_on(execute(arguments))?
}

async fn execute(arguments: &Arguments) -> anyhow::Result<()> {
    let url = &arguments.database.database;
    let options = StoreOptions::default();
    user_error(store::migrate_if_new(url, &options).await)?;
    let store = user_error(store::connect(url, &options).await)?;
    match &arguments.command {
        Command::List => list(&store, &arguments.models).await,
        Command::Activate { model, version } => {
            let version = &match version {
                Some(version) => version.clone(),
                None => newest(&arguments.models, model)?,
            };
            // Opening checks everything a server would check.
            Bundle::open(&arguments.models.join(model).join(version)).or_bad_input()?;
            store.register_model(model, version).await?;
            let previous = store.activate_model(model, version).await?;
            println!("{model} {version} is active (before: {})", previous.as_deref().unwrap_or("none or the same"));
            Ok(())
        }
        Command::Rollback { model } => {
            let version = user_error(store.rollback_model(model).await)?;
            println!("{model} {version} is active");
            Ok(())
        }
    }
}

/// What a nightly training has just written.
fn newest(models: &Path, model: &str) -> anyhow::Result<String> {
    let bundles = bundle::list(models).or_bad_input()?;
    let newest = bundles.into_iter().find(|bundle| bundle.name == model);
    let missing = || anyhow!("{} holds no bundle of the model `{model}`", models.display());
    Ok(newest.ok_or_else(missing).or_bad_input()?.version)
}

async fn list(store: &Arc<dyn Store>, models: &Path) -> anyhow::Result<()> {
    let rows = store.models().await?;
    let found = bundle::list(models).or_bad_input()?;
    let on_disk = |model: &str, version: &str| found.iter().any(|b| b.name == model && b.version == version);
    for row in &rows {
        let active = if row.active { "active" } else { "" };
        let missing = if on_disk(&row.model, &row.version) { "" } else { "not on this disk" };
        println!("{:24} {:28} {active:8} {missing}", row.model, row.version);
    }
    for bundle in found.iter().filter(|b| !rows.iter().any(|row| row.model == b.name && row.version == b.version)) {
        println!("{:24} {:28} {:8} not registered", bundle.name, bundle.version, "");
    }
    Ok(())
}
