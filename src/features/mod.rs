//! The only place where a feature is computed, for the trainer and the server alike.
//!
//! A tower's input is one row of whole numbers (`indices`: rows of embedding or one-hot tables) and one of
//! reals (`numbers`). [`FeatureSchema`] says which feature fills which positions; it is data and travels in
//! the bundle. Both `indices` and `numbers` are the inputs of the ONNX towers. Knows neither burn nor tract.

mod schema;

pub use schema::{Encoding, Feature, FeatureSchema, Slot, TowerSchema};
