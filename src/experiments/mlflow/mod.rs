//! Export of runs to an MLflow tracking server, over its REST API (2.0).
//!
//! ```text
//! Export ── finds the experiment; a run at a time: look it up, create it, log, files, end, mark
//!   ├ entry ── what MLflow is told of a run
//!   └ client ── requests and what went wrong
//! ```
//!
//! Invariants: one run here is one run there. It is looked up by the tag `vitrine.run`, which is
//! part of the request that creates it, and `vitrine.exported` is set last, to a digest of what was
//! sent: a run that has the present digest is left alone, any other is sent again from the start.
//! That doubles nothing, because parameters and tags are set by name, files by path, and MLflow's
//! databases hold equal points once. A run that began anew here is removed there and created again.

mod client;
mod entry;
mod error;

pub use client::{Access, Client, Server};
pub use error::MlflowError;

use super::{ExperimentError, Run, Runs, runs::Lock};
use entry::{EXPORTED, Entry, ID, Pair};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs::{File, TryLockError},
};

/// Most that MLflow takes in one request.
const TAGS: usize = 100;
const PARAMETERS: usize = 100;
const POINTS: usize = 1_000;

/// Files for which MLflow's server stands in; others lie where only the server's operator can
/// write.
const PROXIED: &str = "mlflow-artifacts:/";

/// An export under way: no other from the same folder of runs goes on while this lives.
pub struct Export<'a> {
    client: &'a Client,
    experiment: String,
    /// MLflow's ids by ours of what was exported; `None` for what failed.
    exported: BTreeMap<String, Option<String>>,
    _lock: Option<Lock>,
}

/// What became of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Created,
    /// Part of it was there, or it has changed since.
    Updated,
    /// All of it was there.
    Unchanged,
}

/// A run that is there.
#[derive(Debug)]
pub struct Exported {
    /// MLflow's id.
    pub id: String,
    pub change: Change,
    /// Where the server keeps files without taking them over HTTP, so that they were left out.
    pub left_out: Option<String>,
}

/// MLflow's account of a run.
#[derive(Deserialize)]
struct Known {
    info: Info,
    #[serde(default)]
    data: Data,
}

#[derive(Deserialize)]
struct Info {
    run_id: String,
    #[serde(default)]
    start_time: i64,
    #[serde(default)]
    artifact_uri: String,
}

#[derive(Deserialize, Default)]
struct Data {
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

impl<'a> Export<'a> {
    /// Finds the experiment of this name, or creates it.
    ///
    /// # Errors
    /// No MLflow server there, one that refuses, or another export from the same folder under way.
    pub fn begin(client: &'a Client, runs: &Runs, experiment: &str) -> Result<Self, MlflowError> {
        let lock = lock(runs)?;
        if let Some(version) = client.version()?
            && matches!(version.split('.').next(), Some("0" | "1"))
        {
            return Err(MlflowError::TooOld { url: client.url().to_owned(), version });
        }
        let known = client.get("experiments/get-by-name", ("experiment_name", experiment));
        let id = match known {
            Ok(known)
                if known.pointer("/experiment/lifecycle_stage") == Some(&json!("deleted")) =>
            {
                return Err(MlflowError::DeletedExperiment(experiment.to_owned()));
            }
            Ok(known) => text(client, &known, "/experiment/experiment_id")?,
            Err(MlflowError::Refused { code, .. }) if code == "RESOURCE_DOES_NOT_EXIST" => {
                let created = client.post("experiments/create", &json!({"name": experiment}))?;
                text(client, &created, "/experiment_id")?
            }
            Err(error) => return Err(error),
        };
        Ok(Self { client, experiment: id, exported: BTreeMap::new(), _lock: lock })
    }

    /// The page of the experiment in MLflow.
    pub fn page(&self) -> String {
        format!("{}/#/experiments/{}", self.client.url(), self.experiment)
    }

    /// Exports a run. The sweep or comparison it is part of goes before it.
    ///
    /// # Errors
    /// A server that cannot be reached or refuses, a folder that cannot be read. What was sent
    /// stays and is completed when the run is exported again.
    pub fn run(&mut self, run: &Run) -> Result<Exported, MlflowError> {
        let exported = self.send(run);
        let id = exported.as_ref().ok().map(|exported| exported.id.clone());
        self.exported.insert(run.record.id.clone(), id);
        exported
    }

    fn send(&self, run: &Run) -> Result<Exported, MlflowError> {
        let parent = match &run.record.member {
            Some(member) => match self.exported.get(&member.of) {
                Some(Some(parent)) => Some(parent.as_str()),
                Some(None) => return Err(MlflowError::Parent(member.of.clone())),
                // Its folder is gone: the run stands alone.
                None => None,
            },
            None => None,
        };
        let entry = Entry::of(run, parent)?;
        let (known, change) = match self.find(&entry)? {
            Some(known)
                if known
                    .data
                    .tags
                    .iter()
                    .any(|tag| tag.key == EXPORTED && tag.value == entry.digest) =>
            {
                return Ok(Exported {
                    id: known.info.run_id,
                    change: Change::Unchanged,
                    left_out: None,
                });
            }
            Some(known) if known.info.start_time == entry.start => (known, Change::Updated),
            Some(older) => {
                self.client.post("runs/delete", &json!({"run_id": older.info.run_id}))?;
                (self.create(&entry)?, Change::Updated)
            }
            None => (self.create(&entry)?, Change::Created),
        };
        let Info { run_id: id, artifact_uri, .. } = known.info;
        self.log(&id, "tags", &entry.tags, TAGS)?;
        self.log(&id, "params", &entry.parameters, PARAMETERS)?;
        self.log(&id, "metrics", &entry.points, POINTS)?;
        let left_out = match artifact_uri.strip_prefix(PROXIED) {
            // Two slashes begin the name of another server.
            Some(path) if !path.starts_with('/') => self.files(path, &entry).map(|()| None)?,
            _ => Some(artifact_uri),
        };
        let mut end = json!({"run_id": id, "status": entry.status, "run_name": entry.name});
        if let Some(time) = entry.end {
            end["end_time"] = json!(time);
        }
        self.client.post("runs/update", &end)?;
        self.client
            .post("runs/set-tag", &json!({"run_id": id, "key": EXPORTED, "value": entry.digest}))?;
        Ok(Exported { id, change, left_out })
    }

    fn find(&self, entry: &Entry) -> Result<Option<Known>, MlflowError> {
        let search = json!({
            "experiment_ids": [self.experiment],
            "filter": format!("tags.`{ID}` = {}", quoted(&entry.name)),
            "run_view_type": "ACTIVE_ONLY",
            "max_results": 1,
        });
        let mut found = self.client.post("runs/search", &search)?;
        match found.pointer_mut("/runs/0") {
            Some(run) => self.known(run.take()).map(Some),
            None => Ok(None),
        }
    }

    fn create(&self, entry: &Entry) -> Result<Known, MlflowError> {
        let id = Pair { key: ID.to_owned(), value: entry.name.clone() };
        let new = json!({
            "experiment_id": self.experiment, "run_name": entry.name, "start_time": entry.start, "tags": [id],
        });
        let mut created = self.client.post("runs/create", &new)?;
        self.known(created.pointer_mut("/run").map(Value::take).unwrap_or_default())
    }

    fn known(&self, run: Value) -> Result<Known, MlflowError> {
        let answer = run.to_string();
        serde_json::from_value(run).map_err(|_| unexpected(self.client, answer))
    }

    fn log(
        &self,
        id: &str,
        what: &str,
        entries: &[impl Serialize],
        most: usize,
    ) -> Result<(), MlflowError> {
        for batch in entries.chunks(most) {
            self.client.post("runs/log-batch", &json!({"run_id": id, what: batch}))?;
        }
        Ok(())
    }

    fn files(&self, path: &str, entry: &Entry) -> Result<(), MlflowError> {
        for file in &entry.files {
            let bytes = std::fs::read(file).map_err(ExperimentError::io(file))?;
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            self.client.put(&format!("{path}/{name}"), &bytes)?;
        }
        Ok(())
    }
}

/// As a filter takes it: there is no escape.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') { '"' } else { '\'' };
    format!("{quote}{text}{quote}")
}

/// The text at a place of an answer.
fn text(client: &Client, answer: &Value, pointer: &str) -> Result<String, MlflowError> {
    let text = answer.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    text.ok_or_else(|| unexpected(client, answer.to_string()))
}

/// JSON, but not MLflow's.
fn unexpected(client: &Client, answer: String) -> MlflowError {
    MlflowError::NotMlflow { url: client.url().to_owned(), status: 200, answer }
}

/// Two exports that look for a run at once would both create it.
fn lock(runs: &Runs) -> Result<Option<Lock>, MlflowError> {
    // Where nothing can be written or locked, nothing is known of others.
    let Ok(file) = File::create(runs.directory().join(".export.lock")) else { return Ok(None) };
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(MlflowError::Busy(runs.directory().to_owned())),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(Lock(file))),
    }
}
