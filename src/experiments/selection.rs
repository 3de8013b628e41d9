//! Which of several configurations suits a shop best, by the validation purchases alone.
//!
//! Every configuration is trained on what lies before the validation purchases and ranked on them,
//! beside the baselines, whose settings are chosen on the same purchases. The best of the models is
//! then trained once more, on everything, and written as a bundle. The test purchases are not
//! looked at.

use super::{Data, ExperimentError, NewRun, Outcome, Runs, Status, Table, number};
use crate::{
    bundle::{self, Listed, MeasuredState, Measurement, MetricsRow, RowKind, Verdict},
    dataset::{Split, TimeUnit},
    evaluation::{
        Measured,
        baselines::{self, Ease, Ials},
        verdict,
    },
    training::{self, Refit, Trained, Trainer, TrainingConfig},
};
use std::{collections::BTreeMap, path::Path, time::Instant};

/// Metrics of the table, beside the one that chooses.
const SHOWN: [&str; 5] = ["hr@10", "ndcg@10", "recall@12", "map@12", "hr@100"];

/// Where and on what a selection trains.
pub struct Selection<'a> {
    pub data: &'a Data<'a>,
    pub runs: &'a Runs,
    /// Folder of bundles.
    pub models: &'a Path,
    pub stop: &'a (dyn Fn() -> bool + Sync),
}

/// How the configurations did, and the bundle of the best.
#[derive(Debug)]
pub struct Selected {
    /// The metric that chose.
    pub metric: String,
    /// Validation cases.
    pub cases: usize,
    /// Models, then baselines, each the best first; those that failed last.
    pub rows: Vec<Validated>,
    /// The best model against the best baseline; `None` when there was no baseline.
    pub verdict: Option<Verdict>,
    pub bundle: Listed,
}

/// A row of the table.
#[derive(Debug, Clone)]
pub struct Validated {
    pub row: MetricsRow,
    /// Why a model has no metrics.
    pub error: Option<String>,
}

/// A configuration that was trained.
struct Candidate<'c> {
    config: &'c TrainingConfig,
    validated: Validated,
    /// What the row was averaged from; `None` when the training failed.
    measured: Option<Measured>,
    /// Of the best epoch.
    epochs: u32,
}

impl Validated {
    fn value(&self, metric: &str) -> f64 {
        let value = self.row.metrics.get(metric).copied().filter(|_| self.error.is_none());
        value.unwrap_or(f64::NEG_INFINITY)
    }
}

impl Selection<'_> {
    /// All configurations are held to the split, the metric and the cases of the first. What fails
    /// is told in its row.
    ///
    /// # Errors
    /// A split that cannot be made or has no validation purchases; when every configuration fails;
    /// the last training.
    pub fn run(&self, configs: &[TrainingConfig]) -> Result<Selected, ExperimentError> {
        let Some(first) = configs.first() else {
            return Err(ExperimentError::Input("no configuration is given".to_owned()));
        };
        let split = Split::new(self.data.dataset, &self.data.histories, first.split)?;
        if split.validation.is_empty() {
            let text =
                "nobody bought anything in the validation window, so models cannot be compared";
            return Err(ExperimentError::Input(text.to_owned()));
        }
        let configs: Vec<TrainingConfig> =
            configs.iter().map(|config| held_to(first, config)).collect();
        let metric = &first.training.metric;
        let mut candidates = Vec::new();
        for config in &configs {
            candidates.push(self.candidate(config, &split)?);
        }
        // Stable, so that of equals the first stays first: families come in order of their cost.
        candidates.sort_by(|a, b| b.validated.value(metric).total_cmp(&a.validated.value(metric)));
        let Some((best, measured)) =
            candidates.first().and_then(|best| Some((best, best.measured.as_ref()?)))
        else {
            let errors: Vec<String> =
                candidates.into_iter().filter_map(|c| c.validated.error).collect();
            return Err(ExperimentError::Input(format!(
                "no model could be trained: {}",
                errors.join("; ")
            )));
        };
        let names = quick_baselines(self.data.dataset.articles.len());
        let left_out: Vec<&str> =
            baselines::NAMES.into_iter().filter(|name| !names.contains(name)).collect();
        if !left_out.is_empty() {
            tracing::info!(
                "not compared, because they take minutes on so many articles: {}; `vitrine-trainer evaluate` has them",
                left_out.join(", ")
            );
        }
        let baselines = self.data.validate_baselines(first, &names, &|| false)?;
        let verdict = verdict(measured, &baselines, metric);
        let mut others: Vec<Validated> = baselines
            .into_iter()
            .map(|measured| Validated { row: measured.row, error: None })
            .collect();
        others.sort_by(|a, b| b.value(metric).total_cmp(&a.value(metric)));
        let rows: Vec<Validated> =
            candidates.iter().map(|candidate| candidate.validated.clone()).chain(others).collect();
        let cases = first.training.evaluation_cases.min(split.validation.len());
        let measurement = self.measurement(&split, cases, verdict.clone());
        let bundle = self.ship(best, &split, &rows, measurement)?;
        Ok(Selected { metric: metric.clone(), cases, rows, verdict, bundle })
    }

    /// What the table in the bundle says: of the validation cases, before the last training.
    fn measurement(&self, split: &Split, cases: usize, verdict: Option<Verdict>) -> Measurement {
        let dataset = self.data.dataset;
        let last = split.train.last().filter(|_| dataset.time_unit != TimeUnit::Position);
        Measurement {
            protocol: format!("validation of {}", split.protocol.name(false)),
            state: MeasuredState::Training,
            trained_until: last.map(|&row| dataset.purchases.time[row as usize]),
            cases,
            dropped: split.dropped.validation,
            tie_seed: self.data.tie_seed,
            verdict,
        }
    }

    /// Trains a configuration and ranks the validation cases; only a run that cannot be recorded is
    /// an error.
    fn candidate<'c>(
        &self,
        config: &'c TrainingConfig,
        split: &Split,
    ) -> Result<Candidate<'c>, ExperimentError> {
        let name = &config.model.name;
        tracing::info!("\n{name}");
        let started = Instant::now();
        let run = self.runs.begin(NewRun::training(config, self.data))?;
        let result = self.search(config, split, run.directory());
        Trainer::remove_checkpoints(run.directory());
        let mut outcome = Outcome::new(Status::Finished);
        outcome.seconds = started.elapsed().as_secs_f64();
        outcome.metric = Some(config.training.metric.clone());
        let candidate = match result {
            Ok((trained, mut measured)) => {
                measured.row.name.clone_from(name);
                measured.row.seconds = Some(outcome.seconds);
                outcome.best_epoch = Some(trained.epochs);
                outcome.validation = measured.row.metrics.get(&config.training.metric).copied();
                let validated = Validated { row: measured.row.clone(), error: None };
                Candidate { config, validated, measured: Some(measured), epochs: trained.epochs }
            }
            Err(error) => {
                tracing::info!("{name} failed: {error}");
                outcome.status = Status::Failed;
                outcome.reason = Some(error.to_string());
                let row = MetricsRow::new(name, RowKind::Bundle, BTreeMap::new());
                let validated = Validated { row, error: Some(error.to_string()) };
                Candidate { config, validated, measured: None, epochs: 0 }
            }
        };
        run.finish(outcome)?;
        Ok(candidate)
    }

    fn search(
        &self,
        config: &TrainingConfig,
        split: &Split,
        directory: &Path,
    ) -> Result<(Box<Trained>, Measured), ExperimentError> {
        let mut config = config.clone();
        config.training.refit = Refit::None;
        let trainer = self.data.trainer(&config, split, directory, self.stop, &|_| ());
        let trained = finished(trainer.train(false)?)?;
        let measured = trainer.measure_validation(&trained)?;
        Ok((trained, measured))
    }

    /// Trains the best configuration on everything, for as long as was best, and writes its bundle.
    fn ship(
        &self,
        best: &Candidate<'_>,
        split: &Split,
        rows: &[Validated],
        measurement: Measurement,
    ) -> Result<Listed, ExperimentError> {
        tracing::info!(
            "\n{} is the best of the models; training it on all purchases",
            best.config.model.name
        );
        let started = Instant::now();
        let mut config = best.config.clone();
        config.training.refit = Refit::All;
        let run = self.runs.begin(NewRun::training(&config, self.data))?;
        let trainer = self.data.trainer(&config, split, run.directory(), self.stop, &|_| ());
        let trainer = Trainer { final_epochs: Some(best.epochs), ..trainer };
        let written =
            trainer.train(false).map_err(Into::into).and_then(finished).and_then(|mut trained| {
                trained.measured = Some(measurement);
                self.write(&trainer, &trained, rows)
            });
        let mut outcome = Outcome::new(Status::Finished);
        outcome.seconds = started.elapsed().as_secs_f64();
        outcome.best_epoch = Some(best.epochs);
        match &written {
            Ok(bundle) => outcome.bundle = Some(bundle.path.clone()),
            Err(error) => {
                outcome.status = Status::Failed;
                outcome.reason = Some(error.to_string());
            }
        }
        Trainer::remove_checkpoints(run.directory());
        run.finish(outcome)?;
        written
    }

    fn write(
        &self,
        trainer: &Trainer<'_>,
        trained: &Trained,
        rows: &[Validated],
    ) -> Result<Listed, ExperimentError> {
        let metrics: Vec<MetricsRow> =
            rows.iter().filter(|row| row.error.is_none()).map(|row| row.row.clone()).collect();
        let path = trainer.export(trained, &metrics, self.models)?;
        let found = bundle::list(self.models)?.into_iter().find(|listed| listed.path == path);
        found
            .ok_or_else(|| ExperimentError::Input(format!("the bundle {} is gone", path.display())))
    }
}

/// The model of a training that nobody stopped.
fn finished(outcome: training::Outcome) -> Result<Box<Trained>, ExperimentError> {
    match outcome {
        training::Outcome::Finished(trained) => Ok(trained),
        training::Outcome::Interrupted(_) => {
            Err(ExperimentError::Input("the training was stopped".to_owned()))
        }
    }
}

/// The baselines that take seconds on a catalogue of this size: a comparison should not take longer
/// than the models.
fn quick_baselines(articles: usize) -> Vec<&'static str> {
    let slow = |name: &str| {
        name == Ease::NAME && articles > 8_000 || name == Ials::NAME && articles > 40_000
    };
    baselines::NAMES.into_iter().filter(|name| !slow(name)).collect()
}

/// The configuration with the questions of the first.
fn held_to(first: &TrainingConfig, config: &TrainingConfig) -> TrainingConfig {
    let mut config = config.clone();
    config.split = first.split;
    config.training.metric.clone_from(&first.training.metric);
    config.training.evaluation_cases = first.training.evaluation_cases;
    config
}

impl Selected {
    /// The model that was chosen.
    pub fn chosen(&self) -> &Validated {
        &self.rows[0]
    }

    /// The table and what follows from it.
    pub fn text(&self) -> String {
        let mut shown: Vec<&str> = SHOWN.to_vec();
        if !shown.contains(&self.metric.as_str()) {
            shown.push(&self.metric);
        }
        let head = [""].into_iter().chain(shown.iter().copied()).chain(["seconds"]);
        let mut table = Table::new(head);
        for Validated { row, error } in &self.rows {
            let values = shown.iter().map(|name| number(row.metrics.get(*name).copied()));
            let seconds =
                row.seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.1}"));
            let last = if error.is_some() { "failed".to_owned() } else { seconds };
            table.row([row.name.clone()].into_iter().chain(values).chain([last]));
        }
        let errors: String = self
            .rows
            .iter()
            .filter_map(|Validated { row, error }| {
                Some(format!("{} failed: {}\n", row.name, error.as_deref()?))
            })
            .collect();
        format!(
            "{} validation cases, chosen by {}; baselines below the models\n\n{}{errors}\n{}",
            self.cases,
            self.metric,
            table.text(),
            self.conclusion()
        )
    }

    fn conclusion(&self) -> String {
        let name = &self.chosen().row.name;
        match &self.verdict {
            Some(verdict) => format!("serving {name}: {verdict}"),
            None => format!("serving {name}"),
        }
    }
}
