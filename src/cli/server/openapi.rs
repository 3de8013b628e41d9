//! `vitrine-server openapi`

/// Prints the OpenAPI document of this version (the committed `openapi.yaml`).
#[derive(clap::Args)]
#[command(after_help = "Example:\n  vitrine-server openapi > openapi.yaml")]
pub(super) struct Arguments {}

pub(super) fn run() -> anyhow::Result<()> {
    print!("{}", crate::http::openapi_yaml()?);
    Ok(())
}
