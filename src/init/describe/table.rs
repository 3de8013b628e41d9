//! The tables of a folder: files with the same columns, and a sample of their rows.

use super::column::{Column, has_decimal_commas};
use super::text;
use super::words::Words;
use crate::dataset::{
    DatasetError, FileFormat, FileOptions, LIST_END, TableFile, is_missing,
    look::{self, Content},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Files with the same columns, read in the same way.
#[derive(Debug)]
pub(super) struct Table {
    /// Relative to the folder, sorted.
    pub files: Vec<PathBuf>,
    pub options: FileOptions,
    pub columns: Vec<Column>,
    pub rows: Vec<csv::StringRecord>,
    /// Whether `rows` are all rows of all files.
    pub whole: bool,
    /// Rows that are not as long as the header.
    pub broken: usize,
    /// Numbers are written with a comma before their fraction.
    pub decimal_comma: bool,
}

/// A file that could not be looked into.
#[derive(Debug)]
pub(super) struct Unread {
    pub file: PathBuf,
    pub why: String,
}

/// Folders below the one that is named, at most.
const DEPTH: usize = 4;
/// Files of one table that are sampled.
const SAMPLED: usize = 3;
/// Bytes by which a text file is recognised.
const HEAD: usize = 256 << 10;
/// What no shop keeps its data in.
const NO_DATA: [&str; 34] = [
    "md", "toml", "py", "ipynb", "sh", "html", "htm", "xml", "pdf", "png", "jpg", "jpeg", "gif",
    "svg", "sqlite", "db", "yml", "yaml", "ini", "cfg", "rs", "js", "css", "sql", "doc", "docx",
    "xls", "ckpt", "onnx", "bin", "pkl", "npy", "npz", "log",
];

/// The tables of a folder, the largest first, and the files that could not be read.
///
/// # Errors
/// A folder that cannot be read.
pub(super) fn tables(dir: &Path) -> Result<(Vec<Table>, Vec<Unread>), DatasetError> {
    let mut files = Vec::new();
    collect(dir, DEPTH, &mut files)?;
    files.sort();
    let (mut groups, mut unread): (Vec<Group>, Vec<Unread>) = (Vec::new(), Vec::new());
    let copies = without_copies(&mut files);
    unread.extend(copies.into_iter().map(|path| Unread {
        file: path.strip_prefix(dir).unwrap_or(&path).to_owned(),
        why: "it has the name of another file, but for its compression".to_owned(),
    }));
    for path in files {
        let file = path.strip_prefix(dir).unwrap_or(&path).to_owned();
        for found in opened(&path) {
            match found {
                Ok(Some((options, columns))) => {
                    let same =
                        |group: &&mut Group| group.columns == columns && group.options == options;
                    match groups.iter_mut().find(same) {
                        Some(group) => group.files.push(file.clone()),
                        None => groups.push(Group { files: vec![file.clone()], options, columns }),
                    }
                }
                Ok(None) => {}
                Err(error) => unread.push(Unread { file: file.clone(), why: error.to_string() }),
            }
        }
    }
    let mut tables = Vec::new();
    for group in groups {
        let first = group.files[0].clone();
        match group.table(dir) {
            Ok(table) if table.rows.is_empty() => {
                unread.push(Unread { file: first, why: "it has no rows".to_owned() })
            }
            Ok(table) => tables.push(table),
            Err(error) => unread.push(Unread { file: first, why: error.to_string() }),
        }
    }
    tables.sort_by_key(|table| std::cmp::Reverse(table.rows.len()));
    Ok((tables, unread))
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

/// Files whose columns are the same.
struct Group {
    files: Vec<PathBuf>,
    options: FileOptions,
    columns: Vec<String>,
}

impl Group {
    fn table(self, dir: &Path) -> Result<Table, DatasetError> {
        let Self { files, options, columns } = self;
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
            rows.extend(sample.rows);
            lists = sample.lists;
        }
        let day_first = day_first(&options, &columns);
        let profile = |(at, name): (usize, &String)| {
            let cells = rows.iter().map(|row: &csv::StringRecord| row.get(at).unwrap_or(""));
            let typed =
                lists.contains(&at) || rows.iter().take(100).any(|row| row[at].contains(LIST_END));
            Column::of(name, typed, cells, day_first)
        };
        let profiles: Vec<Column> = columns.iter().enumerate().map(profile).collect();
        let decimal_comma = has_decimal_commas(&profiles, options.delimiter == ",");
        Ok(Table { files, options, columns: profiles, rows, whole, broken, decimal_comma })
    }
}

impl Table {
    pub fn column(&self, at: usize) -> &Column {
        &self.columns[at]
    }

    /// A cell of a sampled row; `None` where missing.
    pub fn cell(&self, row: usize, column: usize) -> Option<&str> {
        self.rows[row].get(column).map(str::trim).filter(|cell| !is_missing(cell))
    }

    /// The name of the (first) file without folders and extensions.
    pub fn stem(&self) -> String {
        let name = self.files[0].file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.split('.').next().unwrap_or_default().to_owned()
    }

    pub fn file(&self) -> String {
        match self.files.len() {
            1 => self.files[0].display().to_string(),
            more => format!("{} and {} more", self.files[0].display(), more - 1),
        }
    }
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
        } else if path.is_file() && !NO_DATA.contains(&look::format_extension(&path).as_str()) {
            files.push(path);
        }
    }
    Ok(())
}

/// How a file is read, and its columns; `None` for what is no table.
type Opened = Result<Option<(FileOptions, Vec<String>)>, DatasetError>;

/// The tables of a file: several where it is an archive.
fn opened(path: &Path) -> Vec<Opened> {
    let typed = |format| {
        // Another extension than the usual one must be said.
        let told = look::format_of_extension(&look::format_extension(path)) == Some(format);
        FileOptions { format: (!told).then_some(format), ..FileOptions::default() }
    };
    match look::content(path, HEAD) {
        Ok(Content::Parquet) => vec![with_columns(path, typed(FileFormat::Parquet))],
        Ok(Content::Workbook) => vec![with_columns(path, typed(FileFormat::Xlsx))],
        Ok(Content::Text(head)) => vec![of_text(path, path, &head, FileOptions::default())],
        Ok(Content::Archive(members)) => {
            let one = members.len() == 1;
            let member = |name: &String| {
                let options =
                    FileOptions { member: (!one).then(|| name.clone()), ..FileOptions::default() };
                of_text(path, Path::new(name), &look::member(path, name, HEAD)?, options)
            };
            members.iter().map(member).collect()
        }
        Err(error) => vec![Err(error)],
    }
}

/// A text by its first bytes; `name` has the extension that tells its format.
fn of_text(path: &Path, name: &Path, head: &[u8], mut options: FileOptions) -> Opened {
    let by_name = look::format_of_extension(&look::format_extension(name));
    let format = by_name.filter(|format| *format != FileFormat::Csv).or_else(|| format_of(head));
    if let Some(format) = format {
        options.format = (by_name != Some(format)).then_some(format);
        return with_columns(path, options);
    }
    // Binary files have bytes that no text has.
    let marked = head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]);
    let Some(dialect) = text::dialect(head, head.len() < HEAD) else { return Ok(None) };
    if head.contains(&0)
        && !marked
        && dialect.encoding.is_none_or(|label| !label.starts_with("utf-16"))
    {
        return Ok(None);
    }
    options.format = by_name.is_none().then_some(FileFormat::Csv);
    options.delimiter = dialect.delimiter;
    options.encoding = dialect.encoding.map(str::to_owned);
    options.quote = dialect.quote;
    options.skip_lines = dialect.skip_lines;
    options.header = dialect.header;
    with_columns(path, options)
}

fn with_columns(path: &Path, options: FileOptions) -> Opened {
    let columns = look::columns(&TableFile::new(path.to_owned(), options.clone()))?;
    Ok((columns.len() > 1).then_some((options, columns)))
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
