//! The training run: configuration, samples, loop, checkpoints, and the bundle at its end.
//!
//! [`TrainingConfig`] says what to learn; [`Trainer`] learns it ([`Batches`] makes its batches,
//! [`checkpoint`] keeps it safe) and writes the bundle. What a model is, [`crate::families`] alone
//! knows.

mod average;
mod batches;
pub mod checkpoint;
mod config;
mod error;
mod export;
mod learner;
mod metrics;
mod run;
mod warm;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use batches::{AgeWeights, ColumnSet, column_bias, columns};
pub use batches::{Batches, Shuffle};
#[cfg(not(feature = "cuda"))]
pub(crate) use config::WITHOUT_CUDA;
pub use config::reference as config_reference;
pub use config::{
    ComputeDevice, ConfigError, LoopConfig, LossConfig, ModelConfig, OptimizerConfig,
    OptimizerKind, Refit, Schedule, TrainingConfig,
};
pub use error::TrainingError;
pub use export::Export;
pub use learner::{Learner, StepOptimizer};
pub(crate) use metrics::MetricsFile;
pub(crate) use run::spaced;
pub use run::{Outcome, Trained, Trainer};
pub use warm::WarmStart;

pub use crate::families::Family;
