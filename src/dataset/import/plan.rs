//! What an import reads: files, columns and their meaning. Presets and `dataset.toml` both become a plan.

use super::columns::ColumnType;
use super::files::TableFile;
use super::moment::TimeFormat;
use std::collections::BTreeMap;

/// Everything the readers need to know of a shop's tables.
#[derive(Debug)]
pub(super) struct Plan {
    /// What the report calls the data.
    pub kind: String,
    pub articles: Option<EntityPlan>,
    pub customers: Option<EntityPlan>,
    pub purchases: PurchasePlan,
}

impl Plan {
    /// Every file that will be read.
    pub fn files(&self) -> impl Iterator<Item = &TableFile> {
        let entities = self.articles.iter().chain(&self.customers).flat_map(|table| &table.files);
        entities.chain(&self.purchases.files)
    }
}

/// The files of articles or customers.
#[derive(Debug)]
pub(super) struct EntityPlan {
    pub files: Vec<TableFile>,
    /// The header of the column that holds the id.
    pub id: String,
    pub header: Header,
    /// Types by column name, where they differ from what the file says.
    pub types: BTreeMap<String, ColumnType>,
    /// The attribute columns to keep, by name; `None`: all that have a name.
    pub keep: Option<Vec<String>>,
    /// Columns that must be there although `keep` does not name them.
    pub needed: Vec<String>,
    /// Whether a purchase may name an entity that has no row here; otherwise such a purchase is rejected.
    pub open: bool,
}

/// What a header says of its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// The name.
    Plain,
    /// `name:type`, as RecBole writes it.
    Typed,
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
