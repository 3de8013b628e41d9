//! The training loop.

use super::{
    TrainingError,
    average::Average,
    batches::Batches,
    checkpoint::{self, Best, State},
    config::{Refit, TrainingConfig},
    learner::Learner,
    metrics::MetricsFile,
    warm::WarmStart,
};
use crate::{
    bundle::{MeasuredState, Measurement, MetricsRow},
    dataset::{Case, Dataset, Histories, Split},
    domain::Timestamp,
    evaluation::{Evaluation, Measured, VectorRanker},
    families::TrainedModel,
    features::{Encoder, Moment, fit},
    progress::Progress,
};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    sync::mpsc,
    time::{Duration, Instant},
};

/// Batches made ahead of the step that uses them.
const PREFETCH: usize = 3;

/// Steps between two lines of the metrics file.
const LOG_EVERY: u32 = 100;

/// A training run on prepared data.
pub struct Trainer<'a> {
    pub config: &'a TrainingConfig,
    pub dataset: &'a Dataset,
    pub histories: &'a Histories,
    pub split: &'a Split,
    /// [`Dataset::fingerprint`].
    pub fingerprint: &'a str,
    /// Where checkpoints and the metrics file go.
    pub directory: PathBuf,
    /// Where drawn negatives are kept, for this run and others.
    pub cache: PathBuf,
    /// Asked before every step; `true` ends the run there, with a checkpoint.
    pub stop: &'a (dyn Fn() -> bool + Sync),
    /// Told of every line of the metrics file as it is written.
    pub observe: &'a (dyn Fn(&serde_json::Value) + Sync),
    /// Train what ships, on all purchases and for so many epochs, and choose nothing: the last step
    /// of [`Refit::All`].
    pub final_epochs: Option<u32>,
    /// Start from this bundle's weights, for its number of epochs, and choose nothing: it has seen
    /// the validation purchases.
    pub warm: Option<&'a WarmStart>,
}

/// How a run ended.
pub enum Outcome {
    Finished(Box<Trained>),
    /// Stopped from outside; the checkpoint continues it.
    Interrupted(PathBuf),
}

/// A finished model.
pub struct Trained {
    pub encoder: Encoder,
    pub model: Box<dyn TrainedModel>,
    /// Epochs behind the model.
    pub epochs: u32,
    /// The purchases it was trained on, ascending.
    pub rows: Vec<u32>,
    /// The best epoch's validation metric, where there were validation cases.
    pub validation: Option<f64>,
    /// How the metrics that go with the model into its bundle were measured.
    pub measured: Option<Measurement>,
}

/// One training of one model from its first weights.
struct Stage {
    rows: Vec<u32>,
    /// Judge each epoch by these; none in a refit.
    cases: Vec<Case>,
    epochs: u32,
}

impl Trainer<'_> {
    /// Trains; with `resume` goes on from the last checkpoint.
    ///
    /// # Errors
    /// [`TrainingError`]. Whatever goes wrong, the last checkpoint stays usable.
    pub fn train(&self, resume: bool) -> Result<Outcome, TrainingError> {
        let threads = self.config.training.threads;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|source| TrainingError::Threads { threads, source })?;
        pool.install(|| self.config.family.train(self, resume))
    }

    /// Trains by steps: until nothing improves, then again for as many epochs, as the configuration
    /// says.
    pub(crate) fn stages<L: Learner>(&self, resume: bool) -> Result<Outcome, TrainingError> {
        let io = |source| TrainingError::Io { path: self.directory.clone(), source };
        std::fs::create_dir_all(&self.directory).map_err(io)?;
        if let Some(epochs) = self.final_epochs {
            return self.final_stage::<L>(epochs, resume);
        }
        let mut state = if resume { self.resumed()? } else { self.fresh() };
        if let Some(warm) = self.warm.filter(|_| !resume) {
            state.refit = Some(warm.epochs);
        }
        let mut metrics =
            MetricsFile::open(&self.directory.join("metrics.jsonl"), resume, self.observe)?;
        let mut resume = resume;
        if state.refit.is_none() {
            let stage = self.search_stage()?;
            let Some(mut trained) = self.stage::<L>(&stage, &mut state, resume, &mut metrics)?
            else {
                return Ok(Outcome::Interrupted(self.last()));
            };
            let Some(best) = state.best else { return Ok(Outcome::Finished(Box::new(trained))) };
            trained.validation = Some(best.metric);
            if self.config.training.refit == Refit::None {
                return Ok(Outcome::Finished(Box::new(trained)));
            }
            state = State { refit: Some(trained.epochs), best: Some(best), ..self.fresh() };
            resume = false;
        }
        let epochs = state.refit.unwrap_or(self.config.training.epochs);
        let rows = self.window(self.split.train_and_validation())?;
        let stage = Stage { rows, cases: Vec::new(), epochs };
        let trained = self.stage::<L>(&stage, &mut state, resume, &mut metrics)?;
        Ok(match trained {
            Some(trained) => {
                let validation = state.best.map(|best| best.metric);
                Outcome::Finished(Box::new(Trained { validation, ..trained }))
            }
            None => Outcome::Interrupted(self.last()),
        })
    }

    /// Trains on all purchases. A run that was stopped before this stage began has no checkpoint of
    /// it yet.
    fn final_stage<L: Learner>(&self, epochs: u32, resume: bool) -> Result<Outcome, TrainingError> {
        let resume = resume && self.last().exists();
        let mut state =
            if resume { self.resumed()? } else { State { refit: Some(epochs), ..self.fresh() } };
        let mut metrics =
            MetricsFile::open(&self.directory.join("metrics.jsonl"), resume, self.observe)?;
        let rows = self.window((0..self.dataset.purchases.len() as u32).collect())?;
        let stage = Stage { rows, cases: Vec::new(), epochs };
        Ok(match self.stage::<L>(&stage, &mut state, resume, &mut metrics)? {
            Some(trained) => Outcome::Finished(Box::new(trained)),
            None => Outcome::Interrupted(self.last()),
        })
    }

    /// What the model is trained on when it is tested.
    pub fn measured_state(&self) -> MeasuredState {
        match self.config.training.refit {
            Refit::None => MeasuredState::Training,
            // Without validation cases there was nothing to choose by, and nothing is trained
            // again.
            _ if self.split.validation.is_empty() => MeasuredState::Training,
            Refit::Validation | Refit::All => MeasuredState::TrainingAndValidation,
        }
    }

    fn fresh(&self) -> State {
        State {
            config: json!(self.config),
            data: self.fingerprint.to_owned(),
            refit: None,
            epoch: 0,
            batch: 0,
            steps: 0,
            loss: 0.0,
            best: None,
        }
    }

    fn resumed(&self) -> Result<State, TrainingError> {
        let path = self.last();
        if !path.exists() {
            return Err(TrainingError::NothingToResume(path));
        }
        let state = checkpoint::read_state(&path)?;
        let mut differences = checkpoint::differences(&state.config, &json!(self.config));
        if state.data != self.fingerprint {
            differences.push(format!(
                "the data's fingerprint was {}, is now {}",
                state.data, self.fingerprint
            ));
        }
        if differences.is_empty() {
            return Ok(state);
        }
        Err(checkpoint::CheckpointError::Other { path, differences }.into())
    }

    /// The checkpoint that a stopped run goes on from.
    pub(crate) fn last(&self) -> PathBuf {
        self.directory.join("last.ckpt")
    }

    fn best(&self) -> PathBuf {
        self.directory.join("best.ckpt")
    }

    fn search_stage(&self) -> Result<Stage, TrainingError> {
        let cases = spaced(&self.split.validation, self.config.training.evaluation_cases);
        Ok(Stage {
            rows: self.window(self.split.train.clone())?,
            cases,
            epochs: self.config.training.epochs,
        })
    }

    /// The purchases behind a model that is not trained by steps.
    pub(crate) fn rows_to_count(&self) -> Result<Vec<u32>, TrainingError> {
        self.window(match self.config.training.refit {
            // The last step of `Refit::All` does the same again with everything.
            _ if self.final_epochs.is_some() => (0..self.dataset.purchases.len() as u32).collect(),
            Refit::None => self.split.train.clone(),
            Refit::Validation | Refit::All => self.split.train_and_validation(),
        })
    }

    /// What a run ends with, for a model that is not trained by steps.
    pub(crate) fn finish(
        &self,
        model: Box<dyn TrainedModel>,
        rows: Vec<u32>,
        epochs: u32,
        validation: Option<f64>,
    ) -> Result<Outcome, TrainingError> {
        let (schema, vocabularies) = fit(self.dataset, &rows, &self.config.schema_features())?;
        let encoder = Encoder::new(schema, vocabularies)?;
        Ok(Outcome::Finished(Box::new(Trained {
            encoder,
            model,
            epochs,
            rows,
            validation,
            measured: None,
        })))
    }

    /// The rows of the last `window_days` before what is held out; rows are in order of time.
    pub(crate) fn window(&self, rows: Vec<u32>) -> Result<Vec<u32>, TrainingError> {
        let Some(days) = self.config.training.window_days else { return Ok(rows) };
        let time = |row: u32| self.dataset.purchases.time[row as usize];
        let Some(&last) = rows.last() else { return Ok(rows) };
        let from =
            Timestamp((time(last).day() + 1).saturating_sub(days).saturating_mul(Timestamp::DAY));
        let first = rows.partition_point(|&row| time(row) < from);
        let rows = rows[first..].to_vec();
        if rows.is_empty() { Err(TrainingError::EmptyWindow(days)) } else { Ok(rows) }
    }

    /// Trains one stage to its end; `None` when stopped from outside.
    fn stage<L: Learner>(
        &self,
        stage: &Stage,
        state: &mut State,
        resume: bool,
        metrics: &mut MetricsFile<'_>,
    ) -> Result<Option<Trained>, TrainingError> {
        let (schema, vocabularies) =
            fit(self.dataset, &stage.rows, &self.config.schema_features())?;
        let encoder = Encoder::new(schema, vocabularies)?;
        let mut model = L::new(&encoder, self.dataset, self.config)?;
        let mut average = Average::new(self.config.optimizer.ema_decay, model.weights());
        if resume {
            checkpoint::read(&self.last(), &mut model, &mut average)?;
            // A run may have ended between writing its best epoch and keeping it.
            if state.batch == 0
                && state.best.is_some_and(|best| best.epoch == state.epoch)
                && self.keeps_best(stage)
            {
                self.keep_best()?;
            }
        }
        let samples = L::training_samples(self, &encoder, &stage.rows);
        if samples.shuffle().batches() == 0 {
            return Err(TrainingError::NothingToLearn);
        }
        if !resume {
            model.start(&samples);
            if let Some(warm) = self.warm {
                model.warm(warm, &encoder).map_err(TrainingError::WarmStart)?;
            }
        }
        while state.epoch < stage.epochs && !self.out_of_patience(stage, state) {
            let started = Instant::now();
            let Some(loss) =
                self.epoch(stage, &samples, (&mut model, &mut average), state, metrics)?
            else {
                return Ok(None);
            };
            let mut line = json!({
                "stage": self.stage_name(state), "epoch": state.epoch, "step": state.steps, "loss": loss,
                "seconds": started.elapsed().as_secs_f64(),
            });
            average.swap(model.weights());
            let row = self.validate(stage, &samples, &model)?;
            average.swap(model.weights());
            let improved = row.as_ref().is_some_and(|row| self.improved(row, state));
            if let (Some(row), Some(line)) = (&row, line.as_object_mut()) {
                line.extend(row.metrics.iter().map(|(name, value)| (name.clone(), json!(value))));
            }
            metrics.line(&line)?;
            self.report(state, loss, row.as_ref(), started.elapsed());
            checkpoint::write(&self.last(), state, &mut model, &mut average)?;
            if improved && self.keeps_best(stage) {
                self.keep_best()?;
            }
        }
        let mut epochs = state.epoch;
        let kept = state.best.filter(|best| self.keeps_best(stage) && best.epoch != state.epoch);
        if let Some(best) = kept {
            self.read_best(best, state, (&mut model, &mut average))?;
            epochs = best.epoch;
        }
        average.swap(model.weights());
        drop(samples);
        Ok(Some(Trained {
            encoder,
            model: model.into_model(),
            epochs,
            rows: stage.rows.clone(),
            validation: None,
            measured: None,
        }))
    }

    fn out_of_patience(&self, stage: &Stage, state: &State) -> bool {
        let patience = self.config.training.patience;
        let since_best = state.best.map_or(0, |best| state.epoch.saturating_sub(best.epoch));
        !stage.cases.is_empty() && patience > 0 && since_best >= patience
    }

    /// One epoch, or the rest of one; its mean loss, or `None` when stopped from outside.
    fn epoch<L: Learner>(
        &self,
        stage: &Stage,
        samples: &L::Samples<'_>,
        (model, average): (&mut L, &mut Average),
        state: &mut State,
        metrics: &mut MetricsFile<'_>,
    ) -> Result<Option<f64>, TrainingError> {
        let (epoch, batches) = (state.epoch, samples.shuffle().batches());
        let order = samples.shuffle().order(epoch);
        let name = format!("{} epoch {}/{}", self.stage_name(state), epoch + 1, stage.epochs);
        let progress = Progress::new(&name, batches as u64, "steps");
        progress.add(u64::from(state.batch));
        std::thread::scope(|scope| {
            let (sender, receiver) = mpsc::sync_channel::<L::Batch>(PREFETCH);
            let first = state.batch as usize;
            let order = &order;
            scope.spawn(move || {
                // Ends early when the loop below has dropped its end.
                (first..batches)
                    .all(|batch| sender.send(samples.batch(order, epoch, batch)).is_ok())
            });
            for batch in receiver {
                if (self.stop)() {
                    model.settle()?;
                    checkpoint::write(&self.last(), state, model, average)?;
                    return Ok(None);
                }
                let optimizer = self
                    .config
                    .optimizer
                    .at(state.steps, stage.epochs.saturating_mul(batches as u32));
                let loss = model.step(&batch, &optimizer)?;
                state.batch += 1;
                if !loss.is_finite() {
                    let (step, epoch, batch) = (state.steps + 1, epoch + 1, state.batch);
                    return Err(TrainingError::Diverged {
                        loss,
                        step,
                        epoch,
                        batch,
                        directory: self.directory.clone(),
                    });
                }
                state.steps = *model.steps();
                if average.is_due(state.steps) {
                    model.settle()?;
                    average.follow(state.steps, model.weights());
                }
                state.loss += loss;
                progress.message(&format!("loss {loss:.4}"));
                progress.add(1);
                if state.steps.is_multiple_of(LOG_EVERY) {
                    let stage = self.stage_name(state);
                    metrics.line(&json!({"stage": stage, "epoch": epoch + 1, "step": state.steps, "loss": loss}))?;
                }
            }
            model.settle()?;
            let loss = state.loss / batches as f64;
            progress.finish(&format!("loss {loss:.4}"));
            (state.epoch, state.batch, state.loss) = (epoch + 1, 0, 0.0);
            Ok(Some(loss))
        })
    }

    /// The stage's cases ranked over the full catalogue.
    fn validate<L: Learner>(
        &self,
        stage: &Stage,
        samples: &L::Samples<'_>,
        model: &L,
    ) -> Result<Option<MetricsRow>, TrainingError> {
        if stage.cases.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.evaluate("validation", samples, model, &stage.cases)?.row))
    }

    /// Ranks the full catalogue for the test cases: a row of the metrics table, under the model's
    /// name.
    ///
    /// # Errors
    /// [`TrainingError::Evaluation`] when there are no cases.
    pub fn test(&self, trained: &Trained) -> Result<MetricsRow, TrainingError> {
        Ok(self.measure(trained)?.row)
    }

    /// [`Self::test`] with what the row was averaged from.
    ///
    /// # Errors
    /// As [`Self::test`].
    pub fn measure(&self, trained: &Trained) -> Result<Measured, TrainingError> {
        self.measure_cases(trained, &self.test_cases())
    }

    /// The same of the validation cases: to choose between models without a look at the test.
    ///
    /// # Errors
    /// As [`Self::test`].
    pub fn measure_validation(&self, trained: &Trained) -> Result<Measured, TrainingError> {
        let cases = spaced(&self.split.validation, self.config.training.evaluation_cases);
        self.measure_cases(trained, &cases)
    }

    fn measure_cases(&self, trained: &Trained, cases: &[Case]) -> Result<Measured, TrainingError> {
        trained.model.measure(self, trained, cases)
    }

    /// Ranks the cases by a model that learns by steps.
    pub(crate) fn measure_learner<L: Learner>(
        &self,
        trained: &Trained,
        model: &L,
        cases: &[Case],
    ) -> Result<Measured, TrainingError> {
        let samples = self.samples_of::<L>(trained);
        let mut measured = self.evaluate(&self.config.model.name, &samples, model, cases)?;
        measured.row.intervals = measured.outcomes.intervals();
        Ok(measured)
    }

    /// What a finished model was trained on, to embed articles and customers.
    pub(crate) fn samples_of<'a, L: Learner>(&'a self, trained: &'a Trained) -> L::Samples<'a> {
        L::samples(&trained.encoder, self.dataset, self.histories, &trained.rows, self.config)
    }

    /// The test cases that judge the finished model.
    pub fn test_cases(&self) -> Vec<Case> {
        spaced(&self.split.test, self.config.training.evaluation_cases)
    }

    fn evaluate<L: Learner>(
        &self,
        name: &str,
        samples: &L::Samples<'_>,
        model: &L,
        cases: &[Case],
    ) -> Result<Measured, TrainingError> {
        let items = model.item_vectors(samples);
        let queries = |cases: &[Case], out: &mut [f32]| {
            out.copy_from_slice(&model.query_vectors(samples, cases.iter().map(Moment::from)));
            Ok::<(), String>(())
        };
        let ranker = VectorRanker::new(name, queries, model.dim(), &items);
        let evaluation = self.evaluation(cases);
        let mut measured = evaluation.outcomes(&ranker)?;
        let metrics = &mut measured.row.metrics;
        if let Some(tests) = self.config.pair_tests(evaluation) {
            metrics.extend(tests.metrics(&ranker)?);
        }
        metrics.extend(model.own_metric(samples, self.config.training.evaluation_cases));
        Ok(measured)
    }

    /// Ranks cases by the protocol of the run.
    pub(crate) fn evaluation<'c>(&'c self, cases: &'c [Case]) -> Evaluation<'c> {
        let (dataset, histories, protocol) = (self.dataset, self.histories, self.split.protocol);
        Evaluation { dataset, histories, protocol, cases }
    }

    fn stage_name(&self, state: &State) -> &'static str {
        match (self.final_epochs, state.refit) {
            (Some(_), _) => "final",
            (None, Some(_)) => "refit",
            (None, None) => "search",
        }
    }

    fn metric(&self, row: &MetricsRow) -> f64 {
        row.metrics.get(&self.config.training.metric).copied().unwrap_or(0.0)
    }

    fn improved(&self, row: &MetricsRow, state: &mut State) -> bool {
        let metric = self.metric(row);
        let improved = state.best.is_none_or(|best| metric > best.metric);
        if improved {
            state.best = Some(Best { epoch: state.epoch, metric });
        }
        improved
    }

    fn report(&self, state: &State, loss: f64, row: Option<&MetricsRow>, took: Duration) {
        let Some(row) = row else { return };
        let (metric, name) = (self.metric(row), &self.config.training.metric);
        let best = state.best.map_or(0, |best| best.epoch);
        let (epoch, seconds) = (state.epoch, took.as_secs_f64());
        tracing::info!(
            "  epoch {epoch}: loss {loss:.4}, validation {name} {metric:.4} (best: epoch {best}), {seconds:.1} s"
        );
    }

    /// Whether the best epoch counts; without patience the last one does, as in a run that was
    /// told exactly how long to train.
    fn keeps_best(&self, stage: &Stage) -> bool {
        !stage.cases.is_empty() && self.config.training.patience > 0
    }

    /// Goes back to the best epoch, which must be the one that this run's state names.
    fn read_best<L: Learner>(
        &self,
        best: Best,
        state: &State,
        (model, average): (&mut L, &mut Average),
    ) -> Result<(), TrainingError> {
        let found = checkpoint::read(&self.best(), model, average)?;
        let own =
            found.data == state.data && found.best.is_some_and(|found| found.epoch == best.epoch);
        if own && found.epoch == best.epoch {
            return Ok(());
        }
        let (path, last) = (self.best(), self.last());
        Err(checkpoint::CheckpointError::NotTheBest {
            path,
            last,
            found: found.epoch,
            wanted: best.epoch,
        }
        .into())
    }

    /// Makes the last checkpoint the best one too, without copying where the file system can link.
    fn keep_best(&self) -> Result<(), TrainingError> {
        let (last, best, next) = (self.last(), self.best(), self.directory.join("best.partial"));
        let keep = || -> std::io::Result<()> {
            let _ = std::fs::remove_file(&next);
            std::fs::hard_link(&last, &next)
                .or_else(|_| std::fs::copy(&last, &next).map(|_| ()))?;
            std::fs::rename(&next, &best)
        };
        keep().map_err(|source| TrainingError::Io { path: best.clone(), source })
    }

    /// Removes the checkpoints of a run that is safely in a bundle; the metrics file stays.
    pub fn remove_checkpoints(directory: &Path) {
        for name in ["last.ckpt", "best.ckpt"] {
            // They only cost disk space, so a failure to remove them is no failure of the run.
            let _ = std::fs::remove_file(directory.join(name));
        }
    }
}

impl Trained {
    /// Writes `query_tower.onnx` and `item_tower.onnx`, both over the concatenated features, and
    /// `<feature>_encoder.onnx` for each table of the towers; the paths written. The folder appears
    /// whole or not at all.
    ///
    /// # Errors
    /// When the model has no two towers, and when the folder is there already or can't be written.
    pub fn write_split_encoders(&self, directory: &Path) -> Result<Vec<PathBuf>, TrainingError> {
        self.model.write_split_encoders(self, directory)
    }
}

/// At most `most` of the items, evenly spaced.
pub(crate) fn spaced<T: Clone>(items: &[T], most: usize) -> Vec<T> {
    let count = most.min(items.len());
    (0..count).map(|i| items[i * items.len() / count].clone()).collect()
}
