//! Placements: saved, tried, rolled back. Replicas follow within a moment.

use super::audited;
use crate::{
    http::{
        ApiError, App, ErrorCode,
        answer::{RecommendationResponse, columns, json, response},
        edge::Context,
        extract::{JsonBody, NoBody, Params, PathVariable, read_definition},
        placement_schema::PlacementDefinition,
        placements::PlacementRequest,
        schema::ObjectOf,
    },
    recommend::Stages,
    serving::{
        BUILT_IN_PLACEMENTS, Caller, ServeError, Service, built_in_placement, placement_json,
        placement_name_problem,
    },
    store::{Change, PlacementVersion},
};
use axum::{Extension, extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_placements))
        .routes(routes!(get_placement, put_placement, delete_placement))
        .routes(routes!(list_placement_versions))
        .routes(routes!(rollback_placement))
        .routes(routes!(preview_placement))
}

const DEFAULT_VERSIONS: u32 = 100;
const MAX_VERSIONS: u32 = 1_000;

#[derive(Serialize, ToSchema)]
struct PlacementList {
    /// By name.
    placements: Vec<PlacementBody>,
}

/// A placement as it is saved or built in.
#[derive(Serialize, ToSchema)]
#[schema(as = Placement)]
struct PlacementBody {
    name: String,
    /// The current version; 0 for a built-in placement.
    version: i64,
    /// Null where no placement of this name is left.
    #[schema(required = true, value_type = Option<PlacementDefinition>)]
    definition: Option<Value>,
    /// When this version was saved; null for a built-in placement.
    #[schema(required = true, format = DateTime)]
    created_at: Option<String>,
    /// By the key of this name, or `cli:` and the user of a command line; null for a built-in
    /// placement.
    #[schema(required = true)]
    created_by: Option<String>,
    /// Parts of the definition that this server leaves out, because the catalogue or the models
    /// lack what they name.
    ignored: Vec<String>,
}

#[derive(Serialize, ToSchema)]
struct PlacementVersions {
    /// The newest first.
    versions: Vec<PlacementVersionBody>,
}

/// A version of a placement.
#[derive(Serialize, ToSchema)]
#[schema(as = PlacementVersion)]
struct PlacementVersionBody {
    version: i64,
    /// Null: this version deleted the placement.
    #[schema(required = true, value_type = Option<PlacementDefinition>)]
    definition: Option<Value>,
    /// The version whose definition a rollback brought back; null for other changes.
    #[schema(required = true)]
    restores: Option<i64>,
    #[schema(format = DateTime)]
    created_at: String,
    created_by: String,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Expected {
    /// Change it only if this version is current, so that nobody's change gets lost; 0: only if no
    /// placement of this name is saved.
    #[param(minimum = 0)]
    version: Option<u32>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct VersionParams {
    /// How many versions at most; 100 if not given.
    #[param(minimum = 1, maximum = 1_000)]
    limit: Option<u32>,
}

/// What to try.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PlacementPreviewRequest)]
struct PreviewRequest {
    /// The definition to try; what is saved if not given.
    #[serde(default)]
    #[schema(value_type = Option<PlacementDefinition>)]
    definition: Option<Map<String, Value>>,
    /// Whose answer to see; a guest's if not given.
    #[serde(default)]
    #[schema(value_type = PlacementRequest)]
    request: ObjectOf<PlacementRequest>,
}

/// How an answer comes about.
#[derive(Serialize, ToSchema)]
#[schema(as = PlacementPreview)]
struct Preview<'a> {
    /// Parts of the definition that this server leaves out, and why.
    ignored: Vec<String>,
    /// What the public route answers, with reasons.
    answer: RecommendationResponse<'a>,
    /// What each step did: what the sources found, how it was ranked, what the rules did, what was
    /// picked. Steps that tell purchases need a key with the scope `read-purchases`, too.
    stages: &'a Stages,
}

/// List the placements
#[utoipa::path(get, path = "/admin/v1/placements", tag = "admin",
    responses((status = 200, description = "All placements, built-in ones included", body = PlacementList))
)]
async fn list_placements(State(app): State<App>) -> Result<Response, ApiError> {
    let service = app.service();
    let mut placements: Vec<PlacementBody> =
        service.store().placements().await?.into_iter().map(body(service)).collect();
    for name in BUILT_IN_PLACEMENTS {
        if placements.iter().all(|placement| placement.name != name) {
            placements.push(built_in(service, name));
        }
    }
    placements.sort_by(|a, b| a.name.cmp(&b.name));
    json(&PlacementList { placements })
}

/// One placement
#[utoipa::path(get, path = "/admin/v1/placements/{name}", tag = "admin",
    params(("name" = String, Path, description = "The placement")),
    responses((status = 200, description = "The placement", body = PlacementBody))
)]
async fn get_placement(
    State(app): State<App>,
    PathVariable(name): PathVariable<String>,
) -> Result<Response, ApiError> {
    let placement = find(app.service(), &name).await?;
    match placement.definition {
        Some(_) => json(&placement),
        None => Err(unknown(&name)),
    }
}

/// Save a placement and serve it
#[utoipa::path(put, path = "/admin/v1/placements/{name}", tag = "admin",
    params(("name" = String, Path, description = "The placement", min_length = 1, max_length = 64,
        pattern = "^[A-Za-z0-9][A-Za-z0-9_.-]*$"), Expected),
    request_body = PlacementDefinition,
    responses((status = 200, description = "The placement as it serves now", body = PlacementBody))
)]
async fn put_placement(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    PathVariable(name): PathVariable<String>,
    Params(Expected { version }): Params<Expected>,
    JsonBody(body): JsonBody<Map<String, Value>>,
) -> Result<Response, ApiError> {
    if let Some(problem) = placement_name_problem(&name) {
        return Err(ApiError::invalid(problem));
    }
    let definition = read_definition(body)?;
    let service = app.service();
    service.check_placement(&definition).await?;
    let author = caller.name.as_deref().unwrap_or_default();
    let work = async {
        let version =
            service.put_placement(&name, &definition, version.map(i64::from), author).await?;
        Ok(((), Some(recorded(version, &placement_json(&definition)))))
    };
    change(&app, &caller, "placements.put", &name, work).await
}

/// Delete a placement
///
/// Where there is a built-in placement of its name, that one answers again. A rollback undoes it.
#[utoipa::path(delete, path = "/admin/v1/placements/{name}", tag = "admin",
    params(("name" = String, Path, description = "The placement"), Expected),
    responses((status = 204, description = "It is no longer saved"))
)]
async fn delete_placement(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    PathVariable(name): PathVariable<String>,
    Params(Expected { version }): Params<Expected>,
    _: NoBody,
) -> Result<StatusCode, ApiError> {
    let service = app.service();
    if find(service, &name).await?.version == 0 {
        return Err(unknown(&name));
    }
    let author = caller.name.as_deref().unwrap_or_default();
    let work = async {
        Ok((service.delete_placement(&name, version.map(i64::from), author).await?, None))
    };
    change(&app, &caller, "placements.delete", &name, work).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the versions of a placement
#[utoipa::path(get, path = "/admin/v1/placements/{name}/versions", tag = "admin",
    params(("name" = String, Path, description = "The placement"), VersionParams),
    responses((status = 200, description = "Its versions, deletions included", body = PlacementVersions))
)]
async fn list_placement_versions(
    State(app): State<App>,
    PathVariable(name): PathVariable<String>,
    Params(VersionParams { limit }): Params<VersionParams>,
) -> Result<Response, ApiError> {
    let limit = limit.unwrap_or(DEFAULT_VERSIONS);
    if !(1..=MAX_VERSIONS).contains(&limit) {
        return Err(ApiError::invalid(format!("`limit` must be 1 to {MAX_VERSIONS}, not {limit}")));
    }
    let rows = app.service().store().placement_versions(&name, limit).await?;
    if rows.is_empty() && built_in_placement(&name).is_none() {
        return Err(unknown(&name));
    }
    json(&PlacementVersions {
        versions: rows.into_iter().map(PlacementVersionBody::from).collect(),
    })
}

/// Bring the definition before the current one back
///
/// It becomes a new version. Each rollback goes one definition further back.
#[utoipa::path(post, path = "/admin/v1/placements/{name}/rollback", tag = "admin",
    params(("name" = String, Path, description = "The placement"), Expected),
    responses((status = 200, description = "The placement as it serves now", body = PlacementBody))
)]
async fn rollback_placement(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    PathVariable(name): PathVariable<String>,
    Params(Expected { version }): Params<Expected>,
    _: NoBody,
) -> Result<Response, ApiError> {
    let service = app.service();
    if service.store().placement_versions(&name, 1).await?.is_empty() {
        return Err(unknown(&name));
    }
    let author = caller.name.as_deref().unwrap_or_default();
    let work = async {
        let version = service.rollback_placement(&name, version.map(i64::from), author).await?;
        let after = find(service, &name).await?.definition.filter(|_| version > 0);
        Ok(((), after.map(|definition| recorded(version, &definition))))
    };
    change(&app, &caller, "placements.rollback", &name, work).await
}

/// Try a placement before it is saved
#[utoipa::path(post, path = "/admin/v1/placements/{name}/preview", tag = "admin",
    params(("name" = String, Path, description = "The placement; any name with a `definition`")),
    request_body = PreviewRequest,
    responses((status = 200, description = "The answer and how it comes about", body = Preview))
)]
async fn preview_placement(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    Extension(caller): Extension<Caller>,
    PathVariable(name): PathVariable<String>,
    JsonBody(PreviewRequest { definition, request }): JsonBody<PreviewRequest>,
) -> Result<Response, ApiError> {
    let definition = definition.map(read_definition).transpose()?;
    let mut ask = request.0.into_ask()?;
    ask.request.explain = true;
    ask.request.tell_purchases = app.service().may_tell_purchases(&caller);
    let (answered, stages) = app.service().preview(&name, definition.as_ref(), ask).await?;
    let placement = answered.placement.as_ref().map(|(placement, _)| placement);
    let fields = placement.map_or(&[][..], |placement| &placement.fields);
    let columns = columns(answered.snapshot.catalogue(), fields)?;
    let ignored =
        placement.map(|placement| placement.ignored.iter().map(ToString::to_string).collect());
    json(&Preview {
        ignored: ignored.unwrap_or_default(),
        answer: response(&answered, &columns, &context),
        stages: &stages,
    })
}

/// Makes a change of a placement, records it with what was there before, and answers what is there
/// now.
async fn change(
    app: &App,
    caller: &Caller,
    action: &'static str,
    name: &str,
    work: impl Future<Output = Result<((), Option<Value>), ServeError>>,
) -> Result<Response, ApiError> {
    let service = app.service();
    let before = find(service, name).await?;
    let before = before.definition.as_ref().map(|definition| recorded(before.version, definition));
    let change = Change { actor: "", action, subject: name, before };
    audited(app, caller, change, work).await?;
    json(&find(service, name).await?)
}

/// What the record of changes keeps of a placement.
fn recorded(version: i64, definition: &Value) -> Value {
    serde_json::json!({"version": version, "definition": definition})
}

/// What is saved under a name, or built in; without a definition where nothing is.
async fn find(service: &Service, name: &str) -> Result<PlacementBody, ServeError> {
    let row = service.store().placement_versions(name, 1).await?.pop();
    Ok(match row.filter(|row| row.definition.is_some()) {
        Some(row) => body(service)(row),
        None => built_in(service, name),
    })
}

fn body(service: &Service) -> impl Fn(PlacementVersion) -> PlacementBody {
    let state = service.state();
    move |row| {
        let served = state.placement(&row.name).ok().filter(|served| served.version == row.version);
        let ignored = served.map(|served| served.ignored.iter().map(ToString::to_string).collect());
        PlacementBody {
            name: row.name,
            version: row.version,
            definition: row.definition,
            created_at: Some(row.created_at.to_string()),
            created_by: Some(row.created_by),
            ignored: ignored.unwrap_or_default(),
        }
    }
}

fn built_in(service: &Service, name: &str) -> PlacementBody {
    let state = service.state();
    let served = state.placement(name).ok().filter(|served| served.version == 0);
    let ignored = served.map(|served| served.ignored.iter().map(ToString::to_string).collect());
    PlacementBody {
        name: name.to_owned(),
        version: 0,
        definition: built_in_placement(name).as_ref().map(placement_json),
        created_at: None,
        created_by: None,
        ignored: ignored.unwrap_or_default(),
    }
}

fn unknown(name: &str) -> ApiError {
    let name: String = name.chars().take(64).collect();
    ApiError::new(ErrorCode::UnknownPlacement, format!("no placement `{name}` is saved"))
}

impl From<PlacementVersion> for PlacementVersionBody {
    fn from(row: PlacementVersion) -> Self {
        Self {
            version: row.version,
            definition: row.definition,
            restores: row.restores,
            created_at: row.created_at.to_string(),
            created_by: row.created_by,
        }
    }
}
