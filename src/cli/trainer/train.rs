//! `vitrine-trainer train`: from a shop's files to a bundle.

use super::mark;
use crate::{
    bundle::Bundle,
    cli::{Gated, OrBadInput, data::DataArguments},
    experiments::{Data, Ended, Job, NewRun, Runs, is_below},
    families::{Family, SPLIT_ENCODERS},
    training::TrainingConfig,
};
use anyhow::{Context, anyhow};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Trains a model on a shop's data and writes it as a bundle.
///
/// Checkpoints are written after every epoch and on Ctrl-C; --resume goes on from the last one.
/// What was trained, on what and with which result stays in a folder of its own under --runs;
/// `runs` reads it.
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
    /// Folder of runs: this one's is <runs>/<time>-<model name>.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
    /// Go on from the last checkpoint of the same configuration and data.
    #[arg(long)]
    resume: bool,
    /// Write the towers in parts as well, into the bundle's folder `split`: an encoder for each
    /// embedding, and two towers over the concatenated features.
    #[arg(long)]
    split_encoders: bool,
    /// Write no bundle, and end with status 3, when the model is below the best baseline by more
    /// than chance explains.
    #[arg(long)]
    gate: bool,
}

/// # Errors
/// Bad input: configuration, data, or a checkpoint of another run; else a fault of the machine.
pub fn run(arguments: &TrainArguments) -> anyhow::Result<()> {
    let config = TrainingConfig::load(&arguments.config, &arguments.set).or_bad_input()?;
    if arguments.split_encoders && !config.model.family.uses(SPLIT_ENCODERS) {
        return Err(anyhow!("{SPLIT_ENCODERS} {}", Family::only_for(SPLIT_ENCODERS)))
            .or_bad_input();
    }
    let stop = stop_on_interrupt()?;
    let dataset = arguments.data.load_with_texts(&config.text)?;
    let data = Data::new(&dataset, &arguments.data.data);
    let runs = Runs::new(&arguments.runs);
    let run = mark(match arguments.resume {
        true => runs.resume(&config.model.name),
        false => runs.begin(NewRun::training(&config, &data)),
    })?;
    eprintln!("run {}", run.directory().display());
    let job = Job {
        data: &data,
        config: &config,
        stop: &|| stop.load(Ordering::Relaxed),
        baselines: None,
        split_encoders: arguments.split_encoders,
        gate: arguments.gate,
        warm: None,
        judge: None,
    };
    match mark(job.train(run, &arguments.out, arguments.resume))? {
        Ended::Bundle(bundle) => {
            println!("{}", bundle.display());
            warn_if_below(&bundle)?;
            eprintln!(
                "\nServe it with\n  vitrine-server serve --models {}",
                arguments.out.display()
            );
            Ok(())
        }
        Ended::Gated(verdict) => Err(Gated(verdict).into()),
        Ended::Refused(reason) => anyhow::bail!("no bundle was written: {reason}"),
        Ended::Interrupted(checkpoint) if checkpoint.is_file() => {
            anyhow::bail!("stopped, with a checkpoint; go on with the same command and --resume")
        }
        // Of a family that does not learn by steps.
        Ended::Interrupted(_) => {
            anyhow::bail!("stopped; the same command starts from the beginning")
        }
    }
}

/// What a bundle's manifest says of the model against the baselines, where that is bad news.
fn warn_if_below(bundle: &Path) -> anyhow::Result<()> {
    let measured = Bundle::open_metadata(bundle)?.measured;
    if let Some(verdict) = measured.and_then(|measured| measured.verdict).filter(is_below) {
        eprintln!(
            "\nWARNING: this model is worse than counting. {verdict}. Serve it only to try things out: customers are \
             better off with the baseline. Another family may suit the shop, or other features and more epochs; \
             --gate refuses such models."
        );
    }
    Ok(())
}

/// A flag that the first Ctrl-C sets; the second ends the program at once.
pub(super) fn stop_on_interrupt() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprintln!("stopping at the next step; press Ctrl-C again to end at once");
    })
    .context("cannot listen for Ctrl-C")?;
    Ok(stop)
}
