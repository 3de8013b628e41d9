//! `vitrine-trainer config`: what a training configuration may say.

use crate::training::config_reference;

/// Prints every key of a training configuration with its type, default and meaning, as Markdown.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  vitrine-trainer config | less\n  vitrine-trainer config --json-schema > vitrine.schema.json"
)]
pub struct ConfigArguments {
    /// Print the JSON schema instead, for editors that complete and check TOML files.
    #[arg(long)]
    json_schema: bool,
}

/// # Errors
/// None today.
pub fn run(arguments: &ConfigArguments) -> anyhow::Result<()> {
    if arguments.json_schema {
        println!("{}", serde_json::to_string_pretty(&config_reference::json_schema())?);
    } else {
        println!("{}", config_reference::markdown().trim());
    }
    Ok(())
}
