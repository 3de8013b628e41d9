//! ELSA, a scalable linear shallow autoencoder (Vančura, Alves, Kasalický & Kordík, RecSys 2022).
//!
//! A customer is a sparse row `x` over the items, and one table `A` (`items × dim`, rows of unit
//! length) reconstructs it as `y = x·A·Aᵀ − x`: every item is explained by the customer's other
//! items, because the unit rows put a 1 on the diagonal of `A·Aᵀ` and `− x` takes it away. The loss
//! of a customer is `‖x/‖x‖ − y/‖y‖‖²`, the paper's normalised squared error.
//!
//! **Kernel.** The paper's implementation computes `y` as a dense matrix, `customers × items`. This
//! one never does. With `Q = x·A` and the Gram matrix `C = Aᵀ·A` (`dim × dim`), everything the loss
//! needs is small:
//!
//! ```text
//! x·y = ‖Q‖² − ‖x‖²          ‖y‖² = Q·C·Qᵀ − 2‖Q‖² + ‖x‖²
//! ```
//!
//! and its gradient by `y` is `α·x + β·y` with two numbers a customer, so that
//!
//! ```text
//! ∂/∂A = xᵀ·(2(α − β)·Q + β·Q·C) + A·(Qᵀ·diag(β)·Q)
//! ```
//!
//! A step costs two products of `items × dim × dim` however many customers it holds, plus the
//! purchases themselves.

mod batch;
#[cfg(test)]
mod tests;

pub use batch::ElsaBatch;

use super::{
    adamw::AdamW,
    simd::{AdamStep, Simd, adamw, add_scaled, dot},
    tower::piece_rows,
};
use crate::algebra::matrix::{View, multiply};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use std::borrow::Cow;

/// Rows of the table that are multiplied at a time, so that they stay in the processor's cache.
const BLOCK: usize = 128;

/// `‖y‖²` below this share of `‖x‖²` is zero up to rounding: such a customer teaches nothing.
const SMALLEST_RECONSTRUCTION: f32 = 1e-6;

/// The item table with its optimiser state. An item that no batch has held yet is absent: its
/// vector is zero.
#[derive(Debug)]
pub struct Elsa {
    dim: usize,
    /// What the optimiser steps on, `items × dim`; the table's rows are these, scaled to unit
    /// length.
    weights: Vec<f32>,
    first: Vec<f32>,
    second: Vec<f32>,
    /// The step that each row takes next, from 1; 0 for absent items.
    next_step: Vec<u32>,
    /// Optimiser steps taken.
    pub steps: u32,
    derived: Derived,
    work: Work,
}

/// What follows from the weights.
#[derive(Debug, Default)]
struct Derived {
    /// The table, `items × dim`.
    units: Vec<f32>,
    /// `dim × dim`.
    gram: Vec<f32>,
    /// Whether the weights have changed since.
    stale: bool,
}

/// Buffers kept from step to step, `customers × dim` each but the last.
#[derive(Debug, Default)]
struct Work {
    queries: Vec<f32>,
    /// `β·Q`.
    weighted: Vec<f32>,
    /// `2(α − β)·Q + β·Q·C`.
    pulls: Vec<f32>,
    /// `Qᵀ·diag(β)·Q`, `dim × dim`.
    push: Vec<f32>,
}

/// Consecutive rows of the table, as one thread steps on them.
struct Piece<'a> {
    /// Number of the first row.
    start: usize,
    weights: &'a mut [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    units: &'a mut [f32],
    next_step: &'a mut [u32],
}

impl Elsa {
    /// A table with rows of random direction.
    pub fn new(items: usize, dim: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let scale = 1.0 / (dim as f32).sqrt();
        let weights =
            (0..items * dim).map(|_| scale * rng.sample::<f32, _>(StandardNormal)).collect();
        Self {
            dim,
            weights,
            first: vec![0.0; items * dim],
            second: vec![0.0; items * dim],
            next_step: vec![0; items],
            steps: 0,
            derived: Derived { stale: true, ..Derived::default() },
            work: Work::default(),
        }
    }

    /// Length of a vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Gives an item a vector that was learnt elsewhere; zeros are the vector of an absent item and
    /// change nothing.
    ///
    /// # Panics
    /// When there is no such item, or the vector is of another length.
    pub fn set_row(&mut self, item: usize, vector: &[f32]) {
        if vector.iter().any(|&x| x != 0.0) {
            self.weights[item * self.dim..(item + 1) * self.dim].copy_from_slice(vector);
            self.next_step[item] = self.next_step[item].max(1);
            self.derived.stale = true;
        }
    }

    /// The table: one unit vector an item, zeros for items that no batch has held. At hand after a
    /// step and after [`Self::derive`].
    pub fn table(&self) -> Cow<'_, [f32]> {
        match self.derived.stale {
            true => Cow::Owned(self.directions()),
            false => Cow::Borrowed(&self.derived.units),
        }
    }

    fn directions(&self) -> Vec<f32> {
        let mut units = vec![0.0; self.weights.len()];
        for (item, unit) in units.chunks_exact_mut(self.dim).enumerate() {
            if self.next_step[item] > 0 {
                normalise(&self.weights[item * self.dim..(item + 1) * self.dim], unit);
            }
        }
        units
    }

    /// The whole state as bytes, in a fixed order.
    pub fn arrays(&mut self) -> [&mut [u8]; 4] {
        // Whoever asks may write.
        self.derived.stale = true;
        [
            bytemuck::cast_slice_mut(&mut self.weights),
            bytemuck::cast_slice_mut(&mut self.first),
            bytemuck::cast_slice_mut(&mut self.second),
            bytemuck::cast_slice_mut(&mut self.next_step),
        ]
    }

    /// One optimiser step; the loss of the average customer before it, from 0 to 4. A loss that is
    /// not finite changes no weight.
    pub fn step(&mut self, batch: &ElsaBatch, optimizer: &AdamW) -> f64 {
        self.admit(batch);
        self.derive();
        let loss = self.forward(batch);
        if loss.is_finite() {
            self.steps = self.steps.saturating_add(1);
            self.update(batch, optimizer);
        }
        loss
    }

    /// Adds the batch's items to the table where they are absent.
    fn admit(&mut self, batch: &ElsaBatch) {
        for item in batch.distinct_items() {
            let next = &mut self.next_step[item as usize];
            if *next == 0 {
                *next = 1;
                self.derived.stale = true;
            }
        }
    }

    /// Brings table and Gram matrix up to date.
    pub fn derive(&mut self) {
        if !self.derived.stale {
            return;
        }
        self.derived.units = self.directions();
        let (dim, piece) = (self.dim, piece_rows(self.next_step.len()));
        let grams: Vec<Vec<f32>> =
            self.derived.units.par_chunks(piece * dim).map(|units| gram(units, dim)).collect();
        self.derived.gram = sum(grams, dim * dim);
        self.derived.stale = false;
    }

    /// The loss; leaves in `work` what the gradient needs.
    fn forward(&mut self, batch: &ElsaBatch) -> f64 {
        let (dim, customers) = (self.dim, batch.customers());
        let Work { queries, weighted, pulls, push } = &mut self.work;
        for buffer in [&mut *queries, &mut *weighted, &mut *pulls] {
            buffer.clear();
            buffer.resize(customers * dim, 0.0);
        }
        let (piece, derived) = (piece_rows(customers), &self.derived);
        let parts = queries.par_chunks_mut(piece * dim).zip(weighted.par_chunks_mut(piece * dim));
        let parts = parts.zip(pulls.par_chunks_mut(piece * dim)).enumerate();
        let losses: Vec<f64> = parts
            .map(|(i, ((queries, weighted), pulls))| {
                let rows = queries.len() / dim;
                batch.sum_rows(i * piece, &derived.units, dim, queries);
                multiply(
                    pulls,
                    dim,
                    false,
                    1.0,
                    View::new(queries, rows, dim),
                    View::new(&derived.gram, dim, dim),
                );
                let rows = queries
                    .chunks_exact(dim)
                    .zip(weighted.chunks_exact_mut(dim))
                    .zip(pulls.chunks_exact_mut(dim));
                let losses = rows.enumerate().map(|(row, ((query, weighted), pull))| {
                    customer(batch.square(i * piece + row), customers, query, weighted, pull)
                });
                losses.sum()
            })
            .collect();
        push.resize(dim * dim, 0.0);
        let (queries, weighted) =
            (View::new(queries, customers, dim), View::new(weighted, customers, dim));
        multiply(push, dim, false, 1.0, queries.transposed(), weighted);
        losses.iter().sum::<f64>() / customers as f64
    }

    /// Adam's step on every row that is present.
    fn update(&mut self, batch: &ElsaBatch, optimizer: &AdamW) {
        let (dim, rows) = (self.dim, piece_rows(self.next_step.len()));
        let Self { weights, first, second, next_step, derived, work, .. } = self;
        let tables = weights.par_chunks_mut(rows * dim).zip(first.par_chunks_mut(rows * dim));
        let tables = tables
            .zip(second.par_chunks_mut(rows * dim))
            .zip(derived.units.par_chunks_mut(rows * dim));
        let pieces = tables.zip(next_step.par_chunks_mut(rows)).enumerate();
        let grams: Vec<Vec<f32>> = pieces
            .map(|(i, ((((weights, first), second), units), next_step))| {
                let start = i * rows;
                Piece { start, weights, first, second, units, next_step }
                    .update(batch, work, dim, optimizer)
            })
            .collect();
        derived.gram = sum(grams, dim * dim);
    }

    /// The gradient of the batch's loss by the weights, as [`Self::update`] uses it.
    #[cfg(test)]
    fn gradient(&mut self, batch: &ElsaBatch) -> Vec<f32> {
        self.admit(batch);
        self.derive();
        self.forward(batch);
        let mut gradient = vec![0.0; self.weights.len()];
        for (block, out) in gradient.chunks_mut(BLOCK * self.dim).enumerate() {
            let first = block * BLOCK;
            let units = &self.derived.units[first * self.dim..][..out.len()];
            block_gradient(batch, &self.work, first, units, out);
            for (row, gradient) in out.chunks_exact_mut(self.dim).enumerate() {
                let at = (first + row) * self.dim;
                project(
                    gradient,
                    &self.weights[at..at + self.dim],
                    &units[row * self.dim..][..self.dim],
                );
            }
        }
        gradient
    }
}

impl Piece<'_> {
    /// Steps on every present row, block by block, and renews its unit vector; the piece's part of
    /// the Gram matrix.
    fn update(self, batch: &ElsaBatch, work: &Work, dim: usize, optimizer: &AdamW) -> Vec<f32> {
        let Self { start, weights, first, second, units, next_step } = self;
        let (simd, mut steps) = (Simd::detect(), Steps::new(optimizer));
        let mut gradients = vec![0.0; BLOCK * dim];
        let mut gram = vec![0.0; dim * dim];
        for block in (0..next_step.len()).step_by(BLOCK) {
            let rows = BLOCK.min(next_step.len() - block);
            let units = &mut units[block * dim..(block + rows) * dim];
            let gradients = &mut gradients[..rows * dim];
            block_gradient(batch, work, start + block, units, gradients);
            for (row, unit) in units.chunks_exact_mut(dim).enumerate() {
                let next = &mut next_step[block + row];
                if *next == 0 {
                    continue;
                }
                let at = (block + row) * dim..(block + row + 1) * dim;
                let gradient = &mut gradients[row * dim..(row + 1) * dim];
                project(gradient, &weights[at.clone()], unit);
                let (first, second) = (&mut first[at.clone()], &mut second[at.clone()]);
                adamw(simd, &mut weights[at.clone()], first, second, gradient, steps.of(*next));
                *next = next.saturating_add(1);
                normalise(&weights[at], unit);
            }
            let units = View::new(units, rows, dim);
            multiply(&mut gram, dim, true, 1.0, units.transposed(), units);
        }
        gram
    }
}

/// Adam's numbers of a step; nearly all rows are at the same one.
struct Steps<'a> {
    optimizer: &'a AdamW,
    last: (u32, AdamStep),
}

impl<'a> Steps<'a> {
    fn new(optimizer: &'a AdamW) -> Self {
        Self { optimizer, last: (1, optimizer.step(1)) }
    }

    fn of(&mut self, step: u32) -> &AdamStep {
        if self.last.0 != step {
            self.last = (step, self.optimizer.step(step));
        }
        &self.last.1
    }
}

/// The loss of one customer whose row has the squared length `square`. `pull` holds `Q·C` and is
/// left with the customer's part of the sparse gradient, `weighted` with that of the dense one;
/// both count as one of `customers`.
fn customer(
    square: f32,
    customers: usize,
    query: &[f32],
    weighted: &mut [f32],
    pull: &mut [f32],
) -> f64 {
    let simd = Simd::detect();
    let query_square = dot(simd, query, query);
    let product = query_square - square;
    // By Cauchy and Schwarz ‖y‖² is at least (x·y)²/‖x‖²; rounding can tell otherwise.
    let least = (product * product / square).max(SMALLEST_RECONSTRUCTION * square);
    let reconstruction = (dot(simd, query, pull) - 2.0 * query_square + square).max(least);
    let lengths = (square * reconstruction).sqrt();
    let cosine = product / lengths;
    let alpha = -2.0 / (lengths * customers as f32);
    let beta = 2.0 * cosine / (reconstruction * customers as f32);
    for ((query, weighted), pull) in query.iter().zip(weighted).zip(pull) {
        *weighted = beta * query;
        *pull = 2.0 * (alpha - beta) * query + beta * *pull;
    }
    f64::from(2.0 - 2.0 * cosine)
}

/// The gradient by the unit vectors of the rows from `first` on.
fn block_gradient(batch: &ElsaBatch, work: &Work, first: usize, units: &[f32], out: &mut [f32]) {
    let dim = (work.push.len() as f64).sqrt() as usize;
    let rows = out.len() / dim;
    multiply(out, dim, false, 1.0, View::new(units, rows, dim), View::new(&work.push, dim, dim));
    for (row, customer, value) in batch.purchases_of(first..first + rows) {
        let pull = &work.pulls[customer * dim..(customer + 1) * dim];
        add_scaled(
            Simd::detect(),
            &mut out[(row - first) * dim..(row - first + 1) * dim],
            pull,
            value,
        );
    }
}

/// From the gradient by a unit vector to that by the weights it is the direction of.
fn project(gradient: &mut [f32], weights: &[f32], unit: &[f32]) {
    let simd = Simd::detect();
    let along = dot(simd, gradient, unit);
    add_scaled(simd, gradient, unit, -along);
    let length = dot(simd, weights, weights).sqrt().max(f32::MIN_POSITIVE);
    gradient.iter_mut().for_each(|g| *g /= length);
}

fn normalise(weights: &[f32], unit: &mut [f32]) {
    let length = dot(Simd::detect(), weights, weights).sqrt().max(f32::MIN_POSITIVE);
    unit.iter_mut().zip(weights).for_each(|(unit, weight)| *unit = weight / length);
}

/// `unitsᵀ·units`.
fn gram(units: &[f32], dim: usize) -> Vec<f32> {
    let mut gram = vec![0.0; dim * dim];
    let units = View::new(units, units.len() / dim, dim);
    multiply(&mut gram, dim, false, 1.0, units.transposed(), units);
    gram
}

/// The sum of the pieces, in their order.
fn sum(pieces: Vec<Vec<f32>>, len: usize) -> Vec<f32> {
    let mut total = vec![0.0; len];
    for piece in pieces {
        total.iter_mut().zip(piece).for_each(|(total, part)| *total += part);
    }
    total
}
