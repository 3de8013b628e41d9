//! Query vectors against item vectors: a bundle, or a model in training.

use super::{EvaluationError, Scorer};
use crate::{
    bundle::RowKind,
    dataset::{Case, Dataset},
};
use std::borrow::Cow;

/// Embeds cases: a query tower with what it needs.
pub trait QueryVectors: Sync {
    /// Writes one vector per case, row-major `cases × dim`. Called from many threads.
    ///
    /// # Errors
    /// A text saying why the tower can't be run.
    fn embed(&self, cases: &[Case], vectors: &mut [f32]) -> Result<(), String>;
}

impl<F: Fn(&[Case], &mut [f32]) -> Result<(), String> + Sync> QueryVectors for F {
    fn embed(&self, cases: &[Case], vectors: &mut [f32]) -> Result<(), String> {
        self(cases, vectors)
    }
}

/// Ranks by the inner product of query and item vectors.
pub struct VectorRanker<'a, Q> {
    name: String,
    query: Q,
    dim: usize,
    /// `articles × dim`, row-major, in the dataset's order.
    vectors: Cow<'a, [f32]>,
    /// Articles without a vector, never recommended.
    missing: Vec<u32>,
}

impl<'a, Q: QueryVectors> VectorRanker<'a, Q> {
    /// `vectors` holds one row of `dim` an article, in the dataset's order.
    ///
    /// # Panics
    /// When `vectors` is no multiple of `dim`.
    pub fn new(name: &str, query: Q, dim: usize, vectors: &'a [f32]) -> Self {
        assert!(dim > 0 && vectors.len().is_multiple_of(dim), "vectors are rows of dim numbers");
        Self {
            name: name.to_owned(),
            query,
            dim,
            vectors: Cow::Borrowed(vectors),
            missing: Vec::new(),
        }
    }

    /// Looks the vector of every article of the dataset up by its id; articles without one are
    /// never recommended.
    ///
    /// # Panics
    /// When a vector isn't `dim` long.
    pub fn of_ids<'v>(
        name: &str,
        query: Q,
        dim: usize,
        dataset: &Dataset,
        vector: impl Fn(&str) -> Option<&'v [f32]>,
    ) -> Self {
        let mut vectors = Vec::with_capacity(dataset.articles.len() * dim);
        let mut missing = Vec::new();
        for (article, id) in dataset.articles.ids.iter().enumerate() {
            match vector(id) {
                Some(vector) => {
                    assert_eq!(vector.len(), dim, "length of a vector");
                    vectors.extend_from_slice(vector);
                }
                None => {
                    vectors.extend(std::iter::repeat_n(0.0, dim));
                    missing.push(article as u32);
                }
            }
        }
        Self { name: name.to_owned(), query, dim, vectors: Cow::Owned(vectors), missing }
    }
}

impl<Q: QueryVectors> VectorRanker<'_, Q> {
    /// Length of a vector.
    pub(super) fn dim(&self) -> usize {
        self.dim
    }

    /// The query vectors of cases: `cases × dim`.
    pub(super) fn queries(&self, cases: &[Case]) -> Result<Vec<f32>, EvaluationError> {
        let mut queries = vec![0.0; cases.len() * self.dim];
        let embedded = self.query.embed(cases, &mut queries);
        embedded.map_err(|cause| EvaluationError::Ranker { ranker: self.name.clone(), cause })?;
        Ok(queries)
    }

    /// The vector of an article, where there is one.
    pub(super) fn item(&self, article: u32) -> Option<&[f32]> {
        let known = self.missing.binary_search(&article).is_err();
        known.then(|| &self.vectors[article as usize * self.dim..][..self.dim])
    }
}

impl<Q: QueryVectors> Scorer for VectorRanker<'_, Q> {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> RowKind {
        RowKind::Bundle
    }

    fn score(&self, cases: &[Case], scores: &mut [f32]) -> Result<(), EvaluationError> {
        let queries = self.queries(cases)?;
        inner_products(&queries, &self.vectors, self.dim, scores);
        for scores in scores.chunks_mut(self.vectors.len() / self.dim) {
            self.missing.iter().for_each(|&article| scores[article as usize] = f32::NEG_INFINITY);
        }
        Ok(())
    }
}

/// `scores[q][i] = queries[q] · items[i]`, all row-major, on the calling thread.
fn inner_products(queries: &[f32], items: &[f32], dim: usize, scores: &mut [f32]) {
    let (rows, columns) = (queries.len() / dim, items.len() / dim);
    assert_eq!(
        (rows * dim, columns * dim, rows * columns),
        (queries.len(), items.len(), scores.len()),
        "shapes"
    );
    let stride = dim as isize;
    // SAFETY: by the assertion every index reached lies inside its slice: `scores` is rows ×
    // columns with strides (columns, 1), `queries` rows × dim with strides (dim, 1), `items` read
    // as dim × columns with strides (1, dim); `scores` is borrowed mutably, so nothing overlaps it.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            dim,
            scores.as_mut_ptr(),
            1,
            columns as isize,
            false,
            queries.as_ptr(),
            1,
            stride,
            items.as_ptr(),
            stride,
            1,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{dataset::TimeUnit, domain::Timestamp, features::testing};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_kernel_is_a_matrix_product(seed: u64, queries in 1usize..9, items in 1usize..70, dim in 1usize..40) {
            use rand::{Rng, SeedableRng};
            let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
            let mut matrix = |len: usize| (0..len).map(|_| rng.random_range(-1.0..1.0)).collect::<Vec<f32>>();
            let (q, i) = (matrix(queries * dim), matrix(items * dim));
            let mut scores = vec![f32::NAN; queries * items];
            inner_products(&q, &i, dim, &mut scores);
            for (row, query) in q.chunks(dim).enumerate() {
                for (column, item) in i.chunks(dim).enumerate() {
                    let expected: f32 = query.iter().zip(item).map(|(a, b)| a * b).sum();
                    prop_assert!((scores[row * items + column] - expected).abs() < 1e-4);
                }
            }
        }
    }

    #[test]
    fn items_are_put_into_the_order_of_the_dataset() {
        let dataset = testing::shop(1, 3, 2, 0, TimeUnit::Day);
        let case = Case { customer: 0, at: Timestamp(0), known: 0, relevant: vec![0] };
        let embed = |cases: &[Case], vectors: &mut [f32]| {
            assert_eq!((cases.len(), vectors.len()), (2, 4));
            vectors.copy_from_slice(&[1.0, 0.0, 0.0, 2.0]);
            Ok(())
        };
        let vector = |id: &str| match id {
            "a0" => Some(&[3.0, 4.0][..]),
            "a2" => Some(&[1.0, 2.0][..]),
            _ => None,
        };
        let ranker = VectorRanker::of_ids("model", embed, 2, &dataset, vector);
        let mut scores = [0.0; 6];
        ranker.score(&[case.clone(), case], &mut scores).unwrap();
        assert_eq!(scores, [3.0, f32::NEG_INFINITY, 1.0, 8.0, f32::NEG_INFINITY, 4.0]);
    }

    #[test]
    fn a_tower_that_fails_is_named() {
        let embed = |_: &[Case], _: &mut [f32]| Err("no table".to_owned());
        let ranker = VectorRanker::new("model", embed, 1, &[0.0]);
        let error = ranker.score(&[], &mut []).unwrap_err();
        assert_eq!(error.to_string(), "`model` can't rank: no table");
    }
}
