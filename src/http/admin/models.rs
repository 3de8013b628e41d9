//! Which versions of which models there are, and which one serves.

use super::audited;
use crate::{
    http::{
        ApiError, App, answer,
        extract::{JsonBody, NoInput, PathVariable},
    },
    serving::Caller,
    store::Change,
};
use axum::{Extension, extract::State, response::Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
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
#[schema(as = ModelVersion)]
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
#[schema(as = ModelActivation)]
struct Activation {
    #[schema(example = "20260131T120000000Z-1a2b3c4d")]
    version: String,
    /// Make this the model of requests that name none. The first model ever activated is that
    /// anyway.
    #[serde(default)]
    default: bool,
}

/// What serves now.
#[derive(Serialize, ToSchema)]
#[schema(as = ModelChange)]
struct Changed {
    name: String,
    version: String,
    /// What served before, where it is known and another.
    #[schema(required = true)]
    previous: Option<String>,
}

/// What no longer serves.
#[derive(Serialize, ToSchema)]
#[schema(as = ModelDeactivation)]
struct Deactivated {
    name: String,
    /// The version that was active.
    version: String,
}

/// List the versions of all models
#[utoipa::path(get, path = "/admin/v1/models", tag = "admin", responses(
    (status = 200, description = "All versions", body = ModelList),
))]
async fn list_models(State(app): State<App>) -> Result<Response, ApiError> {
    let state = app.service().state();
    let served = |name: &str, version: &str| {
        state.model(Some(name)).is_ok_and(|snapshot| snapshot.model().version() == version)
    };
    let rows = app.service().versions().await?.into_iter();
    let models = rows.map(|row| Version {
        served: served(&row.model, &row.version),
        name: row.model,
        version: row.version,
        active: row.active,
    });
    answer::json(&ModelList { models: models.collect() })
}

/// Read the bundle of the active version again
#[utoipa::path(post, path = "/admin/v1/models/{name}/reload", tag = "admin",
    params(("name" = String, Path, description = "The model")),
    responses(
        (status = 200, description = "The version that was read", body = Changed),
    )
)]
async fn reload_model(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    PathVariable(name): PathVariable<String>,
    _: NoInput,
) -> Result<Response, ApiError> {
    let change = Change { actor: "", action: "models.reload", subject: &name, before: None };
    let work = async {
        let version = app.service().reload(&name).await?;
        Ok((version.clone(), Some(json!({"version": version}))))
    };
    let version = audited(&app, &caller, change, work).await?;
    answer::json(&Changed { name, version, previous: None })
}

/// Load a version, check it, and serve it
#[utoipa::path(post, path = "/admin/v1/models/{name}/activate", tag = "admin",
    params(("name" = String, Path, description = "The model")), request_body = Activation,
    responses(
        (status = 200, description = "The version that serves now", body = Changed),
    )
)]
async fn activate_model(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    PathVariable(name): PathVariable<String>,
    JsonBody(Activation { version, default }): JsonBody<Activation>,
) -> Result<Response, ApiError> {
    let before = active_version(&app, &name).await?;
    let change = Change { actor: "", action: "models.activate", subject: &name, before };
    let work = async {
        let previous = app.service().activate(&name, &version, default).await?;
        Ok((previous, Some(json!({"version": version}))))
    };
    let previous = audited(&app, &caller, change, work).await?;
    answer::json(&Changed { name, version, previous })
}

/// Serve the version before the active one again
#[utoipa::path(post, path = "/admin/v1/models/{name}/rollback", tag = "admin",
    params(("name" = String, Path, description = "The model")),
    responses(
        (status = 200, description = "The version that serves now", body = Changed),
    )
)]
async fn rollback_model(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    PathVariable(name): PathVariable<String>,
    _: NoInput,
) -> Result<Response, ApiError> {
    let before = active_version(&app, &name).await?;
    let change = Change { actor: "", action: "models.rollback", subject: &name, before };
    let work = async {
        let version = app.service().rollback(&name).await?;
        Ok((version.clone(), Some(json!({"version": version}))))
    };
    let version = audited(&app, &caller, change, work).await?;
    answer::json(&Changed { name, version, previous: None })
}

/// Take a model out of service
#[utoipa::path(post, path = "/admin/v1/models/{name}/deactivate", tag = "admin",
    params(("name" = String, Path, description = "The model")),
    responses(
        (status = 200, description = "The version that no longer serves", body = Deactivated),
    )
)]
async fn deactivate_model(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    PathVariable(name): PathVariable<String>,
    _: NoInput,
) -> Result<Response, ApiError> {
    let before = active_version(&app, &name).await?;
    let change = Change { actor: "", action: "models.deactivate", subject: &name, before };
    let work = async { Ok((app.service().deactivate(&name).await?, None)) };
    let version = audited(&app, &caller, change, work).await?;
    answer::json(&Deactivated { name, version })
}

/// The active version of a model, for the record of a change.
async fn active_version(app: &App, name: &str) -> Result<Option<Value>, ApiError> {
    let active = app
        .service()
        .store()
        .models()
        .await?
        .into_iter()
        .find(|row| row.active && row.model == name);
    Ok(active.map(|row| json!({"version": row.version})))
}
