//! Sweeps: the search for a configuration, judged by the validation metric alone.
//!
//! A sweep is a run whose members are its trials; what they left in their folders is all the state
//! there is. Trial `n` depends on nothing but the definition, `n` and the trials up to `n −
//! parallel`: a sweep that was killed and is started again repeats the trials that had no outcome,
//! and ends as one that was never killed. The sampler is the tree-structured Parzen estimator
//! (Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization").

mod board;
mod definition;
mod sampler;
mod space;
mod trial;

#[cfg(test)]
mod tests;

pub use definition::{Definition, Sampler, SweepFile};
pub use space::{Domain, Parameter};
pub use trial::Trial;

use super::{
    Data, Ended, ExperimentError, Job, Kind, Member, NewRun, Outcome, Recorder, Run, Runs, Status,
    environment,
};
use crate::{
    dataset::Split,
    training::{self, ConfigError, TrainingConfig, TrainingError},
};
use board::Board;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};
use trial::{Values, hopeless};

const DEFINITION: &str = "sweep.json";
const BASE: &str = "base.toml";

/// Where a sweep runs.
pub struct Sweep<'a> {
    pub data: &'a Data<'a>,
    pub runs: &'a Runs,
    /// Folder of bundles, for the best trial's.
    pub models: &'a Path,
    pub stop: &'a (dyn Fn() -> bool + Sync),
}

/// What a sweep found.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// The sweep's run.
    pub run: String,
    pub metric: String,
    /// In order of number.
    pub trials: Vec<Trial>,
    /// The number of the best finished trial; the first of equal ones.
    pub best: usize,
    /// The best configuration, trained in full.
    pub bundle: PathBuf,
}

/// `sweep.json`: what makes two sweeps the same one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Saved {
    definition: Definition,
    /// The text of the base configuration.
    base: String,
    fingerprint: String,
    /// Worker threads a trial; as many as the machine had for each when the sweep began.
    threads: usize,
}

impl Sweep<'_> {
    /// Runs the sweep to its end, or goes on with the same one where it was stopped or killed; more
    /// `trials` than before continue it too. Then trains the best configuration in full, tests it
    /// and writes its bundle. `None` when stopped from outside.
    ///
    /// # Errors
    /// A space that does not fit the base configuration, a sweep without one finished trial,
    /// [`ExperimentError::Busy`] when another process runs the same sweep, and faults of the
    /// machine. A trial that fails is no error.
    pub fn run(&self, file: &SweepFile) -> Result<Option<Found>, ExperimentError> {
        self.check(file)?;
        let started = Instant::now();
        let definition = file.definition.clone();
        let (whole, saved) = match self.earlier(file)? {
            Some((run, saved)) => {
                let done = run.outcome.as_ref().and_then(|outcome| outcome.bundle.clone());
                let trials = self.trials(&run.record.id)?;
                if let Some(bundle) = done.filter(|_| trials.len() >= definition.trials) {
                    tracing::info!("{} is finished", run.record.id);
                    return found(&run.record.id, &definition, trials, bundle).map(Some);
                }
                tracing::info!(
                    "going on with {}: {} trials are there",
                    run.record.id,
                    trials.len()
                );
                (self.runs.reopen(run)?, saved)
            }
            None => self.begin(file)?,
        };
        let work = Work {
            sweep: self,
            definition,
            saved,
            id: whole.record.id.clone(),
            base: whole.directory().join(BASE),
        };
        let ended = work.run();
        let mut outcome = Outcome::new(Status::Interrupted);
        match &ended {
            Ok(Some((found, test))) => {
                let best = found.trials.iter().find(|trial| trial.number == found.best);
                outcome = test.clone();
                outcome.validation = best.and_then(|trial| trial.result);
                outcome.metric = Some(found.metric.clone());
            }
            Ok(None) => {}
            Err(error) => outcome = Outcome::failed(error.to_string()),
        }
        outcome.seconds = started.elapsed().as_secs_f64();
        whole.finish(outcome)?;
        Ok(ended?.map(|(found, _)| found))
    }

    /// Every key must be one that the base configuration takes, at least with one of the values
    /// tried, and there must be validation cases.
    fn check(&self, file: &SweepFile) -> Result<(), ExperimentError> {
        let Definition { metric, space, .. } = &file.definition;
        for (key, parameter) in space {
            let mut refused = None;
            let mut tried = parameter.samples().into_iter().map(|value| {
                TrainingConfig::load(
                    &file.base_path,
                    &assignments(&file.definition, &[(key.clone(), value)].into()),
                )
            });
            let fits = tried.any(|config| config.map_err(|error| refused = Some(error)).is_ok());
            if let Some(error) = refused.filter(|_| !fits) {
                return Err(ExperimentError::Input(format!("[space] `{key}`: {error}")));
            }
        }
        let config =
            TrainingConfig::load(&file.base_path, &[format!("training.metric={metric:?}")])?;
        let split = Split::new(self.data.dataset, &self.data.histories, config.split)?;
        if split.validation.is_empty() {
            let problem = "the base configuration's `split` holds nothing out for validation, so no trial can be judged";
            return Err(ExperimentError::Input(problem.to_owned()));
        }
        Ok(())
    }

    /// The newest sweep of the same definition, base and data, however many trials it was to have.
    fn earlier(&self, file: &SweepFile) -> Result<Option<(Run, Saved)>, ExperimentError> {
        let name = file.run_name();
        for run in self.runs.list()?.0.into_iter().rev() {
            if run.record.kind != Kind::Sweep || run.record.name != name {
                continue;
            }
            let text = std::fs::read_to_string(run.directory.join(DEFINITION)).unwrap_or_default();
            // One that was killed before it was written down had no trials.
            let Ok(saved) = serde_json::from_str::<Saved>(&text) else { continue };
            let trials = saved.definition.trials;
            let same = saved.definition == (Definition { trials, ..file.definition.clone() })
                && saved.base == file.base
                && saved.fingerprint == self.data.fingerprint;
            if same {
                return Ok(Some((run, saved)));
            }
        }
        Ok(None)
    }

    fn begin(&self, file: &SweepFile) -> Result<(Recorder, Saved), ExperimentError> {
        let Data { source, fingerprint, .. } = self.data;
        let whole = self.runs.begin(NewRun {
            kind: Kind::Sweep,
            name: &file.run_name(),
            config: None,
            data: source,
            fingerprint,
            member: None,
            parameters: BTreeMap::new(),
        })?;
        let saved = Saved {
            definition: file.definition.clone(),
            base: file.base.clone(),
            fingerprint: fingerprint.clone(),
            threads: (environment::cores() / file.definition.parallel).max(1),
        };
        whole.write(BASE, &saved.base)?;
        let text = serde_json::to_string_pretty(&saved)
            .map_err(|error| ExperimentError::Input(error.to_string()))?;
        whole.write(DEFINITION, &text)?;
        tracing::info!("{}", whole.directory().display());
        Ok((whole, saved))
    }

    /// The trials that have an outcome.
    fn trials(&self, id: &str) -> Result<Vec<Trial>, ExperimentError> {
        Ok(self.runs.members(id)?.iter().filter_map(Trial::of_run).collect())
    }
}

fn found(
    id: &str,
    definition: &Definition,
    trials: Vec<Trial>,
    bundle: PathBuf,
) -> Result<Found, ExperimentError> {
    let best = best(&trials).ok_or_else(|| {
        let reason = trials.iter().find_map(|trial| trial.reason.clone());
        let reason = reason.map_or_else(String::new, |reason| format!("; one because: {reason}"));
        ExperimentError::Input(format!(
            "none of the {} trials of {id} finished{reason}",
            trials.len()
        ))
    })?;
    Ok(Found {
        run: id.to_owned(),
        metric: definition.metric.clone(),
        best: best.number,
        trials,
        bundle,
    })
}

/// The finished trial with the best result; the first of equal ones.
fn best(trials: &[Trial]) -> Option<&Trial> {
    let finished =
        trials.iter().filter(|trial| trial.status == Status::Finished && trial.result.is_some());
    finished.reduce(|best, next| if next.result > best.result { next } else { best })
}

/// As `--set` takes them.
fn assignments(definition: &Definition, values: &Values) -> Vec<String> {
    let mut assignments = Vec::new();
    for (key, value) in values {
        let also = definition.space.get(key).map_or(&[][..], |parameter| parameter.also.as_slice());
        assignments.extend([key].into_iter().chain(also).map(|key| format!("{key}={value}")));
    }
    assignments
}

/// A sweep under way.
struct Work<'a> {
    sweep: &'a Sweep<'a>,
    definition: Definition,
    saved: Saved,
    id: String,
    /// The copy of the base configuration.
    base: PathBuf,
}

impl Work<'_> {
    /// What was found, and the outcome of the best configuration's training; `None` when stopped.
    fn run(&self) -> Result<Option<(Found, Outcome)>, ExperimentError> {
        let known = self.sweep.trials(&self.id)?;
        let board = Board::new(self.definition.trials, self.definition.parallel, known);
        std::thread::scope(|scope| {
            for _ in 0..self.definition.parallel {
                scope.spawn(|| board.work(|number, seen| self.trial(number, seen)));
            }
        });
        let Some(trials) = board.finish()? else { return Ok(None) };
        let found = found(&self.id, &self.definition, trials, PathBuf::new())?;
        self.train(found)
    }

    /// Trains the best configuration as `train` would: with its refit, its test table and its
    /// bundle.
    fn train(&self, mut found: Found) -> Result<Option<(Found, Outcome)>, ExperimentError> {
        let values = self.suggest(found.best, &found.trials);
        let mut assignments = assignments(&self.definition, &values);
        assignments.push(format!("training.metric={:?}", self.definition.metric));
        let config = TrainingConfig::load(&self.base, &assignments)?;
        tracing::info!("\nthe best is trial {}; it is trained in full and tested", found.best);
        let parameters =
            values.iter().map(|(key, value)| (key.clone(), serde_json::json!(value))).collect();
        let run = self
            .sweep
            .runs
            .begin(NewRun { parameters, ..NewRun::training(&config, self.sweep.data) })?;
        let id = run.record.id.clone();
        let (data, stop) = (self.sweep.data, self.sweep.stop);
        let job = Job {
            data,
            config: &config,
            stop,
            baselines: None,
            split_encoders: false,
            gate: false,
            warm: None,
            judge: None,
        };
        let Ended::Bundle(bundle) = job.train(run, self.sweep.models, false)? else {
            return Ok(None);
        };
        found.bundle = bundle;
        let outcome = self.sweep.runs.find(&id)?.outcome;
        Ok(outcome.map(|outcome| (found, outcome)))
    }

    /// What trial `number` tries; only trials it may see count.
    fn suggest(&self, number: usize, trials: &[Trial]) -> Values {
        let seen: Vec<Trial> = trials
            .iter()
            .filter(|trial| trial.number + self.definition.parallel <= number)
            .cloned()
            .collect();
        sampler::suggest(&self.definition, number, &seen)
    }

    /// One trial, recorded. `None` when stopped from outside.
    fn trial(&self, number: usize, seen: &[Trial]) -> Result<Option<Trial>, ExperimentError> {
        let values = sampler::suggest(&self.definition, number, seen);
        let mut assignments = assignments(&self.definition, &values);
        assignments.push(format!("training.metric={:?}", self.definition.metric));
        // A refit learns from the validation purchases too, so there would be nothing left to judge
        // it by.
        assignments.push("training.refit=\"none\"".to_owned());
        let config = TrainingConfig::load(&self.base, &assignments).map(|mut config| {
            if config.training.threads == 0 {
                config.training.threads = self.saved.threads;
            }
            config
        });
        let Data { source, fingerprint, .. } = self.sweep.data;
        let name = config.as_ref().map_or("trial", |config| &config.model.name);
        let run = self.sweep.runs.begin(NewRun {
            kind: Kind::Trial,
            name,
            config: config.as_ref().ok(),
            data: source,
            fingerprint,
            member: Some(Member { of: self.id.clone(), number }),
            parameters: values
                .iter()
                .map(|(key, value)| (key.clone(), serde_json::json!(value)))
                .collect(),
        })?;
        let started = Instant::now();
        let outcome = match config {
            Ok(config) => self.judge(&config, &run, seen)?,
            Err(error @ ConfigError::Read { .. }) => return Err(error.into()),
            Err(error) => Outcome::failed(error.to_string()),
        };
        training::Trainer::remove_checkpoints(run.directory());
        let id = run.record.id.clone();
        let seconds = started.elapsed().as_secs_f64();
        run.finish(Outcome { seconds, metric: Some(self.definition.metric.clone()), ..outcome })?;
        // Read back, as a sweep that goes on would: the two must not differ in a bit.
        let trial = Trial::of_run(&self.sweep.runs.find(&id)?);
        if let Some(trial) = &trial {
            tracing::info!("{trial} ({seconds:.1} s)");
        }
        Ok(trial)
    }

    /// Trains on the training purchases and says how well it validates.
    fn judge(
        &self,
        config: &TrainingConfig,
        run: &Recorder,
        seen: &[Trial],
    ) -> Result<Outcome, ExperimentError> {
        let data = self.sweep.data;
        let split = match Split::new(data.dataset, &data.histories, config.split) {
            Ok(split) => split,
            Err(error) => return Ok(Outcome::failed(error.to_string())),
        };
        let progress = trial::Progress::default();
        let pruned = AtomicBool::new(false);
        let observe = |line: &serde_json::Value| {
            let by_epoch = progress.line(line, &self.definition.metric);
            if by_epoch.is_some_and(|by_epoch| hopeless(&self.definition, &by_epoch, seen)) {
                pruned.store(true, Ordering::Relaxed);
            }
        };
        let stop = || pruned.load(Ordering::Relaxed) || (self.sweep.stop)();
        let trainer = data.trainer(config, &split, run.directory(), &stop, &observe);
        // Nothing of the training is used after a panic.
        let ended = catch_unwind(AssertUnwindSafe(|| trainer.train(false)));
        Ok(match ended {
            Err(_) => Outcome::failed(ExperimentError::Panic.to_string()),
            Ok(Err(error @ (TrainingError::Io { .. } | TrainingError::Threads { .. }))) => {
                return Err(error.into());
            }
            Ok(Err(error)) => Outcome::failed(error.to_string()),
            Ok(Ok(training::Outcome::Finished(trained))) => match progress
                .result(config.training.patience)
            {
                Some((_, value)) => {
                    let outcome = Outcome::new(Status::Finished);
                    Outcome { best_epoch: Some(trained.epochs), validation: Some(value), ..outcome }
                }
                None => Outcome::failed("no epoch could be validated".to_owned()),
            },
            Ok(Ok(training::Outcome::Interrupted(_))) if pruned.load(Ordering::Relaxed) => {
                let (epoch, value) = progress.best().unzip();
                let reason = Some(format!(
                    "below the median of earlier trials after epoch {}",
                    progress.epochs()
                ));
                Outcome {
                    best_epoch: epoch,
                    validation: value,
                    reason,
                    ..Outcome::new(Status::Pruned)
                }
            }
            Ok(Ok(training::Outcome::Interrupted(_))) => Outcome::new(Status::Interrupted),
        })
    }
}
