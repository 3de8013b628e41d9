//! A tower's dense layers, forward and backward, on matrices of rows.
//!
//! Written out with matrix products because autodiff over two small layers costs more than the
//! layers themselves; `burn_tower` is the same network as a burn module, and the tests compare the
//! two.

use super::{
    adamw::{AdamW, Moments},
    simd::{Simd, bias_and_relu, relu_backward},
};
use crate::algebra::matrix::{View, multiply};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// A squared length below this is taken for zero, so that a zero vector has no direction instead of
/// NaN. The ONNX graph's normalisation uses the same floor on the length, its root.
const SMALLEST_SQUARE: f32 = 1e-24;

/// `y = x·weight + bias`.
#[derive(Debug, Clone, PartialEq)]
pub struct Dense {
    pub inputs: usize,
    pub outputs: usize,
    /// `inputs × outputs`, row-major.
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

/// Dense layers with ReLU between them and none after the last, optionally scaled to unit length.
#[derive(Debug, Clone, PartialEq)]
pub struct Tower {
    pub layers: Vec<Dense>,
    pub normalize: bool,
    /// The optimiser's moments of each layer's weight and bias.
    pub moments: Vec<(Moments, Moments)>,
}

/// What a forward pass leaves for the backward pass; buffers are kept from step to step.
#[derive(Debug, Default)]
pub struct TowerPass {
    /// Every layer's output, `rows × outputs`, ReLU applied (normalisation not).
    outputs: Vec<Vec<f32>>,
    /// Lengths before normalisation.
    lengths: Vec<f32>,
    embedding: Vec<f32>,
    gradient: Vec<f32>,
    next_gradient: Vec<f32>,
}

/// Gradients of a tower's layers, `(weight, bias)` each.
#[derive(Debug, Default)]
pub struct Gradients {
    pub layers: Vec<(Vec<f32>, Vec<f32>)>,
    pieces: Vec<(Vec<f32>, Vec<f32>)>,
}

impl Tower {
    /// Layers `inputs → hidden… → dim`, weights Glorot-uniform (Glorot & Bengio 2010), biases zero.
    pub fn new(inputs: usize, hidden: &[usize], dim: usize, normalize: bool, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut layers = Vec::new();
        let mut width = inputs;
        for &outputs in hidden.iter().chain([&dim]) {
            let limit = (6.0 / (width + outputs).max(1) as f32).sqrt();
            let weight = (0..width * outputs).map(|_| rng.random_range(-limit..limit)).collect();
            layers.push(Dense { inputs: width, outputs, weight, bias: vec![0.0; outputs] });
            width = outputs;
        }
        let moments = layers
            .iter()
            .map(|l| (Moments::zeros(l.weight.len()), Moments::zeros(l.outputs)))
            .collect();
        Self { layers, normalize, moments }
    }

    /// Width of an input row.
    pub fn inputs(&self) -> usize {
        self.layers[0].inputs
    }

    /// Length of an embedding.
    pub fn dim(&self) -> usize {
        self.layers[self.layers.len() - 1].outputs
    }

    /// Embeds `rows × inputs` into `pass.embedding()`.
    pub fn forward(&self, input: &[f32], pass: &mut TowerPass) {
        let simd = Simd::detect();
        let rows = input.len() / self.inputs();
        let piece = piece_rows(rows);
        pass.outputs.resize_with(self.layers.len(), Vec::new);
        for (at, layer) in self.layers.iter().enumerate() {
            let (before, after) = pass.outputs.split_at_mut(at);
            let x: &[f32] = before.last().map_or(input, |x| x);
            let relu = at + 1 < self.layers.len();
            after[0].resize(rows * layer.outputs, 0.0);
            after[0]
                .par_chunks_mut(piece * layer.outputs)
                .zip(x.par_chunks(piece * layer.inputs))
                .for_each(|(y, x)| {
                    let x = View::new(x, x.len() / layer.inputs, layer.inputs);
                    multiply(y, layer.outputs, false, 1.0, x, layer.weight());
                    bias_and_relu(simd, y, &layer.bias, relu);
                });
        }
        if self.normalize {
            self.normalized(pass);
        }
    }

    fn normalized(&self, pass: &mut TowerPass) {
        let last = &pass.outputs[self.layers.len() - 1];
        pass.embedding.clone_from(last);
        pass.lengths.clear();
        for row in pass.embedding.chunks_exact_mut(self.dim()) {
            let length = row.iter().map(|x| x * x).sum::<f32>().max(SMALLEST_SQUARE).sqrt();
            row.iter_mut().for_each(|x| *x /= length);
            pass.lengths.push(length);
        }
    }

    /// The embeddings of the last forward pass, `rows × dim`.
    pub fn embedding<'a>(&self, pass: &'a TowerPass) -> &'a [f32] {
        if self.normalize { &pass.embedding } else { pass.outputs.last().map_or(&[], |x| x) }
    }

    /// Gradients of the layers and of the input rows, given those of the embeddings, for the pass's
    /// last forward.
    pub fn backward(
        &self,
        input: &[f32],
        pass: &mut TowerPass,
        embedding_gradient: &[f32],
        gradients: &mut Gradients,
        input_gradient: &mut Vec<f32>,
    ) {
        let simd = Simd::detect();
        let rows = input.len() / self.inputs();
        let piece = piece_rows(rows);
        let TowerPass { outputs, lengths, embedding, gradient, next_gradient } = pass;
        gradient.clear();
        gradient.extend_from_slice(embedding_gradient);
        if self.normalize {
            // d(x/|x|) = (g − y·⟨y, g⟩) / |x| with y = x/|x|
            let dim = self.dim();
            let rows =
                gradient.chunks_exact_mut(dim).zip(embedding.chunks_exact(dim)).zip(lengths.iter());
            for ((g, y), length) in rows {
                let along: f32 = g.iter().zip(y).map(|(g, y)| g * y).sum();
                g.iter_mut().zip(y).for_each(|(g, y)| *g = (*g - y * along) / length);
            }
        }
        gradients.layers.resize_with(self.layers.len(), Default::default);
        for (at, layer) in self.layers.iter().enumerate().rev() {
            let Dense { inputs, outputs: width, .. } = *layer;
            if at + 1 < self.layers.len() {
                relu_backward(simd, gradient, &outputs[at]);
            }
            let x: &[f32] = if at == 0 { input } else { &outputs[at - 1] };
            let out = if at == 0 { &mut *input_gradient } else { &mut *next_gradient };
            out.resize(rows * inputs, 0.0);
            gradients.pieces.resize_with(rows.div_ceil(piece), Default::default);
            gradients
                .pieces
                .par_iter_mut()
                .zip(x.par_chunks(piece * inputs))
                .zip(gradient.par_chunks(piece * width))
                .zip(out.par_chunks_mut(piece * inputs))
                .for_each(|((((weight, bias), x), g), out)| {
                    let n = g.len() / width;
                    let g_view = View::new(g, n, width);
                    weight.resize(inputs * width, 0.0);
                    multiply(
                        weight,
                        width,
                        false,
                        1.0,
                        View::new(x, n, inputs).transposed(),
                        g_view,
                    );
                    bias.clear();
                    bias.resize(width, 0.0);
                    for row in g.chunks_exact(width) {
                        bias.iter_mut().zip(row).for_each(|(b, g)| *b += g);
                    }
                    multiply(out, inputs, false, 1.0, g_view, layer.weight().transposed());
                });
            let (weight, bias) = &mut gradients.layers[at];
            sum_pieces(gradients.pieces.iter().map(|p| &p.0), weight, inputs * width);
            sum_pieces(gradients.pieces.iter().map(|p| &p.1), bias, width);
            if at > 0 {
                std::mem::swap(gradient, next_gradient);
            }
        }
    }

    /// Step `t` (from 1) of the optimiser.
    pub fn update(&mut self, gradients: &Gradients, optimizer: &AdamW, t: u32) {
        for ((layer, moments), (weight, bias)) in
            self.layers.iter_mut().zip(&mut self.moments).zip(&gradients.layers)
        {
            moments.0.update(&mut layer.weight, weight, optimizer, t);
            moments.1.update(&mut layer.bias, bias, &optimizer.without_decay(), t);
        }
    }
}

impl Dense {
    fn weight(&self) -> View<'_> {
        View::new(&self.weight, self.inputs, self.outputs)
    }
}

/// Rows of each of the fixed pieces that the threads work on; at least 1.
pub(super) fn piece_rows(rows: usize) -> usize {
    rows.div_ceil(rayon::current_num_threads()).max(1)
}

fn sum_pieces<'a>(mut pieces: impl Iterator<Item = &'a Vec<f32>>, out: &mut Vec<f32>, len: usize) {
    out.clear();
    match pieces.next() {
        Some(first) => out.extend_from_slice(first),
        None => out.resize(len, 0.0),
    }
    for piece in pieces {
        out.iter_mut().zip(piece).for_each(|(sum, part)| *sum += part);
    }
}
