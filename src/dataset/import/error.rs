//! What can be wrong with a shop's files: faults that end an import ([`DatasetError`]) and faults
//! of one row ([`Reject`]), which are counted and kept unless the import is strict.

use super::limit::MaxRejects;
use super::moment::detect;
use crate::domain::InvalidId;
use std::{borrow::Cow, fmt, io, path::PathBuf, sync::Arc};

/// Why nothing could be imported.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("cannot write the rejected rows to {}: {source}; name another file with --rejects", path.display())]
    RejectFile { path: PathBuf, source: io::Error },
    #[error("{}: this file is part of the data; name another one for the rejected rows with --rejects", path.display())]
    RejectsOverData { path: PathBuf },
    #[error("{}: no shop data recognised; looked for {looked_for}", dir.display())]
    NotRecognised { dir: PathBuf, looked_for: String },
    #[error("{}: {detail}", dir.display())]
    Ambiguous { dir: PathBuf, detail: String },
    #[error("{}: no such file; {needed_for}", path.display())]
    MissingFile { path: PathBuf, needed_for: String },
    /// `place` is empty or ends in a comma; `found` says what the file has instead, and what to do.
    #[error("{file}, {place}column `{column}`: no such column; {found}")]
    MissingColumn { file: FileName, place: String, column: String, found: String },
    #[error("{file}, line 1, column `{column}`: {detail}")]
    Header { file: FileName, column: String, detail: String },
    #[error("{file}, line {line}: {detail}")]
    Unreadable { file: FileName, line: u64, detail: String },
    #[error("{file}: the file is damaged: {detail}")]
    Damaged { file: FileName, detail: String },
    /// A file that is whole, but in a form that cannot be read, or not with these options.
    #[error("{file}: {detail}")]
    Unsupported { file: FileName, detail: String },
    #[error("{file}: no usable row{detail}")]
    NoRows { file: FileName, detail: String },
    #[error("{}{place}: {detail}", path.display())]
    Description { path: PathBuf, place: String, detail: String },
    #[error("{0} (strict: an import without --strict leaves such rows out and counts them)")]
    Row(Box<Reject>),
    #[error(
        "{rejected} of {rows} rows of {table} cannot be used, more than the limit of {limit}; nothing has been changed. \
         Mend the files, or go on without these rows with --max-rejects 100%.{examples}"
    )]
    TooManyRejects { table: String, rejected: u64, rows: u64, limit: MaxRejects, examples: String },
    #[error(
        "{file}, column `{column}`: the times are not in the unit that the description says; \
         write time_format = \"{found}\" instead of \"{declared}\""
    )]
    WrongUnit { file: FileName, column: String, declared: String, found: String },
    #[error("{file}, column `{column}`: {detail}")]
    TimeFormat { file: FileName, column: String, detail: String },
    #[error("{file}: {what}")]
    TooLarge { file: FileName, what: &'static str },
}

impl DatasetError {
    /// Whether the user's input is at fault, not the machine.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Io { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::IsADirectory
            ),
            Self::RejectFile { .. } => false,
            _ => true,
        }
    }
}

/// The path of a file as messages show it; cheap to copy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileName(Arc<str>);

impl FileName {
    /// The name without its folders.
    pub fn last_part(&self) -> &str {
        self.0.rsplit(['/', '\\']).next().unwrap_or(&self.0)
    }
}

impl From<&std::path::Path> for FileName {
    fn from(path: &std::path::Path) -> Self {
        Self(path.display().to_string().into())
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How the rows of a file are numbered in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbering {
    /// Physical lines of a text file, the header being line 1.
    Line,
    /// Rows of a Parquet file, the first being row 1.
    Row,
}

impl fmt::Display for Numbering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Line => "line",
            Self::Row => "row",
        })
    }
}

/// A row that cannot be used, or a cell that cannot be read, and why.
#[derive(Debug, Clone)]
pub struct Reject {
    pub file: FileName,
    pub numbering: Numbering,
    /// Counted from 1.
    pub number: u64,
    /// The column at fault; empty when the row as a whole is.
    pub column: String,
    pub reason: Reason,
    /// The row as the file has it, broken UTF-8 replaced, at most [`Reject::MAX_TEXT`] bytes.
    pub text: String,
    /// Whether the row is used all the same, with this cell missing.
    pub kept: bool,
}

impl Reject {
    pub const MAX_TEXT: usize = 4096;
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} {}", self.file, self.numbering, self.number)?;
        if !self.column.is_empty() {
            write!(f, ", column `{}`", self.column)?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// Why a row cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error(
        "the text is not UTF-8; name the encoding of the file, such as `encoding = \"windows-1252\"`"
    )]
    Encoding,
    #[error("the row has {found} fields, the header {expected}")]
    FieldCount { found: usize, expected: usize },
    #[error(transparent)]
    Id(InvalidId),
    #[error(
        "the id `{0}` is a floating-point number too large to be exact, so that several ids become one; \
         save the column as text or as whole numbers"
    )]
    InexactId(String),
    #[error(
        "`{0}` is not unique: an earlier row has this id; if that is meant, write duplicates = \"last\" or \"first\""
    )]
    Duplicate(String),
    #[error("no article `{id}` is known{}", but_similar(similar))]
    UnknownArticle { id: String, similar: Option<String> },
    #[error("no customer `{id}` is known{}", but_similar(similar))]
    UnknownCustomer { id: String, similar: Option<String> },
    #[error("`{0}` stands for a missing value, and a row needs an id")]
    NoId(String),
    #[error("`{0}` is not a finite number")]
    Number(String),
    #[error("`{0}` is not a number of pieces: at most 1000000")]
    Quantity(String),
    #[error("`{0}` is not a price: a finite number of at least 0")]
    Price(String),
    #[error("`{0}` is not a sales channel: a whole number from 0 to 255")]
    Channel(String),
    #[error(
        "`{0}` does not say whether the article is available: true or false, in stock or out of stock, or a number"
    )]
    Availability(String),
    #[error("`{text}` is not {expected}{}", advice(text))]
    Time { text: String, expected: Cow<'static, str> },
    #[error("`{0}` lies in the future; if that is meant, write allow_future = true")]
    Future(String),
    #[error("no row of {file} has `{key}` in its column `{column}`")]
    NoPartner { file: FileName, column: String, key: String },
    #[error("a line needs a customer and at least one article")]
    NoItems,
    #[error("not a JSON object, at character {column} of the line: {detail}")]
    Json { column: usize, detail: String },
    #[error("the key is missing or has no value")]
    NoValue,
    #[error("`{text}` is not {expected}")]
    Form { text: String, expected: &'static str },
}

/// `; but …` for an id that is known and looks alike.
fn but_similar(similar: &Option<String>) -> String {
    let text = |id: &String| {
        format!(", but `{id}` is: the files write one id in two ways; export it as text in both")
    };
    similar.as_ref().map_or_else(String::new, text)
}

/// `; …` with the notation that a time seems to be in.
fn advice(text: &str) -> String {
    detect::advice(text).map_or_else(String::new, |advice| format!("; to read it, write {advice}"))
}

/// A fault found in one row.
#[derive(Debug)]
pub(super) struct Fault {
    pub column: Place,
    pub reason: Reason,
    /// Whether the row is used all the same, with this cell missing.
    pub kept: bool,
}

/// What of a row is at fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Row,
    /// The index of a column of the file.
    Column(usize),
    /// A column that the file does not have, such as one of a joined table.
    Named(String),
}

impl Fault {
    pub fn at(column: usize, reason: Reason) -> Self {
        Self { column: Place::Column(column), reason, kept: false }
    }

    pub fn of_row(reason: Reason) -> Self {
        Self { column: Place::Row, reason, kept: false }
    }

    /// The name of the column, empty for the row as a whole.
    pub fn column_name(&self, columns: &[String]) -> String {
        match &self.column {
            Place::Row => String::new(),
            Place::Column(index) => columns[*index].clone(),
            Place::Named(name) => name.clone(),
        }
    }
}

/// All faults of one row.
#[derive(Debug)]
pub(super) struct Faults(pub Vec<Fault>);

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

/// A cell as an error message shows it: at most 64 characters.
pub(super) fn shown(cell: &str) -> String {
    shortened(cell, 64)
}

/// At most so many characters of a text.
pub(super) fn shortened(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
