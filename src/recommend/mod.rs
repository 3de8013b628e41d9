//! The pure pipeline: snapshot + customer + request → ranked articles with provenance.
//!
//! ```text
//! context ── what is known at the moment of the request
//! plan ── who asks decides the query: the customer's vector, an article's vector, the customer's own articles by
//!   │     how often they were bought, or none (popularity)
//!   └ eligible ── available ∧ filter ∧ not excluded, as bitmaps over catalogue rows and index items
//!       └ retrieve ── the bundle's index for its items, a small one of their own for articles newer than the bundle;
//!         or generate ── item by item, each continuing the history and the items before it
//!           └ select ── `max_per`, then fill by popularity until k articles stand, if k are eligible
//! ```
//!
//! Invariants: no I/O and no clock; the same request on the same [`Snapshot`] gets the same answer; an article that
//! is unavailable or excluded is never answered, on any path; fewer than `k` only when fewer than `k` are eligible
//! (under `max_per`: when no further eligible article fits). Knows neither HTTP nor databases.

mod bundle;
mod catalogue;
mod context;
mod eligible;
mod filter;
mod filter_cache;
mod fresh;
mod generate;
mod model;
mod own;
mod pipeline;
mod popularity;
mod request;
mod select;
mod snapshot;

pub use catalogue::{Attributes, Catalogue, CatalogueBuilder, CatalogueRow, Cell, Change, Column, Group, LeftOut};
pub use eligible::Eligible;
pub use filter::{Conditions, Filter, FilterError, UnmatchedValue, find_attribute};
pub use generate::{Generation, Sampling};
pub use model::{Model, ModelError};
pub use pipeline::{Plan, check, plan, recommend};
pub use request::{
    Answer, Counts, Customer, Exclude, Fallback, Ranked, Reason, RecommendError, Request, Source, Strategy, Subject,
    Warning,
};
pub use snapshot::Snapshot;

#[cfg(test)]
mod tests;
