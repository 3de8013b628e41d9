//! The element-wise inner loops of training, compiled for AVX-512, AVX2 and any processor, picked
//! at run time.
//!
//! Each loop is written once over 16 lanes, without fused multiply-add, so that all three give the
//! same bits.

use std::sync::OnceLock;

const LANES: usize = 16;

/// Rows given to [`softmax_row`] are padded to a multiple of this.
pub(super) const PADDING: usize = LANES;

/// What the processor can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Simd {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Simd {
    /// The best set of this machine, asked once.
    pub(super) fn detect() -> Self {
        static BEST: OnceLock<Simd> = OnceLock::new();
        *BEST.get_or_init(|| Self::available()[0])
    }

    /// Every set of this machine, best first.
    pub(super) fn available() -> Vec<Self> {
        let mut sets = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
                sets.push(Self::Avx512);
            }
            if is_x86_feature_detected!("avx2") {
                sets.push(Self::Avx2);
            }
        }
        sets.push(Self::Portable);
        sets
    }
}

/// Compiles `$body` under the name `$name` for every instruction set and dispatches by the first
/// argument.
macro_rules! for_every_set {
    ($(#[$doc:meta])* fn $name:ident($($argument:ident: $kind:ty),*) $(-> $result:ty)? = $body:ident) => {
        $(#[$doc])*
        pub(in crate::model) fn $name(simd: Simd, $($argument: $kind),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512dq")]
            fn avx512($($argument: $kind),*) $(-> $result)? {
                $body($($argument),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2($($argument: $kind),*) $(-> $result)? {
                $body($($argument),*)
            }
            match simd {
                // SAFETY: `Simd::available` names this set only where the processor has it.
                #[cfg(target_arch = "x86_64")]
                Simd::Avx512 => unsafe { avx512($($argument),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Simd::Avx2 => unsafe { avx2($($argument),*) },
                Simd::Portable => $body($($argument),*),
            }
        }
    };
}
pub(super) use for_every_set;

/// What a softmax over one row of logits comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RowSoftmax {
    /// −log softmax of the target.
    pub loss: f64,
    /// Sum of the exponentials, the target's included; at least 1 up to rounding.
    pub sum: f32,
}

for_every_set! {
    /// Turns a row of logits into unnormalised gradients: `row[j] ← exp(row[j] + bias[j] − max)`,
    /// except `row[target] ← −Σ of the others`, so that `row / sum = softmax − one-hot` without
    /// cancellation when the target takes nearly all the mass. Entries of `−∞` are masked: they
    /// come out as 0. Row and bias are of one length, a multiple of [`PADDING`]; the target's logit
    /// must be finite.
    fn softmax_row(row: &mut [f32], bias: &[f32], target: usize) -> RowSoftmax = softmax_row_body
}

#[inline(always)]
fn softmax_row_body(row: &mut [f32], bias: &[f32], target: usize) -> RowSoftmax {
    let mut lane_max = [f32::NEG_INFINITY; LANES];
    for (chunk, bias) in row.chunks_exact_mut(LANES).zip(bias.chunks_exact(LANES)) {
        for l in 0..LANES {
            chunk[l] += bias[l];
            lane_max[l] = if chunk[l] > lane_max[l] { chunk[l] } else { lane_max[l] };
        }
    }
    let max = lane_max.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a });
    let target_logit = std::mem::replace(&mut row[target], f32::NEG_INFINITY);
    let mut lane_sum = [0f32; LANES];
    for chunk in row.chunks_exact_mut(LANES) {
        for l in 0..LANES {
            let e = exp_of_negative(chunk[l] - max);
            chunk[l] = e;
            lane_sum[l] += e;
        }
    }
    let others: f32 = lane_sum.iter().sum();
    row[target] = -others;
    let sum = others + exp_of_negative(target_logit - max);
    let loss = if target_logit == max {
        f64::from(others).ln_1p()
    } else {
        f64::from(sum).ln() + (f64::from(max) - f64::from(target_logit))
    };
    RowSoftmax { loss, sum }
}

/// `exp(x)` for `x ≤ 0`, 0 below −87; relative error under 1e-5 (2⁻²³ near 0). NaN stays NaN.
///
/// 2^(x·log₂e) split into a whole power and a fraction in ±½; polynomial of Cephes' `exp2f`.
#[inline(always)]
pub(super) fn exp_of_negative(x: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0; // 1.5·2²³: adding it rounds to a whole number and leaves it in the low bits
    let y = x * std::f32::consts::LOG2_E;
    let shifted = y + SHIFT;
    let f = y - (shifted - SHIFT);
    let p = 1.535_336_2e-4;
    let p = p * f + 1.339_887_4e-3;
    let p = p * f + 9.618_437e-3;
    let p = p * f + 5.550_332_5e-2;
    let p = p * f + 2.402_264_8e-1;
    let p = p * f + 6.931_472e-1;
    let p = p * f + 1.0;
    let power = f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23));
    if x < -87.0 { 0.0 } else { power }
}

/// The numbers of one AdamW step.
#[derive(Debug, Clone, Copy)]
pub(super) struct AdamStep {
    pub beta1: f32,
    pub beta2: f32,
    /// Learning rate divided by `1 − β₁ᵗ`.
    pub rate: f32,
    /// `1 / √(1 − β₂ᵗ)`.
    pub root_scale: f32,
    pub epsilon: f32,
    /// `1 − ` the decoupled weight decay.
    pub keep: f32,
    /// The coupled weight decay: this times the weight is added to the gradient.
    pub l2: f32,
}

for_every_set! {
    /// One step of AdamW on parameters `w` with moments `m`, `v` and gradient `g`, all of one
    /// length.
    fn adamw(w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], step: &AdamStep) = adamw_body
}

#[inline(always)]
fn adamw_body(w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], step: &AdamStep) {
    let n = g.len();
    let (w, m, v) = (&mut w[..n], &mut m[..n], &mut v[..n]);
    for i in 0..n {
        let g = g[i] + step.l2 * w[i];
        m[i] = step.beta1 * m[i] + (1.0 - step.beta1) * g;
        v[i] = step.beta2 * v[i] + (1.0 - step.beta2) * g * g;
        w[i] = step.keep * w[i] - step.rate * m[i] / (v[i].sqrt() * step.root_scale + step.epsilon);
    }
}

for_every_set! {
    /// [`adamw`] with the largest second moments so far in `x`.
    fn amsgrad(w: &mut [f32], m: &mut [f32], v: &mut [f32], x: &mut [f32], g: &[f32], step: &AdamStep) = amsgrad_body
}

#[inline(always)]
fn amsgrad_body(
    w: &mut [f32],
    m: &mut [f32],
    v: &mut [f32],
    x: &mut [f32],
    g: &[f32],
    step: &AdamStep,
) {
    let n = g.len();
    let (w, m, v, x) = (&mut w[..n], &mut m[..n], &mut v[..n], &mut x[..n]);
    for i in 0..n {
        let g = g[i] + step.l2 * w[i];
        m[i] = step.beta1 * m[i] + (1.0 - step.beta1) * g;
        v[i] = step.beta2 * v[i] + (1.0 - step.beta2) * g * g;
        x[i] = if v[i] > x[i] { v[i] } else { x[i] };
        w[i] = step.keep * w[i] - step.rate * m[i] / (x[i].sqrt() * step.root_scale + step.epsilon);
    }
}

for_every_set! {
    /// `Σ x[i] · y[i]`.
    fn dot(x: &[f32], y: &[f32]) -> f32 = dot_body
}

#[inline(always)]
fn dot_body(x: &[f32], y: &[f32]) -> f32 {
    let mut lanes = [0f32; LANES];
    let (x_chunks, y_chunks) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let rest: f32 = x_chunks.remainder().iter().zip(y_chunks.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in x_chunks.zip(y_chunks) {
        for l in 0..LANES {
            lanes[l] += x[l] * y[l];
        }
    }
    lanes.iter().sum::<f32>() + rest
}

for_every_set! {
    /// `out[i] += factor · x[i]`.
    fn add_scaled(out: &mut [f32], x: &[f32], factor: f32) = add_scaled_body
}

#[inline(always)]
fn add_scaled_body(out: &mut [f32], x: &[f32], factor: f32) {
    for (o, x) in out.iter_mut().zip(x) {
        *o += factor * x;
    }
}

for_every_set! {
    /// Adds the bias to every row and, where `relu`, cuts at zero. `x` is rows of the bias's
    /// length.
    fn bias_and_relu(x: &mut [f32], bias: &[f32], relu: bool) = bias_and_relu_body
}

#[inline(always)]
fn bias_and_relu_body(x: &mut [f32], bias: &[f32], relu: bool) {
    for row in x.chunks_exact_mut(bias.len()) {
        for (x, b) in row.iter_mut().zip(bias) {
            let y = *x + b;
            *x = if relu && y < 0.0 { 0.0 } else { y };
        }
    }
}

for_every_set! {
    /// The gradient through ReLU: zero where the layer's output was not positive.
    fn relu_backward(gradient: &mut [f32], output: &[f32]) = relu_backward_body
}

#[inline(always)]
fn relu_backward_body(gradient: &mut [f32], output: &[f32]) {
    for (g, y) in gradient.iter_mut().zip(output) {
        *g = if *y > 0.0 { *g } else { 0.0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn exponentials_are_close_and_masked_ones_are_zero() {
        for i in 0..200_000 {
            let x = -(i as f32) * 86.9 / 200_000.0;
            let (got, want) = (f64::from(exp_of_negative(x)), f64::from(x).exp());
            assert!((got - want).abs() <= 1e-5 * want, "exp({x}) = {got}, not {want}");
        }
        assert_eq!(exp_of_negative(0.0), 1.0);
        assert_eq!(exp_of_negative(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp_of_negative(-1e30), 0.0);
        assert!(exp_of_negative(f32::NAN).is_nan());
    }

    proptest! {
        #[test]
        fn every_instruction_set_gives_the_same_bits(
            values in prop::collection::vec(-50f32..50.0, 64), bias in prop::collection::vec(-5f32..5.0, 64), target in 0usize..64,
        ) {
            let run = |simd| {
                let mut row = values.clone();
                let softmax = softmax_row(simd, &mut row, &bias, target);
                let (mut w, mut m, mut v) = (values.clone(), bias.clone(), vec![0.5; 64]);
                let step =
                    AdamStep { beta1: 0.9, beta2: 0.99, rate: 0.1, root_scale: 1.5, epsilon: 1e-8, keep: 0.999, l2: 0.01 };
                adamw(simd, &mut w, &mut m, &mut v, &row, &step);
                let mut x = vec![0.75; 64];
                amsgrad(simd, &mut w, &mut m, &mut v, &mut x, &row, &step);
                let product = dot(simd, &w[..61], &m[..61]);
                add_scaled(simd, &mut w, &m, 0.3);
                bias_and_relu(simd, &mut w, &bias[..16], true);
                relu_backward(simd, &mut m, &w);
                (row, softmax.loss.to_bits(), softmax.sum.to_bits(), w, m, v, x, product)
            };
            let portable = run(Simd::Portable);
            for simd in Simd::available() {
                prop_assert_eq!(&run(simd), &portable, "{:?}", simd);
            }
        }
    }
}
