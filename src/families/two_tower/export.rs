//! The towers as ONNX graphs.

use crate::{
    bundle::{Metric, TowerContents},
    dataset::Case,
    evaluation::Measured,
    families::TrainedModel,
    features::{Slot, TowerSchema},
    model::{Side, TwoTower},
    onnx,
    training::{Export, Trained, Trainer, TrainingError},
};
use std::path::{Path, PathBuf};

impl TrainedModel for TwoTower {
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
        let all_items = samples.all_items();
        let items = self.item.embed(&all_items);
        let (query_tables, item_tables) = (weights(&self.query), weights(&self.item));
        let schema = trained.encoder.schema();
        let queries = samples.query_rows(export.golden_moments());
        let vectors = self.query.embed(&queries);
        let towers = TowerContents {
            metric: if trainer.config.model.normalize { Metric::Cosine } else { Metric::Dot },
            index: trainer.config.index,
            query_tower: graph("query_tower", &schema.query, &self.query, &query_tables).into(),
            item_tower: graph("item_tower", &schema.item, &self.item, &item_tables),
            items: &items,
        };
        export.write_towers(towers, (&queries, &vectors), &all_items)
    }

    fn write_split_encoders(
        &self,
        trained: &Trained,
        directory: &Path,
    ) -> Result<Vec<PathBuf>, TrainingError> {
        super::split_encoders::write(self, trained.encoder.schema(), directory)
    }
}

pub(super) fn weights(side: &Side) -> Vec<Vec<f32>> {
    side.tables.iter().map(|table| table.trained_weights()).collect()
}

pub(super) fn graph<'a>(
    name: &'a str,
    schema: &'a TowerSchema,
    side: &'a Side,
    tables: &'a [Vec<f32>],
) -> onnx::TowerGraph<'a> {
    let mut tables = tables.iter();
    let mut table = || tables.next().map_or(&[][..], |table| table.as_slice());
    let inputs =
        schema.slots().into_iter().zip(&schema.features).map(|(slot, feature)| match slot {
            Slot::Embedding { name, rows, dim, at } => {
                onnx::Input::Embedding { name, table: table(), rows, dim, at }
            }
            Slot::History { name, rows, dim, at, length, decay } => {
                onnx::Input::History { name, table: table(), rows, dim, at, length, decay }
            }
            Slot::Sequence { .. } => {
                unreachable!("a dense tower reads no sequences: the configuration is checked")
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
