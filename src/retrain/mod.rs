//! Retraining every night: read the database as of now, train from where the active bundle stands,
//! let a gate judge the candidate, publish and activate it, watch the servers, and take it back if
//! they get worse.
//!
//! What always holds: the servers change their model in one step, the activation; whatever ends
//! before it, or refuses, leaves the shop as it was. Each step is written to a journal before the
//! next one begins, so that a run which was killed behind the publication goes on from there. Two
//! retrainings of one shop exclude each other.

mod clean;
mod config;
mod gate;
mod journal;
mod registry;
mod run;
mod watch;

pub use config::{
    GateRules, InvalidRetrainConfig, Publish, RetrainConfig, Server, TrainingSection, Watch,
};
pub use gate::{Check, GateReport, Judged, judge};
pub use journal::{Journal, Left};
pub use registry::Registry;
pub use run::{Ending, Retraining};

use crate::{
    bundle::BundleError, dataset::SplitError, evaluation::EvaluationError,
    experiments::ExperimentError, recommend::ModelError, store::StoreError, training::ConfigError,
};
use std::path::{Path, PathBuf};

/// Why a retraining ended without a verdict. Nothing that is served has changed, unless it says so.
#[derive(Debug, thiserror::Error)]
pub enum RetrainError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error("evaluation: {0}")]
    Evaluation(#[from] EvaluationError),
    #[error("evaluation: {0}")]
    Model(#[from] ModelError),
    #[error("cannot hold purchases out: {0}")]
    Split(#[from] SplitError),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{0}")]
    Input(String),
}

impl RetrainError {
    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    /// Whether the user's configuration or data is at fault, and not the machine.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Store(error) => !error.is_transient() && !matches!(error, StoreError::Fault(_)),
            Self::Experiment(error) => error.is_bad_input(),
            Self::Config(_) | Self::Split(_) | Self::Input(_) => true,
            Self::Bundle(_) | Self::Evaluation(_) | Self::Model(_) | Self::Io { .. } => false,
        }
    }
}
