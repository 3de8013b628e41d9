//! The exact index: the oracle of the graph, and what serves small catalogues and selective filters.

use super::{
    Graph, Hit, Index, ItemSet, ItemVectors, Query, QueryError, RetrievalError,
    kernel::{Kernels, LANES, prefetch},
    quantised::CodeBlocks,
    scratch::Scratch,
    top_k::{Key, best_hits},
};

/// Fewest candidates between two selections of the scan.
const MIN_CANDIDATES: usize = 1024;

/// What the rows of the codes stand for.
#[derive(Clone, Copy)]
pub(super) enum Rows<'a> {
    /// A row an item.
    Items,
    /// A row for all items with one vector, which share a node of the graph.
    Nodes(&'a Graph),
}

impl<'a> Rows<'a> {
    /// Nodes where they are at most half as many as the items, as in a shop with many articles that are alike or were
    /// never sold. A filter skips blocks of items but not of nodes, so for fewer equal vectors items are better.
    pub(super) fn of(graph: Option<&'a Graph>) -> Self {
        graph.filter(|graph| graph.nodes() <= graph.len() / 2).map_or(Self::Items, Self::Nodes)
    }

    pub(super) fn len(self, items: &ItemVectors) -> usize {
        match self {
            Self::Items => items.len(),
            Self::Nodes(graph) => graph.nodes(),
        }
    }

    /// The lowest item of a row.
    pub(super) fn first_item(self, row: u32) -> u32 {
        match self {
            Self::Items => row,
            Self::Nodes(graph) => graph.items_of(row)[0],
        }
    }

    /// Drops the rows that stand for no allowed item; a scan has done so for rows of items.
    fn retain_allowed(self, keys: &mut Vec<Key>, allowed: Option<&ItemSet>) {
        if let (Self::Nodes(graph), Some(allowed)) = (self, allowed) {
            keys.retain(|key| graph.items_of(key.item()).iter().any(|&item| allowed.contains(item)));
        }
    }

    /// Appends the allowed items of some rows.
    fn expand(self, keys: &[Key], allowed: Option<&ItemSet>, ids: &mut Vec<u32>) {
        let rows = keys.iter().map(|key| key.item());
        match (self, allowed) {
            (Self::Items, _) => ids.extend(rows),
            (Self::Nodes(graph), None) => rows.for_each(|row| ids.extend(graph.items_of(row))),
            (Self::Nodes(graph), Some(allowed)) => {
                ids.extend(rows.flat_map(|row| graph.items_of(row)).filter(|&&item| allowed.contains(item)));
            }
        }
    }
}

/// A search of the codes.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub rows: Rows<'a>,
    pub allowed: Option<&'a ItemSet>,
    pub k: usize,
}

/// Exact top-k by inner product. Two ways with the same answer: all allowed rows in f32, or a scan of eight-bit codes
/// whose survivors (provably a superset of the answer, see [`super::quantised`]) are scored in f32.
pub(super) struct Exact {
    pub codes: CodeBlocks,
    pub kernels: &'static Kernels,
}

impl Exact {
    pub(super) fn new(items: &ItemVectors, rows: Rows<'_>) -> Result<Self, RetrievalError> {
        Ok(Self { codes: CodeBlocks::new(items, rows)?, kernels: Kernels::best() })
    }

    /// Scores every allowed row in f32. The scratch holds the query.
    pub(super) fn gather(
        &self,
        items: &ItemVectors,
        allowed: Option<&ItemSet>,
        k: usize,
        scratch: &mut Scratch,
    ) -> Vec<Hit> {
        scratch.ids.clear();
        match allowed {
            Some(allowed) => scratch.ids.extend(allowed.iter()),
            None => scratch.ids.extend(0..items.len() as u32),
        }
        rescore(self.kernels, items, k, scratch)
    }

    /// Scans the codes. The scratch holds the query; the rows are those that the codes were made of.
    pub(super) fn scan(&self, items: &ItemVectors, wanted: Wanted<'_>, scratch: &mut Scratch) -> Vec<Hit> {
        let Wanted { rows, allowed, k } = wanted;
        if k == 0 {
            return Vec::new();
        }
        let margin = self.codes.weigh(self.kernels, scratch);
        let Scratch { keys, weights, packed, ids, .. } = &mut *scratch;
        let mask = match rows {
            Rows::Items => allowed.map(ItemSet::words),
            Rows::Nodes(_) => None,
        };
        let scan = self.codes.scan(weights, packed, mask);
        let (mut from, mut threshold, mut limit) = (0, i32::MIN, MIN_CANDIDATES.max(2 * k));
        keys.clear();
        while from < scan.blocks() {
            from = self.kernels.scan(&scan, from, threshold, keys, limit);
            rows.retain_allowed(keys, allowed);
            // Every row stands for an item at least, so the k-th best row is no better than the k-th best item.
            if keys.len() > k {
                let (_, worst, _) = keys.select_nth_unstable_by(k - 1, |a, b| b.cmp(a));
                threshold = worst.integer().saturating_sub(margin);
                keys.retain(|key| key.integer() >= threshold);
            }
            limit = limit.max(2 * keys.len());
        }
        ids.clear();
        rows.expand(keys, allowed, ids);
        rescore(self.kernels, items, k, scratch)
    }
}

/// The best `k` of the scratch's items by f32 score.
pub(super) fn rescore(kernels: &Kernels, items: &ItemVectors, k: usize, scratch: &mut Scratch) -> Vec<Hit> {
    /// Rows asked for ahead of the one being scored.
    const AHEAD: usize = 64;
    let Scratch { query, ids, floats, keys, .. } = scratch;
    let limit = MIN_CANDIDATES.max(2 * k);
    let mut worst = Key::LEAST;
    keys.clear();
    for batch in ids.chunks(AHEAD) {
        for &id in batch {
            for line in 0..query.len() / LANES {
                prefetch(items.padded(), id as usize * query.len() + line * LANES);
            }
        }
        floats.clear();
        kernels.dot_rows(query, items.padded(), batch, floats);
        let scored = batch.iter().zip(floats.iter()).map(|(&id, &score)| Key::of_float(score, id));
        keys.extend(scored.filter(|key| *key > worst));
        if keys.len() >= limit && k > 0 {
            worst = *keys.select_nth_unstable_by(k - 1, |a, b| b.cmp(a)).1;
            keys.truncate(k);
        }
    }
    best_hits(keys, k)
}

/// The exact answers of a [`super::Retriever`]'s items, by the plainest code: every row in f32.
pub struct Oracle<'a> {
    pub(super) items: &'a ItemVectors,
    pub(super) exact: &'a Exact,
}

impl Index for Oracle<'_> {
    fn len(&self) -> usize {
        self.items.len()
    }

    fn dim(&self) -> usize {
        self.items.dim()
    }

    fn search(&self, query: &Query<'_>) -> Result<Vec<Hit>, QueryError> {
        query.check(self.items.len())?;
        Scratch::with(|scratch| {
            scratch.load(self.items, query.vector)?;
            Ok(self.exact.gather(self.items, query.allowed, query.k.min(self.items.len()), scratch))
        })
    }
}
