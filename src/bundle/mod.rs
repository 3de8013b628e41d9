//! The contract between trainer and server: a directory `models/<name>/<version>/` that is whole or
//! absent. Knows neither HTTP nor burn.
//!
//! | file | holds |
//! |---|---|
//! | `manifest.json` | [`Manifest`]: names, schema, index parameters, metrics, size and sha256 of every other file |
//! | `query_tower.onnx`, `item_tower.onnx` (+ `*.data` when large) | raw indices and numbers in, vector out |
//! | `items.bin` | item vectors; `index.bin`: the search graph ([`crate::retrieval`] owns both formats) |
//! | `vocabularies/<name>.txt` | one value a line, row 0 first |
//! | `popularity.bin` | one little-endian f32 an item: purchases in the training window |
//! | `golden.json` | [`Golden`]: requests with their expected vectors and top-k |
//! | `ranker.json`, `ranker.onnx` or `trees.json` | [`RankerSettings`] and the network or the [`Forest`](crate::forest::Forest), of the family `ranker` alone, which has no towers either |
//! | `frequency.json` | [`FrequencySettings`], of the family `frequency` alone, which has no towers, items and index |
//!
//! `write` prepares everything in a directory `.tmp-…` beside the target, flushes it to the disk,
//! opens it as a server would and only then renames it. [`Bundle::open`] trusts nothing it reads:
//! sizes and checksums first, then every part against the schema and the manifest, then the golden
//! requests.

#[cfg(feature = "trainer")]
mod constants;
mod error;
mod files;
mod frequency;
mod golden;
mod graph;
mod histories;
mod list;
mod manifest;
mod mentions;
mod open;
mod ranker;
mod tower;
mod verify;
mod vocabulary;
#[cfg(feature = "trainer")]
mod write;

#[cfg(feature = "trainer")]
pub use constants::{Constant, Constants};
pub use error::BundleError;
pub use frequency::FrequencySettings;
pub use golden::{Golden, GoldenHit, GoldenItem, GoldenQuery};
pub use list::{Listed, list};
pub use manifest::{
    FileEntry, IndexParameters, Manifest, MeasuredState, Measurement, Metric, MetricsRow,
    Provenance, RowKind, Verdict, VerdictOutcome,
};
pub use mentions::mentions_customer;
pub use open::{Bundle, Ranking, Towers};
pub use ranker::{Ranker, RankerContents, RankerSettings, ScaledFeature};
pub use tower::Tower;
pub use verify::IndexQuality;
#[cfg(feature = "trainer")]
pub use write::{Contents, RankingContents, TowerContents, write};

/// Names of a bundle's files.
mod file_names {
    pub const MANIFEST: &str = "manifest.json";
    pub const QUERY_TOWER: &str = "query_tower.onnx";
    pub const ITEM_TOWER: &str = "item_tower.onnx";
    pub const ITEMS: &str = "items.bin";
    pub const INDEX: &str = "index.bin";
    pub const POPULARITY: &str = "popularity.bin";
    pub const GOLDEN: &str = "golden.json";
    pub const FREQUENCY: &str = "frequency.json";
    pub const RANKER: &str = "ranker.json";
    pub const RANKER_NETWORK: &str = "ranker.onnx";
    pub const RANKER_TREES: &str = "trees.json";
    /// Directory of the vocabularies; a vocabulary is `<name>.txt` in it.
    pub const VOCABULARIES: &str = "vocabularies";
}
