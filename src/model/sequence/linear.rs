//! A dense layer's place among the parameters, forward and backward on one thread.

use super::{
    super::simd::{Simd, bias_and_relu},
    kernels::add_rows,
    parameters::{Parameters, Start},
};
use crate::algebra::matrix::{View, multiply};
use std::ops::Range;

/// `y = x·weight + bias`.
#[derive(Debug, Clone)]
pub(super) struct Linear {
    pub inputs: usize,
    pub outputs: usize,
    weight: Range<usize>,
    bias: Range<usize>,
}

impl Linear {
    /// Named `name.weight` (`inputs × outputs`, Glorot-uniform) and `name.bias` (zero).
    pub(super) fn new(
        name: &str,
        inputs: usize,
        outputs: usize,
        parameters: &mut Parameters,
    ) -> Self {
        let start = Start::Glorot(inputs, outputs);
        let weight = parameters.add(format!("{name}.weight"), &[inputs, outputs], start);
        let bias = parameters.add(format!("{name}.bias"), &[outputs], Start::Constant(0.0));
        Self { inputs, outputs, weight, bias }
    }

    /// `out ← x·weight`, the bias left to what comes next.
    pub(super) fn product(&self, values: &[f32], x: &[f32], out: &mut [f32]) {
        let x = View::new(x, x.len() / self.inputs, self.inputs);
        multiply(out, self.outputs, false, 1.0, x, self.weight(values));
    }

    pub(super) fn forward(&self, simd: Simd, values: &[f32], x: &[f32], out: &mut [f32]) {
        self.product(values, x, out);
        bias_and_relu(simd, out, self.bias(values), false);
    }

    /// Adds the gradients of weight and bias to `gradient`.
    pub(super) fn by_weights(
        &self,
        simd: Simd,
        x: &[f32],
        by_output: &[f32],
        gradient: &mut [f32],
    ) {
        let rows = x.len() / self.inputs;
        let x = View::new(x, rows, self.inputs).transposed();
        let g = View::new(by_output, rows, self.outputs);
        multiply(&mut gradient[self.weight.clone()], self.outputs, true, 1.0, x, g);
        add_rows(simd, &mut gradient[self.bias.clone()], by_output);
    }

    /// `by_input ← by_output·weightᵀ`.
    pub(super) fn by_input(&self, values: &[f32], by_output: &[f32], by_input: &mut [f32]) {
        let rows = by_output.len() / self.outputs;
        let g = View::new(by_output, rows, self.outputs);
        multiply(by_input, self.inputs, false, 1.0, g, self.weight(values).transposed());
    }

    /// `by_input ← by_input + by_output·weightᵀ`.
    pub(super) fn add_by_input(&self, values: &[f32], by_output: &[f32], by_input: &mut [f32]) {
        let rows = by_output.len() / self.outputs;
        let g = View::new(by_output, rows, self.outputs);
        multiply(by_input, self.inputs, true, 1.0, g, self.weight(values).transposed());
    }

    pub(super) fn bias<'a>(&self, values: &'a [f32]) -> &'a [f32] {
        &values[self.bias.clone()]
    }

    fn weight<'a>(&self, values: &'a [f32]) -> View<'a> {
        View::new(&values[self.weight.clone()], self.inputs, self.outputs)
    }
}
