//! For load balancers and orchestrators.

use super::{ApiError, App, ErrorCode, answer::json};
use axum::{extract::State, response::Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_liveness)).routes(routes!(get_readiness))
}

#[derive(Serialize, ToSchema)]
struct Health {
    status: HealthStatus,
    /// Whether the database answers; without it answers go on with what is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    database: Option<bool>,
    /// What makes the server `degraded`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    reasons: Vec<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum HealthStatus {
    /// The process runs.
    Live,
    /// Requests are answered.
    Ready,
    /// Requests are answered, but worse than they should be; see `reasons`.
    Degraded,
}

/// Whether the process runs
#[utoipa::path(get, path = "/livez", tag = "health", responses((status = 200, description = "It does", body = Health)))]
async fn get_liveness() -> Result<Response, ApiError> {
    json(&Health { status: HealthStatus::Live, database: None, reasons: Vec::new() })
}

/// Whether the server can answer
#[utoipa::path(
    get, path = "/readyz", tag = "health",
    responses(
        (status = 200, description = "It can", body = Health),
        (status = 503, body = super::Problem, content_type = "application/problem+json", description = "No model is loaded, a ranker waits for the first count of the purchases, or the server is stopping"),
    )
)]
async fn get_readiness(State(app): State<App>) -> Result<Response, ApiError> {
    if app.is_draining() {
        return Err(ApiError::new(ErrorCode::NotReady, "the server is stopping"));
    }
    let service = app.service();
    let state = service.state();
    let reasons = service.reasons(&state);
    if !service.is_ready(&state) {
        let detail = format!("{}; /admin/v1/status says more", reasons.join("; "));
        return Err(ApiError::new(ErrorCode::NotReady, detail));
    }
    let status = if reasons.is_empty() { HealthStatus::Ready } else { HealthStatus::Degraded };
    json(&Health { status, database: Some(service.database_available()), reasons })
}
