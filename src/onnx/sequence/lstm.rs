//! The LSTM's nodes.

use super::{History, SequenceGraph, UNSEEN};
use crate::onnx::{
    finite,
    graph::{Graph, int, ints},
};
use std::borrow::Cow;

pub struct LstmGraph<'a> {
    pub layers: Vec<LstmLayer<'a>>,
    /// `y·scale + shift` after the last layer.
    pub affine: Option<(Vec<f32>, Vec<f32>)>,
    /// The newest output attends to all: softmax of their inner products as weights.
    pub attention: bool,
}

/// Gates in the order input, forget, cell, output; `input` is `inputs × 4·hidden`, `recurrent`
/// `hidden × 4·hidden`.
pub struct LstmLayer<'a> {
    pub inputs: usize,
    pub hidden: usize,
    pub input: Cow<'a, [f32]>,
    pub recurrent: &'a [f32],
    pub bias: Cow<'a, [f32]>,
}

impl LstmGraph<'_> {
    pub(super) fn check(&self, width: usize) -> Result<(), String> {
        let mut width = width;
        for (i, layer) in self.layers.iter().enumerate() {
            let gates = 4 * layer.hidden;
            let fits = layer.input.len() == width * gates
                && layer.inputs == width
                && layer.recurrent.len() == layer.hidden * gates
                && layer.bias.len() == gates;
            if !fits || layer.hidden == 0 {
                return Err(format!(
                    "LSTM layer {i} does not map {width} to {} columns",
                    layer.hidden
                ));
            }
            finite(&layer.input, "LSTM")?;
            finite(layer.recurrent, "LSTM")?;
            finite(&layer.bias, "LSTM")?;
            width = layer.hidden;
        }
        match &self.affine {
            _ if self.layers.is_empty() => Err("it has no layers".to_owned()),
            Some((scale, shift)) if scale.len() != width || shift.len() != width => {
                Err(format!("its last scale and shift are not {width} wide"))
            }
            Some((scale, shift)) => finite(scale, "scale").and_then(|()| finite(shift, "shift")),
            None => Ok(()),
        }
    }
}

impl<'a> Graph<'a> {
    /// The LSTM's vector, `[batch, hidden]`. It reads slots in the order of time, so empty ones
    /// come first; a flag beside the token closes the gates there, which keeps the state at zero,
    /// where it starts, until the first item.
    pub(super) fn lstm(&mut self, sequence: &SequenceGraph<'a>, lstm: &LstmGraph<'a>) -> String {
        let History { items, tokens, slots } = self.read_history(sequence);
        let empty = self.is_empty_slot(sequence, &items);
        // Slot 0 always stands for something.
        let closed = (0..sequence.length).map(|slot| if slot == 0 { 0.0 } else { 1.0 }).collect();
        let closed = self.floats("closed_slots", vec![1, sequence.length as i64], closed);
        let closed = self.first("closed", &closed, 1, &slots);
        let zero = self.scalar("zero", 0.0);
        let flags = self.node("Where", "flags_newest_first", &[&empty, &closed, &zero], vec![]);
        // The last `slots` of a falling row of numbers end in 0.
        let all = self.integers("all_slots", vec![1], vec![sequence.length as i64]);
        let skipped = self.node("Sub", "slots_not_there", &[&all, &slots], vec![]);
        let falling = (0..sequence.length as i64).rev().collect();
        let falling = self.integers("falling", vec![sequence.length as i64], falling);
        let by_time = self.part("by_time", &falling, 0, &skipped, &all);
        let flags = self.node("Gather", "flags", &[&flags, &by_time], vec![int("axis", 1)]);
        let x = self.node("Gather", "tokens_by_time", &[&tokens, &by_time], vec![int("axis", 1)]);
        let axis = self.integers("flag_axis", vec![1], vec![2]);
        let flag = self.node("Unsqueeze", "flag_column", &[&flags, &axis], vec![]);
        let flag = self.node("Transpose", "flag_by_time", &[&flag], vec![ints("perm", &[1, 0, 2])]);
        let mut y = self.node("Transpose", "steps", &[&x], vec![ints("perm", &[1, 0, 2])]);
        for (i, layer) in lstm.layers.iter().enumerate() {
            let x = self.node(
                "Concat",
                &format!("lstm_{i}_input"),
                &[&y, &flag],
                vec![int("axis", -1)],
            );
            y = self.lstm_layer(i, layer, &x, &flag);
        }
        let width = sequence.encoder_width() as i64;
        let mut y = self.node("Transpose", "outputs", &[&y], vec![ints("perm", &[1, 0, 2])]);
        if let Some((scale, shift)) = &lstm.affine {
            let scale = self.floats("output_scale", vec![width], scale.clone());
            let shift = self.floats("output_shift", vec![width], shift.clone());
            y = self.node("Mul", "outputs_scaled", &[&y, &scale], vec![]);
            y = self.node("Add", "outputs_shifted", &[&y, &shift], vec![]);
        }
        let one = self.integers("one_slot", vec![1], vec![1]);
        let last = self.node("Sub", "last_slot", &[&slots, &one], vec![]);
        let mut newest = self.part("newest", &y, 1, &last, &slots);
        if lstm.attention {
            let keys = self.node("Transpose", "keys", &[&y], vec![ints("perm", &[0, 2, 1])]);
            let scores = self.node("MatMul", "scores", &[&newest, &keys], vec![]);
            let unseen = self.scalar("unseen", UNSEEN);
            let mask = self.node("Mul", "slot_mask", &[&flags, &unseen], vec![]);
            let axis = self.integers("mask_axis", vec![1], vec![1]);
            let mask = self.node("Unsqueeze", "mask", &[&mask, &axis], vec![]);
            let scores = self.node("Add", "scores_masked", &[&scores, &mask], vec![]);
            let weights = self.node("Softmax", "weights", &[&scores], vec![int("axis", -1)]);
            newest = self.node("MatMul", "attended", &[&weights, &y], vec![]);
        }
        let shape = self.integers("vector_shape", vec![2], vec![0, width]);
        self.node("Reshape", "vector", &[&newest, &shape], vec![])
    }

    /// One layer over `[length, batch, inputs + flag]`: `[length, batch, hidden]`. `flag` is
    /// `[length, batch, 1]`.
    fn lstm_layer(&mut self, i: usize, layer: &LstmLayer<'a>, x: &str, flag: &str) -> String {
        let p = |part: &str| format!("lstm_{i}_{part}");
        let LstmLayer { inputs, hidden, .. } = *layer;
        // ONNX has the gates as input, output, forget, cell, and the weights transposed.
        let gates = [0, 3, 1, 2];
        let transposed = |weight: &[f32], rows: usize, flag: Option<[f32; 4]>| {
            let mut out = Vec::with_capacity(4 * hidden * (rows + 1));
            for gate in gates {
                for unit in 0..hidden {
                    out.extend(
                        (0..rows).map(|row| weight[row * 4 * hidden + gate * hidden + unit]),
                    );
                    out.extend(flag.map(|flag| flag[gate]));
                }
            }
            out
        };
        // Enough to bring a sigmoid to exactly 0 whatever else is added.
        let shut = [-1e4, -1e4, 0.0, 0.0];
        let (n, h) = (inputs as i64 + 1, hidden as i64);
        let weight =
            self.floats(&p("w"), vec![1, 4 * h, n], transposed(&layer.input, inputs, Some(shut)));
        let recurrent =
            self.floats(&p("r"), vec![1, 4 * h, h], transposed(layer.recurrent, hidden, None));
        let mut bias = transposed(&layer.bias, 1, None);
        bias.resize(8 * hidden, 0.0);
        let bias = self.floats(&p("b"), vec![1, 8 * h], bias);
        // Said in full, because tract makes no zeros for a batch of any size.
        let first = self.cut(&p("first"), flag, 0, 0..1);
        let start = self.constant_like(&p("start"), &first, vec![1, 1, h], vec![0.0; hidden]);
        let inputs: [&str; 7] = [x, &weight, &recurrent, &bias, "", &start, &start];
        let y = self.node("LSTM", &p("states"), &inputs, vec![int("hidden_size", h)]);
        let axis = self.integers(&p("axis"), vec![1], vec![1]);
        self.node("Squeeze", &p("out"), &[&y, &axis], vec![])
    }
}
