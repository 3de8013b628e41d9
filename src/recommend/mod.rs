//! The pipeline: a request, a snapshot of the shop and what is known of the customer become ranked
//! articles with their provenance.
//!
//! ```text
//! context ── what is known at the moment of the request: history, visit, cart, what may be answered
//!   └ sources ── each finds its best candidates: the model's index, the customer's own articles, what sells …
//!       └ candidates ── merged: every article once, with what each source says of it
//!           └ rank ── one order, by the ranks in the sources or by a learned ranker
//!               └ rules ── boosted and buried; hidden ones were never eligible
//!               └ select ── pins, promotions, diversity, `max_per`, then fill by popularity until k articles stand, if k are eligible
//!                   └ explain ── reasons, counts, warnings
//! ```
//!
//! Invariants: no I/O; the same request on the same [`Snapshot`] gets the same answer; an article
//! that is unavailable or excluded is never answered, on any path; fewer than `k` only when fewer
//! than `k` are eligible (under `max_per`: when no further eligible article fits). Knows neither
//! HTTP nor databases.

mod actions;
mod answer;
mod bundle;
mod candidates;
mod catalogue;
mod context;
mod eligible;
mod explain;
mod filter;
mod filter_cache;
mod fresh;
mod model;
mod pipeline;
mod placement;
mod popularity;
mod preview;
mod query;
mod rank;
mod request;
pub mod rules;
mod select;
mod shop;
mod signals;
mod snapshot;
pub mod sources;

pub use actions::{Action, ActionKind, Interest};
pub use answer::{
    Answer, Counts, Fallback, FoundBy, Ranked, Reason, RecommendError, SourceCount, Strategy,
    Warning,
};
pub use candidates::{Candidate, Candidates, Found};
pub use catalogue::{
    Attributes, Catalogue, CatalogueBuilder, CatalogueRow, Cell, Change, Column, Group, LeftOut,
};
pub use context::{Bought, Context};
pub use eligible::Eligible;
pub use filter::{Conditions, Filter, FilterError, UnmatchedValue, find_attribute};
pub use model::{Model, ModelError};
pub use pipeline::{candidates, check, check_ranker, preview, recommend};
pub use placement::{Placement, PlacementError};
pub use preview::{Preview, Stages};
pub use query::Query;
pub use rank::{Aspect, FeatureSet, Learned, ListModel, Rank, RankedBy, RankerSpec};
pub use request::{Customer, Exclude, Recipe, Request, Subject};
pub use shop::Shop;
pub use signals::{SalesByValue, Signals, ValueSales};
pub use snapshot::Snapshot;
pub use sources::{Generation, Sampling};

#[cfg(test)]
mod tests;
