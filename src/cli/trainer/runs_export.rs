//! `vitrine-trainer runs export`: runs to an MLflow tracking server.

use super::{mark, runs::all};
use crate::{
    cli::OrBadInput,
    experiments::{
        ExperimentError, Run, Runs,
        mlflow::{Access, Change, Client, Export, MlflowError, Server},
    },
};
use std::{env, path::PathBuf};

/// Sends runs to an MLflow tracking server; those that are there and have not changed are left
/// alone.
///
/// A sweep or comparison is sent with its members, which become nested runs. What an interrupted
/// export left half-done, the next one completes.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  vitrine-trainer runs export --mlflow http://localhost:5000\n  vitrine-trainer runs \
                        export 20260131T150000Z-sweep-webshop --mlflow https://mlflow.example.com --experiment \
                        webshop\n\nName and password or token of a server that asks for them are taken from \
                        MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN; certificates \
                        to trust from the PEM file MLFLOW_TRACKING_SERVER_CERT_PATH."
)]
pub(super) struct ExportArguments {
    /// The runs to send, by id or the beginning of it; all when none is named.
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// Address of the server.
    #[arg(long, value_name = "URL", env = "MLFLOW_TRACKING_URI")]
    mlflow: String,
    /// The experiment there that the runs go to; created when there is none.
    #[arg(long, value_name = "NAME", env = "MLFLOW_EXPERIMENT_NAME", default_value = "vitrine")]
    experiment: String,
}

/// # Errors
/// Ids that name no run, an address that is none (bad input); a server that cannot be reached or
/// refuses.
pub(super) fn run(runs: &Runs, arguments: &ExportArguments) -> anyhow::Result<()> {
    let client = told(Client::new(&server(&arguments.mlflow)))?;
    let selected =
        if arguments.ids.is_empty() { all(runs)? } else { mark(selected(runs, &arguments.ids))? };
    if selected.is_empty() {
        eprintln!("no runs in {}", runs.directory().display());
        return Ok(());
    }
    let mut export = told(Export::begin(&client, runs, &arguments.experiment))?;
    let (mut failed, mut left_out) = (0, None);
    for run in &selected {
        let id = &run.record.id;
        match export.run(run) {
            Ok(exported) => {
                let change = match exported.change {
                    Change::Created => "created",
                    Change::Updated => "updated",
                    Change::Unchanged => "unchanged",
                };
                println!("{change:9}  {}  {id}", exported.id);
                left_out = left_out.or(exported.left_out);
            }
            Err(error) if error.is_of_one_run() => {
                eprintln!("error: {id}: {error}");
                failed += 1;
            }
            Err(error) => return told(Err(error)),
        }
    }
    if let Some(place) = left_out {
        eprintln!(
            "warning: the files of the runs were left out: the server keeps those of this experiment in {place} and does \
             not take them over HTTP; an experiment made by a server that runs with --serve-artifacts does"
        );
    }
    eprintln!("{}", export.page());
    match failed {
        0 => Ok(()),
        failed => anyhow::bail!("{failed} of {} runs could not be exported", selected.len()),
    }
}

/// The environment's part is MLflow's own: its names, and a password goes before a token.
fn server(url: &str) -> Server {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let (username, password) =
        (variable("MLFLOW_TRACKING_USERNAME"), variable("MLFLOW_TRACKING_PASSWORD"));
    let access = match (username.zip(password), variable("MLFLOW_TRACKING_TOKEN")) {
        (Some((username, password)), _) => Access::Basic { username, password },
        (None, Some(token)) => Access::Token(token),
        (None, None) => Access::Open,
    };
    let certificates = variable("MLFLOW_TRACKING_SERVER_CERT_PATH").map(PathBuf::from);
    Server { url: url.to_owned(), access, certificates }
}

/// The runs of these ids, each once: what one is part of before it, its members after it.
fn selected(runs: &Runs, ids: &[String]) -> Result<Vec<Run>, ExperimentError> {
    let mut selected: Vec<Run> = Vec::new();
    for id in ids {
        let run = runs.find(id)?;
        let whole = match &run.record.member {
            Some(member) => runs.find(&member.of).ok().filter(|whole| whole.record.id == member.of),
            None => None,
        };
        let members = runs.members(&run.record.id)?;
        for run in whole.into_iter().chain([run]).chain(members) {
            if selected.iter().all(|known| known.record.id != run.record.id) {
                selected.push(run);
            }
        }
    }
    Ok(selected)
}

/// Marks what the user can mend as bad input.
fn told<T>(result: Result<T, MlflowError>) -> anyhow::Result<T> {
    match result {
        Err(error) if error.is_bad_input() => Err(error).or_bad_input(),
        result => Ok(result?),
    }
}
