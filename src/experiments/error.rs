//! Why an experiment failed.

use crate::{
    bundle::BundleError,
    dataset::SplitError,
    evaluation::EvaluationError,
    plots::PlotError,
    training::{ConfigError, TrainingError},
};
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum ExperimentError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot hold purchases out: {0}")]
    Split(#[from] SplitError),
    #[error(transparent)]
    Training(#[from] TrainingError),
    #[error("evaluation: {0}")]
    Evaluation(#[from] EvaluationError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the run {} cannot be read: {reason}", path.display())]
    Broken { path: PathBuf, reason: String },
    #[error("there is no run `{id}` in {}; `vitrine-trainer runs list` names them", runs.display())]
    Unknown { runs: PathBuf, id: String },
    #[error("`{id}` begins the names of several runs: {}", candidates.join(", "))]
    Ambiguous { id: String, candidates: Vec<String> },
    #[error("the run {} is being worked on by another process", .0.display())]
    Busy(PathBuf),
    #[error("no run of `{name}` in {} has a checkpoint to resume from; train without --resume", runs.display())]
    NothingToResume { runs: PathBuf, name: String },
    #[error("{0}")]
    Input(String),
    #[error("a defect of the program stopped it; the message above says where")]
    Panic,
    #[error(transparent)]
    Plot(#[from] PlotError),
}

impl ExperimentError {
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    /// Whether nothing failed: somebody stopped it.
    pub fn is_stop(&self) -> bool {
        matches!(self, Self::Evaluation(EvaluationError::Stopped))
    }

    /// Whether the user's call, configuration or data is at fault, and not the machine.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Training(error) => error.is_bad_input(),
            Self::Config(_)
            | Self::Split(_)
            | Self::Broken { .. }
            | Self::Unknown { .. }
            | Self::Ambiguous { .. }
            | Self::NothingToResume { .. }
            | Self::Input(_) => true,
            Self::Evaluation(_)
            | Self::Bundle(_)
            | Self::Io { .. }
            | Self::Busy(_)
            | Self::Plot(_)
            | Self::Panic => false,
        }
    }
}
