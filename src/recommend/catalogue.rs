//! The catalogue as the pipeline needs it: availability as a bitmap, attributes as columns.

use crate::{
    dataset::{Column, Entities, MISSING, Values},
    domain::IdTable,
    retrieval::ItemSet,
};
use hashbrown::HashMap;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::sync::Arc;

/// An immutable view of the shop's articles. Rows are numbered in the order they were added.
#[derive(Debug)]
pub struct Catalogue {
    articles: Arc<Articles>,
    available: ItemSet,
    /// How well each row sells, as the shop counts it.
    sales: Option<Arc<[f32]>>,
    version: i64,
}

/// What stays when only the availability changes.
#[derive(Debug)]
struct Articles {
    entities: Entities,
    by_name: HashMap<String, usize>,
}

/// One attribute value of one article.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    Number(f32),
    Text(&'a str),
    Tags(&'a [String]),
}

impl Catalogue {
    /// The number the database gave this state of the catalogue.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// The same articles with another availability of some; ids it does not have are passed over.
    pub fn with_availability<'a>(&self, version: i64, ids: impl Iterator<Item = &'a str>, available: bool) -> Self {
        let mut set = self.available.clone();
        for row in ids.filter_map(|id| self.row(id)) {
            if available { set.insert(row) } else { set.remove(row) }
        }
        Self { articles: self.articles.clone(), available: set, sales: self.sales.clone(), version }
    }

    /// The same catalogue with new sales: `sales` gives how well an article sells, at least 0.
    pub fn with_sales(&self, sales: impl Fn(&str) -> f32) -> Self {
        let sales: Arc<[f32]> = self.entities().ids.iter().map(sales).collect();
        Self { articles: self.articles.clone(), available: self.available.clone(), sales: Some(sales), ..*self }
    }

    /// How well each row sells; `None` where the shop's sales are not counted.
    pub fn sales(&self) -> Option<&[f32]> {
        self.sales.as_deref()
    }

    /// Whether the two have the same sales.
    pub(super) fn has_sales_of(&self, other: &Self) -> bool {
        match (&self.sales, &other.sales) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        }
    }

    /// Whether the two have the same articles; availability and sales may differ.
    pub fn has_articles_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.articles, &other.articles)
    }

    pub fn len(&self) -> usize {
        self.articles.entities.len()
    }

    pub fn is_empty(&self) -> bool {
        self.articles.entities.is_empty()
    }

    /// Ids and attribute columns.
    pub fn entities(&self) -> &Entities {
        &self.articles.entities
    }

    pub fn row(&self, article_id: &str) -> Option<u32> {
        self.articles.entities.ids.find(article_id)
    }

    pub fn id(&self, row: u32) -> &str {
        self.articles.entities.ids.get(row)
    }

    /// The rows that may be sold.
    pub fn available(&self) -> &ItemSet {
        &self.available
    }

    /// The position of an attribute among the columns of [`Catalogue::entities`].
    pub fn attribute(&self, name: &str) -> Option<usize> {
        self.articles.by_name.get(name).copied()
    }

    pub fn column(&self, attribute: usize) -> &Column {
        &self.articles.entities.columns[attribute]
    }

    /// Names of the attributes, sorted.
    pub fn attribute_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.articles.entities.columns.iter().map(|c| c.name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// The given attributes of a row as a serialisable map; missing values are left out.
    pub fn attributes<'a>(&'a self, row: u32, columns: &'a [usize]) -> Attributes<'a> {
        Attributes { catalogue: self, row: row as usize, columns: Some(columns) }
    }

    /// All attributes of a row as a serialisable map; missing values are left out.
    pub fn all_attributes(&self, row: u32) -> Attributes<'_> {
        Attributes { catalogue: self, row: row as usize, columns: None }
    }
}

/// Attributes of one article, written as a JSON object.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    catalogue: &'a Catalogue,
    row: usize,
    columns: Option<&'a [usize]>,
}

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let count = self.columns.map_or(self.catalogue.entities().columns.len(), <[usize]>::len);
        for i in 0..count {
            let column = self.catalogue.column(self.columns.map_or(i, |columns| columns[i]));
            match &column.values {
                Values::Tags { .. } => {
                    let tags: Vec<&str> = column.values.tags(self.row).collect();
                    if !tags.is_empty() {
                        map.serialize_entry(&column.name, &tags)?;
                    }
                }
                Values::Number(_) => {
                    if let Some(number) = column.values.number(self.row) {
                        map.serialize_entry(&column.name, &number)?;
                    }
                }
                Values::Category { .. } => {
                    if let Some(text) = column.values.category(self.row) {
                        map.serialize_entry(&column.name, text)?;
                    }
                }
            }
        }
        map.end()
    }
}

/// Collects articles into a [`Catalogue`].
///
/// A column takes the type of its first value. Where a later article disagrees, the column gives way to the more
/// general type (number → text → tags), so one odd row never loses the others.
#[derive(Debug, Default)]
pub struct CatalogueBuilder {
    ids: IdTable,
    available: Vec<bool>,
    columns: Vec<Column>,
    by_name: HashMap<String, usize>,
}

impl CatalogueBuilder {
    /// Adds an article; one whose id was added before is ignored.
    pub fn push<'a>(&mut self, id: &str, available: bool, cells: impl IntoIterator<Item = (&'a str, Cell<'a>)>) {
        let row = self.ids.len();
        if self.ids.insert(id) as usize != row {
            return;
        }
        self.available.push(available);
        for (name, cell) in cells {
            let at = match self.by_name.get(name) {
                Some(&at) => at,
                None => {
                    self.columns.push(Column { name: name.to_owned(), values: empty(cell) });
                    self.by_name.insert(name.to_owned(), self.columns.len() - 1);
                    self.columns.len() - 1
                }
            };
            set(&mut self.columns[at].values, row, cell);
        }
    }

    pub fn finish(mut self, version: i64) -> Catalogue {
        let rows = self.ids.len();
        let mut available = ItemSet::empty(rows);
        for (row, _) in self.available.iter().enumerate().filter(|(_, available)| **available) {
            available.insert(row as u32);
        }
        for column in &mut self.columns {
            pad(&mut column.values, rows);
        }
        let entities = Entities { ids: self.ids, columns: self.columns, vectors: Vec::new() };
        let articles = Arc::new(Articles { entities, by_name: self.by_name });
        Catalogue { articles, available, sales: None, version }
    }
}

/// An empty column of the cell's type.
fn empty(cell: Cell<'_>) -> Values {
    match cell {
        Cell::Number(_) => Values::Number(Vec::new()),
        Cell::Text(_) => Values::Category { codes: Vec::new(), dictionary: IdTable::new() },
        Cell::Tags(_) => Values::Tags { offsets: vec![0], codes: Vec::new(), dictionary: IdTable::new() },
    }
}

/// Extends the column with missing values to `rows` rows.
fn pad(values: &mut Values, rows: usize) {
    match values {
        Values::Number(numbers) => numbers.resize(rows, f32::NAN),
        Values::Category { codes, .. } => codes.resize(rows, MISSING),
        Values::Tags { offsets, codes, .. } => offsets.resize(rows + 1, codes.len() as u32),
    }
}

/// Appends the value of `row` (not yet in the column).
fn set(values: &mut Values, row: usize, cell: Cell<'_>) {
    pad(values, row);
    match (&mut *values, cell) {
        (Values::Number(numbers), Cell::Number(number)) => {
            numbers.push(if number.is_finite() { number } else { f32::NAN });
        }
        (Values::Category { codes, dictionary }, Cell::Text(text)) => codes.push(dictionary.insert(text)),
        (Values::Category { codes, dictionary }, Cell::Number(number)) => {
            codes.push(dictionary.insert(&number.to_string()));
        }
        (Values::Tags { offsets, codes, dictionary }, cell) => {
            match cell {
                Cell::Tags(tags) => codes.extend(tags.iter().map(|tag| dictionary.insert(tag))),
                Cell::Text(text) => codes.push(dictionary.insert(text)),
                Cell::Number(number) => codes.push(dictionary.insert(&number.to_string())),
            }
            offsets.push(codes.len() as u32);
        }
        (narrow, wider) => {
            let mut general = empty(wider);
            for row in 0..row {
                widen(narrow, row, &mut general);
            }
            *values = general;
            set(values, row, wider);
        }
    }
}

/// Copies the value of `row` into a column of a more general type.
fn widen(from: &Values, row: usize, to: &mut Values) {
    let number = from.number(row).map(|n| n.to_string());
    match number.as_deref().or(from.category(row)) {
        Some(text) => set(to, row, Cell::Text(text)),
        None => pad(to, row + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_typed_by_their_values_and_widened_when_rows_disagree() {
        let mut builder = CatalogueBuilder::default();
        let tags = ["warm".to_owned(), "wool".to_owned()];
        builder.push("a", true, [("price", Cell::Number(9.99)), ("size", Cell::Number(38.0))]);
        builder.push("b", false, [("size", Cell::Text("XL")), ("tags", Cell::Tags(&tags))]);
        builder.push("a", true, [("size", Cell::Text("twice"))]);
        builder.push("c", true, [("tags", Cell::Text("silk"))]);
        let catalogue = builder.finish(7);
        assert_eq!((catalogue.len(), catalogue.available().iter().collect::<Vec<_>>()), (3, vec![0, 2]));
        let json = |row| serde_json::to_string(&catalogue.all_attributes(row)).unwrap();
        assert_eq!(json(0), r#"{"price":9.99,"size":"38"}"#);
        assert_eq!(json(1), r#"{"size":"XL","tags":["warm","wool"]}"#);
        assert_eq!(json(2), r#"{"tags":["silk"]}"#);
        let price = catalogue.attribute("price").unwrap();
        assert_eq!(serde_json::to_string(&catalogue.attributes(0, &[price])).unwrap(), r#"{"price":9.99}"#);
        assert_eq!(catalogue.attribute_names(), ["price", "size", "tags"]);
    }
}
