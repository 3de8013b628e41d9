//! A sequence encoder as ONNX nodes: histories newest first in, the vector at their newest item
//! out.
//!
//! The graph reads as many slots as it is given, up to the length of the model: a short history
//! costs what it is long, and empty slots behind it change nothing.
//!
//! Slot 0 of a row holds the newest item; slots without an item hold the table's last row and are
//! masked, so they never reach the result. Slot 0 is never masked: what it holds of an empty
//! history stands for it.

use super::graph::{Columns, Graph, INDICES, OUTPUT, int};

mod decoder;
mod lstm;

pub use decoder::{Activation, Block, DecoderGraph, Norm, Positions};
pub use lstm::{LstmGraph, LstmLayer};

/// Added to the score of what must not be seen: far below every score, and twice of it is still a
/// number.
const UNSEEN: f32 = -1e9;

/// A sequence encoder to write, over tokens gathered from tables. `indices` are 1 to `length` rows
/// of `tokens` a history and, with `ages`, as many of those.
pub struct SequenceGraph<'a> {
    /// Name of the graph, for people.
    pub name: &'a str,
    pub length: usize,
    pub tokens: TokenTable<'a>,
    pub ages: Option<TokenTable<'a>>,
    /// Ages are added to the tokens; otherwise they follow them.
    pub ages_added: bool,
    /// Every history begins with the last row of the tables (decoders only).
    pub sos: bool,
    pub encoder: EncoderGraph<'a>,
    /// The vector ends in a 1.
    pub bias: bool,
}

/// `rows × width`, row-major; a token takes the first `dim` numbers of a row. The last row is that
/// of empty slots.
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
    /// Length of the vector.
    pub fn dim(&self) -> usize {
        self.encoder_width() + usize::from(self.bias)
    }

    fn input_width(&self) -> usize {
        let following = self.ages.filter(|_| !self.ages_added);
        self.tokens.dim + following.map_or(0, |ages| ages.dim)
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
        for TokenTable { table, rows, width, dim } in
            std::iter::once(&self.tokens).chain(&self.ages)
        {
            if *rows == 0
                || *dim == 0
                || dim > width
                || rows.checked_mul(*width) != Some(table.len())
            {
                return Err(format!(
                    "a table has {} numbers, not {rows} × {width} with {dim} in use",
                    table.len()
                ));
            }
            super::finite(table, "table")?;
        }
        if let Some(ages) = self.ages.filter(|ages| self.ages_added && ages.dim != self.tokens.dim)
        {
            return Err(format!(
                "ages {} wide cannot be added to tokens {} wide",
                ages.dim, self.tokens.dim
            ));
        }
        match &self.encoder {
            EncoderGraph::Decoder(decoder)
                if self.sos && matches!(decoder.positions, Positions::AddedFromNewest(_)) =>
            {
                Err("a start token has no place counted from the newest item".to_owned())
            }
            EncoderGraph::Decoder(decoder) => {
                decoder.check(self.input_width(), self.length + usize::from(self.sos))
            }
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
            indices: Some(Columns::Free),
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

    /// What is read: the numbers of the items `[batch, slots]`, the token rows `[batch, slots,
    /// width]` and how many slots there are.
    fn read_history(&mut self, sequence: &SequenceGraph<'a>) -> History {
        let columns = self.node("Shape", "columns", &[INDICES], vec![int("start", 1)]);
        let Some(ages) = &sequence.ages else {
            let tokens = self.rows_of("item", &sequence.tokens, INDICES);
            return History { items: INDICES.to_owned(), tokens, slots: columns };
        };
        let two = self.integers("halves", vec![1], vec![2]);
        let slots = self.node("Div", "slots", &[&columns, &two], vec![]);
        let none = self.integers("no_columns", vec![1], vec![0]);
        let items = self.part("item_columns", INDICES, 1, &none, &slots);
        let item_ages = self.part("age_columns", INDICES, 1, &slots, &columns);
        let item_rows = self.rows_of("item", &sequence.tokens, &items);
        let age_rows = self.rows_of("age", ages, &item_ages);
        let rows = [item_rows.as_str(), &age_rows];
        let tokens = match sequence.ages_added {
            true => self.node("Add", "tokens", &rows, vec![]),
            false => self.node("Concat", "tokens", &rows, vec![int("axis", -1)]),
        };
        History { items, tokens, slots }
    }

    fn rows_of(&mut self, name: &str, table: &TokenTable<'a>, window: &str) -> String {
        let values = self.table(&format!("{name}_table"), table.table, table.rows, table.width);
        let rows =
            self.node("Gather", &format!("{name}_rows"), &[&values, window], vec![int("axis", 0)]);
        if table.dim == table.width {
            rows
        } else {
            self.cut(&format!("{name}_tokens"), &rows, 2, 0..table.dim)
        }
    }

    fn is_empty_slot(&mut self, sequence: &SequenceGraph<'a>, window: &str) -> String {
        let padding = self.integers("padding", vec![1], vec![sequence.tokens.rows as i64 - 1]);
        self.node("Equal", "is_empty", &[window, &padding], vec![])
    }

    /// A part along an axis.
    fn cut(&mut self, name: &str, x: &str, axis: i64, part: std::ops::Range<usize>) -> String {
        let start = self.integers(&format!("{name}_starts"), vec![1], vec![part.start as i64]);
        let end = self.integers(&format!("{name}_ends"), vec![1], vec![part.end as i64]);
        self.part(name, x, axis, &start, &end)
    }

    /// The part from one computed place to another.
    fn part(&mut self, name: &str, x: &str, axis: i64, start: &str, end: &str) -> String {
        let axes = self.integers(&format!("{name}_axes"), vec![1], vec![axis]);
        self.node("Slice", name, &[x, start, end, &axes], vec![])
    }

    /// The first `count` of the numbers along an axis.
    fn first(&mut self, name: &str, x: &str, axis: i64, count: &str) -> String {
        let start = self.integers(&format!("{name}_starts"), vec![1], vec![0]);
        self.part(name, x, axis, &start, count)
    }

    /// A constant repeated over the batch of `like`, whose numbers are finite.
    fn constant_like(
        &mut self,
        name: &str,
        like: &str,
        dims: Vec<i64>,
        values: Vec<f32>,
    ) -> String {
        let zero = self.scalar(&format!("{name}_zero"), 0.0);
        let values = self.floats(&format!("{name}_values"), dims, values);
        let zeros = self.node("Mul", &format!("{name}_zeros"), &[like, &zero], vec![]);
        self.node("Add", name, &[&zeros, &values], vec![])
    }
}

/// Names of values.
struct History {
    items: String,
    tokens: String,
    /// `[1]`
    slots: String,
}

fn describe(sequence: &SequenceGraph<'_>) -> String {
    let encoder = match &sequence.encoder {
        EncoderGraph::Decoder(decoder) => {
            format!("{} blocks of {} heads", decoder.blocks.len(), decoder.heads)
        }
        EncoderGraph::Lstm(lstm) => {
            let widths: Vec<String> =
                lstm.layers.iter().map(|layer| layer.hidden.to_string()).collect();
            format!(
                "LSTM layers {}{}",
                widths.join(" → "),
                if lstm.attention { ", attention" } else { "" }
            )
        }
    };
    format!(
        "{}. Inputs: indices of up to {} items, newest first, padding {}{}. Encoder: {encoder}, width {}.",
        sequence.name,
        sequence.length,
        sequence.tokens.rows - 1,
        if sequence.ages.is_some() { "; then their ages" } else { "" },
        sequence.dim(),
    )
}
