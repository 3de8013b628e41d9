//! The decoder transformer, forward and backward.
//!
//! Layers other than attention work row by row and attention sequence by sequence, so a thread
//! takes its piece of the batch through all layers alone, and within the piece a block of whole
//! sequences goes through all layers before the next: its rows stay in the core's cache. Threads
//! meet once a pass, where gradients are added.

use super::{
    super::simd::{Simd, add_scaled},
    Mode, Packed,
    attention::{Head, Workspace},
    config::{DecoderConfig, Positions},
    kernels::{Dropout, activate, add_gated, rotate},
    linear::Linear,
    norm::{LayerNorm, Normed},
    parameters::{Parameters, Start, take},
    plan::{Piece, Span, cut, score_stride},
};
use rayon::prelude::*;
use std::ops::Range;

mod backward;

#[derive(Debug, Clone)]
pub(super) struct Decoder {
    config: DecoderConfig,
    pub width: usize,
    pub length: usize,
    /// Trained positions, `length × width`.
    positions: Option<Range<usize>>,
    /// Fixed positions, `length × width`; for rotary ones the angles' cosines, then sines, `length
    /// × head width`.
    fixed: Vec<f32>,
    layers: Vec<Layer>,
    final_norm: Option<LayerNorm>,
    seed: Option<u64>,
    work: Vec<Work>,
    gradients: Vec<Vec<f32>>,
}

#[derive(Debug, Clone)]
struct Layer {
    attention_norm: LayerNorm,
    qkv: Linear,
    attention_output: Linear,
    feed_forward_norm: LayerNorm,
    feed_forward_in: Linear,
    feed_forward_out: Linear,
    /// Where sub-layers are gated.
    gates: Option<Gates>,
}

#[derive(Debug, Clone)]
struct Gates {
    attention: Linear,
    feed_forward: Linear,
}

/// A piece of the batch with what its forward pass left for the backward pass.
#[derive(Debug, Clone, Default)]
struct Work {
    piece: Piece,
    layers: Vec<Saved>,
    final_norm: Normed,
    scratch: Scratch,
}

#[derive(Debug, Clone, Default)]
struct Saved {
    attention_normed: Normed,
    /// `rows × 3·width`, rotated where positions are rotary.
    qkv: Vec<f32>,
    /// A matrix for each sequence and head.
    probabilities: Vec<f32>,
    /// What the heads gave, `rows × width`.
    attended: Vec<f32>,
    feed_forward_normed: Normed,
    /// Before the activation, `rows × feed_forward_outputs`.
    hidden: Vec<f32>,
    /// Empty where sub-layers are not gated.
    attention_gate: SavedGate,
    feed_forward_gate: SavedGate,
}

/// Of a gated sub-layer, `rows × width` each.
#[derive(Debug, Clone, Default)]
struct SavedGate {
    /// The residual stream before it.
    x: Vec<f32>,
    /// What the sub-layer made of it, some of it dropped.
    y: Vec<f32>,
    /// What share of that was added.
    gate: Vec<f32>,
}

/// Rows of one block.
#[derive(Debug, Clone, Default)]
struct Scratch {
    /// `rows × width` each.
    x: Vec<f32>,
    y: Vec<f32>,
    /// `rows × width`, of gates.
    by_gate: Vec<f32>,
    /// `rows × feed_forward` each.
    hidden: Vec<f32>,
    by_hidden: Vec<f32>,
    /// `rows × feed_forward_outputs`, where that is more.
    by_halves: Vec<f32>,
    by_qkv: Vec<f32>,
    attention: Workspace,
}

impl Decoder {
    pub(super) fn new(
        config: &DecoderConfig,
        width: usize,
        length: usize,
        parameters: &mut Parameters,
    ) -> Self {
        let positions = matches!(config.positions, Positions::Learned | Positions::LearnedFromEnd)
            .then(|| parameters.add("positions".into(), &[length, width], Start::Uniform(0.05)));
        let fixed = match config.positions {
            Positions::Sinusoidal => sinusoids(length, width),
            Positions::Rotary => rotations(length, width / config.heads),
            Positions::Learned | Positions::LearnedFromEnd | Positions::None => Vec::new(),
        };
        let layers = (0..config.layers).map(|l| Layer {
            attention_norm: LayerNorm::new(
                &format!("layers.{l}.attention_norm"),
                width,
                parameters,
            ),
            qkv: Linear::new(&format!("layers.{l}.qkv"), width, 3 * width, parameters),
            attention_output: Linear::new(
                &format!("layers.{l}.attention_output"),
                width,
                width,
                parameters,
            ),
            feed_forward_norm: LayerNorm::new(
                &format!("layers.{l}.feed_forward_norm"),
                width,
                parameters,
            ),
            feed_forward_in: Linear::new(
                &format!("layers.{l}.feed_forward_in"),
                width,
                config.feed_forward_outputs(),
                parameters,
            ),
            feed_forward_out: Linear::new(
                &format!("layers.{l}.feed_forward_out"),
                config.feed_forward,
                width,
                parameters,
            ),
            gates: config.gated.then(|| Gates {
                attention: Linear::new(
                    &format!("layers.{l}.attention_gate"),
                    width,
                    width,
                    parameters,
                ),
                feed_forward: Linear::new(
                    &format!("layers.{l}.feed_forward_gate"),
                    width,
                    width,
                    parameters,
                ),
            }),
        });
        let layers = layers.collect();
        let final_norm = config.final_norm.then(|| LayerNorm::new("final_norm", width, parameters));
        Self {
            config: config.clone(),
            width,
            length,
            positions,
            fixed,
            layers,
            final_norm,
            seed: None,
            work: Vec::new(),
            gradients: Vec::new(),
        }
    }

    pub(super) fn forward(
        &mut self,
        parameters: &Parameters,
        packed: &Packed,
        tokens: &[f32],
        mode: Mode,
        mut out: &mut [f32],
    ) {
        let mut work = std::mem::take(&mut self.work);
        let runs = cut(packed, rayon::current_num_threads());
        work.resize_with(runs.len(), Work::default);
        let seed = match mode {
            Mode::Training { seed } => Some(seed),
            Mode::Evaluation => None,
        };
        let mut pieces = Vec::with_capacity(runs.len());
        for (work, run) in work.iter_mut().zip(runs) {
            work.piece = Piece::new(packed, run);
            let out = take(&mut out, work.piece.rows * self.width);
            pieces.push((work, out));
        }
        pieces.into_par_iter().for_each(|(work, out)| {
            let first = work.piece.first * self.width;
            self.forward_piece(
                &parameters.values,
                &tokens[first..first + out.len()],
                seed,
                work,
                out,
            );
        });
        self.work = work;
        self.seed = seed;
    }

    /// The outputs of each sequence's last token.
    pub(super) fn embed(
        &self,
        parameters: &Parameters,
        packed: &Packed,
        tokens: &[f32],
        out: &mut [f32],
    ) {
        // A block at a time bounds memory; blocks are found as a piece of the whole would be cut.
        let whole = Piece::new(packed, 0..packed.sequences());
        let mut rest = out;
        let blocks: Vec<_> = whole
            .blocks
            .iter()
            .filter(|block| !block.is_empty())
            .map(|block| (block.clone(), take(&mut rest, block.len() * self.width)))
            .collect();
        blocks.into_par_iter().for_each_init(
            || (Work::default(), Vec::new()),
            |(work, outputs), (block, out)| {
                work.piece = Piece::new(packed, block);
                let first = work.piece.first * self.width;
                outputs.resize(work.piece.rows * self.width, 0.0);
                self.forward_piece(
                    &parameters.values,
                    &tokens[first..first + outputs.len()],
                    None,
                    work,
                    outputs,
                );
                for (span, out) in work.piece.spans.iter().zip(out.chunks_exact_mut(self.width)) {
                    let last = (span.start + span.len - 1) * self.width;
                    out.copy_from_slice(&outputs[last..last + self.width]);
                }
            },
        );
    }

    fn forward_piece(
        &self,
        values: &[f32],
        tokens: &[f32],
        seed: Option<u64>,
        work: &mut Work,
        out: &mut [f32],
    ) {
        self.reserve(work);
        let Work { piece, layers: saved, final_norm: final_normed, scratch } = work;
        let simd = Simd::detect();
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
            // The residual stream lives in the output.
            let x = &mut out[at.clone()];
            self.embed_tokens(&pass, &tokens[at], seed, x);
            for (index, (layer, saved)) in self.layers.iter().zip(saved.iter_mut()).enumerate() {
                let gates = layer.gates.as_ref();
                self.attention(&pass, layer, saved, scratch, x);
                let gate = gates.map(|gates| (&gates.attention, &mut saved.attention_gate));
                join(&pass, self.dropout(seed, 1 + 2 * index), gate, &mut scratch.y, x);
                self.feed_forward(&pass, layer, saved, scratch, x);
                let gate = gates.map(|gates| (&gates.feed_forward, &mut saved.feed_forward_gate));
                join(&pass, self.dropout(seed, 2 + 2 * index), gate, &mut scratch.y, x);
            }
            if let Some(norm) = &self.final_norm {
                let y = &mut scratch.y[..x.len()];
                norm.forward(simd, values, x, final_normed, &rows, y);
                x.copy_from_slice(y);
            }
        }
    }

    /// Room for a piece's rows.
    fn reserve(&self, work: &mut Work) {
        let (width, hidden, outputs) =
            (self.width, self.config.feed_forward, self.config.feed_forward_outputs());
        let Work { piece, layers, final_norm, scratch } = work;
        layers.resize_with(self.layers.len(), Saved::default);
        for (layer, saved) in self.layers.iter().zip(layers) {
            layer.attention_norm.reserve(&mut saved.attention_normed, piece.rows);
            layer.feed_forward_norm.reserve(&mut saved.feed_forward_normed, piece.rows);
            saved.qkv.resize(piece.rows * 3 * width, 0.0);
            saved.probabilities.resize(piece.scores * self.config.heads, 0.0);
            saved.attended.resize(piece.rows * width, 0.0);
            saved.hidden.resize(piece.rows * outputs, 0.0);
            if layer.gates.is_some() {
                saved.attention_gate.reserve(piece.rows * width);
                saved.feed_forward_gate.reserve(piece.rows * width);
            }
        }
        if let Some(norm) = &self.final_norm {
            norm.reserve(final_norm, piece.rows);
        }
        let rows =
            piece.blocks.iter().map(|block| piece.block_rows(block).len()).max().unwrap_or(0);
        for (buffer, len) in [
            (&mut scratch.x, rows * width),
            (&mut scratch.y, rows * width),
            (&mut scratch.hidden, rows * hidden),
            (&mut scratch.by_hidden, rows * hidden),
            (&mut scratch.by_halves, if outputs > hidden { rows * outputs } else { 0 }),
            (&mut scratch.by_gate, if self.config.gated { rows * width } else { 0 }),
            (&mut scratch.by_qkv, rows * 3 * width),
        ] {
            if buffer.len() < len {
                buffer.resize(len, 0.0);
            }
        }
    }

    fn dropout(&self, seed: Option<u64>, site: usize) -> Option<Dropout> {
        seed.and_then(|seed| Dropout::new(self.config.dropout, seed, site))
    }

    fn embedding_scale(&self) -> f32 {
        if self.config.scale_embedding { (self.width as f32).sqrt() } else { 1.0 }
    }

    fn embed_tokens(&self, pass: &BlockPass<'_>, tokens: &[f32], seed: Option<u64>, x: &mut [f32]) {
        let scale = self.embedding_scale();
        x.iter_mut().zip(tokens).for_each(|(x, token)| *x = scale * token);
        let positions = match &self.positions {
            Some(at) => &pass.values[at.clone()],
            None if self.config.positions == Positions::Sinusoidal => &self.fixed,
            None => &[],
        };
        if !positions.is_empty() {
            for span in pass.spans {
                let start = (span.start - pass.rows.start) * self.width;
                let len = span.len * self.width;
                let x = &mut x[start..start + len];
                if self.config.positions == Positions::LearnedFromEnd {
                    let rows = x
                        .chunks_exact_mut(self.width)
                        .rev()
                        .zip(positions.chunks_exact(self.width));
                    rows.for_each(|(x, position)| add_scaled(pass.simd, x, position, 1.0));
                } else {
                    add_scaled(pass.simd, x, &positions[..len], 1.0);
                }
            }
        }
        if let Some(dropout) = self.dropout(seed, 0) {
            dropout.apply(pass.simd, pass.first, x);
        }
    }

    /// What attention makes of the residual stream: into `scratch.y`.
    fn attention(
        &self,
        pass: &BlockPass<'_>,
        layer: &Layer,
        saved: &mut Saved,
        scratch: &mut Scratch,
        x: &[f32],
    ) {
        let BlockPass { simd, values, rows, .. } = *pass;
        let width = self.width;
        let y = &mut scratch.y[..x.len()];
        layer.attention_norm.forward(simd, values, x, &mut saved.attention_normed, rows, y);
        let qkv = &mut saved.qkv[rows.start * 3 * width..rows.end * 3 * width];
        layer.qkv.forward(simd, values, y, qkv);
        self.rotate(pass, qkv, 1.0);
        let attended = &mut saved.attended[rows.start * width..rows.end * width];
        for (span, h) in self.heads(pass) {
            let scores = self.scores(span, h);
            let start = (span.start - rows.start) * width + h * self.head_width();
            let head = self.head(qkv, span, rows.start, h);
            let probabilities = &mut saved.probabilities[scores];
            head.forward(
                simd,
                probabilities,
                &mut attended[start..],
                width,
                &mut scratch.attention,
            );
        }
        layer.attention_output.forward(simd, values, attended, y);
    }

    /// What the dense layers make of the residual stream: into `scratch.y`.
    fn feed_forward(
        &self,
        pass: &BlockPass<'_>,
        layer: &Layer,
        saved: &mut Saved,
        scratch: &mut Scratch,
        x: &[f32],
    ) {
        let BlockPass { simd, values, rows, .. } = *pass;
        let outputs = self.config.feed_forward_outputs();
        let y = &mut scratch.y[..x.len()];
        layer.feed_forward_norm.forward(simd, values, x, &mut saved.feed_forward_normed, rows, y);
        let pre = &mut saved.hidden[rows.start * outputs..rows.end * outputs];
        let after = &mut scratch.hidden[..rows.len() * self.config.feed_forward];
        layer.feed_forward_in.product(values, y, pre);
        activate(simd, self.config.activation, pre, layer.feed_forward_in.bias(values), after);
        layer.feed_forward_out.forward(simd, values, after, y);
    }

    fn head_width(&self) -> usize {
        self.width / self.config.heads
    }

    fn heads<'a>(&self, pass: &BlockPass<'a>) -> impl Iterator<Item = (&'a Span, usize)> + use<'a> {
        let heads = self.config.heads;
        pass.spans.iter().flat_map(move |span| (0..heads).map(move |h| (span, h)))
    }

    /// Head `h` of a sequence; `qkv` starts at row `first`.
    fn head<'a>(&self, qkv: &'a [f32], span: &Span, first: usize, h: usize) -> Head<'a> {
        let (dim, width) = (self.head_width(), self.width);
        Head {
            rows: &qkv[(span.start - first) * 3 * width..],
            stride: 3 * width,
            query: h * dim,
            key: width + h * dim,
            value: 2 * width + h * dim,
            len: span.len,
            dim,
            scale: 1.0 / (dim as f32).sqrt(),
            causal: !self.config.bidirectional,
        }
    }

    /// Where the probabilities of a sequence's head lie.
    fn scores(&self, span: &Span, h: usize) -> Range<usize> {
        let size = span.len * score_stride(span.len);
        let start = span.scores * self.config.heads + h * size;
        start..start + size
    }

    /// Rotates queries and keys where positions are rotary.
    fn rotate(&self, pass: &BlockPass<'_>, qkv: &mut [f32], sign: f32) {
        if self.config.positions != Positions::Rotary {
            return;
        }
        let dim = self.head_width();
        for span in pass.spans {
            let start = (span.start - pass.rows.start) * 3 * self.width;
            let rows = qkv[start..].chunks_exact_mut(3 * self.width);
            for (row, angles) in rows.zip(self.fixed.chunks_exact(dim)).take(span.len) {
                let (cosines, sines) = angles.split_at(dim / 2);
                for head in row[..2 * self.width].chunks_exact_mut(dim) {
                    rotate(pass.simd, head, cosines, sines, sign);
                }
            }
        }
    }
}

/// Adds a sub-layer's output, some of it dropped and the rest perhaps gated, to the residual
/// stream.
fn join(
    pass: &BlockPass<'_>,
    dropout: Option<Dropout>,
    gate: Option<(&Linear, &mut SavedGate)>,
    y: &mut [f32],
    x: &mut [f32],
) {
    let y = &mut y[..x.len()];
    if let Some(dropout) = dropout {
        dropout.apply(pass.simd, pass.first, y);
    }
    let Some((linear, saved)) = gate else {
        add_scaled(pass.simd, x, y, 1.0);
        return;
    };
    let at = pass.rows.start * linear.inputs..pass.rows.end * linear.inputs;
    saved.x[at.clone()].copy_from_slice(x);
    saved.y[at.clone()].copy_from_slice(y);
    let gate = &mut saved.gate[at];
    linear.product(pass.values, x, gate);
    add_gated(pass.simd, x, y, gate, linear.bias(pass.values));
}

impl SavedGate {
    fn reserve(&mut self, len: usize) {
        [&mut self.x, &mut self.y, &mut self.gate]
            .into_iter()
            .for_each(|values| values.resize(len, 0.0));
    }
}

/// What one block's passes share.
#[derive(Debug, Clone, Copy)]
struct BlockPass<'a> {
    simd: Simd,
    /// All weights.
    values: &'a [f32],
    spans: &'a [Span],
    /// Within the piece.
    rows: &'a Range<usize>,
    /// The block's first element within the batch's `T × width`.
    first: usize,
}

/// `length × width`: see [`Positions::Sinusoidal`].
pub fn sinusoids(length: usize, width: usize) -> Vec<f32> {
    let entry = |i: usize| {
        let (place, dimension) = ((i / width) as f64, i % width);
        let angle = place / 10_000f64.powf((dimension / 2 * 2) as f64 / width as f64);
        (if dimension % 2 == 0 { angle.sin() } else { angle.cos() }) as f32
    };
    (0..length * width).map(entry).collect()
}

/// `length × dim`: for each place the cosines, then the sines, of its `dim / 2` angles.
fn rotations(length: usize, dim: usize) -> Vec<f32> {
    let half = dim / 2;
    let entry = |i: usize| {
        let (place, k) = ((i / dim) as f64, i % dim);
        let angle = place / 10_000f64.powf((2 * (k % half)) as f64 / dim as f64);
        (if k < half { angle.cos() } else { angle.sin() }) as f32
    };
    (0..length * dim).map(entry).collect()
}
