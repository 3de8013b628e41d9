//! The state of the server, for people and for Prometheus.

use crate::{
    http::{ApiError, App, answer::json},
    serving::Status,
};
use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_status)).routes(routes!(get_metrics))
}

/// What is served, what was refused and why, and whether the database answers
#[utoipa::path(get, path = "/admin/v1/status", tag = "admin", responses(
    (status = 200, description = "The state of the server", body = Status),
))]
async fn get_status(State(app): State<App>) -> Result<Response, ApiError> {
    json(&app.service().status())
}

/// Metrics in the Prometheus text format
#[utoipa::path(get, path = "/metrics", tag = "admin", responses(
    (status = 200, description = "The metrics", body = String, content_type = "text/plain"),
))]
async fn get_metrics(State(app): State<App>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.service().render_metrics())
        .into_response()
}
