//! The exact index: the oracle of the graph, and what serves small catalogues and selective
//! filters.

use super::{
    Graph, Hit, Index, ItemSet, ItemVectors, Query, QueryError, RetrievalError,
    clusters::Clusters,
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
    /// A row an item, cluster after cluster.
    Clusters(&'a Clusters),
}

impl<'a> Rows<'a> {
    /// Nodes where they are at most half as many as the items, as in a shop with many articles that
    /// are alike or were never sold. A filter skips blocks of items but not of nodes, so for fewer
    /// equal vectors items are better.
    pub(super) fn of(graph: Option<&'a Graph>) -> Self {
        graph.filter(|graph| graph.nodes() <= graph.len() / 2).map_or(Self::Items, Self::Nodes)
    }

    pub(super) fn len(self, items: &ItemVectors) -> usize {
        match self {
            Self::Items | Self::Clusters(_) => items.len(),
            Self::Nodes(graph) => graph.nodes(),
        }
    }

    /// The lowest item of a row.
    pub(super) fn first_item(self, row: u32) -> u32 {
        self.items_of(row).map_or(row, |items| items[0])
    }

    /// The items of a row; `None` where the row has the item's own number.
    fn items_of(self, row: u32) -> Option<&'a [u32]> {
        match self {
            Self::Items => None,
            Self::Nodes(graph) => Some(graph.items_of(row)),
            Self::Clusters(clusters) => Some(std::slice::from_ref(&clusters.items()[row as usize])),
        }
    }

    /// Drops the rows that stand for no allowed item; a scan has done so for rows of items.
    fn retain_allowed(self, keys: &mut Vec<Key>, allowed: Option<&ItemSet>) {
        if let (Some(allowed), Self::Nodes(_) | Self::Clusters(_)) = (allowed, self) {
            let any = |items: &[u32]| items.iter().any(|&item| allowed.contains(item));
            keys.retain(|key| self.items_of(key.item()).is_none_or(any));
        }
    }

    /// Appends the allowed items of some rows.
    fn expand(self, keys: &[Key], allowed: Option<&ItemSet>, ids: &mut Vec<u32>) {
        for row in keys.iter().map(|key| key.item()) {
            match (self.items_of(row), allowed) {
                (None, _) => ids.push(row),
                (Some(items), None) => ids.extend(items),
                (Some(items), Some(allowed)) => {
                    ids.extend(items.iter().filter(|&&item| allowed.contains(item)))
                }
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

impl Wanted<'_> {
    /// Keeps the rows that can be among the best `k`; answers what others must reach to be.
    fn prune(&self, keys: &mut Vec<Key>, margin: i32) -> i32 {
        self.rows.retain_allowed(keys, self.allowed);
        if keys.len() < self.k {
            return i32::MIN;
        }
        // Every row stands for an item at least: the k-th best row is no better than the k-th best
        // item.
        let (_, worst, _) = keys.select_nth_unstable_by(self.k - 1, |a, b| b.cmp(a));
        let threshold = worst.integer().saturating_sub(margin);
        keys.retain(|key| key.integer() >= threshold);
        threshold
    }
}

/// Exact top-k by inner product. Two ways with the same answer: all allowed rows in f32, or a scan
/// of eight-bit codes whose survivors (provably a superset of the answer, see [`super::quantised`])
/// are scored in f32.
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

    /// Scans all codes: exact. The scratch holds the query; the rows are those that the codes were
    /// made of.
    pub(super) fn scan(
        &self,
        items: &ItemVectors,
        wanted: Wanted<'_>,
        scratch: &mut Scratch,
    ) -> Vec<Hit> {
        scratch.ranges.clear();
        scratch.ranges.push(0..self.codes.blocks());
        self.scan_ranges(items, wanted, scratch)
    }

    /// Scans the codes in the scratch's ranges.
    pub(super) fn scan_ranges(
        &self,
        items: &ItemVectors,
        wanted: Wanted<'_>,
        scratch: &mut Scratch,
    ) -> Vec<Hit> {
        let Wanted { rows, allowed, k } = wanted;
        if k == 0 {
            return Vec::new();
        }
        let margin = self.codes.weigh(self.kernels, scratch);
        let Scratch { keys, weights, packed, ids, ranges, .. } = &mut *scratch;
        let mask = match rows {
            Rows::Items => allowed.map(ItemSet::words),
            Rows::Nodes(_) | Rows::Clusters(_) => None,
        };
        let (mut threshold, mut limit) = (i32::MIN, MIN_CANDIDATES.max(2 * k));
        keys.clear();
        for range in ranges.iter() {
            let scan = self.codes.scan(range.end, weights, packed, mask);
            let mut from = range.start;
            while from < scan.blocks() {
                from = self.kernels.scan(&scan, from, threshold, keys, limit);
                if keys.len() >= limit {
                    threshold = wanted.prune(keys, margin);
                    limit = limit.max(2 * keys.len());
                }
            }
        }
        wanted.prune(keys, margin);
        ids.clear();
        rows.expand(keys, allowed, ids);
        rescore(self.kernels, items, k, scratch)
    }
}

/// The best `k` of the scratch's items by f32 score.
pub(super) fn rescore(
    kernels: &Kernels,
    items: &ItemVectors,
    k: usize,
    scratch: &mut Scratch,
) -> Vec<Hit> {
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
