//! The planner: for each query the cheapest way to its top k.

use super::{
    Hit, Index, ItemVectors, Query, QueryError, RetrievalError,
    exact::{Exact, Oracle},
    scratch::Scratch,
};
use std::path::Path;

/// How a query is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Nothing can be answered: `k` is 0 or no item allowed.
    Nothing,
    /// Every allowed item in f32: exact.
    Gather,
    /// All items by eight-bit codes, the survivors in f32: exact.
    Scan,
}

impl Plan {
    /// For metrics and explanations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Gather => "gather",
            Self::Scan => "scan",
        }
    }
}

/// The index that serves: item vectors, the exact scan and the graph behind one planner. Exactly `k` hits come back
/// whenever `k` items are allowed.
pub struct Retriever {
    items: ItemVectors,
    exact: Exact,
}

impl Retriever {
    /// Opens `items.bin` and `index.bin`.
    ///
    /// # Errors
    /// When either is unreadable or invalid, or they do not belong together.
    pub fn open(items_path: &Path, _index_path: &Path) -> Result<Self, RetrievalError> {
        Self::without_graph(ItemVectors::open(items_path)?)
    }

    /// An index over vectors in memory that answers exactly, always.
    ///
    /// # Errors
    /// When memory for the codes cannot be had.
    pub fn without_graph(items: ItemVectors) -> Result<Self, RetrievalError> {
        Ok(Self { exact: Exact::new(&items)?, items })
    }

    pub fn items(&self) -> &ItemVectors {
        &self.items
    }

    /// The same items searched by the plainest code: the oracle of tests and of golden answers.
    pub fn exact(&self) -> Oracle<'_> {
        Oracle { items: &self.items, exact: &self.exact }
    }

    /// How [`Index::search`] would answer.
    ///
    /// # Errors
    /// When the query does not fit the index.
    pub fn plan(&self, query: &Query<'_>) -> Result<Plan, QueryError> {
        query.check(self.items.len())?;
        let allowed = query.allowed.map_or(self.items.len(), |allowed| allowed.count());
        if query.k == 0 || allowed == 0 {
            return Ok(Plan::Nothing);
        }
        Ok(if allowed * 8 < self.items.len() { Plan::Gather } else { Plan::Scan })
    }
}

impl Index for Retriever {
    fn len(&self) -> usize {
        self.items.len()
    }

    fn dim(&self) -> usize {
        self.items.dim()
    }

    fn search(&self, query: &Query<'_>) -> Result<Vec<Hit>, QueryError> {
        let plan = self.plan(query)?;
        Scratch::with(|scratch| {
            scratch.load(&self.items, query.vector)?;
            Ok(match plan {
                Plan::Nothing => Vec::new(),
                Plan::Gather => self.exact.gather(&self.items, query.allowed, query.k, scratch),
                Plan::Scan => self.exact.scan(&self.items, query.allowed, query.k, scratch),
            })
        })
    }
}
