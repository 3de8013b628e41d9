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

mod files;
mod record;
mod recorder;
mod run;

pub(crate) use files::Lock;
pub use record::{Kind, Member, Outcome, Record, Status};
pub use recorder::{NewRun, Recorder};
pub use run::Run;

use super::{Environment, ExperimentError};
use files::{hold_exclusive, hold_shared, is_locked, lock, now, read_json, write, write_json};
use std::{
    io::ErrorKind,
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

/// A folder among the runs that is none.
#[derive(Debug)]
pub struct Broken {
    pub id: String,
    pub error: ExperimentError,
}

impl Runs {
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes the folder of a new run and takes its lock. A member's id is that of its sweep or
    /// comparison and its number; what a killed process left there is removed.
    ///
    /// # Errors
    /// [`ExperimentError::Io`]; [`ExperimentError::Busy`] when another process works on the same
    /// member.
    pub fn begin(&self, new: NewRun<'_>) -> Result<Recorder, ExperimentError> {
        std::fs::create_dir_all(&self.directory).map_err(ExperimentError::io(&self.directory))?;
        // Made aside, so that who lists the runs meanwhile sees all of it or nothing. A name with a
        // dot is no run's.
        let staged = tempfile::Builder::new()
            .prefix(".new-")
            .make_in(&self.directory, |path| std::fs::create_dir(path));
        let staged = staged.map_err(ExperimentError::io(&self.directory))?.into_temp_path();
        let begun = self.stage(&staged, new);
        if begun.is_err() {
            // The reason is told by the error; what cannot be removed is hidden.
            let _ = std::fs::remove_dir_all(&staged);
        }
        begun
    }

    fn stage(&self, staged: &Path, new: NewRun<'_>) -> Result<Recorder, ExperimentError> {
        let time = OffsetDateTime::now_utc()
            .format(format_description!("[year][month][day]T[hour][minute][second]Z"));
        let first = match &new.member {
            Some(member) => format!("{}-{:03}", member.of, member.number),
            None => format!("{}-{}", time.unwrap_or_default(), new.name),
        };
        if let Some(config) = new.config {
            let text = toml::to_string_pretty(config).map_err(|error| ExperimentError::Broken {
                path: self.directory.join(&first),
                reason: format!("its configuration: {error}"),
            })?;
            write(&staged.join(CONFIG), text.as_bytes())?;
        }
        let mut record = Record {
            id: first.clone(),
            kind: new.kind,
            name: new.name.to_owned(),
            started: now(),
            data: new.data.to_owned(),
            fingerprint: new.fingerprint.to_owned(),
            member: new.member,
            parameters: new.parameters,
            environment: Environment::here(),
        };
        let _moving = hold_exclusive(&self.directory);
        if record.member.is_some() {
            self.clear(&record.id, staged)?;
        }
        let mut number = 1;
        loop {
            write_json(&staged.join(RECORD), &record)?;
            let lock = lock(staged)?;
            let directory = self.directory.join(&record.id);
            match std::fs::rename(staged, &directory) {
                Ok(()) => return Ok(Recorder { record, directory, _lock: lock }),
                // Several runs may begin within a second.
                Err(error) if is_taken(&error) && record.member.is_none() => {
                    number += 1;
                    record.id = format!("{first}.{number}");
                }
                Err(error) if is_taken(&error) => return Err(ExperimentError::Busy(directory)),
                Err(error) => return Err(ExperimentError::io(&directory)(error)),
            }
        }
    }

    /// Removes what a killed process left of a member.
    fn clear(&self, id: &str, staged: &Path) -> Result<(), ExperimentError> {
        let (directory, aside) = (self.directory.join(id), staged.join("before"));
        if !directory.exists() {
            return Ok(());
        }
        if let Err(busy @ ExperimentError::Busy(_)) = lock(&directory) {
            return Err(busy);
        }
        let removed =
            std::fs::rename(&directory, &aside).and_then(|()| std::fs::remove_dir_all(&aside));
        removed.map_err(ExperimentError::io(&directory))
    }

    /// All runs by their ids, oldest first, and the folders that cannot be read. No folder of runs
    /// is one without runs.
    ///
    /// # Errors
    /// When the folder of runs cannot be read.
    pub fn list(&self) -> Result<(Vec<Run>, Vec<Broken>), ExperimentError> {
        let io = ExperimentError::io(&self.directory);
        let _still = hold_shared(&self.directory);
        let entries = match std::fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Default::default()),
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
        let _still = hold_shared(&self.directory);
        if plain && self.directory.join(id).is_dir() {
            return self.load(id);
        }
        let (runs, broken) = self.list()?;
        let ids =
            runs.iter().map(|run| &run.record.id).chain(broken.iter().map(|broken| &broken.id));
        let candidates: Vec<String> =
            ids.filter(|known| plain && known.starts_with(id)).cloned().collect();
        match candidates.as_slice() {
            [one] => self.load(one),
            [] => Err(ExperimentError::Unknown { runs: self.directory.clone(), id: id.to_owned() }),
            // All of one sweep or comparison: that is meant.
            [first, rest @ ..] if rest.iter().all(|id| id.starts_with(&format!("{first}-"))) => {
                self.load(first)
            }
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
        let run =
            runs.into_iter().rev().find(|run| open(run) && run.directory.join(CHECKPOINT).exists());
        let nothing = || ExperimentError::NothingToResume {
            runs: self.directory.clone(),
            name: name.to_owned(),
        };
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
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(ExperimentError::io(&outcome)(error))
            }
            _ => Ok(Recorder { record: run.record, directory: run.directory, _lock: lock }),
        }
    }

    fn load(&self, id: &str) -> Result<Run, ExperimentError> {
        let directory = self.directory.join(id);
        let record: Record =
            read_json(&directory, RECORD)?.ok_or_else(|| ExperimentError::Broken {
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

/// Whether a folder could not be moved to a place because something is there.
fn is_taken(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists | ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn new(name: &str, member: Option<Member>) -> NewRun<'_> {
        let parameters = [("optimizer.learning_rate".to_owned(), json!(0.1))].into();
        NewRun {
            kind: Kind::Train,
            name,
            config: None,
            data: "shop",
            fingerprint: "f",
            member,
            parameters,
        }
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
        let outcome =
            Outcome { metric: Some("mrr".to_owned()), ..Outcome::failed("too large".to_owned()) };
        recorder.finish(outcome).unwrap();
        let run = runs.find(&id).unwrap();
        assert_eq!(
            (run.status, run.outcome.unwrap().reason.as_deref()),
            (Status::Failed, Some("too large"))
        );
        assert!(
            std::fs::read_to_string(run.directory.join(CURVES)).unwrap().contains("validation mrr")
        );
    }

    #[test]
    fn ids_are_found_by_their_beginning_and_never_outside() {
        let folder = tempfile::tempdir().unwrap();
        let runs = Runs::new(folder.path());
        let ids: Vec<String> = ["a", "a", "b"]
            .into_iter()
            .map(|name| runs.begin(new(name, None)).unwrap().record.id)
            .collect();
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
        std::fs::copy(
            folder.path().join(&good).join(RECORD),
            folder.path().join("renamed").join(RECORD),
        )
        .unwrap();
        let (found, broken) = runs.list().unwrap();
        assert_eq!(found.iter().map(|run| &run.record.id).collect::<Vec<_>>(), [&good]);
        assert_eq!(
            broken.iter().map(|b| b.id.as_str()).collect::<Vec<_>>(),
            ["empty", "no-json", "other", "renamed"]
        );
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
        assert_eq!(
            members.iter().map(|m| m.record.member.as_ref().unwrap().number).collect::<Vec<_>>(),
            [0, 1]
        );
        assert_eq!(runs.find(&sweep.record.id[..20]).unwrap().record.id, sweep.record.id);
    }

    #[test]
    fn a_run_that_begins_is_whole_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let runs = Runs::new(folder.path());
        let whole = runs.begin(new("sweep", None)).unwrap();
        let member = || Some(Member { of: whole.record.id.clone(), number: 0 });
        let done = AtomicBool::new(false);
        let listed = std::thread::scope(|scope| {
            let lister = scope.spawn(|| {
                let mut listed = 0;
                while !done.load(Ordering::Relaxed) {
                    let (found, broken) = runs.list().unwrap();
                    assert!(broken.is_empty(), "{broken:?}");
                    let of_a = |run: &&Run| run.record.name == "a";
                    assert!(
                        found.iter().filter(of_a).all(|run| run.status == Status::Running),
                        "{found:?}"
                    );
                    listed += 1;
                }
                listed
            });
            let mut alive = Vec::new();
            for _ in 0..40 {
                alive.push(runs.begin(new("a", None)).unwrap());
                // Its process dies and it is begun anew.
                drop(runs.begin(new("m", member())).unwrap());
            }
            done.store(true, Ordering::Relaxed);
            lister.join().unwrap()
        });
        assert!(listed > 0);
        let hidden =
            std::fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.file_name());
        assert_eq!(hidden.filter(|name| name.to_string_lossy().starts_with('.')).count(), 0);
    }
}
