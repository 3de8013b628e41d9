use super::Overload;
use crate::{bundle::BundleError, domain::InvalidId, recommend::RecommendError, store::StoreError};
use std::net::SocketAddr;

/// Why the service cannot do what was asked. Use `Overloaded`, `NotReady` and
/// [`StoreError::Unavailable`] for what passes by itself; the others need another request or an
/// operator.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("no model is loaded yet")]
    NotReady,
    #[error("there is no model `{name}`; loaded: {}", loaded.join(", "))]
    UnknownModel { name: String, loaded: Vec<String> },
    #[error("there is no placement `{name}`; there are: {}", known.join(", "))]
    UnknownPlacement { name: String, known: Vec<String> },
    /// The definition of a placement that cannot be saved.
    #[error("{0}")]
    BadPlacement(String),
    #[error(transparent)]
    Overloaded(#[from] Overload),
    #[error("the server is stopping")]
    Stopping,
    /// An address to listen on cannot be had: the operator's to mend.
    #[error("cannot listen on {address} (`{key}`): {reason}")]
    Address { key: &'static str, address: SocketAddr, reason: String },
    #[error(transparent)]
    Recommend(#[from] RecommendError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bundle stays out; what was served before still is.
    #[error("the bundle {model}/{version} was refused: {reason}")]
    Refused { model: String, version: String, reason: String },
    #[error(transparent)]
    Bundles(#[from] BundleError),
    #[error("internal error: {0}")]
    Internal(String),
    #[error(transparent)]
    Id(#[from] InvalidId),
}
