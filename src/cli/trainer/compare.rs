//! `vitrine-trainer compare`: several systems and the baselines in one table.

use super::{mark, placements, train::stop_on_interrupt};
use crate::{
    cli::{OrBadInput, data::DataArguments},
    evaluation::baselines,
    experiments::{Comparison, Data, Runs, System},
    training::TrainingConfig,
};
use anyhow::{Context, anyhow};
use std::{
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

/// Trains several systems on one split and prints one table with the baselines: quality, training
/// time, size, speed.
///
/// All are held to the split and the test cases of the first configuration. Placements are measured
/// in the same table, over the models that were trained. A system that fails is told in its row,
/// and the command ends with status 1.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  vitrine-trainer compare --data shop --configs models/configs/demo.toml \
                        models/configs/retrieval.toml --seeds 1,2,3 --out comparison.md\n  vitrine-trainer compare --data \
                        shop --configs two-tower.toml elsa.toml ranker.toml --placement home.toml\n\nSeconds are those of \
                        training with validation, test and export; milliseconds those of one request (features, query \
                        tower, search for 12; of a placement the whole answer) on one thread, the median over customers. \
                        Below the table stand the results by segment of customers and articles, and what each source of \
                        placements and rankers finds. docs/evaluation.md explains them."
)]
pub struct CompareArguments {
    #[command(flatten)]
    data: DataArguments,
    /// The configurations to train, in the order of the rows.
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    configs: Vec<PathBuf>,
    /// A placement (TOML, as in docs/placements.md) to measure over the models of the
    /// configurations; may be given several times. It names models by their `model.name`; where it
    /// names none, the model of the first configuration answers.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    placement: Vec<PathBuf>,
    /// Overrides a key of every configuration; may be given again.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Baselines for the table, or `all` or `none`.
    #[arg(long, value_name = "NAME", num_args = 1.., default_values = ["all"], value_parser = baseline_names())]
    baselines: Vec<String>,
    /// Also write the table here: as JSON or Markdown by the file's ending, else as text.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Train every system with each of these seeds, such as 1,2,3, and show means. A seed sets
    /// `training.seed` and draws the order of purchases of one moment.
    #[arg(long, value_name = "N,N,…", value_delimiter = ',')]
    seeds: Vec<u64>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    /// Folder of bundles.
    #[arg(long, value_name = "DIR", default_value = "models")]
    models: PathBuf,
    /// Folder of runs: the comparison and each training leave a folder there.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
}

fn baseline_names() -> clap::builder::PossibleValuesParser {
    baselines::NAMES.into_iter().chain(["all", "none"]).into()
}

/// # Errors
/// Data or a first configuration that cannot be used; systems that failed, after the table was
/// printed.
pub fn run(arguments: &CompareArguments) -> anyhow::Result<()> {
    let placements = placements::read(&arguments.placement).or_bad_input()?;
    let systems: Vec<System> =
        arguments.configs.iter().map(|path| system(path, &arguments.set)).collect();
    let names: Vec<&str> = match arguments.baselines.as_slice() {
        names if names.iter().any(|name| name == "all") => baselines::NAMES.to_vec(),
        names => names.iter().map(String::as_str).filter(|&name| name != "none").collect(),
    };
    let stop = stop_on_interrupt()?;
    let texts = systems.iter().filter_map(|system| system.config.as_ref().ok()?.text.as_ref());
    let dataset = arguments.data.load_with_texts(texts)?;
    let comparison = Comparison {
        data: &Data::new(&dataset, &arguments.data.data),
        runs: &Runs::new(&arguments.runs),
        models: &arguments.models,
        stop: &|| stop.load(Ordering::Relaxed),
        seeds: &arguments.seeds,
        placements: &placements,
    };
    let table = mark(comparison.run(systems, &names))?.context("stopped")?;
    if let Some(out) = &arguments.out {
        let text = match out.extension().and_then(|ending| ending.to_str()) {
            Some("json") => table.json(),
            Some("md") => table.markdown(),
            _ => table.text(),
        };
        std::fs::write(out, text)
            .with_context(|| format!("cannot write {}", out.display()))
            .or_bad_input()?;
    }
    print!("{}", if arguments.json { table.json() + "\n" } else { table.text() });
    match table.failed() {
        0 => Ok(()),
        failed => Err(anyhow!(
            "{failed} of {} systems failed",
            arguments.configs.len() + arguments.placement.len()
        )),
    }
}

fn system(path: &Path, set: &[String]) -> System {
    let name = path
        .file_stem()
        .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
    System { name, config: TrainingConfig::load(path, set).map_err(Into::into) }
}
