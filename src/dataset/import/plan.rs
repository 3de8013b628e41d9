//! What an import reads: files, columns and their meaning. Presets and `dataset.toml` both become a plan.

use super::block::{BlockSource, Dialect};
use super::columns::ColumnType;
use super::error::DatasetError;
use super::moment::TimeFormat;
use super::text::TextFile;
use std::{collections::BTreeMap, path::PathBuf};

/// Everything the readers need to know of a shop's tables.
#[derive(Debug)]
pub(super) struct Plan {
    /// What the report calls the data.
    pub kind: String,
    pub articles: Option<EntityPlan>,
    pub customers: Option<EntityPlan>,
    pub purchases: PurchasePlan,
    /// Things the plan leaves out, for the report.
    pub notes: Vec<String>,
}

/// A file of a table.
#[derive(Debug)]
pub(super) struct TableFile {
    pub path: PathBuf,
    pub dialect: Dialect,
}

/// The files of articles or customers.
#[derive(Debug)]
pub(super) struct EntityPlan {
    pub files: Vec<TableFile>,
    /// The column that holds the id.
    pub id: String,
    pub columns: Columns,
    /// Whether a purchase may name an entity that has no row here; otherwise such a purchase is rejected.
    pub open: bool,
}

/// Which attribute columns are kept.
#[derive(Debug)]
pub(super) enum Columns {
    /// All named columns, as categories unless a type is given.
    All { types: BTreeMap<String, ColumnType> },
    /// These, in this order.
    Listed(Vec<KeptColumn>),
}

#[derive(Debug, Clone)]
pub(super) struct KeptColumn {
    /// As the header has it.
    pub header: String,
    /// As the dataset has it.
    pub name: String,
    pub kind: ColumnType,
}

/// The files of purchases.
#[derive(Debug)]
pub(super) struct PurchasePlan {
    pub files: Vec<TableFile>,
    pub article: String,
    pub customer: String,
    /// Without a time the order of the rows counts.
    pub time: Option<(String, TimeFormat)>,
    pub price: Option<String>,
    pub channel: Option<String>,
}

impl TableFile {
    pub fn csv(path: PathBuf) -> Self {
        Self { path, dialect: Dialect::CSV }
    }

    /// Opens the file; its extension tells Parquet from text.
    pub fn open(&self) -> Result<Box<dyn BlockSource>, DatasetError> {
        Ok(Box::new(TextFile::open(&self.path, self.dialect)?))
    }
}
