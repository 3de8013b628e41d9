//! Delimited text files as blocks.

use super::block::{Block, BlockSource, Expected, Rows};
use super::cells::Fields;
use super::dialect::{Dialect, RecordSpan};
use super::error::{DatasetError, FileName};
use super::files::FileOptions;
use super::input::Input;
use super::layout::{Layout, Names};
use memchr::{memchr, memchr_iter};
use std::{path::Path, sync::Arc};

/// Longest record accepted, in bytes.
pub(super) const LONGEST_RECORD: usize = 16 << 20;

/// A text file, cut into blocks of whole records.
pub(super) struct TextFile {
    input: Cutter,
    /// What follows the header in the first block.
    rest: Option<Block>,
    layout: Arc<Layout>,
}

impl TextFile {
    /// Reads the header, or counts the columns of the first record. A block holds about `block`
    /// bytes, at least a whole record.
    pub fn open(
        input: Input,
        options: &FileOptions,
        partition: &[(String, String)],
        block: usize,
    ) -> Result<Self, DatasetError> {
        let dialect = Dialect::new(&options.delimiter, options.quote);
        let mut input = Cutter::new(input, dialect.clone(), block);
        input.skip_lines(options.skip_lines)?;
        let file = input.input.file.clone();
        let empty = || DatasetError::NoRows {
            file: file.clone(),
            detail: match options.skip_lines {
                0 => ": the file is empty".to_owned(),
                lines => {
                    format!(": the file ends within the {lines} lines that `skip_lines` leaves out")
                }
            },
        };
        let (first, mut bytes) = input.next()?.ok_or_else(empty)?;
        let mut record = Fields::default();
        let RecordSpan { end, .. } = dialect.split(&bytes, 0, &mut record).ok_or_else(empty)?;
        let lines = memchr_iter(b'\n', &bytes[..end]).count() as u64;
        let (columns, names, first) = if options.header {
            bytes.drain(..end);
            (columns_of(&record, &file)?, Names::Header { line: first + lines }, first + lines)
        } else {
            (numbered(&options.columns, record.len()), Names::Description, first)
        };
        let layout =
            Layout { dialect, ..Layout::new(file, columns, names) }.with_partition(partition);
        let layout = Arc::new(layout);
        let rest = Block { rows: Rows::Text(bytes), first, layout: layout.clone() };
        Ok(Self { input, rest: Some(rest), layout })
    }

    /// Opens a file that holds no table, such as one with a sequence a line. Faults name their
    /// column by its index in `columns`.
    pub fn open_lines(
        path: &Path,
        columns: Vec<String>,
        block: usize,
    ) -> Result<Self, DatasetError> {
        let dialect = Dialect::new(" ", None);
        let input = Cutter::new(Input::open(path)?.decode(None)?, dialect.clone(), block);
        let layout = Layout::new(input.input.file.clone(), columns, Names::Description);
        Ok(Self { input, rest: None, layout: Arc::new(Layout { dialect, ..layout }) })
    }
}

impl BlockSource for TextFile {
    fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    fn expected(&self) -> Expected {
        Expected::Bytes(self.input.input.size)
    }

    fn next_block(&mut self) -> Result<Option<Block>, DatasetError> {
        if let Some(rest) = self.rest.take() {
            return Ok(Some(rest));
        }
        let next = self.input.next()?;
        Ok(next.map(|(first, bytes)| Block {
            rows: Rows::Text(bytes),
            first,
            layout: self.layout.clone(),
        }))
    }
}

/// The names of a header.
fn columns_of(header: &Fields, file: &FileName) -> Result<Vec<String>, DatasetError> {
    let name = |i: usize| {
        let wrong = |detail: &str| DatasetError::Header {
            file: file.clone(),
            column: (i + 1).to_string(),
            detail: detail.to_owned(),
        };
        let name = header.get(i);
        if name.contains(&0) {
            return Err(wrong(
                "the name holds zero bytes; is the file UTF-16? then say `encoding = \"utf-16le\"`",
            ));
        }
        let name = std::str::from_utf8(name).map_err(|_| {
            wrong("the name is not UTF-8; name the encoding of the file, such as `encoding = \"windows-1252\"`")
        })?;
        Ok(name.to_owned())
    };
    (0..header.len()).map(name).collect()
}

/// The names of the columns of a file without a header.
fn numbered(names: &[String], count: usize) -> Vec<String> {
    if names.is_empty() {
        (1..=count).map(|number| number.to_string()).collect()
    } else {
        names.to_vec()
    }
}

/// Reads a file and cuts it at line ends outside quotes.
struct Cutter {
    input: Input,
    dialect: Dialect,
    /// Bytes read but not handed out: the start of a record.
    rest: Vec<u8>,
    /// The line that `rest` starts on.
    line: u64,
    block: usize,
    line_ends: LineEnds,
    at_end: bool,
}

/// What ends a line, as the first line shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineEnds {
    Unknown,
    /// A line feed, perhaps behind a carriage return.
    LineFeed,
    /// A carriage return alone, as old Macs wrote it; each is read as a line feed.
    CarriageReturn,
}

impl Cutter {
    fn new(input: Input, dialect: Dialect, block: usize) -> Self {
        let line_ends = LineEnds::Unknown;
        Self { input, dialect, rest: Vec::new(), line: 1, block, line_ends, at_end: false }
    }

    /// The number of the first line of the next block, and its bytes.
    fn next(&mut self) -> Result<Option<(u64, Vec<u8>)>, DatasetError> {
        let mut buffer = std::mem::take(&mut self.rest);
        loop {
            self.fill(&mut buffer)?;
            if buffer.is_empty() {
                return Ok(None);
            }
            let mut cut = self.dialect.last_record_end(&buffer);
            if self.at_end && cut.open_quote.is_none() {
                cut.end = buffer.len();
            }
            if cut.end > 0 {
                self.rest = buffer.split_off(cut.end);
                let first = self.line;
                self.line += memchr_iter(b'\n', &buffer).count() as u64;
                return Ok(Some((first, buffer)));
            }
            if self.at_end || buffer.len() > LONGEST_RECORD {
                return Err(self.endless(&buffer, cut.open_quote));
            }
        }
    }

    /// Leaves out lines at the start of the file.
    fn skip_lines(&mut self, count: usize) -> Result<(), DatasetError> {
        let mut buffer = std::mem::take(&mut self.rest);
        for _ in 0..count {
            loop {
                if let Some(end) = memchr(b'\n', &buffer) {
                    buffer.drain(..=end);
                    self.line += 1;
                    break;
                }
                if self.at_end {
                    return Ok(());
                }
                // A carriage return at the end stays: it may be half of a line end.
                buffer.drain(..buffer.len().saturating_sub(1));
                self.fill(&mut buffer)?;
            }
        }
        self.rest = buffer;
        Ok(())
    }

    /// Adds a block's worth of bytes, fewer only at the end of the file.
    fn fill(&mut self, buffer: &mut Vec<u8>) -> Result<(), DatasetError> {
        let before = buffer.len();
        let read = self.input.read(buffer, self.block)?;
        self.at_end = read < self.block;
        if self.line_ends == LineEnds::Unknown {
            self.line_ends = line_ends(buffer, self.at_end);
            if self.line_ends == LineEnds::CarriageReturn {
                to_line_feeds(buffer);
            }
        } else if self.line_ends == LineEnds::CarriageReturn {
            to_line_feeds(&mut buffer[before..]);
        }
        Ok(())
    }

    fn endless(&self, buffer: &[u8], open_quote: Option<usize>) -> DatasetError {
        let (at, detail) = match open_quote {
            Some(at) => {
                let detail = "the quote that opens here is never closed; if quotes are ordinary characters in this \
                              file, say `quoted = false`";
                (at, detail.to_owned())
            }
            None => (
                0,
                format!("no line end within {} MiB; is this a text file?", LONGEST_RECORD >> 20),
            ),
        };
        let line = self.line + memchr_iter(b'\n', &buffer[..at]).count() as u64;
        DatasetError::Unreadable { file: self.input.file.clone(), line, detail }
    }
}

/// What the first line end of a text is.
fn line_ends(text: &[u8], at_end: bool) -> LineEnds {
    let Some(first) = memchr::memchr2(b'\n', b'\r', text) else { return LineEnds::Unknown };
    match (text[first], text.get(first + 1)) {
        (b'\n', _) | (_, Some(b'\n')) => LineEnds::LineFeed,
        (_, None) if !at_end => LineEnds::Unknown,
        _ => LineEnds::CarriageReturn,
    }
}

fn to_line_feeds(text: &mut [u8]) {
    for byte in text.iter_mut().filter(|byte| **byte == b'\r') {
        *byte = b'\n';
    }
}
