//! `vitrine-server models`: what the database says of versions. Running servers follow it.

use super::{DatabaseArguments, audited, user_error};
use crate::{
    bundle::{self, Bundle},
    cli::OrBadInput,
    store::{self, Change, Store, StoreOptions},
};
use clap::Subcommand;
use serde_json::{Value, json};
use std::{path::PathBuf, sync::Arc};

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
    /// Check a bundle and make it the active version of its model
    Activate { model: String, version: String },
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
            // Opening checks everything a server would check.
            Bundle::open(&arguments.models.join(model).join(version)).or_bad_input()?;
            let change =
                Change { actor: "", action: "models.activate", subject: model, before: active(&store, model).await? };
            let work = async {
                store.register_model(model, version).await?;
                let previous = store.activate_model(model, version).await?;
                Ok((previous, Some(json!({"version": version}))))
            };
            let previous = audited(&*store, change, work).await?;
            println!("{model} {version} is active (before: {})", previous.as_deref().unwrap_or("none or the same"));
            Ok(())
        }
        Command::Rollback { model } => {
            let change =
                Change { actor: "", action: "models.rollback", subject: model, before: active(&store, model).await? };
            let work = async {
                let version = store.rollback_model(model).await?;
                Ok((version.clone(), Some(json!({"version": version}))))
            };
            let version = audited(&*store, change, work).await?;
            println!("{model} {version} is active");
            Ok(())
        }
    }
}

/// The active version of a model, for the record of a change.
async fn active(store: &Arc<dyn Store>, model: &str) -> anyhow::Result<Option<Value>> {
    let active = store.models().await?.into_iter().find(|row| row.active && row.model == model);
    Ok(active.map(|row| json!({"version": row.version})))
}

async fn list(store: &Arc<dyn Store>, models: &std::path::Path) -> anyhow::Result<()> {
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
