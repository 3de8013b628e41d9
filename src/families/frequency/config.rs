//! `[frequency]`: the configuration of the family `frequency`.

use crate::{
    bundle::FrequencySettings,
    families::{ModelFamily, Registered, registered},
    training::{ConfigError, Outcome, Trainer, TrainingConfig, TrainingError},
};
use serde::{Deserialize, Serialize};

pub(in crate::families) const REGISTERED: Registered = registered::<FrequencyFamily>(
    FrequencySettings::FAMILY,
    "The customer's own articles by how often and how lately they were bought, then what is popular. Nothing is \
     trained: its settings are chosen on the validation purchases.",
    &[],
);

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

/// The sections of the family.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct FrequencyFamily {
    /// Of the family `frequency`.
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency: Option<FrequencyConfig>,
}

impl FrequencyFamily {
    fn config(&self) -> FrequencyConfig {
        self.frequency.clone().unwrap_or_default()
    }
}

impl ModelFamily for FrequencyFamily {
    fn check(&self, _config: &TrainingConfig) -> Result<(), ConfigError> {
        let frequency = self.config();
        let half_lives = |days: &[f32]| {
            !days.is_empty() && days.iter().all(|days| *days >= 0.0 && days.is_finite())
        };
        ConfigError::first([
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
            (
                "frequency.popularity_window_days",
                frequency.popularity_window_days != Some(0),
                "must be at least 1",
            ),
        ])
    }

    fn train(&self, trainer: &Trainer<'_>, _resume: bool) -> Result<Outcome, TrainingError> {
        trainer.choose_frequency(&self.config())
    }
}
