//! The element-wise inner loops of the sequence encoders, in the way of [`super::super::simd`]:
//! written once over 16 lanes, compiled for every instruction set, the same bits from each.

use super::config::Activation;
use crate::model::simd::{Simd, exp_of_negative, for_every_set};

const LANES: usize = 16;

/// Σ f(a, b) over two slices of one length: lane by lane, then across the lanes.
#[inline(always)]
fn sum_over(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail = a.remainder().iter().zip(b.remainder());
    for (sum, (a, b)) in lanes.iter_mut().zip(tail) {
        *sum += f(*a, *b);
    }
    for (a, b) in a.zip(b) {
        for l in 0..LANES {
            lanes[l] += f(a[l], b[l]);
        }
    }
    lanes.iter().sum()
}

for_every_set! {
    /// `out += Σ rows of x`; rows are as long as `out`.
    fn add_rows(out: &mut [f32], x: &[f32]) = add_rows_body
}

#[inline(always)]
fn add_rows_body(out: &mut [f32], x: &[f32]) {
    for row in x.chunks_exact(out.len()) {
        for (o, x) in out.iter_mut().zip(row) {
            *o += x;
        }
    }
}

/// Added to the variance of a LayerNorm.
pub(super) const NORM_EPSILON: f32 = 1e-5;

for_every_set! {
    /// Rows scaled to mean 0 and variance 1: `x̂ = (x − mean)·r` with `r = 1 / √(variance + ε)`,
    /// one `r` a row.
    fn normalize_rows(x: &[f32], normed: &mut [f32], scales: &mut [f32]) = normalize_rows_body
}

#[inline(always)]
fn normalize_rows_body(x: &[f32], normed: &mut [f32], scales: &mut [f32]) {
    let width = x.len() / scales.len();
    let share = 1.0 / width as f32;
    for ((x, y), scale) in x.chunks_exact(width).zip(normed.chunks_exact_mut(width)).zip(scales) {
        let mean = sum_over(x, x, |x, _| x) * share;
        let variance = sum_over(x, x, |x, _| (x - mean) * (x - mean)) * share;
        *scale = 1.0 / (variance + NORM_EPSILON).sqrt();
        for (y, x) in y.iter_mut().zip(x) {
            *y = (x - mean) * *scale;
        }
    }
}

for_every_set! {
    /// `out = x̂·gamma + beta`, row by row.
    fn affine_rows(normed: &[f32], gamma: &[f32], beta: &[f32], out: &mut [f32]) = affine_rows_body
}

#[inline(always)]
fn affine_rows_body(normed: &[f32], gamma: &[f32], beta: &[f32], out: &mut [f32]) {
    let width = gamma.len();
    for (x, y) in normed.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        for (((y, x), g), b) in y.iter_mut().zip(x).zip(gamma).zip(beta) {
            *y = x * g + b;
        }
    }
}

for_every_set! {
    /// Adds to `by_input` the gradient through [`normalize_rows`] and the scaling by gamma.
    /// `by_normed` is working space.
    fn normalize_rows_backward(
        by_output: &[f32], normed: &[f32], scales: &[f32], gamma: &[f32], by_normed: &mut [f32], by_input: &mut [f32]
    ) = normalize_rows_backward_body
}

/// With `g = by_output·gamma`: `by_input += r·(g − mean(g) − x̂·mean(g·x̂))`.
#[inline(always)]
fn normalize_rows_backward_body(
    by_output: &[f32],
    normed: &[f32],
    scales: &[f32],
    gamma: &[f32],
    by_normed: &mut [f32],
    by_input: &mut [f32],
) {
    let width = gamma.len();
    let share = 1.0 / width as f32;
    let g = &mut by_normed[..width];
    let rows = by_output.chunks_exact(width).zip(normed.chunks_exact(width)).zip(scales);
    for (((by_output, normed), scale), by_input) in rows.zip(by_input.chunks_exact_mut(width)) {
        for ((g, y), gamma) in g.iter_mut().zip(by_output).zip(gamma) {
            *g = y * gamma;
        }
        let mean = sum_over(g, g, |g, _| g) * share;
        let along = sum_over(g, normed, |g, x| g * x) * share;
        for ((out, g), x) in by_input.iter_mut().zip(g.iter()).zip(normed) {
            *out += scale * (g - mean - x * along);
        }
    }
}

for_every_set! {
    /// The gradients by gamma and beta: `by_gamma += Σ by_output·x̂`, `by_beta += Σ by_output`,
    /// over rows.
    fn affine_rows_backward(by_output: &[f32], normed: &[f32], by_gamma: &mut [f32], by_beta: &mut [f32])
        = affine_rows_backward_body
}

#[inline(always)]
fn affine_rows_backward_body(
    by_output: &[f32],
    normed: &[f32],
    by_gamma: &mut [f32],
    by_beta: &mut [f32],
) {
    let width = by_gamma.len();
    for (g, x) in by_output.chunks_exact(width).zip(normed.chunks_exact(width)) {
        for (((by_gamma, by_beta), g), x) in
            by_gamma.iter_mut().zip(by_beta.iter_mut()).zip(g).zip(x)
        {
            *by_gamma += g * x;
            *by_beta += g;
        }
    }
}

for_every_set! {
    /// `pre ← pre + bias`, `out ← activation(pre)`, row by row. Where the activation joins two
    /// halves of a row ([`Activation::Swiglu`]), rows of `out` are half as wide as those of `pre`.
    fn activate(activation: Activation, pre: &mut [f32], bias: &[f32], out: &mut [f32]) = activate_body
}

#[inline(always)]
fn activate_body(activation: Activation, pre: &mut [f32], bias: &[f32], out: &mut [f32]) {
    match activation {
        Activation::Relu => activate_with(pre, bias, out, |x| relu(x).0),
        Activation::Gelu => activate_with(pre, bias, out, |x| gelu(x).0),
        Activation::Elu => activate_with(pre, bias, out, |x| elu(x).0),
        Activation::Swiglu => swiglu(pre, bias, out),
    }
}

/// Rows of `pre` are twice as wide as those of `out`.
#[inline(always)]
fn swiglu(pre: &mut [f32], bias: &[f32], out: &mut [f32]) {
    let width = bias.len() / 2;
    for (pre, out) in pre.chunks_exact_mut(2 * width).zip(out.chunks_exact_mut(width)) {
        pre.iter_mut().zip(bias).for_each(|(pre, bias)| *pre += bias);
        let (a, b) = pre.split_at(width);
        for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
            *out = a * sigmoid(*a) * b;
        }
    }
}

#[inline(always)]
fn activate_with(pre: &mut [f32], bias: &[f32], out: &mut [f32], f: impl Fn(f32) -> f32) {
    for (pre, out) in pre.chunks_exact_mut(bias.len()).zip(out.chunks_exact_mut(bias.len())) {
        for ((pre, out), bias) in pre.iter_mut().zip(out).zip(bias) {
            *pre += bias;
            *out = f(*pre);
        }
    }
}

for_every_set! {
    /// `out ← activation(pre)` and `gradient ← gradient·activation′(pre)`, of activations of one
    /// number.
    fn activate_backward(activation: Activation, pre: &[f32], out: &mut [f32], gradient: &mut [f32])
        = activate_backward_body
}

#[inline(always)]
fn activate_backward_body(
    activation: Activation,
    pre: &[f32],
    out: &mut [f32],
    gradient: &mut [f32],
) {
    match activation {
        Activation::Relu => activate_backward_with(pre, out, gradient, relu),
        Activation::Gelu => activate_backward_with(pre, out, gradient, gelu),
        Activation::Elu => activate_backward_with(pre, out, gradient, elu),
        Activation::Swiglu => unreachable!("its two halves are `swiglu_backward`'s"),
    }
}

for_every_set! {
    /// [`activate_backward`] of [`Activation::Swiglu`]: `out` and `gradient`, which stays as it
    /// is, have rows of `width`, `pre` and `by_pre` of twice that.
    fn swiglu_backward(width: usize, pre: &[f32], out: &mut [f32], gradient: &[f32], by_pre: &mut [f32])
        = swiglu_backward_body
}

#[inline(always)]
fn swiglu_backward_body(
    width: usize,
    pre: &[f32],
    out: &mut [f32],
    gradient: &[f32],
    by_pre: &mut [f32],
) {
    let rows = pre.chunks_exact(2 * width).zip(by_pre.chunks_exact_mut(2 * width));
    for ((pre, by_pre), (out, g)) in
        rows.zip(out.chunks_exact_mut(width).zip(gradient.chunks_exact(width)))
    {
        let ((a, b), (by_a, by_b)) = (pre.split_at(width), by_pre.split_at_mut(width));
        for k in 0..width {
            let share = sigmoid(a[k]);
            let silu = a[k] * share;
            out[k] = silu * b[k];
            by_b[k] = g[k] * silu;
            by_a[k] = g[k] * b[k] * (share + silu * (1.0 - share));
        }
    }
}

for_every_set! {
    /// `gate ← σ(gate + bias)` and `x += gate·y`, row by row.
    fn add_gated(x: &mut [f32], y: &[f32], gate: &mut [f32], bias: &[f32]) = add_gated_body
}

#[inline(always)]
fn add_gated_body(x: &mut [f32], y: &[f32], gate: &mut [f32], bias: &[f32]) {
    let width = bias.len();
    let rows =
        x.chunks_exact_mut(width).zip(y.chunks_exact(width)).zip(gate.chunks_exact_mut(width));
    for ((x, y), gate) in rows {
        for (((x, y), gate), bias) in x.iter_mut().zip(y).zip(gate).zip(bias) {
            *gate = sigmoid(*gate + bias);
            *x += *gate * y;
        }
    }
}

for_every_set! {
    /// The gradients through [`add_gated`] by `y` and by the gate before the sigmoid, given that
    /// by `x`.
    fn add_gated_backward(by_x: &[f32], y: &[f32], gate: &[f32], by_y: &mut [f32], by_gate: &mut [f32])
        = add_gated_backward_body
}

#[inline(always)]
fn add_gated_backward_body(
    by_x: &[f32],
    y: &[f32],
    gate: &[f32],
    by_y: &mut [f32],
    by_gate: &mut [f32],
) {
    let n = by_x.len();
    let (y, gate, by_y, by_gate) = (&y[..n], &gate[..n], &mut by_y[..n], &mut by_gate[..n]);
    for i in 0..n {
        by_y[i] = by_x[i] * gate[i];
        by_gate[i] = by_x[i] * y[i] * gate[i] * (1.0 - gate[i]);
    }
}

#[inline(always)]
fn activate_backward_with(
    pre: &[f32],
    out: &mut [f32],
    gradient: &mut [f32],
    f: impl Fn(f32) -> (f32, f32),
) {
    for ((pre, out), gradient) in pre.iter().zip(out).zip(gradient) {
        let (value, slope) = f(*pre);
        *out = value;
        *gradient *= slope;
    }
}

/// An activation and its derivative.
#[inline(always)]
fn relu(x: f32) -> (f32, f32) {
    // Not `max`: NaN must stay to be seen.
    if x < 0.0 { (0.0, 0.0) } else { (x, if x > 0.0 { 1.0 } else { 0.0 }) }
}

#[inline(always)]
fn elu(x: f32) -> (f32, f32) {
    let e = exp_of_negative(if x > 0.0 { 0.0 } else { x });
    if x > 0.0 { (x, 1.0) } else { (e - 1.0, e) }
}

/// `x·Φ(x)` by Abramowitz & Stegun 7.1.26 (error below 1.5e-7): `1 − Φ(|x|) =
/// ½·poly(t)·exp(−x²/2)`, `t = 1 / (1 + p·|x|/√2)`.
#[inline(always)]
fn gelu(x: f32) -> (f32, f32) {
    const P: f32 = 0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2;
    const DENSITY_AT_ZERO: f32 = 0.398_942_3;
    let e = exp_of_negative(-0.5 * x * x);
    let t = 1.0 / (1.0 + P * x.abs());
    let poly = 1.061_405_4;
    let poly = poly * t - 1.453_152;
    let poly = poly * t + 1.421_413_7;
    let poly = poly * t - 0.284_496_74;
    let poly = poly * t + 0.254_829_6;
    let tail = 0.5 * poly * t * e;
    let phi = if x < 0.0 { tail } else { 1.0 - tail };
    (x * phi, phi + x * DENSITY_AT_ZERO * e)
}

/// The random pattern of one dropout: element `i` of a matrix is dropped or kept by a hash of `i`
/// and the key, so that the backward pass can draw the same pattern again and pieces of the matrix
/// do not depend on how it is cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dropout {
    key: u32,
    /// Elements whose hash is below are dropped.
    threshold: u32,
    /// What is kept is multiplied by this, 1 / (1 − share).
    scale: f32,
}

impl Dropout {
    /// Drops `share` of the elements; `site` tells the dropouts of one step apart. `None` where
    /// nothing is dropped.
    pub(super) fn new(share: f32, seed: u64, site: usize) -> Option<Self> {
        // SplitMix64: steps count their seeds up.
        let mut key = seed.wrapping_add((site as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        key = (key ^ (key >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        key = (key ^ (key >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let threshold = (f64::from(share) * 2f64.powi(32)) as u32;
        (share > 0.0).then_some(Self {
            key: (key >> 32) as u32,
            threshold,
            scale: 1.0 / (1.0 - share),
        })
    }

    /// Applies the pattern to elements `first..` of the matrix.
    pub(super) fn apply(self, simd: Simd, first: usize, x: &mut [f32]) {
        drop_elements(simd, self, first as u32, x);
    }
}

for_every_set! {
    fn drop_elements(dropout: Dropout, first: u32, x: &mut [f32]) = drop_elements_body
}

#[inline(always)]
fn drop_elements_body(dropout: Dropout, first: u32, x: &mut [f32]) {
    let Dropout { key, threshold, scale } = dropout;
    for (i, x) in x.iter_mut().enumerate() {
        let mut hash = first.wrapping_add(i as u32).wrapping_mul(0x9e37_79b1) ^ key;
        hash = (hash ^ (hash >> 16)).wrapping_mul(0x7feb_352d);
        hash = (hash ^ (hash >> 15)).wrapping_mul(0x846c_a68b);
        hash ^= hash >> 16;
        *x = if hash < threshold { 0.0 } else { *x * scale };
    }
}

for_every_set! {
    /// Softmax of `scale` (> 0) times a square matrix of scores with rows `stride` apart: row `i`
    /// over the columns it sees, `0..=i` when `causal` and all otherwise; the others become 0.
    fn attention_softmax(scores: &mut [f32], stride: usize, scale: f32, causal: bool)
        = attention_softmax_body
}

#[inline(always)]
fn attention_softmax_body(scores: &mut [f32], stride: usize, scale: f32, causal: bool) {
    let len = scores.len() / stride;
    for (i, row) in scores.chunks_exact_mut(stride).enumerate() {
        let seen = if causal { i + 1 } else { len };
        let padded = seen.next_multiple_of(LANES);
        row[seen..padded].fill(f32::NEG_INFINITY);
        row[padded..].fill(0.0);
        let row = &mut row[..padded];
        let mut lanes = [f32::NEG_INFINITY; LANES];
        for chunk in row.chunks_exact(LANES) {
            for l in 0..LANES {
                lanes[l] = if chunk[l] > lanes[l] { chunk[l] } else { lanes[l] };
            }
        }
        let max = lanes.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a });
        let mut lanes = [0f32; LANES];
        for chunk in row.chunks_exact_mut(LANES) {
            for l in 0..LANES {
                chunk[l] = exp_of_negative(scale * (chunk[l] - max));
                lanes[l] += chunk[l];
            }
        }
        let share = 1.0 / lanes.iter().sum::<f32>();
        row.iter_mut().for_each(|p| *p *= share);
    }
}

for_every_set! {
    /// The gradient through [`attention_softmax`], times `factor`: `g ← factor·p·(g − Σ g·p)`, row
    /// by row; 0 in the columns that a row does not see, whatever stood there.
    fn attention_softmax_backward(
        probabilities: &[f32], gradient: &mut [f32], stride: usize, factor: f32, causal: bool
    ) = attention_softmax_backward_body
}

#[inline(always)]
fn attention_softmax_backward_body(
    probabilities: &[f32],
    gradient: &mut [f32],
    stride: usize,
    factor: f32,
    causal: bool,
) {
    let len = probabilities.len() / stride;
    for (i, (p, g)) in
        probabilities.chunks_exact(stride).zip(gradient.chunks_exact_mut(stride)).enumerate()
    {
        let seen = if causal { i + 1 } else { len };
        let padded = seen.next_multiple_of(LANES);
        g[seen..].fill(0.0);
        let (p, g) = (&p[..padded], &mut g[..padded]);
        let along = sum_over(p, g, |p, g| p * g);
        for (g, p) in g.iter_mut().zip(p) {
            *g = factor * p * (*g - along);
        }
    }
}

for_every_set! {
    /// Rotates dimension pairs `(k, k + half)` of one head's row: `cosines` and `sines` have `half`
    /// entries each. The inverse rotation takes the sines negated, by `sign = −1`.
    fn rotate(row: &mut [f32], cosines: &[f32], sines: &[f32], sign: f32) = rotate_body
}

#[inline(always)]
fn rotate_body(row: &mut [f32], cosines: &[f32], sines: &[f32], sign: f32) {
    let (low, high) = row.split_at_mut(cosines.len());
    for (((a, b), cos), sin) in low.iter_mut().zip(high).zip(cosines).zip(sines) {
        let (x, y, sin) = (*a, *b, sign * sin);
        *a = x * cos - y * sin;
        *b = x * sin + y * cos;
    }
}

/// `1 / (1 + e⁻ˣ)`.
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    let e = exp_of_negative(-x.abs());
    let share = 1.0 / (1.0 + e);
    if x < 0.0 { e * share } else { share }
}

/// Cephes' `tanhf`: a polynomial near 0, where `1 − e` would cancel.
#[inline(always)]
fn tanh(x: f32) -> f32 {
    let e = exp_of_negative(-2.0 * x.abs());
    let far = ((1.0 - e) / (1.0 + e)).copysign(x);
    let z = x * x;
    let poly = -5.704_988_7e-3;
    let poly = poly * z + 2.063_909e-2;
    let poly = poly * z - 5.373_971_6e-2;
    let poly = poly * z + 0.133_314_42;
    let poly = poly * z - 0.333_332_8;
    let near = poly * z * x + x;
    if x.abs() < 0.625 { near } else { far }
}

for_every_set! {
    /// One time step of LSTM cells. `gates` are rows of `4·width` pre-activations, in the order
    /// input, forget, cell, output, and become activations; `previous` are the rows of cells
    /// before, empty at the first step. Writes `cells = f·previous + i·g` and `hidden =
    /// o·tanh(cells)`.
    fn lstm_cell(width: usize, gates: &mut [f32], previous: &[f32], cells: &mut [f32], hidden: &mut [f32])
        = lstm_cell_body
}

#[inline(always)]
fn lstm_cell_body(
    width: usize,
    gates: &mut [f32],
    previous: &[f32],
    cells: &mut [f32],
    hidden: &mut [f32],
) {
    let rows = gates
        .chunks_exact_mut(4 * width)
        .zip(cells.chunks_exact_mut(width))
        .zip(hidden.chunks_exact_mut(width));
    for (row, ((gates, cells), hidden)) in rows.enumerate() {
        gates[..2 * width].iter_mut().for_each(|x| *x = sigmoid(*x));
        gates[2 * width..3 * width].iter_mut().for_each(|x| *x = tanh(*x));
        gates[3 * width..].iter_mut().for_each(|x| *x = sigmoid(*x));
        let (i, f) = (&gates[..width], &gates[width..2 * width]);
        let (g, o) = (&gates[2 * width..3 * width], &gates[3 * width..]);
        if previous.is_empty() {
            for ((c, i), g) in cells.iter_mut().zip(i).zip(g) {
                *c = i * g;
            }
        } else {
            let previous = &previous[row * width..(row + 1) * width];
            for ((((c, i), g), f), p) in cells.iter_mut().zip(i).zip(g).zip(f).zip(previous) {
                *c = f * p + i * g;
            }
        }
        for ((h, o), c) in hidden.iter_mut().zip(o).zip(cells.iter()) {
            *h = o * tanh(*c);
        }
    }
}

for_every_set! {
    /// The gradients of one time step: `gates`, the activations, become the gradients by the
    /// pre-activations; `by_cells`, what the next step left, becomes what the step before gets.
    fn lstm_cell_backward(
        width: usize, gates: &mut [f32], previous: &[f32], cells: &[f32], by_hidden: &[f32], by_cells: &mut [f32]
    ) = lstm_cell_backward_body
}

#[inline(always)]
fn lstm_cell_backward_body(
    width: usize,
    gates: &mut [f32],
    previous: &[f32],
    cells: &[f32],
    by_hidden: &[f32],
    by_cells: &mut [f32],
) {
    let rows = gates
        .chunks_exact_mut(4 * width)
        .zip(cells.chunks_exact(width))
        .zip(by_hidden.chunks_exact(width));
    for (row, (((gates, cells), by_hidden), by_cells)) in
        rows.zip(by_cells.chunks_exact_mut(width)).enumerate()
    {
        let (i, rest) = gates.split_at_mut(width);
        let (f, rest) = rest.split_at_mut(width);
        let (g, o) = rest.split_at_mut(width);
        for (((o, c), h), by_cell) in
            o.iter_mut().zip(cells).zip(by_hidden).zip(by_cells.iter_mut())
        {
            let t = tanh(*c);
            *by_cell += h * *o * (1.0 - t * t);
            *o = h * t * *o * (1.0 - *o);
        }
        for ((i, g), by_cell) in i.iter_mut().zip(g).zip(by_cells.iter()) {
            let (input, cell) = (*i, *g);
            *i = by_cell * cell * input * (1.0 - input);
            *g = by_cell * input * (1.0 - cell * cell);
        }
        if previous.is_empty() {
            f.fill(0.0);
        } else {
            let previous = &previous[row * width..(row + 1) * width];
            for ((f, p), by_cell) in f.iter_mut().zip(previous).zip(by_cells.iter_mut()) {
                let forget = *f;
                *f = *by_cell * p * forget * (1.0 - forget);
                *by_cell *= forget;
            }
        }
    }
}

for_every_set! {
    /// `out += Σ (x − mean)²` over rows, column by column.
    fn add_squares(out: &mut [f32], x: &[f32], mean: &[f32]) = add_squares_body
}

#[inline(always)]
fn add_squares_body(out: &mut [f32], x: &[f32], mean: &[f32]) {
    for row in x.chunks_exact(out.len()) {
        for ((o, x), mean) in out.iter_mut().zip(row).zip(mean) {
            *o += (x - mean) * (x - mean);
        }
    }
}

for_every_set! {
    /// Columns to mean 0 and variance 1: `x ← (x − mean)·scale`, row by row.
    fn normalize_columns(x: &mut [f32], mean: &[f32], scale: &[f32]) = normalize_columns_body
}

#[inline(always)]
fn normalize_columns_body(x: &mut [f32], mean: &[f32], scale: &[f32]) {
    for row in x.chunks_exact_mut(mean.len()) {
        for ((x, mean), scale) in row.iter_mut().zip(mean).zip(scale) {
            *x = (*x - mean) * scale;
        }
    }
}

for_every_set! {
    /// The gradient through [`normalize_columns`] with the batch's own statistics and the scaling
    /// by gamma: `g ← factor·(g − by_beta − x̂·by_gamma)` with `factor = gamma·scale` and
    /// `by_beta`, `by_gamma` means over rows.
    fn normalize_columns_backward(
        gradient: &mut [f32], normed: &[f32], factor: &[f32], by_beta: &[f32], by_gamma: &[f32]
    ) = normalize_columns_backward_body
}

#[inline(always)]
fn normalize_columns_backward_body(
    gradient: &mut [f32],
    normed: &[f32],
    factor: &[f32],
    by_beta: &[f32],
    by_gamma: &[f32],
) {
    let width = factor.len();
    for (g, x) in gradient.chunks_exact_mut(width).zip(normed.chunks_exact(width)) {
        for ((((g, x), factor), beta), gamma) in
            g.iter_mut().zip(x).zip(factor).zip(by_beta).zip(by_gamma)
        {
            *g = factor * (*g - beta - x * gamma);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn activations_are_close_to_their_definitions() {
        let close =
            |got: f32, want: f64| (f64::from(got) - want).abs() <= 1e-6 * (1.0 + want.abs());
        for i in -4000..4000 {
            let x = i as f32 * 0.01;
            let wide = f64::from(x);
            assert!(close(sigmoid(x), 1.0 / (1.0 + (-wide).exp())), "sigmoid({x})");
            assert!(close(tanh(x), wide.tanh()), "tanh({x}) = {}", tanh(x));
            assert!(close(elu(x).0, if x > 0.0 { wide } else { wide.exp_m1() }), "elu({x})");
        }
        for f in
            [|x| gelu(x).0, |x| gelu(x).1, |x| sigmoid(x), |x| tanh(x), |x| elu(x).0, |x| relu(x).0]
        {
            assert!(f(f32::NAN).is_nan());
        }
        // Φ by its series, x·Φ(x) and its slope.
        for i in -500..=500 {
            let x = f64::from(i) * 0.01;
            let (mut term, mut sum) = (x, x);
            for n in 1..200 {
                term *= x * x / f64::from(2 * n + 1);
                sum += term;
            }
            let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
            let phi = 0.5 + density * sum;
            let (value, slope) = gelu(x as f32);
            assert!(
                close(value, x * phi) && close(slope, phi + x * density),
                "gelu({x}) = {value}, {slope}"
            );
        }
    }

    proptest! {
        #[test]
        fn every_instruction_set_gives_the_same_bits(
            values in prop::collection::vec(-6f32..6.0, 96), others in prop::collection::vec(-2f32..2.0, 96),
            width in 1usize..24,
        ) {
            let rows = 96 / (4 * width);
            prop_assume!(rows > 0);
            let n = rows * width;
            let run = |simd| {
                let (mut a, mut b) = (values[..n].to_vec(), others[..n].to_vec());
                let (mut c, mut scales) = (vec![0.0; n], vec![0.0; rows]);
                normalize_rows(simd, &a, &mut c, &mut scales);
                affine_rows(simd, &c, &others[..width], &values[..width], &mut b);
                let (mut gamma, mut beta) = (vec![0.0; width], vec![0.0; width]);
                affine_rows_backward(simd, &b, &c, &mut gamma, &mut beta);
                normalize_rows_backward(simd, &b, &c, &scales, &gamma, &mut vec![0.0; width], &mut a);
                for activation in [Activation::Relu, Activation::Gelu, Activation::Elu] {
                    activate(simd, activation, &mut a, &beta, &mut b);
                    activate_backward(simd, activation, &a, &mut c, &mut b);
                }
                let half = n / 2 / width * width;
                if half > 0 {
                    let both = vec![0.1; 2 * width];
                    activate(simd, Activation::Swiglu, &mut a[..2 * half], &both, &mut b[..half]);
                    let mut by_pre = vec![0.0; 2 * half];
                    swiglu_backward(simd, width, &a[..2 * half], &mut c[..half], &b[..half], &mut by_pre);
                    b[..half].copy_from_slice(&by_pre[half..]);
                }
                add_gated(simd, &mut b, &a, &mut c, &beta);
                let (mut by_y, mut by_gate) = (vec![0.0; n], vec![0.0; n]);
                add_gated_backward(simd, &b, &a, &c, &mut by_y, &mut by_gate);
                Dropout::new(0.3, 5, 1).unwrap().apply(simd, 3, &mut b);
                let mut gates = values[..4 * n].to_vec();
                let (mut cells, mut hidden) = (vec![0.0; n], vec![0.0; n]);
                lstm_cell(simd, width, &mut gates, &a, &mut cells, &mut hidden);
                lstm_cell_backward(simd, width, &mut gates, &a, &cells, &hidden, &mut b);
                let mut squares = vec![0.0; width];
                add_squares(simd, &mut squares, &a, &beta);
                add_rows(simd, &mut squares, &a);
                normalize_columns(simd, &mut a, &beta, &gamma);
                normalize_columns_backward(simd, &mut c, &a, &gamma, &beta, &squares);
                let mut scores = values[..96].to_vec();
                attention_softmax(simd, &mut scores, 16, 0.7, n % 2 == 0);
                let mut by_scores = others[..96].to_vec();
                attention_softmax_backward(simd, &scores, &mut by_scores, 16, 0.5, n % 2 == 0);
                let mut rotated = others[..32].to_vec();
                rotate(simd, &mut rotated, &values[..16], &values[16..32], -1.0);
                let all = [a, b, c, by_y, by_gate, scales, gamma, beta, gates, cells, hidden, squares, scores, by_scores, rotated];
                all.concat().into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            let portable = run(Simd::Portable);
            for simd in Simd::available() {
                prop_assert_eq!(&run(simd), &portable, "{:?}", simd);
            }
        }
    }
}
