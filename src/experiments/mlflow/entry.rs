//! A run in MLflow's terms: tags, parameters, points of metrics, files.

use super::MlflowError;
use crate::{
    bundle::RowKind,
    domain::Timestamp,
    experiments::{Curves, Epoch, ExperimentError, Run, Status, report},
};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// The tag that holds our id: a run is looked up by it.
pub(super) const ID: &str = "vitrine.run";
/// The tag that is set last, to [`Entry::digest`].
pub(super) const EXPORTED: &str = "vitrine.exported";
/// MLflow's tag of the run that this one is part of, by MLflow's id.
const PARENT: &str = "mlflow.parentRunId";

/// Files of a run that are exported: all but checkpoints.
const ENDINGS: [&str; 6] = ["json", "jsonl", "md", "svg", "toml", "txt"];
/// Characters that MLflow takes.
const LONGEST_NAME: usize = 250;
const LONGEST_PARAMETER: usize = 6_000;
const LONGEST_TAG: usize = 5_000;

/// What MLflow is told of a run.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    /// Milliseconds since 1970.
    pub(super) start: i64,
    pub(super) end: Option<i64>,
    pub(super) status: &'static str,
    pub(super) tags: Vec<Pair>,
    pub(super) parameters: Vec<Pair>,
    pub(super) points: Vec<Point>,
    pub(super) files: Vec<PathBuf>,
    /// Of all that the entry was made from: one that differs must be sent again.
    pub(super) digest: String,
}

/// A tag or parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) value: String,
}

/// A metric at a step. Servers keep equal points once, so a point is always given the same time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Point {
    key: String,
    value: f64,
    step: i64,
    /// Milliseconds since 1970.
    timestamp: i64,
}

impl Entry {
    /// `parent` is MLflow's id of the sweep or comparison.
    pub(super) fn of(run: &Run, parent: Option<&str>) -> Result<Self, MlflowError> {
        // Before anything else is read: files that grow meanwhile must not count as sent.
        let files = files(run)?;
        let digest = digest(run, parent, &files)?;
        let start = milliseconds(run, &run.record.started)?;
        let outcome = run.outcome.as_ref();
        let end = outcome.map(|outcome| milliseconds(run, &outcome.ended)).transpose()?;
        let parameters = run.config()?.map(|config| report::flat(&config)).unwrap_or_default();
        Ok(Self {
            name: run.record.id.clone(),
            start,
            end,
            status: match run.status {
                Status::Running => "RUNNING",
                Status::Finished => "FINISHED",
                Status::Failed => "FAILED",
                Status::Unfinished | Status::Pruned | Status::Interrupted => "KILLED",
            },
            tags: tags(run, parent),
            parameters: parameters.iter().map(|(key, value)| parameter(key, value)).collect(),
            points: points(run, start, end),
            files,
            digest,
        })
    }
}

/// Names may have letters, digits, `_`, `-`, `.`, `/` and blanks. MLflow's own `@` is `_at_`, as in
/// `ndcg_at_10`.
fn name(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_-./ ".contains(c) { c } else { '_' };
    text.replace('@', "_at_").chars().map(plain).take(LONGEST_NAME).collect()
}

/// A text of at most so many characters, with `…` where it was cut.
fn cut(text: String, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some(_) => text.chars().take(longest - 1).chain(['…']).collect(),
        None => text,
    }
}

fn parameter(key: &str, value: &Value) -> Pair {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Pair { key: name(key), value: cut(text, LONGEST_PARAMETER) }
}

fn tags(run: &Run, parent: Option<&str>) -> Vec<Pair> {
    let record = &run.record;
    let environment = &record.environment;
    let revision = environment.revision.as_ref();
    let outcome = run.outcome.as_ref();
    let tags = [
        (PARENT, parent.map(str::to_owned)),
        ("mlflow.source.name", Some("vitrine-trainer".to_owned())),
        ("mlflow.source.type", Some("LOCAL".to_owned())),
        ("mlflow.source.git.commit", revision.map(|revision| revision.commit.clone())),
        ("vitrine.dirty", revision.map(|revision| revision.dirty.to_string())),
        (ID, Some(record.id.clone())),
        ("vitrine.kind", Some(record.kind.name().to_owned())),
        ("vitrine.model", Some(record.name.clone())),
        ("vitrine.status", Some(run.status.name().to_owned())),
        ("vitrine.part_of", record.member.as_ref().map(|member| member.of.clone())),
        ("vitrine.number", record.member.as_ref().map(|member| member.number.to_string())),
        ("vitrine.data", Some(record.data.clone())),
        ("vitrine.fingerprint", Some(record.fingerprint.clone())),
        ("vitrine.program", Some(environment.program.clone())),
        ("vitrine.command", Some(environment.command.join(" "))),
        ("vitrine.system", Some(environment.system.clone())),
        ("vitrine.cores", Some(environment.cores.to_string())),
        (
            "vitrine.bundle",
            outcome.and_then(|outcome| Some(outcome.bundle.as_ref()?.display().to_string())),
        ),
        ("vitrine.reason", outcome.and_then(|outcome| outcome.reason.clone())),
    ];
    let pair = |(key, value): (&str, Option<String>)| {
        let value = cut(value.filter(|value| !value.is_empty())?, LONGEST_TAG);
        Some(Pair { key: key.to_owned(), value })
    };
    tags.into_iter().filter_map(pair).collect()
}

/// A point is dated by the start of the run and the seconds of the epochs that had ended before it.
fn points(run: &Run, start: i64, end: Option<i64>) -> Vec<Point> {
    let curves = run.curves();
    let mut points = Points { start, elapsed: 0.0, points: Vec::new() };
    points.stage(&curves, false);
    points.stage(&curves, true);
    if let (Some(outcome), Some(end)) = (&run.outcome, end) {
        let last = curves.epochs.last().map_or(0, |epoch| epoch.step);
        points.elapsed = (end - start) as f64 / 1e3;
        if let (Some(metric), Some(validation)) = (&outcome.metric, outcome.validation) {
            points.add(&format!("best/{metric}"), validation, last);
        }
        points.add("seconds", outcome.seconds, last);
        for row in outcome.test.iter().filter(|row| row.kind == RowKind::Bundle) {
            for (metric, value) in &row.metrics {
                points.add(&format!("test/{metric}"), *value, last);
            }
        }
    }
    points.points
}

struct Points {
    start: i64,
    /// Seconds since the start.
    elapsed: f64,
    points: Vec<Point>,
}

impl Points {
    fn add(&mut self, key: &str, value: f64, step: u32) {
        let timestamp = self.start + (self.elapsed * 1e3) as i64;
        if value.is_finite() {
            self.points.push(Point { key: name(key), value, step: step.into(), timestamp });
        }
    }

    fn stage(&mut self, curves: &Curves, refit: bool) {
        let (prefix, steps) =
            if refit { ("refit", &curves.refit_steps) } else { ("train", &curves.steps) };
        let mut steps = steps.iter().peekable();
        let of_stage = |epoch: &&Epoch| (epoch.stage == "refit") == refit;
        for epoch in curves.epochs.iter().filter(of_stage) {
            while let Some((step, loss)) = steps.next_if(|(step, _)| *step <= epoch.step) {
                self.add(&format!("{prefix}/loss"), *loss, *step);
            }
            self.elapsed += epoch.seconds;
            self.add(&format!("{prefix}/epoch_loss"), epoch.loss, epoch.step);
            self.add(&format!("{prefix}/epoch_seconds"), epoch.seconds, epoch.step);
            for (metric, value) in &epoch.metrics {
                self.add(&format!("validation/{metric}"), *value, epoch.step);
            }
        }
        for (step, loss) in steps {
            self.add(&format!("{prefix}/loss"), *loss, *step);
        }
    }
}

fn milliseconds(run: &Run, moment: &str) -> Result<i64, MlflowError> {
    let wrong = |error: crate::domain::InvalidTime| ExperimentError::Broken {
        path: run.directory.clone(),
        reason: error.to_string(),
    };
    Ok(i64::from(Timestamp::parse(moment).map_err(wrong)?.0) * 1_000)
}

/// By name.
fn files(run: &Run) -> Result<Vec<PathBuf>, ExperimentError> {
    let entries = std::fs::read_dir(&run.directory).map_err(ExperimentError::io(&run.directory))?;
    let exported = |path: &PathBuf| {
        let ending = path.extension().and_then(|ending| ending.to_str());
        ending.is_some_and(|ending| ENDINGS.contains(&ending)) && path.is_file()
    };
    let mut files: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(exported).collect();
    files.sort();
    Ok(files)
}

fn digest(run: &Run, parent: Option<&str>, files: &[PathBuf]) -> Result<String, ExperimentError> {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(run.status.name().as_bytes());
    part(parent.unwrap_or_default().as_bytes());
    for path in files {
        part(path.file_name().unwrap_or_default().as_encoded_bytes());
        part(&std::fs::read(path).map_err(ExperimentError::io(path))?);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_and_values_are_what_mlflow_takes() {
        assert_eq!(name("validation/ndcg@10"), "validation/ndcg_at_10");
        assert_eq!(name("features.query.0.größe:\"x\" (7)"), "features.query.0.gr__e__x_ _7_");
        assert_eq!(name(&"x".repeat(300)).len(), 250);
        assert_eq!(parameter("a", &json!("text")).value, "text");
        assert_eq!(parameter("a", &json!(1.5)).value, "1.5");
        let long = parameter("a", &json!("é".repeat(7_000))).value;
        assert!(long.chars().count() == 6_000 && long.ends_with("é…"));
    }

    #[test]
    fn points_keep_their_time_while_the_run_goes_on() {
        let text = r#"{"stage":"search","epoch":1,"step":100,"loss":9.0}
            {"stage":"search","epoch":1,"step":120,"loss":8.0,"seconds":1.5,"ndcg@10":0.1}
            {"stage":"search","epoch":2,"step":200,"loss":7.5}
            {"stage":"search","epoch":2,"step":240,"loss":6.5,"seconds":1.0,"ndcg@10":0.3}
            {"stage":"refit","epoch":1,"step":100,"loss":9.5}
            {"stage":"refit","epoch":1,"step":130,"loss":8.5,"seconds":2.0}"#;
        let lines: Vec<&str> = text.lines().collect();
        let directory = tempfile::tempdir().unwrap();
        let of_first = |count: usize| {
            let path = directory.path().join("metrics.jsonl");
            std::fs::write(&path, lines[..count].join("\n")).unwrap();
            let curves = Curves::read(&path);
            let mut points = Points { start: 1_000, elapsed: 0.0, points: Vec::new() };
            points.stage(&curves, false);
            points.stage(&curves, true);
            points.points
        };
        let all = of_first(lines.len());
        let found: Vec<_> =
            all.iter().map(|p| (p.key.as_str(), p.value, p.step, p.timestamp)).collect();
        assert_eq!(
            found,
            [
                ("train/loss", 9.0, 100, 1_000),
                ("train/epoch_loss", 8.0, 120, 2_500),
                ("train/epoch_seconds", 1.5, 120, 2_500),
                ("validation/ndcg_at_10", 0.1, 120, 2_500),
                ("train/loss", 7.5, 200, 2_500),
                ("train/epoch_loss", 6.5, 240, 3_500),
                ("train/epoch_seconds", 1.0, 240, 3_500),
                ("validation/ndcg_at_10", 0.3, 240, 3_500),
                ("refit/loss", 9.5, 100, 3_500),
                ("refit/epoch_loss", 8.5, 130, 5_500),
                ("refit/epoch_seconds", 2.0, 130, 5_500),
            ]
        );
        for count in 0..lines.len() {
            let some = of_first(count);
            assert_eq!(some, all[..some.len()], "after {count} lines");
        }
    }
}
