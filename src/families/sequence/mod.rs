//! The families `decoder` and `lstm`: what comes next in a sequence of items.

mod config;
#[cfg(any(test, feature = "cuda"))]
mod device;
mod export;
mod neighbours;
mod samples;
#[cfg(test)]
pub(crate) mod tests;

pub use config::{DaysConfig, ItemInit, SequenceConfig, TokenSource, Windows};
pub(crate) use export::item_graph;
pub use export::{ExportedTables, query_graph};
pub use samples::{Sequences, WINDOW_ACCURACY};
