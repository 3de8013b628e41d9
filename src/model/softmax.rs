//! Sampled softmax over the batch's columns: loss and both gradients in one tiled pass.
//!
//! Logits are never kept whole: a block of rows is multiplied (gemm), exponentiated in place, and
//! multiplied back into both gradients while it is still in the cache.

use super::simd::{PADDING, Simd, softmax_row};
use crate::algebra::matrix::{View, multiply};
use rayon::prelude::*;

/// Logits computed at a time: a block of rows that stays within the cache (2 MiB).
const BLOCK_LOGITS: usize = 1 << 19;

/// Rows of such a block: fewer make the products inefficient, more gain nothing.
const BLOCK_ROWS: std::ops::RangeInclusive<usize> = 16..=256;

/// The inputs of a softmax loss: `logit[i][j] = scale · ⟨query_i, item_j⟩ + bias_j`, and
/// `loss = Σ wᵢ · −log softmax(logit[i])[targets[i]] / Σ wᵢ`.
#[derive(Debug, Clone, Copy)]
pub struct SoftmaxBatch<'a> {
    pub dim: usize,
    /// `n × dim`.
    pub queries: &'a [f32],
    /// `m × dim`, each item once.
    pub items: &'a [f32],
    /// For each query the column of its item; that column must not be masked.
    pub targets: &'a [u32],
    /// One a column, such as −log q of its sampling probability; `−∞` masks the column.
    pub bias: &'a [f32],
    /// wᵢ ≥ 0, not all zero; `None` counts every row once.
    pub weights: Option<&'a [f32]>,
    /// 1 / temperature.
    pub scale: f32,
    /// The share of each target that is spread evenly over all columns (label smoothing, Szegedy et
    /// al. 2016, arXiv:1512.00567), none of which is then masked; 0 for none.
    pub smoothing: f32,
}

/// Buffers kept from step to step.
#[derive(Debug, Default)]
pub struct SoftmaxWorkspace {
    bias: Vec<f32>,
    pieces: Vec<Piece>,
}

#[derive(Debug, Default)]
struct Piece {
    logits: Vec<f32>,
    scaled_queries: Vec<f32>,
    factors: Vec<f32>,
    item_gradients: Vec<f32>,
    loss: f64,
}

impl SoftmaxBatch<'_> {
    /// The mean loss; writes its gradients by the queries and by the items (same shapes as those).
    ///
    /// Finite logits give a finite loss however extreme; anything not finite in the inputs gives a
    /// loss that is not.
    ///
    /// # Panics
    /// When the lengths do not fit together.
    pub fn gradients(
        &self,
        queries: &mut [f32],
        items: &mut [f32],
        workspace: &mut SoftmaxWorkspace,
    ) -> f64 {
        self.gradients_with(Simd::detect(), queries, items, workspace)
    }

    fn gradients_with(
        &self,
        simd: Simd,
        query_gradients: &mut [f32],
        item_gradients: &mut [f32],
        workspace: &mut SoftmaxWorkspace,
    ) -> f64 {
        let (dim, n, m) = (self.dim, self.targets.len(), self.bias.len());
        assert!(
            self.queries.len() == n * dim && query_gradients.len() == n * dim,
            "queries are not n × dim"
        );
        assert!(
            self.items.len() == m * dim && item_gradients.len() == m * dim,
            "items are not m × dim"
        );
        assert!(self.targets.iter().all(|&t| (t as usize) < m), "a target is not a column");
        assert!(self.weights.is_none_or(|w| w.len() == n), "not one weight a row");
        if n == 0 {
            item_gradients.fill(0.0);
            return 0.0;
        }
        let total = self.weights.map_or(n as f64, |w| w.iter().map(|&w| f64::from(w)).sum());
        let SoftmaxWorkspace { bias, pieces } = workspace;
        bias.clear();
        bias.extend_from_slice(self.bias);
        bias.resize(m.next_multiple_of(PADDING), f32::NEG_INFINITY);
        let rows = n.div_ceil(rayon::current_num_threads());
        pieces.resize_with(n.div_ceil(rows), Piece::default);
        let share = (1.0 / total) as f32;
        let parts = pieces.iter_mut().zip(query_gradients.chunks_mut(rows * dim)).enumerate();
        let parts: Vec<_> =
            parts.map(|(index, (piece, gradients))| (index * rows, piece, gradients)).collect();
        parts.into_par_iter().for_each(|(first, piece, gradients)| {
            self.piece(&Pass { simd, share, bias, first }, gradients, piece);
        });
        item_gradients.copy_from_slice(&pieces[0].item_gradients);
        for piece in &pieces[1..] {
            item_gradients
                .iter_mut()
                .zip(&piece.item_gradients)
                .for_each(|(sum, part)| *sum += part);
        }
        pieces.iter().map(|piece| piece.loss).sum::<f64>() / total
    }

    /// The rows from `first` on, as many as `gradients` holds.
    fn piece(&self, pass: &Pass<'_>, gradients: &mut [f32], piece: &mut Piece) {
        let Pass { simd, share, bias, first } = *pass;
        let (dim, m, stride) = (self.dim, self.bias.len(), bias.len());
        let most = (BLOCK_LOGITS / stride)
            .clamp(*BLOCK_ROWS.start(), *BLOCK_ROWS.end())
            .min(gradients.len() / dim);
        let items = View::new(self.items, m, dim);
        let Piece { logits, scaled_queries, factors, item_gradients, loss } = piece;
        logits.resize(most * stride, 0.0);
        scaled_queries.resize(most * dim, 0.0);
        factors.resize(most, 0.0);
        item_gradients.clear();
        item_gradients.resize(m * dim, 0.0);
        *loss = 0.0;
        for (block, gradients) in gradients.chunks_mut(most * dim).enumerate() {
            let start = first + block * most;
            let rows = gradients.len() / dim;
            let queries = &self.queries[start * dim..(start + rows) * dim];
            multiply(
                logits,
                stride,
                false,
                self.scale,
                View::new(queries, rows, dim),
                items.transposed(),
            );
            for i in 0..rows {
                let row = &mut logits[i * stride..(i + 1) * stride];
                // What a wider matrix left behind here might not be finite, and −∞ plus that would
                // be no mask.
                row[m..].fill(0.0);
                let target = self.targets[start + i] as usize;
                let lead = if self.smoothing > 0.0 { self.lead(&row[..m], target) } else { 0.0 };
                let softmax = softmax_row(simd, row, bias, target);
                let weight = self.weights.map_or(1.0, |w| w[start + i]);
                *loss += f64::from(weight) * (softmax.loss + f64::from(self.smoothing) * lead);
                if self.smoothing > 0.0 {
                    let spread = self.smoothing * softmax.sum;
                    row[..m].iter_mut().for_each(|g| *g -= spread / m as f32);
                    row[target] += spread;
                }
                factors[i] = weight * share * self.scale / softmax.sum;
                let scaled = &mut scaled_queries[i * dim..(i + 1) * dim];
                scaled.iter_mut().zip(&queries[i * dim..]).for_each(|(s, q)| *s = q * factors[i]);
            }
            let by_logits = View::strided(logits, rows, m, stride);
            multiply(gradients, dim, false, 1.0, by_logits, items);
            for (row, factor) in gradients.chunks_exact_mut(dim).zip(factors.iter()) {
                row.iter_mut().for_each(|g| *g *= factor);
            }
            multiply(
                item_gradients,
                dim,
                true,
                1.0,
                by_logits.transposed(),
                View::new(scaled_queries, rows, dim),
            );
        }
    }

    /// By how much the target's logit is above the mean of all: what smoothing punishes.
    fn lead(&self, products: &[f32], target: usize) -> f64 {
        let logit = |(product, bias): (&f32, &f32)| f64::from(product + bias);
        let sum: f64 = products.iter().zip(self.bias).map(logit).sum();
        logit((&products[target], &self.bias[target])) - sum / products.len() as f64
    }
}

/// What the rows of one piece share.
#[derive(Debug, Clone, Copy)]
struct Pass<'a> {
    simd: Simd,
    /// 1 / Σ wᵢ.
    share: f32,
    /// Padded.
    bias: &'a [f32],
    /// The piece's first row.
    first: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    struct Sample {
        dim: usize,
        queries: Vec<f32>,
        items: Vec<f32>,
        targets: Vec<u32>,
        bias: Vec<f32>,
        weights: Vec<f32>,
        scale: f32,
        smoothing: f32,
    }

    impl Sample {
        fn draw(n: usize, m: usize, dim: usize, spread: f32, seed: u64) -> Self {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut draw = |len: usize| {
                (0..len).map(|_| rng.random_range(-spread..spread)).collect::<Vec<f32>>()
            };
            let (queries, items, mut bias) = (draw(n * dim), draw(m * dim), draw(m));
            let targets: Vec<u32> = (0..n).map(|_| rng.random_range(0..m as u32)).collect();
            for (j, b) in bias.iter_mut().enumerate() {
                if rng.random_bool(0.2) && !targets.contains(&(j as u32)) {
                    *b = f32::NEG_INFINITY;
                }
            }
            let weights = (0..n).map(|_| rng.random_range(0.1..2.0)).collect();
            Self { dim, queries, items, targets, bias, weights, scale: 1.7, smoothing: 0.0 }
        }

        fn batch(&self) -> SoftmaxBatch<'_> {
            SoftmaxBatch {
                dim: self.dim,
                queries: &self.queries,
                items: &self.items,
                targets: &self.targets,
                bias: &self.bias,
                weights: Some(&self.weights),
                scale: self.scale,
                smoothing: self.smoothing,
            }
        }

        /// The same with label smoothing, and no column masked.
        fn smoothed(mut self, smoothing: f32) -> Self {
            self.bias.iter_mut().filter(|bias| !bias.is_finite()).for_each(|bias| *bias = 0.5);
            Self { smoothing, ..self }
        }

        fn run(&self, simd: Simd) -> (f64, Vec<f32>, Vec<f32>) {
            let (mut u, mut v) = (vec![9.0; self.queries.len()], vec![9.0; self.items.len()]);
            let loss =
                self.batch().gradients_with(simd, &mut u, &mut v, &mut SoftmaxWorkspace::default());
            (loss, u, v)
        }

        /// The definition, in f64.
        fn plain(&self) -> (f64, Vec<f64>, Vec<f64>) {
            let (d, n, m) = (self.dim, self.targets.len(), self.bias.len());
            let total: f64 = self.weights.iter().map(|&w| f64::from(w)).sum();
            let (mut loss, mut du, mut dv) = (0.0, vec![0.0; n * d], vec![0.0; m * d]);
            for i in 0..n {
                let logit = |j: usize| {
                    let dot: f64 = (0..d)
                        .map(|k| {
                            f64::from(self.queries[i * d + k]) * f64::from(self.items[j * d + k])
                        })
                        .sum();
                    f64::from(self.scale) * dot + f64::from(self.bias[j])
                };
                let logits: Vec<f64> = (0..m).map(logit).collect();
                let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = logits.iter().map(|x| (x - max).exp()).sum();
                let (target, weight) =
                    (self.targets[i] as usize, f64::from(self.weights[i]) / total);
                let smoothing = f64::from(self.smoothing);
                for j in 0..m {
                    let even = if smoothing > 0.0 { smoothing / m as f64 } else { 0.0 };
                    let wanted = (1.0 - smoothing) * f64::from(u8::from(j == target)) + even;
                    if wanted > 0.0 {
                        loss += weight * wanted * (sum.ln() + max - logits[j]);
                    }
                    let p = (logits[j] - max).exp() / sum - wanted;
                    for k in 0..d {
                        du[i * d + k] +=
                            weight * f64::from(self.scale) * p * f64::from(self.items[j * d + k]);
                        dv[j * d + k] +=
                            weight * f64::from(self.scale) * p * f64::from(self.queries[i * d + k]);
                    }
                }
            }
            (loss, du, dv)
        }
    }

    fn close(got: &[f32], want: &[f64], tolerance: f64) -> bool {
        let size = want.iter().fold(1e-6, |a: f64, b| a.max(b.abs()));
        got.iter().zip(want).all(|(g, w)| (f64::from(*g) - w).abs() <= tolerance * size)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn loss_and_gradients_are_those_of_the_definition(
            n in 1usize..600, m in 1usize..90, dim in 1usize..20, spread in 0.01f32..3.0, seed in any::<u64>(), smooth: bool,
        ) {
            let sample = Sample::draw(n, m, dim, spread, seed);
            let sample = if smooth { sample.smoothed(0.2) } else { sample };
            let (loss, du, dv) = sample.plain();
            for simd in Simd::available() {
                let (got, gu, gv) = sample.run(simd);
                prop_assert!((got - loss).abs() <= 1e-4 * (1.0 + loss), "{got} is not {loss}");
                prop_assert!(close(&gu, &du, 1e-3) && close(&gv, &dv, 1e-3));
            }
        }

        #[test]
        fn extreme_logits_stay_finite(n in 1usize..40, m in 1usize..40, spread in 1e3f32..1e17, seed in any::<u64>()) {
            let (loss, du, dv) = Sample::draw(n, m, 3, spread, seed).run(Simd::detect());
            prop_assert!(loss.is_finite() && loss >= 0.0);
            prop_assert!(du.iter().chain(&dv).all(|g| g.is_finite()));
        }
    }

    #[test]
    fn a_broken_input_shows_in_the_loss() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut sample = Sample::draw(5, 7, 4, 1.0, 3);
            sample.queries[6] = bad;
            assert!(!sample.run(Simd::detect()).0.is_finite());
        }
    }

    #[test]
    fn masked_columns_get_no_gradient() {
        let sample = Sample::draw(30, 60, 4, 1.0, 1);
        let (_, _, dv) = sample.run(Simd::detect());
        let masked: Vec<usize> = (0..60).filter(|&j| sample.bias[j] == f32::NEG_INFINITY).collect();
        assert!(!masked.is_empty());
        assert!(masked.iter().all(|&j| dv[j * 4..j * 4 + 4].iter().all(|&g| g == 0.0)));
    }

    #[test]
    fn a_thread_count_gives_the_same_bits_every_time_and_others_agree() {
        let sample = Sample::draw(700, 300, 16, 1.0, 2);
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| sample.run(Simd::detect()))
        };
        let one = run(1);
        assert_eq!(one, run(1));
        let three = run(3);
        assert_eq!(three, run(3));
        assert!((one.0 - three.0).abs() < 1e-9);
        assert!(close(&three.2, &one.2.iter().map(|&x| f64::from(x)).collect::<Vec<_>>(), 1e-5));
    }
}
