//! A shop's articles, customers and purchases as columns in memory. Knows no models and no HTTP.
//!
//! [`Dataset`] is what every reader produces and everything after it consumes: two entity tables
//! with dictionary-encoded attribute columns, and purchases as parallel columns (16 bytes each, 17
//! with the channel). Rows refer to articles and customers by their row number.

mod data;
mod fingerprint;
pub mod generate;
mod histories;
mod import;
pub mod inspect;
#[cfg(feature = "trainer")]
mod negatives;
mod split;
mod ties;
#[cfg(feature = "trainer")]
mod write;

pub use data::{
    Column, Dataset, Entities, MISSING, NO_INTEGER, Purchases, TimeUnit, Values, Vectors,
};
pub use histories::Histories;
#[cfg(feature = "database")]
pub(crate) use histories::article_ranks;
pub use import::{
    DatasetError, FileReport, ImportReport, InvalidLimit, LoadOptions, MaxRejects, Numbering,
    Reason, Reject, RejectGroup, TableReport, load,
};
#[cfg(feature = "trainer")]
pub(crate) use import::{
    Decimal, FileFormat, FileOptions, TableFile, is_missing, look, look::LIST_END, nobody,
    number_in_any_notation,
};
#[cfg(feature = "database")]
pub(crate) use import::{Moment, Return, cancel};
#[cfg(feature = "trainer")]
pub use negatives::{NO_NEGATIVE, NegativeDraw, Negatives};
pub use split::{Case, Dropped, Fold, Outlier, Protocol, Repeats, Split, SplitError};
pub use ties::Ties;
#[cfg(feature = "trainer")]
pub use write::WriteError;
