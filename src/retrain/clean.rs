//! Removing old bundles.

use super::RetrainError;
use crate::bundle;
use std::{fs, path::Path};

/// What a bundle is called while it is removed: no listing finds it.
const REMOVED: &str = ".removed-";

/// Removes all but the newest `keep` bundles of a model; `never` are those that stay whatever their
/// age. Answers the versions that went.
///
/// # Errors
/// A folder that cannot be read or changed. What was removed before stays removed.
pub(super) fn remove_old(
    models: &Path,
    model: &str,
    keep: usize,
    never: &[String],
) -> Result<Vec<String>, RetrainError> {
    let folder = models.join(model);
    remove_left_behind(&folder)?;
    let bundles = bundle::list(models)?.into_iter().filter(|bundle| bundle.name == model);
    let mut removed = Vec::new();
    for old in bundles.skip(keep).filter(|bundle| !never.contains(&bundle.version)) {
        // In one step, so that nobody opens a half of it.
        let aside = folder.join(format!("{REMOVED}{}", old.version));
        fs::rename(&old.path, &aside).map_err(RetrainError::io(&old.path))?;
        fs::remove_dir_all(&aside).map_err(RetrainError::io(&aside))?;
        removed.push(old.version);
    }
    Ok(removed)
}

/// What a removal that was killed has left.
fn remove_left_behind(folder: &Path) -> Result<(), RetrainError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(RetrainError::io(folder))?,
    };
    for entry in entries {
        let entry = entry.map_err(RetrainError::io(folder))?;
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(REMOVED)) {
            fs::remove_dir_all(entry.path()).map_err(RetrainError::io(&entry.path()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_and_those_in_use_stay() {
        let models = tempfile::tempdir().unwrap();
        let make = |path: &str| {
            fs::create_dir_all(models.path().join(path)).unwrap();
            fs::write(models.path().join(path).join("manifest.json"), "").unwrap();
        };
        for version in 1..=6 {
            make(&format!("m/2026-{version}"));
        }
        make("other/2020-1");
        make("m/.removed-2020-1");
        let never = ["2026-1".to_owned(), "2026-3".to_owned()];
        assert_eq!(remove_old(models.path(), "m", 2, &never).unwrap(), ["2026-4", "2026-2"]);
        let left: Vec<String> =
            bundle::list(models.path()).unwrap().into_iter().map(|bundle| bundle.version).collect();
        assert_eq!(left, ["2026-6", "2026-5", "2026-3", "2026-1", "2020-1"]);
        assert!(!models.path().join("m/.removed-2020-1").exists());
        assert_eq!(remove_old(models.path(), "absent", 1, &[]).unwrap(), [""; 0]);
    }
}
