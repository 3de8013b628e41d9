//! One training, recorded.

use super::{ExperimentError, Outcome, Recorder, Status};
use crate::{
    bundle::{MeasuredState, Measurement, MetricsRow, Verdict, VerdictOutcome},
    dataset::{Case, Dataset, Histories, Split, SplitError, TimeUnit},
    evaluation::{
        Evaluation, EvaluationError, METRICS, Measured,
        baselines::{self, Tuning},
        beyond_ranking, notes, verdict,
    },
    progress::{Progress, human},
    training::{self, Refit, Trained, Trainer, TrainingConfig, TrainingError, WarmStart},
};
use std::{
    path::{Path, PathBuf},
    time::Instant,
};

/// Where the last stage of [`Refit::All`] keeps its checkpoints and metrics, in the run's folder.
const FINAL: &str = "final";

/// A shop's data as all trainings of a command share it.
pub struct Data<'a> {
    pub dataset: &'a Dataset,
    pub histories: Histories,
    pub fingerprint: String,
    /// Where it came from, for the record.
    pub source: String,
    /// By which the order of purchases of one moment was drawn.
    pub tie_seed: u64,
}

/// A configuration to train on data.
pub struct Job<'a> {
    pub data: &'a Data<'a>,
    pub config: &'a TrainingConfig,
    /// Asked before every step; `true` ends the training there, with a checkpoint.
    pub stop: &'a (dyn Fn() -> bool + Sync),
    /// Rows for the bundle's table beside the model's own; computed here when not given.
    pub baselines: Option<&'a [Measured]>,
    /// Write the towers in parts as well, into the bundle's folder `split`.
    pub split_encoders: bool,
    /// Write no bundle when the model is below the best baseline.
    pub gate: bool,
    /// Start from the weights of a bundle.
    pub warm: Option<&'a WarmStart>,
    /// Asked before what ships is trained.
    pub judge: Option<&'a Judge<'a>>,
}

/// Says why a candidate must not ship; `None` when it may.
pub type Judge<'a> = dyn Fn(&Candidate<'_>) -> Result<Option<String>, ExperimentError> + 'a;

/// A model that was trained on everything before the test, and measured on it.
pub struct Candidate<'a> {
    pub data: &'a Data<'a>,
    pub split: &'a Split,
    /// The purchases that it learnt from, ascending.
    pub train: &'a [u32],
    /// The test cases.
    pub cases: &'a [Case],
    /// Its row, then the baselines'.
    pub table: &'a [Measured],
}

/// How a training ended that did not fail.
#[derive(Debug)]
pub enum Ended {
    /// The bundle.
    Bundle(PathBuf),
    /// Stopped from outside; the checkpoint continues it, where the family writes one.
    Interrupted(PathBuf),
    /// The model is below the best baseline, so the gate let no bundle be written.
    Gated(Box<Verdict>),
    /// The judge let no bundle be written, for this reason.
    Refused(String),
}

impl<'a> Data<'a> {
    /// With ties in the order in which the server reads them.
    pub fn new(dataset: &'a Dataset, source: impl ToString) -> Self {
        let (histories, fingerprint) = (Histories::of(dataset), dataset.fingerprint());
        Self {
            dataset,
            histories,
            fingerprint,
            source: source.to_string(),
            tie_seed: Histories::TIE_SEED,
        }
    }

    /// The same data with its ties drawn by another seed.
    pub fn with_ties(&self, seed: u64) -> Self {
        let histories = Histories::with_ties(self.dataset, seed);
        let Self { dataset, fingerprint, source, .. } = self;
        Self {
            dataset,
            histories,
            fingerprint: fingerprint.clone(),
            source: source.clone(),
            tie_seed: seed,
        }
    }

    /// Baselines on the test cases of a configuration. They learn from what the model beside them
    /// learnt from when it was tested, and their settings are chosen on the validation purchases.
    ///
    /// # Errors
    /// A split that cannot be made or holds nothing; when `stop` says so.
    pub fn baselines(
        &self,
        config: &TrainingConfig,
        names: &[&str],
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Measured>, ExperimentError> {
        let split = Split::new(self.dataset, &self.histories, config.split)?;
        let trainer = self.trainer(config, &split, Path::new(""), stop, &|_| ());
        baseline_rows(&trainer, names)
    }

    /// Baselines on the *validation* cases of a configuration, learnt from the training purchases
    /// alone: to choose between models and baselines without a look at the test.
    ///
    /// # Errors
    /// As [`Self::baselines`]; a split without validation cases.
    pub fn validate_baselines(
        &self,
        config: &TrainingConfig,
        names: &[&str],
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Measured>, ExperimentError> {
        let (dataset, histories) = (self.dataset, &self.histories);
        let split = Split::new(dataset, histories, config.split)?;
        if split.validation.is_empty() {
            return Err(SplitError::NothingToTest(
                "it holds nothing out for validation".to_owned(),
            )
            .into());
        }
        let cases = training::spaced(&split.validation, config.training.evaluation_cases);
        let evaluation = Evaluation { dataset, histories, protocol: split.protocol, cases: &cases };
        let tuning = Tuning::new(dataset, histories, &split, judging_metric(config), stop);
        measure_baselines(&evaluation, &split.train, tuning.as_ref(), names, stop)
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
            final_epochs: None,
            warm: None,
        }
    }
}

impl Job<'_> {
    /// Trains, ranks the test cases, writes the bundle into `models`, and records the outcome,
    /// whatever it is.
    ///
    /// # Errors
    /// Whatever failed, after it was recorded.
    pub fn train(
        &self,
        run: Recorder,
        models: &Path,
        resume: bool,
    ) -> Result<Ended, ExperimentError> {
        self.train_and_measure(run, models, resume).map(|(ended, _)| ended)
    }

    /// [`Self::train`], and the model's row with what it was averaged from; `None` when it was
    /// stopped before the test.
    ///
    /// # Errors
    /// As [`Self::train`].
    pub fn train_and_measure(
        &self,
        run: Recorder,
        models: &Path,
        resume: bool,
    ) -> Result<(Ended, Option<Measured>), ExperimentError> {
        let started = Instant::now();
        let mut outcome = Outcome::new(Status::Finished);
        let mut table = Vec::new();
        let ended = self.bundle(run.directory(), models, resume, &mut outcome, &mut table);
        match &ended {
            Ok(Ended::Bundle(bundle)) => {
                outcome.bundle = Some(bundle.clone());
                Trainer::remove_checkpoints(run.directory());
                Trainer::remove_checkpoints(&run.directory().join(FINAL));
            }
            Ok(Ended::Interrupted(_)) => outcome.status = Status::Interrupted,
            Ok(Ended::Gated(verdict)) => {
                outcome.status = Status::Failed;
                outcome.reason = Some(format!("the gate let no bundle be written: {verdict}"));
            }
            Ok(Ended::Refused(reason)) => {
                outcome.status = Status::Failed;
                outcome.reason = Some(format!("no bundle was written: {reason}"));
            }
            // A checkpoint that is not this configuration's says nothing about the run it belongs
            // to.
            Err(ExperimentError::Training(TrainingError::Checkpoint(_))) if resume => {
                return ended.map(|e| (e, None));
            }
            Err(error) => {
                outcome.status = Status::Failed;
                outcome.reason = Some(error.to_string());
            }
        }
        outcome.seconds = started.elapsed().as_secs_f64();
        outcome.metric = Some(self.config.training.metric.clone());
        run.finish(outcome)?;
        Ok((ended?, table.into_iter().next()))
    }

    fn bundle(
        &self,
        directory: &Path,
        models: &Path,
        resume: bool,
        outcome: &mut Outcome,
        table: &mut Vec<Measured>,
    ) -> Result<Ended, ExperimentError> {
        let started = Instant::now();
        let split = Split::new(self.data.dataset, &self.data.histories, self.config.split)?;
        let trainer = self.data.trainer(self.config, &split, directory, self.stop, &|_| ());
        let trainer = Trainer { warm: self.warm, ..trainer };
        let mut trained = match trainer.train(resume)? {
            training::Outcome::Finished(trained) => trained,
            training::Outcome::Interrupted(checkpoint) => {
                return Ok(Ended::Interrupted(checkpoint));
            }
        };
        tracing::info!("trained {} epochs in {}", trained.epochs, human(started.elapsed()));
        outcome.best_epoch = Some(trained.epochs);
        outcome.validation = trained.validation;
        *table = match self.table(&trainer, &trained) {
            // The training is over, and its last checkpoint says so.
            Err(error) if error.is_stop() => return Ok(Ended::Interrupted(trainer.last())),
            table => table?,
        };
        outcome.test = table.iter().map(|measured| measured.row.clone()).collect();
        let measured = self.measurement(&trainer, &trained, table);
        print_table(&outcome.test, &measured, self.data.dataset.articles.len());
        if let Some(verdict) =
            measured.verdict.as_ref().filter(|verdict| self.gate && is_below(verdict))
        {
            return Ok(Ended::Gated(Box::new(verdict.clone())));
        }
        if let Some(judge) = self.judge {
            let (train, cases) = (&trained.rows, &trainer.test_cases());
            let candidate = Candidate { data: self.data, split: &split, train, cases, table };
            if let Some(reason) = judge(&candidate)? {
                return Ok(Ended::Refused(reason));
            }
        }
        trained.measured = Some(measured);
        let bundle = match self.config.training.refit {
            Refit::None | Refit::Validation => trainer.export(&trained, &outcome.test, models)?,
            Refit::All => {
                tracing::info!("training what ships on all purchases, the test's included");
                let epochs = trained.epochs;
                let last = Trainer {
                    directory: directory.join(FINAL),
                    final_epochs: Some(epochs),
                    ..trainer
                };
                let shipped = match last.train(resume)? {
                    training::Outcome::Finished(shipped) => shipped,
                    training::Outcome::Interrupted(checkpoint) => {
                        return Ok(Ended::Interrupted(checkpoint));
                    }
                };
                let (measured, validation) = (trained.measured.take(), trained.validation);
                *trained = Trained { measured, validation, ..*shipped };
                last.export(&trained, &outcome.test, models)?
            }
        };
        if self.split_encoders {
            trained.write_split_encoders(&bundle.join("split"))?;
        }
        Ok(Ended::Bundle(bundle))
    }

    /// The model's row, then the baselines', all on the test cases.
    fn table(
        &self,
        trainer: &Trainer<'_>,
        trained: &Trained,
    ) -> Result<Vec<Measured>, ExperimentError> {
        let mut rows = vec![trainer.measure(trained)?];
        match self.baselines {
            Some(baselines) => rows.extend_from_slice(baselines),
            None => rows.extend(baseline_rows(trainer, &baselines::NAMES)?),
        }
        Ok(rows)
    }

    fn measurement(
        &self,
        trainer: &Trainer<'_>,
        trained: &Trained,
        table: &[Measured],
    ) -> Measurement {
        let (dataset, split) = (self.data.dataset, trainer.split);
        let state = trainer.measured_state();
        let strict = state == MeasuredState::Training;
        let dated = dataset.time_unit != TimeUnit::Position;
        let last = trained.rows.last().filter(|_| dated);
        Measurement {
            protocol: split.protocol.name(!strict).to_owned(),
            state,
            trained_until: last.map(|&row| dataset.purchases.time[row as usize]),
            cases: trainer.test_cases().len(),
            dropped: split.dropped.test,
            tie_seed: self.data.tie_seed,
            verdict: verdict(&table[0], &table[1..], judging_metric(self.config)),
        }
    }
}

/// Whether the verdict is that a baseline is better.
pub fn is_below(verdict: &Verdict) -> bool {
    verdict.outcome == VerdictOutcome::Below
}

/// What chose the model also judges it, and chooses the settings of the baselines, so that neither
/// has an advantage.
fn judging_metric(config: &TrainingConfig) -> &str {
    let metric = config.training.metric.as_str();
    let known = METRICS.iter().any(|known| known.name() == metric);
    if known { metric } else { "ndcg@10" }
}

fn baseline_rows(trainer: &Trainer<'_>, names: &[&str]) -> Result<Vec<Measured>, ExperimentError> {
    let &Trainer { dataset, histories, split, stop, .. } = trainer;
    let cases = trainer.test_cases();
    let evaluation = Evaluation { dataset, histories, protocol: split.protocol, cases: &cases };
    let train = match trainer.measured_state() {
        MeasuredState::Training => split.train.clone(),
        MeasuredState::TrainingAndValidation => split.train_and_validation(),
    };
    let tuning = Tuning::new(dataset, histories, split, judging_metric(trainer.config), stop);
    measure_baselines(&evaluation, &train, tuning.as_ref(), names, stop)
}

fn measure_baselines(
    evaluation: &Evaluation<'_>,
    train: &[u32],
    tuning: Option<&Tuning<'_>>,
    names: &[&str],
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<Measured>, ExperimentError> {
    let mut rows = Vec::new();
    let progress = Progress::new("baselines", names.len() as u64, "baselines");
    for name in names {
        if stop() {
            return Err(EvaluationError::Stopped.into());
        }
        progress.message(name);
        match baselines::unavailable(name, evaluation.dataset.articles.len()) {
            Some(reason) => tracing::info!("{reason}"),
            None => rows.push(baselines::measure(name, evaluation, train, tuning)?),
        }
        progress.add(1);
    }
    progress.finish(&format!("{} measured", rows.len()));
    Ok(rows)
}

/// To standard error, as every account of a run under way.
fn print_table(rows: &[MetricsRow], measured: &Measurement, articles: usize) {
    const SHOWN: [&str; 7] =
        ["hr@10", "ndcg@10", "recall@12", "map@12", "mrr", "hr@100", "coverage@12"];
    let Measurement { protocol, state, cases, dropped, .. } = measured;
    tracing::info!(
        "\ntest ({protocol}): {cases} cases, {articles} articles ranked for each, trained on {}",
        state.words()
    );
    if *dropped > 0 {
        tracing::info!(
            "{dropped} more cases ask for nothing but articles bought before; they are left out"
        );
    }
    tracing::info!("{:20}{}", "", SHOWN.map(|name| format!("{name:>16}")).concat());
    for row in rows {
        let value = |name| row.shown(name).unwrap_or_else(|| "-".to_owned());
        tracing::info!(
            "{:20}{}",
            row.name,
            SHOWN.map(|name| format!("{:>16}", value(name))).concat()
        );
    }
    tracing::info!("± is half a 95 % interval over customers");
    for row in rows {
        let others: Vec<String> =
            beyond_ranking(row).map(|(name, value)| format!("{name} {value:.4}")).collect();
        if !others.is_empty() {
            tracing::info!("{}: {}", row.name, others.join(", "));
        }
    }
    notes(rows).iter().for_each(|note| tracing::info!("{note}"));
    if let Some(verdict) = &measured.verdict {
        tracing::info!("\n{verdict}");
    }
    tracing::info!("");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        experiments::{NewRun, Runs},
        training::tests::{configure, shop},
    };
    use std::sync::atomic::{AtomicUsize, Ordering};

    const MODEL: &str = "model = { name = \"small\", family = \"two-tower\", dim = 8 }
        features = { query = [{ source = \"customer_id\", encoding = \"embedding\", dim = 8 }],
            item = [{ source = \"article_id\", encoding = \"embedding\", dim = 8 }] }
        training = { epochs = 2, batch_size = 64, refit = \"none\" }
        split = { protocol = \"time\", test_days = 7, validation_days = 7 }";

    /// Stopped after any number of questions, before a step or a baseline, a run goes on to the
    /// same bundle.
    #[test]
    fn a_stopped_job_goes_on() {
        let dataset = shop();
        let data = Data::new(&dataset, "test");
        let config = configure(MODEL, &[]).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let runs = Runs::new(directory.path().join("runs"));
        let train = |resume: bool, most: usize| {
            let asked = AtomicUsize::new(0);
            let job = Job {
                data: &data,
                config: &config,
                stop: &|| asked.fetch_add(1, Ordering::Relaxed) >= most,
                baselines: None,
                split_encoders: false,
                gate: false,
                warm: None,
                judge: None,
            };
            let run = match resume {
                true => runs.resume("small").unwrap(),
                false => runs.begin(NewRun::training(&config, &data)).unwrap(),
            };
            let ended = job.train(run, &directory.path().join("models"), resume).unwrap();
            (ended, asked.into_inner())
        };
        let (_, questions) = train(false, usize::MAX);
        // The last ones are about settings and baselines.
        for most in [questions - 1, questions - 12, questions - 40] {
            let (ended, asked) = train(false, most);
            let Ended::Interrupted(checkpoint) = ended else { panic!("{most} of {questions}") };
            assert!(checkpoint.is_file());
            assert_eq!(asked, most + 1);
            let (ended, asked) = train(true, usize::MAX);
            assert!(matches!(ended, Ended::Bundle(_)));
            assert!(asked < questions, "nothing is trained again");
        }
    }
}
