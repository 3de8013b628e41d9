//! Matrix products too small for a general routine: one head's scores over one short history.

use crate::model::simd::{Simd, for_every_set};

const LANES: usize = 16;

/// Rows of `out` computed together: each row of `b` that is loaded serves so many.
const TILE_ROWS: usize = 4;

/// A matrix in a slice: element (i, k) is `data[i·row + k·column]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strided<'a> {
    pub data: &'a [f32],
    pub row: usize,
    pub column: usize,
}

/// Which part of a product with a triangular matrix is worked out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Part {
    /// Columns `0..=i` of row `i` of the result; what lies beyond is left undefined.
    LowerResult,
    /// Everything; `a` is 0 where `k > i`.
    LowerFactor,
    /// Everything; `a` is 0 where `k < i`.
    UpperFactor,
    /// Everything; neither matrix is triangular.
    Whole,
}

/// `a` is `rows × inner`, `b` `inner × columns`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub rows: usize,
    pub inner: usize,
    pub columns: usize,
    pub part: Part,
}

for_every_set! {
    /// `out ← a·b`, rows of `out` and `b` `out_stride` and `b_stride` apart.
    fn small_product(
        out: &mut [f32], out_stride: usize, shape: Shape, a: Strided<'_>, b: &[f32], b_stride: usize
    ) = small_product_body
}

#[inline(always)]
fn small_product_body(
    out: &mut [f32],
    out_stride: usize,
    shape: Shape,
    a: Strided<'_>,
    b: &[f32],
    b_stride: usize,
) {
    let Shape { rows, inner, columns, part } = shape;
    for first in (0..rows).step_by(TILE_ROWS) {
        let end = rows.min(first + TILE_ROWS);
        let (sum, width) = match part {
            Part::LowerResult => (0..inner, columns.min(end.next_multiple_of(LANES))),
            Part::LowerFactor => (0..inner.min(end), columns),
            Part::UpperFactor => (first..inner, columns),
            Part::Whole => (0..inner, columns),
        };
        let whole = width / LANES * LANES;
        let a = Strided { data: &a.data[first * a.row + sum.start * a.column..], ..a };
        let b = &b[sum.start * b_stride..];
        let out = &mut out[first * out_stride..];
        let mut column = 0;
        while column < whole {
            let two = column + 2 * LANES <= whole;
            match (end - first == TILE_ROWS, two) {
                (true, true) => {
                    tile::<TILE_ROWS, 2>(out, out_stride, a, b, b_stride, sum.len(), column)
                }
                (true, false) => {
                    tile::<TILE_ROWS, 1>(out, out_stride, a, b, b_stride, sum.len(), column)
                }
                (false, two) => {
                    for row in 0..end - first {
                        let a = Strided { data: &a.data[row * a.row..], ..a };
                        let out = &mut out[row * out_stride..];
                        if two {
                            tile::<1, 2>(out, out_stride, a, b, b_stride, sum.len(), column);
                        } else {
                            tile::<1, 1>(out, out_stride, a, b, b_stride, sum.len(), column);
                        }
                    }
                }
            }
            column += if two { 2 * LANES } else { LANES };
        }
        for row in 0..end - first {
            for column in whole..width {
                let terms = (0..sum.len())
                    .map(|k| a.data[row * a.row + k * a.column] * b[k * b_stride + column]);
                out[row * out_stride + column] = terms.fold(0.0, |sum, term| sum + term);
            }
        }
    }
}

/// `ROWS × 16·VECTORS` elements of the product from `column` on, kept in registers.
#[inline(always)]
fn tile<const ROWS: usize, const VECTORS: usize>(
    out: &mut [f32],
    out_stride: usize,
    a: Strided<'_>,
    b: &[f32],
    b_stride: usize,
    inner: usize,
    column: usize,
) {
    let mut sums = [[[0f32; LANES]; VECTORS]; ROWS];
    for k in 0..inner {
        let b = &b[k * b_stride + column..][..VECTORS * LANES];
        for (row, sums) in sums.iter_mut().enumerate() {
            let factor = a.data[row * a.row + k * a.column];
            for (sums, b) in sums.iter_mut().zip(b.chunks_exact(LANES)) {
                for l in 0..LANES {
                    sums[l] += factor * b[l];
                }
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        let out = &mut out[row * out_stride + column..][..VECTORS * LANES];
        out.copy_from_slice(sums.as_flattened());
    }
}

/// `out ← xᵀ`: `x` is `rows × columns` with rows `stride` apart, `out` has rows `out_stride ≥ rows`
/// apart.
pub(super) fn transpose(
    x: &[f32],
    rows: usize,
    columns: usize,
    stride: usize,
    out: &mut [f32],
    out_stride: usize,
) {
    for row in 0..rows {
        for (column, x) in x[row * stride..][..columns].iter().enumerate() {
            out[column * out_stride + row] = *x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn products_are_those_of_the_definition(
            len in 1usize..60, dim in 1usize..70, values in prop::collection::vec(-1f32..1.0, 60 * 70 * 2),
        ) {
            let stride = len.next_multiple_of(LANES);
            let (x, y) = values.split_at(60 * 70);
            let mut turned = vec![0.0; dim * stride];
            transpose(y, len, dim, 70, &mut turned, stride);
            for simd in Simd::available() {
                let mut scores = vec![0.0; len * stride];
                let shape = Shape { rows: len, inner: dim, columns: stride, part: Part::LowerResult };
                small_product(simd, &mut scores, stride, shape, Strided { data: x, row: 70, column: 1 }, &turned, stride);
                for i in 0..len {
                    for j in 0..=i {
                        let want: f32 = (0..dim).map(|k| x[i * 70 + k] * y[j * 70 + k]).sum();
                        prop_assert!((scores[i * stride + j] - want).abs() < 1e-4);
                    }
                    scores[i * stride + i + 1..(i + 1) * stride].fill(0.0);
                }
                for part in [Part::LowerFactor, Part::UpperFactor] {
                    let (row, column) = if part == Part::LowerFactor { (stride, 1) } else { (1, stride) };
                    let a = Strided { data: &scores, row, column };
                    let mut out = vec![0.0; len * 80];
                    let shape = Shape { rows: len, inner: len, columns: dim, part };
                    small_product(simd, &mut out, 80, shape, a, y, 70);
                    for i in 0..len {
                        for n in 0..dim {
                            let want: f32 = (0..len).map(|k| scores[i * row + k * column] * y[k * 70 + n]).sum();
                            prop_assert!((out[i * 80 + n] - want).abs() < 1e-3, "{} {}", out[i * 80 + n], want);
                        }
                        prop_assert!(out[i * 80 + dim..(i + 1) * 80].iter().all(|&x| x == 0.0));
                    }
                }
            }
        }
    }
}
