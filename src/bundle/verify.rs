//! What opening a bundle does not tell: how well its index finds what the exact scan finds.

use super::{Bundle, BundleError, Tower};
use crate::{
    features::{Slot, TowerSchema},
    retrieval::{Index, Plan, Query, QueryError},
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use rand_distr::StandardNormal;
use rayon::prelude::*;
use serde::Serialize;

/// Hits compared a query, as far as there are items.
const K: usize = 100;

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

impl Bundle {
    /// Compares graph search with the exact scan on `queries` (at least one) query vectors, made by the query tower of
    /// random inputs drawn with `seed`.
    ///
    /// # Errors
    /// When the tower fails on an input of its own schema.
    pub fn index_quality(&self, queries: usize, seed: u64) -> Result<IndexQuality, BundleError> {
        let queries = queries.max(1);
        let k = K.min(self.retriever().len());
        let ef = self.manifest().index.ef_search.max(k);
        let vectors = random_queries(self.query_tower(), &self.manifest().schema.query, queries, seed)?;
        let recalls: Result<Vec<f64>, QueryError> =
            vectors.par_chunks_exact(self.manifest().dim).map(|vector| self.recall(vector, k, ef)).collect();
        let recalls = recalls.map_err(|error| BundleError::Tower {
            path: self.directory().join(super::file_names::QUERY_TOWER),
            reason: error.to_string(),
        })?;
        Ok(IndexQuality {
            queries,
            k,
            ef,
            recall: recalls.iter().sum::<f64>() / queries as f64,
            worst: recalls.iter().copied().fold(1.0, f64::min),
            unreachable: self.retriever().graph().map_or(0, |graph| graph.unreachable()),
        })
    }

    fn recall(&self, vector: &[f32], k: usize, ef: usize) -> Result<f64, QueryError> {
        let query = Query { vector, k, allowed: None };
        let exact = self.retriever().exact().search(&query)?;
        let found = self.retriever().search_by(&query, Plan::Graph { ef })?;
        let Some(last) = exact.last() else { return Ok(1.0) };
        let floor = last.score - 1e-6 * last.score.abs().max(1.0);
        Ok(found.iter().filter(|hit| hit.score >= floor).count() as f64 / exact.len() as f64)
    }
}

/// Vectors of random inputs: uniform rows, normally distributed numbers, histories of any length.
fn random_queries(tower: &Tower, schema: &TowerSchema, queries: usize, seed: u64) -> Result<Vec<f32>, BundleError> {
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
                Slot::Numbers { width, .. } => numbers.extend((0..width).map(|_| rng.sample::<f32, _>(StandardNormal))),
            }
        }
    }
    let mut vectors = Vec::new();
    tower.embed(&indices, &numbers, queries, &mut vectors)?;
    Ok(vectors)
}
