//! Extractors whose refusals are problem documents that say what to mend.

use super::{ApiError, ErrorCode, schema::ObjectOf};
use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{StatusCode, header, request::Parts},
    response::IntoResponse,
};
use serde::de::DeserializeOwned;

/// A JSON body.
pub(super) struct JsonBody<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
        let kind = kind.split(';').next().unwrap_or("").trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let kind: String = kind.chars().take(64).collect();
            let detail = format!("the body must be JSON: send `content-type: application/json`, not `{kind}`");
            return Err(ApiError::new(ErrorCode::UnsupportedMediaType, detail));
        }
        let body = Bytes::from_request(request, state).await.map_err(|rejection| {
            match rejection.into_response().status() {
                StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(ErrorCode::BodyTooLarge, "the body is too large"),
                _ => ApiError::invalid("the body could not be read to its end"),
            }
        })?;
        serde_json::from_slice(&body).map(|ObjectOf(value)| Self(value)).map_err(|error| {
            let code = if error.is_data() { ErrorCode::InvalidRequest } else { ErrorCode::InvalidJson };
            ApiError::new(code, format!("body: {error}"))
        })
    }
}

/// The query string.
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let parsed = Query::try_from_uri(&parts.uri);
        parsed.map(|Query(value)| Self(value)).map_err(|rejection| ApiError::invalid(rejection.body_text()))
    }
}

/// The one variable of the path.
pub(super) struct PathVariable<T>(pub(super) T);

impl<S: Send + Sync, T: TryFrom<String, Error: std::fmt::Display>> FromRequestParts<S> for PathVariable<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| ApiError::invalid(rejection.body_text()))?;
        T::try_from(text).map(Self).map_err(|error| ApiError::invalid(format!("path: {error}")))
    }
}
