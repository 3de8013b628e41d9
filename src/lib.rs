//! Vitrine: neural recommendations for webshops.
//!
//! Read the modules in this order and you have walked the system from a shop's files to an answer:
//!
//! ```text
//! domain → dataset → features → model → training → onnx → bundle → retrieval → recommend → serving → http
//!                        evaluation ┘                                   store ──────────────────┘
//! ```
//!
//! * [`domain`]: ids, times, scores; parsed once at the edge.
//! * [`dataset`]: a shop's files as columns in memory; splits; the generator.
//! * [`counters`]: personal frequency and popularity, for evaluation, models and server alike.
//! * [`features`]: the only place where a feature is computed, for trainer and server alike.
//! * `text`: item texts as vectors, by a frozen text encoder.
//! * `model`, `training`: the towers, losses, sparse optimiser, loop and checkpoints.
//! * `families`: the model families, a folder each.
//! * [`evaluation`]: metrics, protocols, baselines, reports. `experiments`: runs, comparisons,
//!   sweeps, maps.
//! * [`onnx`]: writes ONNX graphs. [`bundle`]: the contract between trainer and server.
//! * [`retrieval`]: exact scan and graph search behind one trait.
//! * [`recommend`]: the pure pipeline: snapshot + customer + request → ranked items.
//! * `retrain`: the night: read the database, train, judge, publish, activate, watch.
//! * `serving`, `store`, `http`: snapshots and hot swap, the databases, the REST surface.
//!
//! `http` and `training` never meet: the features `server` and `trainer` build alone.

mod algebra;
pub mod bundle;
pub mod counters;
pub mod dataset;
pub mod domain;
pub mod features;
pub mod forest;
pub mod onnx;
pub mod progress;
pub mod recommend;
pub mod retrieval;
pub mod statistics;

#[cfg(feature = "trainer")]
pub mod evaluation;
#[cfg(feature = "trainer")]
pub mod experiments;
#[cfg(feature = "trainer")]
pub mod families;
#[cfg(feature = "trainer")]
pub mod init;
#[cfg(feature = "trainer")]
pub mod model;
#[cfg(feature = "trainer")]
pub mod retrain;
#[cfg(feature = "trainer")]
pub mod simulation;
#[cfg(feature = "trainer")]
pub mod text;
#[cfg(feature = "trainer")]
pub mod training;

#[cfg(feature = "server")]
pub mod http;
#[cfg(feature = "server")]
pub mod serving;
#[cfg(feature = "database")]
pub mod store;

pub mod cli;
#[cfg(feature = "trainer")]
mod plots;
