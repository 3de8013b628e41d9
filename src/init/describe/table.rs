//! The tables of a folder: files with the same columns, and a sample of their rows.

use super::column::{Column, has_decimal_commas};
use super::opened::{Form, NoTable, Opened, Part, Skipped, opened, same_names, stem};
use super::words::{Holds, Role, Words, file_says};
use crate::dataset::{DatasetError, FileOptions, LIST_END, TableFile, is_missing, look};
use std::{
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
/// Files of one table that are sampled.
const SAMPLED: usize = 3;
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
        for Skipped { part, no_table: NoTable { why, minor } } in skipped {
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

/// Files whose columns are the same.
struct Group {
    files: Vec<PathBuf>,
    names: Vec<String>,
    holds: Holds,
    form: Form,
}

impl Group {
    fn of(file: PathBuf, part: Part) -> Self {
        let Part { names, holds, form } = part;
        let names = under(&file, names);
        Self { files: vec![file], names, holds, form }
    }

    fn add(&mut self, file: PathBuf, part: Part) {
        if self.holds == Holds::Unknown {
            self.holds = part.holds;
        }
        self.form.join(&part.form);
        self.names.extend(under(&file, part.names));
        self.files.push(file);
    }

    /// Whether another file is read in the same way. The order of the columns does not matter where
    /// each has a name of its own.
    fn takes(&self, file: &PathBuf, part: &Part) -> bool {
        let (own, other) = (&self.form.columns, &part.form.columns);
        let named = self.form.options.header && same_names(own, other);
        !self.files.contains(file)
            && self.form.goes_with(&part.form)
            && self.holds.goes_with(part.holds)
            && (own == other || named)
    }

    fn table(self, dir: &Path) -> Result<Table, DatasetError> {
        let Self { files, names, holds, form } = self;
        let Form { options, columns, header, .. } = form;
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
        Some(if let Some(why) = self.holds.no_purchases() {
            why.to_owned()
        } else if own.delimiter != others.delimiter {
            format!("its delimiter is {}, not {}", delimiter(own), delimiter(others))
        } else if own.encoding != others.encoding {
            format!("its encoding is {}, not {}", encoding(own), encoding(others))
        } else if own.format != others.format {
            "it is of another format".to_owned()
        } else if own.quote != others.quote {
            "it uses other quotes".to_owned()
        } else if own.skip_lines != others.skip_lines {
            "another number of lines stands above its header".to_owned()
        } else if !self.holds.goes_with(other.holds) {
            "its name says that it holds something else".to_owned()
        } else {
            "it is in another archive or workbook, or its columns have another order".to_owned()
        })
    }

    /// How many rows there are, as a message says it.
    pub fn size(&self) -> String {
        let (rows, more) = (self.rows.len(), if self.whole { "" } else { "more than " });
        format!("{more}{rows} rows")
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
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
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
