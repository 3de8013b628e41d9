//! The file that says how a shop retrains: `nightly.toml`.

use crate::{
    store::ReadOptions,
    training::{ConfigError, TrainingConfig},
};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Everything a retraining is told. Paths are relative to the working directory, but for the
/// training configuration, which lies beside the file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrainConfig {
    /// URL of the database; without it the environment's `VITRINE__DATABASE__URL`.
    #[serde(default)]
    pub database: Option<String>,
    /// Which events count, as in the description of a database.
    #[serde(default)]
    pub purchases: ReadOptions,
    pub training: TrainingSection,
    #[serde(default)]
    pub gate: GateRules,
    #[serde(default)]
    pub publish: Publish,
    #[serde(default)]
    pub watch: Watch,
}

/// `[training]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingSection {
    /// The training configuration, such as `retrieval.toml`.
    pub config: PathBuf,
    /// Overrides of its keys, such as `training.epochs=3`.
    #[serde(default)]
    pub set: Vec<String>,
    /// Start from the active bundle and pass over the purchases so many times; 0 always starts
    /// afresh.
    #[serde(default)]
    pub warm_epochs: u32,
    /// Learn from whole days alone, in UTC: the day that has begun is left for the next night,
    /// whose gate then judges by all of it.
    #[serde(default = "yes")]
    pub whole_days: bool,
}

/// `[gate]`: what a candidate must be like.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GateRules {
    /// The metric that judges; without it the one of the training configuration.
    pub metric: Option<String>,
    /// Judge by the days since the active bundle was trained, at most so many.
    pub most_days: u32,
    /// Customers who bought in those days, at least; with fewer the shop waits for another night.
    pub least_cases: usize,
    /// The share of the active bundle's coverage that a candidate must reach.
    pub least_coverage: f64,
    /// Baselines that a candidate must not be below.
    pub baselines: Vec<String>,
    /// Whether a candidate must be better than the best baseline beyond noise, not only no worse.
    pub above_baselines: bool,
}

/// `[publish]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Publish {
    /// The folder of bundles that the servers read.
    pub models: PathBuf,
    /// The folder of runs.
    pub runs: PathBuf,
    /// How many bundles of the model stay, beside the active one and the one that a rollback would
    /// return to.
    pub keep: usize,
}

/// `[watch]`: when an activation is taken back.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Watch {
    pub servers: Vec<Server>,
    /// How long a server may take to serve the new version.
    pub takeover_seconds: u64,
    /// How often the servers are asked, and how long to wait in between.
    pub rounds: u32,
    pub interval_seconds: u64,
    /// Customers for whom each round asks each server.
    pub probes: usize,
    /// The share of failed answers above which the activation is taken back.
    pub most_errors: f64,
    /// The share of empty answers that is allowed beyond what it was before.
    pub most_empty: f64,
    /// By how much the 95th percentile of the time of an answer may grow, as a factor.
    pub most_slowdown: f64,
    /// Answers quicker than this are never slow.
    pub quick_milliseconds: f64,
}

/// A replica to watch.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Its public address, such as `http://server-a:8080`.
    pub public: String,
    /// Its admin address, such as `http://server-a:8081`.
    pub admin: String,
    /// Both names lead to several replicas, by one address each, and each of them is watched.
    #[serde(default)]
    pub every_address: bool,
}

fn yes() -> bool {
    true
}

impl Default for GateRules {
    fn default() -> Self {
        Self {
            metric: None,
            most_days: 7,
            least_cases: 50,
            least_coverage: 0.5,
            baselines: ["popularity", "decayed-popularity", "personal-frequency"]
                .map(str::to_owned)
                .to_vec(),
            above_baselines: false,
        }
    }
}

impl Default for Publish {
    fn default() -> Self {
        Self { models: "models".into(), runs: "runs".into(), keep: 5 }
    }
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            takeover_seconds: 120,
            rounds: 30,
            interval_seconds: 10,
            probes: 20,
            most_errors: 0.01,
            most_empty: 0.01,
            most_slowdown: 2.0,
            quick_milliseconds: 20.0,
        }
    }
}

/// Why a file is refused.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRetrainConfig {
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}: {message}", path.display())]
    Parse { path: PathBuf, message: String },
}

impl RetrainConfig {
    /// Reads the file and checks it.
    ///
    /// # Errors
    /// [`InvalidRetrainConfig`] naming the file, the key and what is wrong with it.
    pub fn load(path: &Path) -> Result<Self, InvalidRetrainConfig> {
        let text = std::fs::read_to_string(path);
        let text =
            text.map_err(|source| InvalidRetrainConfig::Read { path: path.into(), source })?;
        let wrong = |message: String| InvalidRetrainConfig::Parse { path: path.into(), message };
        let mut config: Self = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        config.check().map_err(wrong)?;
        let beside = path.parent().unwrap_or(Path::new(""));
        config.training.config = beside.join(&config.training.config);
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let Self { gate, publish, watch, .. } = self;
        let shares = [
            ("gate.least_coverage", gate.least_coverage),
            ("watch.most_errors", watch.most_errors),
            ("watch.most_empty", watch.most_empty),
        ];
        if let Some((key, value)) =
            shares.into_iter().find(|(_, value)| !(0.0..=1.0).contains(value))
        {
            return Err(format!("`{key}` is {value}, but a share lies between 0 and 1"));
        }
        if gate.most_days == 0 || publish.keep == 0 || watch.rounds == 0 {
            return Err(
                "`gate.most_days`, `publish.keep` and `watch.rounds` must be at least 1".to_owned()
            );
        }
        if !(watch.most_slowdown >= 1.0 && watch.quick_milliseconds >= 0.0) {
            return Err("`watch.most_slowdown` must be at least 1 and `watch.quick_milliseconds` at least 0".to_owned());
        }
        let known = crate::evaluation::baselines::NAMES;
        if let Some(name) = gate.baselines.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(format!("`gate.baselines` names `{name}`; there are {}", known.join(", ")));
        }
        Ok(())
    }

    /// The training configuration with its overrides.
    ///
    /// # Errors
    /// As [`TrainingConfig::load`].
    pub fn training(&self) -> Result<TrainingConfig, ConfigError> {
        TrainingConfig::load(&self.training.config, &self.training.set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<RetrainConfig, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nightly.toml");
        std::fs::write(&path, text).unwrap();
        RetrainConfig::load(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn a_short_file_is_enough() {
        let config = load("[training]\nconfig = \"retrieval.toml\"").unwrap();
        assert!(
            config.training.config.ends_with("retrieval.toml")
                && config.training.config.is_absolute()
        );
        assert_eq!(
            (config.gate, config.publish.keep, config.watch.servers.len()),
            (GateRules::default(), 5, 0)
        );
        assert_eq!((config.purchases, config.training.whole_days), (ReadOptions::default(), true));
    }

    #[test]
    fn the_example_is_valid() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/configs");
        let config = RetrainConfig::load(&folder.join("nightly.toml")).unwrap();
        config.training().unwrap();
    }

    #[test]
    fn mistakes_are_named() {
        for (text, said) in [
            ("[gate]\nmost_days = 3", "missing field `training`"),
            ("[training]\nconfig = \"a\"\nepoch = 3", "unknown field `epoch`"),
            (
                "[training]\nconfig = \"a\"\n[gate]\nleast_coverage = 2.0",
                "`gate.least_coverage` is 2",
            ),
            (
                "[training]\nconfig = \"a\"\n[gate]\nbaselines = [\"best\"]",
                "names `best`; there are ",
            ),
            ("[training]\nconfig = \"a\"\n[publish]\nkeep = 0", "at least 1"),
            (
                "[training]\nconfig = \"a\"\n[purchases]\nevents = { view = -1.0 }",
                "the weight of `view`",
            ),
        ] {
            let error = load(text).unwrap_err();
            assert!(error.contains(said) && error.contains("nightly.toml"), "{text}: {error}");
        }
    }
}
