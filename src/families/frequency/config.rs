//! `[frequency]`: the configuration of the family `frequency`.

use crate::{
    features::FeatureConfig,
    training::{ConfigError, Family, LossConfig, TrainingConfig},
};
use serde::{Deserialize, Serialize};

/// `[frequency]`: what is tried on the validation purchases. Half-lives are in days; 0 stands for
/// none, so that old and new purchases count alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FrequencyConfig {
    /// Half-lives of a customer's own purchases.
    pub half_life_days: Vec<f32>,
    /// Half-lives of the purchases that make an article popular.
    pub popularity_half_life_days: Vec<f32>,
    /// Popularity counts the purchases of the last so many days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub popularity_window_days: Option<u32>,
}

impl Default for FrequencyConfig {
    fn default() -> Self {
        Self {
            half_life_days: vec![0.0, 7.0, 14.0, 30.0, 60.0, 90.0, 120.0, 180.0, 365.0],
            popularity_half_life_days: vec![0.0, 3.0, 7.0, 14.0, 30.0, 90.0],
            popularity_window_days: None,
        }
    }
}

impl TrainingConfig {
    /// `[frequency]` of the family `frequency`; `None` for other families.
    pub fn frequency_model(&self) -> Option<FrequencyConfig> {
        (self.model.family == Family::Frequency).then(|| self.frequency.clone().unwrap_or_default())
    }

    /// What must hold of the family `frequency` beside the single values.
    pub(crate) fn check_frequency(&self, frequency: &FrequencyConfig) -> Result<(), ConfigError> {
        let plain = self.model.query_layers.is_empty() && self.model.item_layers.is_empty() && !self.model.normalize;
        let half_lives = |days: &[f32]| !days.is_empty() && days.iter().all(|days| *days >= 0.0 && days.is_finite());
        let checks = [
            (
                "features",
                self.features == FeatureConfig::default(),
                "must be left out: the family `frequency` reads the customer's purchases and nothing else",
            ),
            (
                "model",
                plain && self.model.dim == 0,
                "takes no layers, no `normalize` and no `dim` in the family `frequency`: it has no vectors",
            ),
            ("loss", self.loss == LossConfig::default(), "must be left out: the family `frequency` has none"),
            (
                "frequency.half_life_days",
                half_lives(&frequency.half_life_days),
                "must list at least one number of days, 0 for no half-life",
            ),
            (
                "frequency.popularity_half_life_days",
                half_lives(&frequency.popularity_half_life_days),
                "must list at least one number of days, 0 for no half-life",
            ),
            ("frequency.popularity_window_days", frequency.popularity_window_days != Some(0), "must be at least 1"),
        ];
        match checks.into_iter().find(|(_, good, _)| !good) {
            Some((key, _, problem)) => Err(ConfigError::Value { key, problem: problem.to_owned() }),
            None => Ok(()),
        }
    }
}
