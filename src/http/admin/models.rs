//! Which versions of which models there are, and which one serves.

use crate::http::{
    ApiError, App,
    answer::json,
    extract::{JsonBody, PathVariable},
};
use axum::{extract::State, response::Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_models))
        .routes(routes!(reload_model))
        .routes(routes!(activate_model))
        .routes(routes!(rollback_model))
        .routes(routes!(deactivate_model))
}

#[derive(Serialize, ToSchema)]
struct ModelList {
    /// By name, newest version first.
    models: Vec<Version>,
}

#[derive(Serialize, ToSchema)]
struct Version {
    name: String,
    version: String,
    /// What the database says; replicas follow it.
    active: bool,
    /// Whether this server answers from it.
    served: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Activation {
    #[schema(example = "20260131T120000000Z-1a2b3c4d")]
    version: String,
    /// Make this the model of requests that name none. The first model ever activated is that anyway.
    #[serde(default)]
    default: bool,
}

/// What serves now.
#[derive(Serialize, ToSchema)]
struct Changed {
    name: String,
    version: String,
    /// What served before, where it is known and another.
    previous: Option<String>,
}

/// List the versions of all models
#[utoipa::path(get, path = "/admin/v1/models", tag = "admin", security(("admin_key" = [])), responses(
    (status = 200, body = ModelList),
    (status = "4XX", body = super::super::Problem, content_type = "application/problem+json", description = "The key is missing or wrong"),
    (status = "5XX", body = super::super::Problem, content_type = "application/problem+json", description = "Try again later"),
))]
async fn list_models(State(app): State<App>) -> Result<Response, ApiError> {
    let state = app.service().state();
    let served =
        |name: &str, version: &str| state.model(Some(name)).is_ok_and(|snapshot| snapshot.model().version() == version);
    let rows = app.service().versions().await?.into_iter();
    let models = rows.map(|row| Version {
        served: served(&row.model, &row.version),
        name: row.model,
        version: row.version,
        active: row.active,
    });
    json(&ModelList { models: models.collect() })
}

/// Read the bundle of the active version again
#[utoipa::path(post, path = "/admin/v1/models/{name}/reload", tag = "admin", security(("admin_key" = [])),
    params(("name" = String, Path, description = "The model")),
    responses(
        (status = 200, body = Changed),
        (status = "4XX", body = super::super::Problem, content_type = "application/problem+json", description = "The bundle is refused or unknown; the old one serves"),
        (status = "5XX", body = super::super::Problem, content_type = "application/problem+json", description = "Try again later"),
    )
)]
async fn reload_model(State(app): State<App>, PathVariable(name): PathVariable<String>) -> Result<Response, ApiError> {
    let version = app.service().reload(&name).await?;
    json(&Changed { name, version, previous: None })
}

/// Load a version, check it, and serve it
#[utoipa::path(post, path = "/admin/v1/models/{name}/activate", tag = "admin", security(("admin_key" = [])),
    params(("name" = String, Path, description = "The model")), request_body = Activation,
    responses(
        (status = 200, body = Changed),
        (status = "4XX", body = super::super::Problem, content_type = "application/problem+json", description = "The bundle is refused; the old one serves"),
        (status = "5XX", body = super::super::Problem, content_type = "application/problem+json", description = "Try again later"),
    )
)]
async fn activate_model(
    State(app): State<App>,
    PathVariable(name): PathVariable<String>,
    JsonBody(Activation { version, default }): JsonBody<Activation>,
) -> Result<Response, ApiError> {
    let previous = app.service().activate(&name, &version, default).await?;
    json(&Changed { name, version, previous })
}

/// Serve the version before the active one again
#[utoipa::path(post, path = "/admin/v1/models/{name}/rollback", tag = "admin", security(("admin_key" = [])),
    params(("name" = String, Path, description = "The model")),
    responses(
        (status = 200, body = Changed),
        (status = "4XX", body = super::super::Problem, content_type = "application/problem+json", description = "There is none, or it is refused"),
        (status = "5XX", body = super::super::Problem, content_type = "application/problem+json", description = "Try again later"),
    )
)]
async fn rollback_model(
    State(app): State<App>,
    PathVariable(name): PathVariable<String>,
) -> Result<Response, ApiError> {
    let version = app.service().rollback(&name).await?;
    json(&Changed { name, version, previous: None })
}

/// What no longer serves.
#[derive(Serialize, ToSchema)]
struct Deactivated {
    name: String,
    /// The version that was active.
    version: String,
}

/// Take a model out of service
#[utoipa::path(post, path = "/admin/v1/models/{name}/deactivate", tag = "admin", security(("admin_key" = [])),
    params(("name" = String, Path, description = "The model")),
    responses(
        (status = 200, body = Deactivated),
        (status = "4XX", body = super::super::Problem, content_type = "application/problem+json", description = "It has no active version, or it is the default while other models are active"),
        (status = "5XX", body = super::super::Problem, content_type = "application/problem+json", description = "Try again later"),
    )
)]
async fn deactivate_model(
    State(app): State<App>,
    PathVariable(name): PathVariable<String>,
) -> Result<Response, ApiError> {
    let version = app.service().deactivate(&name).await?;
    json(&Deactivated { name, version })
}
