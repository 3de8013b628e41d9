//! For load balancers and orchestrators.

use super::{ApiError, App, ErrorCode, answer::json};
use axum::{extract::State, response::Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(livez)).routes(routes!(readyz))
}

#[derive(Serialize, ToSchema)]
struct Health {
    /// `live`, `ready` or `degraded`.
    status: &'static str,
    /// Whether the database answers; without it answers go on with what is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<bool>,
}

/// Whether the process runs
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, body = Health)))]
async fn livez() -> Result<Response, ApiError> {
    json(&Health { status: "live", database: None })
}

/// Whether the server can answer
#[utoipa::path(
    get, path = "/readyz", tag = "health",
    responses(
        (status = 200, body = Health),
        (status = 503, body = super::Problem, content_type = "application/problem+json", description = "No model is loaded, or the server is stopping"),
    )
)]
async fn readyz(State(app): State<App>) -> Result<Response, ApiError> {
    if app.is_draining() {
        return Err(ApiError::new(ErrorCode::NotReady, "the server is stopping"));
    }
    if !app.service().state().is_ready() {
        return Err(ApiError::new(ErrorCode::NotReady, "no model is loaded yet; /admin/v1/status says why"));
    }
    let database = app.service().database_available();
    json(&Health { status: if database { "ready" } else { "degraded" }, database: Some(database) })
}
