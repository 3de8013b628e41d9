//! Articles newer than the model: embedded by its item tower and searched by a small index of their
//! own.
//!
//! Most stand in a first segment whose index is built once; those that changed since stand in a
//! second one, which is built anew with every change and merged into the first before that takes
//! long.

use super::{Catalogue, CatalogueRow, Model, ModelError};
use crate::{
    features::ArticleView,
    retrieval::{Index, ItemSet, ItemVectors, Query, QueryError, Retriever},
};
use std::sync::Arc;

/// The vectors of articles that the model was not trained with.
#[derive(Clone, Default)]
pub(super) struct Fresh {
    segments: Vec<Segment>,
}

/// Some of the articles and the index over their vectors.
#[derive(Clone)]
pub(super) struct Segment {
    /// Catalogue row of each vector, rising.
    rows: Arc<[u32]>,
    index: Arc<Retriever>,
    /// The vectors that still count: not those of articles that were changed or removed later.
    live: ItemSet,
}

/// Catalogue rows and their vectors, one after the other.
#[derive(Default)]
struct Vectors {
    rows: Vec<u32>,
    numbers: Vec<f32>,
}

/// Articles embedded in one call.
const BATCH: usize = 512;
/// Most articles of the second segment, however small the first one is.
const TAIL: usize = 2_048;
/// Beside a large first segment, the second may have one for so many of its articles: a merge
/// builds the whole first segment anew.
const TAIL_PART: usize = 16;
/// Longest vector that an index takes, squared.
const MAX_SQUARE: f64 = 1e36;

impl Fresh {
    /// The vectors of these rows (rising) of the catalogue.
    ///
    /// # Errors
    /// When memory for the index cannot be had.
    pub(super) fn of(
        model: &dyn Model,
        catalogue: &Catalogue,
        rows: &[u32],
    ) -> Result<Self, ModelError> {
        let segment = Segment::of(model, embed(model, catalogue, rows))?;
        Ok(Self { segments: segment.into_iter().collect() })
    }

    /// The same with other vectors for the `changed` rows and none for the `removed` ones.
    ///
    /// # Errors
    /// As [`Fresh::of`].
    pub(super) fn after(
        &self,
        model: &dyn Model,
        catalogue: &Catalogue,
        changed: &[u32],
        removed: &[u32],
    ) -> Result<Self, ModelError> {
        if changed.is_empty() && removed.is_empty() {
            return Ok(self.clone());
        }
        let mut next = self.clone();
        for segment in &mut next.segments {
            for &row in changed.iter().chain(removed) {
                if let Some(at) = segment.position(row) {
                    segment.live.remove(at);
                }
            }
        }
        let mut vectors = embed(model, catalogue, changed);
        if next.segments.len() > 1
            && let Some(tail) = next.segments.pop()
        {
            tail.give(&mut vectors);
        }
        let most = next.segments.first().map_or(0, |base| base.rows.len() / TAIL_PART).max(TAIL);
        if vectors.rows.len() > most
            && let Some(base) = next.segments.pop()
        {
            base.give(&mut vectors);
        }
        next.segments.extend(Segment::of(model, vectors.sorted())?);
        Ok(next)
    }

    pub(super) fn len(&self) -> usize {
        self.segments.iter().map(|segment| segment.live.count()).sum()
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    pub(super) fn vector(&self, row: u32) -> Option<&[f32]> {
        self.segments.iter().rev().find_map(|segment| {
            let at = segment.position(row).filter(|&at| segment.live.contains(at))?;
            Some(segment.index.items().row(at))
        })
    }

    /// The nearest `k` by falling score, ties by row. `allowed`: the vectors of each segment that
    /// may be answered.
    ///
    /// # Errors
    /// When the vector does not fit.
    pub(super) fn nearest(
        &self,
        vector: &[f32],
        k: usize,
        allowed: &[ItemSet],
    ) -> Result<Vec<(f32, u32)>, QueryError> {
        let mut found = Vec::new();
        for (segment, allowed) in self.segments.iter().zip(allowed) {
            if allowed.count() > 0 {
                let allowed = (allowed.count() < segment.index.len()).then_some(allowed);
                let hits = segment.index.search(&Query { vector, k, allowed })?;
                found.extend(
                    hits.into_iter().map(|hit| (hit.score, segment.rows[hit.item as usize])),
                );
            }
        }
        found.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        found.truncate(k);
        Ok(found)
    }
}

impl Segment {
    fn of(model: &dyn Model, vectors: Vectors) -> Result<Option<Self>, ModelError> {
        let Some(dim) = model.index().map(Index::dim).filter(|_| !vectors.rows.is_empty()) else {
            return Ok(None);
        };
        let index = ItemVectors::from_rows(dim, &vectors.numbers).and_then(Retriever::clustered);
        let index = index.map_err(|error| ModelError(error.to_string()))?;
        let live = ItemSet::full(vectors.rows.len());
        Ok(Some(Self { rows: vectors.rows.into(), index: Arc::new(index), live }))
    }

    /// The number of a row's vector.
    pub(super) fn position(&self, row: u32) -> Option<u32> {
        self.rows.binary_search(&row).ok().map(|at| at as u32)
    }

    pub(super) fn live(&self) -> &ItemSet {
        &self.live
    }

    /// The vectors of eligible rows.
    pub(super) fn eligible(&self, rows: &ItemSet) -> ItemSet {
        let mut eligible = self.live.clone();
        eligible.retain(|at| rows.contains(self.rows[at as usize]));
        eligible
    }

    /// Whether the two number the same vectors; other ones may count.
    pub(super) fn numbers_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.rows, &other.rows)
    }

    /// Adds the vectors that count to others.
    fn give(&self, vectors: &mut Vectors) {
        for at in self.live.iter() {
            vectors.rows.push(self.rows[at as usize]);
            vectors.numbers.extend_from_slice(self.index.items().row(at));
        }
    }
}

impl Vectors {
    fn sorted(self) -> Self {
        let dim = self.numbers.len() / self.rows.len().max(1);
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        order.sort_unstable_by_key(|&at| self.rows[at]);
        let numbers =
            order.iter().flat_map(|&at| &self.numbers[at * dim..(at + 1) * dim]).copied().collect();
        Self { rows: order.iter().map(|&at| self.rows[at]).collect(), numbers }
    }
}

/// The vectors of rows, as far as the model has any for them. An article that the model cannot
/// embed is left out, told in the log, and never keeps the others out.
fn embed(model: &dyn Model, catalogue: &Catalogue, rows: &[u32]) -> Vectors {
    let mut vectors = Vectors::default();
    let Some(dim) = model.index().map(Index::dim) else { return vectors };
    let (mut failed, mut reason) = (0, None);
    let mut take = |batch: &[u32]| {
        let rows: Vec<_> = batch.iter().map(|&row| CatalogueRow { catalogue, row }).collect();
        let views =
            rows.iter().map(|row| ArticleView { id: Some(catalogue.id(row.row)), attributes: row });
        let numbers = model.embed_articles(&views.collect::<Vec<_>>())?;
        for (&row, vector) in batch.iter().zip(numbers.chunks_exact(dim)) {
            let square: f64 = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
            if square.is_nan() || square > MAX_SQUARE {
                return Err(ModelError(format!(
                    "the vector of article `{}` is not finite",
                    catalogue.id(row)
                )));
            }
        }
        // A model that knows articles by their ids alone has no vector for others.
        let embedded = numbers.len() / dim;
        vectors.rows.extend(batch.iter().take(embedded));
        vectors.numbers.extend(numbers);
        Ok(())
    };
    for batch in rows.chunks(BATCH) {
        if take(batch).is_ok() {
            continue;
        }
        for row in batch.chunks(1) {
            if let Err(error) = take(row) {
                failed += 1;
                reason.get_or_insert(error);
            }
        }
    }
    if let Some(error) = reason {
        let model = model.name();
        tracing::warn!(model, articles = failed, %error, "articles without a vector are found by popularity only");
    }
    vectors
}
