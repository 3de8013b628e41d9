//! Embedding tables and their row-wise ("lazy") AdamW: a step reads and writes only the rows the
//! batch touched.

use super::{
    adamw::AdamW,
    simd::{Simd, adamw, add_scaled, amsgrad},
    tower::piece_rows,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Gradients of at least so many numbers are worth several threads.
const PARALLEL_NUMBERS: usize = 1 << 16;

/// A trained table with its optimiser state. The last row is the *unknown* row.
///
/// Every row counts its own steps, so bias correction and moments are those of plain Adam on the
/// series of batches that touched the row: a row first met late in training starts as gently as one
/// met at the beginning. (With one global count its first step would be √(1−β₂)⁻¹·(1−β₁) ≈ 3 times
/// the learning rate.) Weight decay acts on touched rows only.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    pub dim: usize,
    /// `rows × dim`.
    pub weights: Vec<f32>,
    /// Per row the first, then the second moments: `rows × 2·dim`.
    pub moments: Vec<f32>,
    /// The largest second moments so far, `rows × dim`; empty without AMSGrad.
    pub largest: Vec<f32>,
    /// Steps a row has taken.
    pub steps: Vec<u32>,
}

impl Table {
    /// Weights uniform in ±0.05; the unknown row is zero.
    pub fn new(rows: usize, dim: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut weights: Vec<f32> =
            (0..rows * dim).map(|_| rng.random_range(-0.05f32..0.05)).collect();
        weights[(rows.max(1) - 1) * dim..].fill(0.0);
        Self {
            dim,
            weights,
            moments: vec![0.0; 2 * rows * dim],
            largest: Vec::new(),
            steps: vec![0; rows],
        }
    }

    /// Keeps the largest second moments from now on.
    pub fn start_amsgrad(&mut self) {
        self.largest = vec![0.0; self.weights.len()];
    }

    pub fn rows(&self) -> usize {
        self.steps.len()
    }

    pub fn row(&self, row: usize) -> &[f32] {
        &self.weights[row * self.dim..(row + 1) * self.dim]
    }

    /// The weights a row stands for outside training: those of the unknown row where no step has
    /// touched its own, which still hold what was drawn at the start and say nothing.
    pub fn trained_row(&self, row: usize) -> &[f32] {
        self.row(if self.steps[row] == 0 { self.rows() - 1 } else { row })
    }

    /// Gives a row weights that were learnt elsewhere. Its next step is its second: it has been
    /// trained.
    ///
    /// # Panics
    /// When there is no such row, or it is not as wide.
    pub fn set_row(&mut self, row: usize, weights: &[f32]) {
        self.weights[row * self.dim..(row + 1) * self.dim].copy_from_slice(weights);
        self.steps[row] = 1;
    }

    /// Every row as it stands outside training: `rows × dim`.
    pub fn trained_weights(&self) -> Vec<f32> {
        (0..self.rows()).flat_map(|row| self.trained_row(row)).copied().collect()
    }

    /// Weights, moments and steps as bytes, in a fixed order.
    pub fn arrays(&mut self) -> [&mut [u8]; 4] {
        [
            bytemuck::cast_slice_mut(&mut self.weights),
            bytemuck::cast_slice_mut(&mut self.moments),
            bytemuck::cast_slice_mut(&mut self.largest),
            bytemuck::cast_slice_mut(&mut self.steps),
        ]
    }

    /// One step for every row the batch touched; leaves `touched` empty.
    pub fn update(&mut self, touched: &mut Scatter, optimizer: &AdamW) {
        if touched.gradients.len() < PARALLEL_NUMBERS {
            self.update_in_order(touched, optimizer);
        } else {
            self.update_in_parallel(touched, optimizer);
        }
        touched.clear();
    }

    fn update_in_order(&mut self, touched: &Scatter, optimizer: &AdamW) {
        let dim = self.dim;
        let mut rows = self.rows_mut();
        for (&row, gradient) in touched.rows.iter().zip(touched.gradients.chunks_exact(dim)) {
            rows.step(row as usize, gradient, optimizer);
        }
    }

    /// Each thread takes a part of the table and looks for its touched rows.
    fn update_in_parallel(&mut self, touched: &Scatter, optimizer: &AdamW) {
        let (dim, count) = (self.dim, piece_rows(self.rows()));
        let mut parts = Vec::new();
        let mut rest = self.rows_mut();
        for slots in touched.slots.chunks(count) {
            let part;
            (part, rest) = rest.split_at(slots.len());
            parts.push((part, slots));
        }
        parts.into_par_iter().for_each(|(mut part, slots)| {
            for (row, &slot) in slots.iter().enumerate().filter(|(_, slot)| **slot != NONE) {
                let at = slot as usize * dim;
                part.step(row, &touched.gradients[at..at + dim], optimizer);
            }
        });
    }

    fn rows_mut(&mut self) -> RowsMut<'_> {
        let Self { dim, weights, moments, largest, steps } = self;
        RowsMut { dim: *dim, weights, moments, largest, steps }
    }
}

/// Some rows of a table that follow each other, with their optimiser state.
struct RowsMut<'a> {
    dim: usize,
    weights: &'a mut [f32],
    moments: &'a mut [f32],
    /// Empty without AMSGrad.
    largest: &'a mut [f32],
    steps: &'a mut [u32],
}

impl<'a> RowsMut<'a> {
    /// The first `rows` and the others.
    fn split_at(self, rows: usize) -> (RowsMut<'a>, RowsMut<'a>) {
        let dim = self.dim;
        let (weights, more_weights) = self.weights.split_at_mut(rows * dim);
        let (moments, more_moments) = self.moments.split_at_mut(2 * rows * dim);
        let (largest, more_largest) =
            self.largest.split_at_mut((rows * dim).min(self.largest.len()));
        let (steps, more_steps) = self.steps.split_at_mut(rows);
        let rest = RowsMut {
            dim,
            weights: more_weights,
            moments: more_moments,
            largest: more_largest,
            steps: more_steps,
        };
        (RowsMut { dim, weights, moments, largest, steps }, rest)
    }

    fn step(&mut self, row: usize, gradient: &[f32], optimizer: &AdamW) {
        let (simd, dim) = (Simd::detect(), self.dim);
        self.steps[row] = self.steps[row].saturating_add(1);
        let (first, second) = self.moments[2 * row * dim..2 * (row + 1) * dim].split_at_mut(dim);
        let weights = &mut self.weights[row * dim..(row + 1) * dim];
        let step = optimizer.step(self.steps[row]);
        match self.largest.get_mut(row * dim..(row + 1) * dim) {
            Some(largest) => amsgrad(simd, weights, first, second, largest, gradient, &step),
            None => adamw(simd, weights, first, second, gradient, &step),
        }
    }
}

/// Gradients of a batch, summed by table row.
#[derive(Debug, Clone)]
pub struct Scatter {
    dim: usize,
    /// Position in `rows` of every table row, or [`NONE`].
    slots: Vec<u32>,
    rows: Vec<u32>,
    gradients: Vec<f32>,
}

const NONE: u32 = u32::MAX;

impl Scatter {
    pub fn new(rows: usize, dim: usize) -> Self {
        Self { dim, slots: vec![NONE; rows], rows: Vec::new(), gradients: Vec::new() }
    }

    /// Adds `weight · gradient` to a row.
    ///
    /// # Panics
    /// When the row is not in the table or the gradient not of its width.
    pub fn add(&mut self, row: usize, weight: f32, gradient: &[f32]) {
        assert_eq!(gradient.len(), self.dim);
        let slot = self.slots[row];
        if slot == NONE {
            self.slots[row] = self.rows.len() as u32;
            self.rows.push(row as u32);
            self.gradients.extend(gradient.iter().map(|g| weight * g));
        } else {
            let at = slot as usize * self.dim;
            add_scaled(Simd::detect(), &mut self.gradients[at..at + self.dim], gradient, weight);
        }
    }

    /// Adds another's gradients, in the order of its rows, and leaves it empty.
    pub(super) fn absorb(&mut self, other: &mut Self) {
        for (&row, gradient) in other.rows.iter().zip(other.gradients.chunks_exact(other.dim)) {
            self.add(row as usize, 1.0, gradient);
        }
        other.clear();
    }

    /// Rows and their summed gradients, in the order of first touch.
    #[cfg(test)]
    pub(super) fn sums(&self) -> Vec<(u32, Vec<f32>)> {
        self.rows
            .iter()
            .zip(self.gradients.chunks_exact(self.dim))
            .map(|(&row, g)| (row, g.to_vec()))
            .collect()
    }

    /// Sum of the squares of all gradients.
    pub(super) fn squares(&self) -> f64 {
        self.gradients.iter().map(|&g| f64::from(g) * f64::from(g)).sum()
    }

    /// Multiplies all gradients.
    pub(super) fn scale(&mut self, factor: f32) {
        self.gradients.iter_mut().for_each(|g| *g *= factor);
    }

    /// Forgets what was added.
    pub(super) fn clear(&mut self) {
        for &row in &self.rows {
            self.slots[row as usize] = NONE;
        }
        self.rows.clear();
        self.gradients.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Moments;

    #[test]
    fn many_rows_step_as_few_do() {
        let optimizer = AdamW { learning_rate: 0.05, weight_decay: 0.01, ..AdamW::default() };
        for amsgrad in [false, true] {
            let (rows, dim) = (3_000, 32);
            let mut table = Table::new(rows, dim, 1);
            if amsgrad {
                table.start_amsgrad();
            }
            let mut plain = table.clone();
            for step in 1..=3 {
                let mut touched = Scatter::new(rows, dim);
                // Every row but some, from the last to the first.
                for row in (0..rows).rev().filter(|row| !row.is_multiple_of(5 + step)) {
                    let gradient: Vec<f32> =
                        (0..dim).map(|k| ((row * dim + k * step) as f32).sin()).collect();
                    touched.add(row, 1.0, &gradient);
                }
                assert!(touched.gradients.len() >= PARALLEL_NUMBERS);
                plain.update_in_order(&touched, &optimizer);
                let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
                pool.install(|| table.update(&mut touched, &optimizer));
                assert!(touched.rows.is_empty() && touched.slots.iter().all(|&slot| slot == NONE));
            }
            assert!(table == plain);
        }
    }

    #[test]
    fn touched_rows_step_like_plain_adam_and_others_stay() {
        for (weight_decay, l2, amsgrad) in [(0.01, 0.0, false), (0.0, 0.01, true)] {
            let optimizer = AdamW { learning_rate: 0.05, weight_decay, l2, ..AdamW::default() };
            let mut table = Table::new(6, 3, 1);
            let mut plain = Moments::zeros(3);
            if amsgrad {
                table.start_amsgrad();
                plain.start_amsgrad();
            }
            let before = table.clone();
            let mut scatter = Scatter::new(6, 3);
            let mut want = table.row(4).to_vec();
            for t in 1..=3 {
                // Row 4 twice in a batch: its gradients add up. Row 1 comes in the second batch
                // only. Powers of two, so that sums are exact.
                let size = 0.5f32.powi(t as i32);
                scatter.add(4, size, &[1.0, 2.0, 3.0]);
                if t == 2 {
                    scatter.add(1, 1.0, &[1.0, 1.0, 1.0]);
                }
                scatter.add(4, 0.5 * size, &[2.0, 2.0, -2.0]);
                table.update(&mut scatter, &optimizer);
                plain.update(&mut want, &[2.0, 3.0, 2.0].map(|g| g * size), &optimizer, t);
            }
            assert_eq!(table.row(4), want);
            assert_eq!(table.largest.get(12..15).unwrap_or_default(), plain.largest);
            assert_eq!(table.steps, [0, 1, 0, 0, 3, 0]);
            for untouched in [0, 2, 3, 5] {
                assert_eq!(table.row(untouched), before.row(untouched));
            }
            assert!(before.row(5).iter().all(|&w| w == 0.0));
        }
    }
}
