//! `vitrine-trainer inspect`: the first look at a shop's data.

use crate::{
    cli::data::DataArguments,
    dataset::inspect::{Inspection, page},
};
use anyhow::Context;
use std::path::PathBuf;

/// Shows what is in a shop's data: counts, gaps, customers, popularity, seasons, prices, and
/// whether customers rebuy.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  vitrine-trainer inspect --data shop\n  vitrine-trainer inspect --data shop --json > \
                        shop.json\n  vitrine-trainer inspect --data shop --html shop.html"
)]
pub struct InspectArguments {
    #[command(flatten)]
    data: DataArguments,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    /// Also write a page with plots to this file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// # Errors
/// Data that cannot be read (bad input), or a page that cannot be written.
pub fn run(arguments: &InspectArguments) -> anyhow::Result<()> {
    let inspection = Inspection::of(&arguments.data.load()?);
    if let Some(file) = &arguments.html {
        let title = format!("Inspection of {}", arguments.data.data);
        std::fs::write(file, page(&inspection, &title)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
        eprintln!("wrote {}", file.display());
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&inspection)?);
    } else {
        print!("{inspection}");
    }
    Ok(())
}
