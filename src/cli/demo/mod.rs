//! `vitrine-demo`.

/// # Errors
/// Whatever step failed.
pub fn run() -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
