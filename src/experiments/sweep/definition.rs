//! The file that defines a sweep.

use super::{super::ExperimentError, Parameter};
use crate::training::TrainingConfig;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// How values are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sampler {
    Random,
    /// At random for `startup` trials, then where good trials are denser than bad ones.
    Tpe,
}

/// A sweep, checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// The validation metric to raise.
    pub metric: String,
    /// How many configurations are tried.
    pub trials: usize,
    pub sampler: Sampler,
    pub seed: u64,
    /// Trials at a time.
    pub parallel: usize,
    /// Trials drawn at random before the estimator is asked.
    pub startup: usize,
    /// Stop trials that are below the median of the earlier ones.
    pub prune: bool,
    /// Finished trials there must be before one is pruned.
    pub warmup_trials: usize,
    /// Epochs a trial has at least.
    pub warmup_epochs: usize,
    pub space: BTreeMap<String, Parameter>,
}

/// A sweep file and the base configuration it names.
#[derive(Debug, Clone)]
pub struct SweepFile {
    /// The file's name without its ending.
    pub name: String,
    pub definition: Definition,
    pub base_path: PathBuf,
    /// The text of the base configuration.
    pub base: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    sweep: RawSweep,
    space: BTreeMap<String, Parameter>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSweep {
    /// Beside the sweep file.
    base: PathBuf,
    metric: Option<String>,
    trials: usize,
    #[serde(default = "tpe")]
    sampler: Sampler,
    #[serde(default = "one")]
    seed: u64,
    #[serde(default = "one_usize")]
    parallel: usize,
    #[serde(default = "ten")]
    startup: usize,
    #[serde(default = "yes")]
    prune: bool,
    #[serde(default = "five")]
    warmup_trials: usize,
    #[serde(default = "one_usize")]
    warmup_epochs: usize,
}

fn tpe() -> Sampler {
    Sampler::Tpe
}
fn yes() -> bool {
    true
}
fn one() -> u64 {
    1
}
fn one_usize() -> usize {
    1
}
fn five() -> usize {
    5
}
fn ten() -> usize {
    10
}

/// What a trial sets by itself, or what would change the question that trials are judged by.
const RESERVED: [&str; 4] =
    ["training.metric", "training.refit", "training.evaluation_cases", "split"];

impl SweepFile {
    /// Reads a sweep file and its base configuration, and checks both.
    ///
    /// # Errors
    /// What is wrong, with file and key.
    pub fn load(path: &Path) -> Result<Self, ExperimentError> {
        let fail = |problem: String| {
            ExperimentError::Input(format!("sweep {}: {problem}", path.display()))
        };
        let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
        let Raw { sweep, space } =
            toml::from_str(&text).map_err(|error| fail(error.to_string()))?;
        let base_path = path.parent().unwrap_or(Path::new("")).join(&sweep.base);
        let config = TrainingConfig::load(&base_path, &[])?;
        let base = std::fs::read_to_string(&base_path).map_err(|error| fail(error.to_string()))?;
        for (name, value) in [("trials", sweep.trials), ("parallel", sweep.parallel)] {
            if !(1..=100_000).contains(&value) {
                return Err(fail(format!("`{name}` must be 1 to 100000")));
            }
        }
        if space.is_empty() {
            return Err(fail("[space] names no key to search over".to_owned()));
        }
        let mut keys: Vec<&String> =
            space.iter().flat_map(|(key, p)| [key].into_iter().chain(&p.also)).collect();
        for (key, parameter) in &space {
            parameter.check().map_err(|problem| fail(format!("[space] `{key}` {problem}")))?;
        }
        if let Some(key) = keys.iter().find(|key| {
            RESERVED.iter().any(|reserved| {
                key.strip_prefix(reserved).is_some_and(|r| r.is_empty() || r.starts_with('.'))
            })
        }) {
            return Err(fail(format!(
                "[space] `{key}` decides how trials are judged and cannot be searched over"
            )));
        }
        keys.sort();
        if let Some(pair) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(fail(format!("[space] `{}` stands there twice", pair[0])));
        }
        let name = path
            .file_stem()
            .map_or_else(|| "sweep".to_owned(), |name| name.to_string_lossy().into_owned());
        let definition = Definition {
            metric: sweep.metric.unwrap_or(config.training.metric),
            trials: sweep.trials,
            sampler: sweep.sampler,
            seed: sweep.seed,
            parallel: sweep.parallel,
            startup: sweep.startup,
            prune: sweep.prune,
            warmup_trials: sweep.warmup_trials,
            warmup_epochs: sweep.warmup_epochs,
            space,
        };
        Ok(Self { name, definition, base_path, base })
    }

    /// The name of its run.
    pub(super) fn run_name(&self) -> String {
        let plain =
            |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
        let name: String = self.name.chars().map(plain).collect();
        if name.starts_with("sweep") { name } else { format!("sweep-{name}") }
    }
}
