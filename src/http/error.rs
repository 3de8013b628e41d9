//! Errors of the API: a closed set of codes, one form.
//!
//! Use a 4xx code for what the caller can mend and say in `detail` how; use [`ApiError::internal`]
//! for everything the caller can not: its text goes to the log, never into the answer. `edge`
//! writes the problem document, because only it knows the request id.

use crate::{
    recommend::{FilterError, RecommendError},
    serving::{Overload, ServeError},
    store::StoreError,
};
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

/// What went wrong, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    InvalidJson,
    InvalidRequest,
    InvalidFilter,
    InvalidArticle,
    InvalidPlacement,
    UnknownAttribute,
    Unauthorized,
    Forbidden,
    NotFound,
    UnknownArticle,
    UnknownModel,
    UnknownPlacement,
    UnknownKey,
    UnknownCustomer,
    MethodNotAllowed,
    NoPreviousVersion,
    KeyExists,
    PlacementChanged,
    CustomerErased,
    BundleRefused,
    BodyTooLarge,
    UriTooLong,
    HeadersTooLarge,
    RequestTimeout,
    UnsupportedMediaType,
    RateLimited,
    Internal,
    Overloaded,
    NotReady,
    DatabaseUnavailable,
    Timeout,
    StillRunning,
}

/// An RFC 9457 problem document.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "type": "urn:vitrine:error:unknown_attribute",
    "title": "Unknown attribute",
    "status": 400,
    "detail": "the catalogue has no attribute `color`; it has: colour_group_name, price",
    "code": "unknown_attribute",
    "request_id": "0198c0de-0000-7000-8000-000000000000"
}))]
pub struct Problem<'a> {
    /// Names the kind of problem: `urn:vitrine:error:` and the code.
    pub r#type: String,
    /// The kind of problem in words.
    pub title: &'static str,
    pub status: u16,
    /// What was wrong this time and what to do.
    pub detail: &'a str,
    pub code: ErrorCode,
    pub request_id: &'a str,
}

/// An error on its way out.
#[derive(Debug, Clone)]
pub struct ApiError {
    pub code: ErrorCode,
    pub detail: String,
    /// For the log alone.
    pub cause: Option<String>,
    /// The budget that was used up.
    pub(super) overload: Option<Overload>,
}

impl ErrorCode {
    /// `(status, title, name)`
    pub(super) fn parts(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::InvalidJson => (S::BAD_REQUEST, "Invalid JSON", "invalid_json"),
            Self::InvalidRequest => (S::BAD_REQUEST, "Invalid request", "invalid_request"),
            Self::InvalidFilter => (S::BAD_REQUEST, "Invalid filter", "invalid_filter"),
            Self::InvalidArticle => (S::UNPROCESSABLE_ENTITY, "Invalid article", "invalid_article"),
            Self::InvalidPlacement => {
                (S::UNPROCESSABLE_ENTITY, "Invalid placement", "invalid_placement")
            }
            Self::UnknownAttribute => (S::BAD_REQUEST, "Unknown attribute", "unknown_attribute"),
            Self::Unauthorized => (S::UNAUTHORIZED, "Unauthorized", "unauthorized"),
            Self::Forbidden => (S::FORBIDDEN, "Forbidden", "forbidden"),
            Self::NotFound => (S::NOT_FOUND, "Not found", "not_found"),
            Self::UnknownArticle => (S::NOT_FOUND, "Unknown article", "unknown_article"),
            Self::UnknownModel => (S::NOT_FOUND, "Unknown model", "unknown_model"),
            Self::UnknownPlacement => (S::NOT_FOUND, "Unknown placement", "unknown_placement"),
            Self::UnknownKey => (S::NOT_FOUND, "Unknown key", "unknown_key"),
            Self::UnknownCustomer => (S::NOT_FOUND, "Unknown customer", "unknown_customer"),
            Self::MethodNotAllowed => {
                (S::METHOD_NOT_ALLOWED, "Method not allowed", "method_not_allowed")
            }
            Self::NoPreviousVersion => (S::CONFLICT, "No such version", "no_previous_version"),
            Self::KeyExists => (S::CONFLICT, "Key exists", "key_exists"),
            Self::PlacementChanged => (S::CONFLICT, "Placement changed", "placement_changed"),
            Self::CustomerErased => (S::CONFLICT, "Customer erased", "customer_erased"),
            Self::BundleRefused => (S::UNPROCESSABLE_ENTITY, "Bundle refused", "bundle_refused"),
            Self::BodyTooLarge => (S::PAYLOAD_TOO_LARGE, "Body too large", "body_too_large"),
            Self::UriTooLong => (S::URI_TOO_LONG, "URL too long", "uri_too_long"),
            Self::HeadersTooLarge => {
                (S::REQUEST_HEADER_FIELDS_TOO_LARGE, "Headers too large", "headers_too_large")
            }
            Self::RequestTimeout => (S::REQUEST_TIMEOUT, "Request too slow", "request_timeout"),
            Self::UnsupportedMediaType => {
                (S::UNSUPPORTED_MEDIA_TYPE, "Unsupported media type", "unsupported_media_type")
            }
            Self::RateLimited => (S::TOO_MANY_REQUESTS, "Too many requests", "rate_limited"),
            Self::Internal => (S::INTERNAL_SERVER_ERROR, "Internal error", "internal"),
            Self::Overloaded => (S::SERVICE_UNAVAILABLE, "Overloaded", "overloaded"),
            Self::NotReady => (S::SERVICE_UNAVAILABLE, "Not ready", "not_ready"),
            Self::DatabaseUnavailable => {
                (S::SERVICE_UNAVAILABLE, "Database unavailable", "database_unavailable")
            }
            Self::Timeout => (S::SERVICE_UNAVAILABLE, "Timeout", "timeout"),
            Self::StillRunning => (S::GATEWAY_TIMEOUT, "Still running", "still_running"),
        }
    }
}

impl ApiError {
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), cause: None, overload: None }
    }

    /// A fault of the server; `cause` is logged and not told.
    pub fn internal(cause: impl Into<String>) -> Self {
        let detail =
            "something went wrong inside the server; its log says more under this request id";
        Self { cause: Some(cause.into()), ..Self::new(ErrorCode::Internal, detail) }
    }

    /// The document of this error.
    pub(super) fn problem<'a>(&'a self, request_id: &'a str) -> Problem<'a> {
        let (status, title, name) = self.code.parts();
        Problem {
            r#type: format!("urn:vitrine:error:{name}"),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            code: self.code,
            request_id,
        }
    }

    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidRequest, detail)
    }
}

impl IntoResponse for ApiError {
    /// An empty response that carries the error; see `edge`.
    fn into_response(self) -> Response {
        let mut response = self.code.parts().0.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Overload> for ApiError {
    fn from(overload: Overload) -> Self {
        Self { overload: Some(overload), ..Self::new(ErrorCode::Overloaded, overload.to_string()) }
    }
}

impl From<FilterError> for ApiError {
    fn from(error: FilterError) -> Self {
        let code = match error {
            FilterError::UnknownAttribute { .. } => ErrorCode::UnknownAttribute,
            FilterError::Invalid { .. } => ErrorCode::InvalidFilter,
        };
        Self::new(code, error.to_string())
    }
}

impl From<RecommendError> for ApiError {
    fn from(error: RecommendError) -> Self {
        match error {
            RecommendError::Filter(error) => error.into(),
            RecommendError::MaxPerTags(_) | RecommendError::NoSequence(_) => {
                Self::invalid(error.to_string())
            }
            RecommendError::SourceUnfit { .. } | RecommendError::RankerUnfit { .. } => {
                Self::invalid(error.to_string())
            }
            RecommendError::NoStatistics => Self::new(ErrorCode::NotReady, error.to_string()),
            RecommendError::UnknownModel(_) => {
                Self::new(ErrorCode::UnknownModel, error.to_string())
            }
            RecommendError::UnknownArticle(_) => {
                Self::new(ErrorCode::UnknownArticle, error.to_string())
            }
            RecommendError::Model(_) | RecommendError::Search(_) => {
                Self::internal(error.to_string())
            }
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(cause) => Self {
                cause: Some(cause),
                ..Self::new(
                    ErrorCode::DatabaseUnavailable,
                    "the database is not available; try again",
                )
            },
            StoreError::Erased(_) => Self::new(ErrorCode::CustomerErased, error.to_string()),
            StoreError::Refused(_) | StoreError::Conflict(_) => Self::invalid(error.to_string()),
            StoreError::Changed(_) => Self::new(ErrorCode::PlacementChanged, error.to_string()),
            StoreError::BadArticle(_) => Self::new(ErrorCode::InvalidArticle, error.to_string()),
            StoreError::NotFound(_) => Self::new(ErrorCode::NoPreviousVersion, error.to_string()),
            StoreError::NotMigrated { .. } | StoreError::Fault(_) => {
                Self::internal(error.to_string())
            }
        }
    }
}

impl From<ServeError> for ApiError {
    fn from(error: ServeError) -> Self {
        let text = error.to_string();
        match error {
            ServeError::NotReady | ServeError::Stopping => Self::new(ErrorCode::NotReady, text),
            ServeError::UnknownModel { .. } => Self::new(ErrorCode::UnknownModel, text),
            ServeError::UnknownPlacement { .. } => Self::new(ErrorCode::UnknownPlacement, text),
            ServeError::BadPlacement(_) => Self::new(ErrorCode::InvalidPlacement, text),
            ServeError::Overloaded(overload) => overload.into(),
            ServeError::Recommend(error) => error.into(),
            ServeError::Store(error) => error.into(),
            ServeError::Refused { .. } => Self::new(ErrorCode::BundleRefused, text),
            ServeError::Bundles(_) | ServeError::Address { .. } | ServeError::Internal(_) => {
                Self::internal(text)
            }
            ServeError::Id(_) => Self::invalid(text),
        }
    }
}
