//! Placements in files, to be measured.

use crate::recommend::Placement;
use anyhow::Context;
use std::path::{Path, PathBuf};

/// Placements with their names, which are those of the files.
///
/// # Errors
/// A file that cannot be read or holds no placement that makes sense.
pub fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<(String, Placement)>> {
    paths.iter().map(|path| read_one(path)).collect()
}

fn read_one(path: &Path) -> anyhow::Result<(String, Placement)> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let placement: Placement =
        toml::from_str(&text).with_context(|| format!("{}", path.display()))?;
    placement.recipe().with_context(|| format!("{}", path.display()))?;
    let name =
        path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    Ok((name, placement))
}
