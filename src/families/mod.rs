//! The model families. Each is one folder here and one line of [`REGISTRY`].
//!
//! A family is a type whose fields are its own sections of a training configuration, such as
//! `[elsa]`: a
//! [`ModelFamily`] checks them, says what its towers read, and trains. What comes out is a
//! [`TrainedModel`], which is measured and writes itself into a bundle. A family whose models learn
//! by steps implements
//! [`Learner`](crate::training::Learner) and leaves the rest to the loop.

mod elsa;
mod frequency;
mod history;
mod name;
mod ranker;
mod sequence;
mod two_tower;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod warm_tests;

pub use elsa::ElsaConfig;
pub use frequency::FrequencyConfig;
pub use name::Family;
pub use ranker::{RankerConfig, TrainedRanker};
pub use sequence::{ExportedTables, SequenceConfig, Sequences, WINDOW_ACCURACY, query_graph};
pub use two_tower::Samples;

use crate::{
    counters::Popularity,
    dataset::Case,
    evaluation::Measured,
    features::FeatureConfig,
    training::{ConfigError, Export, Outcome, Trained, Trainer, TrainingConfig, TrainingError},
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer, de::DeserializeOwned};
use serde_json::Value;
use std::{
    any::Any,
    collections::BTreeMap,
    fmt::Debug,
    path::{Path, PathBuf},
    sync::Arc,
};

/// All model families.
pub const REGISTRY: &[Registered] = &[
    two_tower::REGISTERED,
    sequence::DECODER,
    sequence::LSTM,
    elsa::REGISTERED,
    frequency::REGISTERED,
    ranker::REGISTERED,
];

/// What can be learnt. Its fields are its sections of a configuration, all of which may be left
/// out.
pub trait ModelFamily: Any + Debug + Send + Sync + erased_serde::Serialize {
    /// What must hold beside the values that all families share.
    ///
    /// # Errors
    /// The key, and what is wrong with it.
    fn check(&self, config: &TrainingConfig) -> Result<(), ConfigError>;

    /// What the towers read; nothing where there are none.
    fn features(&self, _config: &TrainingConfig) -> FeatureConfig {
        FeatureConfig::default()
    }

    /// Trains; with `resume` goes on from the last checkpoint.
    ///
    /// # Errors
    /// [`TrainingError`].
    fn train(&self, trainer: &Trainer<'_>, resume: bool) -> Result<Outcome, TrainingError>;
}

/// A finished model.
pub trait TrainedModel: Any + Send + Sync {
    /// Ranks the full catalogue for the cases.
    ///
    /// # Errors
    /// [`TrainingError::Evaluation`] when there are no cases.
    fn measure(
        &self,
        trainer: &Trainer<'_>,
        trained: &Trained,
        cases: &[Case],
    ) -> Result<Measured, TrainingError>;

    /// Writes itself as a bundle.
    ///
    /// # Errors
    /// [`TrainingError::Bundle`].
    fn export(&self, export: &Export<'_>) -> Result<PathBuf, TrainingError>;

    /// How the bundle counts what is popular.
    fn popularity(&self) -> Popularity {
        Popularity::default()
    }

    /// Writes the towers in parts into a folder; the paths written.
    ///
    /// # Errors
    /// When the model has no two towers, and when the folder is there already or can't be written.
    fn write_split_encoders(
        &self,
        _trained: &Trained,
        _directory: &Path,
    ) -> Result<Vec<PathBuf>, TrainingError> {
        Err(TrainingError::NoTowers)
    }
}

/// A kind of model.
pub struct Registered {
    pub name: &'static str,
    /// What it is, for documentation.
    pub about: &'static str,
    /// What the user can ask for that not every family has: keys that all configurations share (see
    /// `training/config/check.rs`), [`WARM_EPOCHS`] and [`SPLIT_ENCODERS`].
    pub uses: &'static [&'static str],
    schema: fn(&mut SchemaGenerator) -> Schema,
    from_toml: fn(toml::Deserializer<'_>) -> Result<Settings, toml::de::Error>,
    from_json: fn(Value) -> Result<Settings, serde_json::Error>,
}

/// Key of a nightly run: start from the weights of the active bundle.
pub const WARM_EPOCHS: &str = "training.warm_epochs";
/// Option of `vitrine-trainer train`: write the towers in parts as well.
pub const SPLIT_ENCODERS: &str = "--split-encoders";

const fn registered<F: ModelFamily + DeserializeOwned + JsonSchema>(
    name: &'static str,
    about: &'static str,
    uses: &'static [&'static str],
) -> Registered {
    let from_toml = |sections: toml::Deserializer<'_>| F::deserialize(sections).map(Settings::of);
    let from_json = |sections| serde_json::from_value::<F>(sections).map(Settings::of);
    Registered { name, about, uses, schema: F::json_schema, from_toml, from_json }
}

/// A family with its sections, as a configuration gives them.
#[derive(Debug, Clone)]
pub struct Settings(Arc<dyn ModelFamily>);

impl Settings {
    fn of(family: impl ModelFamily) -> Self {
        Self(Arc::new(family))
    }

    /// As the family's own type; `None` where they are another family's.
    pub(crate) fn get<F: ModelFamily>(&self) -> Option<&F> {
        let any: &dyn Any = &*self.0;
        any.downcast_ref()
    }
}

/// Those of the first family, as long as the sections are not read.
impl Default for Settings {
    fn default() -> Self {
        Self::of(two_tower::TwoTowerFamily {})
    }
}

impl std::ops::Deref for Settings {
    type Target = dyn ModelFamily;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl Serialize for Settings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        erased_serde::serialize(&*self.0, serializer)
    }
}

impl PartialEq for Settings {
    fn eq(&self, other: &Self) -> bool {
        let sections = |settings: &Self| serde_json::to_value(settings).ok();
        sections(self) == sections(other)
    }
}

impl Registered {
    /// Its sections with their descriptions.
    pub(crate) fn sections(
        &self,
        generator: &mut SchemaGenerator,
    ) -> serde_json::Map<String, Value> {
        let mut schema = (self.schema)(generator);
        match schema.remove("properties") {
            Some(Value::Object(sections)) => sections,
            _ => serde_json::Map::new(),
        }
    }
}

/// The sections of all families, each with the names of those that have it.
pub(crate) fn sections() -> BTreeMap<String, Vec<&'static str>> {
    let mut sections = BTreeMap::<String, Vec<&str>>::new();
    for family in REGISTRY {
        let own = family.sections(&mut SchemaGenerator::default());
        own.into_iter()
            .for_each(|(section, _)| sections.entry(section).or_default().push(family.name));
    }
    sections
}

/// Says that something is not for every family.
pub(crate) fn only(families: &[&str]) -> String {
    let names: Vec<String> = families.iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => {
            format!("is for the families {} and {last} only", rest.join(", "))
        }
        _ => format!("is for the family {} only", names.concat()),
    }
}
