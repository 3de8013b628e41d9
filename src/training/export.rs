//! The bundle at the end of a run.

use super::{
    TrainingError,
    config::Family,
    learner::{Learner, Model},
    run::{Trained, Trainer},
};
use crate::{
    bundle::{
        self, Contents, FrequencySettings, Golden, GoldenItem, GoldenQuery, Metric, MetricsRow, Provenance,
        RankerSettings, RankingContents, TowerContents,
    },
    counters::Popularity,
    dataset::TimeUnit,
    families::{
        TrainedRanker, elsa, frequency,
        sequence::{ExportedTables, item_graph, query_graph},
    },
    features::{FeatureSchema, Moment, Slot, TowerSchema},
    model::{Elsa, Inputs, SequenceModel, Side, TwoTower},
    onnx,
};
use std::path::{Path, PathBuf};

/// Requests of each kind in `golden.json`.
const GOLDEN: usize = 8;

impl Trainer<'_> {
    /// Writes the model as a bundle `<models>/<name>/<version>` and returns its path. Item vectors and golden vectors come
    /// from the training kernels and the tables, so that a bundle whose graph computes something else does not open.
    ///
    /// # Errors
    /// [`TrainingError::Bundle`].
    pub fn export(&self, trained: &Trained, metrics: &[MetricsRow], models: &Path) -> Result<PathBuf, TrainingError> {
        match &trained.model {
            Model::TwoTower(model) => self.export_two_tower(trained, model, metrics, models),
            Model::Sequence(model) => self.export_sequence(trained, model, metrics, models),
            Model::Elsa(model) => self.export_elsa(trained, model, metrics, models),
            Model::Frequency(settings) => self.export_frequency(trained, settings, metrics, models),
            Model::Ranker(ranker) => self.export_ranker(trained, ranker, metrics, models),
        }
    }

    fn export_two_tower(
        &self,
        trained: &Trained,
        model: &TwoTower,
        metrics: &[MetricsRow],
        models: &Path,
    ) -> Result<PathBuf, TrainingError> {
        let samples = TwoTower::samples(&trained.encoder, self.dataset, self.histories, &trained.rows, self.config);
        let all_items = samples.all_items();
        let items = model.item.embed(&all_items);
        let (query_tables, item_tables) = (weights(&model.query), weights(&model.item));
        let schema = trained.encoder.schema();
        let queries = samples.query_rows(self.golden_moments());
        let vectors = model.query.embed(&queries);
        let ranking = RankingContents::Towers(Box::new(TowerContents {
            metric: if self.config.model.normalize { Metric::Cosine } else { Metric::Dot },
            index: self.config.index,
            query_tower: graph("query_tower", &schema.query, &model.query, &query_tables).into(),
            item_tower: graph("item_tower", &schema.item, &model.item, &item_tables),
            items: &items,
        }));
        let golden = golden(schema, &queries, &vectors, &all_items, &items);
        self.write(trained, metrics, models, Parts { family: "two-tower", ranking, golden })
    }

    fn export_sequence(
        &self,
        trained: &Trained,
        model: &SequenceModel,
        metrics: &[MetricsRow],
        models: &Path,
    ) -> Result<PathBuf, TrainingError> {
        let samples =
            SequenceModel::samples(&trained.encoder, self.dataset, self.histories, &trained.rows, self.config);
        let tables = ExportedTables::of(model);
        let items = model.item_vectors(&samples);
        let queries = samples.query_rows(self.golden_moments());
        let vectors = model.embed(&queries);
        let count = trained.encoder.items();
        let all_items = Inputs { rows: count, indices: (0..count as i64).collect(), numbers: Vec::new() };
        let ranking = RankingContents::Towers(Box::new(TowerContents {
            metric: Metric::Dot,
            index: self.config.index,
            query_tower: query_graph("query_encoder", model, &tables).into(),
            item_tower: item_graph("item_table", model, &tables),
            items: &items,
        }));
        let golden = golden(trained.encoder.schema(), &queries, &vectors, &all_items, &items);
        let family = if self.config.model.family == Family::Lstm { "lstm" } else { "decoder" };
        self.write(trained, metrics, models, Parts { family, ranking, golden })
    }

    fn export_elsa(
        &self,
        trained: &Trained,
        model: &Elsa,
        metrics: &[MetricsRow],
        models: &Path,
    ) -> Result<PathBuf, TrainingError> {
        let samples = Elsa::samples(&trained.encoder, self.dataset, self.histories, &trained.rows, self.config);
        let (items, count) = (model.table(), trained.encoder.items());
        let table = elsa::with_padding(&items, model.dim());
        let queries = samples.query_rows(self.golden_moments());
        let elsa = self.config.elsa.unwrap_or_default();
        let vectors = elsa::reference_vectors(&table, model.dim(), elsa, &queries);
        let all_items = Inputs { rows: count, indices: (0..count as i64).collect(), numbers: Vec::new() };
        let ranking = RankingContents::Towers(Box::new(TowerContents {
            metric: Metric::Dot,
            index: self.config.index,
            query_tower: elsa::query_graph("query_encoder", &table, model.dim(), elsa).into(),
            item_tower: elsa::item_graph("item_table", &table, model.dim()),
            items: &items,
        }));
        let golden = golden(trained.encoder.schema(), &queries, &vectors, &all_items, &items);
        self.write(trained, metrics, models, Parts { family: "elsa", ranking, golden })
    }

    fn export_frequency(
        &self,
        trained: &Trained,
        settings: &FrequencySettings,
        metrics: &[MetricsRow],
        models: &Path,
    ) -> Result<PathBuf, TrainingError> {
        let golden = frequency::golden(settings, self.dataset.articles.len());
        let ranking = RankingContents::Frequency(*settings);
        let parts = Parts { family: FrequencySettings::FAMILY, ranking, golden };
        self.write(trained, metrics, models, parts)
    }

    fn export_ranker(
        &self,
        trained: &Trained,
        ranker: &TrainedRanker,
        metrics: &[MetricsRow],
        models: &Path,
    ) -> Result<PathBuf, TrainingError> {
        let golden = ranker.golden().map_err(|error| TrainingError::Ranker(error.to_string()))?;
        let ranking = RankingContents::Ranker(Box::new((ranker.settings.clone(), ranker.graph())));
        let parts = Parts { family: RankerSettings::FAMILY, ranking, golden };
        self.write(trained, metrics, models, parts)
    }

    fn write(
        &self,
        trained: &Trained,
        metrics: &[MetricsRow],
        models: &Path,
        parts: Parts<'_>,
    ) -> Result<PathBuf, TrainingError> {
        let counting = match &trained.model {
            Model::Frequency(settings) => settings.popularity(),
            _ => Popularity::default(),
        };
        let popularity = frequency::popularity(self.dataset, &trained.rows, &counting);
        let contents = Contents {
            name: &self.config.model.name,
            family: parts.family,
            schema: trained.encoder.schema(),
            vocabularies: trained.encoder.vocabularies(),
            time_unit: self.dataset.time_unit,
            training: serde_json::json!(self.config),
            data_fingerprint: self.fingerprint,
            provenance: self.provenance(trained),
            metrics,
            ranking: parts.ranking,
            golden: parts.golden,
            popularity: &popularity,
        };
        Ok(bundle::write(models, contents)?)
    }

    fn provenance(&self, trained: &Trained) -> Provenance {
        let dated = self.dataset.time_unit != TimeUnit::Position;
        let last = trained.rows.last().filter(|_| dated);
        let held_out = self.final_epochs.is_none().then(|| self.split.held_out_fingerprint(self.dataset));
        Provenance {
            seen_until: last.map(|&row| self.dataset.purchases.time[row as usize]),
            held_out,
            measured: trained.measured.clone(),
        }
    }

    /// Customers at the end of the data, evenly spaced, the first of them with nothing known.
    fn golden_moments(&self) -> std::vec::IntoIter<Moment> {
        let at = self.dataset.purchases.time.last().copied().unwrap_or_default();
        let moments = spaced(self.dataset.customers.len()).enumerate().map(|(i, customer)| {
            let known = if i == 0 { 0 } else { self.histories.of_customer(customer as u32).len() as u32 };
            Moment { customer: customer as u32, at, known }
        });
        moments.collect::<Vec<_>>().into_iter()
    }
}

/// What a family brings to its bundle.
struct Parts<'a> {
    family: &'a str,
    ranking: RankingContents<'a>,
    golden: Golden,
}

/// Golden requests: all query rows, and items evenly spaced.
fn golden(schema: &FeatureSchema, queries: &Inputs, vectors: &[f32], all_items: &Inputs, items: &[f32]) -> Golden {
    let dim = items.len() / all_items.rows;
    let (query_widths, item_widths) = (schema.query.row_widths(), schema.item.row_widths());
    let queries = (0..queries.rows).map(|i| {
        let (indices, numbers) = row(queries, query_widths, i);
        GoldenQuery { indices, numbers, vector: vectors[i * dim..(i + 1) * dim].to_vec(), top: Vec::new() }
    });
    let items = spaced(all_items.rows).map(|i| {
        let (indices, numbers) = row(all_items, item_widths, i);
        GoldenItem { indices, numbers, vector: items[i * dim..(i + 1) * dim].to_vec() }
    });
    Golden { queries: queries.collect(), items: items.collect() }
}

fn spaced(len: usize) -> impl Iterator<Item = usize> {
    let count = GOLDEN.min(len);
    (0..count).map(move |i| i * len / count)
}

fn row(inputs: &Inputs, (i, n): (usize, usize), row: usize) -> (Vec<i64>, Vec<f32>) {
    (inputs.indices[row * i..(row + 1) * i].to_vec(), inputs.numbers[row * n..(row + 1) * n].to_vec())
}

pub(crate) fn weights(side: &Side) -> Vec<Vec<f32>> {
    side.tables.iter().map(|table| table.trained_weights()).collect()
}

pub(crate) fn graph<'a>(
    name: &'a str,
    schema: &'a TowerSchema,
    side: &'a Side,
    tables: &'a [Vec<f32>],
) -> onnx::TowerGraph<'a> {
    let mut tables = tables.iter();
    let mut table = || tables.next().map_or(&[][..], |table| table.as_slice());
    let inputs = schema.slots().into_iter().zip(&schema.features).map(|(slot, feature)| match slot {
        Slot::Embedding { name, rows, dim, at } => onnx::Input::Embedding { name, table: table(), rows, dim, at },
        Slot::History { name, rows, dim, at, length, decay } => {
            onnx::Input::History { name, table: table(), rows, dim, at, length, decay }
        }
        Slot::Sequence { .. } => unreachable!("a dense tower reads no sequences: the configuration is checked"),
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
