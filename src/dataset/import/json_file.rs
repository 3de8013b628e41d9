//! JSON files as blocks: an object a line, or objects one after the other, or one list of objects.
//!
//! The columns are the keys of the objects in the first [`LEARNT`] bytes, which are kept until they
//! are handed out. A file of lines goes on behind a line that is broken; the other forms end there.

use super::block::{Block, BlockSource, Expected, JsonRows, Rows, lines};
use super::error::{DatasetError, FileName};
use super::input::Input;
use super::json::{Keys, MOST_COLUMNS};
use super::json_parser::Broken;
use super::layout::{Layout, Names};
use super::text::LONGEST_RECORD;
use memchr::{memchr_iter, memchr2, memrchr};
use std::{collections::VecDeque, ops::Range, sync::Arc};

/// Bytes of text in which all keys must appear.
const LEARNT: usize = 64 << 20;

pub(super) struct JsonFile {
    cutter: Cutter,
    /// Blocks that were read to learn the keys.
    head: VecDeque<Part>,
    keys: Arc<Keys>,
    layout: Arc<Layout>,
}

/// Whole records of a file.
struct Part {
    /// The line that the bytes start on.
    first: u64,
    bytes: Vec<u8>,
    records: Vec<Range<usize>>,
}

impl JsonFile {
    /// Reads the keys. A block holds about `block` bytes, at least a whole record.
    pub fn open(
        input: Input,
        partition: &[(String, String)],
        block: usize,
    ) -> Result<Self, DatasetError> {
        let mut cutter = Cutter::open(input, block)?;
        let file = cutter.input.file.clone();
        let (mut keys, mut head, mut learnt) = (Keys::default(), VecDeque::new(), 0);
        let mut first_fault = None;
        while learnt < LEARNT
            && let Some(part) = cutter.next()?
        {
            for record in &part.records {
                if let Err(broken) = keys.learn(&part.bytes[record.clone()]) {
                    first_fault.get_or_insert_with(|| part.fault(record, broken, &file));
                }
            }
            learnt += part.bytes.len();
            head.push_back(part);
        }
        if keys.names.is_empty() {
            let detail = ": it holds no object with a key".to_owned();
            return Err(first_fault.unwrap_or(DatasetError::NoRows { file, detail }));
        }
        if keys.names.len() > MOST_COLUMNS {
            let detail = format!(
                "the objects have more than {MOST_COLUMNS} different keys; each row must be an object with the same few"
            );
            return Err(DatasetError::Unsupported { file, detail });
        }
        let mut layout =
            Layout::new(file, keys.names.clone(), Names::Keys).with_partition(partition);
        layout.lists = keys.lists.clone();
        Ok(Self { cutter, head, keys: Arc::new(keys), layout: Arc::new(layout) })
    }

    /// Opens a file that goes on where another ended, so that it has the columns of that one.
    pub fn open_behind(input: Input, layout: &Layout, block: usize) -> Result<Self, DatasetError> {
        let cutter = Cutter::open(input, block)?;
        let keys = Keys::of(&layout.columns[..layout.width()]);
        let layout = Layout {
            lists: layout.lists.clone(),
            columns: layout.columns.clone(),
            constants: layout.constants.clone(),
            ..Layout::new(cutter.input.file.clone(), Vec::new(), Names::Keys)
        };
        Ok(Self { cutter, head: VecDeque::new(), keys: Arc::new(keys), layout: Arc::new(layout) })
    }

    /// Opens a file whose records are visited as text. Faults name their column by its index in
    /// `columns`.
    pub fn open_records(
        input: Input,
        columns: Vec<String>,
        block: usize,
    ) -> Result<Self, DatasetError> {
        let cutter = Cutter::open(input, block)?;
        let layout = Layout::new(cutter.input.file.clone(), columns, Names::Keys);
        Ok(Self { cutter, head: VecDeque::new(), keys: Arc::default(), layout: Arc::new(layout) })
    }
}

impl BlockSource for JsonFile {
    fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    fn expected(&self) -> Expected {
        Expected::Bytes(self.cutter.input.size)
    }

    fn want(&mut self, columns: &[usize]) -> Result<(), DatasetError> {
        Arc::make_mut(&mut self.keys).want(columns);
        Ok(())
    }

    fn next_block(&mut self) -> Result<Option<Block>, DatasetError> {
        let part = match self.head.pop_front() {
            Some(part) => Some(part),
            None => self.cutter.next()?,
        };
        Ok(part.map(|Part { first, bytes, records }| {
            let rows = Rows::Json(JsonRows { bytes, records, keys: self.keys.clone() });
            Block { rows, first, layout: self.layout.clone() }
        }))
    }
}

impl Part {
    fn fault(&self, record: &Range<usize>, broken: Broken, file: &FileName) -> DatasetError {
        DatasetError::Unreadable {
            file: file.clone(),
            line: self.first
                + count_lines(&self.bytes[..record.start + broken.at.min(record.len())]),
            detail: format!("not a JSON object: {}", broken.detail),
        }
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}

/// The records that lie whole in the head of a file, or all that can be told from it.
pub(super) fn records_of_head(head: &[u8]) -> Vec<Range<usize>> {
    match Form::of(head) {
        None => Vec::new(),
        Some(Form::Lines) => lines(head).collect(),
        Some(form) => {
            let mut scan = Scan::default();
            let mut records = Vec::new();
            scan.run(head, form, &mut records);
            records
        }
    }
}

/// How the records of a file are separated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Each on a line of its own.
    Lines,
    /// One behind the other; each may take several lines.
    Values,
    /// In one list.
    List,
}

impl Form {
    /// What the head of a file shows; `None`: no JSON.
    fn of(head: &[u8]) -> Option<Self> {
        match head.trim_ascii_start().first()? {
            b'[' => Some(Self::List),
            b'{' => {
                // A bracket alone begins an object of several lines. Else some line is whole, if
                // not the first.
                let is_object = |line: Range<usize>| Keys::default().learn(&head[line]).is_ok();
                let alone = lines(head).next().is_some_and(|line| line.len() == 1);
                Some(if !alone && lines(head).any(is_object) { Self::Lines } else { Self::Values })
            }
            _ => None,
        }
    }
}

/// Reads a file and cuts it between records.
struct Cutter {
    input: Input,
    form: Form,
    /// Bytes read but not handed out.
    rest: Vec<u8>,
    /// The line that `rest` starts on.
    line: u64,
    block: usize,
    scan: Scan,
    at_end: bool,
}

impl Cutter {
    fn open(mut input: Input, block: usize) -> Result<Self, DatasetError> {
        let mut rest = Vec::new();
        let at_end = input.read(&mut rest, block.max(1 << 16))? < block.max(1 << 16);
        let form = Form::of(&rest).ok_or_else(|| match rest.trim_ascii().is_empty() {
            true => DatasetError::NoRows {
                file: input.file.clone(),
                detail: ": the file is empty".to_owned(),
            },
            false => DatasetError::Unreadable {
                file: input.file.clone(),
                line: 1,
                detail: "not JSON: expected an object (`{`) or a list of objects (`[`)".to_owned(),
            },
        })?;
        Ok(Self { input, form, rest, line: 1, block, scan: Scan::default(), at_end })
    }

    /// The next records that are whole.
    fn next(&mut self) -> Result<Option<Part>, DatasetError> {
        let mut buffer = std::mem::take(&mut self.rest);
        loop {
            let (end, records) = self.whole_records(&buffer)?;
            if end > 0 {
                self.rest = buffer.split_off(end);
                let first = self.line;
                self.line += count_lines(&buffer);
                return Ok(Some(Part { first, bytes: buffer, records }));
            }
            if self.at_end {
                return self.finish(&buffer).map(|()| None);
            }
            if buffer.len() > LONGEST_RECORD {
                let detail = format!(
                    "an object of more than {} MiB, or one without an end",
                    LONGEST_RECORD >> 20
                );
                return Err(self.unreadable(&buffer, self.scan.start.unwrap_or(0), detail));
            }
            let read = self.input.read(&mut buffer, self.block)?;
            self.at_end = read < self.block;
        }
    }

    /// The records in a buffer that starts between records, and where the last of them ends.
    fn whole_records(&mut self, buffer: &[u8]) -> Result<(usize, Vec<Range<usize>>), DatasetError> {
        if self.form == Form::Lines {
            let last = memrchr(b'\n', buffer).map_or(0, |end| end + 1);
            let end = if self.at_end { buffer.len() } else { last };
            return Ok((end, lines(&buffer[..end]).collect()));
        }
        let mut records = Vec::new();
        self.scan.run(buffer, self.form, &mut records);
        if let Some(at) = self.scan.behind_list {
            return Err(self.unreadable(buffer, at, "text behind the end of the list".to_owned()));
        }
        let end = records.last().map_or(0, |record| record.end);
        if end > 0 {
            self.scan.restart();
        }
        Ok((end, records))
    }

    /// Checks that nothing is left open at the end of the file.
    fn finish(&self, buffer: &[u8]) -> Result<(), DatasetError> {
        let (at, what) = match (self.scan.start, self.form) {
            (Some(start), _) => (start, "the object that begins here is never closed"),
            (None, Form::List) if !self.scan.closed => (buffer.len(), "the list is never closed"),
            _ => return Ok(()),
        };
        Err(self.unreadable(buffer, at, format!("{what}; is the file cut off?")))
    }

    fn unreadable(&self, buffer: &[u8], at: usize, detail: String) -> DatasetError {
        let line = self.line + count_lines(&buffer[..at]);
        DatasetError::Unreadable { file: self.input.file.clone(), line, detail }
    }
}

/// Finds where records begin and end, without checking what is inside.
#[derive(Debug, Default)]
struct Scan {
    /// The byte to look at next.
    at: usize,
    /// Where the record under way begins.
    start: Option<usize>,
    /// Brackets that the record has open.
    depth: usize,
    in_text: bool,
    /// Whether the list has begun, and whether it has ended.
    opened: bool,
    closed: bool,
    /// Where something follows the end of the list.
    behind_list: Option<usize>,
}

impl Scan {
    /// Begins with a new buffer, which starts between records.
    fn restart(&mut self) {
        *self = Self { opened: self.opened, ..Self::default() };
    }

    /// Goes on through a buffer that has grown, and adds the records that end in it.
    fn run(&mut self, bytes: &[u8], form: Form, records: &mut Vec<Range<usize>>) {
        while self.at < bytes.len() && self.behind_list.is_none() {
            let Some(start) = self.start else {
                self.between(bytes, form);
                continue;
            };
            if !self.inside(bytes) {
                return;
            }
            records.push(start..self.at);
            self.start = None;
        }
    }

    /// Looks at a byte between records.
    fn between(&mut self, bytes: &[u8], form: Form) {
        let is_list = form == Form::List;
        match bytes[self.at] {
            b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
            _ if self.closed => self.behind_list = Some(self.at),
            b'[' if is_list && !self.opened => {
                self.opened = true;
                self.at += 1;
            }
            b',' if is_list => self.at += 1,
            b']' if is_list => {
                self.closed = true;
                self.at += 1;
            }
            _ => self.start = Some(self.at),
        }
    }

    /// Goes on inside a record as far as the buffer tells; returns whether it ended.
    fn inside(&mut self, bytes: &[u8]) -> bool {
        while self.at < bytes.len() {
            if self.in_text {
                match memchr2(b'"', b'\\', &bytes[self.at..]) {
                    None => self.at = bytes.len(),
                    // The escaped byte may lie behind the end; then the escape is looked at again.
                    Some(found)
                        if bytes[self.at + found] == b'\\'
                            && self.at + found + 1 == bytes.len() =>
                    {
                        self.at += found;
                        return false;
                    }
                    Some(found) if bytes[self.at + found] == b'\\' => self.at += found + 2,
                    Some(found) => {
                        self.at += found + 1;
                        self.in_text = false;
                        if self.depth == 0 {
                            return true;
                        }
                    }
                }
                continue;
            }
            let byte = bytes[self.at];
            match byte {
                b'"' => self.in_text = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth > 1 => self.depth -= 1,
                b'}' | b']' if self.depth == 1 => {
                    self.depth = 0;
                    self.at += 1;
                    return true;
                }
                // A number or a word ends before what cannot be part of it.
                b'}' | b']' | b',' | b' ' | b'\t' | b'\r' | b'\n' if self.depth == 0 => {
                    let alone = self.start == Some(self.at);
                    self.at += usize::from(alone);
                    return true;
                }
                _ => {}
            }
            self.at += 1;
        }
        false
    }
}
