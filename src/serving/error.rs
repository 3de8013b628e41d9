use crate::{bundle::BundleError, domain::InvalidId, recommend::RecommendError, store::StoreError};

/// Why the service cannot do what was asked. Use `Overloaded`, `NotReady` and [`StoreError::Unavailable`] for what
/// passes by itself; the others need another request or an operator.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("no model is loaded yet")]
    NotReady,
    #[error("there is no model `{name}`; loaded: {}", loaded.join(", "))]
    UnknownModel { name: String, loaded: Vec<String> },
    #[error("the server is busy")]
    Overloaded,
    #[error("the server is stopping")]
    Stopping,
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
