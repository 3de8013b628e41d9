//! What serves: snapshots and their hot swap, customers and their cache, and the database being
//! away. Knows no axum.
//!
//! * [`Service::state`] is read once a request; what it holds is immutable and whole, so no answer
//!   mixes versions.
//! * Changes (reload, activation, a new catalogue) are prepared beside it, one at a time, and
//!   become visible in one pointer swap; whatever fails leaves the old state, is logged once,
//!   counted and told by [`Service::status`].
//! * The active version of a model is a row in the database; every replica follows it.
//! * Placements are rows in the database; [`State`] holds them fitted to the catalogue and models
//!   that it serves.
//! * Events that are told are in the next answer of the server that took them, and within a second
//!   in those of others.
//! * Popularity is counted from the purchases in the database, after every import and from time to
//!   time, and grows with every purchase that is told.
//! * Keys are rows in the database, too; what one may do is [`Caller::may`] and nothing else.
//! * The database is never waited for longer than its time-out, and not at all while it is known to
//!   be away.

mod attribution;
mod audit;
mod batch;
mod budgets;
mod catalogue;
mod config;
mod customers;
mod database;
mod error;
mod event_types;
mod events;
mod follow;
mod keys;
mod known;
mod metrics;
mod models;
mod persons;
mod placements;
mod process;
mod rate;
mod reader;
mod sales;
mod secret;
mod service;
pub mod stages;
mod status;
mod traces;
mod trial;
mod words;

pub use attribution::{LONGEST_ID, MOST_ARTICLES, Signer, Told, Unattributed};
pub use audit::{AuditFormat, AuditOutcome, AuditRow, write_audit};
pub use budgets::{Overload, Work};
pub use catalogue::{IMAGE_URL, PRICE};
pub use config::{
    AdminConfig, Config, ConfigError, CustomersConfig, DatabaseConfig, EventWeights, EventsConfig,
    HttpConfig, LimitsConfig, LogConfig, ModelsConfig, PopularityConfig, TelemetryConfig,
};
pub use error::ServeError;
pub use event_types::EventType;
pub use follow::{PlacementAsk, next_second, now};
pub use keys::{Caller, Scope, hash as hash_secret, name_problem as key_name_problem, new_secret};
pub use metrics::{Metrics, RouteMetrics};
pub use models::check_version;
pub use persons::BundleMention;
pub use placements::{
    BUILT_IN as BUILT_IN_PLACEMENTS, Misfit, ServedPlacement, built_in as built_in_placement,
    check_all as check_placements, name_problem as placement_name_problem,
    to_json as placement_json,
};
pub use rate::{RateLimits, Subject as RateSubject};
pub use secret::Secret;
pub use service::{Answered, Service, StandIn, State};
pub use status::{CatalogueStatus, DatabaseStatus, ModelStatus, PlacementStatus, Refusal, Status};
pub use traces::{TraceContext, Traced, Tracer};
pub use trial::open_within;
pub use words::{Expected, expectation};
