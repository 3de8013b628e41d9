//! Blocks of whole records: what a file is cut into, so that its parts are parsed in parallel.

use super::DatasetError;
use super::error::{Fault, Faults, FileName, Numbering, Reason, Reject, shortened};
use csv::ByteRecord;
use memchr::{memchr, memchr_iter, memrchr};
use std::sync::{
    Arc,
    mpsc::{Receiver, sync_channel},
};
use std::thread::JoinHandle;

/// How delimited text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    pub delimiter: u8,
    /// Whether `"` at the start of a field opens a quoted one (RFC 4180).
    pub quoted: bool,
}

impl Dialect {
    pub const CSV: Self = Self { delimiter: b',', quoted: true };

    pub fn reader<'a>(&self, bytes: &'a [u8]) -> csv::Reader<&'a [u8]> {
        csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.delimiter)
            .quoting(self.quoted)
            .buffer_capacity(1 << 16)
            .from_reader(bytes)
    }
}

/// Consecutive whole records of one file, as delimited text.
pub(super) struct Block {
    pub bytes: Vec<u8>,
    /// The number of the first line or row.
    pub first: u64,
    pub layout: Arc<Layout>,
}

/// Closes each element of a cell that holds a list (U+001F, the unit separator).
pub(super) const LIST_END: u8 = 0x1f;

/// What all blocks of a file share.
#[derive(Debug)]
pub(super) struct Layout {
    pub file: FileName,
    pub columns: Vec<String>,
    /// The columns whose cells hold lists; only typed files have any.
    pub lists: Vec<usize>,
    pub dialect: Dialect,
    pub numbering: Numbering,
}

impl Layout {
    /// The index of a column.
    pub fn column(&self, name: &str) -> Result<usize, DatasetError> {
        self.columns.iter().position(|c| c == name).ok_or_else(|| self.missing(name))
    }

    /// The error for a column that is not there.
    pub fn missing(&self, name: &str) -> DatasetError {
        let (file, column) = (self.file.clone(), name.to_owned());
        let found = shortened(&self.columns.join(", "), 600);
        DatasetError::MissingColumn { file, column, found }
    }
}

/// Checks that no two columns have the same name; columns without a name are never read.
pub(super) fn check_columns(columns: &[String], file: &FileName) -> Result<(), DatasetError> {
    let twice = |(i, name): &(usize, &String)| !name.is_empty() && columns[..*i].contains(name);
    match columns.iter().enumerate().find(twice) {
        Some((_, name)) => Err(DatasetError::Header {
            file: file.clone(),
            column: name.clone(),
            detail: "the header names this column twice".to_owned(),
        }),
        None => Ok(()),
    }
}

/// How much a file will give.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expected {
    /// Bytes of text.
    Bytes(u64),
    Rows(u64),
}

/// A file that is read block by block.
pub(super) trait BlockSource: Send {
    fn layout(&self) -> &Arc<Layout>;

    fn expected(&self) -> Expected;

    /// Tells which columns will be read, before the first block; the cells of others may then be empty.
    fn want(&mut self, _columns: &[usize]) -> Result<(), DatasetError> {
        Ok(())
    }

    /// The next block, `None` at the end.
    fn next_block(&mut self) -> Result<Option<Block>, DatasetError>;
}

/// The blocks of a source, read on a thread of its own a little ahead of their use.
pub(super) struct ReadAhead {
    blocks: Receiver<Result<Block, DatasetError>>,
    thread: Option<JoinHandle<()>>,
}

pub(super) fn read_ahead(mut source: Box<dyn BlockSource>) -> ReadAhead {
    let (sender, blocks) = sync_channel(2);
    let thread = std::thread::spawn(move || {
        while let Some(block) = source.next_block().transpose() {
            let failed = block.is_err();
            if sender.send(block).is_err() || failed {
                return;
            }
        }
    });
    ReadAhead { blocks, thread: Some(thread) }
}

impl Iterator for ReadAhead {
    type Item = Result<Block, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let block = self.blocks.recv().ok();
        if block.is_none()
            && let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
        {
            // Else a fault of the program would look like the end of the file.
            std::panic::resume_unwind(panic);
        }
        block
    }
}

/// One record of a block.
pub(super) struct Row<'a> {
    record: &'a ByteRecord,
}

impl<'a> Row<'a> {
    /// The text of a cell that holds an id.
    ///
    /// # Errors
    /// Text that is not UTF-8, and a number that its column cannot hold exactly, so that it may stand for
    /// several ids.
    pub fn id(&self, column: usize) -> Result<&'a str, Fault> {
        self.text(column)
    }

    /// The bytes of a cell.
    pub fn bytes(&self, column: usize) -> &'a [u8] {
        &self.record[column]
    }

    /// The text of a cell.
    pub fn text(&self, column: usize) -> Result<&'a str, Fault> {
        std::str::from_utf8(&self.record[column]).map_err(|_| Fault::at(column, Reason::Encoding))
    }
}

impl Block {
    /// Bytes of text, for progress and limits.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Calls `visit` with every record that has as many fields as the header; returns the number of
    /// records. Records of another length and those that `visit` finds a fault in become rejects.
    pub fn for_each_row(&self, rejects: &mut Vec<Reject>, mut visit: impl FnMut(&Row) -> Result<(), Faults>) -> u64 {
        let mut reader = self.layout.dialect.reader(&self.bytes);
        let mut record = ByteRecord::new();
        let width = self.layout.columns.len();
        let mut count = 0;
        // Reading records from memory without a check of their length cannot fail.
        while let Ok(true) = reader.read_byte_record(&mut record) {
            count += 1;
            let result = if record.len() == width {
                visit(&Row { record: &record })
            } else {
                Err(Fault::of_row(Reason::FieldCount { found: record.len(), expected: width }).into())
            };
            if let Err(Faults(faults)) = result {
                let start = record.position().map_or(0, csv::Position::byte) as usize;
                let end = reader.position().byte() as usize;
                rejects.extend(faults.into_iter().map(|fault| self.reject(fault, start, end, count)));
            }
        }
        count
    }

    /// Visits every non-empty line without its line end; for files that are no tables.
    pub fn for_each_line(&self, rejects: &mut Vec<Reject>, mut visit: impl FnMut(&[u8]) -> Result<(), Fault>) -> u64 {
        let (mut start, mut count) = (0, 0);
        while start < self.bytes.len() {
            let end = memchr(b'\n', &self.bytes[start..]).map_or(self.bytes.len(), |p| start + p);
            let line = self.bytes[start..end].trim_ascii();
            if !line.is_empty() {
                count += 1;
                if let Err(fault) = visit(line) {
                    rejects.push(self.reject(fault, start, end, count));
                }
            }
            start = end + 1;
        }
        count
    }

    fn reject(&self, fault: Fault, start: usize, end: usize, count: u64) -> Reject {
        // The reader counts empty lines and the second half of a line end to the record behind them.
        let skipped = self.bytes[start..end].iter().take_while(|b| matches!(b, b'\n' | b'\r')).count();
        let start = start + skipped;
        let text = self.bytes[start..end].trim_ascii_end();
        let number = match self.layout.numbering {
            Numbering::Line => self.first + memchr_iter(b'\n', &self.bytes[..start]).count() as u64,
            Numbering::Row => self.first + count - 1,
        };
        Reject {
            file: self.layout.file.clone(),
            numbering: self.layout.numbering,
            number,
            column: fault.column_name(&self.layout.columns),
            reason: fault.reason,
            kept: fault.kept,
            text: String::from_utf8_lossy(&text[..text.len().min(Reject::MAX_TEXT)]).into_owned(),
        }
    }
}

/// Where the last whole record of a buffer ends, and where a quote opens that the buffer does not close.
/// The buffer starts at the start of a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub end: usize,
    pub open_quote: Option<usize>,
}

/// Finds the last line end outside quotes, by the rules of the parser: a quote opens a field only at its
/// start, and inside it `""` is a quote.
pub(super) fn last_record_end(bytes: &[u8], dialect: Dialect) -> Cut {
    let line_end = |from: usize, to: usize| memrchr(b'\n', &bytes[from..to]).map(|p| from + p + 1);
    let mut end = 0;
    let mut outside = 0;
    while let Some(quote) = memchr(b'"', &bytes[outside..]).filter(|_| dialect.quoted).map(|p| outside + p) {
        end = line_end(outside, quote).unwrap_or(end);
        let opens = match quote.checked_sub(1).map(|before| bytes[before]) {
            None | Some(b'\n' | b'\r') => true,
            Some(before) => before == dialect.delimiter,
        };
        outside = quote + 1;
        if opens {
            match closing_quote(bytes, outside) {
                Some(closing) => outside = closing + 1,
                None => return Cut { end, open_quote: Some(quote) },
            }
        }
    }
    Cut { end: line_end(outside, bytes.len()).unwrap_or(end), open_quote: None }
}

/// Where the quoted field that begins at `from` ends.
fn closing_quote(bytes: &[u8], mut from: usize) -> Option<usize> {
    loop {
        let quote = from + memchr(b'"', &bytes[from..])?;
        if bytes.get(quote + 1) != Some(&b'"') {
            return Some(quote);
        }
        from = quote + 2;
    }
}
