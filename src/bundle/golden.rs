//! Golden requests: what the trainer's own model answers to a few inputs, kept in the bundle. A
//! reader that gets other answers has another model in its hands.

use super::{BundleError, Tower};
use crate::retrieval::{Hit, QueryError};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Largest difference of a number of a vector between the trainer's forward pass and the exported
/// graph.
const TOLERANCE: f32 = 1e-4;

/// How many items the top-k of a golden query holds.
#[cfg(feature = "trainer")]
const TOP: usize = 20;

/// `golden.json`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    pub queries: Vec<GoldenQuery>,
    pub items: Vec<GoldenItem>,
}

/// A row of query tower inputs, its vector and the items of highest inner product with that vector,
/// best first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenQuery {
    pub indices: Vec<i64>,
    pub numbers: Vec<f32>,
    pub vector: Vec<f32>,
    /// Empty in what a trainer hands to the writer, which fills it.
    #[serde(default)]
    pub top: Vec<GoldenHit>,
}

/// A row of item tower inputs and its vector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenItem {
    pub indices: Vec<i64>,
    pub numbers: Vec<f32>,
    pub vector: Vec<f32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenHit {
    pub item: u32,
    pub score: f32,
}

impl Golden {
    /// Of a bundle with vectors: fills every query's top-k by comparing its vector with all `items`
    /// (`count × dim`).
    #[cfg(feature = "trainer")]
    pub(super) fn rank(&mut self, items: &[f32], dim: usize) {
        for query in &mut self.queries {
            query.top = exact_top(&query.vector, items, dim);
        }
    }

    /// Runs every request through the towers.
    ///
    /// # Errors
    /// [`BundleError::Golden`] for the first vector that differs by more than the tolerance.
    pub(super) fn check_towers(
        &self,
        path: &Path,
        query: &Tower,
        item: &Tower,
    ) -> Result<(), BundleError> {
        let rows = self.queries.iter().map(|q| (query, &q.indices, &q.numbers, &q.vector));
        let rows = rows.chain(self.items.iter().map(|i| (item, &i.indices, &i.numbers, &i.vector)));
        if self.queries.is_empty() {
            let reason = "there is no request".to_owned();
            return Err(BundleError::Golden { path: path.to_owned(), request: 0, reason });
        }
        let mut found = Vec::new();
        for (request, (tower, indices, numbers, expected)) in rows.enumerate() {
            let fail =
                |reason: String| BundleError::Golden { path: path.to_owned(), request, reason };
            // A row alone and one of many take different plans of the tower.
            for batch in [1, 2] {
                tower
                    .embed(&indices.repeat(batch), &numbers.repeat(batch), batch, &mut found)
                    .map_err(|error| fail(error.to_string()))?;
                let expected = expected.repeat(batch);
                if found.len() != expected.len() {
                    let reason = format!(
                        "a vector of {} numbers instead of {}",
                        tower.dim(),
                        expected.len() / batch
                    );
                    return Err(fail(reason));
                }
                if let Some(at) = (0..found.len()).find(|&at| !close(expected[at], found[at])) {
                    let (at, found, expected) = (at % tower.dim(), found[at], expected[at]);
                    return Err(fail(format!(
                        "number {at} of the vector is {found} instead of {expected}"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Compares the exact top-k of every query's expected vector with the expected one; items may
    /// trade places where their scores are equal within the tolerance.
    ///
    /// # Errors
    /// [`BundleError::Golden`] for the first query that differs.
    pub(super) fn check_search(
        &self,
        path: &Path,
        search: impl Fn(&[f32], usize) -> Result<Vec<Hit>, QueryError>,
    ) -> Result<(), BundleError> {
        for (request, query) in self.queries.iter().enumerate() {
            let fail =
                |reason: String| BundleError::Golden { path: path.to_owned(), request, reason };
            let found =
                search(&query.vector, query.top.len()).map_err(|error| fail(error.to_string()))?;
            let found: Vec<_> =
                found.iter().map(|hit| GoldenHit { item: hit.item, score: hit.score }).collect();
            same_ranking(&query.top, &found).map_err(fail)?;
        }
        Ok(())
    }
}

/// The items of highest inner product, best first, ties by rising item.
#[cfg(feature = "trainer")]
fn exact_top(vector: &[f32], items: &[f32], dim: usize) -> Vec<GoldenHit> {
    let score = |row: &[f32]| {
        row.iter().zip(vector).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>() as f32
    };
    let mut hits: Vec<GoldenHit> = items
        .chunks_exact(dim)
        .zip(0..)
        .map(|(row, item)| GoldenHit { item, score: score(row) })
        .collect();
    let order =
        |a: &GoldenHit, b: &GoldenHit| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item));
    if hits.len() > TOP {
        hits.select_nth_unstable_by(TOP, order);
        hits.truncate(TOP);
    }
    hits.sort_unstable_by(order);
    hits
}

/// Within the tolerance; never for what is not a number.
fn close(expected: f32, found: f32) -> bool {
    (found - expected).abs() <= TOLERANCE * expected.abs().max(1.0)
}

pub(super) fn same_ranking(expected: &[GoldenHit], found: &[GoldenHit]) -> Result<(), String> {
    if expected.len() != found.len() {
        return Err(format!("{} hits instead of {}", found.len(), expected.len()));
    }
    for (rank, (e, f)) in expected.iter().zip(found).enumerate() {
        if !close(e.score, f.score) {
            return Err(format!(
                "hit {rank} is item {} with score {} instead of item {} with {}",
                f.item, f.score, e.item, e.score
            ));
        }
        // Where the items differ they must be a tie, be it with an item just beyond the end.
        let known = expected
            .iter()
            .find(|hit| hit.item == f.item)
            .map_or(expected[expected.len() - 1].score, |hit| hit.score);
        if !close(known, f.score) {
            return Err(format!(
                "hit {rank} is item {}, which should not be there; item {} is expected",
                f.item, e.item
            ));
        }
    }
    Ok(())
}

#[cfg(all(test, feature = "trainer"))]
mod tests {
    use super::*;

    fn hits(list: &[(u32, f32)]) -> Vec<GoldenHit> {
        list.iter().map(|&(item, score)| GoldenHit { item, score }).collect()
    }

    #[test]
    fn the_exact_top_is_ordered_and_breaks_ties_by_item() {
        let items: Vec<f32> = (0..100).map(|i| (i / 2) as f32).collect();
        let top = exact_top(&[1.0], &items, 1);
        assert_eq!(
            (top.len(), top[0], top[1].item, top[2].item),
            (TOP, GoldenHit { item: 98, score: 49.0 }, 99, 96)
        );
        assert_eq!(exact_top(&[-1.0], &items[..3], 1), hits(&[(0, 0.0), (1, 0.0), (2, -1.0)]));
    }

    #[test]
    fn rankings_agree_up_to_ties() {
        let expected = hits(&[(1, 0.9), (2, 0.5), (3, 0.5)]);
        assert!(same_ranking(&expected, &hits(&[(1, 0.9), (3, 0.5), (2, 0.5)])).is_ok());
        assert!(
            same_ranking(&expected, &hits(&[(1, 0.9), (2, 0.5), (7, 0.500_01)])).is_ok(),
            "a tie beyond the end"
        );
        assert!(
            same_ranking(&expected, &hits(&[(7, 0.9), (2, 0.5), (3, 0.5)])).is_err(),
            "a stranger on top"
        );
        assert!(same_ranking(&expected, &hits(&[(1, 0.9), (2, 0.5), (3, 0.4)])).is_err());
        assert!(same_ranking(&expected, &hits(&[(1, 0.9), (2, 0.5)])).is_err());
        assert!(same_ranking(&expected, &hits(&[(1, f32::NAN), (2, 0.5), (3, 0.5)])).is_err());
    }
}
