//! Several systems and the baselines on one split: one table.

use super::{
    Data, Ended, ExperimentError, Job, Kind, Member, NewRun, Outcome, Recorder, Runs, Status,
    Table,
    details::{self, Part},
    latency::milliseconds_a_request,
    placements::Placed,
};
use crate::{
    bundle::{Bundle, MeasuredState, MetricsRow, RowKind, Verdict},
    dataset::{Case, Protocol, Split},
    evaluation::{
        CALIBRATION_ERROR, Details, Evaluation, METRICS, Measured, PipelineTest, SegmentRow, Test,
        baselines::Known, notes, verdict,
    },
    recommend::{Model, Placement},
    training::{Refit, TrainingConfig},
};
use serde::Serialize;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
    time::Instant,
};

/// Metrics of the table, as far as the rows have them.
const SHOWN: [&str; 8] = [
    "hr@10",
    "ndcg@10",
    "recall@12",
    "ndcg@12",
    "map@12",
    "hr@100",
    "coverage@12",
    CALIBRATION_ERROR,
];

/// Where a comparison trains.
pub struct Comparison<'a> {
    pub data: &'a Data<'a>,
    pub runs: &'a Runs,
    /// Folder of bundles.
    pub models: &'a Path,
    pub stop: &'a (dyn Fn() -> bool + Sync),
    /// Train every system with each of these seeds, which also draw the order of ties, and show the
    /// means; when empty, once with the seeds of the configurations.
    pub seeds: &'a [u64],
    /// Placements to measure over the models, with their names; the first configuration's model is
    /// the default model.
    pub placements: &'a [(String, Placement)],
}

/// A system to compare: its name in the table, and its configuration or why that cannot be used.
pub struct System {
    pub name: String,
    pub config: Result<TrainingConfig, ExperimentError>,
}

/// The table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparisons {
    /// The comparison's run.
    pub run: String,
    pub data: String,
    pub fingerprint: String,
    /// What all rows were measured on.
    #[serde(flatten)]
    pub test: Test,
    /// What judges the systems.
    pub metric: String,
    pub rows: Vec<Row>,
}

/// A system, a placement or a baseline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// On the test cases, with intervals; the seconds are those of training with its validation,
    /// test and export, and of a baseline those of tuning, counting and ranking.
    #[serde(flatten)]
    pub measured: MetricsRow,
    /// Of all files of the bundle.
    pub bytes: Option<u64>,
    /// [`milliseconds_a_request`]; of a placement [`Details::milliseconds`].
    pub milliseconds: Option<f64>,
    /// Parts of the test.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<SegmentRow>,
    /// Of placements, and of models that rank what sources find.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Details>,
    /// Against the best baseline of the table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Why there is no result.
    pub error: Option<String>,
}

/// A trained system.
struct Trained {
    measured: Measured,
    seconds: f64,
    bytes: u64,
    milliseconds: f64,
    /// Until the placements are measured that ask it.
    bundle: Option<Arc<Bundle>>,
    details: Option<Details>,
}

/// One system of a comparison with what became of it, a seed an entry.
struct Progress {
    system: System,
    trained: Vec<Trained>,
}

impl Comparison<'_> {
    /// Trains the systems one after the other. All are held to the split and the test cases of the
    /// first one whose configuration can be used. What fails is told in its row; `None` when
    /// stopped from outside.
    ///
    /// # Errors
    /// When no configuration can be used, the data cannot be split, or a run cannot be recorded.
    pub fn run(
        &self,
        systems: Vec<System>,
        baselines: &[&str],
    ) -> Result<Option<Comparisons>, ExperimentError> {
        let Some(first) = systems.iter().find_map(|system| system.config.as_ref().ok()).cloned()
        else {
            let failed = systems.into_iter().next().and_then(|system| system.config.err());
            return Err(failed.unwrap_or_else(|| {
                ExperimentError::Input("no configuration is named".to_owned())
            }));
        };
        let mut placed = Placed::all(self.placements, &systems)?;
        let started = Instant::now();
        let whole = self.runs.begin(NewRun {
            kind: Kind::Comparison,
            name: "compare",
            config: None,
            ..NewRun::training(&first, self.data)
        })?;
        let held = |System { name, config }| {
            let config = config.map(|config| self.held_to(&first, config, &name));
            Progress { system: System { name, config }, trained: Vec::new() }
        };
        let mut systems: Vec<Progress> = systems.into_iter().map(held).collect();
        let seeds: Vec<Option<u64>> = if self.seeds.is_empty() {
            vec![None]
        } else {
            self.seeds.iter().copied().map(Some).collect()
        };
        let (mut tests, mut tables) = (Vec::new(), Vec::new());
        for (turn, &seed) in seeds.iter().enumerate() {
            let tied;
            let data = match seed {
                None => self.data,
                Some(seed) => {
                    tied = self.data.with_ties(seed);
                    &tied
                }
            };
            let split = Split::new(data.dataset, &data.histories, first.split)?;
            tests.push(test(&first, data, &split));
            let table = match data.baselines(&first, baselines, self.stop) {
                Err(error) if error.is_stop() => {
                    whole.finish(Outcome::new(Status::Interrupted))?;
                    return Ok(None);
                }
                table => table?,
            };
            tables.push(table);
            let turn = Turn {
                data,
                split: &split,
                baselines: &tables[turn],
                seed,
                number: turn * systems.len(),
            };
            if !self.train_all(&mut systems, &turn, &whole)? {
                whole.finish(Outcome::new(Status::Interrupted))?;
                return Ok(None);
            }
            turn.place(&first, &mut systems, &mut placed)?;
        }
        let table = Comparisons {
            run: whole.record.id.clone(),
            data: self.data.source.clone(),
            fingerprint: self.data.fingerprint.clone(),
            test: pooled_test(&tests),
            metric: judging_metric(&first).to_owned(),
            rows: rows(systems, placed, &tables, &first),
        };
        whole.write("table.txt", &table.text())?;
        whole.write("table.md", &table.markdown())?;
        whole.write("table.json", &table.json())?;
        let seconds = started.elapsed().as_secs_f64();
        whole.finish(Outcome { seconds, ..Outcome::new(Status::Finished) })?;
        Ok(Some(table))
    }

    /// Trains every system that has not failed yet with one seed; `false` when stopped from
    /// outside.
    fn train_all(
        &self,
        systems: &mut [Progress],
        turn: &Turn<'_>,
        whole: &Recorder,
    ) -> Result<bool, ExperimentError> {
        for (number, progress) in systems.iter_mut().enumerate() {
            let Ok(config) = &progress.system.config else { continue };
            let mut config = config.clone();
            config.training.seed = turn.seed.unwrap_or(config.training.seed);
            let member = Member { of: whole.record.id.clone(), number: turn.number + number };
            let new = NewRun { member: Some(member), ..NewRun::training(&config, turn.data) };
            match self.train(&progress.system.name, &config, self.runs.begin(new)?, turn) {
                Ok(Some(trained)) => progress.trained.push(trained),
                Ok(None) => return Ok(false),
                Err(error) => {
                    tracing::info!("{} failed: {error}", progress.system.name);
                    progress.system.config = Err(error);
                }
            }
        }
        Ok(true)
    }

    /// One system with one seed; `None` when stopped from outside.
    fn train(
        &self,
        name: &str,
        config: &TrainingConfig,
        run: Recorder,
        turn: &Turn<'_>,
    ) -> Result<Option<Trained>, ExperimentError> {
        tracing::info!(
            "\n{name}{}",
            turn.seed.map_or_else(String::new, |seed| format!(", seed {seed}"))
        );
        let started = Instant::now();
        let (stop, baselines) = (self.stop, Some(turn.baselines));
        let job = Job {
            data: turn.data,
            config,
            stop,
            baselines,
            split_encoders: false,
            gate: false,
            warm: None,
            judge: None,
        };
        // Nothing of the job is used after a panic but its folder, which then has no outcome.
        let ended =
            catch_unwind(AssertUnwindSafe(|| job.train_and_measure(run, self.models, false)));
        let ended = ended.unwrap_or(Err(ExperimentError::Panic))?;
        let (Ended::Bundle(path), Some(measured)) = ended else { return Ok(None) };
        let seconds = started.elapsed().as_secs_f64();
        let bundle = Bundle::open(&path)?;
        let milliseconds =
            milliseconds_a_request(&bundle, turn.data, &turn.split.test).map_err(|error| {
                ExperimentError::Input(format!("the bundle {}: {error}", path.display()))
            })?;
        let bytes = bundle.manifest().files.values().map(|file| file.bytes).sum();
        let bundle = Some(Arc::new(bundle));
        Ok(Some(Trained { measured, seconds, bytes, milliseconds, bundle, details: None }))
    }

    /// The configuration with the split and the number of cases of the first, so that all answer
    /// the same questions.
    fn held_to(
        &self,
        first: &TrainingConfig,
        config: TrainingConfig,
        name: &str,
    ) -> TrainingConfig {
        let mut config = held_to(first, config, name);
        if config.training.refit == Refit::All && !self.placements.is_empty() {
            tracing::info!(
                "{name}: `refit = \"all\"` gives way to \"validation\": placements ask the models as measured"
            );
            config.training.refit = Refit::Validation;
        }
        config
    }
}

/// What all systems share that are trained with one seed.
struct Turn<'a> {
    data: &'a Data<'a>,
    split: &'a Split,
    baselines: &'a [Measured],
    seed: Option<u64>,
    /// Of the first run of this seed.
    number: usize,
}

impl Turn<'_> {
    /// Measures the placements, and what the sources of rankers find, over the models of this seed.
    fn place(
        &self,
        first: &TrainingConfig,
        systems: &mut [Progress],
        placed: &mut [Placed<'_>],
    ) -> Result<(), ExperimentError> {
        let (dataset, histories) = (self.data.dataset, &self.data.histories);
        // What this seed trained; what failed with it or before has no bundle.
        let mut trained: Vec<&mut Trained> = systems
            .iter_mut()
            .filter_map(|s| s.trained.last_mut())
            .filter(|t| t.bundle.is_some())
            .collect();
        let bundles: Vec<Arc<Bundle>> =
            trained.iter_mut().filter_map(|trained| trained.bundle.take()).collect();
        let is_ranker = |bundle: &Bundle| bundle.ranker().is_some();
        if placed.is_empty() && !bundles.iter().any(|bundle| is_ranker(bundle)) {
            return Ok(());
        }
        let trainer = self.data.trainer(first, self.split, Path::new(""), &|| false, &|_| ());
        let cases: Vec<Case> = trainer.test_cases();
        let train = match trainer.measured_state() {
            MeasuredState::Training => self.split.train.clone(),
            MeasuredState::TrainingAndValidation => self.split.train_and_validation(),
        };
        let evaluation =
            Evaluation { dataset, histories, protocol: self.split.protocol, cases: &cases };
        let models: Vec<Arc<dyn Model>> =
            bundles.iter().map(|bundle| bundle.clone() as Arc<dyn Model>).collect();
        let test =
            PipelineTest::new(evaluation, Known { dataset, histories, train: &train }, &models)?;
        placed.iter_mut().for_each(|placed| placed.measure(&test));
        for (trained, bundle) in
            trained.into_iter().zip(&bundles).filter(|(_, bundle)| is_ranker(bundle))
        {
            let alone =
                Placement { ranker: Some(bundle.name().to_owned()), ..Placement::default() };
            let details = test.details(bundle.name(), &alone)?;
            details.add_to(&mut trained.measured.row);
            trained.details = Some(details);
        }
        Ok(())
    }
}

fn held_to(first: &TrainingConfig, mut config: TrainingConfig, name: &str) -> TrainingConfig {
    if config.split != first.split {
        tracing::info!(
            "{name}: its split {:?} gives way to that of the first system, {:?}",
            config.split,
            first.split
        );
        config.split = first.split;
    }
    let (refit, firsts) = (config.training.refit, first.training.refit);
    let leaves_one_out = matches!(first.split, Protocol::LeaveOneOut { .. });
    if leaves_one_out && (refit == Refit::None) != (firsts == Refit::None) {
        tracing::info!(
            "{name}: its refit {refit:?} gives way to that of the first system, {firsts:?}: a model that learnt from the \
             validation purchases cannot stand beside one that did not"
        );
        config.training.refit = firsts;
    }
    config.training.evaluation_cases = first.training.evaluation_cases;
    config
}

/// What a seed's rows are measured on.
fn test(first: &TrainingConfig, data: &Data<'_>, split: &Split) -> Test {
    let trained_on = data.trainer(first, split, Path::new(""), &|| false, &|_| ()).measured_state();
    Test {
        protocol: split.protocol.name(trained_on == MeasuredState::TrainingAndValidation),
        users: first.training.evaluation_cases.min(split.test.len()),
        items: data.dataset.articles.len(),
        split: split.protocol,
        trained_on,
        dropped: split.dropped.test,
        tie_seeds: vec![data.tie_seed],
        seen: None,
    }
}

/// Means over seeds.
fn pooled_test(tests: &[Test]) -> Test {
    let mean = |of: fn(&Test) -> usize| tests.iter().map(of).sum::<usize>() / tests.len();
    Test {
        users: mean(|test| test.users),
        dropped: mean(|test| test.dropped),
        tie_seeds: tests.iter().flat_map(|test| test.tie_seeds.clone()).collect(),
        ..tests[0].clone()
    }
}

/// What judges the systems, if it is a metric of rankings.
fn judging_metric(first: &TrainingConfig) -> &str {
    let metric = first.training.metric.as_str();
    if METRICS.iter().any(|known| known.name() == metric) { metric } else { "ndcg@10" }
}

/// The systems in their order, the placements in theirs, then the baselines.
fn rows(
    systems: Vec<Progress>,
    placed: Vec<Placed<'_>>,
    tables: &[Vec<Measured>],
    first: &TrainingConfig,
) -> Vec<Row> {
    let of_baseline = |at: usize| tables.iter().map(|table| table[at].clone()).collect::<Vec<_>>();
    let baselines: Vec<Measured> =
        (0..tables[0].len()).filter_map(|at| Measured::pooled(&of_baseline(at))).collect();
    let metric = &first.training.metric;
    let mut rows: Vec<Row> =
        systems.into_iter().map(|progress| progress.row(&baselines, metric)).collect();
    rows.extend(placed.into_iter().map(|placed| placed.row(&baselines, metric)));
    rows.extend(baselines.into_iter().map(Row::of));
    rows
}

impl Progress {
    fn row(self, baselines: &[Measured], metric: &str) -> Row {
        let Self { system: System { name, config }, trained } = self;
        let failed = |error: String| Row::failed(&name, RowKind::Bundle, error);
        if let Err(error) = config {
            return failed(error.to_string());
        }
        let runs: Vec<Measured> = trained.iter().map(|trained| trained.measured.clone()).collect();
        let Some(mut measured) = Measured::pooled(&runs) else {
            return failed("it was not trained".to_owned());
        };
        let mean =
            |of: fn(&Trained) -> f64| trained.iter().map(of).sum::<f64>() / trained.len() as f64;
        measured.row.name.clone_from(&name);
        measured.row.seconds = Some(mean(|trained| trained.seconds));
        let details: Vec<Details> =
            trained.iter().filter_map(|trained| trained.details.clone()).collect();
        Row {
            verdict: verdict(&measured, baselines, metric),
            bytes: trained.last().map(|trained| trained.bytes),
            milliseconds: Some(mean(|trained| trained.milliseconds)),
            details: Details::pooled(&details),
            ..Row::of(measured)
        }
    }
}

impl Placed<'_> {
    fn row(self, baselines: &[Measured], metric: &str) -> Row {
        if let Some(error) = self.error {
            return Row::failed(self.name, RowKind::Pipeline, error);
        }
        let (Some(measured), details) =
            (Measured::pooled(&self.measured), Details::pooled(&self.details))
        else {
            return Row::failed(self.name, RowKind::Pipeline, "it was not measured".to_owned());
        };
        Row {
            verdict: verdict(&measured, baselines, metric),
            milliseconds: details.as_ref().map(|details| details.milliseconds),
            details,
            ..Row::of(measured)
        }
    }
}

impl Row {
    fn of(measured: Measured) -> Self {
        let segments = measured.by_segment();
        let measured = measured.row;
        Self {
            measured,
            bytes: None,
            milliseconds: None,
            segments,
            details: None,
            verdict: None,
            error: None,
        }
    }

    fn failed(name: &str, kind: RowKind, error: String) -> Self {
        let measured = MetricsRow::new(name, kind, Default::default());
        let (bytes, milliseconds, details, verdict) = (None, None, None, None);
        Self {
            measured,
            bytes,
            milliseconds,
            segments: Vec::new(),
            details,
            verdict,
            error: Some(error),
        }
    }
}

impl Comparisons {
    /// How many systems failed.
    pub fn failed(&self) -> usize {
        self.rows.iter().filter(|row| row.error.is_some()).count()
    }

    fn heading(&self) -> String {
        format!("{}, {}", self.data, self.test.heading())
    }

    fn table(&self) -> Table {
        let has =
            |name: &&str| self.rows.iter().any(|row| row.measured.metrics.contains_key(*name));
        let shown: Vec<&str> = SHOWN.into_iter().filter(has).collect();
        let head = ["system"].into_iter().chain(shown.iter().copied());
        let mut table = Table::new(head.chain(["s", "bundle MB", "ms a request"]));
        for row in &self.rows {
            let cell = |value: Option<f64>, decimals: usize| {
                value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
            };
            let name = &row.measured.name;
            let name = if row.error.is_some() { format!("{name} (failed)") } else { name.clone() };
            let metrics =
                shown.iter().map(|name| row.measured.shown(name).unwrap_or_else(|| "-".to_owned()));
            table.row([name].into_iter().chain(metrics).chain([
                cell(row.measured.seconds, 1),
                cell(row.bytes.map(|bytes| bytes as f64 / 1e6), 1),
                cell(row.milliseconds, 3),
            ]));
        }
        table
    }

    /// What was chosen for the baselines, what each system is worth, and what failed; a line each.
    fn remarks(&self) -> Vec<String> {
        let baselines: Vec<MetricsRow> = self.rows.iter().map(|row| row.measured.clone()).collect();
        let settings = notes(
            &baselines.into_iter().filter(|row| !row.settings.is_empty()).collect::<Vec<_>>(),
        );
        let verdict = |row: &Row| Some(format!("{}: {}", row.measured.name, row.verdict.as_ref()?));
        let error =
            |row: &Row| Some(format!("{} failed: {}", row.measured.name, row.error.as_ref()?));
        let verdicts = self.rows.iter().filter_map(verdict);
        settings.into_iter().chain(verdicts).chain(self.rows.iter().filter_map(error)).collect()
    }

    /// What stands behind the rows.
    fn parts(&self) -> Vec<Part> {
        let rows: Vec<(&str, &[SegmentRow])> = self
            .rows
            .iter()
            .map(|row| (row.measured.name.as_str(), row.segments.as_slice()))
            .collect();
        let sources = self.rows.iter().filter_map(|row| row.details.as_ref()).map(details::sources);
        details::by_segment(&self.metric, &rows).into_iter().chain(sources).collect()
    }

    pub fn text(&self) -> String {
        let remarks: String = self.remarks().iter().map(|remark| format!("{remark}\n")).collect();
        let parts: String = self.parts().iter().map(|part| format!("\n{}", part.text())).collect();
        format!("{}\n\n{}\n{remarks}{parts}", self.heading(), self.table().text())
    }

    pub fn markdown(&self) -> String {
        let remarks: String = self.remarks().iter().map(|remark| format!("\n{remark}\n")).collect();
        let parts: String =
            self.parts().iter().map(|part| format!("\n{}", part.markdown())).collect();
        format!("{}\n\n{}{remarks}{parts}", self.heading(), self.table().markdown())
    }

    /// One object.
    pub fn json(&self) -> String {
        // Texts and finite numbers: nothing of it cannot be JSON.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}
