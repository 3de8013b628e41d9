//! The inverse of a large symmetric positive definite matrix, in place, on all threads.
//!
//! Blocked Cholesky: A = L·Lᵀ, then M = L⁻¹, then A⁻¹ = Mᵀ·M. All of the work but the diagonal
//! blocks is in matrix products; together about n³ operations. Only the lower triangle is read.

use super::matrix::{View, multiply};
use rayon::prelude::*;

/// Rows and columns of a block: large enough for fast products, small enough that diagonal blocks
/// cost nothing.
const BLOCK: usize = 128;

/// The matrix has a pivot that is not above 0, so it is not positive definite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct NotPositiveDefinite;

/// Puts the inverse of `matrix` (`n × n`, row-major) in its place, both triangles.
///
/// # Errors
/// [`NotPositiveDefinite`]; `matrix` then holds nothing of use.
///
/// # Panics
/// When `matrix` has not `n · n` numbers.
pub(crate) fn invert(matrix: &mut [f32], n: usize) -> Result<(), NotPositiveDefinite> {
    assert_eq!(matrix.len(), n * n, "a square matrix");
    let inverses = factorise(matrix, n)?;
    invert_factor(matrix, n, &inverses);
    multiply_factors(matrix, n);
    mirror(matrix, n);
    Ok(())
}

/// The first row or column of each block, and how many it has.
fn blocks(n: usize) -> impl DoubleEndedIterator<Item = (usize, usize)> + Clone {
    (0..n).step_by(BLOCK).map(move |first| (first, BLOCK.min(n - first)))
}

/// L in the place of the lower triangle; the inverses of its diagonal blocks, each `size × size`.
fn factorise(matrix: &mut [f32], n: usize) -> Result<Vec<Vec<f32>>, NotPositiveDefinite> {
    let mut inverses = Vec::with_capacity(n.div_ceil(BLOCK));
    let mut panel = Vec::new();
    for (first, size) in blocks(n) {
        let after = first + size;
        let mut diagonal = copy_block(matrix, n, first..after, first..after);
        factorise_block(&mut diagonal, size)?;
        paste_block(matrix, n, first, first, &diagonal, size);
        let inverse = inverse_of_lower(&diagonal, size);

        // L below the diagonal block is A·L₁₁⁻ᵀ.
        panel.clear();
        panel.resize((n - after) * size, 0.0);
        let below = &mut matrix[after * n..];
        let rows = below.par_chunks_mut(BLOCK * n).zip(panel.par_chunks_mut(BLOCK * size));
        rows.for_each(|(rows, panel)| {
            let count = rows.len() / n;
            let left = View::strided(&rows[first..], count, size, n);
            multiply(panel, size, false, 1.0, left, View::new(&inverse, size, size).transposed());
            for (row, panel) in rows.chunks_mut(n).zip(panel.chunks(size)) {
                row[first..after].copy_from_slice(panel);
            }
        });
        inverses.push(inverse);

        // What is left of A loses L₂₁·L₂₁ᵀ, in its lower triangle.
        let panel = &panel;
        below.par_chunks_mut(BLOCK * n).enumerate().for_each(|(block, rows)| {
            let (start, count) = (block * BLOCK, rows.len() / n);
            let left = View::new(&panel[start * size..(start + count) * size], count, size);
            let right =
                View::new(&panel[..(start + count) * size], start + count, size).transposed();
            multiply(&mut rows[after..], n, true, -1.0, left, right);
        });
    }
    Ok(inverses)
}

/// L⁻¹ in the place of L, from the top down: row block i is −L_ii⁻¹ · L_i,<i · M_<i.
fn invert_factor(matrix: &mut [f32], n: usize, inverses: &[Vec<f32>]) {
    for ((first, size), inverse) in blocks(n).zip(inverses) {
        let (done, rest) = matrix.split_at_mut(first * n);
        let rows = &mut rest[..size * n];
        let factor: Vec<f32> = rows.chunks(n).flat_map(|row| &row[..first]).copied().collect();
        let parts: Vec<(usize, Vec<f32>)> = blocks(first)
            .collect::<Vec<_>>()
            .into_par_iter()
            .map(|(column, width)| {
                // M is 0 above its diagonal, so the sum begins at row `column`.
                let left = View::new(&factor, size, first).slice_columns(column..first);
                let above = View::strided(&done[column * n + column..], first - column, width, n);
                let mut product = vec![0.0; size * width];
                multiply(&mut product, width, false, 1.0, left, above);
                let mut part = vec![0.0; size * width];
                let (inverse, product) =
                    (View::new(inverse, size, size), View::new(&product, size, width));
                multiply(&mut part, width, false, -1.0, inverse, product);
                (column, part)
            })
            .collect();
        for (column, part) in parts {
            paste_block(rows, n, 0, column, &part, part.len() / size);
        }
        paste_block(rows, n, 0, first, inverse, size);
    }
}

/// Mᵀ·M in the place of M, lower triangle, from the top down: row block i needs the rows of M from
/// i on only.
fn multiply_factors(matrix: &mut [f32], n: usize) {
    for (first, size) in blocks(n) {
        let rest = &matrix[first * n..];
        let left = View::strided(&rest[first..], n - first, size, n).transposed();
        let parts: Vec<(usize, Vec<f32>)> = blocks(first + size)
            .collect::<Vec<_>>()
            .into_par_iter()
            .map(|(column, width)| {
                let mut part = vec![0.0; size * width];
                multiply(
                    &mut part,
                    width,
                    false,
                    1.0,
                    left,
                    View::strided(&rest[column..], n - first, width, n),
                );
                (column, part)
            })
            .collect();
        for (column, part) in parts {
            paste_block(matrix, n, first, column, &part, part.len() / size);
        }
    }
}

/// Copies the lower triangle into the upper one.
fn mirror(matrix: &mut [f32], n: usize) {
    for (first, size) in blocks(n) {
        for (column, width) in blocks(first + size) {
            let block = copy_block(matrix, n, first..first + size, column..column + width);
            for (row, values) in block.chunks(width).enumerate() {
                for (at, &value) in
                    values.iter().enumerate().filter(|&(at, _)| column + at < first + row)
                {
                    matrix[(column + at) * n + first + row] = value;
                }
            }
        }
    }
}

fn copy_block(
    matrix: &[f32],
    n: usize,
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
) -> Vec<f32> {
    rows.flat_map(|row| &matrix[row * n..][columns.clone()]).copied().collect()
}

fn paste_block(
    matrix: &mut [f32],
    n: usize,
    row: usize,
    column: usize,
    block: &[f32],
    width: usize,
) {
    for (at, values) in block.chunks(width).enumerate() {
        matrix[(row + at) * n + column..][..width].copy_from_slice(values);
    }
}

/// L of a small block, with zeros above the diagonal.
fn factorise_block(block: &mut [f32], n: usize) -> Result<(), NotPositiveDefinite> {
    for column in 0..n {
        for row in column..n {
            let (a, b) = (&block[row * n..][..column], &block[column * n..][..column]);
            let dot: f64 = a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
            let value = f64::from(block[row * n + column]) - dot;
            if row > column {
                block[row * n + column] = (value / f64::from(block[column * n + column])) as f32;
            } else if value > 0.0 {
                block[row * n + column] = value.sqrt() as f32;
            } else {
                // Also when it is not a number.
                return Err(NotPositiveDefinite);
            }
        }
        block[column * n + column + 1..(column + 1) * n].fill(0.0);
    }
    Ok(())
}

/// The inverse of a small lower triangular block, lower triangular as well.
fn inverse_of_lower(lower: &[f32], n: usize) -> Vec<f32> {
    let mut inverse = vec![0f32; n * n];
    for column in 0..n {
        inverse[column * n + column] = 1.0 / lower[column * n + column];
        for row in column + 1..n {
            let dot: f64 = (column..row)
                .map(|k| f64::from(lower[row * n + k]) * f64::from(inverse[k * n + column]))
                .sum();
            inverse[row * n + column] = (-dot / f64::from(lower[row * n + row])) as f32;
        }
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    /// XᵀX + λI of a random matrix.
    fn positive(n: usize, seed: u64, lambda: f32) -> Vec<f32> {
        let mut rng = StdRng::seed_from_u64(seed);
        let x: Vec<f32> =
            (0..2 * n * n).map(|_| f32::from(u8::from(rng.random_bool(0.1)))).collect();
        let mut matrix = vec![0.0; n * n];
        multiply(
            &mut matrix,
            n,
            false,
            1.0,
            View::new(&x, 2 * n, n).transposed(),
            View::new(&x, 2 * n, n),
        );
        (0..n).for_each(|at| matrix[at * n + at] += lambda);
        matrix
    }

    #[test]
    fn a_matrix_times_its_inverse_is_the_identity() {
        // Below one block, one block, and several with a part of one.
        for n in [1, 7, 128, 129, 300] {
            let matrix = positive(n, n as u64, 5.0);
            let mut inverse = matrix.clone();
            // The upper triangle is not read.
            for row in 0..n {
                inverse[row * n + row + 1..(row + 1) * n].fill(f32::NAN);
            }
            invert(&mut inverse, n).unwrap();
            let mut product = vec![0.0; n * n];
            multiply(
                &mut product,
                n,
                false,
                1.0,
                View::new(&matrix, n, n),
                View::new(&inverse, n, n),
            );
            for (at, value) in product.iter().enumerate() {
                let expected = if at / n == at % n { 1.0 } else { 0.0 };
                assert!(
                    (value - expected).abs() < 1e-3,
                    "{n}: ({}, {}) is {value}",
                    at / n,
                    at % n
                );
            }
        }
    }

    #[test]
    fn what_is_not_positive_definite_is_told() {
        let mut matrix = positive(200, 1, 5.0);
        matrix[150 * 200 + 150] = -1.0;
        assert_eq!(invert(&mut matrix, 200), Err(NotPositiveDefinite));
        assert_eq!(invert(&mut [f32::NAN], 1), Err(NotPositiveDefinite));
    }
}
