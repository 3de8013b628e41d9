//! What a run's folder holds in JSON: `run.json`, known before the first step, and `outcome.json`,
//! written last.

use crate::{bundle::MetricsRow, experiments::Environment};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// What made a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A training, alone or as an entry of a comparison.
    Train,
    /// A training of a sweep, judged by validation alone and without a bundle.
    Trial,
    /// A sweep as a whole: its trials are members.
    Sweep,
    /// A comparison as a whole: its trainings are members.
    Comparison,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Trial => "trial",
            Self::Sweep => "sweep",
            Self::Comparison => "comparison",
        }
    }
}

/// `run.json`: what is known before the first step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The folder's name: UTC time and model name; sorts by time.
    pub id: String,
    pub kind: Kind,
    /// The model's name, or that of the sweep or comparison.
    pub name: String,
    /// UTC, RFC 3339.
    pub started: String,
    /// The data's folder as it was given.
    pub data: String,
    /// sha256 over the data's content.
    pub fingerprint: String,
    /// The sweep or comparison it is part of.
    pub member: Option<Member>,
    /// What a sweep chose for it, by configuration key.
    pub parameters: BTreeMap<String, serde_json::Value>,
    pub environment: Environment,
}

/// A place in a sweep or comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its id.
    pub of: String,
    /// From 0.
    pub number: usize,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// A process works on it now.
    Running,
    /// It has no outcome and nobody works on it: it was killed.
    Unfinished,
    Finished,
    /// A trial stopped early as hopeless.
    Pruned,
    Failed,
    /// Stopped by the user; `--resume` goes on.
    Interrupted,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Unfinished => "unfinished",
            Self::Finished => "finished",
            Self::Pruned => "pruned",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// `outcome.json`: how a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub status: Status,
    /// UTC, RFC 3339.
    pub ended: String,
    /// Of training, test and export together, since the run was last begun or resumed.
    pub seconds: f64,
    /// The epoch behind the model, from 1.
    pub best_epoch: Option<u32>,
    /// The metric that chose the epoch, and its value on the validation cases.
    pub metric: Option<String>,
    pub validation: Option<f64>,
    /// The model's row on the test cases, then the baselines'.
    pub test: Vec<MetricsRow>,
    /// Relative to the working directory of the run, unless it was given as an absolute path.
    pub bundle: Option<PathBuf>,
    /// Why it failed or was stopped.
    pub reason: Option<String>,
}

impl Outcome {
    /// An outcome of which nothing more is known yet.
    pub fn new(status: Status) -> Self {
        Self {
            status,
            ended: String::new(),
            seconds: 0.0,
            best_epoch: None,
            metric: None,
            validation: None,
            test: Vec::new(),
            bundle: None,
            reason: None,
        }
    }

    pub fn failed(reason: String) -> Self {
        Self { reason: Some(reason), ..Self::new(Status::Failed) }
    }
}
