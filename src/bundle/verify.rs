//! What opening a bundle does not tell: how well its index finds what the exact scan finds.

use super::{Bundle, BundleError, Tower, Towers};
use crate::{
    features::{Slot, TowerSchema},
    retrieval::{Index, Plan, Query, QueryError, Retriever},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use rand_distr::StandardNormal;
use rayon::prelude::*;
use serde::Serialize;

/// Hits compared a query, as far as there are items.
const K: usize = 100;

/// The widest beam that a writer tries. Long before it the exact scan is cheaper, and the planner
/// takes that.
#[cfg(feature = "trainer")]
const WIDEST: usize = 10_000;

/// How the search graph of a bundle does on queries its own query tower makes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct IndexQuality {
    pub queries: usize,
    pub k: usize,
    /// Beam width.
    pub ef: usize,
    /// Share of the exact top-k that the graph search finds, over all queries; ties count as found.
    pub recall: f64,
    /// The same for the worst query.
    pub worst: f64,
    /// Items no search can find.
    pub unreachable: usize,
}

impl IndexQuality {
    /// Share of the exact top that an index should find.
    pub const GOOD: f64 = 0.95;
    /// Queries that a writer chooses the beam by, and the seed they are drawn with.
    pub const QUERIES: usize = 200;
    pub const SEED: u64 = 1;
}

impl Bundle {
    /// Compares graph search with the exact scan on `queries` (at least one) query vectors, made by
    /// the query tower of random inputs drawn with `seed`; `None` for a bundle without vectors.
    ///
    /// # Errors
    /// When the tower fails on an input of its own schema.
    pub fn index_quality(
        &self,
        queries: usize,
        seed: u64,
    ) -> Result<Option<IndexQuality>, BundleError> {
        let Some(Towers { query, retriever, .. }) = self.towers() else { return Ok(None) };
        let queries = queries.max(1);
        let k = K.min(retriever.len());
        let ef = self.manifest().index.ef_search.max(k);
        let vectors = random_queries(query, &self.manifest().schema.query, queries, seed)?;
        let recalls = recalls(retriever, &vectors, ef).map_err(|error| BundleError::Tower {
            path: self.directory().join(super::file_names::QUERY_TOWER),
            reason: error.to_string(),
        })?;
        Ok(Some(IndexQuality {
            queries,
            k,
            ef,
            recall: recalls.iter().sum::<f64>() / queries as f64,
            worst: recalls.iter().copied().fold(1.0, f64::min),
            unreachable: retriever.graph().map_or(0, |graph| graph.unreachable()),
        }))
    }
}

/// The narrowest beam, from `ef` on by doubling, with which graph search finds
/// [`IndexQuality::GOOD`] of the exact top of these queries, or the widest there is.
///
/// # Errors
/// When a query does not fit the index.
#[cfg(feature = "trainer")]
pub(super) fn sufficient_ef(
    retriever: &Retriever,
    queries: &[f32],
    mut ef: usize,
) -> Result<usize, QueryError> {
    loop {
        let recalls = recalls(retriever, queries, ef.max(K.min(retriever.len())))?;
        let wider = (2 * ef).min(WIDEST).max(ef);
        if recalls.iter().sum::<f64>() >= IndexQuality::GOOD * recalls.len() as f64
            || wider == ef
            || ef > retriever.len()
        {
            return Ok(ef);
        }
        ef = wider;
    }
}

/// Share of the exact top [`K`] that graph search finds, of each query.
fn recalls(retriever: &Retriever, queries: &[f32], ef: usize) -> Result<Vec<f64>, QueryError> {
    let k = K.min(retriever.len());
    let recall = |vector: &[f32]| {
        let query = Query { vector, k, allowed: None };
        let exact = retriever.exact().search(&query)?;
        let found = retriever.search_by(&query, Plan::Graph { ef })?;
        let Some(last) = exact.last() else { return Ok(1.0) };
        let floor = last.score - 1e-6 * last.score.abs().max(1.0);
        Ok(found.iter().filter(|hit| hit.score >= floor).count() as f64 / exact.len() as f64)
    };
    queries.par_chunks_exact(retriever.dim()).map(recall).collect()
}

/// Vectors of random inputs: uniform rows, normally distributed numbers, histories of any length.
pub(super) fn random_queries(
    tower: &Tower,
    schema: &TowerSchema,
    queries: usize,
    seed: u64,
) -> Result<Vec<f32>, BundleError> {
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut indices, mut numbers) = (Vec::new(), Vec::new());
    for _ in 0..queries {
        for slot in schema.slots() {
            match slot {
                Slot::Embedding { rows, .. } | Slot::OneHot { rows, .. } => {
                    indices.push(rng.random_range(0..rows as i64));
                }
                Slot::History { rows, length, .. } | Slot::Sequence { rows, length, .. } => {
                    let padding = rows as i64 - 1;
                    let known = if padding == 0 { 0 } else { rng.random_range(0..=length) };
                    indices.extend((0..known).map(|_| rng.random_range(0..padding)));
                    indices.extend(std::iter::repeat_n(padding, length - known));
                }
                Slot::Numbers { width, .. } => {
                    numbers.extend((0..width).map(|_| rng.sample::<f32, _>(StandardNormal)))
                }
            }
        }
    }
    let mut vectors = Vec::new();
    tower.embed(&indices, &numbers, queries, &mut vectors)?;
    Ok(vectors)
}

#[cfg(test)]
#[cfg(feature = "trainer")]
mod tests {
    use super::*;
    use crate::{
        bundle::IndexParameters,
        retrieval::{Graph, Insertion, ItemVectors},
    };

    #[test]
    fn a_beam_is_widened_until_it_finds_enough() {
        let (items, dim) = (3_000, 24);
        let mut rng = StdRng::seed_from_u64(1);
        let mut draw = |count: usize| {
            (0..count).map(|_| rng.sample::<f32, _>(StandardNormal)).collect::<Vec<_>>()
        };
        let (rows, queries) = (draw(items * dim), draw(50 * dim));
        let items = ItemVectors::from_rows(dim, &rows).unwrap();
        let parameters = IndexParameters { m: 2, ef_construction: 10, ef_search: 10 };
        let graph = Graph::build(&items, parameters, Insertion::Serial).unwrap();
        let retriever = Retriever::new(items, Some(graph)).unwrap();
        let share = |ef| recalls(&retriever, &queries, ef).unwrap().iter().sum::<f64>() / 50.0;
        let ef = sufficient_ef(&retriever, &queries, 10).unwrap();
        assert!(
            ef > 100 && share(ef) >= IndexQuality::GOOD && share(ef / 2) < IndexQuality::GOOD,
            "{ef}: {}",
            share(ef)
        );
        assert_eq!(sufficient_ef(&retriever, &queries, ef).unwrap(), ef);
    }
}
