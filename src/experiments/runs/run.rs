//! A run as its folder tells.

use super::{CONFIG, METRICS, Outcome, Record, Status};
use crate::experiments::{Curves, ExperimentError};
use std::{io::ErrorKind, path::PathBuf};

/// One that may be going on, have ended or have been killed.
#[derive(Debug, Clone)]
pub struct Run {
    pub record: Record,
    pub outcome: Option<Outcome>,
    pub status: Status,
    pub directory: PathBuf,
}

impl Run {
    pub fn curves(&self) -> Curves {
        Curves::read(&self.directory.join(METRICS))
    }

    /// The configuration as JSON; `None` for sweeps and comparisons.
    ///
    /// # Errors
    /// [`ExperimentError::Broken`].
    pub fn config(&self) -> Result<Option<serde_json::Value>, ExperimentError> {
        let path = self.directory.join(CONFIG);
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let parsed: Result<toml::Table, _> = toml::from_str(&text);
                let table = parsed
                    .map_err(|error| ExperimentError::Broken { path, reason: error.to_string() })?;
                Ok(Some(serde_json::json!(table)))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ExperimentError::io(&path)(error)),
        }
    }

    /// The metric that judges epochs.
    pub fn metric(&self) -> Option<String> {
        let of_outcome = self.outcome.as_ref().and_then(|outcome| outcome.metric.clone());
        of_outcome.or_else(|| {
            Some(self.config().ok()??.pointer("/training/metric")?.as_str()?.to_owned())
        })
    }
}
