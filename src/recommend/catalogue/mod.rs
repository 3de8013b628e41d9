//! The catalogue as the pipeline needs it: availability as a bitmap, attributes as columns.
//!
//! A [`Catalogue`] is immutable. [`CatalogueBuilder::of`] makes another from it that shares
//! whatever does not change, so a change of one article copies a few kilobytes and not the
//! catalogue.

mod builder;
mod chunks;
mod column;
mod texts;

pub use builder::{CatalogueBuilder, Change, LeftOut};
pub use column::{Column, Group};

use crate::{
    domain::{AttributeKind, Number},
    features,
    retrieval::ItemSet,
};
use hashbrown::HashMap;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::sync::Arc;
use texts::Texts;

/// An immutable view of the shop's articles. Rows are numbered in the order they were added; the
/// row of an article that was removed stays, without the article.
#[derive(Debug, Clone)]
pub struct Catalogue {
    articles: Arc<Articles>,
    /// How well each row sells, as the shop counts it.
    sales: Option<Arc<[f32]>>,
    version: i64,
}

/// What stays when only the sales change.
#[derive(Debug, Clone, Default)]
struct Articles {
    /// Shared by all catalogues that were made from one another: their rows mean the same articles.
    lineage: Arc<()>,
    ids: Texts,
    /// The rows whose article is in the catalogue.
    present: ItemSet,
    available: ItemSet,
    columns: Vec<Arc<Column>>,
    by_name: Arc<HashMap<String, usize>>,
}

/// One attribute value of one article.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    Number(Number),
    Text(&'a str),
    Texts(&'a [String]),
}

impl Cell<'_> {
    pub fn kind(&self) -> AttributeKind {
        match self {
            Self::Number(_) => AttributeKind::Number,
            Self::Text(_) => AttributeKind::Text,
            Self::Texts(_) => AttributeKind::Texts,
        }
    }
}

impl Catalogue {
    /// The number the database gave this state of the catalogue.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// The same catalogue with new sales: `sales` gives how well an article sells, at least 0.
    pub fn with_sales(&self, sales: impl Fn(&str) -> f32) -> Self {
        let sales: Arc<[f32]> = self.articles.ids.iter().map(sales).collect();
        Self { sales: Some(sales), ..self.clone() }
    }

    /// How well each row sells; `None` where the shop's sales are not counted.
    pub fn sales(&self) -> Option<&[f32]> {
        self.sales.as_deref()
    }

    /// Whether the two have the same articles; sales may differ.
    pub fn has_articles_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.articles, &other.articles)
    }

    /// Whether this was made from the other by changes, or the other from this: rows that both have
    /// mean the same articles.
    pub fn continues(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.articles.lineage, &other.articles.lineage)
    }

    /// Number of rows: one more than the highest.
    pub fn rows(&self) -> usize {
        self.articles.ids.len()
    }

    /// Number of articles.
    pub fn len(&self) -> usize {
        self.articles.present.count()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The row of an article of the catalogue.
    pub fn row(&self, article_id: &str) -> Option<u32> {
        self.articles.ids.find(article_id).filter(|&row| self.articles.present.contains(row))
    }

    /// The id of a row, whether its article is still in the catalogue or not.
    pub fn id(&self, row: u32) -> &str {
        self.articles.ids.get(row)
    }

    /// The rows whose article is in the catalogue.
    pub fn present(&self) -> &ItemSet {
        &self.articles.present
    }

    /// The rows that may be sold.
    pub fn available(&self) -> &ItemSet {
        &self.articles.available
    }

    /// The position of an attribute among the columns.
    pub fn attribute(&self, name: &str) -> Option<usize> {
        self.articles.by_name.get(name).copied()
    }

    pub fn column(&self, attribute: usize) -> &Column {
        &self.articles.columns[attribute]
    }

    pub fn columns(&self) -> impl ExactSizeIterator<Item = &Column> {
        self.articles.columns.iter().map(|column| &**column)
    }

    /// Names of the attributes, sorted.
    pub fn attribute_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.columns().map(|column| column.name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// The given attributes of a row as a serialisable map; missing values are left out.
    pub fn attributes<'a>(&'a self, row: u32, columns: &'a [usize]) -> Attributes<'a> {
        Attributes { catalogue: self, row, columns: Some(columns) }
    }

    /// All attributes of a row as a serialisable map; missing values are left out.
    pub fn all_attributes(&self, row: u32) -> Attributes<'_> {
        Attributes { catalogue: self, row, columns: None }
    }
}

/// Attributes of one article, written as a JSON object.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    catalogue: &'a Catalogue,
    row: u32,
    columns: Option<&'a [usize]>,
}

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let count = self.columns.map_or(self.catalogue.columns().len(), <[usize]>::len);
        for i in 0..count {
            let column = self.catalogue.column(self.columns.map_or(i, |columns| columns[i]));
            if let Some(texts) = column.texts(self.row) {
                map.serialize_entry(&column.name, &texts.collect::<Vec<_>>())?;
            } else if let Some(number) = column.number(self.row) {
                map.serialize_entry(&column.name, &number)?;
            } else if let Some(text) = column.text(self.row) {
                map.serialize_entry(&column.name, text)?;
            }
        }
        map.end()
    }
}

/// A row of the catalogue as an encoder reads it.
#[derive(Debug, Clone, Copy)]
pub struct CatalogueRow<'a> {
    pub catalogue: &'a Catalogue,
    pub row: u32,
}

impl<'a> CatalogueRow<'a> {
    fn column(&self, name: &str) -> Option<&'a Column> {
        self.catalogue.attribute(name).map(|at| self.catalogue.column(at))
    }
}

impl features::Attributes for CatalogueRow<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.column(name)?.text(self.row)
    }

    fn number(&self, name: &str) -> Option<f32> {
        let column = self.column(name)?;
        column
            .number(self.row)
            .map(Number::to_f32)
            .or_else(|| column.text(self.row)?.trim().parse().ok())
    }

    fn for_each_tag(&self, name: &str, tag: &mut dyn FnMut(&str)) {
        if let Some(column) = self.column(name) {
            column.text(self.row).into_iter().for_each(&mut *tag);
            column.texts(self.row).into_iter().flatten().for_each(tag);
        }
    }
}
