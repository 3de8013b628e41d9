//! What the readers of one import share: the account of its tables, the reject log, the report and
//! the progress.

use super::LoadOptions;
use super::block::Expected;
use super::error::{DatasetError, FileName, Reject};
use super::ids::WholeIds;
use super::limit::MaxRejects;
use super::report::{FileReport, ImportReport, RejectLog, TableReport};
use super::rows::{NotCounted, Tally};
use crate::{domain::Timestamp, progress::Progress};
use std::time::SystemTime;

pub(super) struct Session {
    log: RejectLog,
    pub report: ImportReport,
    /// Bytes that a block of a file aims at.
    pub block: usize,
    /// The moment after which times lie in the future.
    pub now: Timestamp,
    pub whole_ids: WholeIds,
    /// Of the command line, then of the description.
    limit: Option<MaxRejects>,
    /// The table that is being read.
    table: TableReport,
    progress: bool,
}

impl Session {
    pub fn new(options: &LoadOptions, block: usize) -> Self {
        Self {
            log: RejectLog::new(options.strict, options.rejects.as_deref()),
            report: ImportReport::default(),
            block,
            now: options.now.unwrap_or_else(clock),
            whole_ids: WholeIds::default(),
            limit: options.max_rejects,
            table: TableReport::default(),
            progress: options.progress,
        }
    }

    /// Sets the limit of rejects where the command line gives none.
    pub fn default_limit(&mut self, limit: Option<MaxRejects>) {
        self.limit = self.limit.or(limit);
    }

    /// Begins the account of a table.
    pub fn begin_table(&mut self, name: &str) {
        self.table = TableReport { name: name.to_owned(), ..TableReport::default() };
    }

    /// Whether the ids of the table that is being read are known to be whole numbers.
    pub fn reads_whole_ids(&self) -> bool {
        match self.table.name.as_str() {
            "articles" => self.whole_ids.articles,
            _ => self.whole_ids.customers,
        }
    }

    /// Adds what became of the rows of a block.
    ///
    /// # Errors
    /// The first row or cell at fault when the import is strict.
    pub fn add(&mut self, tally: Tally) -> Result<(), DatasetError> {
        for why in NotCounted::ALL {
            self.table.not_counted(why.words(), tally.not_counted(why));
        }
        let mut cells = tally.cells.into_iter();
        for reject in tally.rejects {
            if reject.kept {
                let count = cells.next().map_or(1, |group| group.count);
                self.log.add_cells(reject, count)?;
            } else {
                self.table.rejected += 1;
                self.log.add(reject)?;
            }
        }
        Ok(())
    }

    /// Rejected rows of the table so far.
    pub fn rejected(&self) -> u64 {
        self.table.rejected
    }

    /// Adds rows that do not count for a reason that only the whole table shows.
    pub fn not_counted(&mut self, reason: &'static str, rows: u64) {
        self.table.not_counted(reason, rows);
    }

    /// # Errors
    /// The first reject when the import is strict.
    pub fn reject_all(&mut self, rejects: Vec<Reject>) -> Result<(), DatasetError> {
        self.add(Tally::of_rejects(rejects))
    }

    /// Ends the account of a table, of whose rows so many are used.
    ///
    /// # Errors
    /// [`DatasetError::TooManyRejects`].
    pub fn end_table(&mut self, used: u64) -> Result<(), DatasetError> {
        let mut table = std::mem::take(&mut self.table);
        table.used = used;
        let (limit, rejected) = (self.limit.unwrap_or_default(), table.rejected);
        // Rows of other things, such as views among purchases, must not hide that most purchases
        // cannot be used.
        let other = [NotCounted::Filtered, NotCounted::Event].map(NotCounted::words);
        let others = table.not_counted.iter().filter(|(reason, _)| other.contains(reason));
        let rows = table.rows - others.map(|(_, rows)| rows).sum::<u64>();
        if limit.is_exceeded(rejected, rows) {
            let examples = self.log.examples();
            return Err(DatasetError::TooManyRejects {
                table: table.name,
                rejected,
                rows,
                limit,
                examples,
            });
        }
        self.report.tables.push(table);
        Ok(())
    }

    pub fn progress(&self, file: &FileName, expected: Expected) -> FileProgress {
        let (total, unit) = match expected {
            Expected::Bytes(bytes) => (bytes, "bytes"),
            Expected::Rows(rows) => (rows, "rows"),
        };
        let bar = self
            .progress
            .then(|| Progress::new(&format!("reading {}", file.last_part()), total, unit));
        FileProgress { bar, by_rows: matches!(expected, Expected::Rows(_)) }
    }

    pub fn file_done(&mut self, file: &FileName, rows: u64, progress: FileProgress) {
        if let Some(bar) = progress.bar {
            bar.finish(&format!("{rows} rows"));
        }
        self.table.rows += rows;
        self.report.files.push(FileReport { file: file.clone(), rows });
    }

    /// The error for a file (or, without one, files) that gave nothing.
    pub fn no_rows(&self, file: Option<FileName>) -> DatasetError {
        let file = file.unwrap_or_else(|| std::path::Path::new("the files").into());
        let detail = match self.log.first_of(&file) {
            Some(first) => format!("; the first was rejected: {first}"),
            None if self.table.rows > 0 => format!(": {}", self.table),
            None => " behind the header".to_owned(),
        };
        DatasetError::NoRows { file, detail }
    }

    pub fn finish(mut self) -> Result<ImportReport, DatasetError> {
        self.log.finish(&mut self.report)?;
        Ok(self.report)
    }
}

/// The machine's clock.
fn clock() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u32::try_from(since.as_secs()).unwrap_or(u32::MAX))
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
