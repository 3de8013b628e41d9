//! The item table in eight bits a number, for a scan that reads a quarter of the memory, with a
//! proven error bound.
//!
//! Each dimension d has its own range: x_d ≈ low_d + step_d · u_d with u_d in 0..=255. Then for a
//! query q
//!
//! ```text
//! ⟨q, x⟩ = Σ q_d·low_d + Σ (q_d·step_d)·u_d + Σ q_d·e_d          e: what rounding x left over
//! ```
//! The first sum is the same for all items. The scan weights w_d are q_d·step_d rounded to 15 bits
//! in units of `unit`, so the integer I = Σ w_d·u_d ranks the items up to an error of at most ε
//! each, ε = |q·e| + |rounding of w| + float rounding. An item whose I is more than 2ε/unit below
//! the k-th best I can therefore not be among the top k.

use super::{
    ItemVectors, RetrievalError,
    buffer::Buffer,
    exact::Rows,
    kernel::{BLOCK, Kernels, MAX_WEIGHT, Scan},
    scratch::{Scratch, norm},
};

/// How each dimension is coded, and what that loses.
pub(super) struct Quantiser {
    low: Vec<f32>,
    pub step: Vec<f32>,
    /// Largest length of an item's rounding error.
    residual: f64,
    /// Largest rounding error a dimension.
    residuals: Vec<f64>,
}

impl Quantiser {
    pub(super) fn new(items: &ItemVectors) -> Self {
        let dim = items.dim();
        let (mut low, mut high) = (vec![f32::INFINITY; dim], vec![f32::NEG_INFINITY; dim]);
        for row in items.rows() {
            for ((low, high), &x) in low.iter_mut().zip(&mut high).zip(row) {
                *low = low.min(x);
                *high = high.max(x);
            }
        }
        let step = low.iter().zip(&high).map(|(low, high)| (high - low) / 255.0).collect();
        Self { low, step, residual: 0.0, residuals: vec![0.0; dim] }
    }

    /// The codes of one row.
    pub(super) fn encode<'a>(&'a self, row: &'a [f32]) -> impl Iterator<Item = u8> + 'a {
        // A dimension without spread divides by zero; the cast makes NaN the code 0, which is right
        // for it.
        row.iter()
            .zip(&self.low)
            .zip(&self.step)
            .map(|((x, low), step)| ((x - low) / step).round() as u8)
    }

    fn measure(&mut self, row: &[f32], codes: &[u8]) {
        let mut sum = 0.0;
        for (dim, (&x, &code)) in row.iter().zip(codes).enumerate() {
            let error = (f64::from(x)
                - f64::from(self.low[dim])
                - f64::from(self.step[dim]) * f64::from(code))
            .abs();
            self.residuals[dim] = self.residuals[dim].max(error);
            sum += error * error;
        }
        self.residual = self.residual.max(sum.sqrt());
    }
}

/// The codes of all rows in blocks (see [`Scan`]).
pub(super) struct CodeBlocks {
    pub quantiser: Quantiser,
    blocks: Buffer<u8>,
    /// Upper bound of an item's length.
    max_norm: f64,
    len: usize,
}

impl CodeBlocks {
    pub(super) fn new(items: &ItemVectors, rows: Rows<'_>) -> Result<Self, RetrievalError> {
        let mut quantiser = Quantiser::new(items);
        let row_bytes = items.dim().next_multiple_of(4);
        let len = rows.len(items);
        let mut blocks =
            Buffer::zeroed("the quantised scan", len.next_multiple_of(BLOCK) * row_bytes)?;
        let mut codes = vec![0; items.dim()];
        for number in 0..len {
            let row = items.row(rows.first_item(number as u32));
            for (to, code) in codes.iter_mut().zip(quantiser.encode(row)) {
                *to = code;
            }
            quantiser.measure(row, &codes);
            let block = number / BLOCK * BLOCK * row_bytes + number % BLOCK * 4;
            for (group, codes) in codes.chunks(4).enumerate() {
                blocks[block + group * 4 * BLOCK..][..codes.len()].copy_from_slice(codes);
            }
        }
        let max_norm = f64::from(items.max_norm().next_up());
        Ok(Self { quantiser, blocks, max_norm, len })
    }

    /// Fills in the scratch's scan weights for its query. Answers the margin 2ε/unit in whole
    /// numbers, rounded up.
    pub(super) fn weigh(&self, kernels: &Kernels, scratch: &mut Scratch) -> i32 {
        let Quantiser { step, residual, residuals, .. } = &self.quantiser;
        let dim = step.len();
        let query = &scratch.query[..dim];
        // No sum of 255 × weight may leave i32.
        let range = f64::from(MAX_WEIGHT).min(f64::from(i32::MAX) / (255.0 * dim as f64)).floor();
        let product = |dim: usize| f64::from(query[dim]) * f64::from(step[dim]);
        let unit = (0..dim).map(|dim| product(dim).abs()).fold(0.0, f64::max) / range;
        scratch.weights.clear();
        let mut rounding = 0.0;
        let mut residual_by_dim = 0.0;
        for (dim, x) in query.iter().enumerate() {
            let weight = (product(dim) / unit).round().clamp(-range, range) as i16;
            rounding += (product(dim) - unit * f64::from(weight)).abs();
            residual_by_dim += f64::from(x.abs()) * residuals[dim];
            scratch.weights.push(weight);
        }
        scratch.weights.resize(dim.next_multiple_of(4), 0);
        kernels.pack(&scratch.weights, &mut scratch.packed);
        let length = norm(query);
        // |Σ rounding_d·u_d| is, but for a constant that all items share, at most 127.5·Σ|rounding_d|. The f32 score
        // itself is off by at most (additions + 1) half-units of its last place, and by underflow.
        let float = (dim + 32) as f64 * (f64::from(f32::EPSILON) * length * self.max_norm + 1e-44);
        let error = residual_by_dim.min(length * residual) + 127.5 * rounding + float;
        // The last factor covers the rounding of this very sum; the cast saturates, and NaN (unit
        // 0) means "no bound".
        let margin = (2.0 * error / unit * (1.0 + 1e-9)).ceil() + 1.0;
        if margin.is_nan() { i32::MAX } else { margin as i32 }
    }

    /// A scan of the blocks before `end` with the scratch's weights.
    pub(super) fn scan<'a>(
        &'a self,
        end: usize,
        weights: &'a [i16],
        packed: &'a [i32],
        allowed: Option<&'a [u64]>,
    ) -> Scan<'a> {
        Scan { blocks: &self.blocks, len: self.len.min(end * BLOCK), weights, packed, allowed }
    }

    pub(super) fn blocks(&self) -> usize {
        self.len.div_ceil(BLOCK)
    }
}
