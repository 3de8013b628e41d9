//! LayerNorm (Ba et al. 2016, arXiv:1607.06450): each row to mean 0 and variance 1, then a trained
//! scale and shift.

use super::{
    super::simd::Simd,
    kernels::{affine_rows, affine_rows_backward, normalize_rows, normalize_rows_backward},
    parameters::{Parameters, Start},
};
use std::ops::Range;

#[derive(Debug, Clone)]
pub(super) struct LayerNorm {
    width: usize,
    gamma: Range<usize>,
    beta: Range<usize>,
}

/// What the backward pass needs of some rows.
#[derive(Debug, Clone, Default)]
pub(super) struct Normed {
    /// x̂, before scale and shift.
    rows: Vec<f32>,
    /// 1 / standard deviation of each row.
    scales: Vec<f32>,
}

impl LayerNorm {
    pub(super) fn new(name: &str, width: usize, parameters: &mut Parameters) -> Self {
        let gamma = parameters.add(format!("{name}.gamma"), &[width], Start::Constant(1.0));
        let beta = parameters.add(format!("{name}.beta"), &[width], Start::Constant(0.0));
        Self { width, gamma, beta }
    }

    /// Room for so many rows.
    pub(super) fn reserve(&self, normed: &mut Normed, rows: usize) {
        normed.rows.resize(rows * self.width, 0.0);
        normed.scales.resize(rows, 0.0);
    }

    /// `out ← LayerNorm(x)`; keeps what backward needs at `rows` of `normed`.
    pub(super) fn forward(
        &self,
        simd: Simd,
        values: &[f32],
        x: &[f32],
        normed: &mut Normed,
        rows: &Range<usize>,
        out: &mut [f32],
    ) {
        let normed_rows = &mut normed.rows[rows.start * self.width..rows.end * self.width];
        normalize_rows(simd, x, normed_rows, &mut normed.scales[rows.clone()]);
        affine_rows(
            simd,
            normed_rows,
            &values[self.gamma.clone()],
            &values[self.beta.clone()],
            out,
        );
    }

    /// The output of `rows` again.
    pub(super) fn output(
        &self,
        simd: Simd,
        values: &[f32],
        normed: &Normed,
        rows: &Range<usize>,
        out: &mut [f32],
    ) {
        let normed = &normed.rows[rows.start * self.width..rows.end * self.width];
        affine_rows(simd, normed, &values[self.gamma.clone()], &values[self.beta.clone()], out);
    }

    /// Adds the gradients of scale and shift to `gradient`, and that by the input to `by_input`.
    pub(super) fn backward(
        &self,
        simd: Simd,
        values: &[f32],
        pass: Backward<'_>,
        gradient: &mut [f32],
    ) {
        let Backward { normed, rows, by_output, scratch, by_input } = pass;
        let normed_rows = &normed.rows[rows.start * self.width..rows.end * self.width];
        // Scale and shift lie side by side.
        let (by_gamma, by_beta) =
            gradient[self.gamma.start..self.beta.end].split_at_mut(self.width);
        affine_rows_backward(simd, by_output, normed_rows, by_gamma, by_beta);
        let scales = &normed.scales[rows.clone()];
        let gamma = &values[self.gamma.clone()];
        normalize_rows_backward(simd, by_output, normed_rows, scales, gamma, scratch, by_input);
    }
}

/// The rows that a backward pass through a LayerNorm works on.
#[derive(Debug)]
pub(super) struct Backward<'a> {
    pub normed: &'a Normed,
    pub rows: &'a Range<usize>,
    pub by_output: &'a [f32],
    /// At least one row.
    pub scratch: &'a mut [f32],
    pub by_input: &'a mut [f32],
}
