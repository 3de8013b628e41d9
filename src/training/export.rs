//! The bundle at the end of a run.

use super::{
    TrainingError,
    learner::Model,
    run::{Trained, Trainer},
    samples::Samples,
};
use crate::{
    bundle::{self, Contents, Golden, GoldenItem, GoldenQuery, Metric, MetricsRow},
    features::Moment,
    features::{Slot, TowerSchema},
    model::{Inputs, Side, burn_tower::BurnTower},
    onnx,
};
use std::path::{Path, PathBuf};

/// Rows embedded by burn at a time.
const EMBED_ROWS: usize = 8_192;

/// Requests of each kind in `golden.json`.
const GOLDEN: usize = 8;

impl Trainer<'_> {
    /// Writes the model as a bundle `<models>/<name>/<version>` and returns its path. Item vectors and golden vectors come
    /// from the burn module, so that a bundle whose graph or kernels computed something else would not open.
    ///
    /// # Errors
    /// [`TrainingError::Bundle`].
    pub fn export(&self, trained: &Trained, metrics: &[MetricsRow], models: &Path) -> Result<PathBuf, TrainingError> {
        let Trained { encoder, model, rows, .. } = trained;
        let Model::TwoTower(model) = model;
        let samples = Samples::new(encoder, self.dataset, self.histories, rows, self.config);
        let all_items = samples.all_items();
        let items = embed(&model.item, &all_items);
        let mut popularity = vec![0f32; self.dataset.articles.len()];
        for &row in rows {
            popularity[self.dataset.purchases.article[row as usize] as usize] += 1.0;
        }
        let (query_tables, item_tables) = (weights(&model.query), weights(&model.item));
        let schema = encoder.schema();
        let contents = Contents {
            name: &self.config.model.name,
            family: "two-tower",
            metric: if self.config.model.normalize { Metric::Cosine } else { Metric::Dot },
            schema,
            vocabularies: encoder.vocabularies(),
            time_unit: self.dataset.time_unit,
            index: self.config.index,
            training: serde_json::json!(self.config),
            data_fingerprint: self.fingerprint,
            metrics,
            query_tower: graph("query_tower", &schema.query, &model.query, &query_tables),
            item_tower: graph("item_tower", &schema.item, &model.item, &item_tables),
            golden: self.golden(trained, &samples, &all_items, &items),
            items: &items,
            popularity: &popularity,
        };
        Ok(bundle::write(models, contents)?)
    }

    /// Requests of customers at the end of the data, one of them with nothing known, and items, all evenly spaced.
    fn golden(&self, trained: &Trained, samples: &Samples<'_>, all_items: &Inputs, vectors: &[f32]) -> Golden {
        let Model::TwoTower(model) = &trained.model;
        let at = self.dataset.purchases.time.last().copied().unwrap_or_default();
        let moments = spaced(self.dataset.customers.len()).enumerate().map(|(i, customer)| {
            let known = if i == 0 { 0 } else { self.histories.of_customer(customer as u32).len() as u32 };
            Moment { customer: customer as u32, at, known }
        });
        let queries = samples.query_rows(moments.collect::<Vec<_>>().into_iter());
        let embedded = embed(&model.query, &queries);
        let dim = self.config.model.dim;
        let (query_widths, item_widths) = (model.query.assembly.row_widths(), model.item.assembly.row_widths());
        let queries = (0..queries.rows).map(|i| {
            let (indices, numbers) = row(&queries, query_widths, i);
            GoldenQuery { indices, numbers, vector: embedded[i * dim..(i + 1) * dim].to_vec(), top: Vec::new() }
        });
        let items = spaced(all_items.rows).map(|i| {
            let (indices, numbers) = row(all_items, item_widths, i);
            GoldenItem { indices, numbers, vector: vectors[i * dim..(i + 1) * dim].to_vec() }
        });
        Golden { queries: queries.collect(), items: items.collect() }
    }
}

fn spaced(len: usize) -> impl Iterator<Item = usize> {
    let count = GOLDEN.min(len);
    (0..count).map(move |i| i * len / count)
}

fn row(inputs: &Inputs, (i, n): (usize, usize), row: usize) -> (Vec<i64>, Vec<f32>) {
    (inputs.indices[row * i..(row + 1) * i].to_vec(), inputs.numbers[row * n..(row + 1) * n].to_vec())
}

/// Embeds every row with the burn module: `rows × dim`.
fn embed(side: &Side, inputs: &Inputs) -> Vec<f32> {
    let mut vectors = Vec::with_capacity(inputs.rows * side.tower.dim());
    for first in (0..inputs.rows).step_by(EMBED_ROWS) {
        let mut input = Vec::new();
        side.assemble(inputs, first, EMBED_ROWS.min(inputs.rows - first), &mut input);
        vectors.extend(BurnTower::embed(&side.tower, input));
    }
    vectors
}

fn weights(side: &Side) -> Vec<Vec<f32>> {
    side.tables.iter().map(|table| table.trained_weights()).collect()
}

fn graph<'a>(name: &'a str, schema: &'a TowerSchema, side: &'a Side, tables: &'a [Vec<f32>]) -> onnx::TowerGraph<'a> {
    let mut tables = tables.iter();
    let mut table = || tables.next().map_or(&[][..], |table| table.as_slice());
    let inputs = schema.slots().into_iter().zip(&schema.features).map(|(slot, feature)| match slot {
        Slot::Embedding { name, rows, dim, at } => onnx::Input::Embedding { name, table: table(), rows, dim, at },
        Slot::History { name, rows, dim, at, length, decay } => {
            onnx::Input::History { name, table: table(), rows, dim, at, length, decay }
        }
        Slot::OneHot { rows, at } => onnx::Input::OneHot { name: &feature.name, rows, at },
        Slot::Numbers { at, width } => onnx::Input::Numbers { at, width },
    });
    let layers = side.tower.layers.iter().map(|layer| onnx::Dense {
        weight: &layer.weight,
        bias: &layer.bias,
        inputs: layer.inputs,
        outputs: layer.outputs,
    });
    onnx::TowerGraph {
        name,
        widths: schema.row_widths(),
        inputs: inputs.collect(),
        layers: layers.collect(),
        normalize: side.tower.normalize,
    }
}
