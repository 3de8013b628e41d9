//! What an import reads: files, columns and their meaning. Presets and `dataset.toml` both become a
//! plan.

use super::columns::ColumnType;
use super::files::TableFile;
use super::moment::TimePlan;
use super::rows::TablePlan;
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
    pub fn files(&self) -> Vec<&TableFile> {
        let entities = self.articles.iter().chain(&self.customers).map(|plan| &plan.table);
        entities.chain([&self.purchases.table]).flat_map(TablePlan::all_files).collect()
    }
}

/// The table of articles or customers.
#[derive(Debug)]
pub(super) struct EntityPlan {
    pub table: TablePlan,
    /// The header of the column that holds the id.
    pub id: String,
    pub header: Header,
    /// Types by column name, where they differ from what the file says.
    pub types: BTreeMap<String, ColumnType>,
    /// The attribute columns to keep, by name; `None`: all that have a name and are not in
    /// `left_out`.
    pub keep: Option<Vec<String>>,
    /// Columns of a file shared with the purchases that describe the purchase, not the entity.
    pub left_out: Vec<String>,
    /// Columns that must be there although `keep` does not name them.
    pub needed: Vec<String>,
    /// Columns that become fields of the catalogue: the column of the file, and which field.
    pub fields: Vec<(String, Field)>,
    pub duplicates: Duplicates,
    /// Whether a row may lack an id, because the file tells of other things as well.
    pub may_lack_ids: bool,
    /// Whether a purchase may name an entity that has no row here; otherwise such a purchase is
    /// rejected.
    pub open: bool,
}

impl EntityPlan {
    /// A table with an id and all its other columns.
    pub fn of(table: TablePlan, id: &str) -> Self {
        Self {
            table,
            id: id.to_owned(),
            header: Header::Plain,
            types: BTreeMap::new(),
            keep: None,
            left_out: Vec::new(),
            needed: Vec::new(),
            fields: Vec::new(),
            duplicates: Duplicates::Reject,
            may_lack_ids: false,
            open: false,
        }
    }
}

/// A field of the catalogue, which is an attribute of this name in the dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Price,
    Available,
    Image,
}

impl Field {
    pub fn name(self) -> &'static str {
        match self {
            Self::Price => "price",
            Self::Available => "available",
            Self::Image => "image_url",
        }
    }

    pub fn column_type(self) -> ColumnType {
        match self {
            Self::Price => ColumnType::Price,
            Self::Available => ColumnType::Availability,
            Self::Image => ColumnType::Category,
        }
    }
}

/// What several rows with one id mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Duplicates {
    /// A fault.
    Reject,
    /// One entity; of each attribute the first value that is not missing holds.
    First,
    /// One entity; of each attribute the last value that is not missing holds.
    Last,
}

/// What a header says of its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// The name.
    Plain,
    /// `name:type`, as RecBole writes it.
    Typed,
}

/// The table of purchases.
#[derive(Debug)]
pub(super) struct PurchasePlan {
    pub table: TablePlan,
    pub article: String,
    pub customer: String,
    /// Without a time the order of the rows counts.
    pub time: Option<TimePlan>,
    /// Whether purchases may lie in the future.
    pub allow_future: bool,
    pub price: Option<String>,
    pub channel: Option<String>,
    pub event: Option<EventPlan>,
    pub quantity: Option<String>,
    pub returns: Returns,
    pub weight: Option<String>,
    /// The column of the rating and the lowest that counts.
    pub rating: Option<(String, f32)>,
}

/// Which events count.
#[derive(Debug, Clone)]
pub(super) struct EventPlan {
    pub column: String,
    /// How much a purchase of each type counts, above 0.
    pub weights: BTreeMap<String, f32>,
}

/// What a row with a quantity of 0 or less does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Returns {
    #[default]
    Ignore,
    /// Takes back what the customer bought of the article before.
    Cancel,
}

impl PurchasePlan {
    /// A table with these columns; every row is one purchase.
    pub fn of(table: TablePlan, article: &str, customer: &str) -> Self {
        Self {
            table,
            article: article.to_owned(),
            customer: customer.to_owned(),
            time: None,
            allow_future: false,
            price: None,
            channel: None,
            event: None,
            quantity: None,
            returns: Returns::Ignore,
            weight: None,
            rating: None,
        }
    }

    /// The names of all columns that are read.
    pub fn columns(&self) -> Vec<&str> {
        let mut columns = vec![self.article.as_str(), self.customer.as_str()];
        columns.extend(self.time.iter().flat_map(|time| &time.columns).map(String::as_str));
        columns.extend(self.event.iter().map(|event| event.column.as_str()));
        columns.extend(self.rating.iter().map(|(column, _)| column.as_str()));
        let optional = [&self.price, &self.channel, &self.quantity, &self.weight];
        columns.extend(optional.into_iter().flatten().map(String::as_str));
        columns.extend(self.table.columns());
        columns
    }

    /// Whether rows differ in how much they count.
    pub fn is_weighted(&self) -> bool {
        let counts_items = self.quantity.is_some()
            || self.table.split.as_ref().is_some_and(|s| s.quantity.is_some());
        let by_event = self
            .event
            .as_ref()
            .is_some_and(|event| event.weights.values().any(|&weight| weight != 1.0));
        counts_items || by_event || self.weight.is_some()
    }
}
