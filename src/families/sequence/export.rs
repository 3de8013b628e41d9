//! A sequence model as ONNX graphs.

use crate::{
    bundle::{Metric, TowerContents},
    dataset::Case,
    evaluation::Measured,
    families::TrainedModel,
    model::{
        AgeTable, SequenceModel, Table,
        sequence::{
            Activation, DecoderConfig, EncoderConfig, LstmConfig, Parameter, Positions, sinusoids,
        },
    },
    onnx::{self, Dense, EncoderGraph, SequenceGraph, TokenTable},
    training::{Export, Learner, Trained, Trainer, TrainingError},
};
use std::{borrow::Cow, collections::HashMap, path::PathBuf};

/// What BatchNorm adds to a variance.
const BATCH_NORM_EPSILON: f32 = 1e-3;

/// The tables of a model as they stand outside training.
pub struct ExportedTables {
    /// What is predicted.
    items: Vec<f32>,
    /// What is read.
    tokens: Vec<f32>,
    ages: Option<Vec<f32>>,
}

impl ExportedTables {
    pub fn of(model: &SequenceModel) -> Self {
        Self {
            items: model.predicted_rows(),
            tokens: model.token_table().trained_weights(),
            ages: model.ages.as_ref().map(Table::trained_weights),
        }
    }
}

impl TrainedModel for SequenceModel {
    fn measure(
        &self,
        trainer: &Trainer<'_>,
        trained: &Trained,
        cases: &[Case],
    ) -> Result<Measured, TrainingError> {
        trainer.measure_learner(trained, self, cases)
    }

    fn export(&self, export: &Export<'_>) -> Result<PathBuf, TrainingError> {
        let Export { trainer, trained, .. } = *export;
        let samples = trainer.samples_of::<Self>(trained);
        let tables = ExportedTables::of(self);
        let items = self.item_vectors(&samples);
        let queries = samples.query_rows(export.golden_moments());
        let towers = TowerContents {
            metric: Metric::Dot,
            index: trainer.config.index,
            query_tower: query_graph("query_encoder", self, &tables).into(),
            item_tower: item_graph("item_table", self, &tables),
            items: &items,
        };
        export.write_towers(towers, (&queries, &self.embed(&queries)), &export.item_numbers())
    }
}

/// The query side of a sequence model.
pub fn query_graph<'a>(
    name: &'a str,
    model: &'a SequenceModel,
    tables: &'a ExportedTables,
) -> SequenceGraph<'a> {
    let config = model.config();
    let of = |table: &Table, values: &'a [f32], dim| TokenTable {
        table: values,
        rows: table.rows(),
        width: table.dim,
        dim,
    };
    let weights = Weights(model.encoder.parameters().into_iter().map(|p| (p.name, p)).collect());
    let input = model.encoder.input_width();
    SequenceGraph {
        name,
        length: config.length,
        tokens: of(model.token_table(), &tables.tokens, config.item_dim),
        ages: model
            .ages
            .as_ref()
            .zip(tables.ages.as_ref())
            .map(|(table, values)| of(table, values, table.dim)),
        ages_added: matches!(config.ages, Some(AgeTable::Added { .. })),
        sos: config.sos,
        encoder: match &config.encoder {
            EncoderConfig::Decoder(decoder) => {
                weights.decoder(decoder, input, model.encoder.length())
            }
            EncoderConfig::Lstm(lstm) => weights.lstm(lstm, input),
        },
        bias: config.bias,
    }
}

/// The item side: an item's row.
fn item_graph<'a>(
    name: &'a str,
    model: &SequenceModel,
    tables: &'a ExportedTables,
) -> onnx::TowerGraph<'a> {
    let (rows, dim) = (model.items.rows(), model.items.dim);
    let row = onnx::Input::Embedding { name: "article_id", table: &tables.items, rows, dim, at: 0 };
    onnx::TowerGraph {
        name,
        widths: (1, 0),
        inputs: vec![row],
        layers: Vec::new(),
        normalize: false,
    }
}

/// An encoder's parameters by name.
struct Weights<'a>(HashMap<&'a str, Parameter<'a>>);

impl<'a> Weights<'a> {
    /// Empty where the encoder has no such parameter; the graph's check then says so.
    fn get(&self, name: &str) -> &'a [f32] {
        self.0.get(name).map_or(&[], |parameter| parameter.values)
    }

    fn dense(&self, name: &str) -> Dense<'a> {
        let (weight, bias) =
            (self.get(&format!("{name}.weight")), self.get(&format!("{name}.bias")));
        let outputs = bias.len();
        Dense { weight, bias, inputs: weight.len() / outputs.max(1), outputs }
    }

    fn norm(&self, name: &str) -> onnx::Norm<'a> {
        onnx::Norm {
            gamma: self.get(&format!("{name}.gamma")),
            beta: self.get(&format!("{name}.beta")),
        }
    }

    fn decoder(&self, config: &DecoderConfig, width: usize, length: usize) -> EncoderGraph<'a> {
        let blocks = (0..config.layers).map(|l| onnx::Block {
            attention_norm: self.norm(&format!("layers.{l}.attention_norm")),
            qkv: self.dense(&format!("layers.{l}.qkv")),
            attention_output: self.dense(&format!("layers.{l}.attention_output")),
            feed_forward_norm: self.norm(&format!("layers.{l}.feed_forward_norm")),
            feed_forward_in: self.dense(&format!("layers.{l}.feed_forward_in")),
            feed_forward_out: self.dense(&format!("layers.{l}.feed_forward_out")),
            attention_gate: config.gated.then(|| self.dense(&format!("layers.{l}.attention_gate"))),
            feed_forward_gate: config
                .gated
                .then(|| self.dense(&format!("layers.{l}.feed_forward_gate"))),
        });
        EncoderGraph::Decoder(onnx::DecoderGraph {
            heads: config.heads,
            scale: if config.scale_embedding { (width as f32).sqrt() } else { 1.0 },
            activation: match config.activation {
                Activation::Relu => onnx::Activation::Relu,
                Activation::Gelu => onnx::Activation::Gelu,
                Activation::Elu => onnx::Activation::Elu,
                Activation::Swiglu => onnx::Activation::Swiglu,
            },
            positions: match config.positions {
                Positions::Learned => onnx::Positions::Added(self.get("positions").into()),
                Positions::LearnedFromEnd => {
                    onnx::Positions::AddedFromNewest(self.get("positions").into())
                }
                Positions::Sinusoidal => onnx::Positions::Added(sinusoids(length, width).into()),
                Positions::Rotary => onnx::Positions::Rotary,
                Positions::None => onnx::Positions::None,
            },
            blocks: blocks.collect(),
            final_norm: config.final_norm.then(|| self.norm("final_norm")),
        })
    }

    /// BatchNorm stands before each layer, where it is folded into the layer's weights, and after
    /// the last.
    fn lstm(&self, config: &LstmConfig, width: usize) -> EncoderGraph<'a> {
        let mut inputs = width;
        let layers = config.hidden.iter().enumerate().map(|(l, &hidden)| {
            let weight = self.get(&format!("lstm.{l}.input.weight"));
            let bias = self.get(&format!("lstm.{l}.bias"));
            let (mut folded, mut shifted) = (Cow::Borrowed(weight), Cow::Borrowed(bias));
            if config.batch_norm {
                let (scale, shift) = self.batch_norm(l);
                for (row, weights) in folded.to_mut().chunks_exact_mut(4 * hidden).enumerate() {
                    shifted
                        .to_mut()
                        .iter_mut()
                        .zip(&*weights)
                        .for_each(|(b, w)| *b += shift[row] * w);
                    weights.iter_mut().for_each(|w| *w *= scale[row]);
                }
            }
            let recurrent = self.get(&format!("lstm.{l}.recurrent.weight"));
            let layer = onnx::LstmLayer { inputs, hidden, input: folded, recurrent, bias: shifted };
            inputs = hidden;
            layer
        });
        let layers = layers.collect();
        let affine = config.batch_norm.then(|| self.batch_norm(config.hidden.len()));
        EncoderGraph::Lstm(onnx::LstmGraph { layers, affine, attention: config.attention })
    }

    /// Norm `l` by its running statistics as `x·scale + shift`.
    fn batch_norm(&self, l: usize) -> (Vec<f32>, Vec<f32>) {
        let part = |name: &str| self.get(&format!("norms.{l}.{name}"));
        let (gamma, beta, mean, variance) =
            (part("gamma"), part("beta"), part("mean"), part("variance"));
        let scale: Vec<f32> =
            gamma.iter().zip(variance).map(|(g, v)| g / (v + BATCH_NORM_EPSILON).sqrt()).collect();
        let shift = beta.iter().zip(mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
        (scale, shift)
    }
}
