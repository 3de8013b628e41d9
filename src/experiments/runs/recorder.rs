//! A run while it is worked on.

use super::{
    CURVES, Kind, METRICS, Member, OUTCOME, Outcome, Record,
    files::{Lock, now, write, write_json},
};
use crate::{
    experiments::{Curves, Data, ExperimentError, report},
    training::TrainingConfig,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// What [`super::Runs::begin`] must be told.
pub struct NewRun<'a> {
    pub kind: Kind,
    pub name: &'a str,
    pub config: Option<&'a TrainingConfig>,
    pub data: &'a str,
    pub fingerprint: &'a str,
    pub member: Option<Member>,
    pub parameters: BTreeMap<String, serde_json::Value>,
}

/// A run that is being worked on by this process, and by no other while this lives.
pub struct Recorder {
    pub record: Record,
    pub(super) directory: PathBuf,
    pub(super) _lock: Lock,
}

impl<'a> NewRun<'a> {
    /// A training of its own.
    pub fn training(config: &'a TrainingConfig, data: &'a Data<'_>) -> Self {
        Self {
            kind: Kind::Train,
            name: &config.model.name,
            config: Some(config),
            data: &data.source,
            fingerprint: &data.fingerprint,
            member: None,
            parameters: BTreeMap::new(),
        }
    }
}

impl Recorder {
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Writes how the run ended, and its curves.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn finish(self, mut outcome: Outcome) -> Result<(), ExperimentError> {
        outcome.ended = now();
        let curves = Curves::read(&self.directory.join(METRICS));
        if !curves.epochs.is_empty() {
            let svg = report::curves_svg(&curves, outcome.metric.as_deref())?;
            write(&self.directory.join(CURVES), svg.as_bytes())?;
        }
        write_json(&self.directory.join(OUTCOME), &outcome)
    }

    /// Writes another file of the run.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<(), ExperimentError> {
        write(&self.directory.join(name), text.as_bytes())
    }
}
