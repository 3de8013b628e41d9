//! Delimited text files as blocks.

use super::block::{Block, BlockSource, Dialect, Expected, Layout, check_columns, last_record_end};
use super::error::{DatasetError, FileName, Numbering};
use csv::ByteRecord;
use flate2::read::MultiGzDecoder;
use memchr::memchr_iter;
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Longest record accepted, in bytes.
const LONGEST_RECORD: usize = 16 << 20;

/// A text file with a header, cut into blocks of whole records.
pub(super) struct TextFile {
    input: Cutter,
    /// What follows the header in the first block.
    rest: Option<Block>,
    layout: Arc<Layout>,
}

impl TextFile {
    /// Opens the file and reads its header. A block holds about `block` bytes, at least a whole record.
    pub fn open(path: &Path, dialect: Dialect, block: usize) -> Result<Self, DatasetError> {
        let mut input = Cutter::open(path, dialect, block)?;
        let (first, mut bytes) = input.next()?.ok_or_else(|| empty(&input.file))?;
        let mut reader = dialect.reader(&bytes);
        let mut header = ByteRecord::new();
        if !matches!(reader.read_byte_record(&mut header), Ok(true)) {
            return Err(empty(&input.file));
        }
        let columns = columns_of(&header, &input.file)?;
        let end = reader.position().byte() as usize;
        let lines = memchr_iter(b'\n', &bytes[..end]).count() as u64;
        drop(reader);
        bytes.drain(..end);
        let layout = Arc::new(Layout {
            file: input.file.clone(),
            columns,
            lists: Vec::new(),
            dialect,
            numbering: Numbering::Line,
        });
        let rest = Block { bytes, first: first + lines, layout: layout.clone() };
        Ok(Self { input, rest: Some(rest), layout })
    }

    /// Opens a file without a header, such as one that holds a sequence a line. Faults name their column by
    /// its index in `columns`.
    pub fn open_lines(path: &Path, columns: Vec<String>, block: usize) -> Result<Self, DatasetError> {
        let dialect = Dialect { delimiter: b' ', quoted: false };
        let input = Cutter::open(path, dialect, block)?;
        let (file, lists) = (input.file.clone(), Vec::new());
        let layout = Layout { file, columns, lists, dialect, numbering: Numbering::Line };
        Ok(Self { input, rest: None, layout: Arc::new(layout) })
    }
}

impl BlockSource for TextFile {
    fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    fn expected(&self) -> Expected {
        Expected::Bytes(self.input.size)
    }

    fn next_block(&mut self) -> Result<Option<Block>, DatasetError> {
        if let Some(rest) = self.rest.take() {
            return Ok(Some(rest));
        }
        let next = self.input.next()?;
        Ok(next.map(|(first, bytes)| Block { bytes, first, layout: self.layout.clone() }))
    }
}

fn empty(file: &FileName) -> DatasetError {
    DatasetError::NoRows { file: file.clone(), detail: ": the file is empty".to_owned() }
}

/// The names of a header, checked.
fn columns_of(header: &ByteRecord, file: &FileName) -> Result<Vec<String>, DatasetError> {
    let name = |(i, name): (usize, &[u8])| match std::str::from_utf8(name) {
        Ok(name) => Ok(name.to_owned()),
        Err(_) => Err(DatasetError::Header {
            file: file.clone(),
            column: (i + 1).to_string(),
            detail: "the name is not UTF-8; save the file as UTF-8".to_owned(),
        }),
    };
    let columns = header.iter().enumerate().map(name).collect::<Result<Vec<_>, _>>()?;
    check_columns(&columns, file)?;
    Ok(columns)
}

/// A file for reading, decompressed when its name ends in `.gz`, and how many bytes it will give (0: unknown).
pub(super) fn open(path: &Path) -> io::Result<(Box<dyn Read + Send>, u64)> {
    let file = File::open(path)?;
    if path.extension().is_some_and(|extension| extension == "gz") {
        return Ok((Box::new(MultiGzDecoder::new(file)), 0));
    }
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    Ok((Box::new(file), size))
}

/// Reads a file and cuts it at line ends outside quotes.
struct Cutter {
    input: Box<dyn Read + Send>,
    path: PathBuf,
    file: FileName,
    dialect: Dialect,
    /// Bytes of the file, 0 when unknown.
    size: u64,
    /// Bytes read but not handed out: the start of a record.
    rest: Vec<u8>,
    /// The line that `rest` starts on.
    line: u64,
    block: usize,
    at_start: bool,
    at_end: bool,
}

impl Cutter {
    fn open(path: &Path, dialect: Dialect, block: usize) -> Result<Self, DatasetError> {
        let (input, size) = open(path).map_err(|source| DatasetError::Io { path: path.to_owned(), source })?;
        Ok(Self {
            size,
            input,
            path: path.to_owned(),
            file: path.into(),
            dialect,
            rest: Vec::new(),
            line: 1,
            block,
            at_start: true,
            at_end: false,
        })
    }

    /// The number of the first line of the next block, and its bytes.
    fn next(&mut self) -> Result<Option<(u64, Vec<u8>)>, DatasetError> {
        let mut buffer = std::mem::take(&mut self.rest);
        loop {
            self.fill(&mut buffer).map_err(|source| self.unreadable(source))?;
            if std::mem::take(&mut self.at_start) {
                self.strip_mark(&mut buffer)?;
            }
            if buffer.is_empty() {
                return Ok(None);
            }
            let mut cut = last_record_end(&buffer, self.dialect);
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

    /// Adds a block's worth of bytes, fewer only at the end of the file.
    fn fill(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        buffer.reserve(self.block);
        let read = (&mut self.input).take(self.block as u64).read_to_end(buffer)?;
        self.at_end = read < self.block;
        Ok(())
    }

    fn unreadable(&self, source: io::Error) -> DatasetError {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        match source.kind() {
            // Only a decompressor says so.
            InvalidData | InvalidInput | UnexpectedEof => {
                DatasetError::Damaged { file: self.file.clone(), detail: source.to_string() }
            }
            _ => DatasetError::Io { path: self.path.clone(), source },
        }
    }

    /// Removes a byte order mark.
    fn strip_mark(&self, buffer: &mut Vec<u8>) -> Result<(), DatasetError> {
        if buffer.starts_with(b"\xef\xbb\xbf") {
            buffer.drain(..3);
        }
        if buffer.starts_with(b"\xff\xfe") || buffer.starts_with(b"\xfe\xff") {
            let detail = "the file is UTF-16; save it as UTF-8".to_owned();
            return Err(DatasetError::Unreadable { file: self.file.clone(), line: 1, detail });
        }
        Ok(())
    }

    fn endless(&self, buffer: &[u8], open_quote: Option<usize>) -> DatasetError {
        let (at, detail) = match open_quote {
            Some(at) => (at, "the quote that opens here is never closed".to_owned()),
            None => (0, format!("no line end within {} MiB; is this a text file?", LONGEST_RECORD >> 20)),
        };
        let line = self.line + memchr_iter(b'\n', &buffer[..at]).count() as u64;
        DatasetError::Unreadable { file: self.file.clone(), line, detail }
    }
}
