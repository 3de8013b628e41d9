//! The family `two-tower`: a tower for the customer and the moment, one for the item.

mod export;
mod negatives;
mod samples;
mod split_encoders;
mod warm;

pub use samples::Samples;

use super::{ModelFamily, Registered, SPLIT_ENCODERS, TrainedModel, WARM_EPOCHS, registered};
use crate::{
    dataset::{Dataset, Histories},
    features::{Encoder, EncodingSpec, FeatureConfig, FeatureSpec, Moment},
    model::{Inputs, Side, StepBatch, TwoTower, TwoTowerConfig},
    training::{
        ConfigError, Learner, LossConfig, ModelConfig, Outcome, StepOptimizer, Trainer,
        TrainingConfig, TrainingError, WarmStart,
    },
};
use serde::{Deserialize, Serialize};

pub(super) const REGISTERED: Registered = registered::<TwoTowerFamily>(
    "two-tower",
    "A tower that reads the customer and the moment, and one that reads the article.",
    &[
        "features",
        "model.dim",
        "model.query_layers",
        "model.item_layers",
        "model.normalize",
        "loss.kind",
        "loss.temperature",
        "loss.logq",
        "loss.uniform_negatives",
        "optimizer.amsgrad",
        WARM_EPOCHS,
        SPLIT_ENCODERS,
    ],
);

/// It has no section of its own.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TwoTowerFamily {}

impl ModelFamily for TwoTowerFamily {
    fn check(&self, config: &TrainingConfig) -> Result<(), ConfigError> {
        let FeatureConfig { query, item } = &config.features;
        let sequences = |spec: &FeatureSpec| {
            matches!(
                spec.encoding,
                EncodingSpec::Sequence { .. }
                    | EncodingSpec::SequenceDays { .. }
                    | EncodingSpec::SequenceGaps { .. }
            )
        };
        let some = |features: &[FeatureSpec]| features.iter().any(|feature| feature.enabled);
        ConfigError::first([
            ("features.query", some(query), "names no feature"),
            ("features.item", some(item), "names no feature"),
            (
                "features.query",
                !query.iter().any(sequences),
                "holds a sequence, which the family `two-tower` cannot read",
            ),
        ])
    }

    fn features(&self, config: &TrainingConfig) -> FeatureConfig {
        config.features.clone()
    }

    fn train(&self, trainer: &Trainer<'_>, resume: bool) -> Result<Outcome, TrainingError> {
        trainer.stages::<TwoTower>(resume)
    }
}

/// The shape of the model.
fn shape(config: &TrainingConfig) -> TwoTowerConfig {
    let ModelConfig { dim, query_layers, item_layers, normalize, .. } = config.model.clone();
    let LossConfig { kind: loss, temperature, .. } = config.loss;
    let amsgrad = config.optimizer.amsgrad;
    TwoTowerConfig { dim, query_layers, item_layers, normalize, loss, temperature, amsgrad }
}

impl Learner for TwoTower {
    type Batch = StepBatch;
    type Samples<'a> = Samples<'a>;

    fn new(
        encoder: &Encoder,
        _dataset: &Dataset,
        config: &TrainingConfig,
    ) -> Result<Self, TrainingError> {
        Ok(Self::new(encoder.schema(), &shape(config), config.training.seed))
    }

    fn samples<'a>(
        encoder: &'a Encoder,
        dataset: &'a Dataset,
        histories: &'a Histories,
        rows: &[u32],
        config: &TrainingConfig,
    ) -> Samples<'a> {
        Samples::new(encoder, dataset, histories, rows, config)
    }

    fn training_samples<'a>(
        trainer: &'a Trainer<'_>,
        encoder: &'a Encoder,
        rows: &[u32],
    ) -> Samples<'a> {
        let samples =
            Samples::new(encoder, trainer.dataset, trainer.histories, rows, trainer.config);
        if trainer.config.loss.kind.is_pairwise() {
            samples.with_negatives(trainer.negatives(rows))
        } else {
            samples
        }
    }

    fn warm(&mut self, from: &WarmStart, encoder: &Encoder) -> Result<(), String> {
        warm::warm(self, from, encoder)
    }

    fn step(&mut self, batch: &StepBatch, optimizer: &StepOptimizer) -> Result<f64, TrainingError> {
        Ok(self.step(batch, &optimizer.adamw))
    }

    fn steps(&mut self) -> &mut u32 {
        &mut self.steps
    }

    fn arrays(&mut self) -> Vec<&mut [u8]> {
        let Self { query, item, .. } = self;
        let mut arrays = Vec::new();
        for Side { tables, tower, .. } in [query, item] {
            arrays.extend(tables.iter_mut().flat_map(|table| table.arrays()));
            for (layer, (weight, bias)) in tower.layers.iter_mut().zip(&mut tower.moments) {
                let parts = [
                    &mut layer.weight,
                    &mut layer.bias,
                    &mut weight.first,
                    &mut weight.second,
                    &mut weight.largest,
                    &mut bias.first,
                    &mut bias.second,
                    &mut bias.largest,
                ];
                arrays.extend(parts.map(|array| bytemuck::cast_slice_mut(array)));
            }
        }
        arrays
    }

    fn dim(&self) -> usize {
        self.query.tower.dim()
    }

    fn item_vectors(&self, samples: &Samples<'_>) -> Vec<f32> {
        self.item.embed(&samples.all_items())
    }

    fn query_vectors(
        &self,
        samples: &Samples<'_>,
        moments: impl ExactSizeIterator<Item = Moment>,
    ) -> Vec<f32> {
        let queries: Inputs = samples.query_rows(moments);
        self.query.embed(&queries)
    }

    fn into_model(self) -> Box<dyn TrainedModel> {
        Box::new(self)
    }
}
