//! `[ranker]`: the configuration of the family `ranker`.

use crate::{
    bundle::RankerSettings,
    families::{ModelFamily, Registered, registered},
    forest::MAX_DEPTH,
    recommend::sources::SourceSpec,
    training::{ConfigError, Outcome, Trainer, TrainingConfig, TrainingError},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(in crate::families) const REGISTERED: Registered = registered::<RankerFamily>(
    RankerSettings::FAMILY,
    "Trees or a network that order what several sources find, learnt from lists of past moments.",
    &[],
);

/// `[ranker]`: where candidates come from, and what learns to order them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RankerConfig {
    /// The sources of candidates, as a request or placement writes them. None: the customer's own
    /// articles, what sells in general and among the values that the customer buys, what is bought
    /// together, what customers of the same taste buy; with leave-one-out also what is bought next
    /// and what EASE expects.
    pub sources: Vec<Map<String, Value>>,
    /// Attributes whose purchases are counted by value, such as a category. None: up to three,
    /// whose number of values is nearest to the root of the number of articles.
    pub attributes: Vec<String>,
    /// The model that learns the order.
    pub learner: LearnerKind,
    /// Levels of a tree.
    pub depth: usize,
    /// Each tree's output is multiplied by this. A smaller value needs more trees and usually ranks
    /// better.
    pub shrinkage: f32,
    /// Widths of the network's hidden layers.
    pub hidden: Vec<usize>,
    /// Moments of the past to learn from: with a split by time so many windows as long as the
    /// validation window, with leave-one-out so many of each customer's last purchases.
    pub lists: usize,
    /// Candidates of a list that were not bought, at most: drawn from all there are.
    pub negatives: usize,
    /// Lists of a step of the network.
    pub batch_lists: usize,
    /// Writes the lists into the run's folder, for other rankers to learn from.
    pub write_lists: bool,
}

/// What learns to order candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LearnerKind {
    /// Boosted oblivious trees. An epoch adds 25 of them. `[optimizer]` has no effect.
    Trees,
    /// A network, trained by `[optimizer]`.
    Network,
}

impl Default for RankerConfig {
    fn default() -> Self {
        Self {
            sources: Vec::new(),
            attributes: Vec::new(),
            learner: LearnerKind::Trees,
            depth: 6,
            shrinkage: 0.1,
            hidden: vec![64, 32],
            lists: 20,
            negatives: 100,
            batch_lists: 64,
            write_lists: false,
        }
    }
}

/// The sections of the family.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct RankerFamily {
    /// Of the family `ranker`.
    #[serde(skip_serializing_if = "Option::is_none")]
    ranker: Option<RankerConfig>,
}

impl RankerConfig {
    /// That of a configuration; the default one for other families.
    pub fn of(config: &TrainingConfig) -> Self {
        config
            .family
            .get::<RankerFamily>()
            .and_then(|family| family.ranker.clone())
            .unwrap_or_default()
    }
}

impl ModelFamily for RankerFamily {
    fn check(&self, config: &TrainingConfig) -> Result<(), ConfigError> {
        let ranker = RankerConfig::of(config);
        for source in &ranker.sources {
            if let Err(problem) = SourceSpec::parse(source.clone()) {
                return Err(ConfigError::Value {
                    key: "ranker.sources",
                    problem: format!("is wrong: {problem}"),
                });
            }
        }
        ConfigError::first([
            (
                "ranker.hidden",
                ranker.hidden.iter().all(|width| (1..=1_024).contains(width)),
                "holds widths of 1 to 1024",
            ),
            ("ranker.depth", (1..=MAX_DEPTH).contains(&ranker.depth), "must be 1 to 10"),
            (
                "ranker.shrinkage",
                ranker.shrinkage > 0.0 && ranker.shrinkage <= 1.0,
                "must be above 0 and at most 1",
            ),
            ("ranker.hidden", ranker.hidden.len() <= 8, "holds at most 8 layers"),
            ("ranker.attributes", ranker.attributes.len() <= 16, "holds at most 16 attributes"),
            ("ranker.lists", (1..=1_000).contains(&ranker.lists), "must be 1 to 1000"),
            ("ranker.negatives", (1..=10_000).contains(&ranker.negatives), "must be 1 to 10000"),
            (
                "ranker.batch_lists",
                (1..=10_000).contains(&ranker.batch_lists),
                "must be 1 to 10000",
            ),
        ])
    }

    fn train(&self, trainer: &Trainer<'_>, _resume: bool) -> Result<Outcome, TrainingError> {
        trainer.train_ranker(&RankerConfig::of(trainer.config))
    }
}
