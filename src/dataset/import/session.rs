//! What the readers of one import share: the reject log, the report and the progress.

use super::LoadOptions;
use super::block::Expected;
use super::error::{DatasetError, FileName, Reject};
use super::report::{FileReport, ImportReport, RejectLog};
use crate::progress::Progress;

pub(super) struct Session {
    log: RejectLog,
    pub report: ImportReport,
    /// Bytes that a block of a file aims at.
    pub block: usize,
    progress: bool,
}

impl Session {
    pub fn new(options: &LoadOptions, block: usize) -> Self {
        Self {
            log: RejectLog::new(options.strict, options.rejects.as_deref()),
            report: ImportReport::default(),
            block,
            progress: options.progress,
        }
    }

    /// # Errors
    /// The first reject when the import is strict.
    pub fn reject_all(&mut self, rejects: Vec<Reject>) -> Result<(), DatasetError> {
        rejects.into_iter().try_for_each(|reject| self.log.add(reject))
    }

    pub fn progress(&self, file: &FileName, expected: Expected) -> FileProgress {
        let (total, unit) = match expected {
            Expected::Bytes(bytes) => (bytes, "bytes"),
            Expected::Rows(rows) => (rows, "rows"),
        };
        let bar = self.progress.then(|| Progress::new(&format!("reading {}", file.last_part()), total, unit));
        FileProgress { bar, by_rows: matches!(expected, Expected::Rows(_)) }
    }

    pub fn file_done(&mut self, file: &FileName, rows: u64, progress: FileProgress) {
        if let Some(bar) = progress.bar {
            bar.finish(&format!("{rows} rows"));
        }
        self.report.files.push(FileReport { file: file.clone(), rows });
    }

    /// The error for a file (or, without one, files) that gave nothing.
    pub fn no_rows(&self, file: Option<FileName>) -> DatasetError {
        let file = file.unwrap_or_else(|| std::path::Path::new("the files").into());
        let detail = match self.log.first_of(&file) {
            Some(first) => format!("; the first was rejected: {first}"),
            None => " behind the header".to_owned(),
        };
        DatasetError::NoRows { file, detail }
    }

    pub fn finish(mut self) -> Result<ImportReport, DatasetError> {
        self.log.finish(&mut self.report)?;
        Ok(self.report)
    }
}

/// The progress of one file.
pub(super) struct FileProgress {
    bar: Option<Progress>,
    by_rows: bool,
}

impl FileProgress {
    pub fn advance(&self, bytes: usize, rows: u64) {
        if let Some(bar) = &self.bar {
            bar.add(if self.by_rows { rows } else { bytes as u64 });
        }
    }
}
