//! `vitrine-trainer sweep`: the search for a configuration.

use super::{mark, train::stop_on_interrupt};
use crate::{
    cli::{OrBadInput, data::DataArguments},
    experiments::{
        Data, Runs, Table, number,
        sweep::{Found, Sweep, SweepFile},
    },
    training::TrainingConfig,
};
use std::{path::PathBuf, sync::atomic::Ordering};

/// Tries many configurations, judges each by its validation metric, and trains and tests the best
/// one.
///
/// Each trial leaves a run; the same command goes on where a stopped or killed one was. Trials that
/// fall behind are stopped early, those that fail are recorded. The test cases are ranked once, by
/// the best.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  vitrine-trainer sweep --config models/configs/sweep-webshop.toml --data shop\n\n\
                        A sweep file:\n  [sweep]\n  base = \"demo.toml\"          # beside this file\n  metric = \
                        \"recall@12\"\n  trials = 20\n  sampler = \"tpe\"             # or \"random\"\n  seed = 1\n  \
                        parallel = 1\n  [space]\n  \"optimizer.learning_rate\" = { log = [1e-4, 0.1] }\n  \
                        \"training.batch_size\" = { choice = [256, 512, 1024] }\n  \"features.query.0.dim\" = { int = [8, 64] \
                        }\n  \"loss.temperature\" = { uniform = [0.05, 1.0] }\n\ndocs/experiments.md has the rest."
)]
pub struct SweepArguments {
    #[command(flatten)]
    data: DataArguments,
    /// The sweep file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// How many configurations to try, instead of what the file says; more than before continue a
    /// finished sweep.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    trials: Option<u32>,
    /// Folder of bundles, for the best configuration's.
    #[arg(long, value_name = "DIR", default_value = "models")]
    out: PathBuf,
    /// Folder of runs: the sweep and each trial leave a folder there.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// # Errors
/// A sweep file or data that cannot be used; a sweep of which no trial finished.
pub fn run(arguments: &SweepArguments) -> anyhow::Result<()> {
    let mut file = mark(SweepFile::load(&arguments.config))?;
    if let Some(trials) = arguments.trials {
        file.definition.trials = trials as usize;
    }
    let stop = stop_on_interrupt()?;
    let base = TrainingConfig::load(&file.base_path, &[]).or_bad_input()?;
    let dataset = arguments.data.load_with_texts(&base.text)?;
    let sweep = Sweep {
        data: &Data::new(&dataset, &arguments.data.data),
        runs: &Runs::new(&arguments.runs),
        models: &arguments.out,
        stop: &|| stop.load(Ordering::Relaxed),
    };
    let Some(found) = mark(sweep.run(&file))? else {
        anyhow::bail!("stopped; the same command goes on with the sweep");
    };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&found)?);
    } else {
        print(&found);
    }
    Ok(())
}

fn print(found: &Found) {
    let keys: Vec<&String> =
        found.trials.first().map(|trial| trial.values.keys().collect()).unwrap_or_default();
    let head = ["trial", "status", found.metric.as_str()]
        .into_iter()
        .chain(keys.iter().map(|key| key.as_str()));
    let mut table = Table::new(head);
    let mut trials: Vec<_> = found.trials.iter().collect();
    trials.sort_by(|a, b| {
        b.result.unwrap_or(f64::NEG_INFINITY).total_cmp(&a.result.unwrap_or(f64::NEG_INFINITY))
    });
    for trial in trials {
        let values = keys
            .iter()
            .map(|key| trial.values.get(*key).map_or_else(String::new, ToString::to_string));
        let row = [trial.number.to_string(), trial.status.name().to_owned(), number(trial.result)];
        table.row(row.into_iter().chain(values));
    }
    print!("{}", table.text());
    println!("\nbest: trial {} of {}", found.best, found.run);
    println!("{}", found.bundle.display());
}
