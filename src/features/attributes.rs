//! What an encoder reads of a customer or an article.

use crate::dataset::{Entities, Values};

/// The attributes of one customer or article by the name of their column. The server implements it
/// for its records; [`EntityRow`] is the implementation for a [`Dataset`](crate::dataset::Dataset).
///
/// The encoding decides what is asked for, so an implementation answers for any attribute: a text
/// that reads as a number is also a [`number`](Self::number), and a single text is also a set of
/// one tag.
pub trait Attributes {
    /// The attribute's text; `None` where missing, or for numbers and sets.
    fn text(&self, name: &str) -> Option<&str>;
    /// The attribute's number; `None` where missing or not numeric.
    fn number(&self, name: &str) -> Option<f32>;
    /// Calls `tag` with each value of the attribute.
    fn for_each_tag(&self, name: &str, tag: &mut dyn FnMut(&str));
    /// The attribute's vector; only a dataset has any, where something computed them.
    fn vector(&self, _name: &str) -> Option<&[f32]> {
        None
    }
}

/// Of somebody nothing is known of.
#[derive(Debug, Clone, Copy)]
pub struct NoAttributes;

impl Attributes for NoAttributes {
    fn text(&self, _name: &str) -> Option<&str> {
        None
    }

    fn number(&self, _name: &str) -> Option<f32> {
        None
    }

    fn for_each_tag(&self, _name: &str, _tag: &mut dyn FnMut(&str)) {}
}

/// A row of an entity table.
#[derive(Debug, Clone, Copy)]
pub struct EntityRow<'a> {
    pub entities: &'a Entities,
    pub row: usize,
}

impl EntityRow<'_> {
    fn values(&self, name: &str) -> Option<&Values> {
        self.entities.column(name).map(|column| &column.values)
    }
}

impl Attributes for EntityRow<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.values(name)?.category(self.row)
    }

    fn number(&self, name: &str) -> Option<f32> {
        let values = self.values(name)?;
        values.number(self.row).or_else(|| values.category(self.row)?.trim().parse().ok())
    }

    fn for_each_tag(&self, name: &str, tag: &mut dyn FnMut(&str)) {
        if let Some(values) = self.values(name) {
            values.category(self.row).into_iter().chain(values.tags(self.row)).for_each(tag);
        }
    }

    fn vector(&self, name: &str) -> Option<&[f32]> {
        self.entities.vectors(name).map(|vectors| vectors.row(self.row))
    }
}
