//! `vitrine-server placements`: the shop's placements as a file, for shops that keep them in git.

use super::{DatabaseArguments, audited, author, block_on};
use crate::{
    cli::OrBadInput,
    recommend::Placement,
    serving::{check_placements, placement_json},
    store::{Change, PlacementChange, PlacementVersion, Store},
};
use anyhow::{Context, anyhow};
use clap::Subcommand;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Writes the placements to a TOML file, or makes them what such a file says; running servers
/// follow within a second.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  vitrine-server placements export --out placements.toml\n  \
    vitrine-server placements apply placements.toml --dry-run\n  \
    vitrine-server placements apply placements.toml --prune")]
pub(super) struct Arguments {
    #[command(flatten)]
    database: DatabaseArguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write the saved placements as TOML
    Export {
        /// Write to this file instead of standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Save the placements of a TOML file, all or none; the same checks hold as for `PUT`
    Apply {
        file: PathBuf,
        /// Delete the saved placements that the file does not name
        #[arg(long)]
        prune: bool,
        /// Check and tell what would change, but change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

/// The file: `[placements.home]` and so on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    placements: BTreeMap<String, Placement>,
}

/// The same with the definitions as they are saved.
#[derive(Default, Serialize)]
struct Saved {
    placements: BTreeMap<String, Value>,
}

/// What is to become of a placement that is not as the file wants it.
struct Planned {
    name: String,
    /// The version that is current, 0 for none.
    version: i64,
    before: Option<Value>,
    /// `None` deletes it.
    after: Option<Value>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    block_on(execute(arguments))?
}

async fn execute(arguments: &Arguments) -> anyhow::Result<()> {
    let store = arguments.database.open().await?;
    match &arguments.command {
        Command::Export { out } => export(&*store, out.as_deref()).await,
        Command::Apply { file, prune, dry_run } => apply(&*store, file, *prune, *dry_run).await,
    }
}

async fn export(store: &dyn Store, out: Option<&Path>) -> anyhow::Result<()> {
    let mut file = Saved::default();
    for PlacementVersion { name, version, definition, .. } in store.placements().await? {
        let definition = definition.unwrap_or_default();
        let unreadable =
            || format!("this program cannot read version {version} of the placement `{name}`");
        serde_json::from_value::<Placement>(definition.clone()).with_context(unreadable)?;
        file.placements.insert(name, definition);
    }
    let text = toml::to_string_pretty(&file).context("the placements cannot be written as TOML")?;
    match out {
        None => print!("{text}"),
        Some(path) => {
            let failed = || format!("cannot write {}", path.display());
            std::fs::write(path, text).with_context(failed).or_bad_input()?;
            println!("{} placements are in {}", file.placements.len(), path.display());
        }
    }
    Ok(())
}

async fn apply(store: &dyn Store, path: &Path, prune: bool, dry_run: bool) -> anyhow::Result<()> {
    let file = read(path).or_bad_input()?;
    let problems = check_placements(store, &file.placements).await?;
    if !problems.is_empty() {
        let problems = problems.join("\n  ");
        return Err(anyhow!("{}: nothing was saved:\n  {problems}", path.display())).or_bad_input();
    }
    let planned = plan(store.placements().await?, &file, prune);
    for Planned { name, version, after, .. } in &planned {
        match (after, version) {
            (None, version) => println!("{name}: delete (version {version})"),
            (Some(_), 0) => println!("{name}: add"),
            (Some(_), version) => println!("{name}: change (version {version})"),
        }
    }
    match (planned.is_empty(), dry_run) {
        (true, _) => println!("the placements are as the file says already"),
        (false, true) => println!("nothing was changed: this was a dry run"),
        (false, false) => {
            save(store, &planned).await?;
            println!("{} placements are changed; running servers follow", planned.len());
        }
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<File> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("{} is no file of placements", path.display()))
}

/// How the saved placements differ from the file.
fn plan(saved: Vec<PlacementVersion>, file: &File, prune: bool) -> Vec<Planned> {
    let mut saved: BTreeMap<String, PlacementVersion> =
        saved.into_iter().map(|row| (row.name.clone(), row)).collect();
    let mut names: BTreeSet<String> = file.placements.keys().cloned().collect();
    if prune {
        names.extend(saved.keys().cloned());
    }
    let planned = names.into_iter().map(|name| {
        let after = file.placements.get(&name).map(placement_json);
        let (version, before) =
            saved.remove(&name).map_or((0, None), |row| (row.version, row.definition));
        Planned { name, version, before, after }
    });
    planned.filter(|planned| planned.before != planned.after).collect()
}

/// Makes the changes in one transaction, unless somebody changed one of the placements meanwhile.
async fn save(store: &dyn Store, planned: &[Planned]) -> anyhow::Result<()> {
    let changes: Vec<PlacementChange<'_>> = planned
        .iter()
        .map(|Planned { name, version, after, .. }| PlacementChange {
            name,
            definition: after.as_ref(),
            expected: Some(*version),
        })
        .collect();
    let by_name = |value: fn(&Planned) -> &Option<Value>| -> Value {
        planned.iter().map(|planned| (planned.name.clone(), json!(value(planned)))).collect()
    };
    let names: Vec<&str> = planned.iter().map(|planned| planned.name.as_str()).collect();
    let (subject, before) = (names.join(", "), Some(by_name(|planned| &planned.before)));
    let change = Change { actor: "", action: "placements.apply", subject: &subject, before };
    let after = by_name(|planned| &planned.after);
    let work = async {
        store.change_placements(&changes, &author()).await?;
        Ok(((), Some(after)))
    };
    audited(store, change, work).await
}
