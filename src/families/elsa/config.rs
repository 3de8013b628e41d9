//! `[elsa]`: the configuration of the family `elsa`.

use crate::{
    features::{EncodingSpec, FeatureConfig, FeatureSpec, source},
    training::{ConfigError, Family, LossConfig, TrainingConfig},
};
use serde::{Deserialize, Serialize};

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

impl ElsaConfig {
    /// The features of the two sides over vectors of length `dim`.
    pub(crate) fn features(&self, dim: usize) -> FeatureConfig {
        let Self { length, decay, .. } = *self;
        let feature = |source: &str, encoding| FeatureSpec {
            name: source.to_owned(),
            source: source.to_owned(),
            encoding,
            enabled: true,
        };
        FeatureConfig {
            query: vec![feature(source::HISTORY, EncodingSpec::History { dim, length, decay })],
            item: vec![feature(source::ARTICLE_ID, EncodingSpec::Embedding { dim, dropout: 0.0, min_count: 1 })],
        }
    }
}

impl TrainingConfig {
    /// `[elsa]` of the family `elsa`; `None` for other families.
    pub fn elsa_model(&self) -> Option<ElsaConfig> {
        (self.model.family == Family::Elsa).then(|| self.elsa.unwrap_or_default())
    }

    /// What must hold of the family `elsa` beside the single values.
    pub(crate) fn check_elsa(&self, elsa: ElsaConfig) -> Result<(), ConfigError> {
        let plain = self.model.query_layers.is_empty() && self.model.item_layers.is_empty() && !self.model.normalize;
        let checks = [
            (
                "features",
                self.features == FeatureConfig::default(),
                "must be left out: the family `elsa` reads the customer's purchases and nothing else",
            ),
            ("model", plain, "takes neither `query_layers`, `item_layers` nor `normalize` in the family `elsa`"),
            (
                "loss",
                self.loss == LossConfig::default(),
                "must be left out: the family `elsa` has a loss of its own, the normalised squared error",
            ),
            ("optimizer.clip", self.optimizer.clip.is_none(), "is for the families `decoder` and `lstm` only"),
            ("elsa.length", (1..=1_024).contains(&elsa.length), "must be 1 to 1024"),
            ("elsa.steps", elsa.steps > 0, "must be at least 1"),
            ("elsa.decay", elsa.decay > 0.0 && elsa.decay <= 1.0, "must be above 0 and at most 1"),
        ];
        match checks.into_iter().find(|(_, good, _)| !good) {
            Some((key, _, problem)) => Err(ConfigError::Value { key, problem: problem.to_owned() }),
            None => Ok(()),
        }
    }
}
