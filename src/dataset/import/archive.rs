//! Zip archives: their members as one file, one behind the other.

use super::block::{Block, BlockSource, Expected};
use super::error::{DatasetError, FileName};
use super::files::{self, TableFile, format_extension, format_of_extension};
use super::input::{self, Input, TooExpanded, bounded};
use super::json_file::JsonFile;
use super::layout::{Layout, Names};
use super::open;
use flate2::{Crc, bufread::DeflateDecoder};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};
use zip::{CompressionMethod, ZipArchive};

/// A zip archive and those of its members that are read.
#[derive(Debug)]
pub(super) struct Archive {
    path: PathBuf,
    members: Vec<Member>,
}

#[derive(Debug, Clone)]
struct Member {
    name: String,
    /// Where its bytes lie in the archive.
    start: u64,
    compressed: u64,
    size: u64,
    method: CompressionMethod,
    checksum: u32,
    encrypted: bool,
}

impl Archive {
    /// Reads the list of members, sorted by name.
    pub fn open(path: &Path) -> Result<Self, DatasetError> {
        let io = |source| DatasetError::Io { path: path.to_owned(), source };
        let damaged = |error: zip::result::ZipError| DatasetError::Damaged {
            file: path.into(),
            detail: format!("{error}; was the download cut off?"),
        };
        let file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let mut archive = ZipArchive::new(file).map_err(damaged)?;
        let mut members = Vec::new();
        for i in 0..archive.len() {
            let entry = archive.by_index_raw(i).map_err(damaged)?;
            if entry.is_dir() {
                continue;
            }
            members.push(Member {
                name: String::from_utf8_lossy(entry.name_raw()).into_owned(),
                start: entry.data_start().unwrap_or(length),
                compressed: entry.compressed_size(),
                size: entry.size(),
                method: entry.compression(),
                checksum: entry.crc32(),
                encrypted: entry.encrypted(),
            });
        }
        // Members may share their bytes, so that each alone looks harmless.
        let total = members.iter().fold(0u64, |sum, member| sum.saturating_add(member.size));
        if total > input::SMALL && total / input::MOST_EXPANSION > length {
            return Err(DatasetError::Unsupported {
                file: path.into(),
                detail: TooExpanded.to_string(),
            });
        }
        members.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { path: path.to_owned(), members })
    }

    /// Whether the archive is a workbook of Excel.
    pub fn is_workbook(&self) -> bool {
        self.members.iter().any(|member| member.name == "xl/workbook.xml")
    }

    /// Reads every member to its end, which finds damage and bombs.
    pub fn check(&self) -> Result<(), DatasetError> {
        for member in &self.members {
            let file = self.file_name(member);
            let mut reader = self.reader(member)?;
            io::copy(&mut reader, &mut io::sink())
                .map_err(|source| input::unreadable(&file, source))?;
        }
        Ok(())
    }

    /// The names of the members that can be read.
    #[cfg(feature = "trainer")]
    pub fn tables(&self) -> Vec<String> {
        self.readable().into_iter().map(|member| member.name).collect()
    }

    /// The names of the first members, for messages.
    pub fn names(&self) -> String {
        let names: Vec<&str> =
            self.members.iter().take(10).map(|member| member.name.as_str()).collect();
        format!("{}{}", names.join(", "), if self.members.len() > 10 { ", …" } else { "" })
    }

    /// The index of the member of this name.
    #[cfg(feature = "trainer")]
    pub fn index(&self, name: &str) -> Option<usize> {
        self.members.binary_search_by(|member| member.name.as_str().cmp(name)).ok()
    }

    /// The members that hold a table by their names.
    fn readable(&self) -> Vec<Member> {
        let mut found: Vec<Member> =
            self.members.iter().filter(|member| is_table(&member.name)).cloned().collect();
        files::without_prose(&mut found, |member| Path::new(&member.name));
        found
    }

    /// Leaves only the members that a description wants: those of its patterns, else all that can
    /// be read.
    fn select(&mut self, patterns: &[String]) -> Result<(), DatasetError> {
        if !patterns.is_empty() {
            let mut found: Vec<Member> = Vec::new();
            for pattern in patterns {
                found.extend(self.matching(pattern)?);
            }
            found.sort_by(|a, b| a.name.cmp(&b.name));
            found.dedup_by(|a, b| a.name == b.name);
            self.members = found;
            return Ok(());
        }
        let unsupported =
            |detail| DatasetError::Unsupported { file: self.path.as_path().into(), detail };
        let found = self.readable();
        if found.is_empty() {
            return Err(unsupported(format!(
                "the archive has no file that can be read; it has {}",
                self.names()
            )));
        }
        if let [first, second, ..] =
            &files::kinds(found.iter().map(|member| Path::new(&member.name)))[..]
        {
            let detail = format!(
                "the archive has files of several formats ({first}, {second}); choose those of one table with \
                 `member = \"*.{first}\"`"
            );
            return Err(unsupported(detail));
        }
        self.members = found;
        Ok(())
    }

    /// The members of this name or pattern; a name without folders stands for that file in any
    /// folder, unless there is one outside of them.
    fn matching(&self, pattern: &str) -> Result<Vec<Member>, DatasetError> {
        let unsupported =
            |detail| DatasetError::Unsupported { file: self.path.as_path().into(), detail };
        let glob = glob::Pattern::new(pattern).map_err(|error| {
            unsupported(format!("the pattern `{pattern}` of `member` is wrong: {}", error.msg))
        })?;
        let that = |part: fn(&str) -> &str| -> Vec<Member> {
            self.members.iter().filter(|member| glob.matches(part(&member.name))).cloned().collect()
        };
        let mut found = that(|name| name);
        if found.is_empty() {
            found = that(|name| name.rsplit('/').next().unwrap_or(name));
        }
        if found.is_empty() {
            let names = self.names();
            let detail =
                format!("no file in the archive matches `member = \"{pattern}\"`; it has {names}");
            return Err(unsupported(detail));
        }
        Ok(found)
    }

    fn file_name(&self, member: &Member) -> FileName {
        self.path.join(&member.name).as_path().into()
    }

    /// The content of a member.
    fn reader(&self, member: &Member) -> Result<Box<dyn Read + Send>, DatasetError> {
        let unsupported =
            |detail: String| DatasetError::Unsupported { file: self.file_name(member), detail };
        if member.encrypted {
            return Err(unsupported("the archive is encrypted; unpack it".to_owned()));
        }
        let io = |source| DatasetError::Io { path: self.path.clone(), source };
        let mut file = File::open(&self.path).map_err(io)?;
        file.seek(SeekFrom::Start(member.start)).map_err(io)?;
        let raw = Box::new(file.take(member.compressed));
        let content = match member.method {
            CompressionMethod::Stored => Ok(raw as Box<dyn Read + Send>),
            CompressionMethod::Deflated => {
                bounded(raw, |inner| Ok(Box::new(DeflateDecoder::new(inner))))
            }
            other => {
                return Err(unsupported(format!(
                    "the archive uses {other}, which is rare; unpack it"
                )));
            }
        };
        let inner = content.map_err(|source| input::unreadable(&self.file_name(member), source))?;
        Ok(Box::new(Checked {
            inner,
            checksum: Crc::new(),
            left: member.size,
            expected: member.checksum,
        }))
    }

    pub fn input(&self, index: usize) -> Result<Input, DatasetError> {
        let member = &self.members[index];
        Input::expand(self.file_name(member), self.reader(member)?, member.size, 1)
    }

    pub fn open_member(
        &self,
        index: usize,
        table: &TableFile,
        block: usize,
    ) -> Result<Box<dyn BlockSource>, DatasetError> {
        let name = Path::new(&self.members[index].name);
        open::stream(self.input(index)?, name, &table.options, &table.partition, block)
    }
}

/// Whether a member is a file of a table, by its name; names that begin with `.` or `_` are those
/// of tools.
fn is_table(name: &str) -> bool {
    let hidden = name.split('/').any(|part| part.starts_with(['.', '_']));
    !hidden && format_of_extension(&format_extension(Path::new(name))).is_some()
}

/// Checks length and checksum of what is read through it.
struct Checked {
    inner: Box<dyn Read + Send>,
    checksum: Crc,
    /// Bytes that should still come.
    left: u64,
    expected: u32,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let damaged = |detail| Err(io::Error::new(io::ErrorKind::InvalidData, detail));
        let read = self.inner.read(buffer)?;
        self.checksum.update(&buffer[..read]);
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => return damaged("it is longer than the archive says"),
        }
        if read == 0
            && !buffer.is_empty()
            && (self.left > 0 || self.checksum.sum() != self.expected)
        {
            return damaged("its length or checksum is not what the archive says");
        }
        Ok(read)
    }
}

/// The members of an archive, read one behind the other; they have the same columns.
pub(super) struct Members {
    archive: Archive,
    table: TableFile,
    block: usize,
    current: Box<dyn BlockSource>,
    /// The layout of the first member.
    layout: Arc<Layout>,
    next: usize,
    wanted: Option<Vec<usize>>,
}

impl Members {
    pub fn open(
        mut archive: Archive,
        table: &TableFile,
        block: usize,
    ) -> Result<Self, DatasetError> {
        archive.select(&table.options.members)?;
        let current = archive.open_member(0, table, block)?;
        Ok(Self {
            layout: current.layout().clone(),
            current,
            archive,
            table: table.clone(),
            block,
            next: 1,
            wanted: None,
        })
    }

    /// Opens the next member.
    fn advance(&mut self) -> Result<(), DatasetError> {
        // Objects may lack keys, and have them in any order.
        let mut member: Box<dyn BlockSource> = if self.layout.names == Names::Keys {
            let input =
                self.archive.input(self.next)?.decode(self.table.options.encoding.as_deref())?;
            Box::new(JsonFile::open_behind(input, &self.layout, self.block)?)
        } else {
            self.archive.open_member(self.next, &self.table, self.block)?
        };
        self.next += 1;
        if member.layout().columns != self.layout.columns {
            let detail = format!(
                "the columns are not those of {}, the first file of the archive; choose the files of one table with \
                 `member = \"…\"`",
                self.layout.file.last_part()
            );
            return Err(DatasetError::Unsupported { file: member.layout().file.clone(), detail });
        }
        if let Some(wanted) = &self.wanted {
            member.want(wanted)?;
        }
        self.current = member;
        Ok(())
    }
}

impl BlockSource for Members {
    fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    fn expected(&self) -> Expected {
        match (self.current.expected(), self.archive.members.len()) {
            (expected @ Expected::Rows(_), 1) => expected,
            _ => Expected::Bytes(self.archive.members.iter().map(|member| member.size).sum()),
        }
    }

    fn want(&mut self, columns: &[usize]) -> Result<(), DatasetError> {
        self.wanted = Some(columns.to_vec());
        self.current.want(columns)
    }

    fn next_block(&mut self) -> Result<Option<Block>, DatasetError> {
        loop {
            if let Some(block) = self.current.next_block()? {
                return Ok(Some(block));
            }
            if self.next == self.archive.members.len() {
                return Ok(None);
            }
            self.advance()?;
        }
    }
}
