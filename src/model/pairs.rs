//! Losses over drawn pairs: each purchase with one article that its customer never bought.

use super::simd::{Simd, add_scaled, dot};
use crate::dataset::NO_NEGATIVE;
use serde::{Deserialize, Serialize};

/// What a two-tower learns by.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum LossKind {
    /// Each purchase against the columns of its batch ([`super::SoftmaxBatch`]).
    #[default]
    Softmax,
    /// One softmax over all pairs of a batch, purchases and negatives alike; each purchase asks for
    /// a mass of 1.
    CosineCrossEntropy,
    /// Each pair by itself is a purchase or none.
    BinaryCrossEntropy,
}

impl LossKind {
    /// Whether it needs a drawn negative for each purchase.
    pub fn is_pairwise(self) -> bool {
        self != Self::Softmax
    }
}

/// The inputs of a pairwise loss. A pair's logit is `scale · ⟨query, item⟩`.
#[derive(Debug, Clone, Copy)]
pub struct PairBatch<'a> {
    pub dim: usize,
    /// `n × dim`.
    pub queries: &'a [f32],
    /// `m × dim`.
    pub items: &'a [f32],
    /// For each query the column of the item bought.
    pub targets: &'a [u32],
    /// For each query the column of its negative, or [`NO_NEGATIVE`].
    pub negatives: &'a [u32],
    /// wᵢ ≥ 0, not all zero; `None` counts every query once.
    pub weights: Option<&'a [f32]>,
    /// 1 / temperature.
    pub scale: f32,
}

/// One pair.
struct Pair {
    query: usize,
    item: usize,
    bought: bool,
    weight: f64,
    logit: f64,
}

impl PairBatch<'_> {
    /// The loss of the average purchase, `W = Σ wᵢ`; writes gradients by the queries and by the
    /// items (same shapes as those). Finite logits give a finite loss however extreme; anything not
    /// finite in the inputs gives a loss that is not.
    ///
    /// * `CosineCrossEntropy`: `L = −Σ wᵢ · log softmax(all logits)[i's purchase]`, returned as `L
    ///   / W`. The gradients are those of the sum `L`: what a cross-entropy over one row of classes
    ///   with target masses comes to.
    /// * `BinaryCrossEntropy`: the mean over pairs of `log(1 + exp(∓logit))`, and its gradients.
    ///
    /// # Panics
    /// When the lengths do not fit together, a column is not there, or the kind is not pairwise.
    pub fn gradients(
        &self,
        kind: LossKind,
        query_gradients: &mut [f32],
        item_gradients: &mut [f32],
    ) -> f64 {
        assert!(
            query_gradients.len() == self.queries.len() && item_gradients.len() == self.items.len(),
            "other shapes"
        );
        query_gradients.fill(0.0);
        item_gradients.fill(0.0);
        let pairs = self.pairs();
        if pairs.is_empty() {
            return 0.0;
        }
        let (simd, dim) = (Simd::detect(), self.dim);
        let mut add = |pair: &Pair, by_logit: f64| {
            let factor = (by_logit * f64::from(self.scale)) as f32;
            let (query, item) =
                (pair.query * dim..(pair.query + 1) * dim, pair.item * dim..(pair.item + 1) * dim);
            add_scaled(
                simd,
                &mut query_gradients[query.clone()],
                &self.items[item.clone()],
                factor,
            );
            add_scaled(simd, &mut item_gradients[item], &self.queries[query], factor);
        };
        match kind {
            LossKind::Softmax => panic!("the softmax is no pairwise loss"),
            LossKind::CosineCrossEntropy => {
                let max = pairs.iter().fold(f64::NEG_INFINITY, |max, pair| max.max(pair.logit));
                let log_sum = pairs.iter().map(|pair| (pair.logit - max).exp()).sum::<f64>().ln();
                let total: f64 =
                    pairs.iter().filter(|pair| pair.bought).map(|pair| pair.weight).sum();
                let mut loss = 0.0;
                for pair in &pairs {
                    let log_share = pair.logit - max - log_sum;
                    let mass = if pair.bought { pair.weight } else { 0.0 };
                    loss -= mass * log_share;
                    add(pair, total * log_share.exp() - mass);
                }
                loss / total
            }
            LossKind::BinaryCrossEntropy => {
                let total: f64 = pairs.iter().map(|pair| pair.weight).sum();
                let mut loss = 0.0;
                for pair in &pairs {
                    // How wrong the pair is: log(1 + exp(wrong)), whose slope is the logistic
                    // function.
                    let wrong = if pair.bought { -pair.logit } else { pair.logit };
                    loss += pair.weight * (wrong.max(0.0) + (-wrong.abs()).exp().ln_1p());
                    let slope = pair.weight / total / (1.0 + (-wrong).exp());
                    add(pair, if pair.bought { -slope } else { slope });
                }
                loss / total
            }
        }
    }

    fn pairs(&self) -> Vec<Pair> {
        let (simd, dim, n) = (Simd::detect(), self.dim, self.targets.len());
        assert!(
            self.queries.len() == n * dim && self.negatives.len() == n,
            "queries are not n × dim"
        );
        assert!(self.weights.is_none_or(|weights| weights.len() == n), "not one weight a query");
        let pair = |query: usize, item: u32, bought: bool| {
            let item = item as usize;
            let logit =
                dot(simd, &self.queries[query * dim..][..dim], &self.items[item * dim..][..dim]);
            let weight = self.weights.map_or(1.0, |weights| f64::from(weights[query]));
            Pair { query, item, bought, weight, logit: f64::from(self.scale * logit) }
        };
        let columns = self.targets.iter().zip(self.negatives).enumerate();
        let both = columns.flat_map(|(i, (&bought, &drawn))| {
            [Some(pair(i, bought, true)), (drawn != NO_NEGATIVE).then(|| pair(i, drawn, false))]
        });
        both.flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    const KINDS: [LossKind; 2] = [LossKind::CosineCrossEntropy, LossKind::BinaryCrossEntropy];

    struct Sample {
        dim: usize,
        queries: Vec<f32>,
        items: Vec<f32>,
        targets: Vec<u32>,
        negatives: Vec<u32>,
        weights: Option<Vec<f32>>,
    }

    impl Sample {
        fn draw(n: usize, m: usize, dim: usize, spread: f32, seed: u64) -> Self {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut draw = |len: usize| {
                (0..len).map(|_| rng.random_range(-spread..spread)).collect::<Vec<f32>>()
            };
            let (queries, items) = (draw(n * dim), draw(m * dim));
            let targets = (0..n).map(|_| rng.random_range(0..m as u32)).collect();
            let negative =
                |_| if rng.random_bool(0.1) { NO_NEGATIVE } else { rng.random_range(0..m as u32) };
            let negatives = (0..n).map(negative).collect();
            let weights =
                seed.is_multiple_of(2).then(|| (0..n).map(|i| 0.1 + i as f32 % 3.0).collect());
            Self { dim, queries, items, targets, negatives, weights }
        }

        fn run(&self, kind: LossKind) -> (f64, Vec<f32>, Vec<f32>) {
            let (mut u, mut v) = (vec![9.0; self.queries.len()], vec![9.0; self.items.len()]);
            let batch = PairBatch {
                dim: self.dim,
                queries: &self.queries,
                items: &self.items,
                targets: &self.targets,
                negatives: &self.negatives,
                weights: self.weights.as_deref(),
                scale: 1.7,
            };
            (batch.gradients(kind, &mut u, &mut v), u, v)
        }

        /// The definition in f64 on given vectors: the loss that is differentiated, and what to
        /// divide it by for the report.
        fn plain(&self, kind: LossKind, queries: &[f64], items: &[f64]) -> (f64, f64) {
            let d = self.dim;
            let weight = |i: usize| self.weights.as_ref().map_or(1.0, |w| f64::from(w[i]));
            let logit = |i: usize, j: u32| {
                1.7 * (0..d).map(|k| queries[i * d + k] * items[j as usize * d + k]).sum::<f64>()
            };
            let mut logits = Vec::new();
            for i in 0..self.targets.len() {
                logits.push((logit(i, self.targets[i]), 1.0, weight(i)));
                if self.negatives[i] != NO_NEGATIVE {
                    logits.push((logit(i, self.negatives[i]), 0.0, weight(i)));
                }
            }
            match kind {
                LossKind::CosineCrossEntropy => {
                    let log_sum = logits.iter().map(|(s, ..)| s.exp()).sum::<f64>().ln();
                    let loss = logits.iter().map(|(s, y, w)| y * w * (log_sum - s)).sum();
                    (loss, logits.iter().map(|(_, y, w)| y * w).sum())
                }
                _ => {
                    let total: f64 = logits.iter().map(|(_, _, w)| w).sum();
                    let chance = |s: f64| 1.0 / (1.0 + (-s).exp());
                    let one = |&(s, y, w): &(f64, f64, f64)| {
                        -w * (y * chance(s).ln() + (1.0 - y) * chance(-s).ln())
                    };
                    (logits.iter().map(one).sum::<f64>() / total, 1.0)
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn loss_and_gradients_are_those_of_the_definition(
            n in 1usize..20, m in 1usize..12, dim in 1usize..20, spread in 0.01f32..1.0, seed in any::<u64>(),
        ) {
            const STEP: f64 = 1e-5;
            let sample = Sample::draw(n, m, dim, spread, seed);
            let vectors: Vec<f64> = sample.queries.iter().chain(&sample.items).map(|&x| f64::from(x)).collect();
            for kind in KINDS {
                let plain = |vectors: &[f64]| sample.plain(kind, &vectors[..n * dim], &vectors[n * dim..]);
                let (loss, u, v) = sample.run(kind);
                let (want, share) = plain(&vectors);
                prop_assert!((loss - want / share).abs() <= 1e-5 * (1.0 + loss), "{kind:?}: {loss} is not {}", want / share);
                for (at, &got) in u.iter().chain(&v).enumerate() {
                    let moved = |by: f64| {
                        let mut vectors = vectors.clone();
                        vectors[at] += by;
                        plain(&vectors).0
                    };
                    let slope = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
                    let close = (slope - f64::from(got)).abs() <= 1e-4 * (1.0 + slope.abs());
                    prop_assert!(close, "{kind:?} at {at}: {got} is not {slope}");
                }
            }
        }

        #[test]
        fn extreme_logits_stay_finite(n in 1usize..9, m in 1usize..9, spread in 1e3f32..1e17, seed in any::<u64>()) {
            for kind in KINDS {
                let (loss, u, v) = Sample::draw(n, m, 3, spread, seed).run(kind);
                prop_assert!(loss.is_finite() && loss >= 0.0, "{kind:?}: {loss}");
                prop_assert!(u.iter().chain(&v).all(|g| g.is_finite()), "{kind:?}");
            }
        }
    }

    /// Four pairs by hand: logits 1.7·(1, 0, 0.5, −0.5), the first and third bought.
    #[test]
    fn a_batch_by_hand() {
        let sample = Sample {
            dim: 1,
            queries: vec![1.0, 0.5],
            items: vec![1.0, 0.0, -1.0],
            targets: vec![0, 0],
            negatives: vec![1, 2],
            weights: None,
        };
        let logits = [1.7f64, 0.0, 0.85, -0.85];
        let log_sum = logits.iter().map(|s| s.exp()).sum::<f64>().ln();
        let softmax = ((log_sum - 1.7) + (log_sum - 0.85)) / 2.0;
        assert!((sample.run(LossKind::CosineCrossEntropy).0 - softmax).abs() < 1e-6);
        let softplus = |s: f64| s.exp().ln_1p();
        let binary = (softplus(-1.7) + softplus(0.0) + softplus(-0.85) + softplus(-0.85)) / 4.0;
        assert!((sample.run(LossKind::BinaryCrossEntropy).0 - binary).abs() < 1e-6);
    }

    #[test]
    fn a_broken_input_shows_in_the_loss() {
        for bad in [f32::NAN, f32::INFINITY] {
            for kind in KINDS {
                let mut sample = Sample::draw(5, 7, 4, 1.0, 3);
                sample.queries[6] = bad;
                assert!(!sample.run(kind).0.is_finite(), "{kind:?}");
            }
        }
    }
}
