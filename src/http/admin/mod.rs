//! The operator's routes; the key is asked for on every path.

mod articles;
mod models;
mod status;

use super::{ApiError, App, ErrorCode};
use crate::serving::Secret;
use axum::{
    extract::{Request, State},
    http::header,
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().merge(models::routes()).merge(articles::routes()).merge(status::routes())
}

/// The token of `Bearer <token>`; the scheme's case does not count.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}

/// Lets a request pass that carries `authorization: Bearer <key>`.
pub(super) async fn require_key(State(key): State<Arc<Secret>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes());
    match given.and_then(bearer) {
        Some(given) if key.matches(given) => next.run(request).await,
        _ => ApiError::new(ErrorCode::Unauthorized, "send `authorization: Bearer <admin key>`").into_response(),
    }
}
