//! What the training loop asks of a model family. The loop itself knows none.

use super::{
    TrainingError, batches::Batches, config::TrainingConfig, run::Trainer, warm::WarmStart,
};
use crate::{
    dataset::{Dataset, Histories},
    families::TrainedModel,
    features::{Encoder, Moment},
    model::AdamW,
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
    fn new(
        encoder: &Encoder,
        dataset: &Dataset,
        config: &TrainingConfig,
    ) -> Result<Self, TrainingError>;

    /// Prepares the purchases `rows` for training, and the whole dataset for evaluation.
    fn samples<'a>(
        encoder: &'a Encoder,
        dataset: &'a Dataset,
        histories: &'a Histories,
        rows: &[u32],
        config: &TrainingConfig,
    ) -> Self::Samples<'a>;

    /// The same with whatever training needs beside the purchases.
    fn training_samples<'a>(
        trainer: &'a Trainer<'_>,
        encoder: &'a Encoder,
        rows: &[u32],
    ) -> Self::Samples<'a> {
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

    /// One optimiser step; the mean loss before it. A loss that is not finite changes nothing in
    /// the model.
    ///
    /// # Errors
    /// When the device that computes it fails.
    fn step(
        &mut self,
        batch: &Self::Batch,
        optimizer: &StepOptimizer,
    ) -> Result<f64, TrainingError>;

    /// Optimiser steps taken; a checkpoint sets it.
    fn steps(&mut self) -> &mut u32;

    /// Brings back what steps keep elsewhere. The loop calls it between the last step and the first
    /// look at arrays or vectors.
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
    fn query_vectors(
        &self,
        samples: &Self::Samples<'_>,
        moments: impl ExactSizeIterator<Item = Moment>,
    ) -> Vec<f32>;

    /// A metric of the family's own, on at most `most` of the examples that its samples held out
    /// themselves.
    fn own_metric(&self, _samples: &Self::Samples<'_>, _most: usize) -> Option<(String, f64)> {
        None
    }

    /// Into what a finished run holds.
    fn into_model(self) -> Box<dyn TrainedModel>;
}

/// The optimiser as one step uses it.
#[derive(Debug, Clone, Copy)]
pub struct StepOptimizer {
    /// With the learning rate of this step.
    pub adamw: AdamW,
    /// Gradients longer than this, over all parameters, are scaled down to it.
    pub clip: Option<f32>,
}
