//! Causal dot-product attention of one head over one sequence.

use super::{
    super::{
        matrix::{View, multiply},
        simd::Simd,
    },
    kernels::{causal_softmax, causal_softmax_backward},
    plan::score_stride,
};

/// Queries, keys and values of one head over one sequence, as columns of one row-major matrix.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'a> {
    /// From the sequence's first row on.
    pub rows: &'a [f32],
    pub stride: usize,
    /// First columns.
    pub query: usize,
    pub key: usize,
    pub value: usize,
    /// Tokens.
    pub len: usize,
    /// Width of the head.
    pub dim: usize,
    /// Scores are multiplied by this, such as 1 / √dim.
    pub scale: f32,
}

impl Head<'_> {
    fn columns(&self, first: usize) -> View<'_> {
        View::strided(&self.rows[first..], self.len, self.dim, self.stride)
    }

    /// `out ← softmax(scale·QKᵀ)·V`, rows of `out` `out_stride` apart. The probabilities, `len × score_stride(len)`, are
    /// kept for the backward pass.
    pub(super) fn forward(&self, simd: Simd, probabilities: &mut [f32], out: &mut [f32], out_stride: usize) {
        let stride = score_stride(self.len);
        let (query, key) = (self.columns(self.query), self.columns(self.key));
        multiply(probabilities, stride, false, self.scale, query, key.transposed());
        causal_softmax(simd, probabilities, stride);
        let p = View::strided(probabilities, self.len, self.len, stride);
        multiply(out, out_stride, false, 1.0, p, self.columns(self.value));
    }

    /// Writes the gradients by queries, keys and values into columns `0..dim`, `dim..` and so on as `at` says of `out`,
    /// whose rows are `out_stride` apart. `by_scores` is working space as large as the probabilities.
    pub(super) fn backward(
        &self,
        simd: Simd,
        probabilities: &[f32],
        (by_output, by_stride): (&[f32], usize),
        by_scores: &mut [f32],
        out: &mut Gradient<'_>,
    ) {
        let (len, dim, stride) = (self.len, self.dim, score_stride(self.len));
        let by_output = View::strided(by_output, len, dim, by_stride);
        let p = View::strided(probabilities, len, len, stride);
        multiply(&mut out.rows[out.value..], out.stride, false, 1.0, p.transposed(), by_output);
        multiply(by_scores, stride, false, 1.0, by_output, self.columns(self.value).transposed());
        causal_softmax_backward(simd, probabilities, by_scores, stride, self.scale);
        let by_scores = View::strided(by_scores, len, len, stride);
        multiply(&mut out.rows[out.query..], out.stride, false, 1.0, by_scores, self.columns(self.key));
        multiply(&mut out.rows[out.key..], out.stride, false, 1.0, by_scores.transposed(), self.columns(self.query));
    }
}

/// Where the gradients of a head go: columns of one row-major matrix.
#[derive(Debug)]
pub(super) struct Gradient<'a> {
    pub rows: &'a mut [f32],
    pub stride: usize,
    pub query: usize,
    pub key: usize,
    pub value: usize,
}
