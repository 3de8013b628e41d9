//! Which files a table has, and how each is to be read.

use super::block::BlockSource;
use super::error::DatasetError;
use super::open;
use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

/// How a file is read, as the description says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileOptions {
    /// `None`: by the extension of the file, else by its content.
    pub format: Option<Format>,
    /// One or several characters between the fields of a text file.
    pub delimiter: String,
    /// What at the start of a field opens a quoted one (RFC 4180); `None`: nothing.
    pub quote: Option<u8>,
    /// The WHATWG label of the encoding; `None`: UTF-8, or what a byte order mark says.
    pub encoding: Option<String>,
    /// Whether the first line names the columns.
    pub header: bool,
    /// Names of the columns of a file without a header; empty: `1`, `2`, ….
    pub columns: Vec<String>,
    /// Lines to leave out before the header.
    pub skip_lines: usize,
    /// The sheets of a workbook, one behind the other; empty: the first.
    pub sheets: Vec<String>,
    /// Patterns for the members of an archive to read; empty: all that can be read.
    pub members: Vec<String>,
}

impl Default for FileOptions {
    fn default() -> Self {
        Self {
            format: None,
            delimiter: ",".to_owned(),
            quote: Some(b'"'),
            encoding: None,
            header: true,
            columns: Vec::new(),
            skip_lines: 0,
            sheets: Vec::new(),
            members: Vec::new(),
        }
    }
}

/// The format of a file, whatever its compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    /// Delimited text.
    Csv,
    /// One object a line, or one array of objects.
    Json,
    Parquet,
    Xlsx,
}

/// A file of a table.
#[derive(Debug, Clone)]
pub(crate) struct TableFile {
    pub path: PathBuf,
    pub options: FileOptions,
    /// Columns with one value for the whole file, taken from folders named `column=value`.
    pub partition: Vec<(String, String)>,
}

impl TableFile {
    pub fn new(path: PathBuf, options: FileOptions) -> Self {
        Self { path, options, partition: Vec::new() }
    }

    pub fn csv(path: PathBuf) -> Self {
        Self::new(path, FileOptions::default())
    }

    /// Opens the file for blocks of about `block` bytes.
    pub(super) fn open(&self, block: usize) -> Result<Box<dyn BlockSource>, DatasetError> {
        open::table(self, block)
    }
}

/// The files of a table, all read with the same options. `files` are names, folders and patterns
/// relative to `dir`; `needed_for` says in errors what asks for them.
///
/// # Errors
/// A name, folder or pattern that gives no file.
pub(super) fn table_files(
    dir: &Path,
    files: &[PathBuf],
    options: &FileOptions,
    needed_for: &str,
) -> Result<Vec<TableFile>, DatasetError> {
    let mut tables = Vec::new();
    for path in expand(dir, files, needed_for)? {
        let below = path.strip_prefix(dir).unwrap_or(&path);
        let partition = partition_of(below);
        tables.push(TableFile { path, options: options.clone(), partition });
    }
    Ok(tables)
}

/// The paths that names, folders and patterns stand for: those of a folder or a pattern sorted,
/// each path once.
///
/// # Errors
/// A name, folder or pattern that gives no file.
pub(super) fn expand(
    dir: &Path,
    files: &[PathBuf],
    needed_for: &str,
) -> Result<Vec<PathBuf>, DatasetError> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for file in files {
        for path in expand_one(dir, file, needed_for)? {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
    Ok(paths)
}

fn expand_one(dir: &Path, file: &Path, needed_for: &str) -> Result<Vec<PathBuf>, DatasetError> {
    let path = dir.join(file);
    // A name that is there means itself, even when it holds characters of a pattern.
    if path.is_file() {
        return Ok(vec![path]);
    }
    if path.is_dir() {
        return folder(&path, needed_for);
    }
    if is_pattern(file) {
        return matches(dir, file, needed_for);
    }
    Err(DatasetError::MissingFile { path, needed_for: needed_for.to_owned() })
}

/// Every readable file below a folder.
fn folder(dir: &Path, needed_for: &str) -> Result<Vec<PathBuf>, DatasetError> {
    let mut found = Vec::new();
    add_readable(dir, &mut found).map_err(|(path, source)| DatasetError::Io { path, source })?;
    without_prose(&mut found, |path| path.as_path());
    found.sort();
    let kinds = kinds(found.iter().map(PathBuf::as_path));
    if let [first, second, ..] = &kinds[..] {
        let detail = format!(
            "the folder has files of several formats ({first}, {second}), which may be the same data twice; \
             name those to read with a pattern such as `{}/*.{first}` ({needed_for})",
            dir.file_name().unwrap_or_default().to_string_lossy()
        );
        return Err(DatasetError::Ambiguous { dir: dir.to_owned(), detail });
    }
    if found.is_empty() {
        let detail = format!("the folder has no file that can be read: {READABLE} ({needed_for})");
        return Err(DatasetError::Ambiguous { dir: dir.to_owned(), detail });
    }
    Ok(found)
}

/// What a folder is searched for, as messages say it.
const READABLE: &str = "csv, tsv, txt, dat, json, jsonl, ndjson, parquet or xlsx, perhaps compressed as gz, zst or zip";

/// The extension that tells the format of a file, without that of a compression, in lower case.
pub(crate) fn format_extension(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let inner = COMPRESSIONS.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    inner.rsplit_once('.').map_or_else(String::new, |(_, extension)| extension.to_owned())
}

const COMPRESSIONS: [&str; 5] = [".gz", ".gzip", ".zst", ".zstd", ".zip"];

/// The format that an extension (in lower case) stands for.
pub(crate) fn format_of_extension(extension: &str) -> Option<Format> {
    match extension {
        "csv" | "tsv" | "tab" | "txt" | "dat" => Some(Format::Csv),
        "json" | "jsonl" | "ndjson" => Some(Format::Json),
        "parquet" | "pq" => Some(Format::Parquet),
        "xlsx" | "xlsm" => Some(Format::Xlsx),
        _ => None,
    }
}

/// Whether a file is about the data, not data: what stands beside a table in folders and archives.
fn is_prose(path: &Path) -> bool {
    const PROSE: [&str; 8] =
        ["readme", "license", "licence", "notes", "changelog", "liesmich", "lisezmoi", "leeme"];
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let (stem, extension) = name.split_once('.').unwrap_or((&name, ""));
    PROSE.contains(&stem) && ["", "txt", "md"].contains(&extension)
}

/// Leaves out the files about the data, unless there are no others.
pub(super) fn without_prose<T>(files: &mut Vec<T>, path: impl Fn(&T) -> &Path) {
    if files.iter().any(|file| !is_prose(path(file))) {
        files.retain(|file| !is_prose(path(file)));
    }
}

/// The distinct extensions of files by format, one for each format.
pub(super) fn kinds<'a>(files: impl Iterator<Item = &'a Path>) -> Vec<String> {
    let mut formats: Vec<(Option<Format>, String)> = Vec::new();
    for file in files {
        let extension = format_extension(file);
        let format = format_of_extension(&extension);
        // An archive without a second extension may hold any format.
        if format.is_some() && formats.iter().all(|(known, _)| *known != format) {
            formats.push((format, extension));
        }
    }
    formats.into_iter().map(|(_, extension)| extension).collect()
}

/// Adds the readable files below a folder; names that begin with `.` or `_` are those of tools.
fn add_readable(dir: &Path, found: &mut Vec<PathBuf>) -> Result<(), (PathBuf, io::Error)> {
    let failed = |source| (dir.to_owned(), source);
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let name = name.to_string_lossy().to_lowercase();
        if name.starts_with(['.', '_']) {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            // Symbolic links to folders may lead round in a circle.
            if !path.is_symlink() {
                add_readable(&path, found)?;
            }
        } else if format_of_extension(&format_extension(&path)).is_some() || is_bare_archive(&name)
        {
            found.push(path);
        }
    }
    Ok(())
}

/// Whether a name ends like an archive whose members tell the format.
fn is_bare_archive(name: &str) -> bool {
    name.ends_with(".zip")
}

fn is_pattern(file: &Path) -> bool {
    file.to_string_lossy().contains(['*', '?', '['])
}

/// The files that a pattern stands for.
fn matches(dir: &Path, pattern: &Path, needed_for: &str) -> Result<Vec<PathBuf>, DatasetError> {
    let whole = dir.join(pattern);
    let missing =
        |detail: String| DatasetError::MissingFile { path: whole.clone(), needed_for: detail };
    let escaped = glob::Pattern::escape(&dir.to_string_lossy());
    let text = Path::new(&escaped).join(pattern);
    let options =
        glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };
    let paths = glob::glob_with(&text.to_string_lossy(), options)
        .map_err(|error| missing(format!("the pattern is wrong: {} ({needed_for})", error.msg)))?;
    let mut found = Vec::new();
    for path in paths {
        let path = path.map_err(|error| DatasetError::Io {
            path: error.path().to_owned(),
            source: io::Error::new(error.error().kind(), error.error().to_string()),
        })?;
        if path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    if found.is_empty() {
        return Err(missing(format!("no file matches this pattern; {needed_for}")));
    }
    Ok(found)
}

/// The columns that folders named `column=value` add, outermost first.
fn partition_of(path: &Path) -> Vec<(String, String)> {
    let folders = path.parent().unwrap_or(Path::new(""));
    let named = folders.components().filter_map(|component| match component {
        Component::Normal(name) => name.to_str()?.split_once('='),
        _ => None,
    });
    let named = named.filter(|(column, _)| !column.is_empty());
    named.map(|(column, value)| (column.to_owned(), partition_value(value))).collect()
}

/// The value of a folder name: `%3A` stands for `:`, and Hive has a name for no value.
fn partition_value(value: &str) -> String {
    if value == "__HIVE_DEFAULT_PARTITION__" {
        return String::new();
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [byte, behind @ ..] = rest {
        let hex = behind.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| *byte == b'%') {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &behind[2..];
            }
            None => {
                bytes.push(*byte);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    /// A folder with these empty files.
    fn with(files: &[&str]) -> TempDir {
        let dir = TempDir::new().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        dir
    }

    fn expanded(dir: &TempDir, files: &[&str]) -> Result<Vec<String>, String> {
        let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
        let paths = expand(dir.path(), &files, "dataset.toml names it")
            .map_err(|error| error.to_string())?;
        let name = |path: &PathBuf| {
            path.strip_prefix(dir.path()).unwrap().to_string_lossy().replace('\\', "/")
        };
        Ok(paths.iter().map(name).collect())
    }

    #[test]
    fn names_folders_and_patterns() {
        let files = [
            "a.csv",
            "o/part-2.csv.gz",
            "o/part-10.csv",
            "o/_SUCCESS",
            "o/.part.crc",
            "o/README.md",
            "o/year=2024/x.CSV",
            "p/b[1].csv",
        ];
        let dir = with(&files);
        let found = |files: &[&str]| expanded(&dir, files).unwrap();
        assert_eq!(found(&["a.csv", "./a.csv", "a.csv"]), ["a.csv"]);
        assert_eq!(found(&["o"]), ["o/part-10.csv", "o/part-2.csv.gz", "o/year=2024/x.CSV"]);
        assert_eq!(found(&["o/part-*"]), ["o/part-10.csv", "o/part-2.csv.gz"]);
        assert_eq!(found(&["*.csv"]), ["a.csv"]);
        assert_eq!(found(&["**/*.csv"]), ["a.csv", "o/part-10.csv", "p/b[1].csv"]);
        assert_eq!(found(&["p/b[1].csv", "a.csv"]), ["p/b[1].csv", "a.csv"]);
    }

    #[test]
    fn what_is_about_the_data_is_no_part_of_a_folder() {
        let dir = with(&["o/a.csv", "o/README.txt", "o/notes.csv", "p/readme.txt"]);
        assert_eq!(expanded(&dir, &["o"]).unwrap(), ["o/a.csv", "o/notes.csv"]);
        assert_eq!(expanded(&dir, &["p"]).unwrap(), ["p/readme.txt"]);
    }

    #[test]
    fn what_gives_no_file_is_an_error() {
        let dir = with(&["o/notes.md", "m/a.csv", "m/b.parquet"]);
        for (file, says) in [
            ("gone.csv", "gone.csv: no such file; dataset.toml names it"),
            ("o/*.csv", "*.csv: no such file; no file matches this pattern"),
            ("o", "the folder has no file that can be read: csv, tsv"),
            ("m", "files of several formats (csv, parquet), which may be the same data twice"),
            ("o/[", "the pattern is wrong"),
        ] {
            let message = expanded(&dir, &[file]).unwrap_err();
            assert!(
                message.contains(says) && message.contains("dataset.toml names it"),
                "{message}"
            );
        }
    }

    #[test]
    fn partitions_are_read_from_the_names_of_folders() {
        let found = partition_of(Path::new("o/year=2024/shop=K%C3%B6ln 100%/=x/part-0=1.csv"));
        let expected = [("year", "2024"), ("shop", "Köln 100%")];
        assert_eq!(found, expected.map(|(column, value)| (column.to_owned(), value.to_owned())));
    }

    #[test]
    fn extensions_tell_the_format_behind_a_compression() {
        for (name, expected) in [
            ("a.CSV.GZ", Some(Format::Csv)),
            ("a.parquet", Some(Format::Parquet)),
            ("a.jsonl.zst", Some(Format::Json)),
            ("a.zip", None),
            ("README", None),
        ] {
            assert_eq!(format_of_extension(&format_extension(Path::new(name))), expected, "{name}");
        }
    }
}
