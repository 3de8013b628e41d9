//! The training run: configuration, samples, loop, checkpoints, and the bundle at its end.
//!
//! [`TrainingConfig`] says what to learn; [`Trainer`] learns it ([`Samples`] makes its batches, [`checkpoint`] keeps it
//! safe) and writes the bundle.

mod average;
mod batches;
pub mod checkpoint;
mod config;
#[cfg(any(test, feature = "cuda"))]
mod device;
mod elsa;
mod error;
mod export;
mod export_sequence;
mod frequency;
mod learner;
mod metrics;
mod negatives;
mod neighbours;
mod ranker;
mod run;
mod samples;
mod sequences;
mod split_encoders;
mod warm;

#[cfg(test)]
mod family_tests;
#[cfg(test)]
mod sequence_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod warm_tests;

pub use batches::{Batches, Shuffle};
pub use config::reference as config_reference;
pub use config::{
    ComputeDevice, ConfigError, DaysConfig, ElsaConfig, Family, FrequencyConfig, LoopConfig, LossConfig, ModelConfig,
    OptimizerConfig, OptimizerKind, RankerConfig, Refit, Schedule, SequenceConfig, TrainingConfig, Windows,
};
pub use error::TrainingError;
pub use export_sequence::{ExportedTables, query_graph};
pub use learner::{Learner, Model, StepOptimizer};
pub use ranker::TrainedRanker;
pub(crate) use run::spaced;
pub use run::{Outcome, Trained, Trainer};
pub use samples::Samples;
pub use sequences::{Sequences, WINDOW_ACCURACY};
pub use warm::WarmStart;
