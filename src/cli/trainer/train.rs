//! `vitrine-trainer train`: from a shop's files to a bundle.

use crate::{
    bundle::MetricsRow,
    cli::{OrBadInput, data::DataArguments},
    dataset::{Dataset, Histories, Split},
    evaluation::{
        Evaluation,
        baselines::{self, Known},
    },
    progress::human,
    training::{Outcome, Trained, Trainer, TrainingConfig, TrainingError},
};
use anyhow::Context;
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

/// Trains a model on a shop's data and writes it as a bundle.
///
/// Checkpoints are written after every epoch and on Ctrl-C; --resume goes on from the last one.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  vitrine-trainer train --data shop --config models/configs/demo.toml --out models\n  \
                        vitrine-trainer train --data shop --config models/configs/demo.toml --out models \
                        --set training.epochs=3 --set optimizer.learning_rate=0.002"
)]
pub struct TrainArguments {
    #[command(flatten)]
    data: DataArguments,
    /// The training configuration, such as models/configs/demo.toml.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Overrides a key of the configuration, such as training.epochs=3; may be given again.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Folder of bundles: the new one is <out>/<model name>/<version>.
    #[arg(long, value_name = "DIR", default_value = "models")]
    out: PathBuf,
    /// Go on from the last checkpoint of the same configuration and data.
    #[arg(long)]
    resume: bool,
}

/// # Errors
/// Bad input: configuration, data, or a checkpoint of another run; else a fault of the machine.
pub fn run(arguments: &TrainArguments) -> anyhow::Result<()> {
    let config = TrainingConfig::load(&arguments.config, &arguments.set).or_bad_input()?;
    let stop = stop_on_interrupt()?;
    let dataset = arguments.data.load()?;
    match train(&dataset, &config, &arguments.out, arguments.resume, &stop)? {
        Some(bundle) => {
            println!("{}", bundle.display());
            eprintln!("\nServe it with\n  vitrine-server serve --models {}", arguments.out.display());
        }
        None => anyhow::bail!("stopped; go on with the same command and --resume"),
    }
    Ok(())
}

/// Trains on loaded data and writes the bundle: its path, or `None` when `stop` was set and a checkpoint waits for
/// `resume`.
///
/// # Errors
/// As [`run`].
pub fn train(
    dataset: &Dataset,
    config: &TrainingConfig,
    out: &Path,
    resume: bool,
    stop: &AtomicBool,
) -> anyhow::Result<Option<PathBuf>> {
    let started = Instant::now();
    let histories = Histories::of(dataset);
    let split = Split::new(dataset, &histories, config.split).context("cannot split the data").or_bad_input()?;
    let trainer = Trainer {
        config,
        dataset,
        histories: &histories,
        split: &split,
        fingerprint: &dataset.fingerprint(),
        // No model name begins with a dot, so this is never taken for bundles.
        directory: out.join(".training").join(&config.model.name),
        stop: &|| stop.load(Ordering::Relaxed),
        observe: &|_| (),
    };
    let trained = match mark(trainer.train(resume))? {
        Outcome::Finished(trained) => trained,
        Outcome::Interrupted(checkpoint) => {
            eprintln!("stopped; checkpoint {}", checkpoint.display());
            return Ok(None);
        }
    };
    eprintln!("trained {} epochs in {}", trained.epochs, human(started.elapsed()));
    let metrics = table(&trainer, &trained)?;
    print_table(&metrics, trainer.test_cases().len(), dataset.articles.len());
    let bundle = mark(trainer.export(&trained, &metrics, out))?;
    Trainer::remove_checkpoints(&trainer.directory);
    Ok(Some(bundle))
}

/// The model's row, then the baselines' (which learn from everything before the test), all on the test cases.
fn table(trainer: &Trainer<'_>, trained: &Trained) -> anyhow::Result<Vec<MetricsRow>> {
    let &Trainer { dataset, histories, .. } = trainer;
    let mut rows = vec![mark(trainer.test(trained))?];
    let cases = trainer.test_cases();
    let evaluation = Evaluation { dataset, histories, protocol: trainer.split.protocol, cases: &cases };
    let train = trainer.split.train_and_validation();
    let known = Known { dataset, histories, train: &train };
    for name in baselines::NAMES {
        if let Some(baseline) = baselines::baseline(name, known) {
            rows.push(evaluation.row(&*baseline)?);
        }
    }
    Ok(rows)
}

fn print_table(rows: &[MetricsRow], cases: usize, articles: usize) {
    const SHOWN: [&str; 7] = ["hr@10", "ndcg@10", "recall@12", "map@12", "mrr", "hr@100", "coverage@12"];
    eprintln!("\ntest: {cases} cases, {articles} articles ranked for each");
    eprintln!("{:20}{}", "", SHOWN.map(|name| format!("{name:>12}")).concat());
    for row in rows {
        let value = |name| row.metrics.get(name).copied().unwrap_or(f64::NAN);
        eprintln!("{:20}{}", row.name, SHOWN.map(|name| format!("{:12.4}", value(name))).concat());
    }
    eprintln!();
}

fn mark<T>(result: Result<T, TrainingError>) -> anyhow::Result<T> {
    match result {
        Err(error) if error.is_bad_input() => Err(error).or_bad_input(),
        result => Ok(result?),
    }
}

/// A flag that the first Ctrl-C sets; the second ends the program at once.
fn stop_on_interrupt() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprintln!("stopping at the next step, with a checkpoint; press Ctrl-C again to end at once");
    })
    .context("cannot listen for Ctrl-C")?;
    Ok(stop)
}
