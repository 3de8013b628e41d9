//! `vitrine-trainer retrain`: the whole night in one command.

use super::train::stop_on_interrupt;
use crate::{
    cli::{Busy, OrBadInput, Refused, TakenBack, data::DataSource},
    retrain::{Ending, Registry, RetrainConfig, RetrainError, Retraining},
};
use anyhow::{Context, anyhow};
use std::{env, path::PathBuf, sync::atomic::Ordering};

/// Trains on the database as of now and serves the result, if it is good enough.
///
/// Reads the shop, trains from where the active bundle stands, lets the gate judge the candidate by
/// days that neither has seen, trains what ships on all purchases, publishes and activates it,
/// watches the servers and takes it back if they get worse, and removes old bundles. A run that was
/// killed after it published goes on from there. Two runs exclude each other.
#[derive(clap::Args)]
#[command(
    after_help = "Exit codes: 0 the new version serves, or there was nothing new to learn; 1 failed; 2 bad input; 3 the \
                        gate refused the candidate; 4 another retraining is running; 5 the new version was taken back.\n\n\
                        Example:\n  vitrine-trainer retrain --config models/configs/nightly.toml"
)]
pub struct RetrainArguments {
    /// What to train, how to judge, where to publish, what to watch; such as
    /// models/configs/nightly.toml.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// # Errors
/// [`Refused`], [`Busy`] and [`TakenBack`], each with its own exit code; bad input; a fault of the
/// machine.
pub fn run(arguments: &RetrainArguments) -> anyhow::Result<()> {
    let config = RetrainConfig::load(&arguments.config).or_bad_input()?;
    let training = config.training().or_bad_input()?;
    let url = config.database.clone().or_else(|| env::var("VITRINE__DATABASE__URL").ok());
    let url = url
        .context("no database: write `database` in the file, or set VITRINE__DATABASE__URL")
        .or_bad_input()?;
    let DataSource::Database(url) = DataSource::of(url.into()) else {
        return Err(anyhow!("the database must begin with `postgres://` or `sqlite:`"))
            .or_bad_input();
    };
    let stop = stop_on_interrupt()?;
    let retraining = Retraining {
        config: &config,
        training,
        registry: mark(Registry::open(&url))?,
        source: DataSource::Database(url).to_string(),
        stop: &|| stop.load(Ordering::Relaxed),
    };
    match mark(retraining.run())? {
        Ending::Serving { version } => {
            println!("{version}");
            Ok(())
        }
        Ending::Nothing(why) => {
            println!("nothing new: {why}");
            Ok(())
        }
        Ending::Refused(reason) => Err(Refused(reason).into()),
        Ending::TakenBack { version, reason } => Err(TakenBack { version, reason }.into()),
        Ending::Busy => Err(Busy.into()),
        Ending::Interrupted => anyhow::bail!("stopped; nothing has changed"),
    }
}

/// Marks what the user can mend as bad input.
fn mark<T>(result: Result<T, RetrainError>) -> anyhow::Result<T> {
    match result {
        Err(error) if error.is_bad_input() => Err(error).or_bad_input(),
        result => Ok(result?),
    }
}
