//! `manifest.json`.

use crate::{dataset::TimeUnit, domain::Timestamp, features::FeatureSchema};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// Everything a server must know about a bundle before it opens the other files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`Manifest::FORMAT`] of the writer; a reader refuses any other.
    pub format: u32,
    /// The model's name: lower-case letters, digits, `-`, `_`.
    pub name: String,
    /// Model family, such as `two-tower`.
    pub family: String,
    /// UTC time of writing and the first 8 hexadecimal digits of the sha256 over this manifest
    /// (with zeros in their place): `20260131T120000000Z-1a2b3c4d`; sorts by time.
    pub version: String,
    /// Length of query and item vectors.
    pub dim: usize,
    pub metric: Metric,
    pub items: usize,
    pub schema: FeatureSchema,
    /// What the times of the training data mean: day-granular baskets or an order.
    pub time_unit: TimeUnit,
    pub index: IndexParameters,
    /// The training configuration, whole.
    pub training: serde_json::Value,
    /// sha256 over the training data's content.
    pub data_fingerprint: String,
    /// The time of the last purchase that the model was trained on; `None` where only an order is
    /// known, and in bundles of older versions, as the next two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_until: Option<Timestamp>,
    /// A name for the purchases that were held out for the test and that this model never saw;
    /// `None` when it was trained on everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out: Option<String>,
    /// How the metrics were measured: on which test, and in which state of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measurement>,
    /// Offline metrics of this bundle beside the baselines; empty when not evaluated.
    pub metrics: Vec<MetricsRow>,
    /// Every other file by its path inside the bundle, with `/`.
    pub files: BTreeMap<String, FileEntry>,
}

/// What the model of a bundle has seen, and in which state its metrics were measured.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Provenance {
    /// [`Manifest::seen_until`]
    pub seen_until: Option<Timestamp>,
    /// [`Manifest::held_out`], by [`crate::dataset::Split::held_out_fingerprint`].
    pub held_out: Option<String>,
    /// [`Manifest::measured`]
    pub measured: Option<Measurement>,
}

/// How the metrics of a bundle were measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// `loo-strict`, `loo-refit` or `time`.
    pub protocol: String,
    /// What the model was trained on when it was measured. What ships may have been trained once
    /// more.
    pub state: MeasuredState,
    /// The time of the last purchase that it was trained on then; `None` where only an order is
    /// known.
    pub trained_until: Option<Timestamp>,
    /// Test cases ranked, and cases left out because they asked for nothing new to the customer.
    pub cases: usize,
    pub dropped: usize,
    /// By which the order of purchases of one moment was drawn.
    pub tie_seed: u64,
    /// Against the best baseline; `None` when there was none.
    pub verdict: Option<Verdict>,
}

/// The purchases behind a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MeasuredState {
    /// Neither validation nor test purchases.
    Training,
    /// Everything but the test purchases.
    TrainingAndValidation,
}

impl MeasuredState {
    /// In words that follow "trained on".
    pub fn words(self) -> &'static str {
        match self {
            Self::Training => "the training purchases alone",
            Self::TrainingAndValidation => "everything before the test",
        }
    }
}

/// A model against the best of the baselines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The metric that decides, such as `ndcg@10`.
    pub metric: String,
    pub model: f64,
    /// The baseline with the highest value.
    pub best_baseline: String,
    pub baseline: f64,
    /// The 95 % interval of `model − baseline`, over customers.
    pub difference: [f64; 2],
    pub outcome: VerdictOutcome,
}

/// What the interval of the difference says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictOutcome {
    /// The model is better than every baseline.
    Above,
    /// The interval holds 0.
    NoDifference,
    /// A baseline is better: serve that.
    Below,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metric, model, best_baseline, baseline, difference: [low, high], outcome } =
            self;
        let outcome = match outcome {
            VerdictOutcome::Above => "above",
            VerdictOutcome::NoDifference => "not different from",
            VerdictOutcome::Below => "BELOW",
        };
        write!(
            f,
            "{metric} {model:.4} is {outcome} the best baseline, {best_baseline} with {baseline:.4} (95 % interval of the \
             difference: {low:+.4} to {high:+.4})"
        )
    }
}

/// What a file of the bundle must be like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    pub bytes: u64,
    /// In lower-case hexadecimal.
    pub sha256: String,
}

impl Manifest {
    pub const FORMAT: u32 = 1;

    /// Whether `name` can be a model's name: 1 to 64 lower-case letters, digits, `-`, `_`.
    pub fn is_name(name: &str) -> bool {
        (1..=64).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
    }

    /// Whether `version` can be a version: 1 to 64 letters, digits, `-`, `_`.
    pub fn is_version(version: &str) -> bool {
        (1..=64).contains(&version.len())
            && version.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    }
}

/// How vectors are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Inner product of unit vectors.
    Cosine,
    /// Inner product.
    Dot,
}

/// Parameters of the search graph (Malkov & Yashunin 2018, arXiv:1603.09320).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "trainer", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct IndexParameters {
    /// Links a node and layer (twice as many in layer 0).
    pub m: usize,
    /// Beam width while building.
    pub ef_construction: usize,
    /// Beam width of a search for 100 items; shorter lists take down to half of it, longer ones
    /// more than they ask for. Of a bundle at least what its configuration says: as much as it
    /// takes to find [`super::IndexQuality::GOOD`].
    pub ef_search: usize,
}

/// One row of an evaluation table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricsRow {
    pub name: String,
    pub kind: RowKind,
    /// By metric name: `hr@10`, `ndcg@10`, `recall@12`, `map@12`, `mrr`, `hr@100`, `coverage@12`, …
    pub metrics: BTreeMap<String, f64>,
    /// The 95 % interval of each metric that is an average over customers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub intervals: BTreeMap<String, [f64; 2]>,
    /// What was chosen on the validation purchases, such as `half-life 30 days`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub settings: String,
    /// What a baseline took: tuning, counting and ranking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

impl MetricsRow {
    /// A row without intervals.
    pub fn new(name: &str, kind: RowKind, metrics: BTreeMap<String, f64>) -> Self {
        let name = name.to_owned();
        Self {
            name,
            kind,
            metrics,
            intervals: BTreeMap::new(),
            settings: String::new(),
            seconds: None,
        }
    }

    /// A metric as text: its value, and half the width of its interval where it has one.
    pub fn shown(&self, metric: &str) -> Option<String> {
        let value = self.metrics.get(metric)?;
        Some(match self.intervals.get(metric) {
            Some([low, high]) => format!("{value:.4} ±{:.4}", (high - low) / 2.0),
            None => format!("{value:.4}"),
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowKind {
    Bundle,
    /// Sources and a ranking of a placement, as the server runs them.
    Pipeline,
    Baseline,
}
