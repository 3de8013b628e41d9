//! The tables of a folder: files with the same columns, and a sample of their rows.

use super::column::{Column, has_decimal_commas};
use super::text;
use super::words::{Holds, Role, Words, file_holds, file_says};
use crate::dataset::{
    DatasetError, FileFormat, FileOptions, LIST_END, TableFile, is_missing,
    look::{self, Archived, Content, SheetHead},
};
use std::{
    collections::HashSet,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

/// Files with the same columns, read in the same way.
#[derive(Debug)]
pub(super) struct Table {
    /// Relative to the folder, sorted.
    pub files: Vec<PathBuf>,
    /// The files, and the members and sheets of one, as people call them.
    parts: Vec<String>,
    pub holds: Holds,
    pub options: FileOptions,
    pub columns: Vec<Column>,
    pub rows: Vec<csv::StringRecord>,
    /// Whether `rows` are all rows of all files.
    pub whole: bool,
    /// Rows that are not as long as the header.
    pub broken: usize,
    /// Numbers are written with a comma before their fraction.
    pub decimal_comma: bool,
    /// The header names columns twice. They have names of our own, so the header is a line to leave
    /// out; it stands behind so many lines.
    pub renamed: Option<usize>,
}

/// A file that could not be looked into, or that holds no table.
#[derive(Debug)]
pub(super) struct Unread {
    pub file: String,
    pub why: String,
    /// Whether it is likely that the file never held a table.
    pub minor: bool,
}

/// Folders below the one that is named, at most.
const DEPTH: usize = 4;
/// Different tables of one file that are looked at.
const MOST_TABLES: usize = 50;
/// Files of one table that are sampled.
const SAMPLED: usize = 3;
/// Bytes by which a text file is recognised.
const HEAD: usize = 256 << 10;
/// What no shop keeps its data in.
const NO_DATA: [&str; 33] = [
    "md", "toml", "py", "ipynb", "sh", "html", "htm", "xml", "pdf", "png", "jpg", "jpeg", "gif",
    "svg", "sqlite", "db", "yml", "yaml", "ini", "cfg", "rs", "js", "css", "sql", "doc", "docx",
    "ckpt", "onnx", "bin", "pkl", "npy", "npz", "log",
];

/// The tables of a folder, the largest first, and the files that could not be read.
///
/// # Errors
/// A folder that cannot be read.
pub(super) fn tables(dir: &Path) -> Result<(Vec<Table>, Vec<Unread>), DatasetError> {
    let mut files = Vec::new();
    collect(dir, DEPTH, &mut files)?;
    files.sort();
    let name = |path: &Path| path.strip_prefix(dir).unwrap_or(path).display().to_string();
    let unread = |path: &Path, why: &str, minor: bool| Unread {
        file: name(path),
        why: why.to_owned(),
        minor,
    };
    let (mut groups, mut left): (Vec<Group>, Vec<Unread>) = (Vec::new(), Vec::new());
    let copies = without_copies(&mut files);
    let compressed = "it has the name of another file, but for its compression";
    left.extend(copies.iter().map(|path| unread(path, compressed, false)));
    for (copy, original) in without_twins(&mut files) {
        let why = format!("it has the same content as {}", name(&original));
        left.push(unread(&copy, &why, false));
    }
    for path in files {
        let foreign = look::format_extension(&path);
        if NO_DATA.contains(&foreign.as_str()) {
            left.push(unread(
                &path,
                &format!(
                    "data in .{foreign} files is not read; save it as CSV, JSON, Parquet or .xlsx"
                ),
                true,
            ));
            continue;
        }
        let file = path.strip_prefix(dir).unwrap_or(&path).to_owned();
        let Opened { parts, skipped } = opened(&path);
        if let Some(hint) = way_out(&foreign).filter(|_| parts.is_empty()) {
            left.push(unread(&path, hint, false));
            continue;
        }
        for Skipped { part, why, minor } in skipped {
            let name = part.map_or_else(|| name(&path), |part| format!("{}/{part}", name(&path)));
            left.push(Unread { file: name, why, minor });
        }
        for part in parts {
            match groups.iter_mut().find(|group| group.takes(&file, &part)) {
                Some(group) => group.add(file.clone(), part),
                None => groups.push(Group::of(file.clone(), part)),
            }
        }
    }
    let mut tables = Vec::new();
    for group in groups {
        let first = group.names[0].clone();
        match group.table(dir) {
            Ok(table) if table.rows.is_empty() => {
                let why = match table.broken {
                    0 => "it has no rows".to_owned(),
                    broken => {
                        format!("none of its {broken} rows is text with a cell for each column")
                    }
                };
                left.push(Unread { file: first, why, minor: false });
            }
            Ok(table) => tables.push(table),
            Err(error) => left.push(Unread { file: first, why: error.to_string(), minor: false }),
        }
    }
    tables.sort_by_key(|table| std::cmp::Reverse(table.rows.len()));
    Ok((tables, left))
}

/// What to do with data in a form that is not read, by its extension.
fn way_out(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "ods" | "numbers" => "this kind of workbook is not read; save it as .xlsx or CSV",
        "tar" | "tgz" => "tar archives are not read; unpack it",
        "orc" | "sas7bdat" | "dta" | "sav" => "this format is not read; save it as Parquet or CSV",
        _ => return None,
    })
}

/// Removes the files whose content another one has, such as `orders (1).csv`: each with the one
/// that stays. Equal parts in folders such as `year=2024` are none, for the folder tells the rest.
fn without_twins(files: &mut Vec<PathBuf>) -> Vec<(PathBuf, PathBuf)> {
    let size = |path: &PathBuf| fs::metadata(path).map_or(0, |data| data.len());
    let mut sized: Vec<(u64, PathBuf)> = files.drain(..).map(|path| (size(&path), path)).collect();
    // The shorter name is that of the original.
    sized.sort_by_key(|(size, path)| (*size, path.as_os_str().len(), path.clone()));
    let (mut kept, mut twins): (Vec<(u64, PathBuf)>, Vec<_>) = (Vec::new(), Vec::new());
    for (size, path) in sized {
        let may_be_twin = size > 0 && !path.to_string_lossy().contains('=');
        let same = kept.iter().rev().take_while(|(other, _)| *other == size && may_be_twin);
        let original = same.map(|(_, other)| other).take(20).find(|other| alike(other, &path));
        match original {
            Some(original) => twins.push((path.clone(), original.clone())),
            None => kept.push((size, path)),
        }
    }
    *files = kept.into_iter().map(|(_, path)| path).collect();
    files.sort();
    twins.sort();
    twins
}

/// Whether two files of the same size have the same bytes; not where one cannot be read.
fn alike(one: &Path, other: &Path) -> bool {
    let (Ok(one), Ok(other)) = (File::open(one), File::open(other)) else { return false };
    let (mut one, mut other) = (BufReader::new(one), BufReader::new(other));
    loop {
        let (Ok(left), Ok(right)) = (one.fill_buf(), other.fill_buf()) else { return false };
        let length = left.len().min(right.len());
        if length == 0 {
            return left.is_empty() && right.is_empty();
        }
        if left[..length] != right[..length] {
            return false;
        }
        one.consume(length);
        other.consume(length);
    }
}

/// Removes the files that differ from the one before them in their compression alone.
fn without_copies(files: &mut Vec<PathBuf>) -> Vec<PathBuf> {
    let stem = |path: &Path| {
        let text = path.to_string_lossy().into_owned();
        let ends = [".gz", ".zst", ".zip"];
        ends.iter().find_map(|end| text.strip_suffix(end)).map_or(text.clone(), str::to_owned)
    };
    let mut copies = Vec::new();
    let mut kept: Vec<PathBuf> = Vec::new();
    for path in files.drain(..) {
        match kept.last().filter(|last| stem(last) == stem(&path)) {
            Some(_) => copies.push(path),
            None => kept.push(path),
        }
    }
    *files = kept;
    copies
}

/// A table of one file: of several members or sheets where they have the same columns.
struct Part {
    names: Vec<String>,
    holds: Holds,
    options: FileOptions,
    columns: Vec<String>,
    /// Lines above the header of a text or a sheet; `None` for typed files.
    header: Option<usize>,
}

/// Files whose columns are the same.
struct Group {
    files: Vec<PathBuf>,
    names: Vec<String>,
    holds: Holds,
    options: FileOptions,
    columns: Vec<String>,
    header: Option<usize>,
}

impl Group {
    fn of(file: PathBuf, part: Part) -> Self {
        let Part { names, holds, options, columns, header } = part;
        let names = under(&file, names);
        Self { files: vec![file], names, holds, options, columns, header }
    }

    fn add(&mut self, file: PathBuf, part: Part) {
        if self.holds == Holds::Unknown {
            self.holds = part.holds;
        }
        self.names.extend(under(&file, part.names));
        self.files.push(file);
    }

    /// Whether another file is read in the same way. The order of the columns does not matter where
    /// each has a name of its own.
    fn takes(&self, file: &PathBuf, part: &Part) -> bool {
        let named = self.options.header && same_names(&self.columns, &part.columns);
        !self.files.contains(file)
            && self.options == part.options
            && self.holds.goes_with(part.holds)
            && (self.columns == part.columns || named)
    }

    fn table(self, dir: &Path) -> Result<Table, DatasetError> {
        let Self { files, names, holds, options, columns, header } = self;
        // The first, the last and one between: parts are often in order of time.
        let mut sampled = vec![0, files.len() / 2, files.len() - 1];
        sampled.dedup();
        sampled.truncate(SAMPLED);
        let (mut rows, mut lists, mut broken) = (Vec::new(), Vec::new(), 0);
        let mut whole = sampled.len() == files.len();
        for &at in &sampled {
            let sample = look::sample(&TableFile::new(dir.join(&files[at]), options.clone()))?;
            whole &= sample.whole;
            broken += sample.broken;
            let place = |name: &String| sample.columns.iter().position(|other| other == name);
            if sample.columns == columns {
                rows.extend(sample.rows);
                lists = sample.lists;
            } else {
                let places: Vec<usize> = columns.iter().filter_map(place).collect();
                let moved = |row: csv::StringRecord| -> csv::StringRecord {
                    places.iter().map(|&at| row.get(at).unwrap_or("")).collect()
                };
                rows.extend(sample.rows.into_iter().map(moved));
            }
        }
        let (columns, repeated) = without_repeats(columns);
        let renamed = match (repeated.first(), header) {
            (None, _) => None,
            (Some(_), Some(header)) if options.header => Some(header),
            (Some(_), _) if !options.header => None,
            (Some(name), _) => {
                return Err(DatasetError::Ambiguous {
                    dir: dir.join(&files[0]),
                    detail: format!("it names the column `{name}` twice"),
                });
            }
        };
        let day_first = day_first(&options, &columns);
        let profile = |(at, name): (usize, &String)| {
            let cells = rows.iter().map(|row: &csv::StringRecord| row.get(at).unwrap_or(""));
            let typed =
                lists.contains(&at) || rows.iter().take(100).any(|row| row[at].contains(LIST_END));
            Column::of(name, typed, cells, day_first)
        };
        let profiles: Vec<Column> = columns.iter().enumerate().map(profile).collect();
        let decimal_comma = has_decimal_commas(&profiles, options.delimiter == ",");
        Ok(Table {
            files,
            parts: names,
            holds,
            options,
            columns: profiles,
            rows,
            whole,
            broken,
            decimal_comma,
            renamed,
        })
    }
}

/// The names of a file's parts below that of the file.
fn under(file: &Path, parts: Vec<String>) -> Vec<String> {
    let file = file.display().to_string();
    match parts.is_empty() {
        true => vec![file],
        false => parts.iter().map(|part| format!("{file}/{part}")).collect(),
    }
}

/// Whether two headers have the same names, each once.
pub(super) fn same_names(one: &[String], other: &[String]) -> bool {
    let set = |names: &[String]| names.iter().cloned().collect::<HashSet<String>>();
    let (left, right) = (set(one), set(other));
    left.len() == one.len() && right.len() == other.len() && left == right
}

/// Names that each stand once, numbered where the header repeats one, and those that it repeats.
fn without_repeats(columns: Vec<String>) -> (Vec<String>, Vec<String>) {
    let mut repeated: Vec<String> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for name in &columns {
        // What has no name is read by none.
        if name.trim().is_empty() || !names.contains(name) {
            names.push(name.clone());
            continue;
        }
        let free = |number: &usize| {
            let other = format!("{name}{number}");
            !names.contains(&other) && !columns.contains(&other)
        };
        let number = (2..).find(free).unwrap_or_default();
        names.push(format!("{name}{number}"));
        if !repeated.contains(name) {
            repeated.push(name.clone());
        }
    }
    (names, repeated)
}

impl Table {
    pub fn column(&self, at: usize) -> &Column {
        &self.columns[at]
    }

    /// A cell of a sampled row; `None` where missing.
    pub fn cell(&self, row: usize, column: usize) -> Option<&str> {
        self.rows[row].get(column).map(str::trim).filter(|cell| !is_missing(cell))
    }

    /// What the name of the first file, or of its member or sheet, says.
    pub fn says(&self) -> Option<Role> {
        let of = |name: &Path| file_says(&stem(name));
        self.parts.first().and_then(|part| of(Path::new(part))).or_else(|| of(&self.files[0]))
    }

    pub fn file(&self) -> String {
        match self.parts.len() {
            1 => self.parts[0].clone(),
            more => format!("{} and {} more", self.parts[0], more - 1),
        }
    }

    /// Why this table is not one with another of the same columns; `None` where the columns are
    /// others.
    pub fn differs(&self, other: &Self) -> Option<String> {
        let names = |table: &Self| -> Vec<String> {
            table.columns.iter().map(|column| column.name.clone()).collect()
        };
        let (own, others) = (&self.options, &other.options);
        if own.header != others.header && self.columns.len() == other.columns.len() {
            // Without a header, values that come again tell that the columns are the same.
            let shared = self.columns.iter().zip(&other.columns);
            let alike = shared.filter(|(one, other)| one.within(other) > 0.2).count() > 0;
            let lacks = if own.header { "the other has no header" } else { "it has no header" };
            return alike.then(|| lacks.to_owned());
        }
        if !own.header || !same_names(&names(self), &names(other)) {
            return None;
        }
        let delimiter = |options: &FileOptions| format!("{:?}", options.delimiter);
        let encoding =
            |options: &FileOptions| options.encoding.clone().unwrap_or_else(|| "UTF-8".to_owned());
        Some(match self.holds {
            Holds::Returns => "its name speaks of returns".to_owned(),
            Holds::Views => "its name speaks of views or carts".to_owned(),
            _ if own.delimiter != others.delimiter => {
                format!("its delimiter is {}, not {}", delimiter(own), delimiter(others))
            }
            _ if own.encoding != others.encoding => {
                format!("its encoding is {}, not {}", encoding(own), encoding(others))
            }
            _ if own.format != others.format => "it is of another format".to_owned(),
            _ if own.quote != others.quote => "its quotes are others".to_owned(),
            _ if own.skip_lines != others.skip_lines => {
                "another number of lines stands above its header".to_owned()
            }
            _ if !self.holds.goes_with(other.holds) => {
                "its name speaks of something else".to_owned()
            }
            _ => {
                "it is in another archive or workbook, or its columns have another order".to_owned()
            }
        })
    }

    /// How many rows there are, as a message says it.
    pub fn size(&self) -> String {
        let (rows, more) = (self.rows.len(), if self.whole { "" } else { "more than " });
        format!("{more}{rows} rows")
    }
}

/// A file's name without folders and extensions.
fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.split('.').next().unwrap_or_default().to_owned()
}

fn collect(dir: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), DatasetError> {
    let io = |source| DatasetError::Io { path: dir.to_owned(), source };
    for entry in fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let stem = name.split('.').next().unwrap_or_default();
        let prose =
            ["readme", "license", "licence", "notes", "changelog", "vitrine-rejects", "rejects"]
                .contains(&stem);
        if name.starts_with(['.', '_']) || prose {
            continue;
        }
        if path.is_dir() && !path.is_symlink() && depth > 0 {
            // What the trainer itself leaves there.
            if !["models", "runs", "configs", "vitrine-demo"].contains(&name.as_str()) {
                collect(&path, depth - 1, files)?;
            }
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

/// What is in a file: several tables where it is an archive or a workbook.
#[derive(Default)]
struct Opened {
    parts: Vec<Part>,
    skipped: Vec<Skipped>,
}

/// What is no table, and why.
struct Skipped {
    /// The member or sheet; `None`: the whole file.
    part: Option<String>,
    why: String,
    minor: bool,
}

/// How a text is read, its columns, and the lines above its header.
type Read = (FileOptions, Vec<String>, Option<usize>);

impl Opened {
    fn skip(&mut self, part: Option<&str>, why: impl Into<String>, minor: bool) {
        self.skipped.push(Skipped { part: part.map(str::to_owned), why: why.into(), minor });
    }

    /// Adds a part, or makes it one with a part of the same columns.
    fn add(&mut self, name: &str, holds: Holds, read: Read, fits: impl Fn(&Part) -> bool) {
        let (options, columns, header) = read;
        let alike = |part: &&mut Part| {
            part.options == options
                && part.holds.goes_with(holds)
                && part.header == header
                && fits(part)
        };
        match self.parts.iter_mut().find(alike) {
            Some(part) => part.names.push(name.to_owned()),
            None => {
                let names = vec![name.to_owned()];
                self.parts.push(Part { names, holds, options, columns, header });
            }
        }
    }

    /// Leaves out what no person would read on.
    fn bounded(mut self) -> Self {
        if self.parts.len() > MOST_TABLES {
            let more = self.parts.len() - MOST_TABLES;
            self.parts.truncate(MOST_TABLES);
            let why = format!("{more} more tables of other columns in it were not looked at");
            self.skip(None, why, false);
        }
        self
    }
}

/// The tables of a file.
fn opened(path: &Path) -> Opened {
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
                .map(|columns| (options, columns, None))
                .map_err(|error| (error.to_string(), false))
        }
        Ok(Content::Text(head)) => of_text(path, &head, columns),
        Err(error) => Err((error.to_string(), false)),
    };
    let mut opened = Opened::default();
    match read.and_then(|read| with_columns(path, read)) {
        Ok((options, columns, header)) => {
            opened.parts.push(Part { names: Vec::new(), holds, options, columns, header });
        }
        Err((why, minor)) => opened.skip(None, why, minor),
    }
    opened
}

/// The tables of an archive: members with the same columns are one.
fn of_archive(path: &Path, archive: &Archived) -> Opened {
    let mut opened = Opened::default();
    let members = archive.members();
    if members.is_empty() {
        let why = format!("the archive has no file that can be read; it has {}", archive.names());
        opened.skip(None, why, false);
    }
    for name in &members {
        let columns = |options: &FileOptions| archive.columns(name, options);
        let read = archive
            .head(name, HEAD)
            .map_err(|error| (error.to_string(), false))
            .and_then(|head| of_text(Path::new(name), &head, columns))
            .and_then(|read| with_columns(Path::new(name), read));
        match read {
            // Members are read one behind the other, by the header of the first.
            Ok(read) => {
                let columns = read.1.clone();
                let holds = match file_holds(&stem(Path::new(name))) {
                    Holds::Unknown => file_holds(&stem(path)),
                    told => told,
                };
                opened.add(name, holds, read, |part| part.columns == columns);
            }
            Err((why, minor)) => opened.skip(Some(name), why, minor),
        }
    }
    for part in &mut opened.parts {
        if part.names.len() < members.len() {
            part.options.members = patterns(&part.names, &members);
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
        let Some((line, columns)) = header(rows) else {
            opened.skip(Some(&name), "the sheet holds no table", true);
            continue;
        };
        // A title above the names of the columns.
        let skip_lines = if line.1 { line.0 } else { 0 };
        let options = FileOptions { skip_lines, ..options.clone() };
        let holds = match file_holds(&name) {
            Holds::Unknown => file_holds(&stem(path)),
            told => told,
        };
        let read = (options, columns.clone(), Some(line.0));
        opened.add(&name, holds, read, |part| {
            part.columns == columns || same_names(&part.columns, &columns)
        });
    }
    for part in &mut opened.parts {
        match part.names.as_slice() {
            [only] if *only == first => part.names.clear(),
            names => part.options.sheets = names.to_vec(),
        }
    }
    opened.bounded()
}

/// The row of a sheet that names its columns, whether rows stand above it, and the names.
fn header(rows: Vec<(usize, Vec<String>)>) -> Option<((usize, bool), Vec<String>)> {
    let filled = |row: &[String]| row.iter().filter(|cell| !cell.trim().is_empty()).count();
    let most = rows.iter().map(|(_, row)| filled(row)).max().filter(|most| *most > 1)?;
    // A first row of several cells is the header, as every reader takes it.
    let titled = rows.first().is_some_and(|(_, row)| filled(row) < 2);
    let least = if titled { most.div_ceil(2).max(2) } else { 2 };
    let (line, names) = rows.into_iter().find(|(_, row)| filled(row) >= least)?;
    Some(((line, titled), names))
}

/// Why there is no table, and whether there probably never was one.
type Why = (String, bool);

fn with_columns(name: &Path, read: Read) -> Result<Read, Why> {
    if read.1.len() > 1 {
        return Ok(read);
    }
    let minor = look::format_of_extension(&look::format_extension(name)).is_none();
    Err(("it has one column only; is its delimiter an unusual one?".to_owned(), minor))
}

/// A text by its first bytes; `name` has the extension that tells its format.
fn of_text(
    name: &Path,
    head: &[u8],
    columns: impl Fn(&FileOptions) -> Result<Vec<String>, DatasetError>,
) -> Result<Read, Why> {
    let mut options = FileOptions::default();
    let by_name = look::format_of_extension(&look::format_extension(name));
    // What is called like data and is none must be told.
    let minor = by_name.is_none();
    let columns = |options: FileOptions, header: Option<usize>| match columns(&options) {
        Ok(columns) => Ok((options, columns, header)),
        Err(error) => Err((error.to_string(), false)),
    };
    let format = by_name.filter(|format| *format != FileFormat::Csv).or_else(|| format_of(head));
    if let Some(format) = format {
        options.format = (by_name != Some(format)).then_some(format);
        return columns(options, None);
    }
    let dialect = text::dialect(head, head.len() < HEAD).map_err(|why| (why.to_owned(), minor))?;
    // Binary files have bytes that no text has; one or two are a fault of the export.
    let marked = head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]);
    let wide = marked || dialect.encoding.is_some_and(|label| label.starts_with("UTF-16"));
    let zeros = head.iter().filter(|byte| **byte == 0).count();
    if !wide && zeros * 200 > head.len() {
        return Err(("it is no text".to_owned(), minor));
    }
    options.format = by_name.is_none().then_some(FileFormat::Csv);
    options.delimiter = dialect.delimiter;
    options.encoding = dialect.encoding.map(str::to_owned);
    options.quote = dialect.quote;
    options.skip_lines = dialect.skip_lines;
    options.header = dialect.header;
    columns(options, Some(dialect.skip_lines))
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

/// Whether a day stands before its month where both are at most 12: how most of the world writes,
/// but not those who write commas between fields and English above them.
fn day_first(options: &FileOptions, columns: &[String]) -> bool {
    const NOT_ENGLISH: [&str; 14] = [
        "datum", "fecha", "kunde", "artikel", "cliente", "producto", "produto", "pedido",
        "commande", "preis", "prix", "precio", "menge", "quantite",
    ];
    options.delimiter == ";"
        || options.encoding.is_some()
        || columns
            .iter()
            .any(|column| NOT_ENGLISH.iter().any(|word| Words::of(column).joined().contains(word)))
}
