//! LSTM layers (Hochreiter & Schmidhuber 1997; forget gates of Gers et al. 2000), forward and
//! backward through time.
//!
//! All tokens' inputs are multiplied at once; only the recurrent product runs step by step, over
//! the rows of the sequences still running (see [`super::time_major`]), each thread on its own
//! sequences. Gradients of weights are products over all tokens again, their rows shared out among
//! the threads.

use super::{
    super::{
        simd::{Simd, bias_and_relu},
        tower::piece_rows,
    },
    Mode, Packed,
    attention::{Gradient, Head, Workspace},
    batch_norm::{BatchNorm, Normed, columns},
    config::LstmConfig,
    kernels::{Dropout, add_rows, lstm_cell, lstm_cell_backward},
    parameters::{Parameters, Start, take},
    plan::{Piece, cut, score_stride},
    product::transpose,
    time_major::{Steps, TimeMajor},
};
use crate::algebra::matrix::{View, multiply};
use rayon::prelude::*;
use std::ops::Range;

/// Sequences embedded at a time outside training.
const EMBED_SEQUENCES: usize = 512;

#[derive(Debug, Clone)]
pub(super) struct Lstm {
    config: LstmConfig,
    pub input: usize,
    pub length: usize,
    layers: Vec<Layer>,
    /// One before each layer and one after the last; none without BatchNorm.
    norms: Vec<BatchNorm>,
    seed: Option<u64>,
    work: Work,
}

#[derive(Debug, Clone)]
struct Layer {
    inputs: usize,
    hidden: usize,
    /// `inputs × 4·hidden`.
    input: Range<usize>,
    /// `hidden × 4·hidden`.
    recurrent: Range<usize>,
    bias: Range<usize>,
}

/// What a forward pass leaves for the backward pass. Rows are in time-major order but for the
/// attention's.
#[derive(Debug, Clone, Default)]
struct Work {
    order: TimeMajor,
    layers: Vec<Saved>,
    norms: Vec<Normed>,
    /// Rows on their way from layer to layer.
    x: Vec<f32>,
    /// The pieces of the attention.
    pieces: Vec<Piece>,
    /// What attention attends to: the stack's outputs, packed.
    attended: Vec<f32>,
    probabilities: Vec<f32>,
    by_hidden: Vec<f32>,
    backward: Scratch,
}

/// Working space of a layer's backward pass.
#[derive(Debug, Clone, Default)]
struct Scratch {
    /// For each row the hidden state of the step before.
    previous: Vec<f32>,
    /// The transposed weights: copies, because products over rows that lie far apart are three
    /// times slower.
    input: Vec<f32>,
    recurrent: Vec<f32>,
}

#[derive(Debug, Clone, Default)]
struct Saved {
    /// The layer's input, `T × inputs`.
    x: Vec<f32>,
    /// Activated gates, `T × 4·hidden`; the backward pass turns them into gradients.
    gates: Vec<f32>,
    /// `T × hidden` each.
    cells: Vec<f32>,
    hidden: Vec<f32>,
}

impl Lstm {
    pub(super) fn new(
        config: &LstmConfig,
        input: usize,
        length: usize,
        parameters: &mut Parameters,
    ) -> Self {
        let (mut layers, mut norms) = (Vec::new(), Vec::new());
        let mut inputs = input;
        for (l, &hidden) in config.hidden.iter().enumerate() {
            if config.batch_norm {
                norms.push(BatchNorm::new(&format!("norms.{l}"), inputs, parameters));
            }
            layers.push(Layer::new(l, inputs, hidden, parameters));
            inputs = hidden;
        }
        if config.batch_norm {
            norms.push(BatchNorm::new(&format!("norms.{}", layers.len()), inputs, parameters));
        }
        Self {
            config: config.clone(),
            input,
            length,
            layers,
            norms,
            seed: None,
            work: Work::default(),
        }
    }

    pub(super) fn width(&self) -> usize {
        self.layers[self.layers.len() - 1].hidden
    }

    pub(super) fn forward(
        &mut self,
        parameters: &mut Parameters,
        packed: &Packed,
        tokens: &[f32],
        mode: Mode,
        out: &mut [f32],
    ) {
        let mut work = std::mem::take(&mut self.work);
        self.seed = match mode {
            Mode::Training { seed } => Some(seed),
            Mode::Evaluation => None,
        };
        self.run(parameters, packed, tokens, self.seed, &mut work, out);
        if self.seed.is_some() {
            for (norm, normed) in self.norms.iter().zip(&work.norms) {
                norm.remember(&mut parameters.statistics, normed);
            }
        }
        self.work = work;
    }

    /// The outputs of each sequence's last token.
    pub(super) fn embed(
        &self,
        parameters: &Parameters,
        packed: &Packed,
        tokens: &[f32],
        out: &mut [f32],
    ) {
        let width = self.width();
        let (mut work, mut outputs) = (Work::default(), Vec::new());
        let sequences: Vec<usize> = (0..packed.sequences()).collect();
        for (chunk, out) in
            sequences.chunks(EMBED_SEQUENCES).zip(out.chunks_mut(EMBED_SEQUENCES * width))
        {
            let part = Packed::of(chunk.iter().map(|&s| packed.rows(s).len()));
            let first = packed.offsets[chunk[0]] as usize * self.input;
            outputs.resize(part.tokens() * width, 0.0);
            let tokens = &tokens[first..first + part.tokens() * self.input];
            self.run(parameters, &part, tokens, None, &mut work, &mut outputs);
            for (last, out) in part.last_rows().zip(out.chunks_exact_mut(width)) {
                out.copy_from_slice(&outputs[last * width..(last + 1) * width]);
            }
        }
    }

    fn run(
        &self,
        parameters: &Parameters,
        packed: &Packed,
        tokens: &[f32],
        seed: Option<u64>,
        work: &mut Work,
        out: &mut [f32],
    ) {
        let Work { order, layers: saved, norms: normed, x, .. } = work;
        *order = TimeMajor::new(packed, rayon::current_num_threads());
        saved.resize_with(self.layers.len(), Saved::default);
        normed.resize_with(self.norms.len(), Normed::default);
        let rows = packed.tokens();
        x.resize(rows * self.input, 0.0);
        order.gather(tokens, self.input, x);
        for (l, (layer, saved)) in self.layers.iter().zip(saved).enumerate() {
            if let Some(norm) = self.norms.get(l) {
                norm.forward(parameters, x, seed.is_some(), &mut normed[l]);
            }
            std::mem::swap(x, &mut saved.x);
            layer.forward(&parameters.values, order, saved);
            x.clear();
            x.extend_from_slice(&saved.hidden);
            self.dropout(seed, l, x);
        }
        if let Some(norm) = self.norms.get(self.layers.len()) {
            norm.forward(parameters, x, seed.is_some(), &mut normed[self.layers.len()]);
        }
        if self.config.attention {
            work.attended.resize(out.len(), 0.0);
            work.order.scatter(&work.x, self.width(), &mut work.attended);
            self.attend(packed, work, out);
        } else {
            order.scatter(x, self.width(), out);
        }
    }

    /// Drops of the outputs of layer `l`, or of the gradient by them.
    fn dropout(&self, seed: Option<u64>, l: usize, x: &mut [f32]) {
        if let Some(dropout) = seed.and_then(|seed| Dropout::new(self.config.dropout, seed, l)) {
            let piece = piece_rows(x.len());
            let pieces = x.par_chunks_mut(piece).enumerate();
            pieces.for_each(|(i, x)| dropout.apply(Simd::detect(), i * piece, x));
        }
    }

    fn attend(&self, packed: &Packed, work: &mut Work, mut out: &mut [f32]) {
        let width = self.width();
        let Work { pieces, attended, probabilities, .. } = work;
        *pieces = cut(packed, rayon::current_num_threads())
            .into_iter()
            .map(|run| Piece::new(packed, run))
            .collect();
        probabilities.resize(pieces.iter().map(|piece| piece.scores).sum(), 0.0);
        let mut rest = &mut probabilities[..];
        let mut parts = Vec::with_capacity(pieces.len());
        for piece in pieces.iter() {
            parts.push((piece, take(&mut rest, piece.scores), take(&mut out, piece.rows * width)));
        }
        parts.into_par_iter().for_each(|(piece, probabilities, out)| {
            let mut workspace = Workspace::default();
            for span in &piece.spans {
                let head = head(&attended[(piece.first + span.start) * width..], span.len, width);
                let scores = span.scores..span.scores + span.len * score_stride(span.len);
                let out = &mut out[span.start * width..];
                head.forward(
                    Simd::detect(),
                    &mut probabilities[scores],
                    out,
                    width,
                    &mut workspace,
                );
            }
        });
    }

    /// Turns the gradient by the attention's output into that by its input.
    fn attend_backward(&self, work: &Work, mut by_output: &mut [f32]) {
        let width = self.width();
        let mut rest = &work.probabilities[..];
        let mut parts = Vec::with_capacity(work.pieces.len());
        for piece in &work.pieces {
            let (probabilities, tail) = rest.split_at(piece.scores);
            rest = tail;
            parts.push((piece, probabilities, take(&mut by_output, piece.rows * width)));
        }
        parts.into_par_iter().for_each(|(piece, probabilities, by_output)| {
            let (mut workspace, mut by_operands) = (Workspace::default(), Vec::new());
            for span in &piece.spans {
                let head =
                    head(&work.attended[(piece.first + span.start) * width..], span.len, width);
                let size = span.len * score_stride(span.len);
                by_operands.resize(span.len * 3 * width, 0.0);
                let rows = &mut by_output[span.start * width..(span.start + span.len) * width];
                let mut out = Gradient {
                    rows: &mut by_operands,
                    stride: 3 * width,
                    query: 0,
                    key: width,
                    value: 2 * width,
                };
                let probabilities = &probabilities[span.scores..span.scores + size];
                head.backward(
                    Simd::detect(),
                    probabilities,
                    (rows, width),
                    &mut out,
                    &mut workspace,
                );
                for (row, parts) in
                    rows.chunks_exact_mut(width).zip(by_operands.chunks_exact(3 * width))
                {
                    row.copy_from_slice(&parts[..width]);
                    add_rows(Simd::detect(), row, &parts[width..]);
                }
            }
        });
    }

    pub(super) fn backward(
        &mut self,
        parameters: &mut Parameters,
        by_output: &mut [f32],
        by_tokens: &mut [f32],
    ) {
        let seed = self.seed.expect("backward follows a forward pass in training mode");
        let mut work = std::mem::take(&mut self.work);
        assert_eq!(
            work.order.tokens.len() * self.width(),
            by_output.len(),
            "gradients of another batch"
        );
        if self.config.attention {
            self.attend_backward(&work, by_output);
        }
        let Work { order, layers: saved, norms: normed, x, by_hidden, backward, .. } = &mut work;
        by_hidden.resize(by_output.len(), 0.0);
        order.gather(by_output, self.width(), by_hidden);
        if let Some(norm) = self.norms.get(self.layers.len()) {
            norm.backward(parameters, &normed[self.layers.len()], by_hidden);
        }
        for (l, (layer, saved)) in self.layers.iter().zip(saved).enumerate().rev() {
            self.dropout(Some(seed), l, by_hidden);
            layer.backward(parameters, order, saved, by_hidden, backward, x);
            if let Some(norm) = self.norms.get(l) {
                norm.backward(parameters, &normed[l], x);
            }
            std::mem::swap(x, by_hidden);
        }
        order.scatter(by_hidden, self.input, by_tokens);
        self.work = work;
    }
}

/// Attention of the outputs `rows` to themselves.
fn head(rows: &[f32], len: usize, width: usize) -> Head<'_> {
    Head {
        rows,
        stride: width,
        query: 0,
        key: 0,
        value: 0,
        len,
        dim: width,
        scale: 1.0,
        causal: true,
    }
}

impl Layer {
    fn new(l: usize, inputs: usize, hidden: usize, parameters: &mut Parameters) -> Self {
        let gates = 4 * hidden;
        let input = parameters.add(
            format!("lstm.{l}.input.weight"),
            &[inputs, gates],
            Start::Glorot(inputs, hidden),
        );
        let recurrent = parameters.add(
            format!("lstm.{l}.recurrent.weight"),
            &[hidden, gates],
            Start::Glorot(hidden, hidden),
        );
        let bias = parameters.add(format!("lstm.{l}.bias"), &[gates], Start::Constant(0.0));
        // Cells remember at first (Jozefowicz et al. 2015).
        parameters.values[bias.start + hidden..bias.start + 2 * hidden].fill(1.0);
        Self { inputs, hidden, input, recurrent, bias }
    }

    fn weight<'a>(&self, values: &'a [f32]) -> View<'a> {
        View::new(&values[self.input.clone()], self.inputs, 4 * self.hidden)
    }

    fn recurrent<'a>(&self, values: &'a [f32]) -> View<'a> {
        View::new(&values[self.recurrent.clone()], self.hidden, 4 * self.hidden)
    }

    fn forward(&self, values: &[f32], order: &TimeMajor, saved: &mut Saved) {
        let rows = order.tokens.len();
        let Saved { x, gates, cells, hidden } = saved;
        gates.resize(rows * 4 * self.hidden, 0.0);
        cells.resize(rows * self.hidden, 0.0);
        hidden.resize(rows * self.hidden, 0.0);
        let (mut gates, mut cells, mut hidden) = (&mut gates[..], &mut cells[..], &mut hidden[..]);
        let mut parts = Vec::with_capacity(order.pieces.len());
        for piece in &order.pieces {
            let n = piece.rows();
            let x = &x[piece.first * self.inputs..(piece.first + n) * self.inputs];
            let gates = take(&mut gates, n * 4 * self.hidden);
            parts.push((
                piece,
                x,
                gates,
                take(&mut cells, n * self.hidden),
                take(&mut hidden, n * self.hidden),
            ));
        }
        parts.into_par_iter().for_each(|(steps, x, gates, cells, hidden)| {
            let x = View::new(x, steps.rows(), self.inputs);
            multiply(gates, 4 * self.hidden, false, 1.0, x, self.weight(values));
            bias_and_relu(Simd::detect(), gates, &values[self.bias.clone()], false);
            self.through_time(values, steps, gates, cells, hidden);
        });
    }

    fn through_time(
        &self,
        values: &[f32],
        steps: &Steps,
        gates: &mut [f32],
        cells: &mut [f32],
        hidden: &mut [f32],
    ) {
        let width = self.hidden;
        for t in 0..steps.steps() {
            let rows = steps.step(t);
            let at = rows.start * width..rows.end * width;
            let gates = &mut gates[4 * at.start..4 * at.end];
            let (cells_before, cells) = cells.split_at_mut(at.start);
            let (hidden_before, hidden) = hidden.split_at_mut(at.start);
            let mut previous: &[f32] = &[];
            if t > 0 {
                let before = steps.step(t - 1).start * width;
                previous = &cells_before[before..before + at.len()];
                let hidden =
                    View::new(&hidden_before[before..before + at.len()], rows.len(), width);
                multiply(gates, 4 * width, true, 1.0, hidden, self.recurrent(values));
            }
            lstm_cell(
                Simd::detect(),
                width,
                gates,
                previous,
                &mut cells[..at.len()],
                &mut hidden[..at.len()],
            );
        }
    }

    /// Writes the gradients of the weights and, into `by_x`, that by the layer's input. `by_hidden`
    /// is used up, and so is what was saved; `scratch` is working space.
    fn backward(
        &self,
        parameters: &mut Parameters,
        order: &TimeMajor,
        saved: &mut Saved,
        by_hidden: &mut [f32],
        scratch: &mut Scratch,
        by_x: &mut Vec<f32>,
    ) {
        let (width, rows) = (self.hidden, order.tokens.len());
        let Parameters { values, gradient, .. } = parameters;
        let Scratch { previous, input, recurrent } = scratch;
        transpose_into(&values[self.input.clone()], 4 * width, input);
        transpose_into(&values[self.recurrent.clone()], 4 * width, recurrent);
        let (input, recurrent) =
            (View::new(input, 4 * width, self.inputs), View::new(recurrent, 4 * width, width));
        by_x.resize(rows * self.inputs, 0.0);
        previous.resize(rows * width, 0.0);
        let (mut by_x, mut by_hidden, mut before) = (&mut by_x[..], by_hidden, &mut previous[..]);
        let mut gates = &mut saved.gates[..];
        let mut parts = Vec::with_capacity(order.pieces.len());
        for piece in &order.pieces {
            let n = piece.rows();
            let at = piece.first * width..(piece.first + n) * width;
            let state = (&saved.cells[at.clone()], &saved.hidden[at]);
            let gates = take(&mut gates, 4 * n * width);
            let by = (take(&mut by_hidden, n * width), take(&mut by_x, n * self.inputs));
            parts.push((piece, state, gates, by, take(&mut before, n * width)));
        }
        parts.into_par_iter().for_each(
            |(steps, (cells, hidden), gates, (by_hidden, by_x), before)| {
                self.back_through_time(recurrent, steps, gates, cells, by_hidden);
                for t in 1..steps.steps() {
                    let (rows, from) = (steps.step(t), steps.step(t - 1).start * width);
                    let at = rows.start * width..rows.end * width;
                    before[at.clone()].copy_from_slice(&hidden[from..from + at.len()]);
                }
                let by_gates = View::new(gates, steps.rows(), 4 * width);
                multiply(by_x, self.inputs, false, 1.0, by_gates, input);
            },
        );
        let bias =
            columns(&saved.gates, 4 * width, |sum, piece| add_rows(Simd::detect(), sum, piece));
        gradient[self.bias.clone()].copy_from_slice(&bias);
        // The whole product at once for the input's weights; for the recurrent ones the first steps
        // have no row before.
        let by_gates = View::new(&saved.gates, rows, 4 * width);
        let by_weight = &mut gradient[self.input.clone()];
        transposed_product(by_weight, &[(View::new(&saved.x, rows, self.inputs), by_gates)]);
        let later: Vec<_> = order
            .pieces
            .iter()
            .map(|piece| {
                let (first, end) = (piece.first + piece.step(0).end, piece.first + piece.rows());
                let before = View::new(&previous[first * width..end * width], end - first, width);
                (
                    before,
                    View::new(
                        &saved.gates[4 * first * width..4 * end * width],
                        end - first,
                        4 * width,
                    ),
                )
            })
            .collect();
        transposed_product(&mut gradient[self.recurrent.clone()], &later);
    }

    /// `recurrent` is the transposed weight, `4·hidden × hidden`.
    fn back_through_time(
        &self,
        recurrent: View<'_>,
        steps: &Steps,
        gates: &mut [f32],
        cells: &[f32],
        by_hidden: &mut [f32],
    ) {
        let width = self.hidden;
        let mut by_cells = vec![0.0; steps.step(0).len() * width];
        for t in (0..steps.steps()).rev() {
            let rows = steps.step(t);
            let at = rows.start * width..rows.end * width;
            let (now, later) = gates.split_at_mut(4 * at.end);
            if t + 1 < steps.steps() {
                let next = steps.step(t + 1).len();
                let by_gates = View::new(&later[..4 * next * width], next, 4 * width);
                let by_hidden = &mut by_hidden[at.start..at.start + next * width];
                multiply(by_hidden, width, true, 1.0, by_gates, recurrent);
            }
            let mut previous: &[f32] = &[];
            if t > 0 {
                let before = steps.step(t - 1).start * width;
                previous = &cells[before..before + at.len()];
            }
            let gates = &mut now[4 * at.start..];
            let by_cells = &mut by_cells[..at.len()];
            lstm_cell_backward(
                Simd::detect(),
                width,
                gates,
                previous,
                &cells[at.clone()],
                &by_hidden[at],
                by_cells,
            );
        }
    }
}

/// `out ← xᵀ`, a strip of columns at a time.
fn transpose_into(x: &[f32], columns: usize, out: &mut Vec<f32>) {
    const STRIP: usize = 16;
    let rows = x.len() / columns;
    out.resize(x.len(), 0.0);
    out.par_chunks_mut(STRIP * rows).enumerate().for_each(|(strip, out)| {
        let width = out.len() / rows;
        transpose(&x[strip * STRIP..], rows, width, columns, out, rows);
    });
}

/// `out ← Σ xᵀ·g` over the pairs, its rows shared out among the threads.
fn transposed_product(out: &mut [f32], pairs: &[(View<'_>, View<'_>)]) {
    let Some((x, g)) = pairs.first() else { return out.fill(0.0) };
    let (rows, width) = (x.columns(), g.columns());
    let piece = piece_rows(rows);
    out.par_chunks_mut(piece * width).enumerate().for_each(|(i, out)| {
        out.fill(0.0);
        let columns = i * piece..i * piece + out.len() / width;
        for (x, g) in pairs {
            multiply(out, width, true, 1.0, x.slice_columns(columns.clone()).transposed(), *g);
        }
    });
}
