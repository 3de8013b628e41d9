//! The steps of a retraining.

use super::{
    GateReport, Journal, Judged, Left, Registry, RetrainConfig, RetrainError, clean, judge,
    watch::{Quality, Watcher},
};
use crate::{
    bundle::{Bundle, Manifest},
    dataset::{Dataset, Protocol, Split, TimeUnit},
    domain::Timestamp,
    evaluation::{Evaluation, Measured, baselines::Known, bundle_ranker},
    experiments::{Candidate, Data, Ended, ExperimentError, Job, NewRun, Outcome, Runs, Status},
    store::ReadReport,
    training::{Refit, TrainingConfig, TrainingError, WarmStart},
};
use serde_json::json;
use std::{
    cell::RefCell,
    fs,
    path::{Path, PathBuf},
};

/// Where a bundle lies between its training and its publication: in the folder of models, so that
/// publishing is a rename, and under a name that no listing finds.
const STAGE: &str = ".retrain";

/// What ships must reach this share of the candidate's metric: two trainings of one configuration
/// differ by chance, and a broken one by much more.
const LEAST_OF_CANDIDATE: f64 = 0.75;

/// A retraining of one shop.
pub struct Retraining<'a> {
    pub config: &'a RetrainConfig,
    pub training: TrainingConfig,
    pub registry: Registry,
    /// What the record of the run calls the database.
    pub source: String,
    /// Asked before every training step; `true` ends the retraining there.
    pub stop: &'a (dyn Fn() -> bool + Sync),
}

/// How a retraining ended that did not fail.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// The new version is active.
    Serving { version: String },
    /// There is nothing to learn or to judge by yet; nothing has changed.
    Nothing(String),
    /// The gate refused the candidate; nothing has changed.
    Refused(String),
    /// The new version was active, and was taken back.
    TakenBack { version: String, reason: String },
    /// Another retraining of the shop is running.
    Busy,
    /// Stopped from outside; nothing has changed.
    Interrupted,
}

/// The bundle that a candidate must beat.
struct Active {
    version: String,
    bundle: Bundle,
}

/// The days that judge.
enum Window {
    /// So many days at the end, which the active bundle has not seen.
    Unseen(u32),
    /// No bundle is there to compare with, or none whose past is known.
    Own(String),
    TooEarly(String),
}

impl Retraining<'_> {
    /// Runs all steps, or those that a killed run has left.
    ///
    /// # Errors
    /// [`RetrainError`]. What is served has not changed, unless the error is one of the activation
    /// itself.
    pub fn run(&self) -> Result<Ending, RetrainError> {
        let publish = &self.config.publish;
        let Some(_lock) = self.registry.lock()? else { return Ok(Ending::Busy) };
        let mut journal = Journal::open(&publish.runs)?;
        match journal.left()? {
            Left::Published { model, version } if self.is_there(&model, &version) => {
                journal.step(
                    "resume",
                    &format!("version {version} was published, not activated"),
                    json!({}),
                )?;
                return self.activate(&mut journal, &version);
            }
            Left::Activated { model, version, previous, before } if model == *self.model() => {
                journal.step(
                    "resume",
                    &format!("version {version} was activated, not watched"),
                    json!({}),
                )?;
                let before = serde_json::from_value(before).unwrap_or_default();
                return self.watch(&mut journal, &version, previous, before);
            }
            _ => {}
        }
        remove_stage(&publish.models)?;
        let (dataset, report) = self.read(&mut journal)?;
        self.train(journal, &dataset, &report)
    }

    fn model(&self) -> &String {
        &self.training.model.name
    }

    fn is_there(&self, model: &str, version: &str) -> bool {
        model == *self.model() && self.config.publish.models.join(model).join(version).is_dir()
    }

    /// The shop as of now, cut at the last midnight where only whole days count.
    fn read(&self, journal: &mut Journal) -> Result<(Dataset, ReadReport), RetrainError> {
        let (mut dataset, report) = self.registry.read(&self.config.purchases)?;
        let midnight = Timestamp(report.moment.day() * Timestamp::DAY);
        if self.config.training.whole_days && dataset.time_unit != TimeUnit::Position {
            let whole = dataset.purchases.time.partition_point(|&time| time < midnight);
            dataset.purchases.truncate(whole);
        }
        let used = dataset.purchases.len();
        let figures = json!({
            "moment": report.moment.to_string(), "articles": report.articles, "customers": report.customers,
            "imported": report.imported, "told": report.told, "used": used,
        });
        journal.step("read", &format!("{report}\n{used} purchases are used"), figures)?;
        if used == 0 {
            return Err(RetrainError::Input(
                "the database holds no purchases of whole days yet".to_owned(),
            ));
        }
        if let Some(text) = &self.training.text {
            crate::text::attach(&mut dataset, text)
                .map_err(|error| RetrainError::Input(error.to_string()))?;
        }
        Ok((dataset, report))
    }

    /// The active version, if its bundle can be opened.
    fn active(&self, journal: &mut Journal) -> Result<Option<Active>, RetrainError> {
        let Some(version) = self.registry.active(self.model())? else { return Ok(None) };
        let path = self.config.publish.models.join(self.model()).join(&version);
        match Bundle::open(&path) {
            Ok(bundle) => Ok(Some(Active { version, bundle })),
            Err(error) => {
                let said = format!("the active version {version} cannot be compared with: {error}");
                journal.step("active", &said, json!({}))?;
                Ok(None)
            }
        }
    }

    fn train(
        &self,
        mut journal: Journal,
        dataset: &Dataset,
        report: &ReadReport,
    ) -> Result<Ending, RetrainError> {
        let active = self.active(&mut journal)?;
        let (days, rival) =
            match self.window(dataset, active.as_ref().map(|active| active.bundle.manifest())) {
                Window::Unseen(days) => (Some(days), active.as_ref()),
                Window::Own(why) => {
                    journal.step("days", &format!("{why}; baselines alone judge"), json!({}))?;
                    (None, None)
                }
                Window::TooEarly(why) => {
                    journal.step("days", &why, json!({}))?;
                    return Ok(Ending::Nothing(why));
                }
            };
        let config = self.configured(days);
        let data = Data::new(dataset, &self.source);
        if let Some(days) = days {
            let (cases, least) = (
                Split::new(dataset, &data.histories, config.split)?.test.len(),
                self.config.gate.least_cases,
            );
            if cases < least {
                let why = format!(
                    "{cases} customers bought in the last {days} days, fewer than the {least} that judge"
                );
                journal.step("days", &why, json!({}))?;
                return Ok(Ending::Nothing(why));
            }
        }
        let warm = self.warm(active.as_ref(), &mut journal)?;
        let journal = RefCell::new(journal);
        let trained = match self.candidate(&journal, &data, &config, warm.as_ref(), rival) {
            Err(RetrainError::Experiment(ExperimentError::Training(TrainingError::WarmStart(
                why,
            )))) => {
                let said = format!("the training starts afresh, because the model {why}");
                journal.borrow_mut().step("warm", &said, json!({}))?;
                self.candidate(&journal, &data, &config, None, rival)
            }
            trained => trained,
        };
        let mut journal = journal.into_inner();
        match trained? {
            (Ended::Bundle(staged), Some(measured)) => {
                self.publish(&mut journal, &data, &staged, &measured, report)
            }
            (Ended::Interrupted(_), _) | (Ended::Bundle(_), None) => Ok(Ending::Interrupted),
            (Ended::Refused(reason), _) => Ok(Ending::Refused(reason)),
            (Ended::Gated(verdict), _) => Ok(Ending::Refused(verdict.to_string())),
        }
    }

    /// The days since the active bundle was trained.
    fn window(&self, dataset: &Dataset, active: Option<&Manifest>) -> Window {
        let Some(manifest) = active else { return Window::Own("no bundle is active".to_owned()) };
        let last = dataset.purchases.time.last().copied().unwrap_or_default();
        let dated = dataset.time_unit != TimeUnit::Position;
        let Some(seen) = manifest.seen_until.filter(|_| dated) else {
            return Window::Own(
                "the active bundle does not say up to when it has seen purchases".to_owned(),
            );
        };
        match last.day().saturating_sub(seen.day()) {
            0 => Window::TooEarly(format!(
                "there is no day with purchases since the active bundle was trained ({seen})"
            )),
            days => Window::Unseen(days.min(self.config.gate.most_days)),
        }
    }

    /// The training configuration with the days that judge held out, and all purchases in what
    /// ships.
    fn configured(&self, days: Option<u32>) -> TrainingConfig {
        let mut config = self.training.clone();
        config.training.refit = Refit::All;
        if let Some(test_days) = days {
            let validation_days = match config.split {
                Protocol::Time { validation_days, .. } => validation_days,
                Protocol::LeaveOneOut { .. } => self.config.gate.most_days,
            };
            config.split =
                Protocol::Time { test_days, validation_days, repeats: config.split.repeats() };
        }
        config
    }

    /// What the training starts from.
    fn warm(
        &self,
        active: Option<&Active>,
        journal: &mut Journal,
    ) -> Result<Option<WarmStart>, RetrainError> {
        let epochs = self.config.training.warm_epochs;
        let Some(active) = active.filter(|_| epochs > 0) else { return Ok(None) };
        if !WarmStart::suits(self.training.model.family) {
            journal.step("warm", "models of this family always start afresh", json!({}))?;
            return Ok(None);
        }
        let warm = WarmStart::new(&active.bundle, epochs)?;
        let said = format!("from version {}, {epochs} epochs", active.version);
        journal.step("warm", &said, json!({"from": active.version, "epochs": epochs}))?;
        Ok(Some(warm))
    }

    /// Trains, lets the gate judge, and writes what ships into the stage.
    fn candidate(
        &self,
        journal: &RefCell<Journal>,
        data: &Data<'_>,
        config: &TrainingConfig,
        warm: Option<&WarmStart>,
        rival: Option<&Active>,
    ) -> Result<(Ended, Option<Measured>), RetrainError> {
        let run = Runs::new(&self.config.publish.runs).begin(NewRun::training(config, data))?;
        tracing::info!("run {}", run.directory().display());
        journal.borrow_mut().begin_run(run.directory())?;
        let names: Vec<&str> = self.config.gate.baselines.iter().map(String::as_str).collect();
        let baselines = match data.baselines(config, &names, self.stop) {
            Err(error) if error.is_stop() => {
                let ended = Ended::Interrupted(run.directory().to_owned());
                run.finish(Outcome::new(Status::Interrupted))?;
                return Ok((ended, None));
            }
            baselines => baselines?,
        };
        let judge = |candidate: &Candidate<'_>| {
            self.judge(journal, rival, candidate).map_err(into_experiment)
        };
        let job = Job {
            data,
            config,
            stop: self.stop,
            baselines: Some(&baselines),
            split_encoders: false,
            gate: false,
            warm,
            judge: Some(&judge),
        };
        Ok(job.train_and_measure(run, &self.config.publish.models.join(STAGE), false)?)
    }

    fn judge(
        &self,
        journal: &RefCell<Journal>,
        rival: Option<&Active>,
        candidate: &Candidate<'_>,
    ) -> Result<Option<String>, RetrainError> {
        let active = rival.map(|rival| measured(&rival.bundle, candidate)).transpose()?;
        let (own, baselines) = candidate.table.split_at(1);
        let metric = self.config.gate.metric.as_deref().unwrap_or(&self.training.training.metric);
        let cases = candidate.cases.len();
        let judged =
            Judged { candidate: &own[0], active: active.as_ref(), baselines, cases, metric };
        let report = judge(&self.config.gate, &judged);
        let refusal = report.refusal();
        journal.borrow_mut().step(
            "gate",
            &told(&report),
            json!({"checks": report.checks, "refused": refusal}),
        )?;
        Ok(refusal)
    }

    /// Checks what ships and moves it to where the servers find it.
    fn publish(
        &self,
        journal: &mut Journal,
        data: &Data<'_>,
        staged: &Path,
        candidate: &Measured,
        report: &ReadReport,
    ) -> Result<Ending, RetrainError> {
        // It has seen the days that judge, so it can hardly do worse on them than the candidate
        // that had not.
        let bundle = Bundle::open(staged)?;
        let version = bundle.manifest().version.clone();
        if let Some(reason) = self.is_worse(&bundle, data, candidate)? {
            journal.step("final", &reason, json!({"refused": reason}))?;
            remove_stage(&self.config.publish.models)?;
            return Ok(Ending::Refused(reason));
        }
        drop(bundle);
        let folder = self.config.publish.models.join(self.model());
        fs::create_dir_all(&folder).map_err(RetrainError::io(&folder))?;
        let target = folder.join(&version);
        fs::rename(staged, &target).map_err(RetrainError::io(&target))?;
        fs::File::open(&folder)
            .and_then(|folder| folder.sync_all())
            .map_err(RetrainError::io(&folder))?;
        remove_stage(&self.config.publish.models)?;
        let figures =
            json!({"model": self.model(), "version": version, "moment": report.moment.to_string()});
        journal.step("publish", &target.display().to_string(), figures)?;
        self.activate(journal, &version)
    }

    fn is_worse(
        &self,
        bundle: &Bundle,
        data: &Data<'_>,
        candidate: &Measured,
    ) -> Result<Option<String>, RetrainError> {
        let manifest = bundle.manifest();
        let split = manifest
            .training
            .get("split")
            .cloned()
            .and_then(|split| serde_json::from_value(split).ok());
        let Some(protocol) = split else { return Ok(None) };
        let split = Split::new(data.dataset, &data.histories, protocol)?;
        let cases = crate::training::spaced(&split.test, self.training.training.evaluation_cases);
        let train = split.train_and_validation();
        let seen = Candidate { data, split: &split, train: &train, cases: &cases, table: &[] };
        let shipped = measured(bundle, &seen)?;
        let metric = self.config.gate.metric.as_deref().unwrap_or(&self.training.training.metric);
        let value = |measured: &Measured| measured.row.metrics.get(metric).copied().unwrap_or(0.0);
        let (ships, was) = (value(&shipped), value(candidate));
        Ok((ships < LEAST_OF_CANDIDATE * was).then(|| {
            format!(
                "what would ship has {metric} {ships:.4} on days that it has seen, the candidate before had {was:.4}"
            )
        }))
    }

    fn activate(&self, journal: &mut Journal, version: &str) -> Result<Ending, RetrainError> {
        let watcher = self.watcher()?;
        let before = watcher.before();
        let previous = self.registry.activate(self.model(), version)?;
        let said = format!(
            "{} {version} (before: {})",
            self.model(),
            previous.as_deref().unwrap_or("none")
        );
        let figures = json!({
            "model": self.model(), "version": version, "previous": previous, "before": before.figures()?,
        });
        journal.step("activate", &said, figures)?;
        self.watch(journal, version, previous, before)
    }

    fn watcher(&self) -> Result<Watcher<'_>, RetrainError> {
        let watch = &self.config.watch;
        let customers = if watch.servers.is_empty() {
            Vec::new()
        } else {
            self.registry.customers(watch.probes)?
        };
        Ok(Watcher::new(watch, customers))
    }

    fn watch(
        &self,
        journal: &mut Journal,
        version: &str,
        previous: Option<String>,
        before: Quality,
    ) -> Result<Ending, RetrainError> {
        let watcher = self.watcher()?;
        let (quality, reason) = match watcher.takeover(self.model(), version) {
            Err(reason) => (Quality::default(), Some(reason)),
            Ok(()) => watcher.watch(before),
        };
        let figures =
            json!({"model": self.model(), "version": version, "quality": quality.figures()?});
        match (reason, previous) {
            (Some(reason), Some(_)) => {
                let back = self.registry.take_back(self.model(), version)?;
                let said = match &back {
                    Some(back) => format!("{reason}; version {back} is active again"),
                    None => {
                        format!("{reason}; somebody else has changed the active version meanwhile")
                    }
                };
                journal.step("back", &said, json!({"version": version, "back": back}))?;
                Ok(Ending::TakenBack { version: version.to_owned(), reason: said })
            }
            (Some(reason), None) => {
                let said =
                    format!("{reason}; there is no version to go back to, so {version} stays");
                journal.step("watch", &said, figures)?;
                Ok(Ending::TakenBack { version: version.to_owned(), reason: said })
            }
            (None, _) => {
                let said = match self.config.watch.servers.len() {
                    0 => "no servers are named, so none is watched".to_owned(),
                    servers => format!("{servers} servers answer as well as before"),
                };
                journal.step("watch", &said, figures)?;
                self.clean(journal, version)?;
                Ok(Ending::Serving { version: version.to_owned() })
            }
        }
    }

    /// Old bundles cost only disk space: what cannot be removed tonight is no failure of the night.
    fn clean(&self, journal: &mut Journal, version: &str) -> Result<(), RetrainError> {
        let publish = &self.config.publish;
        let mut never = vec![version.to_owned()];
        never.extend(self.registry.active(self.model())?);
        never.extend(self.registry.rollback_target(self.model())?);
        match clean::remove_old(&publish.models, self.model(), publish.keep, &never) {
            Ok(removed) => journal.step(
                "clean",
                &format!("{} old bundles removed", removed.len()),
                json!({"removed": removed}),
            ),
            Err(error) => journal.step("clean", &error.to_string(), json!({"failed": true})),
        }
    }
}

/// A bundle on the cases of a candidate.
fn measured(bundle: &Bundle, on: &Candidate<'_>) -> Result<Measured, RetrainError> {
    let (dataset, histories, protocol) = (on.data.dataset, &on.data.histories, on.split.protocol);
    let known = Known { dataset, histories, train: on.train };
    let ranker = bundle_ranker(bundle, known, protocol)?;
    Ok(Evaluation { dataset, histories, protocol, cases: on.cases }.measure(&ranker)?)
}

/// The job knows its own errors alone.
fn into_experiment(error: RetrainError) -> ExperimentError {
    match error {
        RetrainError::Experiment(error) => error,
        RetrainError::Bundle(error) => error.into(),
        RetrainError::Evaluation(error) => error.into(),
        RetrainError::Io { path, source } => ExperimentError::Io { path, source },
        other => ExperimentError::Input(other.to_string()),
    }
}

fn told(report: &GateReport) -> String {
    match report.refusal() {
        Some(reason) => format!("refused: {reason}\n{report}"),
        None => format!("passed\n{report}"),
    }
}

/// Removes what an earlier run has left unpublished.
fn remove_stage(models: &Path) -> Result<(), RetrainError> {
    let stage: PathBuf = models.join(STAGE);
    match fs::remove_dir_all(&stage) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(RetrainError::Io { path: stage, source: error })
        }
        _ => Ok(()),
    }
}
