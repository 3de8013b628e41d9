//! A look into files whose meaning nobody has described yet: their first bytes, and a sample of
//! their rows.

use super::archive::Archive;
use super::block::Block;
use super::error::DatasetError;
use super::files::{FileOptions, TableFile};
pub(crate) use super::files::{format_extension, format_of_extension};
use super::input::Input;
use super::moment::{TimeFormat, months::month_of, offset_of};
use super::presets;
use super::signature::{self, Signature};
use super::xlsx;
pub(crate) use super::xlsx::SheetHead;
use std::{fs::File, io::Read, path::Path};

/// Rows of a file as texts.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    pub columns: Vec<String>,
    /// The columns whose cells hold lists; their elements end in [`LIST_END`].
    pub lists: Vec<usize>,
    pub rows: Vec<csv::StringRecord>,
    /// Rows that have another number of fields than the header, or are no text.
    pub broken: usize,
    /// Whether `rows` are all rows of the file.
    pub whole: bool,
}

/// Ends each element of a cell that holds a list.
pub(crate) const LIST_END: char = super::block::LIST_END as char;

/// Bytes of a block of a sample.
const BLOCK: usize = 256 << 10;
/// Every block is taken up to here, and then one of [`STEP`].
const HEAD: usize = 4 << 20;
const STEP: usize = 8;
/// Nothing is read behind this.
const END: usize = 48 << 20;

/// What a file is by its first bytes.
#[derive(Debug)]
pub(crate) enum Content {
    Parquet,
    /// The first rows of its sheets.
    Workbook(Vec<SheetHead>),
    Archive(Archived),
    /// Text, decompressed, perhaps not in UTF-8: its first bytes.
    Text(Vec<u8>),
}

/// Looks at the first bytes of a file, at most `most` of a text.
///
/// # Errors
/// A file that cannot be read, or is of a kind that no import reads.
pub(crate) fn content(path: &Path, most: usize) -> Result<Content, DatasetError> {
    let io = |source| DatasetError::Io { path: path.to_owned(), source };
    let mut head = Vec::new();
    File::open(path)
        .map_err(io)?
        .take(signature::LENGTH as u64)
        .read_to_end(&mut head)
        .map_err(io)?;
    match signature::of(&head) {
        Some(Signature::Parquet) => Ok(Content::Parquet),
        Some(Signature::Zip) => {
            let archive = Archive::open(path)?;
            if !archive.is_workbook() {
                return Ok(Content::Archive(Archived(archive)));
            }
            archive.check()?;
            Ok(Content::Workbook(xlsx::heads(File::open(path).map_err(io)?, path.into())?))
        }
        _ => Ok(Content::Text(Input::open(path)?.head(most))),
    }
}

/// An archive whose members are looked at one after the other; its directory is read once.
#[derive(Debug)]
pub(crate) struct Archived(Archive);

impl Archived {
    /// The names of the members that can be read.
    pub fn members(&self) -> Vec<String> {
        self.0.tables()
    }

    /// The names of all members, as a message shows them.
    pub fn names(&self) -> String {
        self.0.names()
    }

    /// The first bytes of a member, decompressed, at most `most`.
    ///
    /// # Errors
    /// A member that cannot be read.
    pub fn head(&self, name: &str, most: usize) -> Result<Vec<u8>, DatasetError> {
        let input = self.0.index(name).map(|index| self.0.input(index)).transpose()?;
        Ok(input.map(|input| input.head(most)).unwrap_or_default())
    }

    /// The names of a member's columns.
    ///
    /// # Errors
    /// A member that cannot be read as the options say.
    pub fn columns(&self, name: &str, options: &FileOptions) -> Result<Vec<String>, DatasetError> {
        let table = TableFile::new(name.into(), options.clone());
        let Some(index) = self.0.index(name) else { return Ok(Vec::new()) };
        Ok(self.0.open_member(index, &table, 1 << 16)?.layout().columns.clone())
    }
}

/// The names of a file's columns.
///
/// # Errors
/// A file that cannot be read as its options say.
pub(crate) fn columns(file: &TableFile) -> Result<Vec<String>, DatasetError> {
    Ok(file.open(1 << 16)?.layout().columns.clone())
}

/// The preset whose files lie in a folder and have the columns it reads.
///
/// # Errors
/// A folder that cannot be read.
pub(crate) fn preset(dir: &Path) -> Result<Option<&'static str>, DatasetError> {
    presets::fitting(dir)
}

/// Whether a `time_format` reads a text.
pub(crate) fn reads_time(format: &str, text: &str) -> bool {
    TimeFormat::try_from(format.to_owned()).is_ok_and(|format| format.parse(text).is_some())
}

/// Whether a word is the name of a month, in any language that is read.
pub(crate) fn is_month(word: &str) -> bool {
    month_of(word).is_some()
}

/// Whether a word is a time zone's abbreviation that is read.
pub(crate) fn is_zone(word: &str) -> bool {
    offset_of(word).is_some()
}

/// The first rows of a file and some from further on.
///
/// # Errors
/// As reading the file whole.
pub(crate) fn sample(file: &TableFile) -> Result<Sample, DatasetError> {
    let mut source = file.open(BLOCK)?;
    let layout = source.layout().clone();
    let mut sample = Sample {
        columns: layout.columns.clone(),
        lists: layout.lists.clone(),
        whole: true,
        ..Sample::default()
    };
    source.want(&(0..layout.columns.len()).collect::<Vec<_>>())?;
    let (mut read, mut number) = (0, 0);
    while let Some(block) = source.next_block()? {
        read += block.size();
        number += 1;
        if read <= HEAD || number % STEP == 0 {
            sample.add(&block);
        } else {
            sample.whole = false;
        }
        if read >= END {
            sample.whole = false;
            break;
        }
    }
    Ok(sample)
}

impl Sample {
    fn add(&mut self, block: &Block) {
        let mut rejects = Vec::new();
        let width = self.columns.len();
        block.for_each_row(&mut rejects, |row| {
            let cells =
                (0..width).map(|column| row.text(column)).collect::<Result<Vec<&str>, _>>()?;
            self.rows.push(csv::StringRecord::from(cells));
            Ok(())
        });
        self.broken += rejects.len();
    }
}
