//! `dataset.toml`: the description of any shop's files. `docs/datasets.md` documents the format.

use super::columns::ColumnType;
use super::error::DatasetError;
use super::files::{FileOptions, TableFile, table_files};
use super::moment::TimeFormat;
use super::plan::{EntityPlan, Header, Plan, PurchasePlan};
use super::presets::{self, Preset};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The file as written, its parts not yet checked against each other.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Description {
    preset: Option<Preset>,
    articles: Option<EntitySection>,
    customers: Option<EntitySection>,
    purchases: Option<PurchaseSection>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntitySection {
    files: Option<Vec<PathBuf>>,
    delimiter: Option<char>,
    quoted: Option<bool>,
    id: Option<String>,
    keep: Option<Vec<String>>,
    #[serde(default)]
    types: BTreeMap<String, TypeName>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PurchaseSection {
    files: Vec<PathBuf>,
    delimiter: Option<char>,
    quoted: Option<bool>,
    article: String,
    customer: String,
    time: Option<String>,
    time_format: Option<TimeFormat>,
    price: Option<String>,
    channel: Option<String>,
}

/// `"category"`, `"number"` or `{ tags = "separator" }`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum TypeName {
    Category,
    Number,
    Tags(String),
}

impl TypeName {
    fn column_type(&self) -> ColumnType {
        match self {
            Self::Category => ColumnType::Category,
            Self::Number => ColumnType::Number,
            Self::Tags(separator) => ColumnType::Tags { separator: separator.clone() },
        }
    }
}

/// Where a description is wrong.
struct Wrong<'a>(&'a Path);

impl Wrong<'_> {
    fn because(&self, detail: impl Into<String>) -> DatasetError {
        DatasetError::Description { path: self.0.to_owned(), place: String::new(), detail: detail.into() }
    }
}

impl Description {
    pub fn read(path: &Path) -> Result<Self, DatasetError> {
        let text = fs::read_to_string(path).map_err(|source| DatasetError::Io { path: path.to_owned(), source })?;
        toml::from_str(&text).map_err(|error| {
            let place = error.span().map_or_else(String::new, |span| {
                let before = &text[..span.start];
                let line = before.matches('\n').count() + 1;
                let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
                format!(", line {line}, column {column}")
            });
            DatasetError::Description { path: path.to_owned(), place, detail: error.message().to_owned() }
        })
    }

    /// Whether this is the bare name of a preset.
    pub fn is_preset(&self, preset: Preset) -> bool {
        let sections = self.articles.is_some() || self.customers.is_some() || self.purchases.is_some();
        self.preset == Some(preset) && !sections
    }

    /// The plan of a description that maps columns or refines the columns of a preset with tables. Files are
    /// relative to `dir`.
    pub fn into_plan(self, dir: &Path, path: &Path) -> Result<Plan, DatasetError> {
        let wrong = Wrong(path);
        match self.preset {
            Some(Preset::Hm) => self.refine(presets::hm(dir)?, &wrong),
            Some(Preset::Recbole) => self.refine(presets::recbole(dir)?, &wrong),
            Some(Preset::Sequences) => Err(wrong.because("the preset sequences takes no sections")),
            Some(Preset::RentTheRunway) => Err(wrong.because("the preset rent-the-runway takes no sections")),
            None => self.map(dir, &wrong),
        }
    }

    fn refine(self, mut plan: Plan, wrong: &Wrong) -> Result<Plan, DatasetError> {
        if self.purchases.is_some() {
            return Err(wrong.because("with a preset, [purchases] is given by it; leave the section out"));
        }
        for (name, section, entities) in
            [("articles", self.articles, &mut plan.articles), ("customers", self.customers, &mut plan.customers)]
        {
            let Some(section) = section else { continue };
            let Some(entities) = entities else {
                return Err(wrong.because(format!("the preset finds no file of {name} to refine")));
            };
            if section.describes_files() {
                return Err(wrong.because(format!("with a preset, [{name}] takes only `keep` and `types`")));
            }
            section.refine(entities, name, wrong)?;
        }
        Ok(plan)
    }

    fn map(self, dir: &Path, wrong: &Wrong) -> Result<Plan, DatasetError> {
        let Some(purchases) = self.purchases else {
            return Err(wrong.because("say `preset = \"…\"` or describe the purchases in a section [purchases]"));
        };
        if purchases.time.is_none() && purchases.time_format.is_some() {
            return Err(wrong.because("[purchases] has a `time_format` but no `time` column"));
        }
        let entities = |section: Option<EntitySection>, name: &str| {
            section.map(|section| section.into_plan(dir, name, wrong)).transpose()
        };
        let table = Table { delimiter: purchases.delimiter, quoted: purchases.quoted, name: "purchases" };
        Ok(Plan {
            kind: wrong.0.display().to_string(),
            articles: entities(self.articles, "articles")?,
            customers: entities(self.customers, "customers")?,
            purchases: PurchasePlan {
                files: table.files(purchases.files, dir, wrong)?,
                article: purchases.article,
                customer: purchases.customer,
                time: purchases.time.map(|time| (time, purchases.time_format.unwrap_or(TimeFormat::Date))),
                price: purchases.price,
                channel: purchases.channel,
            },
        })
    }
}

impl EntitySection {
    fn describes_files(&self) -> bool {
        self.files.is_some() || self.delimiter.is_some() || self.quoted.is_some() || self.id.is_some()
    }

    fn into_plan(self, dir: &Path, name: &str, wrong: &Wrong) -> Result<EntityPlan, DatasetError> {
        let (Some(files), Some(id)) = (&self.files, &self.id) else {
            return Err(wrong.because(format!("[{name}] needs `files` and `id`")));
        };
        let table = Table { delimiter: self.delimiter, quoted: self.quoted, name };
        let mut plan = EntityPlan {
            files: table.files(files.clone(), dir, wrong)?,
            id: id.clone(),
            header: Header::Plain,
            types: BTreeMap::new(),
            keep: None,
            needed: Vec::new(),
            open: false,
        };
        self.refine(&mut plan, name, wrong)?;
        Ok(plan)
    }

    /// Applies `keep` and `types` to the columns of a plan.
    fn refine(self, plan: &mut EntityPlan, name: &str, wrong: &Wrong) -> Result<(), DatasetError> {
        if let Some(left_out) = self.keep.iter().flat_map(|keep| self.types.keys().find(|t| !keep.contains(t))).next() {
            return Err(wrong.because(format!("[{name}] gives `{left_out}` a type but does not keep it")));
        }
        if let Some(id) = self.keep.iter().flatten().find(|column| **column == plan.id) {
            return Err(wrong.because(format!("[{name}] keeps `{id}`, which is the id and always kept")));
        }
        plan.needed.extend(self.types.keys().cloned());
        plan.types.extend(self.types.iter().map(|(column, kind)| (column.clone(), kind.column_type())));
        plan.keep = self.keep;
        Ok(())
    }
}

/// What the files of a section share.
struct Table<'a> {
    delimiter: Option<char>,
    quoted: Option<bool>,
    name: &'a str,
}

impl Table<'_> {
    fn files(&self, files: Vec<PathBuf>, dir: &Path, wrong: &Wrong) -> Result<Vec<TableFile>, DatasetError> {
        let name = self.name;
        if files.is_empty() {
            return Err(wrong.because(format!("[{name}] names no files")));
        }
        let delimiter = self.delimiter.unwrap_or(',');
        if "\r\n\"".contains(delimiter) {
            return Err(wrong.because(format!(
                "[{name}] `delimiter` must be text without line ends and quotes, such as \",\" or \"\\t\""
            )));
        }
        let options = FileOptions {
            delimiter: delimiter.to_string(),
            quoted: self.quoted.unwrap_or(true),
            ..FileOptions::default()
        };
        let needed_for = format!("{} names it in [{name}]", wrong.0.display());
        table_files(dir, &files, &options, &needed_for)
    }
}
