//! The model families, a folder each: what a family reads of a configuration, how it learns and what it puts into a bundle.

pub(crate) mod elsa;
pub(crate) mod frequency;
mod ranker;
pub(crate) mod sequence;
mod two_tower;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod warm_tests;

pub use elsa::ElsaConfig;
pub use frequency::FrequencyConfig;
pub use ranker::{RankerConfig, TrainedRanker};
pub use sequence::{
    DaysConfig, ExportedTables, ItemInit, SequenceConfig, Sequences, TokenSource, WINDOW_ACCURACY, Windows, query_graph,
};
pub use two_tower::Samples;
