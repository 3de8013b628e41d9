//! A next-item model: `score(history, item) = (⟨encoder(history), v⟩ + b) / temperature`, the
//! history a sequence of item tokens, the item a row of a table.
//!
//! The item table holds a row for every item and one more, the *boundary*: as an input it begins a
//! sequence (`<sos>`, or all there is of an empty history), as a class it ends one (`<eos>`). There
//! is no `<pad>`: sequences are packed.

use super::{
    adamw::AdamW,
    assembly::Inputs,
    drawn_softmax::{DrawnSoftmax, DrawnWorkspace},
    sequence::{EncoderConfig, Mode, Packed, SequenceEncoder, SequenceError},
    softmax::{SoftmaxBatch, SoftmaxWorkspace},
    table::{Scatter, Table},
};
use crate::algebra::matrix::{View, multiply};
use rayon::prelude::*;

/// Sequences embedded at a time outside training, so that memory stays bounded.
const EMBED_SEQUENCES: usize = 1_024;

/// Sequences whose scores of all items are held at a time, by each thread.
const SCORED_TOGETHER: usize = 64;

/// The shape of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceModelConfig {
    pub encoder: EncoderConfig,
    pub items: usize,
    /// Items of the past that the model reads, at most.
    pub length: usize,
    /// Width of an item's token.
    pub item_dim: usize,
    /// Tokens are rows of the item table; else of a table of their own.
    pub tied: bool,
    /// Every item has a bias, kept as the last number of its row; queries then end in a 1.
    pub bias: bool,
    /// Every sequence begins with the boundary token.
    pub sos: bool,
    pub ages: Option<AgeTable>,
    pub temperature: f32,
    /// Of the softmax that a batch shares; see [`super::SoftmaxBatch`].
    pub smoothing: f32,
}

/// What a token says of time. The rows are classes, and one more for an empty position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgeTable {
    /// A row of this width follows the item's.
    Following { rows: usize, dim: usize },
    /// A row as wide as the item's token is added to it.
    Added { rows: usize },
}

impl SequenceModelConfig {
    /// Width of a token.
    pub fn input_width(&self) -> usize {
        match self.ages {
            Some(AgeTable::Following { dim, .. }) => self.item_dim + dim,
            Some(AgeTable::Added { .. }) | None => self.item_dim,
        }
    }

    /// The columns of a token that an age fills.
    pub(super) fn age_columns(&self) -> std::ops::Range<usize> {
        match self.ages {
            Some(AgeTable::Following { .. }) => self.item_dim..self.input_width(),
            Some(AgeTable::Added { .. }) => 0..self.item_dim,
            None => 0..0,
        }
    }
}

/// A trained or training model.
#[derive(Debug)]
pub struct SequenceModel {
    /// `(items + 1) × (dim + bias)`: what is predicted. The last row is the boundary.
    pub items: Table,
    /// `(items + 1) × item_dim`: what is read, where that is another table.
    pub tokens: Option<Table>,
    pub ages: Option<Table>,
    pub encoder: SequenceEncoder,
    /// Optimiser steps taken.
    pub steps: u32,
    /// Whether the tokens of items are given and not learnt.
    frozen: bool,
    config: SequenceModelConfig,
    work: Work,
}

/// Buffers kept from step to step.
#[derive(Debug, Default)]
struct Work {
    input: Vec<f32>,
    by_input: Vec<f32>,
    queries: Vec<f32>,
    by_query: Vec<f32>,
    columns: Vec<f32>,
    by_column: Vec<f32>,
    by_output: Vec<f32>,
    row: Vec<f32>,
    scatters: Scatters,
    softmax: SoftmaxWorkspace,
    drawn: DrawnWorkspace,
}

#[derive(Debug, Default)]
struct Scatters {
    items: Option<Scatter>,
    tokens: Option<Scatter>,
    ages: Option<Scatter>,
}

/// Tokens of packed sequences, oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tokens {
    pub packed: Packed,
    /// Row of the item table, or of the table of tokens.
    pub items: Vec<u32>,
    /// Row of the table of ages; empty where the model has none.
    pub ages: Vec<u32>,
}

/// The inputs of one training step.
#[derive(Debug, Clone, Default)]
pub struct SequenceBatch {
    pub tokens: Tokens,
    pub candidates: Candidates,
    /// How much each token's prediction counts; `None` counts all alike.
    pub weights: Option<Vec<f32>>,
    /// Of what is dropped at random.
    pub seed: u64,
}

/// The item that came next after each token, and the items it competes with.
#[derive(Debug, Clone)]
pub enum Candidates {
    /// All tokens share the columns of one softmax.
    Shared(SharedColumns),
    /// Each sequence has negatives of its own.
    Drawn(DrawnNegatives),
}

/// See [`super::SoftmaxBatch`].
#[derive(Debug, Clone, Default)]
pub struct SharedColumns {
    /// For each token the column of its item.
    pub targets: Vec<u32>,
    /// Rows of the item table, each once.
    pub rows: Vec<u32>,
    /// Added to each column's logits.
    pub bias: Vec<f32>,
}

/// See [`super::DrawnSoftmax`].
#[derive(Debug, Clone, Default)]
pub struct DrawnNegatives {
    /// For each token the row of its item.
    pub targets: Vec<u32>,
    /// Rows of the item table, as many for each sequence, sequence by sequence.
    pub negatives: Vec<u32>,
}

impl Default for Candidates {
    fn default() -> Self {
        Self::Shared(SharedColumns::default())
    }
}

impl SequenceModel {
    /// A model with freshly drawn weights.
    ///
    /// # Errors
    /// Sizes of the encoder that do not fit together.
    pub fn new(config: &SequenceModelConfig, seed: u64) -> Result<Self, SequenceError> {
        let seed = |part: u64| seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(part);
        let SequenceModelConfig { items, length, item_dim, tied, bias, sos, ages, .. } = *config;
        let input = config.input_width();
        let encoder =
            SequenceEncoder::new(&config.encoder, input, length + usize::from(sos), seed(0))?;
        let width = encoder.output_width() + usize::from(bias);
        let mut table = Table::new(items + 1, width, seed(1));
        if bias {
            table.weights.iter_mut().skip(width - 1).step_by(width).for_each(|bias| *bias = 0.0);
        }
        let tokens = (!tied).then(|| Table::new(items + 1, item_dim, seed(2)));
        let ages = ages.map(|ages| match ages {
            AgeTable::Following { rows, dim } => Table::new(rows, dim, seed(3)),
            AgeTable::Added { rows } => Table::new(rows, item_dim, seed(3)),
        });
        let scatter = |table: &Table| Scatter::new(table.rows(), table.dim);
        let scatters = Scatters {
            items: Some(scatter(&table)),
            tokens: tokens.as_ref().map(scatter),
            ages: ages.as_ref().map(scatter),
        };
        let work = Work { scatters, ..Work::default() };
        let frozen = false;
        Ok(Self {
            items: table,
            tokens,
            ages,
            encoder,
            steps: 0,
            frozen,
            config: config.clone(),
            work,
        })
    }

    /// Reads items by these vectors (`items × item_dim`) from now on, without learning them; the
    /// boundary's token is still learnt. An item that was never bought has a token like any other.
    ///
    /// # Panics
    /// When the tokens are tied to the items, or the vectors are more or fewer numbers.
    pub fn freeze_tokens(&mut self, vectors: &[f32]) {
        let tokens = self.tokens.as_mut().expect("tokens of their own");
        let count = self.config.items * self.config.item_dim;
        tokens.weights[..count].copy_from_slice(vectors);
        // A row without a step would stand for the boundary.
        tokens.steps[..self.config.items].fill(1);
        self.frozen = true;
    }

    /// Lets the trained rows of items start at `vectors(dim)` (`items × dim`, for the tables'
    /// widths). Where a vector is all zeros, the row stays as it was drawn.
    pub fn start_items(&mut self, vectors: impl Fn(usize) -> Vec<f32>) {
        let width = self.items.dim - usize::from(self.config.bias);
        set_rows(&mut self.items, width, &vectors(width));
        if let Some(tokens) = self.tokens.as_mut().filter(|_| !self.frozen) {
            set_rows(tokens, tokens.dim, &vectors(tokens.dim));
        }
    }

    pub fn config(&self) -> &SequenceModelConfig {
        &self.config
    }

    /// The tables there are: items, tokens, ages.
    pub fn tables_mut(&mut self) -> impl Iterator<Item = &mut Table> {
        [Some(&mut self.items), self.tokens.as_mut(), self.ages.as_mut()].into_iter().flatten()
    }

    /// Whether the row of `item` is learnt where it is read.
    pub(super) fn learns_token(&self, item: u32) -> bool {
        !self.frozen || item as usize >= self.config.items
    }

    /// Length of query and item vectors.
    pub fn dim(&self) -> usize {
        self.items.dim
    }

    /// The table of what is read.
    pub fn token_table(&self) -> &Table {
        self.tokens.as_ref().unwrap_or(&self.items)
    }

    /// The rows of what is predicted over the temperature, `(items + 1) × dim`: their inner
    /// products with a query vector are the logits of the softmax.
    pub fn predicted_rows(&self) -> Vec<f32> {
        let mut rows = self.items.trained_weights();
        rows.iter_mut().for_each(|x| *x /= self.config.temperature);
        rows
    }

    /// One optimiser step, gradients longer than `clip` cut to it; the mean loss before it. A loss
    /// that is not finite changes nothing in the model but running statistics.
    pub fn step(&mut self, batch: &SequenceBatch, optimizer: &AdamW, clip: Option<f32>) -> f64 {
        let mut work = std::mem::take(&mut self.work);
        let loss = self.step_with(batch, optimizer, clip, &mut work);
        self.work = work;
        loss
    }

    fn step_with(
        &mut self,
        batch: &SequenceBatch,
        optimizer: &AdamW,
        clip: Option<f32>,
        work: &mut Work,
    ) -> f64 {
        let (dim, packed) = (self.items.dim, &batch.tokens.packed);
        self.gather(&batch.tokens, Table::row, &mut work.input);
        let output = self.encoder.forward(packed, &work.input, Mode::Training { seed: batch.seed });
        queries(output, self.config.bias, dim, &mut work.queries);
        let loss = self.loss(batch, work);
        if !loss.is_finite() {
            work.scatters.all().for_each(Scatter::clear);
            return loss;
        }
        let by_output = if self.config.bias {
            work.by_output.clear();
            work.by_query
                .chunks_exact(dim)
                .for_each(|row| work.by_output.extend_from_slice(&row[..dim - 1]));
            &mut work.by_output
        } else {
            &mut work.by_query
        };
        self.encoder.backward(packed, by_output, &mut work.by_input);
        self.scatter(batch, work);
        let norm = clip.map(|_| self.gradient_norm(&work.scatters));
        // A gradient may overflow where the loss did not.
        if norm.is_some_and(|norm| !norm.is_finite()) {
            work.scatters.all().for_each(Scatter::clear);
            return f64::NAN;
        }
        if let (Some(norm), Some(clip)) = (norm, clip.map(f64::from))
            && norm > clip
        {
            let factor = (clip / norm) as f32;
            self.encoder.scale_gradients(factor);
            work.scatters.all().for_each(|scatter| scatter.scale(factor));
        }
        self.steps = self.steps.saturating_add(1);
        self.encoder.update(optimizer, self.steps);
        for (table, scatter) in self.tables_mut().zip(work.scatters.all()) {
            table.update(scatter, optimizer);
        }
        loss
    }

    /// The mean loss of the queries, with its gradients by the queries and, in the scatter, by the
    /// rows of the item table.
    fn loss(&self, batch: &SequenceBatch, work: &mut Work) -> f64 {
        let (dim, scale, weights) =
            (self.items.dim, 1.0 / self.config.temperature, batch.weights.as_deref());
        let smoothing = self.config.smoothing;
        let Work { queries, by_query, columns, by_column, scatters, softmax, drawn, .. } = work;
        let Some(by_items) = &mut scatters.items else { return f64::NAN };
        by_query.resize(queries.len(), 0.0);
        match &batch.candidates {
            Candidates::Shared(SharedColumns { targets, rows, bias }) => {
                columns.clear();
                rows.iter()
                    .for_each(|&row| columns.extend_from_slice(self.items.row(row as usize)));
                by_column.resize(columns.len(), 0.0);
                let loss = SoftmaxBatch {
                    dim,
                    queries,
                    items: columns,
                    targets,
                    bias,
                    weights,
                    scale,
                    smoothing,
                };
                let loss = loss.gradients(by_query, by_column, softmax);
                for (&row, gradient) in rows.iter().zip(by_column.chunks_exact(dim)) {
                    by_items.add(row as usize, 1.0, gradient);
                }
                loss
            }
            Candidates::Drawn(DrawnNegatives { targets, negatives }) => {
                let (items, packed) = (&self.items, &batch.tokens.packed);
                let loss =
                    DrawnSoftmax { items, packed, queries, targets, negatives, weights, scale };
                loss.gradients(by_query, by_items, drawn)
            }
        }
    }

    /// The input matrix of tokens: item rows with their ages.
    fn gather<'a>(
        &'a self,
        tokens: &Tokens,
        row: impl Fn(&'a Table, usize) -> &'a [f32],
        out: &mut Vec<f32>,
    ) {
        let (items, width) = (self.token_table(), self.config.item_dim);
        out.clear();
        for (at, &item) in tokens.items.iter().enumerate() {
            let start = out.len();
            out.extend_from_slice(&row(items, item as usize)[..width]);
            let Some(ages) = &self.ages else { continue };
            let age = row(ages, tokens.ages[at] as usize);
            match self.config.ages {
                Some(AgeTable::Added { .. }) => {
                    out[start..].iter_mut().zip(age).for_each(|(x, age)| *x += age)
                }
                _ => out.extend_from_slice(age),
            }
        }
    }

    /// Adds the gradients by what was read to those of the table rows.
    fn scatter(&self, batch: &SequenceBatch, work: &mut Work) {
        let Work { by_input, row, scatters: Scatters { items, tokens, ages }, .. } = work;
        let (dim, width) = (self.items.dim, self.config.item_dim);
        row.clear();
        row.resize(dim, 0.0);
        for (at, gradient) in by_input.chunks_exact(self.encoder.input_width()).enumerate() {
            let item = batch.tokens.items[at] as usize;
            match (tokens.as_mut(), items.as_mut()) {
                (Some(_), _) if !self.learns_token(item as u32) => {}
                (Some(tokens), _) => tokens.add(item, 1.0, &gradient[..width]),
                // The bias at the end of a row is no part of a token.
                (None, Some(items)) => {
                    row[..width].copy_from_slice(&gradient[..width]);
                    items.add(item, 1.0, row);
                }
                (None, None) => {}
            }
            if let Some(ages) = ages.as_mut() {
                let age = &gradient[self.config.age_columns()];
                ages.add(batch.tokens.ages[at] as usize, 1.0, age);
            }
        }
    }

    fn gradient_norm(&self, scatters: &Scatters) -> f64 {
        let tables: f64 = scatters.each().map(Scatter::squares).sum();
        (self.encoder.gradient_norm().powi(2) + tables).sqrt()
    }

    /// Vectors of histories encoded as a query row ([`crate::features`]: newest first, padded):
    /// `rows × dim`.
    pub fn embed(&self, inputs: &Inputs) -> Vec<f32> {
        let width = self.config.length * (1 + usize::from(self.ages.is_some()));
        let (mut out, mut input, mut vectors) =
            (Vec::with_capacity(inputs.rows * self.items.dim), Vec::new(), Vec::new());
        for rows in inputs.indices.chunks(EMBED_SEQUENCES * width) {
            let tokens = self.tokens_of(rows.chunks_exact(width));
            self.embed_tokens(&tokens, &mut input, &mut vectors);
            out.extend_from_slice(&vectors);
        }
        out
    }

    /// Query vectors of token sequences; `input` is working space.
    fn embed_tokens(&self, tokens: &Tokens, input: &mut Vec<f32>, vectors: &mut Vec<f32>) {
        self.gather(tokens, Table::trained_row, input);
        let embedded = self.encoder.embed(&tokens.packed, input);
        queries(&embedded, self.config.bias, self.items.dim, vectors);
    }

    /// For each sequence the item of the highest score among those that training has seen.
    pub fn best_items(&self, tokens: &Tokens) -> Vec<u32> {
        let (dim, items) = (self.items.dim, self.config.items);
        let (mut input, mut vectors) = (Vec::new(), Vec::new());
        self.embed_tokens(tokens, &mut input, &mut vectors);
        let table = View::new(&self.items.weights[..items * dim], items, dim).transposed();
        let best = |scores: &[f32]| {
            let seen = (0..items as u32).filter(|&item| self.items.steps[item as usize] > 0);
            seen.max_by(|&a, &b| scores[a as usize].total_cmp(&scores[b as usize]))
                .unwrap_or_default()
        };
        let block = |queries: &[f32]| {
            let rows = queries.len() / dim;
            let mut scores = vec![0.0; rows * items];
            multiply(&mut scores, items, false, 1.0, View::new(queries, rows, dim), table);
            scores.chunks_exact(items).map(best).collect::<Vec<_>>()
        };
        vectors.par_chunks(SCORED_TOGETHER * dim).flat_map_iter(block).collect()
    }

    /// The sequences of query rows.
    pub(crate) fn tokens_of<'a>(&self, rows: impl Iterator<Item = &'a [i64]>) -> Tokens {
        let (boundary, length) = (self.config.items as u32, self.config.length);
        let empty_age = self.ages.as_ref().map(|ages| ages.rows() as u32 - 1);
        let mut tokens = Tokens::default();
        for row in rows {
            let (items, ages) = row.split_at(length);
            let known = items.iter().take_while(|&&item| item as u32 != boundary).count();
            let begin = usize::from(self.config.sos || known == 0);
            tokens.packed.push(begin + known);
            tokens.items.extend(std::iter::repeat_n(boundary, begin));
            tokens.items.extend(items[..known].iter().rev().map(|&item| item as u32));
            if let Some(empty) = empty_age {
                tokens.ages.extend(std::iter::repeat_n(empty, begin));
                tokens.ages.extend(ages[..known].iter().rev().map(|&age| age as u32));
            }
        }
        tokens
    }
}

/// Sets the first `width` numbers of the first rows to those of `vectors` that are not all zero.
fn set_rows(table: &mut Table, width: usize, vectors: &[f32]) {
    for (row, vector) in table.weights.chunks_exact_mut(table.dim).zip(vectors.chunks_exact(width))
    {
        if vector.iter().any(|&x| x != 0.0) {
            row[..width].copy_from_slice(vector);
        }
    }
}

/// Encoder outputs as query vectors: with a 1 at the end where items have a bias there.
fn queries(output: &[f32], bias: bool, dim: usize, out: &mut Vec<f32>) {
    out.clear();
    if !bias {
        out.extend_from_slice(output);
        return;
    }
    for row in output.chunks_exact(dim - 1) {
        out.extend_from_slice(row);
        out.push(1.0);
    }
}

impl Scatters {
    fn each(&self) -> impl Iterator<Item = &Scatter> {
        [&self.items, &self.tokens, &self.ages].into_iter().flatten()
    }

    /// In the order of the tables there are.
    fn all(&mut self) -> impl Iterator<Item = &mut Scatter> {
        [&mut self.items, &mut self.tokens, &mut self.ages].into_iter().flatten()
    }
}
