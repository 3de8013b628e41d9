//! The family `two-tower`: a tower for the customer and the moment, one for the item.

mod negatives;
mod samples;
mod split_encoders;

pub use samples::Samples;
