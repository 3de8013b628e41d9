//! The contract between trainer and server: a directory `models/<name>/<version>/` that is whole or absent.
//! Knows neither HTTP nor burn.
//!
//! | file | holds |
//! |---|---|
//! | `manifest.json` | [`Manifest`]: names, schema, index parameters, metrics, sha256 of every other file |
//! | `query_tower.onnx`, `item_tower.onnx` (+ `*.data` when large) | raw indices and numbers in, vector out |
//! | `items.bin` | item vectors; `index.bin`: the search graph ([`crate::retrieval`] owns both formats) |
//! | `vocabularies/<name>.txt` | one value a line, row 0 first |
//! | `popularity.bin` | one little-endian f32 an item: purchases in the training window |
//! | `golden.json` | requests with their expected vectors and top-k |

mod manifest;

pub use manifest::{IndexParameters, Manifest, Metric, MetricsRow, RowKind};
