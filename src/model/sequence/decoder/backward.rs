//! From the gradients of the outputs to those of weights and tokens.

use super::{
    super::{
        attention::Gradient,
        config::{Activation, Positions},
        kernels::{Dropout, activate_backward, add_gated_backward, swiglu_backward},
        linear::Linear,
        norm::{Backward, LayerNorm, Normed},
        parameters::{Parameters, take},
    },
    BlockPass, Decoder, Layer, Saved, SavedGate, Scratch, Work,
};
use crate::model::simd::{Simd, add_scaled};
use rayon::prelude::*;

impl Decoder {
    pub(in super::super) fn backward(
        &mut self,
        parameters: &mut Parameters,
        by_output: &mut [f32],
        by_tokens: &mut [f32],
    ) {
        let seed = self.seed.expect("backward follows a forward pass in training mode");
        let mut work = std::mem::take(&mut self.work);
        let mut gradients = std::mem::take(&mut self.gradients);
        gradients.resize_with(work.len().max(1), Vec::new);
        let (mut by_output, mut by_tokens) = (by_output, by_tokens);
        let mut pieces = Vec::with_capacity(work.len());
        for (work, gradient) in work.iter_mut().zip(&mut gradients) {
            let len = work.piece.rows * self.width;
            pieces.push((work, gradient, take(&mut by_output, len), take(&mut by_tokens, len)));
        }
        assert!(by_output.is_empty(), "gradients of another batch than the last forward pass");
        let size = parameters.values.len();
        pieces.into_par_iter().for_each(|(work, gradient, by_output, by_tokens)| {
            gradient.clear();
            gradient.resize(size, 0.0);
            self.backward_piece(&parameters.values, seed, work, by_output, by_tokens, gradient);
        });
        gradients[0].resize(size, 0.0);
        parameters.sum_gradients(&gradients);
        self.work = work;
        self.gradients = gradients;
    }

    /// Turns `by_output` into gradients of the residual stream, block by block from the last layer
    /// to the first.
    fn backward_piece(
        &self,
        values: &[f32],
        seed: u64,
        work: &mut Work,
        by_output: &mut [f32],
        by_tokens: &mut [f32],
        gradient: &mut [f32],
    ) {
        let Work { piece, layers: saved, final_norm: final_normed, scratch } = work;
        let (simd, seed) = (Simd::detect(), Some(seed));
        for block in &piece.blocks {
            let rows = piece.block_rows(block);
            let spans = &piece.spans[block.clone()];
            let at = rows.start * self.width..rows.end * self.width;
            let pass = BlockPass {
                simd,
                values,
                spans,
                rows: &rows,
                first: (piece.first + rows.start) * self.width,
            };
            let by_x = &mut by_tokens[at.clone()];
            if let Some(norm) = &self.final_norm {
                by_x.fill(0.0);
                let pass = Backward {
                    normed: final_normed,
                    rows: &rows,
                    by_output: &by_output[at],
                    scratch: &mut scratch.x,
                    by_input: by_x,
                };
                norm.backward(simd, values, pass, gradient);
            } else {
                by_x.copy_from_slice(&by_output[at]);
            }
            for (index, (layer, saved)) in self.layers.iter().zip(saved.iter()).enumerate().rev() {
                let gates = layer.gates.as_ref();
                let gate = gates.map(|gates| (&gates.feed_forward, &saved.feed_forward_gate));
                sublayer_gradient(
                    &pass,
                    self.dropout(seed, 2 + 2 * index),
                    gate,
                    scratch,
                    by_x,
                    gradient,
                );
                self.feed_forward_backward(&pass, layer, saved, scratch, by_x, gradient);
                let gate = gates.map(|gates| (&gates.attention, &saved.attention_gate));
                sublayer_gradient(
                    &pass,
                    self.dropout(seed, 1 + 2 * index),
                    gate,
                    scratch,
                    by_x,
                    gradient,
                );
                self.attention_backward(&pass, layer, saved, scratch, by_x, gradient);
            }
            if let Some(dropout) = self.dropout(seed, 0) {
                dropout.apply(simd, pass.first, by_x);
            }
            if let Some(at) = &self.positions {
                for span in spans {
                    let start = (span.start - rows.start) * self.width;
                    let by_x = &by_x[start..start + span.len * self.width];
                    let by_positions = &mut gradient[at.start..at.start + by_x.len()];
                    if self.config.positions == Positions::LearnedFromEnd {
                        let rows = by_positions
                            .chunks_exact_mut(self.width)
                            .zip(by_x.chunks_exact(self.width).rev());
                        rows.for_each(|(by_position, by_x)| {
                            add_scaled(simd, by_position, by_x, 1.0)
                        });
                    } else {
                        add_scaled(simd, by_positions, by_x, 1.0);
                    }
                }
            }
            if self.config.scale_embedding {
                let scale = self.embedding_scale();
                by_x.iter_mut().for_each(|g| *g *= scale);
            }
        }
    }

    /// From `scratch.y`, the gradient by what the dense layers made of the residual stream.
    fn feed_forward_backward(
        &self,
        pass: &BlockPass<'_>,
        layer: &Layer,
        saved: &Saved,
        scratch: &mut Scratch,
        by_x: &mut [f32],
        gradient: &mut [f32],
    ) {
        let BlockPass { simd, values, rows, .. } = *pass;
        let (hidden, outputs) = (self.config.feed_forward, self.config.feed_forward_outputs());
        let pre = &saved.hidden[rows.start * outputs..rows.end * outputs];
        let y = &mut scratch.y[..by_x.len()];
        let len = rows.len() * hidden;
        let (after, mut by_hidden) = (&mut scratch.hidden[..len], &mut scratch.by_hidden[..len]);
        // The activation is computed again, and only then are the weights of what came after it
        // known.
        layer.feed_forward_out.by_input(values, y, by_hidden);
        if self.config.activation == Activation::Swiglu {
            let by_halves = &mut scratch.by_halves[..pre.len()];
            swiglu_backward(simd, hidden, pre, after, by_hidden, by_halves);
            by_hidden = by_halves;
        } else {
            activate_backward(simd, self.config.activation, pre, after, by_hidden);
        }
        layer.feed_forward_out.by_weights(simd, after, y, gradient);
        let entry = Entry {
            norm: &layer.feed_forward_norm,
            normed: &saved.feed_forward_normed,
            dense: &layer.feed_forward_in,
        };
        entry.backward(pass, by_hidden, (&mut scratch.x[..by_x.len()], y), by_x, gradient);
    }

    /// From `scratch.y`, the gradient by what attention made of the residual stream.
    fn attention_backward(
        &self,
        pass: &BlockPass<'_>,
        layer: &Layer,
        saved: &Saved,
        scratch: &mut Scratch,
        by_x: &mut [f32],
        gradient: &mut [f32],
    ) {
        let BlockPass { simd, values, rows, .. } = *pass;
        let width = self.width;
        let (x, y) = (&mut scratch.x[..by_x.len()], &mut scratch.y[..by_x.len()]);
        let attended = &saved.attended[rows.start * width..rows.end * width];
        layer.attention_output.by_weights(simd, attended, y, gradient);
        layer.attention_output.by_input(values, y, x);
        let qkv = &saved.qkv[rows.start * 3 * width..rows.end * 3 * width];
        let by_qkv = &mut scratch.by_qkv[..qkv.len()];
        for (span, h) in self.heads(pass) {
            let scores = self.scores(span, h);
            let start = span.start - rows.start;
            let head = self.head(qkv, span, rows.start, h);
            let mut out = Gradient {
                rows: &mut by_qkv[start * 3 * width..],
                stride: head.stride,
                query: head.query,
                key: head.key,
                value: head.value,
            };
            let by_attended = (&x[start * width + h * head.dim..], width);
            head.backward(
                simd,
                &saved.probabilities[scores],
                by_attended,
                &mut out,
                &mut scratch.attention,
            );
        }
        self.rotate(pass, by_qkv, -1.0);
        let entry = Entry {
            norm: &layer.attention_norm,
            normed: &saved.attention_normed,
            dense: &layer.qkv,
        };
        entry.backward(pass, by_qkv, (x, y), by_x, gradient);
    }
}

/// The gradient by a sub-layer's output, into `scratch.y`: that by the residual stream, gated and
/// dropped where the output was. Adds those by the gate's weights to `gradient`, and what the
/// stream gets through the gate to `by_x`.
fn sublayer_gradient(
    pass: &BlockPass<'_>,
    dropout: Option<Dropout>,
    gate: Option<(&Linear, &SavedGate)>,
    scratch: &mut Scratch,
    by_x: &mut [f32],
    gradient: &mut [f32],
) {
    let BlockPass { simd, values, rows, first, .. } = *pass;
    let y = &mut scratch.y[..by_x.len()];
    if let Some((linear, saved)) = gate {
        let at = rows.start * linear.inputs..rows.end * linear.inputs;
        let by_gate = &mut scratch.by_gate[..by_x.len()];
        add_gated_backward(simd, by_x, &saved.y[at.clone()], &saved.gate[at.clone()], y, by_gate);
        linear.by_weights(simd, &saved.x[at], by_gate, gradient);
        linear.add_by_input(values, by_gate, by_x);
    } else {
        y.copy_from_slice(by_x);
    }
    if let Some(dropout) = dropout {
        dropout.apply(simd, first, y);
    }
}

/// How a sub-layer reads the residual stream: a norm, then a dense layer.
struct Entry<'a> {
    norm: &'a LayerNorm,
    normed: &'a Normed,
    dense: &'a Linear,
}

impl Entry<'_> {
    /// From the gradient by the dense layer's outputs: adds those by the weights to `gradient` and
    /// that by the stream to `by_x`. The scratch is two arrays of the size of `by_x`.
    fn backward(
        &self,
        pass: &BlockPass<'_>,
        by_dense: &[f32],
        (x, y): (&mut [f32], &mut [f32]),
        by_x: &mut [f32],
        gradient: &mut [f32],
    ) {
        let BlockPass { simd, values, rows, .. } = *pass;
        let Self { norm, normed, dense } = *self;
        // The norm's output is computed again, not kept.
        norm.output(simd, values, normed, rows, x);
        dense.by_weights(simd, x, by_dense, gradient);
        dense.by_input(values, by_dense, y);
        norm.backward(
            simd,
            values,
            Backward { normed, rows, by_output: y, scratch: x, by_input: by_x },
            gradient,
        );
    }
}
