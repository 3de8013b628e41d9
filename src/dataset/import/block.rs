//! Blocks of whole records: what a file is cut into, so that its parts are parsed in parallel.

use super::DatasetError;
use super::cells::{Cells, Fields};
use super::dialect::RecordSpan;
use super::error::{Fault, Faults, Numbering, Reason, Reject, shown};
use super::json::Keys;
use super::layout::Layout;
use csv::ByteRecord;
use memchr::{memchr, memchr_iter};
use std::{
    ops::Range,
    sync::{
        Arc,
        mpsc::{Receiver, sync_channel},
    },
    thread::JoinHandle,
};

/// Consecutive whole records of one file.
pub(super) struct Block {
    pub rows: Rows,
    /// The number of the first line or row.
    pub first: u64,
    pub layout: Arc<Layout>,
}

/// The records of a block, parsed as far as their source has to.
pub(super) enum Rows {
    /// Delimited text.
    Text(Vec<u8>),
    Json(JsonRows),
    Cells(Cells),
}

/// Records of a JSON file; each is text between two positions of `bytes`.
pub(super) struct JsonRows {
    pub bytes: Vec<u8>,
    pub records: Vec<Range<usize>>,
    pub keys: Arc<Keys>,
}

/// Closes each element of a cell that holds a list (U+001F, the unit separator).
pub(super) const LIST_END: u8 = 0x1f;

/// How much a file will give.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expected {
    /// Bytes of text; 0: unknown.
    Bytes(u64),
    Rows(u64),
}

/// A file that is read block by block.
pub(super) trait BlockSource: Send {
    fn layout(&self) -> &Arc<Layout>;

    fn expected(&self) -> Expected;

    /// Tells which columns will be read, before the first block; the cells of others may then be
    /// empty.
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
    record: Record<'a>,
    layout: &'a Layout,
}

enum Record<'a> {
    Csv(&'a ByteRecord),
    Fields(&'a Fields),
    Cells(&'a Cells, usize),
}

impl<'a> Row<'a> {
    /// The text of a cell that holds an id.
    ///
    /// # Errors
    /// Text that is not UTF-8, and a number that its column cannot hold exactly, so that it may
    /// stand for several ids.
    pub fn id(&self, column: usize) -> Result<&'a str, Fault> {
        let text = self.text(column)?;
        let exact = self
            .layout
            .inexact
            .iter()
            .find(|(inexact, _)| *inexact == column)
            .map(|(_, exact)| *exact);
        match exact {
            Some(exact) if text.parse::<f64>().is_ok_and(|id| id.abs() > exact) => {
                Err(Fault::at(column, Reason::InexactId(shown(text))))
            }
            _ => Ok(text),
        }
    }

    /// The bytes of a cell.
    pub fn bytes(&self, column: usize) -> &'a [u8] {
        let width = self.layout.width();
        if column >= width {
            return self.layout.constants[column - width].as_bytes();
        }
        match self.record {
            // Columns without a name at the end may lack their cells.
            Record::Csv(record) => record.get(column).unwrap_or_default(),
            Record::Fields(fields) if column >= fields.len() => b"",
            Record::Fields(fields) => fields.get(column),
            Record::Cells(cells, row) => cells.get(column, row),
        }
    }

    /// The text of a cell.
    pub fn text(&self, column: usize) -> Result<&'a str, Fault> {
        std::str::from_utf8(self.bytes(column)).map_err(|_| Fault::at(column, Reason::Encoding))
    }
}

impl Block {
    /// Bytes of text, for progress and limits.
    pub fn size(&self) -> usize {
        match &self.rows {
            Rows::Text(bytes) => bytes.len(),
            Rows::Json(json) => json.bytes.len(),
            Rows::Cells(cells) => cells.size(),
        }
    }

    /// Calls `visit` with every record that has as many fields as the file has columns; returns the
    /// number of records. Records of another length and those that `visit` finds a fault in become
    /// rejects.
    pub fn for_each_row(
        &self,
        rejects: &mut Vec<Reject>,
        mut visit: impl FnMut(&Row) -> Result<(), Faults>,
    ) -> u64 {
        let mut visited = Visited::new(self, rejects);
        match &self.rows {
            Rows::Text(bytes) => match self.layout.dialect.reader(bytes) {
                Some(reader) => self.visit_csv(bytes, reader, &mut visited, &mut visit),
                None => self.visit_delimited(bytes, &mut visited, &mut visit),
            },
            Rows::Json(json) => self.visit_json(json, &mut visited, &mut visit),
            Rows::Cells(cells) => {
                for row in 0..cells.rows {
                    let record = Row { record: Record::Cells(cells, row), layout: &self.layout };
                    visited.add(visit(&record), || cells.csv(row));
                }
            }
        }
        visited.count
    }

    fn visit_csv(
        &self,
        bytes: &[u8],
        mut reader: csv::Reader<&[u8]>,
        visited: &mut Visited,
        visit: &mut impl FnMut(&Row) -> Result<(), Faults>,
    ) {
        let mut record = ByteRecord::new();
        // Reading records from memory without a check of their length cannot fail.
        while let Ok(true) = reader.read_byte_record(&mut record) {
            let surplus = |from| record.iter().skip(from).all(<[u8]>::is_empty);
            let result = match self.check_length(record.len(), surplus) {
                Ok(()) => visit(&Row { record: Record::Csv(&record), layout: &self.layout }),
                Err(fault) => Err(fault.into()),
            };
            let start = record.position().map_or(0, csv::Position::byte) as usize;
            let end = reader.position().byte() as usize;
            visited.add_text(result, bytes, start..end);
        }
    }

    fn visit_delimited(
        &self,
        bytes: &[u8],
        visited: &mut Visited,
        visit: &mut impl FnMut(&Row) -> Result<(), Faults>,
    ) {
        let mut fields = Fields::default();
        let mut at = 0;
        while let Some(RecordSpan { start, end }) =
            self.layout.dialect.split(bytes, at, &mut fields)
        {
            let surplus = |from| (from..fields.len()).all(|field| fields.get(field).is_empty());
            let result = match self.check_length(fields.len(), surplus) {
                Ok(()) => visit(&Row { record: Record::Fields(&fields), layout: &self.layout }),
                Err(fault) => Err(fault.into()),
            };
            visited.add_text(result, bytes, start..end);
            at = end;
        }
    }

    /// Whether a record has as many fields as the file has columns. Delimiters at the end of the
    /// header or of the records, which some programs write, make no difference; `is_empty` tells
    /// whether all fields from one on are.
    fn check_length(&self, found: usize, is_empty: impl Fn(usize) -> bool) -> Result<(), Fault> {
        let expected = self.layout.width();
        let least = self.layout.named_width();
        let fits = if found > expected { is_empty(expected) } else { found >= least };
        match fits {
            true => Ok(()),
            false => Err(Fault::of_row(Reason::FieldCount { found, expected })),
        }
    }

    fn visit_json(
        &self,
        json: &JsonRows,
        visited: &mut Visited,
        visit: &mut impl FnMut(&Row) -> Result<(), Faults>,
    ) {
        let mut fields = Fields::default();
        for span in &json.records {
            let result = match json.keys.flatten(&json.bytes[span.clone()], &mut fields) {
                Ok(()) => visit(&Row { record: Record::Fields(&fields), layout: &self.layout }),
                Err(broken) => Err(Fault::of_row(broken.into()).into()),
            };
            visited.add_text(result, &json.bytes, span.clone());
        }
    }

    /// Visits the text of every record of a JSON file, or every line of a text file that is not
    /// empty, without its line end; for files that are no tables.
    pub fn for_each_record<E: Into<Faults>>(
        &self,
        rejects: &mut Vec<Reject>,
        mut visit: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> u64 {
        let mut visited = Visited::new(self, rejects);
        match &self.rows {
            Rows::Json(json) => {
                for span in &json.records {
                    visited.add_text(visit(&json.bytes[span.clone()]), &json.bytes, span.clone());
                }
            }
            Rows::Text(bytes) => {
                for span in lines(bytes) {
                    visited.add_text(visit(&bytes[span.clone()]), bytes, span);
                }
            }
            Rows::Cells(_) => (),
        }
        visited.count
    }
}

/// The lines of a text that hold more than blanks, without their ends and the blanks around.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let from = start;
        let end = (from < bytes.len())
            .then(|| memchr(b'\n', &bytes[from..]).map_or(bytes.len(), |p| from + p))?;
        start = end + 1;
        let blanks = bytes[from..end].len() - bytes[from..end].trim_ascii_start().len();
        Some(from + blanks..from + blanks + bytes[from..end].trim_ascii().len())
    })
    .filter(|line| !line.is_empty())
}

/// What the rows of a block came to.
struct Visited<'a> {
    block: &'a Block,
    rejects: &'a mut Vec<Reject>,
    count: u64,
    /// Lines counted so far, and up to which byte.
    lines: u64,
    counted: usize,
}

impl<'a> Visited<'a> {
    fn new(block: &'a Block, rejects: &'a mut Vec<Reject>) -> Self {
        Self { block, rejects, count: 0, lines: 0, counted: 0 }
    }

    /// Counts a record of a text; one with a fault becomes a reject.
    fn add_text(
        &mut self,
        result: Result<(), impl Into<Faults>>,
        bytes: &[u8],
        span: Range<usize>,
    ) {
        self.count += 1;
        let Err(faults) = result else { return };
        // The reader counts empty lines and the second half of a line end to the record behind
        // them.
        let skipped = bytes[span.clone()].iter().take_while(|b| matches!(b, b'\n' | b'\r')).count();
        let start = span.start + skipped;
        self.lines += memchr_iter(b'\n', &bytes[self.counted..start]).count() as u64;
        self.counted = start;
        let number = match self.block.layout.numbering {
            Numbering::Line => self.block.first + self.lines,
            Numbering::Row => self.block.first + self.count - 1,
        };
        self.reject(faults.into(), number, bytes[start..span.end].trim_ascii_end());
    }

    /// Counts a record that is no text; one with a fault becomes a reject.
    fn add(&mut self, result: Result<(), Faults>, text: impl FnOnce() -> Vec<u8>) {
        self.count += 1;
        if let Err(faults) = result {
            self.reject(faults, self.block.first + self.count - 1, text().trim_ascii_end());
        }
    }

    fn reject(&mut self, faults: Faults, number: u64, text: &[u8]) {
        let layout = &self.block.layout;
        let text = String::from_utf8_lossy(&text[..text.len().min(Reject::MAX_TEXT)]);
        self.rejects.extend(faults.0.into_iter().map(|fault| Reject {
            file: layout.file.clone(),
            numbering: layout.numbering,
            number,
            column: fault.column_name(&layout.columns),
            reason: fault.reason,
            text: text.clone().into_owned(),
            kept: fault.kept,
        }));
    }
}
