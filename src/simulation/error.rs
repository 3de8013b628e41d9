//! Why a simulation stopped.

use crate::plots::PlotError;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("cannot start {}: {source}; build it, or name its folder with --programs", program.display())]
    Start { program: PathBuf, source: std::io::Error },
    #[error("`{command}` failed ({status}); its last words: {words}")]
    Program { command: String, status: std::process::ExitStatus, words: String },
    #[error("the server of the arm `{arm}` did not start within {seconds} s; see {}", log.display())]
    NotListening { arm: String, seconds: u64, log: PathBuf },
    #[error("{url}: {reason}")]
    Http { url: String, reason: String },
    #[error("{url} answered {status}: {answer}")]
    Refused { url: String, status: u16, answer: String },
    #[error("the server did not take all events: {answer}")]
    NotTaken { answer: String },
    #[error(
        "the server answered without a `recommendation_id`, so that no event could name the answer"
    )]
    NotSigned,
    #[error("the gate refused the first model, so there is nothing to serve: {0}")]
    NoModel(String),
    #[error("stopped; the seeds that were finished are in the report")]
    Stopped,
    #[error(transparent)]
    Plot(#[from] PlotError),
}

impl SimulationError {
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    /// Whether the call is at fault, and not the machine or a server.
    pub fn is_bad_input(&self) -> bool {
        matches!(self, Self::NoModel(_) | Self::Start { .. })
    }
}
