//! `[elsa]`: the configuration of the family `elsa`.

use crate::{
    families::{ModelFamily, Registered, WARM_EPOCHS, history::HistoryMean, registered},
    features::FeatureConfig,
    model::Elsa,
    training::{ConfigError, Outcome, Trainer, TrainingConfig, TrainingError},
};
use serde::{Deserialize, Serialize};

pub(in crate::families) const REGISTERED: Registered = registered::<ElsaFamily>(
    "elsa",
    "A linear autoencoder over what the customer bought, in any order.",
    &["model.dim", WARM_EPOCHS],
);

/// `[elsa]`: how the model is trained, and what a query is made of. Its shape is `model.dim`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ElsaConfig {
    /// Purchases of a customer that a query reads, at most: the latest ones.
    pub length: usize,
    /// The weight of a purchase in the query is this to the power of its position, the latest
    /// having position 0.
    pub decay: f32,
    /// Optimiser steps an epoch, each over as many customers as that takes. In place of
    /// `training.batch_size`, because a step costs nearly the same however many customers it holds.
    pub steps: usize,
}

impl Default for ElsaConfig {
    fn default() -> Self {
        Self { length: 200, decay: 1.0, steps: 16 }
    }
}

/// The sections of the family.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct ElsaFamily {
    /// Of the family `elsa`.
    #[serde(skip_serializing_if = "Option::is_none")]
    elsa: Option<ElsaConfig>,
}

impl ElsaConfig {
    /// That of a configuration.
    pub(super) fn of(config: &TrainingConfig) -> Self {
        config.family.get::<ElsaFamily>().and_then(|family| family.elsa).unwrap_or_default()
    }

    /// Queries over vectors of length `dim`.
    pub(super) fn history(self, dim: usize) -> HistoryMean {
        HistoryMean { dim, length: self.length, decay: self.decay }
    }
}

impl ModelFamily for ElsaFamily {
    fn check(&self, config: &TrainingConfig) -> Result<(), ConfigError> {
        let elsa = ElsaConfig::of(config);
        ConfigError::first([
            ("elsa.length", (1..=1_024).contains(&elsa.length), "must be 1 to 1024"),
            ("elsa.steps", elsa.steps > 0, "must be at least 1"),
            ("elsa.decay", elsa.decay > 0.0 && elsa.decay <= 1.0, "must be above 0 and at most 1"),
        ])
    }

    fn features(&self, config: &TrainingConfig) -> FeatureConfig {
        ElsaConfig::of(config).history(config.model.dim).features()
    }

    fn train(&self, trainer: &Trainer<'_>, resume: bool) -> Result<Outcome, TrainingError> {
        trainer.stages::<Elsa>(resume)
    }
}
