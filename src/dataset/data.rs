//! The in-memory form of a shop's data.

use crate::domain::{IdTable, Timestamp};

/// Code of an empty cell in a [`Values::Category`] column.
pub const MISSING: u32 = u32::MAX;
/// An empty cell in a [`Values::Integer`] column.
pub const NO_INTEGER: i64 = i64::MIN;

/// A shop's data. Purchases are sorted by time, ties in file order; every `customer` and `article`
/// in them is a row of the entity tables.
#[derive(Debug, Default)]
pub struct Dataset {
    pub articles: Entities,
    pub customers: Entities,
    pub purchases: Purchases,
    pub time_unit: TimeUnit,
}

/// What the times of the purchases mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeUnit {
    /// Known by the day (midnight): purchases of one customer and day form one basket without an
    /// order.
    #[default]
    Day,
    /// Known by the second: the order is meant.
    Second,
    /// Only an order is known; `time` counts positions from 0.
    Position,
}

/// Articles or customers: unique ids and attribute columns, each column as long as `ids`.
#[derive(Debug, Default)]
pub struct Entities {
    pub ids: IdTable,
    pub columns: Vec<Column>,
    /// What was computed of them, such as the vectors of their texts; no file has these.
    pub vectors: Vec<Vectors>,
}

/// A computed vector for every row.
#[derive(Debug)]
pub struct Vectors {
    /// Unlike that of any column.
    pub name: String,
    pub dim: usize,
    /// Finite numbers, `dim` a row, one row after the other.
    pub numbers: Vec<f32>,
}

#[derive(Debug)]
pub struct Column {
    /// The attribute's name as the shop writes it, such as `garment_group_name`.
    pub name: String,
    pub values: Values,
}

/// The values of an attribute, one per row.
#[derive(Debug)]
pub enum Values {
    /// `dictionary.get(codes[row])`, or [`MISSING`].
    Category { codes: Vec<u32>, dictionary: IdTable },
    /// Not a number where missing.
    Number(Vec<f32>),
    /// Whole numbers of which some are too large for an f32; [`NO_INTEGER`] where missing.
    Integer(Vec<i64>),
    /// Any number of values a row: `codes[offsets[row]..offsets[row + 1]]`; `offsets` has one entry
    /// more than rows.
    Tags { offsets: Vec<u32>, codes: Vec<u32>, dictionary: IdTable },
}

/// Purchases as parallel columns of equal length; `price`, `channel`, `weight` and `millis` may be
/// empty when the shop gives none.
#[derive(Debug, Default)]
pub struct Purchases {
    pub customer: Vec<u32>,
    pub article: Vec<u32>,
    pub time: Vec<Timestamp>,
    /// In the shop's unit; not a number where missing.
    pub price: Vec<f32>,
    /// The shop's sales channel number; 0 where missing.
    pub channel: Vec<u8>,
    /// How much a row counts: the weight of its event, times its quantity. Finite and above 0;
    /// empty when every row is 1.
    pub weight: Vec<f32>,
    /// Milliseconds after `time`, below 1,000: the order within a second. Empty when times are
    /// whole seconds.
    pub millis: Vec<u16>,
}

impl Entities {
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name == name)
    }

    pub fn vectors(&self, name: &str) -> Option<&Vectors> {
        self.vectors.iter().find(|v| v.name == name)
    }
}

impl Vectors {
    /// The vector of a row.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.numbers[row * self.dim..(row + 1) * self.dim]
    }
}

impl Values {
    /// The category of a row as text; `None` where missing or not a category column.
    pub fn category(&self, row: usize) -> Option<&str> {
        match self {
            Self::Category { codes, dictionary } if codes[row] != MISSING => {
                Some(dictionary.get(codes[row]))
            }
            _ => None,
        }
    }

    /// The values of a tags row as texts; empty for other columns.
    pub fn tags(&self, row: usize) -> impl Iterator<Item = &str> {
        let (range, dictionary) = match self {
            Self::Tags { offsets, codes, dictionary } => {
                (&codes[offsets[row] as usize..offsets[row + 1] as usize], Some(dictionary))
            }
            _ => (&[][..], None),
        };
        range.iter().filter_map(move |&code| dictionary.map(|d| d.get(code)))
    }

    /// The number of a row; `None` where missing or not a number column.
    pub fn number(&self, row: usize) -> Option<f32> {
        match self {
            Self::Number(values) if !values[row].is_nan() => Some(values[row]),
            Self::Integer(_) => self.integer(row).map(|integer| integer as f32),
            _ => None,
        }
    }

    /// The exact number of a row; `None` where missing or not a column of integers.
    pub fn integer(&self, row: usize) -> Option<i64> {
        match self {
            Self::Integer(values) => Some(values[row]).filter(|&integer| integer != NO_INTEGER),
            _ => None,
        }
    }
}

impl Purchases {
    pub fn len(&self) -> usize {
        self.article.len()
    }

    pub fn is_empty(&self) -> bool {
        self.article.is_empty()
    }

    /// Leaves the first `rows` rows. They are in order of time, so what is left is what was known
    /// at a moment.
    pub fn truncate(&mut self, rows: usize) {
        let Self { customer, article, time, price, channel, weight, millis } = self;
        customer.truncate(rows);
        article.truncate(rows);
        time.truncate(rows);
        price.truncate(rows);
        channel.truncate(rows);
        weight.truncate(rows);
        millis.truncate(rows);
    }

    /// How much a row counts.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn weight_of(&self, row: u32) -> f32 {
        if self.weight.is_empty() { 1.0 } else { self.weight[row as usize] }
    }

    /// When a row was bought: seconds, and milliseconds after them.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn moment_of(&self, row: u32) -> (Timestamp, u16) {
        let millis = if self.millis.is_empty() { 0 } else { self.millis[row as usize] };
        (self.time[row as usize], millis)
    }
}
