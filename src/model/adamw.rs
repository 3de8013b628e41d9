//! AdamW (Kingma & Ba 2015, arXiv:1412.6980; Loshchilov & Hutter 2019, arXiv:1711.05101).

use super::simd::{AdamStep, Simd, adamw};

/// Hyperparameters of the optimiser.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    pub learning_rate: f32,
    /// The share of a weight removed by each step that touches it: λ of the paper with η = 1, *not* multiplied by the
    /// learning rate (PyTorch's `weight_decay` × `lr`; the same as TensorFlow Addons').
    pub weight_decay: f32,
    pub beta1: f32,
    pub beta2: f32,
    pub epsilon: f32,
}

impl Default for AdamW {
    fn default() -> Self {
        Self { learning_rate: 1e-3, weight_decay: 0.0, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }
}

impl AdamW {
    /// The numbers of step `t` (from 1), bias corrections folded in.
    pub(super) fn step(&self, t: u32) -> AdamStep {
        let left = |beta: f32| 1.0 - f64::from(beta).powi(t.min(i32::MAX as u32) as i32);
        AdamStep {
            beta1: self.beta1,
            beta2: self.beta2,
            rate: (f64::from(self.learning_rate) / left(self.beta1)) as f32,
            root_scale: (1.0 / left(self.beta2).sqrt()) as f32,
            epsilon: self.epsilon,
            keep: 1.0 - self.weight_decay,
        }
    }
}

/// First and second moments of a dense parameter's gradient.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Moments {
    pub first: Vec<f32>,
    pub second: Vec<f32>,
}

impl Moments {
    pub fn zeros(len: usize) -> Self {
        Self { first: vec![0.0; len], second: vec![0.0; len] }
    }

    /// Step `t` (from 1) on the whole parameter.
    pub fn update(&mut self, weights: &mut [f32], gradient: &[f32], optimizer: &AdamW, t: u32) {
        adamw(Simd::detect(), weights, &mut self.first, &mut self.second, gradient, &optimizer.step(t));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three steps worked out in f64 from the paper's formulas.
    #[test]
    fn steps_follow_the_paper() {
        let optimizer = AdamW { learning_rate: 0.1, weight_decay: 0.01, ..AdamW::default() };
        let (mut w, mut moments) = (vec![1.0f32], Moments::zeros(1));
        let (mut want, mut m, mut v) = (1.0f64, 0.0f64, 0.0f64);
        for (t, g) in [0.5f64, -2.0, 0.25].into_iter().enumerate() {
            moments.update(&mut w, &[g as f32], &optimizer, t as u32 + 1);
            (m, v) = (0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g);
            let (mh, vh) = (m / (1.0 - 0.9f64.powi(t as i32 + 1)), v / (1.0 - 0.999f64.powi(t as i32 + 1)));
            want = want - 0.01 * want - 0.1 * mh / (vh.sqrt() + 1e-8);
            assert!((f64::from(w[0]) - want).abs() < 1e-5, "step {t}: {} is not {want}", w[0]);
        }
    }
}
