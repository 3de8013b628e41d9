//! Dot-product attention of one head over one sequence, causal or over all of it.

use super::{
    super::simd::Simd,
    kernels::{attention_softmax, attention_softmax_backward},
    plan::score_stride,
    product::{Part, Shape, Strided, small_product, transpose},
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
    /// A token sees itself and those before it; otherwise every token sees all.
    pub causal: bool,
}

/// Working space, kept from head to head.
#[derive(Debug, Clone, Default)]
pub(super) struct Workspace {
    transposed: Vec<f32>,
    by_scores: Vec<f32>,
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

impl Head<'_> {
    /// `out ← softmax(scale·QKᵀ)·V`, rows of `out` `out_stride` apart. The probabilities, `len ×
    /// score_stride(len)`, are kept for the backward pass.
    pub(super) fn forward(
        &self,
        simd: Simd,
        probabilities: &mut [f32],
        out: &mut [f32],
        out_stride: usize,
        workspace: &mut Workspace,
    ) {
        let stride = score_stride(self.len);
        let query = Strided { data: &self.rows[self.query..], row: self.stride, column: 1 };
        let keys = self.transposed(self.key, &mut workspace.transposed);
        small_product(simd, probabilities, stride, self.scores(), query, keys, stride);
        attention_softmax(simd, probabilities, stride, self.scale, self.causal);
        let p = Strided { data: probabilities, row: stride, column: 1 };
        let value = &self.rows[self.value..];
        small_product(
            simd,
            out,
            out_stride,
            self.mixture(Part::LowerFactor),
            p,
            value,
            self.stride,
        );
    }

    /// Writes the gradients by queries, keys and values to where `out` says. Rows of `by_output`
    /// are `by_stride` apart.
    pub(super) fn backward(
        &self,
        simd: Simd,
        probabilities: &[f32],
        (by_output, by_stride): (&[f32], usize),
        out: &mut Gradient<'_>,
        workspace: &mut Workspace,
    ) {
        let stride = score_stride(self.len);
        let Workspace { transposed, by_scores } = workspace;
        let (lower, upper) = (self.mixture(Part::LowerFactor), self.mixture(Part::UpperFactor));
        let turned = Strided { data: probabilities, row: 1, column: stride };
        small_product(
            simd,
            &mut out.rows[out.value..],
            out.stride,
            upper,
            turned,
            by_output,
            by_stride,
        );
        by_scores.resize(self.len * stride, 0.0);
        let values = self.transposed(self.value, transposed);
        let by_rows = Strided { data: by_output, row: by_stride, column: 1 };
        small_product(simd, by_scores, stride, self.scores(), by_rows, values, stride);
        attention_softmax_backward(simd, probabilities, by_scores, stride, self.scale, self.causal);
        let (straight, turned) = (
            Strided { data: by_scores, row: stride, column: 1 },
            Strided { data: by_scores, row: 1, column: stride },
        );
        let (query, key) = (&self.rows[self.query..], &self.rows[self.key..]);
        small_product(
            simd,
            &mut out.rows[out.query..],
            out.stride,
            lower,
            straight,
            key,
            self.stride,
        );
        small_product(
            simd,
            &mut out.rows[out.key..],
            out.stride,
            upper,
            turned,
            query,
            self.stride,
        );
    }

    /// The columns from `first` on as `dim × score_stride(len)`.
    fn transposed<'a>(&self, first: usize, out: &'a mut Vec<f32>) -> &'a [f32] {
        let stride = score_stride(self.len);
        out.resize(self.dim * stride, 0.0);
        transpose(&self.rows[first..], self.len, self.dim, self.stride, out, stride);
        out
    }

    /// Rows against rows.
    fn scores(&self) -> Shape {
        Shape {
            rows: self.len,
            inner: self.dim,
            columns: score_stride(self.len),
            part: self.part(Part::LowerResult),
        }
    }

    /// Scores are a triangle only where attention is causal.
    fn part(&self, causal: Part) -> Part {
        if self.causal { causal } else { Part::Whole }
    }

    /// Scores against rows.
    fn mixture(&self, part: Part) -> Shape {
        let part = self.part(part);
        Shape { rows: self.len, inner: self.len, columns: self.dim, part }
    }
}
