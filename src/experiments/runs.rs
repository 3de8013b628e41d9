//! The folder of runs: one folder a run, whatever trained it.
//!
//! | file | holds | written |
//! |---|---|---|
//! | `run.json` | [`Record`]: name, time, data fingerprint, environment; locked while the run is worked on | first |
//! | `config.toml` | the configuration as used, defaults and `--set` included; `train --config` takes it | first |
//! | `metrics.jsonl` | loss by step, loss and validation metrics by epoch ([`super::Curves`]) | as it goes |
//! | `last.ckpt`, `best.ckpt` | checkpoints, gone once a bundle holds the model | each epoch |
//! | `outcome.json` | [`Outcome`]: how it ended, test table, bundle | last |
//! | `curves.svg` | loss and validation curves | last |

use super::{Curves, Data, Environment, ExperimentError, report};
use crate::{bundle::MetricsRow, training::TrainingConfig};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};
use time::{OffsetDateTime, macros::format_description};

const RECORD: &str = "run.json";
const CONFIG: &str = "config.toml";
const METRICS: &str = "metrics.jsonl";
const OUTCOME: &str = "outcome.json";
const CHECKPOINT: &str = "last.ckpt";
const CURVES: &str = "curves.svg";

/// A folder of runs.
#[derive(Debug, Clone)]
pub struct Runs {
    directory: PathBuf,
}

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

/// What [`Runs::begin`] must be told.
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
    directory: PathBuf,
    _lock: File,
}

/// A run as its folder tells.
#[derive(Debug, Clone)]
pub struct Run {
    pub record: Record,
    pub outcome: Option<Outcome>,
    pub status: Status,
    pub directory: PathBuf,
}

/// A folder among the runs that is none.
#[derive(Debug)]
pub struct Broken {
    pub id: String,
    pub error: ExperimentError,
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

impl Runs {
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes the folder of a new run and takes its lock. A member's id is that of its sweep or comparison and its number;
    /// what a killed process left there is removed.
    ///
    /// # Errors
    /// [`ExperimentError::Io`]; [`ExperimentError::Busy`] when another process works on the same member.
    pub fn begin(&self, new: NewRun<'_>) -> Result<Recorder, ExperimentError> {
        let (id, directory) = match &new.member {
            Some(member) => {
                let id = format!("{}-{:03}", member.of, member.number);
                let directory = self.directory.join(&id);
                if directory.exists() {
                    if let Err(busy @ ExperimentError::Busy(_)) = lock(&directory) {
                        return Err(busy);
                    }
                    std::fs::remove_dir_all(&directory).map_err(ExperimentError::io(&directory))?;
                }
                create(&directory)?;
                (id, directory)
            }
            None => self.create(new.name)?,
        };
        let record = Record {
            id,
            kind: new.kind,
            name: new.name.to_owned(),
            started: now(),
            data: new.data.to_owned(),
            fingerprint: new.fingerprint.to_owned(),
            member: new.member,
            parameters: new.parameters,
            environment: Environment::here(),
        };
        if let Some(config) = new.config {
            let text = toml::to_string_pretty(config).map_err(|error| ExperimentError::Broken {
                path: directory.clone(),
                reason: format!("its configuration: {error}"),
            })?;
            write(&directory.join(CONFIG), text.as_bytes())?;
        }
        write_json(&directory.join(RECORD), &record)?;
        let lock = lock(&directory)?;
        Ok(Recorder { record, directory, _lock: lock })
    }

    /// A folder that was not there before: several runs may begin within a second.
    fn create(&self, name: &str) -> Result<(String, PathBuf), ExperimentError> {
        std::fs::create_dir_all(&self.directory).map_err(ExperimentError::io(&self.directory))?;
        let time = OffsetDateTime::now_utc().format(format_description!("[year][month][day]T[hour][minute][second]Z"));
        let time = time.unwrap_or_default();
        let mut id = format!("{time}-{name}");
        let mut number = 1;
        loop {
            let directory = self.directory.join(&id);
            match create(&directory) {
                Ok(()) => return Ok((id, directory)),
                Err(ExperimentError::Io { source, .. }) if source.kind() == std::io::ErrorKind::AlreadyExists => {
                    number += 1;
                    id = format!("{time}-{name}.{number}");
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// All runs by their ids, oldest first, and the folders that cannot be read. No folder of runs is one without runs.
    ///
    /// # Errors
    /// When the folder of runs cannot be read.
    pub fn list(&self) -> Result<(Vec<Run>, Vec<Broken>), ExperimentError> {
        let io = ExperimentError::io(&self.directory);
        let entries = match std::fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Default::default()),
            Err(error) => return Err(io(error)),
        };
        let mut ids: Vec<String> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| !name.starts_with('.'))
            .collect();
        ids.sort();
        let (mut runs, mut broken) = (Vec::new(), Vec::new());
        for id in ids {
            match self.load(&id) {
                Ok(run) => runs.push(run),
                Err(error) => broken.push(Broken { id, error }),
            }
        }
        Ok((runs, broken))
    }

    /// The run of this id, or the only one whose id begins with it.
    ///
    /// # Errors
    /// [`ExperimentError::Unknown`], [`ExperimentError::Ambiguous`], [`ExperimentError::Broken`].
    pub fn find(&self, id: &str) -> Result<Run, ExperimentError> {
        // A name, never a path that leads out of the folder.
        let plain = !id.is_empty() && !id.contains(['/', '\\']) && !id.starts_with('.');
        if plain && self.directory.join(id).is_dir() {
            return self.load(id);
        }
        let (runs, broken) = self.list()?;
        let ids = runs.iter().map(|run| &run.record.id).chain(broken.iter().map(|broken| &broken.id));
        let candidates: Vec<String> = ids.filter(|known| plain && known.starts_with(id)).cloned().collect();
        match candidates.as_slice() {
            [one] => self.load(one),
            [] => Err(ExperimentError::Unknown { runs: self.directory.clone(), id: id.to_owned() }),
            // All of one sweep or comparison: that is meant.
            [first, rest @ ..] if rest.iter().all(|id| id.starts_with(&format!("{first}-"))) => self.load(first),
            _ => Err(ExperimentError::Ambiguous { id: id.to_owned(), candidates }),
        }
    }

    /// The members of a sweep or comparison by number.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub fn members(&self, id: &str) -> Result<Vec<Run>, ExperimentError> {
        let of = |run: &Run| run.record.member.as_ref().is_some_and(|member| member.of == id);
        let mut members: Vec<Run> = self.list()?.0.into_iter().filter(of).collect();
        members.sort_by_key(|run| run.record.member.as_ref().map(|member| member.number));
        Ok(members)
    }

    /// Takes up the newest training of this model that has a checkpoint and did not finish.
    ///
    /// # Errors
    /// [`ExperimentError::NothingToResume`], [`ExperimentError::Busy`].
    pub fn resume(&self, name: &str) -> Result<Recorder, ExperimentError> {
        let open = |run: &Run| {
            let Record { kind, name: of, member, .. } = &run.record;
            *kind == Kind::Train && of == name && member.is_none() && run.status != Status::Finished
        };
        let (runs, _) = self.list()?;
        let run = runs.into_iter().rev().find(|run| open(run) && run.directory.join(CHECKPOINT).exists());
        let nothing = || ExperimentError::NothingToResume { runs: self.directory.clone(), name: name.to_owned() };
        self.reopen(run.ok_or_else(nothing)?)
    }

    /// Takes up a run: its outcome, if it had one, is gone.
    ///
    /// # Errors
    /// [`ExperimentError::Busy`], [`ExperimentError::Io`].
    pub fn reopen(&self, run: Run) -> Result<Recorder, ExperimentError> {
        let lock = lock(&run.directory)?;
        let outcome = run.directory.join(OUTCOME);
        match std::fs::remove_file(&outcome) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(ExperimentError::io(&outcome)(error)),
            _ => Ok(Recorder { record: run.record, directory: run.directory, _lock: lock }),
        }
    }

    fn load(&self, id: &str) -> Result<Run, ExperimentError> {
        let directory = self.directory.join(id);
        let record: Record = read_json(&directory, RECORD)?.ok_or_else(|| ExperimentError::Broken {
            path: directory.clone(),
            reason: format!("it has no {RECORD}"),
        })?;
        if record.id != id {
            let reason = format!("{RECORD} is of the run `{}`", record.id);
            return Err(ExperimentError::Broken { path: directory, reason });
        }
        let outcome: Option<Outcome> = read_json(&directory, OUTCOME)?;
        let status = match &outcome {
            Some(outcome) => outcome.status,
            None if is_locked(&directory) => Status::Running,
            None => Status::Unfinished,
        };
        Ok(Run { record, outcome, status, directory })
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
                let table = parsed.map_err(|error| ExperimentError::Broken { path, reason: error.to_string() })?;
                Ok(Some(serde_json::json!(table)))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ExperimentError::io(&path)(error)),
        }
    }

    /// The metric that judges epochs.
    pub fn metric(&self) -> Option<String> {
        let of_outcome = self.outcome.as_ref().and_then(|outcome| outcome.metric.clone());
        of_outcome.or_else(|| Some(self.config().ok()??.pointer("/training/metric")?.as_str()?.to_owned()))
    }
}

fn create(directory: &Path) -> Result<(), ExperimentError> {
    std::fs::create_dir(directory).map_err(ExperimentError::io(directory))
}

/// Locks a run for as long as the file lives; the system lets go when its process ends, however it ends.
fn lock(directory: &Path) -> Result<File, ExperimentError> {
    let path = directory.join(RECORD);
    let file = File::open(&path).map_err(ExperimentError::io(&path))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(ExperimentError::Busy(directory.to_owned())),
        // A file system without locks: nothing is known of others.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}

fn is_locked(directory: &Path) -> bool {
    // Shared, so that two who look do not take each other for the owner.
    let file = File::open(directory.join(RECORD));
    file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// UTC in RFC 3339, to the second.
fn now() -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    OffsetDateTime::now_utc().format(format).unwrap_or_default()
}

/// `None` when there is no such file.
fn read_json<T: DeserializeOwned>(directory: &Path, name: &str) -> Result<Option<T>, ExperimentError> {
    match std::fs::read(directory.join(name)) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| ExperimentError::Broken {
            path: directory.to_owned(),
            reason: format!("{name}: {error}"),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ExperimentError::io(&directory.join(name))(error)),
    }
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ExperimentError> {
    let text = serde_json::to_string_pretty(value);
    let text = text.map_err(|error| ExperimentError::io(path)(error.into()))?;
    write(path, text.as_bytes())
}

/// Whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> Result<(), ExperimentError> {
    let next = path.with_extension("partial");
    let written = std::fs::write(&next, bytes).and_then(|()| std::fs::rename(&next, path));
    written.map_err(ExperimentError::io(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn new(name: &str, member: Option<Member>) -> NewRun<'_> {
        let parameters = [("optimizer.learning_rate".to_owned(), json!(0.1))].into();
        NewRun { kind: Kind::Train, name, config: None, data: "shop", fingerprint: "f", member, parameters }
    }

    #[test]
    fn a_run_goes_from_running_to_its_outcome() {
        let folder = tempfile::tempdir().unwrap();
        let runs = Runs::new(folder.path().join("runs"));
        assert!(runs.list().unwrap().0.is_empty());
        let recorder = runs.begin(new("a", None)).unwrap();
        let id = recorder.record.id.clone();
        assert_eq!(runs.find(&id).unwrap().status, Status::Running);
        // Its process dies: the lock goes, the folder stays.
        drop(recorder);
        let run = runs.find(&id).unwrap();
        assert_eq!((run.status, run.outcome.is_none()), (Status::Unfinished, true));
        let recorder = runs.reopen(run).unwrap();
        assert!(matches!(runs.reopen(runs.find(&id).unwrap()), Err(ExperimentError::Busy(_))));
        recorder
            .write(METRICS, "{\"stage\":\"search\",\"epoch\":1,\"step\":9,\"loss\":2.0,\"seconds\":1.0,\"mrr\":0.5}\n")
            .unwrap();
        let outcome = Outcome { metric: Some("mrr".to_owned()), ..Outcome::failed("too large".to_owned()) };
        recorder.finish(outcome).unwrap();
        let run = runs.find(&id).unwrap();
        assert_eq!((run.status, run.outcome.unwrap().reason.as_deref()), (Status::Failed, Some("too large")));
        assert!(std::fs::read_to_string(run.directory.join(CURVES)).unwrap().contains("validation mrr"));
    }

    #[test]
    fn ids_are_found_by_their_beginning_and_never_outside() {
        let folder = tempfile::tempdir().unwrap();
        let runs = Runs::new(folder.path());
        let ids: Vec<String> =
            ["a", "a", "b"].into_iter().map(|name| runs.begin(new(name, None)).unwrap().record.id).collect();
        assert_eq!(runs.find(&ids[2]).unwrap().record.id, ids[2]);
        assert!(matches!(runs.find(&ids[0][..12]), Err(ExperimentError::Ambiguous { .. })));
        for wrong in ["", "nothing", "../x", ".", "/"] {
            assert!(matches!(runs.find(wrong), Err(ExperimentError::Unknown { .. })), "{wrong}");
        }
    }

    #[test]
    fn broken_folders_are_told_and_the_others_listed() {
        let folder = tempfile::tempdir().unwrap();
        let runs = Runs::new(folder.path());
        let good = runs.begin(new("good", None)).unwrap().record.id;
        for (name, text) in [("empty", None), ("no-json", Some("{")), ("other", Some("{}"))] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            if let Some(text) = text {
                std::fs::write(folder.path().join(name).join(RECORD), text).unwrap();
            }
        }
        // A copy under another name would shadow the run it was copied from.
        std::fs::create_dir(folder.path().join("renamed")).unwrap();
        std::fs::copy(folder.path().join(&good).join(RECORD), folder.path().join("renamed").join(RECORD)).unwrap();
        let (found, broken) = runs.list().unwrap();
        assert_eq!(found.iter().map(|run| &run.record.id).collect::<Vec<_>>(), [&good]);
        assert_eq!(broken.iter().map(|b| b.id.as_str()).collect::<Vec<_>>(), ["empty", "no-json", "other", "renamed"]);
        assert!(broken.iter().all(|b| matches!(b.error, ExperimentError::Broken { .. })));
    }

    #[test]
    fn members_belong_to_one_and_begin_anew() {
        let folder = tempfile::tempdir().unwrap();
        let runs = Runs::new(folder.path());
        let sweep = runs.begin(new("sweep", None)).unwrap();
        let member = |number| Some(Member { of: sweep.record.id.clone(), number });
        let first = runs.begin(new("m", member(1))).unwrap();
        first.write("leftover", "x").unwrap();
        assert!(matches!(runs.begin(new("m", member(1))), Err(ExperimentError::Busy(_))));
        drop(first);
        let again = runs.begin(new("m", member(1))).unwrap();
        assert!(!again.directory().join("leftover").exists());
        drop(runs.begin(new("m", member(0))).unwrap());
        let members = runs.members(&sweep.record.id).unwrap();
        assert_eq!(members.iter().map(|m| m.record.member.as_ref().unwrap().number).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(runs.find(&sweep.record.id[..20]).unwrap().record.id, sweep.record.id);
    }
}
