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
    /// What makes the server `degraded`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
}

/// Whether the process runs
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, body = Health)))]
async fn livez() -> Result<Response, ApiError> {
    json(&Health { status: "live", database: None, reasons: Vec::new() })
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
    let service = app.service();
    let state = service.state();
    let reasons = service.reasons(&state);
    if !state.is_ready() {
        let detail = format!("{}; /admin/v1/status says more", reasons.join("; "));
        return Err(ApiError::new(ErrorCode::NotReady, detail));
    }
    let status = if reasons.is_empty() { "ready" } else { "degraded" };
    json(&Health { status, database: Some(service.database_available()), reasons })
}
