//! BatchNorm over a batch's tokens (Ioffe & Szegedy 2015, arXiv:1502.03167), with Keras' constants.

use super::{
    super::{simd::Simd, tower::piece_rows},
    kernels::{
        add_rows, add_squares, affine_rows, affine_rows_backward, normalize_columns,
        normalize_columns_backward,
    },
    parameters::{Parameters, Start},
};
use rayon::prelude::*;
use std::ops::Range;

/// Added to the variance.
pub(super) const EPSILON: f32 = 1e-3;

/// Share of the running statistics that a batch leaves as it was.
const MOMENTUM: f32 = 0.99;

#[derive(Debug, Clone)]
pub(super) struct BatchNorm {
    width: usize,
    gamma: Range<usize>,
    beta: Range<usize>,
    /// Running statistics.
    mean: Range<usize>,
    variance: Range<usize>,
}

/// What the backward pass, and the running statistics, need of a batch.
#[derive(Debug, Clone, Default)]
pub(super) struct Normed {
    rows: Vec<f32>,
    mean: Vec<f32>,
    variance: Vec<f32>,
    /// 1 / standard deviation of each column.
    scale: Vec<f32>,
}

impl BatchNorm {
    pub(super) fn new(name: &str, width: usize, parameters: &mut Parameters) -> Self {
        let gamma = parameters.add(format!("{name}.gamma"), &[width], Start::Constant(1.0));
        let beta = parameters.add(format!("{name}.beta"), &[width], Start::Constant(0.0));
        let mean = parameters.add_statistic(format!("{name}.mean"), width, 0.0);
        let variance = parameters.add_statistic(format!("{name}.variance"), width, 1.0);
        Self { width, gamma, beta, mean, variance }
    }

    /// `x ← BatchNorm(x)` by the batch's statistics where training, else by the running ones.
    pub(super) fn forward(
        &self,
        parameters: &Parameters,
        x: &mut [f32],
        training: bool,
        normed: &mut Normed,
    ) {
        let (simd, width) = (Simd::detect(), self.width);
        let rows = x.len() / width;
        let Normed { rows: kept, mean, variance, scale } = normed;
        if training {
            let share = 1.0 / rows.max(1) as f32;
            let means = columns(x, width, |sum, piece| add_rows(simd, sum, piece));
            *mean = means.iter().map(|sum| sum * share).collect();
            let squares = columns(x, width, |sum, piece| add_squares(simd, sum, piece, mean));
            *variance = squares.iter().map(|sum| sum * share).collect();
        } else {
            mean.clear();
            mean.extend_from_slice(&parameters.statistics[self.mean.clone()]);
            variance.clear();
            variance.extend_from_slice(&parameters.statistics[self.variance.clone()]);
        }
        scale.clear();
        scale.extend(variance.iter().map(|variance| 1.0 / (variance + EPSILON).sqrt()));
        kept.resize(x.len(), 0.0);
        let (gamma, beta) =
            (&parameters.values[self.gamma.clone()], &parameters.values[self.beta.clone()]);
        let piece = piece_rows(rows) * width;
        x.par_chunks_mut(piece).zip(kept.par_chunks_mut(piece)).for_each(|(x, kept)| {
            kept.copy_from_slice(x);
            normalize_columns(simd, kept, mean, scale);
            affine_rows(simd, kept, gamma, beta, x);
        });
    }

    /// Folds the batch's statistics into the running ones.
    pub(super) fn remember(&self, statistics: &mut [f32], normed: &Normed) {
        for (at, batch) in [(&self.mean, &normed.mean), (&self.variance, &normed.variance)] {
            let running = &mut statistics[at.clone()];
            running
                .iter_mut()
                .zip(batch)
                .for_each(|(r, b)| *r = MOMENTUM * *r + (1.0 - MOMENTUM) * b);
        }
    }

    /// Turns the gradient by the output into that by the input and writes those of scale and shift.
    pub(super) fn backward(
        &self,
        parameters: &mut Parameters,
        normed: &Normed,
        by_output: &mut [f32],
    ) {
        let (simd, width) = (Simd::detect(), self.width);
        let rows = by_output.len() / width;
        let piece = piece_rows(rows) * width;
        let pieces: Vec<(Vec<f32>, Vec<f32>)> = by_output
            .par_chunks(piece)
            .zip(normed.rows.par_chunks(piece))
            .map(|(g, x)| {
                let (mut by_gamma, mut by_beta) = (vec![0.0; width], vec![0.0; width]);
                affine_rows_backward(simd, g, x, &mut by_gamma, &mut by_beta);
                (by_gamma, by_beta)
            })
            .collect();
        let by_gamma = add(width, pieces.iter().map(|piece| &piece.0[..]));
        let by_beta = add(width, pieces.iter().map(|piece| &piece.1[..]));
        parameters.gradient[self.gamma.clone()].copy_from_slice(&by_gamma);
        parameters.gradient[self.beta.clone()].copy_from_slice(&by_beta);
        let share = 1.0 / rows.max(1) as f32;
        let means = |sums: Vec<f32>| sums.into_iter().map(|sum| sum * share).collect::<Vec<_>>();
        let (by_gamma, by_beta) = (means(by_gamma), means(by_beta));
        let gamma = &parameters.values[self.gamma.clone()];
        let factor: Vec<f32> =
            gamma.iter().zip(&normed.scale).map(|(gamma, scale)| gamma * scale).collect();
        by_output.par_chunks_mut(piece).zip(normed.rows.par_chunks(piece)).for_each(|(g, x)| {
            normalize_columns_backward(simd, g, x, &factor, &by_beta, &by_gamma);
        });
    }
}

/// Sums over the rows of `x` by `f`, which adds those of a piece; pieces are added in order.
pub(super) fn columns(x: &[f32], width: usize, f: impl Fn(&mut [f32], &[f32]) + Sync) -> Vec<f32> {
    let piece = piece_rows(x.len() / width) * width;
    let sum = |x: &[f32]| {
        let mut sum = vec![0.0; width];
        f(&mut sum, x);
        sum
    };
    let pieces: Vec<Vec<f32>> = x.par_chunks(piece).map(sum).collect();
    add(width, pieces.iter().map(|piece| &piece[..]))
}

fn add<'a>(width: usize, pieces: impl Iterator<Item = &'a [f32]>) -> Vec<f32> {
    pieces.fold(vec![0.0; width], |mut sum, piece| {
        sum.iter_mut().zip(piece).for_each(|(sum, x)| *sum += x);
        sum
    })
}
