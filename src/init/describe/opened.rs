//! What one file holds: a table, or the members of an archive and the sheets of a workbook.

use super::text;
use super::words::{Holds, file_holds};
use crate::dataset::{
    DatasetError, FileFormat, FileOptions, TableFile,
    look::{self, Archived, Content, SheetHead},
};
use std::{collections::HashSet, path::Path};

/// Different tables of one file that are looked at.
const MOST_TABLES: usize = 50;
/// Bytes by which a text file is recognised.
const HEAD: usize = 256 << 10;

/// A table of one file: of several members or sheets where they have the same columns.
pub(super) struct Part {
    pub names: Vec<String>,
    pub holds: Holds,
    pub form: Form,
}

/// How a table is read.
pub(super) struct Form {
    pub options: FileOptions,
    pub columns: Vec<String>,
    /// Lines above the header of a text or a sheet; `None` for typed files.
    pub header: Option<usize>,
    /// The whole text is ASCII, which is the same in nearly every encoding.
    pub ascii: bool,
}

impl Form {
    /// Whether another table is read in the same way, whatever its columns are.
    pub fn goes_with(&self, other: &Self) -> bool {
        let wide = |form: &Self| {
            form.options.encoding.as_deref().is_some_and(|label| label.starts_with("UTF-16"))
        };
        let any_encoding = (self.ascii || other.ascii) && !wide(self) && !wide(other);
        let encoding = match any_encoding {
            true => other.options.encoding.clone(),
            false => self.options.encoding.clone(),
        };
        FileOptions { encoding, ..self.options.clone() } == other.options
    }

    /// Takes the encoding of a table that goes with this one and says more than ASCII.
    pub fn join(&mut self, other: &Self) {
        if self.ascii {
            self.options.encoding.clone_from(&other.options.encoding);
            self.ascii = other.ascii;
        }
    }
}

/// What is in a file: several tables where it is an archive or a workbook.
#[derive(Default)]
pub(super) struct Opened {
    pub parts: Vec<Part>,
    pub skipped: Vec<Skipped>,
}

/// What is no table, and why.
pub(super) struct Skipped {
    /// The member or sheet; `None`: the whole file.
    pub part: Option<String>,
    pub no_table: NoTable,
}

/// Why there is no table.
pub(super) struct NoTable {
    pub why: String,
    /// Whether it is likely that there never was one.
    pub minor: bool,
}

impl From<DatasetError> for NoTable {
    fn from(error: DatasetError) -> Self {
        Self { why: error.to_string(), minor: false }
    }
}

impl Opened {
    fn skip(&mut self, part: Option<&str>, no_table: NoTable) {
        self.skipped.push(Skipped { part: part.map(str::to_owned), no_table });
    }

    /// Adds a part, or makes it one with a part of the same columns.
    fn add(
        &mut self,
        name: &str,
        holds: Holds,
        form: Form,
        same: fn(&[String], &[String]) -> bool,
    ) {
        let alike = |part: &&mut Part| {
            part.form.goes_with(&form)
                && part.holds.goes_with(holds)
                && part.form.header == form.header
                && same(&part.form.columns, &form.columns)
        };
        match self.parts.iter_mut().find(alike) {
            Some(part) => {
                part.names.push(name.to_owned());
                part.form.join(&form);
            }
            None => self.parts.push(Part { names: vec![name.to_owned()], holds, form }),
        }
    }

    /// Leaves out what no person would read on.
    fn bounded(mut self) -> Self {
        if self.parts.len() > MOST_TABLES {
            let more = self.parts.len() - MOST_TABLES;
            self.parts.truncate(MOST_TABLES);
            let why = format!("{more} more tables of other columns in it were not looked at");
            self.skip(None, NoTable { why, minor: false });
        }
        self
    }
}

/// The tables of a file.
pub(super) fn opened(path: &Path) -> Opened {
    let holds = file_holds(&stem(path));
    let typed = |format| {
        // Another extension than the usual one must be said.
        let told = look::format_of_extension(&look::format_extension(path)) == Some(format);
        FileOptions { format: (!told).then_some(format), ..FileOptions::default() }
    };
    let columns =
        |options: &FileOptions| look::columns(&TableFile::new(path.to_owned(), options.clone()));
    let read = match look::content(path, HEAD) {
        Ok(Content::Workbook(sheets)) => {
            return of_workbook(path, &typed(FileFormat::Xlsx), sheets);
        }
        Ok(Content::Archive(archive)) => return of_archive(path, &archive),
        Ok(Content::Parquet) => {
            let options = typed(FileFormat::Parquet);
            columns(&options)
                .map(|columns| Form { options, columns, header: None, ascii: false })
                .map_err(NoTable::from)
        }
        Ok(Content::Text(head)) => of_text(path, &head, columns),
        Err(error) => Err(error.into()),
    };
    let mut opened = Opened::default();
    match read.and_then(|form| with_columns(path, form)) {
        Ok(form) => opened.parts.push(Part { names: Vec::new(), holds, form }),
        Err(no_table) => opened.skip(None, no_table),
    }
    opened
}

/// The tables of an archive: members with the same columns are one.
fn of_archive(path: &Path, archive: &Archived) -> Opened {
    let mut opened = Opened::default();
    let members = archive.members();
    if members.is_empty() {
        let why = format!("the archive has no file that can be read; it has {}", archive.names());
        opened.skip(None, NoTable { why, minor: false });
    }
    for name in &members {
        let columns = |options: &FileOptions| archive.columns(name, options);
        let read = archive
            .head(name, HEAD)
            .map_err(NoTable::from)
            .and_then(|head| of_text(Path::new(name), &head, columns))
            .and_then(|form| with_columns(Path::new(name), form));
        match read {
            // Members are read one behind the other, by the header of the first.
            Ok(form) => {
                let holds = match file_holds(&stem(Path::new(name))) {
                    Holds::Unknown => file_holds(&stem(path)),
                    told => told,
                };
                opened.add(name, holds, form, <[String]>::eq);
            }
            Err(no_table) => opened.skip(Some(name), no_table),
        }
    }
    for part in &mut opened.parts {
        if part.names.len() < members.len() {
            part.form.options.members = patterns(&part.names, &members);
        } else if members.len() == 1 {
            part.names.clear();
        }
    }
    opened.bounded()
}

/// Patterns for some members of an archive.
fn patterns(wanted: &[String], members: &[String]) -> Vec<String> {
    let escaped = || wanted.iter().map(|name| glob::Pattern::escape(name)).collect();
    let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else { return Vec::new() };
    // The names are sorted, so what the first and the last share is what all share.
    let shared = first.chars().zip(last.chars()).take_while(|(a, b)| a == b);
    let start: String = shared.map(|(c, _)| c).collect();
    let end = format!(".{}", look::format_extension(Path::new(first)));
    let fits = |name: &String| name.starts_with(&start) && name.ends_with(&end);
    let only = members.iter().filter(|name| fits(name)).count() == wanted.len();
    if wanted.len() > 8 && only && wanted.iter().all(fits) {
        return vec![format!("{}*{end}", glob::Pattern::escape(&start))];
    }
    escaped()
}

/// The tables of a workbook: sheets with the same columns are one.
fn of_workbook(path: &Path, options: &FileOptions, sheets: Vec<SheetHead>) -> Opened {
    let mut opened = Opened::default();
    let first = sheets.first().map(|sheet| sheet.name.clone()).unwrap_or_default();
    for SheetHead { name, rows } in sheets {
        let Some(SheetHeader { above, titled, columns }) = header(rows) else {
            let why = "the sheet holds no table".to_owned();
            opened.skip(Some(&name), NoTable { why, minor: true });
            continue;
        };
        let skip_lines = if titled { above } else { 0 };
        let options = FileOptions { skip_lines, ..options.clone() };
        let holds = match file_holds(&name) {
            Holds::Unknown => file_holds(&stem(path)),
            told => told,
        };
        let form = Form { options, columns, header: Some(above), ascii: false };
        opened.add(&name, holds, form, |one, other| one == other || same_names(one, other));
    }
    for part in &mut opened.parts {
        match part.names.as_slice() {
            [only] if *only == first => part.names.clear(),
            names => part.form.options.sheets = names.to_vec(),
        }
    }
    opened.bounded()
}

/// The row of a sheet that names its columns.
struct SheetHeader {
    /// Rows of the sheet above it, empty ones included.
    above: usize,
    /// Whether one of them is a title.
    titled: bool,
    columns: Vec<String>,
}

fn header(rows: Vec<(usize, Vec<String>)>) -> Option<SheetHeader> {
    let filled = |row: &[String]| row.iter().filter(|cell| !cell.trim().is_empty()).count();
    let most = rows.iter().map(|(_, row)| filled(row)).max().filter(|most| *most > 1)?;
    // A first row of several cells is the header, as every reader takes it.
    let titled = rows.first().is_some_and(|(_, row)| filled(row) < 2);
    let least = if titled { most.div_ceil(2).max(2) } else { 2 };
    let (above, columns) = rows.into_iter().find(|(_, row)| filled(row) >= least)?;
    Some(SheetHeader { above, titled, columns })
}

fn with_columns(name: &Path, form: Form) -> Result<Form, NoTable> {
    if form.columns.len() > 1 {
        return Ok(form);
    }
    let minor = look::format_of_extension(&look::format_extension(name)).is_none();
    let why = "it has one column only; is its delimiter an unusual one?".to_owned();
    Err(NoTable { why, minor })
}

/// A text by its first bytes; `name` has the extension that tells its format.
fn of_text(
    name: &Path,
    head: &[u8],
    columns: impl Fn(&FileOptions) -> Result<Vec<String>, DatasetError>,
) -> Result<Form, NoTable> {
    let mut options = FileOptions::default();
    let by_name = look::format_of_extension(&look::format_extension(name));
    // What is called like data and is none must be told.
    let minor = by_name.is_none();
    let no_table = |why: &str| NoTable { why: why.to_owned(), minor };
    let format = by_name.filter(|format| *format != FileFormat::Csv).or_else(|| format_of(head));
    if let Some(format) = format {
        options.format = (by_name != Some(format)).then_some(format);
        let columns = columns(&options)?;
        return Ok(Form { options, columns, header: None, ascii: false });
    }
    let whole = head.len() < HEAD;
    let dialect = text::dialect(head, whole).map_err(no_table)?;
    // Binary files have bytes that no text has; one or two are a fault of the export.
    let marked = head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]);
    let wide = marked || dialect.encoding.is_some_and(|label| label.starts_with("UTF-16"));
    let zeros = head.iter().filter(|byte| **byte == 0).count();
    if !wide && zeros * 200 > head.len() {
        return Err(no_table("it is no text"));
    }
    options.format = by_name.is_none().then_some(FileFormat::Csv);
    options.delimiter = dialect.delimiter;
    options.encoding = dialect.encoding.map(str::to_owned);
    options.quote = dialect.quote;
    options.skip_lines = dialect.skip_lines;
    options.header = dialect.header;
    let columns = columns(&options)?;
    let header = Some(dialect.skip_lines);
    Ok(Form { options, columns, header, ascii: whole && head.is_ascii() })
}

/// The format that the first bytes tell; `None`: perhaps delimited text.
fn format_of(bytes: &[u8]) -> Option<FileFormat> {
    if bytes.starts_with(b"PAR1") {
        return Some(FileFormat::Parquet);
    }
    let text = bytes.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(bytes);
    matches!(text.trim_ascii_start(), [b'{', ..] | [b'[', b'{' | b' ' | b'\n' | b'\r', ..])
        .then_some(FileFormat::Json)
}

/// Whether two headers have the same names, each once.
pub(super) fn same_names(one: &[String], other: &[String]) -> bool {
    let set = |names: &[String]| names.iter().cloned().collect::<HashSet<String>>();
    let (left, right) = (set(one), set(other));
    left.len() == one.len() && right.len() == other.len() && left == right
}

/// A file's name without folders and extensions.
pub(super) fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.split('.').next().unwrap_or_default().to_owned()
}
