//! What the training loop asks of a model family. The loop itself knows none.

use super::{TrainingError, batches::Batches, config::TrainingConfig, run::Trainer, warm::WarmStart};
use crate::{
    bundle::FrequencySettings,
    dataset::{Dataset, Histories},
    families::{Samples, TrainedRanker},
    features::{Encoder, Moment},
    model::{AdamW, Elsa, Inputs, SequenceModel, Side, StepBatch, TwoTower},
};

/// A model that learns by steps over batches.
pub trait Learner: Sized + Sync {
    /// What one step sees.
    type Batch: Send;
    /// The training purchases of a run and everything to make batches of them.
    type Samples<'a>: Batches<Self::Batch>;

    /// A model with freshly drawn weights.
    ///
    /// # Errors
    /// A shape that cannot be.
    fn new(encoder: &Encoder, dataset: &Dataset, config: &TrainingConfig) -> Result<Self, TrainingError>;

    /// Prepares the purchases `rows` for training, and the whole dataset for evaluation.
    fn samples<'a>(
        encoder: &'a Encoder,
        dataset: &'a Dataset,
        histories: &'a Histories,
        rows: &[u32],
        config: &TrainingConfig,
    ) -> Self::Samples<'a>;

    /// The same with whatever training needs beside the purchases.
    fn training_samples<'a>(trainer: &'a Trainer<'_>, encoder: &'a Encoder, rows: &[u32]) -> Self::Samples<'a> {
        Self::samples(encoder, trainer.dataset, trainer.histories, rows, trainer.config)
    }

    /// Starts from what the samples say of the items, before the first step of a run, where the
    /// configuration asks for it.
    fn start(&mut self, _samples: &Self::Samples<'_>) {}

    /// Takes over what a bundle has learnt, before the first step of a run.
    ///
    /// # Errors
    /// Why the family or the shape does not allow it, in words that follow "it".
    fn warm(&mut self, _from: &WarmStart, _encoder: &Encoder) -> Result<(), String> {
        Err("is of a family that always starts afresh".to_owned())
    }

    /// One optimiser step; the mean loss before it. A loss that is not finite changes nothing in the model.
    ///
    /// # Errors
    /// When the device that computes it fails.
    fn step(&mut self, batch: &Self::Batch, optimizer: &StepOptimizer) -> Result<f64, TrainingError>;

    /// Optimiser steps taken; a checkpoint sets it.
    fn steps(&mut self) -> &mut u32;

    /// Brings back what steps keep elsewhere. The loop calls it between the last step and the first look at arrays or
    /// vectors.
    ///
    /// # Errors
    /// When the device that holds it fails.
    fn settle(&mut self) -> Result<(), TrainingError> {
        Ok(())
    }

    /// Every array of the model's state as bytes, in a fixed order: what a checkpoint holds.
    fn arrays(&mut self) -> Vec<&mut [u8]>;

    /// Every weight and running statistic, in a fixed order: what an average of the weights
    /// follows. Empty where the family knows none (`optimizer.ema_decay`). As of the last
    /// [`Self::settle`].
    fn weights(&mut self) -> Vec<&mut [f32]> {
        Vec::new()
    }

    /// Length of query and item vectors.
    fn dim(&self) -> usize;

    /// The vector of every item of the catalogue, in order.
    fn item_vectors(&self, samples: &Self::Samples<'_>) -> Vec<f32>;

    /// The vectors of customers at any moments.
    fn query_vectors(&self, samples: &Self::Samples<'_>, moments: impl ExactSizeIterator<Item = Moment>) -> Vec<f32>;

    /// A metric of the family's own, on at most `most` of the examples that its samples held out themselves.
    fn own_metric(&self, _samples: &Self::Samples<'_>, _most: usize) -> Option<(String, f64)> {
        None
    }

    /// Into what a finished run holds.
    fn into_model(self) -> Model;
}

/// The optimiser as one step uses it.
#[derive(Debug, Clone, Copy)]
pub struct StepOptimizer {
    /// With the learning rate of this step.
    pub adamw: AdamW,
    /// Gradients longer than this, over all parameters, are scaled down to it.
    pub clip: Option<f32>,
}

/// A trained model of any family.
pub enum Model {
    TwoTower(Box<TwoTower>),
    Sequence(Box<SequenceModel>),
    Elsa(Box<Elsa>),
    /// Chosen, not trained.
    Frequency(FrequencySettings),
    Ranker(Box<TrainedRanker>),
}

impl Learner for TwoTower {
    type Batch = StepBatch;
    type Samples<'a> = Samples<'a>;

    fn new(encoder: &Encoder, _dataset: &Dataset, config: &TrainingConfig) -> Result<Self, TrainingError> {
        Ok(Self::new(encoder.schema(), &config.two_tower(), config.training.seed))
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

    fn training_samples<'a>(trainer: &'a Trainer<'_>, encoder: &'a Encoder, rows: &[u32]) -> Samples<'a> {
        let samples = Samples::new(encoder, trainer.dataset, trainer.histories, rows, trainer.config);
        if trainer.config.loss.kind.is_pairwise() { samples.with_negatives(trainer.negatives(rows)) } else { samples }
    }

    fn warm(&mut self, from: &WarmStart, encoder: &Encoder) -> Result<(), String> {
        from.two_tower(self, encoder)
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

    fn query_vectors(&self, samples: &Samples<'_>, moments: impl ExactSizeIterator<Item = Moment>) -> Vec<f32> {
        let queries: Inputs = samples.query_rows(moments);
        self.query.embed(&queries)
    }

    fn into_model(self) -> Model {
        Model::TwoTower(Box::new(self))
    }
}
