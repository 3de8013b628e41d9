//! Top-k by inner product over item vectors: exact scan and graph search behind one trait, and the
//! planner between them. Knows no HTTP. Items are numbered by their row.

mod buffer;
mod clusters;
mod error;
mod exact;
#[cfg(test)]
mod exact_tests;
mod file;
#[cfg(test)]
mod fixtures;
mod graph;
mod item_set;
mod items;
#[cfg(test)]
mod items_tests;
mod kernel;
mod quantised;
mod retriever;
#[cfg(test)]
#[cfg(feature = "trainer")]
mod retriever_tests;
mod scratch;
mod top_k;

pub use error::{QueryError, RetrievalError};
pub use exact::Oracle;
pub use graph::Graph;
#[cfg(feature = "trainer")]
pub use graph::build::Insertion;
pub use item_set::ItemSet;
pub use items::{ItemVectors, MAX_DIM, MAX_ITEMS, write_items};
pub use retriever::{Plan, Retriever};

/// One found item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    pub item: u32,
    /// Inner product of query and item vector (cosine when the bundle's vectors have unit length).
    pub score: f32,
}

/// A search: the query vector (`dim` finite numbers), how many hits, and which items may be
/// answered (`None`: all).
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    pub vector: &'a [f32],
    pub k: usize,
    pub allowed: Option<&'a ItemSet>,
}

impl Query<'_> {
    /// Checks what does not depend on the vector.
    fn check(&self, items: usize) -> Result<(), QueryError> {
        match self.allowed {
            Some(allowed) if allowed.capacity() != items => {
                Err(QueryError::ItemSet { expected: items, got: allowed.capacity() })
            }
            _ => Ok(()),
        }
    }
}

/// Something that finds the items of highest inner product.
pub trait Index: Send + Sync {
    /// Number of items.
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Length of a vector.
    fn dim(&self) -> usize;
    /// Hits in order of falling score, ties by rising item; fewer than `k` only when fewer items
    /// are allowed.
    ///
    /// # Errors
    /// When the vector has another length than [`Index::dim`] or a number that is not finite, or
    /// the set of allowed items is over another number of items.
    fn search(&self, query: &Query<'_>) -> Result<Vec<Hit>, QueryError>;
}
