//! `vitrine-trainer init`: from a folder of exports to a description and configurations.

use crate::{
    cli::{OrBadInput, data::DataArguments},
    dataset::Histories,
    init::{self, Effort, InitError, Layout, Setup, Shop},
};
use std::path::{Path, PathBuf};

/// Looks at a shop's files, describes them, and writes a configuration for each model family that
/// fits.
///
/// Without a dataset.toml, and where no preset fits, init writes one, with the reason of each line.
/// It then loads the data and chooses how to test models, which families to train, and how large.
/// Check what it wrote; docs/first-hour.md says how to go on.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  vitrine-trainer init --data shop\n  vitrine-trainer compare --data shop --configs \
                        shop/configs/*.toml"
)]
pub struct InitArguments {
    #[command(flatten)]
    data: DataArguments,
    /// Folder for the configurations; `configs` in the data's folder by default, or here for a
    /// database.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Replace configurations that are there. A dataset.toml is never replaced.
    #[arg(long)]
    force: bool,
}

/// # Errors
/// Files that do not say who bought what, data that cannot be read, files that are there already:
/// bad input.
pub fn run(arguments: &InitArguments) -> anyhow::Result<()> {
    if let Some(folder) = arguments.data.data.folder() {
        described(&arguments.data, folder)?;
    }
    let dataset = arguments.data.load()?;
    let histories = Histories::of(&dataset);
    let setup = mark(Setup::of(&dataset, &histories, Effort::Usual))?;
    let beside = arguments
        .data
        .data
        .folder()
        .map_or_else(|| "configs".into(), |folder| folder.join("configs"));
    let folder = arguments.out.clone().unwrap_or(beside);
    let paths = mark(setup.write(&folder, arguments.force))?;
    print!("{}", summary(&setup));
    println!("\nwritten:");
    paths.iter().for_each(|path| println!("  {}", path.display()));
    let configs: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    println!(
        "\nTrain and compare them with\n  vitrine-trainer compare --data {} --configs {}",
        arguments.data.data,
        configs.join(" ")
    );
    Ok(())
}

/// Writes a description where there is none and none is needed by name.
fn described(data: &DataArguments, folder: &Path) -> anyhow::Result<()> {
    if data.dataset.is_some() {
        return Ok(());
    }
    match mark(init::describe(folder))? {
        Layout::Described => {
            println!("the files are described by {}", folder.join("dataset.toml").display())
        }
        Layout::Preset(name) => {
            println!("the files are in the layout of the preset {name}: no description is needed")
        }
        Layout::Guessed(described) => {
            let path = folder.join("dataset.toml");
            mark(init::write_new(&path, &described.text))?;
            println!("wrote {}: check it", path.display());
            described.findings.iter().for_each(|finding| println!("  {finding}"));
        }
    }
    Ok(())
}

/// What was found and chosen, for people.
pub fn summary(setup: &Setup) -> String {
    let Setup { shop, protocol, proposals } = setup;
    let Shop { articles, customers, purchases, history, .. } = shop;
    let days = shop
        .days
        .map_or_else(|| "an order without dates".to_owned(), |days| format!("{days} days"));
    let mut text = format!(
        "\n{purchases} purchases of {customers} customers, {articles} articles, {days}\n\
         a customer has {} to {} purchases (middle half; median {}); {:.1} % repeat an earlier one; {:.0} % share their \
         moment with another\n\ntest:\n",
        history.quarter,
        history.three_quarters,
        history.median,
        shop.repeats * 100.0,
        shop.ties * 100.0
    );
    protocol.why.iter().for_each(|why| text.push_str(&format!("  {why}\n")));
    text.push_str("\nfamilies:\n");
    for proposal in proposals {
        let fits = if proposal.config.is_some() { "yes" } else { "no " };
        text.push_str(&format!("  {:10} {fits}  {}\n", proposal.family, proposal.why));
    }
    text
}

/// Marks what the user can mend as bad input.
pub fn mark<T>(result: Result<T, InitError>) -> anyhow::Result<T> {
    match result {
        Err(error) if error.is_bad_input() => Err(error).or_bad_input(),
        result => Ok(result?),
    }
}
