//! The metrics file of a run: JSON lines, for plots and comparisons.

use super::TrainingError;
use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

/// An open metrics file. Every line is an object with `stage` (`search` or `refit`), `epoch` and `step`, and `loss`;
/// lines at the end of an epoch also have `seconds` and, where there are validation cases, the metrics by name.
pub(super) struct MetricsFile {
    path: PathBuf,
    file: File,
}

impl MetricsFile {
    /// A new file, or the end of the old one where a run goes on.
    pub(super) fn open(path: &Path, resume: bool) -> Result<Self, TrainingError> {
        let file = OpenOptions::new().create(true).write(true).append(resume).truncate(!resume).open(path);
        let file = file.map_err(|source| TrainingError::Io { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), file })
    }

    pub(super) fn line(&mut self, line: &serde_json::Value) -> Result<(), TrainingError> {
        writeln!(self.file, "{line}").map_err(|source| TrainingError::Io { path: self.path.clone(), source })
    }
}
