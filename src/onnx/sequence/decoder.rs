//! The decoder's nodes.

use super::{History, SequenceGraph, TokenTable, UNSEEN};
use crate::onnx::{
    Dense, NORM_EPSILON, finite,
    graph::{Graph, float, int, ints},
};
use std::borrow::Cow;

/// Pre-norm blocks of causal attention and feed-forward layers.
pub struct DecoderGraph<'a> {
    pub heads: usize,
    /// Tokens are multiplied by it.
    pub scale: f32,
    pub activation: Activation,
    pub positions: Positions<'a>,
    pub blocks: Vec<Block<'a>>,
    pub final_norm: Option<Norm<'a>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    Relu,
    Elu,
    /// `x·Φ(x)`, exactly.
    Gelu,
    /// `a·σ(a)·b` of the two halves of the first feed-forward layer's outputs.
    Swiglu,
}

/// Positions are counted from the oldest item, which has 0, unless a variant says otherwise.
pub enum Positions<'a> {
    None,
    /// A row for each of `length + sos` positions, added to the token.
    Added(Cow<'a, [f32]>),
    /// The same counted from the newest item, which has 0: a row for each of `length` slots.
    AddedFromNewest(Cow<'a, [f32]>),
    /// Queries and keys are rotated by `position / 10000^(2k/h)` in the dimensions `k` and `k +
    /// h/2` of a head of width `h`.
    Rotary,
}

#[derive(Clone, Copy)]
pub struct Norm<'a> {
    pub gamma: &'a [f32],
    pub beta: &'a [f32],
}

/// `qkv` maps to queries, keys and values side by side, each head by head.
#[derive(Clone, Copy)]
pub struct Block<'a> {
    pub attention_norm: Norm<'a>,
    pub qkv: Dense<'a>,
    pub attention_output: Dense<'a>,
    pub feed_forward_norm: Norm<'a>,
    pub feed_forward_in: Dense<'a>,
    pub feed_forward_out: Dense<'a>,
    /// `σ` of its outputs multiplies what attention adds to the residual stream.
    pub attention_gate: Option<Dense<'a>>,
    /// The same of the feed-forward layers.
    pub feed_forward_gate: Option<Dense<'a>>,
}

impl DecoderGraph<'_> {
    pub(super) fn check(&self, width: usize, slots: usize) -> Result<(), String> {
        if self.heads == 0 || !width.is_multiple_of(self.heads) {
            return Err(format!("{} heads do not divide the width {width}", self.heads));
        }
        if self.blocks.is_empty() {
            return Err("it has no blocks".to_owned());
        }
        match &self.positions {
            Positions::Added(table) | Positions::AddedFromNewest(table)
                if table.len() != slots * width =>
            {
                return Err(format!("{} numbers are no positions {slots} × {width}", table.len()));
            }
            Positions::Added(table) | Positions::AddedFromNewest(table) => {
                finite(table, "positions")?
            }
            Positions::Rotary if !(width / self.heads).is_multiple_of(2) => {
                return Err("rotary positions need heads of even width".to_owned());
            }
            Positions::Rotary | Positions::None => {}
        }
        let norm = |norm: &Norm<'_>| {
            if norm.gamma.len() != width || norm.beta.len() != width {
                return Err(format!("a norm is not {width} wide"));
            }
            finite(norm.gamma, "norm").and_then(|()| finite(norm.beta, "norm"))
        };
        for block in &self.blocks {
            norm(&block.attention_norm)?;
            norm(&block.feed_forward_norm)?;
            let hidden = block.feed_forward_in.outputs;
            block.qkv.check(width, 3 * width)?;
            block.attention_output.check(width, width)?;
            block.feed_forward_in.check(width, hidden)?;
            let halves = self.activation == Activation::Swiglu;
            if halves && !hidden.is_multiple_of(2) {
                return Err(format!("{hidden} outputs of a feed-forward layer are no two halves"));
            }
            block.feed_forward_out.check(if halves { hidden / 2 } else { hidden }, width)?;
            for gate in block.attention_gate.iter().chain(&block.feed_forward_gate) {
                gate.check(width, width)?;
            }
        }
        self.final_norm.as_ref().map_or(Ok(()), norm)
    }
}

impl<'a> Graph<'a> {
    /// The decoder's vector, `[batch, width]`.
    pub(super) fn decoder(
        &mut self,
        sequence: &SequenceGraph<'a>,
        decoder: &DecoderGraph<'a>,
    ) -> String {
        let (length, width) = (sequence.length, sequence.input_width());
        let most = length + usize::from(sequence.sos);
        let History { items, tokens: mut x, slots } = self.read_history(sequence);
        let empty = self.is_empty_slot(sequence, &items);
        // What each slot adds to the scores of those who look at it; slot 0 always stands for
        // something.
        let unseen = (0..length).map(|slot| if slot == 0 { 0.0 } else { UNSEEN }).collect();
        let unseen = self.floats("unseen_slots", vec![1, length as i64], unseen);
        let unseen = self.first("unseen", &unseen, 1, &slots);
        let zero = self.scalar("zero", 0.0);
        let mut mask = self.node("Where", "slot_mask", &[&empty, &unseen, &zero], vec![]);
        if sequence.sos {
            let first = self.cut("first_token", &x, 1, 0..1);
            let last_row = |table: &TokenTable<'a>| {
                table.table[(table.rows - 1) * table.width..][..table.dim].to_vec()
            };
            let mut row = last_row(&sequence.tokens);
            let age = sequence.ages.as_ref().map(last_row).unwrap_or_default();
            match sequence.ages_added {
                true => row.iter_mut().zip(age).for_each(|(x, age)| *x += age),
                false => row.extend(age),
            }
            let start = self.constant_like("start_token", &first, vec![1, 1, width as i64], row);
            x = self.node("Concat", "with_start", &[&x, &start], vec![int("axis", 1)]);
            let seen = self.cut("seen", &mask, 1, 0..1);
            mask = self.node("Concat", "mask_with_start", &[&mask, &seen], vec![int("axis", 1)]);
        }
        if decoder.scale != 1.0 {
            let scale = self.scalar("token_scale", decoder.scale);
            x = self.node("Mul", "tokens_scaled", &[&x, &scale], vec![]);
        }
        let mut angles = None;
        match &decoder.positions {
            Positions::None => {}
            Positions::Added(table) => {
                let places = self.places(sequence, &empty, &slots);
                let table =
                    self.floats("positions", vec![most as i64, width as i64], table.to_vec());
                let rows =
                    self.node("Gather", "position_rows", &[&table, &places], vec![int("axis", 0)]);
                x = self.node("Add", "tokens_placed", &[&x, &rows], vec![]);
            }
            Positions::AddedFromNewest(table) => {
                let table =
                    self.floats("positions", vec![1, most as i64, width as i64], table.to_vec());
                let rows = self.first("position_rows", &table, 1, &slots);
                x = self.node("Add", "tokens_placed", &[&x, &rows], vec![]);
            }
            Positions::Rotary => {
                let places = self.places(sequence, &empty, &slots);
                angles = Some(self.angles(most, width / decoder.heads, &places));
            }
        }
        let axes = self.integers("mask_axes", vec![2], vec![1, 2]);
        let mask = self.node("Unsqueeze", "mask", &[&mask, &axes], vec![]);
        let causal = (decoder.blocks.len() > 1).then(|| {
            let later =
                (0..most * most).map(|i| if i % most < i / most { UNSEEN } else { 0.0 }).collect();
            let mut later = self.floats("later_slots", vec![1, 1, most as i64, most as i64], later);
            let mut rows = slots.clone();
            if sequence.sos {
                let start = self.integers("start_slot", vec![1], vec![1]);
                rows = self.node("Add", "slots_with_start", &[&rows, &start], vec![]);
            }
            later = self.first("later_rows", &later, 2, &rows);
            later = self.first("later", &later, 3, &rows);
            self.node("Add", "causal_mask", &[&mask, &later], vec![])
        });
        for (i, block) in decoder.blocks.iter().enumerate() {
            // Nobody reads any but the newest slot after the last block.
            let last = i + 1 == decoder.blocks.len();
            let mask = causal.as_ref().filter(|_| !last).unwrap_or(&mask).clone();
            x = self.block(
                i,
                decoder,
                block,
                &x,
                Seen { newest_only: last, mask, angles: angles.clone() },
            );
        }
        if let Some(norm) = &decoder.final_norm {
            x = self.layer_norm("final_norm", norm, &x);
        }
        let shape = self.integers("vector_shape", vec![2], vec![0, width as i64]);
        self.node("Reshape", "vector", &[&x, &shape], vec![])
    }

    fn block(
        &mut self,
        i: usize,
        decoder: &DecoderGraph<'a>,
        block: &Block<'a>,
        x: &str,
        seen: Seen,
    ) -> String {
        let id = format!("block_{i}");
        let p = |part: &str| format!("{id}_{part}");
        let width = block.attention_output.inputs;
        let heads = decoder.heads;
        let head = width / heads;
        let normed = self.layer_norm(&p("attention_norm"), &block.attention_norm, x);
        let (asking, residual) = if seen.newest_only {
            (self.cut(&p("newest_normed"), &normed, 1, 0..1), self.cut(&p("newest"), x, 1, 0..1))
        } else {
            (normed.clone(), x.to_owned())
        };
        let split = |graph: &mut Self, part: usize, x: &str, factor: f32, transposed: bool| {
            let name = p(["queries", "keys", "values"][part]);
            let y = graph.columns(&name, &block.qkv, part * width..(part + 1) * width, factor, x);
            let shape = vec![0, 0, heads as i64, head as i64];
            let shape = graph.integers(&format!("{name}_shape"), vec![4], shape);
            let mut y = graph.node("Reshape", &format!("{name}_split"), &[&y, &shape], vec![]);
            if let Some(angles) = seen.angles.as_ref().filter(|_| part < 2) {
                y = graph.rotate(&name, &y, angles, part == 0 && seen.newest_only, head);
            }
            let order: &[i64] = if transposed { &[0, 2, 3, 1] } else { &[0, 2, 1, 3] };
            graph.node("Transpose", &format!("{name}_heads"), &[&y], vec![ints("perm", order)])
        };
        // The scale of the scores is in the queries.
        let q = split(self, 0, &asking, 1.0 / (head as f32).sqrt(), false);
        let k = split(self, 1, &normed, 1.0, true);
        let v = split(self, 2, &normed, 1.0, false);
        let scores = self.node("MatMul", &p("scores"), &[&q, &k], vec![]);
        let scores = self.node("Add", &p("scores_masked"), &[&scores, &seen.mask], vec![]);
        let weights = self.node("Softmax", &p("weights"), &[&scores], vec![int("axis", -1)]);
        let y = self.node("MatMul", &p("heads"), &[&weights, &v], vec![]);
        let y =
            self.node("Transpose", &p("heads_by_slot"), &[&y], vec![ints("perm", &[0, 2, 1, 3])]);
        let shape = self.integers(&p("heads_shape"), vec![3], vec![0, 0, width as i64]);
        let y = self.node("Reshape", &p("heads_joined"), &[&y, &shape], vec![]);
        let y = self.columns(&p("attention"), &block.attention_output, 0..width, 1.0, &y);
        let y = self.gated(&p("attention_gate"), block.attention_gate.as_ref(), &residual, y);
        let x = self.node("Add", &p("attended"), &[&residual, &y], vec![]);
        let y = self.layer_norm(&p("feed_forward_norm"), &block.feed_forward_norm, &x);
        let y = self.hidden(&p("feed_forward_in"), decoder.activation, block, &y);
        let y = self.columns(&p("feed_forward_out"), &block.feed_forward_out, 0..width, 1.0, &y);
        let y = self.gated(&p("feed_forward_gate"), block.feed_forward_gate.as_ref(), &x, y);
        self.node("Add", &p("out"), &[&x, &y], vec![])
    }

    /// What a sub-layer made of the residual stream `x`, through its gate where it has one.
    fn gated(&mut self, name: &str, gate: Option<&Dense<'a>>, x: &str, y: String) -> String {
        let Some(gate) = gate else { return y };
        let open = self.columns(&format!("{name}_open"), gate, 0..gate.outputs, 1.0, x);
        let open = self.node("Sigmoid", &format!("{name}_share"), &[&open], vec![]);
        self.node("Mul", name, &[&open, &y], vec![])
    }

    /// The hidden layer of the feed-forward part.
    fn hidden(&mut self, name: &str, activation: Activation, block: &Block<'a>, x: &str) -> String {
        let (layer, width) = (&block.feed_forward_in, block.feed_forward_out.inputs);
        let first = self.columns(name, layer, 0..width, 1.0, x);
        let name = format!("{name}_activation");
        match activation {
            Activation::Relu => self.node("Relu", &name, &[&first], vec![]),
            Activation::Elu => self.node("Elu", &name, &[&first], vec![]),
            Activation::Gelu => {
                let root = self.scalar(&format!("{name}_root"), std::f32::consts::FRAC_1_SQRT_2);
                let half = self.scalar(&format!("{name}_half"), 0.5);
                let y = self.node("Mul", &format!("{name}_scaled"), &[&first, &root], vec![]);
                let y = self.node("Erf", &format!("{name}_erf"), &[&y], vec![]);
                let y = self.node("Mul", &format!("{name}_erf_half"), &[&y, &half], vec![]);
                let y = self.node("Add", &format!("{name}_share"), &[&y, &half], vec![]);
                self.node("Mul", &name, &[&first, &y], vec![])
            }
            Activation::Swiglu => {
                let second =
                    self.columns(&format!("{name}_second"), layer, width..2 * width, 1.0, x);
                let share = self.node("Sigmoid", &format!("{name}_share"), &[&first], vec![]);
                let y = self.node("Mul", &format!("{name}_silu"), &[&first, &share], vec![]);
                self.node("Mul", &name, &[&y, &second], vec![])
            }
        }
    }

    /// The position of every slot, counted from the oldest item: `[batch, slots]`.
    fn places(&mut self, sequence: &SequenceGraph<'a>, empty: &str, slots: &str) -> String {
        let (length, sos) = (sequence.length as i64, i64::from(sequence.sos));
        let (zero, one) =
            (self.integers("no", vec![1], vec![0]), self.integers("yes", vec![1], vec![1]));
        let ones = self.node("Where", "is_filled", &[empty, &zero, &one], vec![]);
        let axis = self.integers("count_axis", vec![1], vec![1]);
        let count = self.node("ReduceSum", "count", &[&ones, &axis], vec![int("keepdims", 1)]);
        // Newest first: slot s of n items is item n − 1 − s, one later after a start token; the
        // start token itself is 0.
        let after = (0..length).map(|slot| slot + 1 - sos).collect();
        let after = self.integers("after_slots", vec![1, length], after);
        let mut after = self.first("after", &after, 1, slots);
        if sequence.sos {
            let all = self.integers("after_start", vec![1, 1], vec![length]);
            after = self.node("Concat", "after_with_start", &[&after, &all], vec![int("axis", 1)]);
        }
        let places = self.node("Sub", "places_or_less", &[&count, &after], vec![]);
        self.node("Max", "places", &[&places, &zero], vec![])
    }

    /// Cosines and sines `[batch, slots, 1, head / 2]` of the angles at every place.
    fn angles(&mut self, slots: usize, head: usize, places: &str) -> (String, String) {
        let half = head / 2;
        let angle = |i: usize| {
            let (place, k) = ((i / half) as f64, (i % half) as f64);
            place / 10_000f64.powf(2.0 * k / head as f64)
        };
        let mut table = |name: &str, values: Vec<f32>| {
            let table =
                self.floats(&format!("{name}_table"), vec![slots as i64, half as i64], values);
            let rows = self.node(
                "Gather",
                &format!("{name}_rows"),
                &[&table, places],
                vec![int("axis", 0)],
            );
            let axis = self.integers(&format!("{name}_axis"), vec![1], vec![2]);
            self.node("Unsqueeze", name, &[&rows, &axis], vec![])
        };
        let all = 0..slots * half;
        let cosines = table("cosines", all.clone().map(|i| angle(i).cos() as f32).collect());
        (cosines, table("sines", all.map(|i| angle(i).sin() as f32).collect()))
    }

    /// Rotates `[batch, slots, heads, head]`, or the newest slot alone, by the angles of the slots.
    fn rotate(
        &mut self,
        id: &str,
        x: &str,
        (cosines, sines): &(String, String),
        newest_only: bool,
        head: usize,
    ) -> String {
        let p = |part: &str| format!("{id}_{part}");
        let (mut cos, mut sin) = (cosines.clone(), sines.clone());
        if newest_only {
            (cos, sin) =
                (self.cut(&p("cosine"), &cos, 1, 0..1), self.cut(&p("sine"), &sin, 1, 0..1));
        }
        let (low, high) =
            (self.cut(&p("low"), x, 3, 0..head / 2), self.cut(&p("high"), x, 3, head / 2..head));
        let mut product =
            |part: &str, a: &str, b: &str| self.node("Mul", &p(part), &[a, b], vec![]);
        let (a, b) = (product("low_cos", &low, &cos), product("high_sin", &high, &sin));
        let (c, d) = (product("low_sin", &low, &sin), product("high_cos", &high, &cos));
        let low = self.node("Sub", &p("low_rotated"), &[&a, &b], vec![]);
        let high = self.node("Add", &p("high_rotated"), &[&c, &d], vec![]);
        self.node("Concat", &p("rotated"), &[&low, &high], vec![int("axis", -1)])
    }

    fn layer_norm(&mut self, name: &str, norm: &Norm<'a>, x: &str) -> String {
        let width = norm.gamma.len() as i64;
        let gamma = self.floats(&format!("{name}_gamma"), vec![width], norm.gamma.to_vec());
        let beta = self.floats(&format!("{name}_beta"), vec![width], norm.beta.to_vec());
        let attributes = vec![int("axis", -1), float("epsilon", NORM_EPSILON)];
        self.node("LayerNormalization", name, &[x, &gamma, &beta], attributes)
    }

    /// `factor · (x·weight + bias)` in some of a layer's columns.
    fn columns(
        &mut self,
        name: &str,
        layer: &Dense<'a>,
        columns: std::ops::Range<usize>,
        factor: f32,
        x: &str,
    ) -> String {
        let rows = layer.weight.chunks_exact(layer.outputs);
        let weight: Vec<f32> =
            rows.flat_map(|row| &row[columns.clone()]).map(|w| factor * w).collect();
        let bias: Vec<f32> = layer.bias[columns.clone()].iter().map(|b| factor * b).collect();
        let width = columns.len() as i64;
        let weight =
            self.floats(&format!("{name}_weight"), vec![layer.inputs as i64, width], weight);
        let bias = self.floats(&format!("{name}_bias"), vec![width], bias);
        let y = self.node("MatMul", &format!("{name}_product"), &[x, &weight], vec![]);
        self.node("Add", name, &[&y, &bias], vec![])
    }
}

/// Who looks at whom in a block.
struct Seen {
    /// Only slot 0 asks.
    newest_only: bool,
    mask: String,
    angles: Option<(String, String)>,
}
