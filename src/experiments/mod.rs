//! Experiments: what was trained, on what, with which result, and the commands that train many
//! times.
//!
//! ```text
//! Runs ── a folder of folders; begin() makes one, a Recorder fills it, find() and list() read them again
//!   └ Job ── trains one configuration in such a folder: checkpoints, metrics, test table, bundle, outcome
//!       ├ comparison ── several configurations and the baselines on one split, one table
//!       ├ selection ── the best of several by the validation purchases, shipped
//!       └ sweep ── many trials of a space of configurations, judged by the validation metric alone
//! report ── runs as one HTML page      map ── the items of a bundle as a picture      mlflow ── runs to MLflow
//! ```
//!
//! Invariants: a run's folder exists from before its first step and is never changed by another
//! run; its outcome is written last and whole, so a folder without one is of a run that was killed
//! (or still runs: it holds a lock). Nothing here chooses anything by the test cases. Knows no HTTP
//! server.

mod comparison;
mod curves;
pub mod details;
mod environment;
mod error;
mod importance;
mod job;
mod latency;
pub mod map;
pub mod mlflow;
mod placements;
pub mod report;
mod runs;
mod selection;
pub mod sweep;
mod table;

pub use comparison::{Comparison, Comparisons, Row, System};
pub use curves::{Curves, Epoch};
pub use environment::{Environment, Revision};
pub use error::ExperimentError;
pub use importance::{Importance, importances};
pub use job::{Candidate, Data, Ended, Job, Judge, is_below};
pub use latency::milliseconds_a_request;
pub use runs::{Broken, Kind, Member, NewRun, Outcome, Record, Recorder, Run, Runs, Status};
pub use selection::{Selected, Selection, Validated};
pub use table::{Table, number};
