//! The families `decoder` and `lstm`: what comes next in a sequence of items.

mod config;
#[cfg(any(test, feature = "cuda"))]
mod device;
mod export;
mod neighbours;
mod samples;
#[cfg(test)]
mod tests;

pub use config::SequenceConfig;
pub(super) use config::{DECODER, LSTM};
pub use export::{ExportedTables, query_graph};
pub use samples::{Sequences, WINDOW_ACCURACY};
