//! Keys: listed, made, withdrawn. Replicas follow within a moment.

use super::audited;
use crate::{
    http::{
        ApiError, App, ErrorCode,
        answer::json,
        extract::{JsonBody, NoInput, PathVariable},
        schema::Whole,
    },
    serving::{Caller, Scope, ServeError, hash_secret, key_name_problem, new_secret},
    store::{Change, KeyRecord, NewKey},
};
use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_keys, create_key)).routes(routes!(withdraw_key))
}

#[derive(Serialize, ToSchema)]
struct KeyList {
    /// In the order they were made.
    keys: Vec<Key>,
}

/// A key without its secret.
#[derive(Serialize, ToSchema)]
struct Key {
    name: String,
    scopes: Vec<String>,
    /// Most requests in a second; null for the limit of the configuration.
    #[schema(required = true)]
    requests_per_second: Option<u32>,
    #[schema(format = DateTime)]
    created_at: String,
    /// The key is void from then on; null while it is in use.
    #[schema(required = true, format = DateTime)]
    withdrawn_at: Option<String>,
}

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "shop-frontend", "scopes": ["recommend"], "requests_per_second": 200}))]
struct KeyRequest {
    /// By which logs and the audit name the key; no other key in use may have it.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_.-]+$")]
    name: String,
    #[schema(min_items = 1, max_items = 8)]
    scopes: Vec<Scope>,
    /// Most requests in a second; the limit of the configuration if not given.
    #[serde(default)]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 1_000_000)]
    requests_per_second: Option<Whole>,
}

/// A new key. The secret is told this once.
#[derive(Serialize, ToSchema)]
struct NewKeyBody {
    name: String,
    /// Send it as `authorization: Bearer <key>`. The server keeps only a hash of it.
    key: String,
    scopes: Vec<Scope>,
}

/// List the keys
#[utoipa::path(get, path = "/admin/v1/keys", tag = "admin",
    responses((status = 200, description = "All keys, withdrawn ones included", body = KeyList))
)]
async fn list_keys(State(app): State<App>) -> Result<Response, ApiError> {
    let keys = app.service().store().keys().await?.into_iter().map(Key::from).collect();
    json(&KeyList { keys })
}

/// Make a key
#[utoipa::path(post, path = "/admin/v1/keys", tag = "admin", request_body = KeyRequest,
    responses(
        (status = 201, description = "The key, told this once", body = NewKeyBody),
    )
)]
async fn create_key(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    JsonBody(request): JsonBody<KeyRequest>,
) -> Result<Response, ApiError> {
    let (name, scopes, rate) = request.checked()?;
    let key =
        new_secret().map_err(|error| ApiError::internal(format!("no randomness: {error}")))?;
    let store = app.service().store();
    if store.keys().await?.iter().any(|key| key.name == name && key.withdrawn_at.is_none()) {
        let detail =
            format!("there is a key `{name}` already: withdraw it first, or choose another name");
        return Err(ApiError::new(ErrorCode::KeyExists, detail));
    }
    let change = Change { actor: "", action: "keys.create", subject: name, before: None };
    let work = async {
        let new = NewKey {
            name,
            hash: hash_secret(key.as_bytes()),
            scopes: &scopes,
            requests_per_second: rate,
        };
        store.add_key(&new).await?;
        app.service().follow_keys().await?;
        Ok::<_, ServeError>((
            (),
            Some(serde_json::json!({"scopes": scopes, "requests_per_second": rate})),
        ))
    };
    audited(&app, &caller, change, work).await?;
    let body = json(&NewKeyBody {
        name: name.to_owned(),
        key: key.clone(),
        scopes: request.scopes.clone(),
    })?;
    Ok((StatusCode::CREATED, body).into_response())
}

/// Withdraw a key
#[utoipa::path(delete, path = "/admin/v1/keys/{name}", tag = "admin",
    params(("name" = String, Path, description = "The key")),
    responses((status = 204, description = "The key is void"))
)]
async fn withdraw_key(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    PathVariable(name): PathVariable<String>,
    _: NoInput,
) -> Result<StatusCode, ApiError> {
    let store = app.service().store();
    let Some(key) =
        store.keys().await?.into_iter().find(|key| key.name == name && key.withdrawn_at.is_none())
    else {
        let name: String = name.chars().take(64).collect();
        return Err(ApiError::new(
            ErrorCode::UnknownKey,
            format!("there is no key `{name}`, or it is withdrawn"),
        ));
    };
    let before =
        serde_json::json!({"scopes": key.scopes, "requests_per_second": key.requests_per_second});
    let change =
        Change { actor: "", action: "keys.withdraw", subject: &key.name, before: Some(before) };
    let work = async {
        store.withdraw_key(&key.name).await?;
        app.service().follow_keys().await?;
        Ok::<_, ServeError>(((), None))
    };
    audited(&app, &caller, change, work).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl KeyRequest {
    /// The name, the scopes each once, and the limit.
    fn checked(&self) -> Result<(&str, Vec<String>, Option<u32>), ApiError> {
        if let Some(problem) = key_name_problem(&self.name) {
            return Err(ApiError::invalid(format!("`name`: {problem}")));
        }
        if !(1..=Scope::ALL.len()).contains(&self.scopes.len()) {
            return Err(ApiError::invalid(format!(
                "`scopes`: name 1 to {} scopes",
                Scope::ALL.len()
            )));
        }
        let rate = match self.requests_per_second {
            Some(Whole(rate @ 1..=1_000_000)) => Some(rate as u32),
            Some(_) => return Err(ApiError::invalid("`requests_per_second` must be 1 to 1000000")),
            None => None,
        };
        let held = Scope::ALL.into_iter().filter(|scope| self.scopes.contains(scope));
        Ok((&self.name, held.map(|scope| scope.name().to_owned()).collect(), rate))
    }
}

impl From<KeyRecord> for Key {
    fn from(record: KeyRecord) -> Self {
        Self {
            name: record.name,
            scopes: record.scopes,
            requests_per_second: record.requests_per_second,
            created_at: record.created_at.to_string(),
            withdrawn_at: record.withdrawn_at.map(|at| at.to_string()),
        }
    }
}
