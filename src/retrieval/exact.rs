//! The exact index: the oracle of the graph, and what serves small catalogues and selective filters.

use super::{
    Hit, Index, ItemSet, ItemVectors, Query, QueryError, RetrievalError,
    kernel::{Kernels, LANES, prefetch},
    quantised::CodeBlocks,
    scratch::Scratch,
    top_k::{Key, best_hits},
};

/// Fewest candidates between two selections of the scan.
const MIN_CANDIDATES: usize = 1024;

/// Exact top-k by inner product. Two ways with the same answer: all allowed rows in f32, or a scan of eight-bit codes
/// whose survivors (provably a superset of the answer, see [`super::quantised`]) are scored in f32.
pub(super) struct Exact {
    pub codes: CodeBlocks,
    pub kernels: &'static Kernels,
}

impl Exact {
    pub(super) fn new(items: &ItemVectors) -> Result<Self, RetrievalError> {
        Ok(Self { codes: CodeBlocks::new(items)?, kernels: Kernels::best() })
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

    /// Scans the codes. The scratch holds the query.
    pub(super) fn scan(
        &self,
        items: &ItemVectors,
        allowed: Option<&ItemSet>,
        k: usize,
        scratch: &mut Scratch,
    ) -> Vec<Hit> {
        if k == 0 {
            return Vec::new();
        }
        let margin = self.codes.weigh(self.kernels, scratch);
        let Scratch { keys, weights, packed, ids, .. } = &mut *scratch;
        let scan = self.codes.scan(weights, packed, allowed.map(ItemSet::words));
        let (mut from, mut threshold, mut limit) = (0, i32::MIN, MIN_CANDIDATES.max(2 * k));
        keys.clear();
        while from < scan.blocks() {
            from = self.kernels.scan(&scan, from, threshold, keys, limit);
            if keys.len() > k {
                let (_, worst, _) = keys.select_nth_unstable_by(k - 1, |a, b| b.cmp(a));
                threshold = worst.integer().saturating_sub(margin);
                keys.retain(|key| key.integer() >= threshold);
            }
            limit = limit.max(2 * keys.len());
        }
        ids.clear();
        ids.extend(keys.iter().map(|key| key.item()));
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
