//! Several systems and the baselines on one split: one table.

use super::{
    Data, Ended, ExperimentError, Job, Kind, Member, NewRun, Outcome, Recorder, Runs, Status, Table,
    latency::milliseconds_a_request, number,
};
use crate::{
    bundle::{Bundle, MetricsRow, RowKind},
    dataset::{Protocol, Split},
    training::TrainingConfig,
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::Instant,
};

/// Metrics of the table, as far as the rows have them.
const SHOWN: [&str; 6] = ["hr@10", "ndcg@10", "recall@12", "map@12", "hr@100", "coverage@12"];

/// Where a comparison trains.
pub struct Comparison<'a> {
    pub data: &'a Data<'a>,
    pub runs: &'a Runs,
    /// Folder of bundles.
    pub models: &'a Path,
    pub stop: &'a (dyn Fn() -> bool + Sync),
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
    pub split: Protocol,
    /// Test cases, and articles ranked for each.
    pub users: usize,
    pub items: usize,
    pub rows: Vec<Row>,
}

/// A system or a baseline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    pub name: String,
    pub kind: RowKind,
    /// On the test cases.
    pub metrics: BTreeMap<String, f64>,
    /// Of training with its validation, test and export.
    pub seconds: Option<f64>,
    /// Of all files of the bundle.
    pub bytes: Option<u64>,
    /// [`milliseconds_a_request`].
    pub milliseconds: Option<f64>,
    /// Why there is no result.
    pub error: Option<String>,
}

impl Comparison<'_> {
    /// Trains the systems one after the other. All are held to the split and the test cases of the first one whose
    /// configuration can be used. What fails is told in its row; `None` when stopped from outside.
    ///
    /// # Errors
    /// When no configuration can be used, the data cannot be split, or a run cannot be recorded.
    pub fn run(&self, systems: Vec<System>, baselines: &[&str]) -> Result<Option<Comparisons>, ExperimentError> {
        let Some(first) = systems.iter().find_map(|system| system.config.as_ref().ok()).cloned() else {
            let failed = systems.into_iter().next().and_then(|system| system.config.err());
            return Err(failed.unwrap_or_else(|| ExperimentError::Input("no configuration is named".to_owned())));
        };
        let started = Instant::now();
        let split = Split::new(self.data.dataset, &self.data.histories, first.split)?;
        let whole = self.runs.begin(NewRun {
            kind: Kind::Comparison,
            name: "compare",
            config: None,
            ..NewRun::training(&first, self.data)
        })?;
        let baselines = self.data.baselines(&first, baselines)?;
        let mut rows = Vec::new();
        for (number, System { name, config }) in systems.into_iter().enumerate() {
            let config = config.map(|config| held_to(&first, config, &name));
            let result = match config {
                Ok(config) => {
                    let member = Member { of: whole.record.id.clone(), number };
                    let new = NewRun { member: Some(member), ..NewRun::training(&config, self.data) };
                    self.system(&name, &config, self.runs.begin(new)?, &baselines, &split)
                }
                Err(error) => Err(error),
            };
            match result {
                Ok(Some(row)) => rows.push(row),
                Ok(None) => {
                    whole.finish(Outcome::new(Status::Interrupted))?;
                    return Ok(None);
                }
                Err(error) => {
                    eprintln!("{name} failed: {error}");
                    rows.push(Row { error: Some(error.to_string()), ..Row::of(&name, RowKind::Bundle) });
                }
            }
        }
        rows.extend(
            baselines.into_iter().map(|MetricsRow { name, kind, metrics }| Row { metrics, ..Row::of(&name, kind) }),
        );
        let table = Comparisons {
            run: whole.record.id.clone(),
            data: self.data.source.clone(),
            fingerprint: self.data.fingerprint.clone(),
            split: first.split,
            users: first.training.evaluation_cases.min(split.test.len()),
            items: self.data.dataset.articles.len(),
            rows,
        };
        whole.write("table.txt", &table.text())?;
        whole.write("table.md", &table.markdown())?;
        whole.write("table.json", &table.json())?;
        let seconds = started.elapsed().as_secs_f64();
        whole.finish(Outcome { seconds, ..Outcome::new(Status::Finished) })?;
        Ok(Some(table))
    }

    /// A row, or `None` when stopped from outside.
    fn system(
        &self,
        name: &str,
        config: &TrainingConfig,
        run: Recorder,
        baselines: &[MetricsRow],
        split: &Split,
    ) -> Result<Option<Row>, ExperimentError> {
        eprintln!("\n{name}");
        let started = Instant::now();
        let (data, stop, baselines) = (self.data, self.stop, Some(baselines));
        let job = Job { data, config, stop, baselines, split_encoders: false };
        // Nothing of the job is used after a panic but its folder, which then has no outcome.
        let ended = catch_unwind(AssertUnwindSafe(|| job.train(run, self.models, false)));
        let ended = ended.unwrap_or(Err(ExperimentError::Panic))?;
        let Ended::Bundle(path) = ended else { return Ok(None) };
        let seconds = started.elapsed().as_secs_f64();
        let bundle = Bundle::open(&path)?;
        let manifest = bundle.manifest();
        let milliseconds = milliseconds_a_request(&bundle, self.data, &split.test)
            .map_err(|error| ExperimentError::Input(format!("the bundle {}: {error}", path.display())))?;
        Ok(Some(Row {
            metrics: manifest.metrics.first().map(|row| row.metrics.clone()).unwrap_or_default(),
            seconds: Some(seconds),
            bytes: Some(manifest.files.values().map(|file| file.bytes).sum()),
            milliseconds: Some(milliseconds),
            ..Row::of(name, RowKind::Bundle)
        }))
    }
}

/// The configuration with the split and the number of cases of the first, so that all answer the same questions.
fn held_to(first: &TrainingConfig, mut config: TrainingConfig, name: &str) -> TrainingConfig {
    if config.split != first.split {
        eprintln!("{name}: its split {:?} gives way to that of the first system, {:?}", config.split, first.split);
        config.split = first.split;
    }
    config.training.evaluation_cases = first.training.evaluation_cases;
    config
}

impl Row {
    fn of(name: &str, kind: RowKind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            metrics: BTreeMap::new(),
            seconds: None,
            bytes: None,
            milliseconds: None,
            error: None,
        }
    }
}

impl Comparisons {
    /// How many systems failed.
    pub fn failed(&self) -> usize {
        self.rows.iter().filter(|row| row.error.is_some()).count()
    }

    fn heading(&self) -> String {
        let split = match self.split {
            Protocol::Temporal { test_days, .. } => format!("the last {test_days} days"),
            Protocol::LeaveOneOut => "each customer's last purchase".to_owned(),
        };
        format!("{}: {} customers, {} articles, tested on {split}", self.data, self.users, self.items)
    }

    fn table(&self) -> Table {
        let shown: Vec<&str> =
            SHOWN.into_iter().filter(|name| self.rows.iter().any(|row| row.metrics.contains_key(*name))).collect();
        let head = ["system"].into_iter().chain(shown.iter().copied());
        let mut table = Table::new(head.chain(["train s", "bundle MB", "ms a request"]));
        for row in &self.rows {
            let cell = |value: Option<f64>, decimals: usize| {
                value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
            };
            let name = if row.error.is_some() { format!("{} (failed)", row.name) } else { row.name.clone() };
            let metrics = shown.iter().map(|name| number(row.metrics.get(*name).copied()));
            table.row([name].into_iter().chain(metrics).chain([
                cell(row.seconds, 1),
                cell(row.bytes.map(|bytes| bytes as f64 / 1e6), 1),
                cell(row.milliseconds, 3),
            ]));
        }
        table
    }

    fn errors(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rows.iter().filter_map(|row| Some((row.name.as_str(), row.error.as_deref()?)))
    }

    pub fn text(&self) -> String {
        let errors: String = self.errors().map(|(name, error)| format!("{name} failed: {error}\n")).collect();
        format!("{}\n\n{}{errors}", self.heading(), self.table().text())
    }

    pub fn markdown(&self) -> String {
        let errors: String = self.errors().map(|(name, error)| format!("\n`{name}` failed: {error}\n")).collect();
        format!("{}\n\n{}{errors}", self.heading(), self.table().markdown())
    }

    /// One object.
    pub fn json(&self) -> String {
        // Texts and finite numbers: nothing of it cannot be JSON.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}
