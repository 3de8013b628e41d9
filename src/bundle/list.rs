//! Which bundles a directory of models holds.

use super::{BundleError, Manifest, file_names};
use std::path::{Path, PathBuf};

/// A bundle on disk, not yet opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    pub version: String,
    pub path: PathBuf,
}

/// All bundles `<models>/<name>/<version>/` in `models`, by name, newest first. Unfinished ones
/// (`.tmp-…`) and whatever else lies there are passed over; an absent directory holds none.
///
/// # Errors
/// [`BundleError::Io`] when the directory cannot be read.
pub fn list(models: &Path) -> Result<Vec<Listed>, BundleError> {
    let mut bundles = Vec::new();
    for (name, path) in
        subdirectories(models)?.into_iter().filter(|(name, _)| Manifest::is_name(name))
    {
        for (version, path) in
            subdirectories(&path)?.into_iter().filter(|(version, _)| Manifest::is_version(version))
        {
            if path.join(file_names::MANIFEST).is_file() {
                bundles.push(Listed { name: name.clone(), version, path });
            }
        }
    }
    bundles.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| b.version.cmp(&a.version)));
    Ok(bundles)
}

fn subdirectories(path: &Path) -> Result<Vec<(String, PathBuf)>, BundleError> {
    let entries = match std::fs::read_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(BundleError::io(path))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(BundleError::io(path))?;
        if let Ok(name) = entry.file_name().into_string()
            && entry.path().is_dir()
        {
            found.push((name, entry.path()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_bundles_are_listed_newest_first() {
        let models = tempfile::tempdir().unwrap();
        for path in
            ["a/2025-1", "a/2026-1", "b/2024-1", "a/.tmp-2027-1", "a/empty", "Bad Name/2026-1"]
        {
            let path = models.path().join(path);
            std::fs::create_dir_all(&path).unwrap();
            if !path.ends_with("empty") {
                std::fs::write(path.join("manifest.json"), "").unwrap();
            }
        }
        std::fs::write(models.path().join("a/note.txt"), "").unwrap();
        let found: Vec<_> =
            list(models.path()).unwrap().into_iter().map(|b| (b.name, b.version)).collect();
        let expected = [("a", "2026-1"), ("a", "2025-1"), ("b", "2024-1")];
        assert_eq!(found, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert!(list(&models.path().join("absent")).unwrap().is_empty());
    }
}
