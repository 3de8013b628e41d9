//! `vitrine-trainer export`: a shop's data as Parquet files.

use crate::cli::{OrBadInput, data::DataArguments};
use std::path::PathBuf;

/// Writes a shop's data as Parquet files with a dataset.toml, whatever they come from.
///
/// With `--data postgres://…` or `--data sqlite:…`, the files hold the shop as of one moment: what
/// was imported and what events told. Every command reads the folder as it reads the database, and
/// gives the same result.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  vitrine-trainer export --data postgres://vitrine@localhost/vitrine --out shop-2026-11-27\n\n\
                        Runs go to an MLflow server with `vitrine-trainer runs export`."
)]
pub struct ExportArguments {
    #[command(flatten)]
    data: DataArguments,
    /// The folder to make; it must be missing or empty.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// # Errors
/// Data that cannot be read, a folder that is not empty (bad input); a disk that does not take the
/// files.
pub fn run(arguments: &ExportArguments) -> anyhow::Result<()> {
    let dataset = arguments.data.load()?;
    match dataset.write_parquet(&arguments.out) {
        Err(error) if error.is_bad_input() => return Err(error).or_bad_input(),
        written => written?,
    }
    println!("{}", arguments.out.display());
    Ok(())
}
