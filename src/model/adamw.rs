//! Adam and AdamW (Kingma & Ba 2015, arXiv:1412.6980; Loshchilov & Hutter 2019, arXiv:1711.05101),
//! with or without AMSGrad (Reddi, Kale & Kumar 2018, arXiv:1904.09237).

use super::simd::{AdamStep, Simd, adamw, amsgrad};

/// Hyperparameters of the optimiser.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    pub learning_rate: f32,
    /// The share of a weight removed by each step that touches it: λ of the paper with η = 1, *not*
    /// multiplied by the learning rate (PyTorch's `weight_decay` × `lr`; the same as TensorFlow
    /// Addons').
    pub weight_decay: f32,
    /// Coupled decay, Adam's: so much of the weight is added to its gradient and goes through the
    /// moments (PyTorch's Adam calls this `weight_decay`).
    pub l2: f32,
    pub beta1: f32,
    pub beta2: f32,
    pub epsilon: f32,
}

impl Default for AdamW {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            weight_decay: 0.0,
            l2: 0.0,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
        }
    }
}

impl AdamW {
    /// The same for parameters that must not decay, such as biases and the scales of norms.
    pub(super) fn without_decay(&self) -> Self {
        Self { weight_decay: 0.0, l2: 0.0, ..*self }
    }

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
            l2: self.l2,
        }
    }
}

/// Moments of a dense parameter's gradient.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Moments {
    pub first: Vec<f32>,
    pub second: Vec<f32>,
    /// With AMSGrad the largest second moments so far, whose root then divides the step, so that
    /// steps never grow again; else empty.
    pub largest: Vec<f32>,
}

impl Moments {
    pub fn zeros(len: usize) -> Self {
        Self { first: vec![0.0; len], second: vec![0.0; len], largest: Vec::new() }
    }

    /// Turns AMSGrad on, before the first step.
    pub fn start_amsgrad(&mut self) {
        self.largest = vec![0.0; self.second.len()];
    }

    /// Step `t` (from 1) on the whole parameter.
    pub fn update(&mut self, weights: &mut [f32], gradient: &[f32], optimizer: &AdamW, t: u32) {
        let Self { first, second, largest } = self;
        let (simd, step) = (Simd::detect(), optimizer.step(t));
        if largest.is_empty() {
            adamw(simd, weights, first, second, gradient, &step);
        } else {
            amsgrad(simd, weights, first, second, largest, gradient, &step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps worked out in f64 from the papers' formulas, the second gradient the largest.
    #[test]
    fn steps_follow_the_papers() {
        let mut ends = Vec::new();
        for (weight_decay, l2) in [(0.01, 0.0), (0.0, 0.01)] {
            for amsgrad in [false, true] {
                let optimizer =
                    AdamW { learning_rate: 0.1, weight_decay, l2, beta2: 0.9, ..AdamW::default() };
                let (mut w, mut moments) = (vec![1.0f32], Moments::zeros(1));
                if amsgrad {
                    moments.start_amsgrad();
                }
                let (mut want, mut m, mut v, mut largest) = (1.0f64, 0.0f64, 0.0f64, 0.0f64);
                for (t, g) in [0.5f64, -2.0, 0.25, 0.125].into_iter().enumerate() {
                    moments.update(&mut w, &[g as f32], &optimizer, t as u32 + 1);
                    let g = g + f64::from(l2) * want;
                    (m, v) = (0.9 * m + 0.1 * g, 0.9 * v + 0.1 * g * g);
                    largest = if amsgrad { largest.max(v) } else { v };
                    let left = 1.0 - 0.9f64.powi(t as i32 + 1);
                    want -= f64::from(weight_decay) * want
                        + 0.1 * (m / left) / ((largest / left).sqrt() + 1e-8);
                    assert!(
                        (f64::from(w[0]) - want).abs() < 1e-5,
                        "step {t}: {} is not {want}",
                        w[0]
                    );
                }
                ends.push(w[0]);
            }
        }
        // The four differ, so none of them is another under a wrong name.
        assert!((0..4).all(|i| (0..i).all(|j| (ends[i] - ends[j]).abs() > 1e-4)), "{ends:?}");
    }
}
