//! The two-tower model: `score(query, item) = ⟨u, v⟩ / temperature`, both towers over gathered
//! table rows.

use super::{
    adamw::AdamW,
    assembly::{Assembly, Inputs, Rows},
    pairs::{LossKind, PairBatch},
    softmax::{SoftmaxBatch, SoftmaxWorkspace},
    table::{Scatter, Table},
    tower::{Gradients, Tower, TowerPass, piece_rows},
};
use crate::features::{FeatureSchema, TowerSchema};
use rayon::prelude::*;

/// Rows embedded at a time outside training, so that memory stays bounded.
const EMBED_ROWS: usize = 8_192;

/// The shape of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct TwoTowerConfig {
    /// Length of query and item vectors.
    pub dim: usize,
    /// Hidden layer widths of each tower; a last layer of width `dim` follows.
    pub query_layers: Vec<usize>,
    pub item_layers: Vec<usize>,
    /// Compare by cosine instead of inner product.
    pub normalize: bool,
    pub loss: LossKind,
    pub temperature: f32,
    /// Keep what AMSGrad needs.
    pub amsgrad: bool,
}

/// One tower with its tables and optimiser state.
#[derive(Debug)]
pub struct Side {
    pub assembly: Assembly,
    pub tables: Vec<Table>,
    pub tower: Tower,
    work: Work,
}

/// Buffers kept from step to step.
#[derive(Debug, Default)]
struct Work {
    input: Vec<f32>,
    input_gradient: Vec<f32>,
    embedding_gradient: Vec<f32>,
    pass: TowerPass,
    gradients: Gradients,
    scatters: Vec<Scatter>,
}

/// A trained or training model.
#[derive(Debug)]
pub struct TwoTower {
    pub query: Side,
    pub item: Side,
    /// Optimiser steps taken.
    pub steps: u32,
    pub loss: LossKind,
    pub temperature: f32,
    softmax: SoftmaxWorkspace,
}

/// The inputs of one training step.
#[derive(Debug, Clone, Default)]
pub struct StepBatch {
    pub queries: Inputs,
    /// The columns: every item once.
    pub items: Inputs,
    /// For each query the column of the item bought.
    pub targets: Vec<u32>,
    /// For each query the column of its drawn negative or [`crate::dataset::NO_NEGATIVE`]; of the
    /// pairwise losses only.
    pub negatives: Vec<u32>,
    /// Added to each column's logits; of the softmax only.
    pub bias: Vec<f32>,
    /// How much each query counts; `None` counts all alike.
    pub weights: Option<Vec<f32>>,
}

impl TwoTower {
    /// A model with freshly drawn weights.
    pub fn new(schema: &FeatureSchema, config: &TwoTowerConfig, seed: u64) -> Self {
        let &TwoTowerConfig { dim, normalize, loss, temperature, amsgrad, .. } = config;
        // Both sides need different draws even when their schemas are alike.
        let mut query =
            Side::new(&schema.query, &config.query_layers, dim, normalize, seed.wrapping_mul(2));
        let seed = seed.wrapping_mul(2).wrapping_add(1);
        let mut item = Side::new(&schema.item, &config.item_layers, dim, normalize, seed);
        if amsgrad {
            query.start_amsgrad();
            item.start_amsgrad();
        }
        Self { query, item, steps: 0, loss, temperature, softmax: SoftmaxWorkspace::default() }
    }

    /// One optimiser step; the loss of the average purchase before it. A loss that is not finite
    /// changes nothing in the model.
    pub fn step(&mut self, batch: &StepBatch, optimizer: &AdamW) -> f64 {
        self.query.forward(&batch.queries);
        self.item.forward(&batch.items);
        let loss = self.gradients(batch);
        if !loss.is_finite() {
            return loss;
        }
        self.steps = self.steps.saturating_add(1);
        self.query.backward(&batch.queries, optimizer, self.steps);
        self.item.backward(&batch.items, optimizer, self.steps);
        loss
    }

    /// The loss of the last forward pass; leaves its gradients with the sides.
    fn gradients(&mut self, batch: &StepBatch) -> f64 {
        let Self { query, item, softmax, .. } = self;
        let (dim, scale) = (query.tower.dim(), 1.0 / self.temperature);
        let (queries, items) =
            (query.tower.embedding(&query.work.pass), item.tower.embedding(&item.work.pass));
        let (targets, weights) = (batch.targets.as_slice(), batch.weights.as_deref());
        query.work.embedding_gradient.resize(queries.len(), 0.0);
        item.work.embedding_gradient.resize(items.len(), 0.0);
        let (by_query, by_item) =
            (&mut query.work.embedding_gradient, &mut item.work.embedding_gradient);
        if self.loss == LossKind::Softmax {
            let loss = SoftmaxBatch {
                dim,
                queries,
                items,
                targets,
                bias: &batch.bias,
                weights,
                scale,
                smoothing: 0.0,
            };
            return loss.gradients(by_query, by_item, softmax);
        }
        let loss =
            PairBatch { dim, queries, items, targets, negatives: &batch.negatives, weights, scale };
        loss.gradients(self.loss, by_query, by_item)
    }
}

impl Side {
    fn new(schema: &TowerSchema, hidden: &[usize], dim: usize, normalize: bool, seed: u64) -> Self {
        let assembly = Assembly::of(schema);
        let seed = |part: usize| seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(part as u64);
        let tables = assembly.tables().iter().enumerate();
        let tables =
            tables.map(|(i, &(_, rows, dim))| Table::new(rows, dim, seed(i + 1))).collect();
        let tower = Tower::new(assembly.width(), hidden, dim, normalize, seed(0));
        let scatters =
            assembly.tables().iter().map(|&(_, rows, dim)| Scatter::new(rows, dim)).collect();
        Self { assembly, tables, tower, work: Work { scatters, ..Work::default() } }
    }

    fn start_amsgrad(&mut self) {
        self.tables.iter_mut().for_each(Table::start_amsgrad);
        for (weight, bias) in &mut self.tower.moments {
            weight.start_amsgrad();
            bias.start_amsgrad();
        }
    }

    /// The input matrix, outside training, of the rows `first..first + rows`: `rows × width`.
    fn assemble(&self, inputs: &Inputs, first: usize, rows: usize, out: &mut Vec<f32>) {
        self.assemble_as(Rows::Trained, inputs, first, rows, out);
    }

    fn assemble_as(
        &self,
        kind: Rows,
        inputs: &Inputs,
        first: usize,
        rows: usize,
        out: &mut Vec<f32>,
    ) {
        let width = self.assembly.width();
        out.resize(rows * width, 0.0);
        let piece = piece_rows(rows);
        out.par_chunks_mut(piece * width).enumerate().for_each(|(i, out)| {
            self.assembly.gather(&self.tables, kind, inputs, first + i * piece, out);
        });
    }

    /// Embeds every row: `rows × dim`.
    pub fn embed(&self, inputs: &Inputs) -> Vec<f32> {
        let (mut input, mut pass) = (Vec::new(), TowerPass::default());
        let mut out = Vec::with_capacity(inputs.rows * self.tower.dim());
        for first in (0..inputs.rows).step_by(EMBED_ROWS) {
            self.assemble(inputs, first, EMBED_ROWS.min(inputs.rows - first), &mut input);
            self.tower.forward(&input, &mut pass);
            out.extend_from_slice(self.tower.embedding(&pass));
        }
        out
    }

    fn forward(&mut self, inputs: &Inputs) {
        let mut input = std::mem::take(&mut self.work.input);
        self.assemble_as(Rows::Training, inputs, 0, inputs.rows, &mut input);
        self.tower.forward(&input, &mut self.work.pass);
        self.work.input = input;
    }

    /// Gradients of everything the last forward pass used, and the optimiser's step `t` on it.
    fn backward(&mut self, inputs: &Inputs, optimizer: &AdamW, t: u32) {
        let Self { assembly, tables, tower, work } = self;
        let Work { input, input_gradient, embedding_gradient, pass, gradients, scatters } = work;
        tower.backward(input, pass, embedding_gradient, gradients, input_gradient);
        tower.update(gradients, optimizer, t);
        tables.par_iter_mut().zip(scatters).enumerate().for_each(|(index, (table, scatter))| {
            assembly.scatter(index, inputs, input_gradient, scatter);
            table.update(scatter, optimizer);
        });
    }
}
