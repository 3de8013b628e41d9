//! A sequence encoder as ONNX nodes: histories newest first in, the vector at their newest item out.
//!
//! Slot 0 of a row holds the newest item; slots without an item hold the table's last row and are masked, so they never
//! reach the result. Slot 0 is never masked: what it holds of an empty history stands for it.

use super::graph::{Graph, OUTPUT, int};

mod decoder;
mod lstm;

pub use decoder::{Activation, Block, DecoderGraph, Norm, Positions};
pub use lstm::{LstmGraph, LstmLayer};

/// Added to the score of what must not be seen: far below every score, and twice of it is still a number.
const UNSEEN: f32 = -1e9;

/// A sequence encoder to write, over tokens gathered from tables. `indices` are `length` rows of `tokens` a history and, with
/// `ages`, as many of those.
pub struct SequenceGraph<'a> {
    /// Name of the graph, for people.
    pub name: &'a str,
    pub length: usize,
    pub tokens: TokenTable<'a>,
    pub ages: Option<TokenTable<'a>>,
    /// Every history begins with the last row of the tables (decoders only).
    pub sos: bool,
    pub encoder: EncoderGraph<'a>,
    /// The vector ends in a 1.
    pub bias: bool,
}

/// `rows × width`, row-major; a token takes the first `dim` numbers of a row. The last row is that of empty slots.
#[derive(Clone, Copy)]
pub struct TokenTable<'a> {
    pub table: &'a [f32],
    pub rows: usize,
    pub width: usize,
    pub dim: usize,
}

pub enum EncoderGraph<'a> {
    Decoder(DecoderGraph<'a>),
    Lstm(LstmGraph<'a>),
}

impl SequenceGraph<'_> {
    /// Columns of `indices`.
    pub fn width(&self) -> usize {
        self.length * (1 + usize::from(self.ages.is_some()))
    }

    /// Length of the vector.
    pub fn dim(&self) -> usize {
        self.encoder_width() + usize::from(self.bias)
    }

    fn input_width(&self) -> usize {
        self.tokens.dim + self.ages.map_or(0, |ages| ages.dim)
    }

    fn encoder_width(&self) -> usize {
        match &self.encoder {
            EncoderGraph::Decoder(_) => self.input_width(),
            EncoderGraph::Lstm(lstm) => lstm.layers.last().map_or(0, |layer| layer.hidden),
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.length == 0 {
            return Err("it reads no positions".to_owned());
        }
        for TokenTable { table, rows, width, dim } in std::iter::once(&self.tokens).chain(&self.ages) {
            if *rows == 0 || *dim == 0 || dim > width || rows.checked_mul(*width) != Some(table.len()) {
                return Err(format!("a table has {} numbers, not {rows} × {width} with {dim} in use", table.len()));
            }
            super::finite(table, "table")?;
        }
        match &self.encoder {
            EncoderGraph::Decoder(decoder) => decoder.check(self.input_width(), self.length + usize::from(self.sos)),
            EncoderGraph::Lstm(_) if self.sos => Err("an LSTM takes no start token".to_owned()),
            EncoderGraph::Lstm(lstm) => lstm.check(self.input_width()),
        }
    }
}

impl<'a> Graph<'a> {
    /// `sequence` must have passed its check.
    pub(super) fn of_sequence(sequence: &SequenceGraph<'a>) -> Self {
        let mut graph = Self {
            name: sequence.name,
            doc: describe(sequence),
            nodes: Vec::new(),
            constants: Vec::new(),
            indices: Some(sequence.width()),
            numbers: None,
            dim: sequence.dim(),
        };
        let x = match &sequence.encoder {
            EncoderGraph::Decoder(decoder) => graph.decoder(sequence, decoder),
            EncoderGraph::Lstm(lstm) => graph.lstm(sequence, lstm),
        };
        let x = if sequence.bias {
            let first = graph.cut("first_number", &x, 1, 0..1);
            let one = graph.constant_like("one", &first, vec![1, 1], vec![1.0]);
            graph.node("Concat", "with_one", &[&x, &one], vec![int("axis", 1)])
        } else {
            x
        };
        graph.node("Identity", OUTPUT, &[&x], vec![]);
        graph
    }

    /// Token rows `[batch, length, width]` of the columns of `indices`, and the columns that name items.
    fn token_rows(&mut self, sequence: &SequenceGraph<'a>, indices: &str) -> (String, String) {
        let length = sequence.length;
        let Some(ages) = &sequence.ages else {
            return (self.rows_of("item", &sequence.tokens, indices), indices.to_owned());
        };
        let window = self.cut("item_columns", indices, 1, 0..length);
        let age_window = self.cut("age_columns", indices, 1, length..2 * length);
        let items = self.rows_of("item", &sequence.tokens, &window);
        let ages = self.rows_of("age", ages, &age_window);
        (self.node("Concat", "tokens", &[&items, &ages], vec![int("axis", -1)]), window)
    }

    fn rows_of(&mut self, name: &str, table: &TokenTable<'a>, window: &str) -> String {
        let values = self.table(&format!("{name}_table"), table.table, table.rows, table.width);
        let rows = self.node("Gather", &format!("{name}_rows"), &[&values, window], vec![int("axis", 0)]);
        if table.dim == table.width { rows } else { self.cut(&format!("{name}_tokens"), &rows, 2, 0..table.dim) }
    }

    fn is_empty_slot(&mut self, sequence: &SequenceGraph<'a>, window: &str) -> String {
        let padding = self.integers("padding", vec![1], vec![sequence.tokens.rows as i64 - 1]);
        self.node("Equal", "is_empty", &[window, &padding], vec![])
    }

    /// A part along an axis.
    fn cut(&mut self, name: &str, x: &str, axis: i64, part: std::ops::Range<usize>) -> String {
        let starts = self.integers(&format!("{name}_starts"), vec![1], vec![part.start as i64]);
        let ends = self.integers(&format!("{name}_ends"), vec![1], vec![part.end as i64]);
        let axes = self.integers(&format!("{name}_axes"), vec![1], vec![axis]);
        self.node("Slice", name, &[x, &starts, &ends, &axes], vec![])
    }

    /// A constant repeated over the batch of `like`, whose numbers are finite.
    fn constant_like(&mut self, name: &str, like: &str, dims: Vec<i64>, values: Vec<f32>) -> String {
        let zero = self.scalar(&format!("{name}_zero"), 0.0);
        let values = self.floats(&format!("{name}_values"), dims, values);
        let zeros = self.node("Mul", &format!("{name}_zeros"), &[like, &zero], vec![]);
        self.node("Add", name, &[&zeros, &values], vec![])
    }
}

fn describe(sequence: &SequenceGraph<'_>) -> String {
    let encoder = match &sequence.encoder {
        EncoderGraph::Decoder(decoder) => format!("{} blocks of {} heads", decoder.blocks.len(), decoder.heads),
        EncoderGraph::Lstm(lstm) => {
            let widths: Vec<String> = lstm.layers.iter().map(|layer| layer.hidden.to_string()).collect();
            format!("LSTM layers {}{}", widths.join(" → "), if lstm.attention { ", attention" } else { "" })
        }
    };
    format!(
        "{}. Inputs: indices[0..{}], newest first, padding {}{}. Encoder: {encoder}, width {}.",
        sequence.name,
        sequence.length,
        sequence.tokens.rows - 1,
        if sequence.ages.is_some() { "; then their ages" } else { "" },
        sequence.dim(),
    )
}
