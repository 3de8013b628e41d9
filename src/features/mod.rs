//! The only place where a feature is computed, for the trainer and the server alike.
//!
//! A tower's input is one row of whole numbers (`indices`: rows of embedding or one-hot tables) and
//! one of reals (`numbers`). [`FeatureSchema`] says which feature fills which positions; it is data
//! and travels in the bundle. Both `indices` and `numbers` are the inputs of the ONNX towers. Knows
//! neither burn nor tract.
//!
//! [`fit`] learns schema and vocabularies from training purchases ([`FeatureConfig`] says which
//! features); an [`Encoder`] computes one row for a server's request; [`EncodedCustomers`] and
//! [`EncodedItems`] hold the encoder's output for a whole dataset, so that training fills batches
//! without looking anything up.

mod attributes;
mod config;
mod encoded;
mod encoder;
mod error;
mod fit;
mod schema;
#[cfg(test)]
pub(crate) mod testing;
mod validate;
mod vocabularies;

pub use attributes::{Attributes, EntityRow, NoAttributes};
pub use config::{EncodingSpec, FeatureConfig, FeatureSpec};
pub use encoded::{EncodedCustomers, EncodedItems, Moment};
pub use encoder::{ArticleView, CustomerView, Encoder};
pub use error::{FeatureError, Tower};
pub use fit::fit;
pub use schema::{AgeClasses, Encoding, Feature, FeatureSchema, GapClasses, Slot, TowerSchema};
pub use vocabularies::Vocabularies;

/// Names of the sources that are no columns.
pub mod source {
    /// The customer's id (query tower).
    pub const CUSTOMER_ID: &str = "customer_id";
    /// The article's id (item tower); also the vocabulary that numbers the items of a bundle.
    pub const ARTICLE_ID: &str = "article_id";
    /// The moment of the query (query tower).
    pub const AT: &str = "at";
    /// The customer's earlier purchases (query tower).
    pub const HISTORY: &str = "history";
}
