//! Softmax of every position over its own target and the negatives drawn for its sequence: loss
//! and gradients, a sequence at a time.
//!
//! A target competes with a few hundred items, not with all that the batch bought: once it is
//! ahead of those, its loss is small and the model stops stretching for it. Each sequence has
//! draws of its own, so that a step still reaches most of the catalogue. The rows of a sequence's
//! negatives are gathered once and serve all its positions as one small matrix.

use super::{
    sequence::Packed,
    simd::{PADDING, Simd, add_scaled, dot, softmax_row},
    table::{Scatter, Table},
};
use crate::algebra::matrix::{View, multiply};
use rayon::prelude::*;
use std::ops::Range;

/// The inputs of the loss: `logit = scale · ⟨query, item⟩`, and
/// `loss = Σ wᵢ · −log softmax over (target i, negatives of i's sequence) of target i / Σ wᵢ`.
///
/// A negative that is the position's own target does not count. Every item is drawn alike, so no
/// correction for the sampling is due.
#[derive(Debug, Clone, Copy)]
pub struct DrawnSoftmax<'a> {
    /// Rows are items.
    pub items: &'a Table,
    pub packed: &'a Packed,
    /// `tokens × dim`.
    pub queries: &'a [f32],
    /// For each token the row of the item that came next.
    pub targets: &'a [u32],
    /// Rows, as many for each sequence, sequence by sequence.
    pub negatives: &'a [u32],
    /// wᵢ ≥ 0, not all zero; `None` counts every token once.
    pub weights: Option<&'a [f32]>,
    /// 1 / temperature.
    pub scale: f32,
}

/// Buffers kept from step to step.
#[derive(Debug, Default)]
pub struct DrawnWorkspace {
    pieces: Vec<Piece>,
}

/// What one thread works with.
#[derive(Debug)]
struct Piece {
    by_items: Scatter,
    /// The rows of a sequence's negatives, `count × dim`.
    negatives: Vec<f32>,
    by_negatives: Vec<f32>,
    /// A row a token: the negatives, then the target, then padding.
    logits: Vec<f32>,
    /// Zero for what counts, −∞ for the padding.
    bias: Vec<f32>,
    scaled_queries: Vec<f32>,
    loss: f64,
}

/// What the tokens of a batch share.
#[derive(Debug, Clone, Copy)]
struct Pass {
    simd: Simd,
    /// 1 / Σ wᵢ.
    share: f32,
    /// Negatives of a sequence.
    count: usize,
}

impl DrawnSoftmax<'_> {
    /// The mean loss; writes its gradients by the queries (`tokens × dim`) and adds those by the
    /// items to `by_items`.
    ///
    /// Finite logits give a finite loss however extreme; anything not finite in the inputs gives a
    /// loss that is not.
    ///
    /// # Panics
    /// When the lengths do not fit together.
    pub fn gradients(
        &self,
        by_queries: &mut [f32],
        by_items: &mut Scatter,
        workspace: &mut DrawnWorkspace,
    ) -> f64 {
        let (dim, tokens, sequences) =
            (self.items.dim, self.packed.tokens(), self.packed.sequences());
        assert!(
            self.queries.len() == tokens * dim && by_queries.len() == tokens * dim,
            "queries are not tokens × dim"
        );
        assert!(self.targets.len() == tokens, "not one target a token");
        assert!(
            self.weights.is_none_or(|weights| weights.len() == tokens),
            "not one weight a token"
        );
        if tokens == 0 {
            return 0.0;
        }
        let count = self.negatives.len() / sequences;
        assert!(
            count > 0 && self.negatives.len() == sequences * count,
            "not as many negatives for each sequence"
        );
        let total = self
            .weights
            .map_or(tokens as f64, |weights| weights.iter().map(|&w| f64::from(w)).sum());
        let pass = Pass { simd: Simd::detect(), share: (1.0 / total) as f32, count };

        let runs = self.packed.runs(rayon::current_num_threads());
        let DrawnWorkspace { pieces } = workspace;
        pieces.truncate(runs.len());
        pieces.resize_with(runs.len(), || Piece::new(self.items));
        let mut rest = by_queries;
        let mut parts = Vec::with_capacity(runs.len());
        for (piece, run) in pieces.iter_mut().zip(runs) {
            let rows = self.packed.rows(run.start).start..self.packed.rows(run.end - 1).end;
            let (gradients, tail) = rest.split_at_mut(rows.len() * dim);
            rest = tail;
            parts.push((piece, run, gradients));
        }
        parts
            .into_par_iter()
            .for_each(|(piece, run, gradients)| self.run(&pass, run, gradients, piece));
        for piece in pieces.iter_mut() {
            by_items.absorb(&mut piece.by_items);
        }
        pieces.iter().map(|piece| piece.loss).sum::<f64>() / total
    }

    /// The sequences `run`, whose tokens `gradients` holds.
    fn run(&self, pass: &Pass, run: Range<usize>, gradients: &mut [f32], piece: &mut Piece) {
        let dim = self.items.dim;
        let stride = (pass.count + 1).next_multiple_of(PADDING);
        piece.loss = 0.0;
        piece.bias.clear();
        piece.bias.resize(pass.count + 1, 0.0);
        piece.bias.resize(stride, f32::NEG_INFINITY);
        piece.by_negatives.resize(pass.count * dim, 0.0);
        let mut gradients = gradients;
        for sequence in run {
            let (own, rest) = gradients.split_at_mut(self.packed.rows(sequence).len() * dim);
            gradients = rest;
            self.sequence(pass, sequence, own, piece);
        }
    }

    fn sequence(&self, pass: &Pass, sequence: usize, gradients: &mut [f32], piece: &mut Piece) {
        let Pass { simd, share, count } = *pass;
        let (dim, rows) = (self.items.dim, self.packed.rows(sequence));
        let Piece { by_items, negatives, by_negatives, logits, bias, scaled_queries, loss } = piece;
        let drawn = &self.negatives[sequence * count..(sequence + 1) * count];
        negatives.clear();
        drawn.iter().for_each(|&row| negatives.extend_from_slice(self.items.row(row as usize)));
        let negatives = View::new(negatives, count, dim);
        let queries = &self.queries[rows.start * dim..rows.end * dim];
        let stride = bias.len();
        logits.resize(rows.len() * stride, 0.0);
        let products = View::new(queries, rows.len(), dim);
        multiply(logits, stride, false, self.scale, products, negatives.transposed());

        scaled_queries.clear();
        let tokens = logits.chunks_exact_mut(stride).zip(queries.chunks_exact(dim));
        let mut factors = Vec::with_capacity(rows.len());
        for (token, (row, query)) in rows.clone().zip(tokens) {
            let target = self.targets[token];
            for (logit, _) in row.iter_mut().zip(drawn).filter(|(_, negative)| **negative == target)
            {
                *logit = f32::NEG_INFINITY;
            }
            row[count] = self.scale * dot(simd, query, self.items.row(target as usize));
            // What another batch left behind might not be finite, and −∞ plus that would be no
            // mask.
            row[count + 1..].fill(0.0);
            let softmax = softmax_row(simd, row, bias, count);
            let weight = self.weights.map_or(1.0, |weights| weights[token]);
            *loss += f64::from(weight) * softmax.loss;
            let factor = weight * share * self.scale / softmax.sum;
            factors.push(factor);
            let first = scaled_queries.len();
            scaled_queries.extend(query.iter().map(|q| q * factor));
            by_items.add(target as usize, row[count], &scaled_queries[first..]);
        }
        let by_logits = View::strided(logits, rows.len(), count, stride);
        multiply(gradients, dim, false, 1.0, by_logits, negatives);
        let tokens = gradients.chunks_exact_mut(dim).zip(logits.chunks_exact(stride)).zip(factors);
        for (token, ((gradient, row), factor)) in rows.clone().zip(tokens) {
            add_scaled(simd, gradient, self.items.row(self.targets[token] as usize), row[count]);
            gradient.iter_mut().for_each(|g| *g *= factor);
        }
        let scaled = View::new(scaled_queries, rows.len(), dim);
        multiply(by_negatives, dim, false, 1.0, by_logits.transposed(), scaled);
        for (&row, gradient) in drawn.iter().zip(by_negatives.chunks_exact(dim)) {
            by_items.add(row as usize, 1.0, gradient);
        }
    }
}

impl Piece {
    fn new(items: &Table) -> Self {
        Self {
            by_items: Scatter::new(items.rows(), items.dim),
            negatives: Vec::new(),
            by_negatives: Vec::new(),
            logits: Vec::new(),
            bias: Vec::new(),
            scaled_queries: Vec::new(),
            loss: 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    struct Sample {
        items: Table,
        packed: Packed,
        queries: Vec<f32>,
        targets: Vec<u32>,
        negatives: Vec<u32>,
        weights: Vec<f32>,
    }

    const SCALE: f32 = 1.7;

    impl Sample {
        /// Few items, so that negatives come twice and hit targets.
        fn draw(sequences: usize, count: usize, dim: usize, spread: f32, seed: u64) -> Self {
            let mut rng = StdRng::seed_from_u64(seed);
            let mut items = Table::new(40, dim, seed);
            items.weights.iter_mut().for_each(|w| *w = rng.random_range(-spread..spread));
            let packed = Packed::of((0..sequences).map(|_| rng.random_range(1..40)));
            let mut rows = |n: usize| (0..n).map(|_| rng.random_range(0..40)).collect::<Vec<u32>>();
            let (targets, negatives) = (rows(packed.tokens()), rows(sequences * count));
            let queries =
                (0..packed.tokens() * dim).map(|_| rng.random_range(-spread..spread)).collect();
            let weights = (0..packed.tokens()).map(|_| rng.random_range(0.1..2.0)).collect();
            Self { items, packed, queries, targets, negatives, weights }
        }

        fn run(&self) -> (f64, Vec<f32>, Vec<f32>) {
            let Self { items, packed, queries, targets, negatives, weights } = self;
            let weights = Some(&weights[..]);
            let softmax =
                DrawnSoftmax { items, packed, queries, targets, negatives, weights, scale: SCALE };
            let mut workspace = DrawnWorkspace::default();
            let mut by_queries = vec![9.0; queries.len()];
            let mut scatter = Scatter::new(items.rows(), items.dim);
            // Twice: nothing of a step may be left in the next.
            for _ in 0..2 {
                scatter.clear();
                softmax.gradients(&mut by_queries, &mut scatter, &mut workspace);
            }
            scatter.clear();
            let loss = softmax.gradients(&mut by_queries, &mut scatter, &mut workspace);
            let mut by_items = vec![0.0; items.weights.len()];
            for (row, gradient) in scatter.sums() {
                by_items[row as usize * items.dim..][..items.dim].copy_from_slice(&gradient);
            }
            (loss, by_queries, by_items)
        }

        /// The definition, in f64.
        fn plain(&self) -> (f64, Vec<f64>, Vec<f64>) {
            let dim = self.items.dim;
            let count = self.negatives.len() / self.packed.sequences();
            let total: f64 = self.weights.iter().map(|&w| f64::from(w)).sum();
            let (mut loss, mut by_queries) = (0.0, vec![0.0; self.queries.len()]);
            let mut by_items = vec![0.0; self.items.weights.len()];
            for sequence in 0..self.packed.sequences() {
                for token in self.packed.rows(sequence) {
                    let target = self.targets[token];
                    let drawn = &self.negatives[sequence * count..(sequence + 1) * count];
                    let mut candidates: Vec<u32> =
                        drawn.iter().copied().filter(|&row| row != target).collect();
                    candidates.push(target);
                    let query = &self.queries[token * dim..(token + 1) * dim];
                    let logit = |row: u32| {
                        let terms = query.iter().zip(self.items.row(row as usize));
                        f64::from(SCALE)
                            * terms.map(|(q, v)| f64::from(*q) * f64::from(*v)).sum::<f64>()
                    };
                    let logits: Vec<f64> = candidates.iter().map(|&row| logit(row)).collect();
                    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let sum: f64 = logits.iter().map(|x| (x - max).exp()).sum();
                    let weight = f64::from(self.weights[token]) / total;
                    loss += weight * (sum.ln() + max - logits[logits.len() - 1]);
                    for (i, &row) in candidates.iter().enumerate() {
                        let own = f64::from(u8::from(i + 1 == candidates.len()));
                        let p = weight * f64::from(SCALE) * ((logits[i] - max).exp() / sum - own);
                        for k in 0..dim {
                            let at = row as usize * dim + k;
                            by_queries[token * dim + k] += p * f64::from(self.items.weights[at]);
                            by_items[at] += p * f64::from(query[k]);
                        }
                    }
                }
            }
            (loss, by_queries, by_items)
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
            sequences in 1usize..20, count in 1usize..40, dim in 1usize..20, spread in 0.01f32..2.0, seed in any::<u64>(),
        ) {
            let sample = Sample::draw(sequences, count, dim, spread, seed);
            let ((loss, by_queries, by_items), (want, want_queries, want_items)) = (sample.run(), sample.plain());
            prop_assert!((loss - want).abs() <= 1e-4 * (1.0 + want), "{loss} is not {want}");
            prop_assert!(close(&by_queries, &want_queries, 1e-3) && close(&by_items, &want_items, 1e-3));
        }

        #[test]
        fn extreme_logits_stay_finite(sequences in 1usize..8, spread in 1e3f32..1e17, seed in any::<u64>()) {
            let (loss, by_queries, by_items) = Sample::draw(sequences, 9, 3, spread, seed).run();
            prop_assert!(loss.is_finite() && loss >= 0.0);
            prop_assert!(by_queries.iter().chain(&by_items).all(|g| g.is_finite()));
        }
    }

    #[test]
    fn a_broken_input_shows_in_the_loss() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut sample = Sample::draw(5, 7, 4, 1.0, 3);
            sample.queries[6] = bad;
            assert!(!sample.run().0.is_finite());
        }
    }

    #[test]
    fn a_thread_count_gives_the_same_bits_every_time_and_others_agree() {
        let sample = Sample::draw(60, 30, 16, 1.0, 2);
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| sample.run())
        };
        let (one, three) = (run(1), run(3));
        assert_eq!(one, run(1));
        assert_eq!(three, run(3));
        assert!((one.0 - three.0).abs() < 1e-9);
        assert!(close(&three.2, &one.2.iter().map(|&x| f64::from(x)).collect::<Vec<_>>(), 1e-5));
    }
}
