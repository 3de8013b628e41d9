//! `vitrine-server models`: what the database says of versions. Running servers follow it.

use super::{DatabaseArguments, audited, own_program, user_error};
use crate::{
    bundle,
    cli::OrBadInput,
    serving::{Config, ModelsConfig, check_version},
    store::{self, Change, Store, StoreOptions},
};
use anyhow::anyhow;
use clap::Subcommand;
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Lists, activates, deactivates and rolls back versions of models; running servers follow within
/// moments.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  vitrine-server models list\n  \
    vitrine-server models activate retrieval 20260131T120000000Z-1a2b3c4d\n  vitrine-server models rollback retrieval")]
pub(super) struct Arguments {
    #[command(flatten)]
    database: DatabaseArguments,
    /// Where bundles lie
    #[arg(long, value_name = "DIR", env = "VITRINE__MODELS__DIRECTORY", default_value = "models")]
    models: PathBuf,
    /// Most memory that checking a bundle may take
    #[arg(long, value_name = "MB", env = "VITRINE__MODELS__LOAD_MEMORY_MB", default_value_t = Config::default().models.load_memory_mb)]
    load_memory_mb: u64,
    /// Longest that checking a bundle may take
    #[arg(long, value_name = "SECONDS", env = "VITRINE__MODELS__LOAD_SECONDS", default_value_t = Config::default().models.load_timeout.as_secs())]
    load_seconds: u64,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// All versions, newest first
    List,
    /// Check a bundle and make it the active version of its model; without VERSION the newest one
    /// of the folder
    Activate {
        model: String,
        version: Option<String>,
        /// Make the model the one of requests that name none; the first model ever activated is
        /// that anyway
        #[arg(long)]
        default: bool,
    },
    /// Take a model out of service
    Deactivate { model: String },
    /// Check the bundle of the version before the active one and make that active again
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
        Command::Activate { model, version, default } => {
            let version = &match version {
                Some(version) => version.clone(),
                None => newest(&arguments.models, model)?,
            };
            check_version(&arguments.models_config(), model, version).await?;
            let before = active(&store, model).await?;
            let change = Change { actor: "", action: "models.activate", subject: model, before };
            let work = async {
                store.register_model(model, version).await?;
                let previous = store.activate(model, version, *default).await?;
                Ok((previous, Some(json!({"version": version}))))
            };
            let previous = audited(&*store, change, work).await?;
            println!(
                "{model} {version} is active (before: {})",
                previous.as_deref().unwrap_or("none or the same")
            );
            Ok(())
        }
        Command::Deactivate { model } => {
            let before = active(&store, model).await?;
            let change = Change { actor: "", action: "models.deactivate", subject: model, before };
            let work = async { Ok((store.deactivate_model(model).await?, None)) };
            let version = audited(&*store, change, work).await?;
            println!("{model} {version} is no longer active");
            Ok(())
        }
        Command::Rollback { model } => {
            let target = user_error(store.rollback_target(model).await)?;
            check_version(&arguments.models_config(), model, &target).await?;
            let before = active(&store, model).await?;
            let change = Change { actor: "", action: "models.rollback", subject: model, before };
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

/// What a nightly training has just written.
fn newest(models: &Path, model: &str) -> anyhow::Result<String> {
    let bundles = bundle::list(models).or_bad_input()?;
    let newest = bundles.into_iter().find(|bundle| bundle.name == model);
    let missing = || anyhow!("{} holds no bundle of the model `{model}`", models.display());
    Ok(newest.ok_or_else(missing).or_bad_input()?.version)
}

impl Arguments {
    fn models_config(&self) -> ModelsConfig {
        ModelsConfig {
            directory: self.models.clone(),
            checker: Some(own_program()),
            load_memory_mb: self.load_memory_mb,
            load_timeout: Duration::from_secs(self.load_seconds),
            ..Config::default().models
        }
    }
}

/// The active version of a model, for the record of a change.
async fn active(store: &Arc<dyn Store>, model: &str) -> anyhow::Result<Option<Value>> {
    let active = store.models().await?.into_iter().find(|row| row.active && row.model == model);
    Ok(active.map(|row| json!({"version": row.version})))
}

async fn list(store: &Arc<dyn Store>, models: &Path) -> anyhow::Result<()> {
    let rows = store.models().await?;
    let default = store.default_model().await?;
    let found = bundle::list(models).or_bad_input()?;
    let on_disk =
        |model: &str, version: &str| found.iter().any(|b| b.name == model && b.version == version);
    for row in &rows {
        let active = match row.active {
            true if default.as_ref() == Some(&row.model) => "active, default",
            true => "active",
            false => "",
        };
        let missing = if on_disk(&row.model, &row.version) { "" } else { "not on this disk" };
        println!("{:24} {:28} {active:16} {missing}", row.model, row.version);
    }
    for bundle in found
        .iter()
        .filter(|b| !rows.iter().any(|row| row.model == b.name && row.version == b.version))
    {
        println!("{:24} {:28} {:16} not registered", bundle.name, bundle.version, "");
    }
    Ok(())
}
