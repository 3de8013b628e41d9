//! `manifest.json`.

use crate::{dataset::TimeUnit, features::FeatureSchema};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// UTC time of writing and the first 8 hexadecimal digits of the sha256 over this manifest (with zeros in their
    /// place): `20260131T120000000Z-1a2b3c4d`; sorts by time.
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
    /// Offline metrics of this bundle beside the baselines; empty when not evaluated.
    pub metrics: Vec<MetricsRow>,
    /// Every other file by its path inside the bundle, with `/`.
    pub files: BTreeMap<String, FileEntry>,
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
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
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
#[serde(deny_unknown_fields)]
pub struct IndexParameters {
    /// Links a node and layer (twice as many in layer 0).
    pub m: usize,
    /// Beam width while building.
    pub ef_construction: usize,
    /// Beam width of a search for 100 items; shorter lists take down to half of it, longer ones more than they ask for.
    /// Of a bundle at least what its configuration says: as much as it takes to find [`super::IndexQuality::GOOD`].
    pub ef_search: usize,
}

/// One row of an evaluation table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricsRow {
    pub name: String,
    pub kind: RowKind,
    /// By metric name: `hr@10`, `ndcg@10`, `recall@12`, `map@12`, `mrr`, `hr@100`, `coverage@12`, …
    pub metrics: BTreeMap<String, f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowKind {
    Bundle,
    Baseline,
}
