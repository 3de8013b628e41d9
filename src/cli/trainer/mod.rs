//! `vitrine-trainer`: one file a command.

mod compare;
mod config;
mod evaluate;
mod export;
mod gate;
mod generate;
pub(super) mod init;
mod inspect;
mod map;
mod placements;
mod retrain;
mod runs;
mod runs_export;
mod simulate;
mod sweep;
mod train;
mod verify;

use super::{OrBadInput, lines};
use crate::experiments::ExperimentError;
use clap::{Parser, Subcommand};

/// Learns recommendation models from a shop's data and writes bundles.
#[derive(Parser)]
#[command(name = "vitrine-trainer", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Compare(compare::CompareArguments),
    Config(config::ConfigArguments),
    Evaluate(evaluate::EvaluateArguments),
    Export(export::ExportArguments),
    Gate(gate::GateArguments),
    Generate(generate::GenerateArguments),
    Init(init::InitArguments),
    Inspect(inspect::InspectArguments),
    Map(map::MapArguments),
    Retrain(retrain::RetrainArguments),
    Runs(runs::RunsArguments),
    Simulate(simulate::SimulateArguments),
    Sweep(sweep::SweepArguments),
    Train(train::TrainArguments),
    Verify(verify::VerifyArguments),
}

/// Parses the process's arguments and runs the command they name.
///
/// # Errors
/// Whatever the command failed of; bad input is marked (see [`crate::cli::BadInput`]).
pub fn run() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    lines::print();
    match arguments.command {
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Config(arguments) => config::run(&arguments),
        Command::Evaluate(arguments) => evaluate::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Gate(arguments) => gate::run(&arguments),
        Command::Generate(arguments) => generate::run(&arguments),
        Command::Init(arguments) => init::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Map(arguments) => map::run(&arguments),
        Command::Retrain(arguments) => retrain::run(&arguments),
        Command::Runs(arguments) => runs::run(&arguments),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Sweep(arguments) => sweep::run(&arguments),
        Command::Train(arguments) => train::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
    }
}

/// Marks what the user can mend as bad input.
fn mark<T>(result: Result<T, ExperimentError>) -> anyhow::Result<T> {
    match result {
        Err(error) if error.is_bad_input() => Err(error).or_bad_input(),
        result => Ok(result?),
    }
}
