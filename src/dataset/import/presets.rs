//! The layouts that need no description: found by their files.

use super::columns::ColumnType;
use super::error::DatasetError;
use super::files::{FileOptions, Format, TableFile};
use super::moment::{TimeFormat, TimePlan};
use super::plan::{EntityPlan, Header, Plan, PurchasePlan};
use super::rentals;
use super::rows::TablePlan;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A known layout of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Preset {
    /// The H&M schema: `articles.csv`, `customers.csv`, `transactions.csv` (or
    /// `transactions_train.csv`).
    Hm,
    /// RecBole atomic files: `NAME.inter`, and `NAME.item` and `NAME.user` where there are any.
    Recbole,
    /// Rent the Runway's reviews: JSON lines, perhaps compressed with gzip.
    RentTheRunway,
    /// `NAME.txt` with `customer article article …` a line, and perhaps
    /// `NAME_item2attributes.json`.
    Sequences,
}

const LOOKED_FOR: &str = "dataset.toml; articles.csv, customers.csv and transactions.csv or transactions_train.csv \
     (preset hm); NAME.inter (preset recbole); NAME.json, .jsonl or .json.gz with `user_id`, `item_id` and `review_date` in each line \
     (preset rent-the-runway); NAME.txt with `customer article article …` a line (preset sequences). \
     Describe other files in a dataset.toml";

impl Preset {
    /// The preset whose files lie in a folder.
    pub fn detect(dir: &Path) -> Result<Self, DatasetError> {
        let hm = ["articles.csv", "transactions.csv", "transactions_train.csv"];
        if hm.iter().any(|name| dir.join(name).is_file()) {
            Ok(Self::Hm)
        } else if !with_extension(dir, "inter")?.is_empty() {
            Ok(Self::Recbole)
        } else if rental_files(dir)?.iter().any(|path| rentals::recognised(path)) {
            Ok(Self::RentTheRunway)
        } else if !sequence_files(dir)?.is_empty() {
            Ok(Self::Sequences)
        } else {
            Err(DatasetError::NotRecognised {
                dir: dir.to_owned(),
                looked_for: LOOKED_FOR.to_owned(),
            })
        }
    }
}

/// The name of the preset that can read a folder: its files are there and have the columns it
/// needs.
#[cfg(feature = "trainer")]
pub(super) fn fitting(dir: &Path) -> Result<Option<&'static str>, DatasetError> {
    let preset = match Preset::detect(dir) {
        Ok(preset) => preset,
        Err(DatasetError::NotRecognised { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let fits = match preset {
        Preset::Hm => hm(dir).is_ok_and(|plan| has_columns(&plan)),
        Preset::Recbole => recbole(dir).is_ok_and(|plan| has_columns(&plan)),
        Preset::RentTheRunway => rentals(dir).is_ok(),
        Preset::Sequences => sequences(dir).is_ok_and(|(file, _)| is_sequences(&file)),
    };
    let name = match preset {
        Preset::Hm => "hm",
        Preset::Recbole => "recbole",
        Preset::RentTheRunway => "rent-the-runway",
        Preset::Sequences => "sequences",
    };
    Ok(fits.then_some(name))
}

/// Whether the files of a plan can be opened and have the columns that it cannot do without.
#[cfg(feature = "trainer")]
fn has_columns(plan: &Plan) -> bool {
    let has = |files: &[TableFile], names: &[&str]| {
        files.iter().all(|file| {
            let source = file.open(1 << 16);
            source.is_ok_and(|source| {
                names.iter().all(|name| source.layout().columns.iter().any(|c| c == name))
            })
        })
    };
    let entities = plan.articles.iter().chain(&plan.customers);
    let purchases = &plan.purchases;
    let time = purchases.time.iter().flat_map(|time| time.columns.iter().map(String::as_str));
    let names: Vec<&str> =
        [purchases.article.as_str(), purchases.customer.as_str()].into_iter().chain(time).collect();
    has(&purchases.table.files, &names)
        && entities.into_iter().all(|entity| has(&entity.table.files, &[entity.id.as_str()]))
}

/// Whether the first lines hold words without a delimiter, and not all as many as in a table.
#[cfg(feature = "trainer")]
fn is_sequences(file: &Path) -> bool {
    let Ok(super::look::Content::Text(bytes)) = super::look::content(file, 1 << 16) else {
        return false;
    };
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).take(200).collect();
    let lines =
        if bytes.len() == 1 << 16 { &lines[..lines.len().saturating_sub(1)] } else { &lines[..] };
    let widths: Vec<usize> = lines.iter().map(|line| line.split_whitespace().count()).collect();
    let plain = lines.iter().all(|line| !line.contains([',', ';', '|', '"', '\t']));
    plain
        && widths.iter().all(|&width| width >= 2)
        && widths.windows(2).any(|pair| pair[0] != pair[1])
}

/// The plan of the H&M schema.
pub(super) fn hm(dir: &Path) -> Result<Plan, DatasetError> {
    let needed = |names: &[&str]| -> Result<TableFile, DatasetError> {
        let paths: Vec<PathBuf> = names.iter().map(|name| dir.join(name)).collect();
        let mut there = paths.iter().filter(|path| path.is_file());
        match (there.next(), there.next()) {
            (Some(path), None) => Ok(TableFile::csv(path.clone())),
            (Some(_), Some(_)) => Err(DatasetError::Ambiguous {
                dir: dir.to_owned(),
                detail: format!("both {} are there; keep one of them", names.join(" and ")),
            }),
            (None, _) => Err(DatasetError::MissingFile {
                path: paths[0].clone(),
                needed_for: format!("the preset hm reads {}", names.join(" or ")),
            }),
        }
    };
    let articles = EntityPlan::of(TablePlan::of(vec![needed(&["articles.csv"])?]), "article_id");
    let mut customers =
        EntityPlan::of(TablePlan::of(vec![needed(&["customers.csv"])?]), "customer_id");
    customers.types.insert("age".to_owned(), ColumnType::Number);
    let transactions =
        TablePlan::of(vec![needed(&["transactions.csv", "transactions_train.csv"])?]);
    Ok(Plan {
        kind: "hm".to_owned(),
        articles: Some(articles),
        customers: Some(customers),
        purchases: PurchasePlan {
            time: Some(TimePlan::of("t_dat", TimeFormat::Date)),
            price: Some("price".to_owned()),
            channel: Some("sales_channel_id".to_owned()),
            ..PurchasePlan::of(transactions, "article_id", "customer_id")
        },
    })
}

/// Atomic files are tab-separated and know no quotes.
fn atomic(path: &Path) -> TableFile {
    let options = FileOptions {
        format: Some(Format::Csv),
        delimiter: "\t".to_owned(),
        quote: None,
        ..FileOptions::default()
    };
    TableFile::new(path.to_owned(), options)
}

/// The plan of RecBole atomic files.
pub(super) fn recbole(dir: &Path) -> Result<Plan, DatasetError> {
    let inter = the_only(dir, with_extension(dir, "inter")?, "*.inter")?;
    let header = atomic(&inter).open(1 << 16)?.layout().columns.clone();
    let optional = |column: &str| header.iter().find(|c| *c == column).cloned();
    let entity = |extension: &str, id: &str| {
        let path = inter.with_extension(extension);
        path.is_file().then(|| EntityPlan {
            header: Header::Typed,
            open: true,
            ..EntityPlan::of(TablePlan::of(vec![atomic(&path)]), id)
        })
    };
    let purchases = TablePlan::of(vec![atomic(&inter)]);
    Ok(Plan {
        kind: "recbole".to_owned(),
        articles: entity("item", "item_id:token"),
        customers: entity("user", "user_id:token"),
        purchases: PurchasePlan {
            time: optional("timestamp:float")
                .map(|column| TimePlan::of(&column, TimeFormat::UnixSeconds)),
            price: optional("price:float"),
            ..PurchasePlan::of(purchases, "item_id:token", "user_id:token")
        },
    })
}

/// The name and type of an atomic file's column, `name:type`; what is wrong with it otherwise.
pub(super) fn typed_column(header: &str) -> Result<(&str, ColumnType), String> {
    let (name, kind) = header
        .rsplit_once(':')
        .ok_or_else(|| "an atomic file names each column `name:type`".to_owned())?;
    let kind = match kind {
        "token" if is_quantity(name) => ColumnType::MostlyNumber,
        "token" => ColumnType::Category,
        "token_seq" => ColumnType::Tags { separator: " ".to_owned() },
        "float" => ColumnType::Number,
        "float_seq" => ColumnType::Ignored,
        other => return Err(format!("`{other}` is not one of token, token_seq, float, float_seq")),
    };
    Ok((name, kind))
}

/// Atomic files often call a number a token; these are numbers by their meaning.
fn is_quantity(name: &str) -> bool {
    ["age", "year", "price"].iter().any(|word| name == *word || name.ends_with(&format!("_{word}")))
}

/// The file of rentals in a folder: the only one that looks like it, else the only one that could
/// be.
pub(super) fn rentals(dir: &Path) -> Result<PathBuf, DatasetError> {
    let files = rental_files(dir)?;
    let recognised: Vec<PathBuf> =
        files.iter().filter(|path| rentals::recognised(path)).cloned().collect();
    the_only(dir, if recognised.is_empty() { files } else { recognised }, "*.json")
}

/// Files that could hold JSON lines.
fn rental_files(dir: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let is_json = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        [".json", ".jsonl"]
            .iter()
            .any(|end| name.strip_suffix(".gz").unwrap_or(&name).ends_with(end))
    };
    let mut files = Vec::new();
    for extension in ["json", "jsonl", "gz"] {
        files.extend(with_extension(dir, extension)?.into_iter().filter(is_json));
    }
    Ok(files)
}

/// The file of sequences in a folder and the attributes beside it.
pub(super) fn sequences(dir: &Path) -> Result<(PathBuf, Option<PathBuf>), DatasetError> {
    let file = the_only(dir, sequence_files(dir)?, "*.txt")?;
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let attributes = file.with_file_name(format!("{stem}_item2attributes.json"));
    Ok((file, Some(attributes).filter(|path| path.is_file())))
}

/// Text files that could hold sequences.
fn sequence_files(dir: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let prose = |path: &PathBuf| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        ["readme", "license", "licence", "notes"].contains(&stem.as_str())
    };
    Ok(with_extension(dir, "txt")?.into_iter().filter(|path| !prose(path)).collect())
}

/// The files of a folder with an extension, sorted.
fn with_extension(dir: &Path, extension: &str) -> Result<Vec<PathBuf>, DatasetError> {
    let io = |source| DatasetError::Io { path: dir.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_some_and(|e| e == extension) && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn the_only(dir: &Path, mut files: Vec<PathBuf>, pattern: &str) -> Result<PathBuf, DatasetError> {
    match (files.pop(), files.is_empty()) {
        (Some(file), true) => Ok(file),
        (Some(_), false) => Err(DatasetError::Ambiguous {
            dir: dir.to_owned(),
            detail: format!(
                "several {pattern} are there; keep each data set in a folder of its own"
            ),
        }),
        (None, _) => Err(DatasetError::MissingFile {
            path: dir.join(pattern),
            needed_for: "nothing to read".to_owned(),
        }),
    }
}
