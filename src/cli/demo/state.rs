//! What the demo remembers from one start to the next: `demo.json` in its folder.

use super::page::Shop;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

const FILE: &str = "demo.json";

/// Everything that decides what the demo makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Inputs {
    /// The version of the program.
    program: String,
    data: PathBuf,
    /// Every file below the data's folder.
    files: Vec<InputFile>,
}

/// A file as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct InputFile {
    path: PathBuf,
    bytes: u64,
    /// Nanoseconds after 1970.
    modified: u64,
}

/// What was made of the inputs. A step that is not there was not done, or not to its end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct State {
    pub inputs: Inputs,
    /// Of the data as it was read.
    pub fingerprint: String,
    /// The model that is served, once there is one.
    pub model: Option<Chosen>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Chosen {
    pub name: String,
    pub version: String,
    /// How the families compare, as text.
    pub table: String,
    pub shop: Shop,
}

impl Inputs {
    /// # Errors
    /// A folder that cannot be read.
    pub(super) fn of(data: &Path, home: &Path) -> anyhow::Result<Self> {
        let data =
            data.canonicalize().with_context(|| format!("cannot read {}", data.display()))?;
        let home = home.canonicalize().unwrap_or_else(|_| home.to_owned());
        let mut files = Vec::new();
        collect(&data, &home, &mut files)
            .with_context(|| format!("cannot read {}", data.display()))?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { program: env!("CARGO_PKG_VERSION").to_owned(), data, files })
    }
}

/// The files below a folder, without those that the demo makes itself.
fn collect(folder: &Path, home: &Path, files: &mut Vec<InputFile>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if path != home && !path.is_symlink() {
                collect(&path, home, files)?;
            }
            continue;
        }
        // Links count as what they lead to; one that leads nowhere is no input.
        let Ok(metadata) = fs::metadata(&path) else { continue };
        let modified =
            metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let modified =
            modified.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        files.push(InputFile { path, bytes: metadata.len(), modified });
    }
    Ok(())
}

impl State {
    /// The state of the last start; `None` where there is none that this program can read.
    pub(super) fn read(home: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(home.join(FILE)).ok()?).ok()
    }

    /// Written aside and moved into place, so that a demo that is killed leaves the old state or
    /// the new one.
    pub(super) fn write(&self, home: &Path) -> anyhow::Result<()> {
        let (path, next) = (home.join(FILE), home.join("demo.json.partial"));
        let written = fs::write(&next, serde_json::to_vec_pretty(self)?)
            .and_then(|()| fs::rename(&next, &path));
        written.with_context(|| format!("cannot write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_seen_and_the_demos_own_are_not_looked_at() {
        let data = tempfile::tempdir().unwrap();
        let home = data.path().join("home");
        fs::create_dir(&home).unwrap();
        fs::write(data.path().join("a.csv"), "a").unwrap();
        let before = Inputs::of(data.path(), &home).unwrap();
        fs::write(home.join("vitrine.sqlite"), "x").unwrap();
        assert_eq!(Inputs::of(data.path(), &home).unwrap(), before);
        fs::write(data.path().join("a.csv"), "ab").unwrap();
        assert_ne!(Inputs::of(data.path(), &home).unwrap(), before);
        fs::write(data.path().join("b.csv"), "").unwrap();
        assert_eq!(Inputs::of(data.path(), &home).unwrap().files.len(), 2);
    }

    #[test]
    fn a_state_is_read_as_it_was_written_and_a_broken_one_is_none() {
        let home = tempfile::tempdir().unwrap();
        assert!(State::read(home.path()).is_none());
        let inputs = Inputs::of(home.path(), Path::new("/nowhere")).unwrap();
        let state = State { inputs, fingerprint: "f".to_owned(), model: None };
        state.write(home.path()).unwrap();
        assert_eq!(State::read(home.path()).unwrap().inputs, state.inputs);
        fs::write(home.path().join(FILE), "{").unwrap();
        assert!(State::read(home.path()).is_none());
    }
}
