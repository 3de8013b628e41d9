//! One training, recorded.

use super::{ExperimentError, Outcome, Recorder, Status};
use crate::{
    bundle::MetricsRow,
    dataset::{Dataset, Histories, Split},
    evaluation::{
        Evaluation,
        baselines::{self, Known},
        beyond_ranking,
    },
    progress::human,
    training::{self, Trained, Trainer, TrainingConfig, TrainingError},
};
use std::{
    path::{Path, PathBuf},
    time::Instant,
};

/// A shop's data as all trainings of a command share it.
pub struct Data<'a> {
    pub dataset: &'a Dataset,
    pub histories: Histories,
    pub fingerprint: String,
    /// Where it came from, for the record.
    pub source: String,
}

/// A configuration to train on data.
pub struct Job<'a> {
    pub data: &'a Data<'a>,
    pub config: &'a TrainingConfig,
    /// Asked before every step; `true` ends the training there, with a checkpoint.
    pub stop: &'a (dyn Fn() -> bool + Sync),
    /// Rows for the bundle's table beside the model's own; computed here when not given.
    pub baselines: Option<&'a [MetricsRow]>,
    /// Write the towers in parts as well, into the bundle's folder `split`.
    pub split_encoders: bool,
}

/// How a training ended that did not fail.
#[derive(Debug)]
pub enum Ended {
    /// The bundle.
    Bundle(PathBuf),
    /// Stopped from outside; the checkpoint continues it.
    Interrupted(PathBuf),
}

impl<'a> Data<'a> {
    pub fn new(dataset: &'a Dataset, source: &Path) -> Self {
        let (histories, fingerprint) = (Histories::of(dataset), dataset.fingerprint());
        Self { dataset, histories, fingerprint, source: source.display().to_string() }
    }

    /// All baselines on the test cases of a configuration; they learn from everything before the test.
    ///
    /// # Errors
    /// A split that cannot be made or holds nothing.
    pub fn baselines(&self, config: &TrainingConfig, names: &[&str]) -> Result<Vec<MetricsRow>, ExperimentError> {
        let split = Split::new(self.dataset, &self.histories, config.split)?;
        let trainer = self.trainer(config, &split, Path::new(""), &|| false, &|_| ());
        baseline_rows(&trainer, names)
    }

    pub(super) fn trainer<'t>(
        &'t self,
        config: &'t TrainingConfig,
        split: &'t Split,
        directory: &Path,
        stop: &'t (dyn Fn() -> bool + Sync),
        observe: &'t (dyn Fn(&serde_json::Value) + Sync),
    ) -> Trainer<'t> {
        Trainer {
            config,
            dataset: self.dataset,
            histories: &self.histories,
            split,
            fingerprint: &self.fingerprint,
            directory: directory.to_owned(),
            cache: directory.parent().unwrap_or(directory).join(".cache"),
            stop,
            observe,
        }
    }
}

impl Job<'_> {
    /// Trains, ranks the test cases, writes the bundle into `models`, and records the outcome, whatever it is.
    ///
    /// # Errors
    /// Whatever failed, after it was recorded.
    pub fn train(&self, run: Recorder, models: &Path, resume: bool) -> Result<Ended, ExperimentError> {
        let started = Instant::now();
        let mut outcome = Outcome::new(Status::Finished);
        let ended = self.bundle(run.directory(), models, resume, &mut outcome);
        match &ended {
            Ok(Ended::Bundle(bundle)) => {
                outcome.bundle = Some(bundle.clone());
                Trainer::remove_checkpoints(run.directory());
            }
            Ok(Ended::Interrupted(_)) => outcome.status = Status::Interrupted,
            // A checkpoint that is not this configuration's says nothing about the run it belongs to.
            Err(ExperimentError::Training(TrainingError::Checkpoint(_))) if resume => return ended,
            Err(error) => {
                outcome.status = Status::Failed;
                outcome.reason = Some(error.to_string());
            }
        }
        outcome.seconds = started.elapsed().as_secs_f64();
        outcome.metric = Some(self.config.training.metric.clone());
        run.finish(outcome)?;
        ended
    }

    fn bundle(
        &self,
        directory: &Path,
        models: &Path,
        resume: bool,
        outcome: &mut Outcome,
    ) -> Result<Ended, ExperimentError> {
        let started = Instant::now();
        let split = Split::new(self.data.dataset, &self.data.histories, self.config.split)?;
        let trainer = self.data.trainer(self.config, &split, directory, self.stop, &|_| ());
        let trained = match trainer.train(resume)? {
            training::Outcome::Finished(trained) => trained,
            training::Outcome::Interrupted(checkpoint) => return Ok(Ended::Interrupted(checkpoint)),
        };
        eprintln!("trained {} epochs in {}", trained.epochs, human(started.elapsed()));
        outcome.best_epoch = Some(trained.epochs);
        outcome.validation = trained.validation;
        outcome.test = self.table(&trainer, &trained)?;
        print_table(&outcome.test, trainer.test_cases().len(), self.data.dataset.articles.len());
        let bundle = trainer.export(&trained, &outcome.test, models)?;
        if self.split_encoders {
            trained.write_split_encoders(&bundle.join("split"))?;
        }
        Ok(Ended::Bundle(bundle))
    }

    /// The model's row, then the baselines', all on the test cases.
    fn table(&self, trainer: &Trainer<'_>, trained: &Trained) -> Result<Vec<MetricsRow>, ExperimentError> {
        let mut rows = vec![trainer.test(trained)?];
        match self.baselines {
            Some(baselines) => rows.extend_from_slice(baselines),
            None => rows.extend(baseline_rows(trainer, &baselines::NAMES)?),
        }
        Ok(rows)
    }
}

fn baseline_rows(trainer: &Trainer<'_>, names: &[&str]) -> Result<Vec<MetricsRow>, ExperimentError> {
    let &Trainer { dataset, histories, split, .. } = trainer;
    let cases = trainer.test_cases();
    let evaluation = Evaluation { dataset, histories, protocol: split.protocol, cases: &cases };
    let train = split.train_and_validation();
    let known = Known { dataset, histories, train: &train };
    let baselines = names.iter().filter_map(|name| baselines::baseline(name, known));
    baselines.map(|baseline| Ok(evaluation.row(&*baseline)?)).collect()
}

/// To standard error, as every account of a run under way.
fn print_table(rows: &[MetricsRow], cases: usize, articles: usize) {
    const SHOWN: [&str; 7] = ["hr@10", "ndcg@10", "recall@12", "map@12", "mrr", "hr@100", "coverage@12"];
    eprintln!("\ntest: {cases} cases, {articles} articles ranked for each");
    eprintln!("{:20}{}", "", SHOWN.map(|name| format!("{name:>12}")).concat());
    for row in rows {
        let value = |name| row.metrics.get(name).copied().unwrap_or(f64::NAN);
        eprintln!("{:20}{}", row.name, SHOWN.map(|name| format!("{:12.4}", value(name))).concat());
    }
    for row in rows {
        let others: Vec<String> = beyond_ranking(row).map(|(name, value)| format!("{name} {value:.4}")).collect();
        if !others.is_empty() {
            eprintln!("{}: {}", row.name, others.join(", "));
        }
    }
    eprintln!();
}
