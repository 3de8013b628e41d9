//! The metrics file of a run: JSON lines, for plots and comparisons.

use super::TrainingError;
use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

/// An open metrics file. Every line is an object with `stage` (`search` or `refit`), `epoch` and
/// `step`, and `loss`; lines at the end of an epoch also have `seconds` and, where there are
/// validation cases, the metrics by name.
pub(crate) struct MetricsFile<'a> {
    path: PathBuf,
    file: File,
    /// Told of every line.
    observe: &'a (dyn Fn(&serde_json::Value) + Sync),
}

impl<'a> MetricsFile<'a> {
    /// A new file, or the end of the old one where a run goes on.
    pub(crate) fn open(
        path: &Path,
        resume: bool,
        observe: &'a (dyn Fn(&serde_json::Value) + Sync),
    ) -> Result<Self, TrainingError> {
        let file =
            OpenOptions::new().create(true).write(true).append(resume).truncate(!resume).open(path);
        let file = file.map_err(|source| TrainingError::Io { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), file, observe })
    }

    pub(crate) fn line(&mut self, line: &serde_json::Value) -> Result<(), TrainingError> {
        // In one write, so that a killed run leaves whole lines.
        let written = self.file.write_all(format!("{line}\n").as_bytes());
        written.map_err(|source| TrainingError::Io { path: self.path.clone(), source })?;
        (self.observe)(line);
        Ok(())
    }
}
