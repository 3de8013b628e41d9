//! Why an export to MLflow failed.

use crate::experiments::ExperimentError;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum MlflowError {
    #[error(
        "`{url}` is no address of an MLflow server: {reason}; give one such as http://localhost:5000"
    )]
    Url { url: String, reason: String },
    #[error("the certificates {}: {reason}", path.display())]
    Certificates { path: PathBuf, reason: String },
    #[error(
        "{url} cannot be reached: {reason}; is the MLflow server running, and is the address right?"
    )]
    Unreachable { url: String, reason: String },
    #[error(
        "{url} refuses access ({status}: {answer}); set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or \
         MLFLOW_TRACKING_TOKEN, to what the server knows"
    )]
    Denied { url: String, status: u16, answer: String },
    #[error("{url} leads on to {to} ({status}); give the address that it leads to")]
    Moved { url: String, status: u16, to: String },
    #[error(
        "{url} is not answered as by an MLflow server ({status}: {answer}); give the address that its page has in a \
         browser, up to the `#`"
    )]
    NotMlflow { url: String, status: u16, answer: String },
    #[error("{url} is served by MLflow {version}; version 2.0 or newer is needed")]
    TooOld { url: String, version: String },
    #[error("{url} failed ({status}): {answer}")]
    Refused { url: String, status: u16, code: String, answer: String },
    #[error(
        "the experiment `{0}` was deleted on the server; restore it there, or choose another with --experiment"
    )]
    DeletedExperiment(String),
    #[error("it is part of {0}, which could not be exported")]
    Parent(String),
    #[error("another export from {} is under way", .0.display())]
    Busy(PathBuf),
    #[error(transparent)]
    Run(#[from] ExperimentError),
}

impl MlflowError {
    /// Whether the user's call is at fault, and not the server or the machine.
    pub fn is_bad_input(&self) -> bool {
        match self {
            Self::Url { .. } | Self::Certificates { .. } => true,
            Self::Run(error) => error.is_bad_input(),
            _ => false,
        }
    }

    /// Whether other runs may succeed where this one failed.
    pub fn is_of_one_run(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Parent(_) | Self::Run(_))
    }
}
