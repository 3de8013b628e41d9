//! Top-k by inner product over item vectors: exact scan and graph search behind one trait, and the planner between
//! them. Knows no HTTP. Items are numbered by their row.

mod item_set;

pub use item_set::ItemSet;

/// One found item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    pub item: u32,
    /// Inner product of query and item vector (cosine when the bundle's vectors have unit length).
    pub score: f32,
}

/// A search: the query vector (`dim` finite numbers), how many hits, and which items may be answered (`None`: all).
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    pub vector: &'a [f32],
    pub k: usize,
    pub allowed: Option<&'a ItemSet>,
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
    /// Hits in order of falling score, ties by rising item; fewer than `k` only when fewer items are allowed.
    fn search(&self, query: &Query<'_>) -> Vec<Hit>;
}
