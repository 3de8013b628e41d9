//! Extractors whose refusals are problem documents that say what to mend.

use super::{
    ApiError, ErrorCode,
    schema::{ObjectOf, whole_members},
};
use crate::{recommend::Placement, serving::Expected};
use axum::{
    body::{Bytes, to_bytes},
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{header, request::Parts},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// A JSON body.
pub(super) struct JsonBody<T>(pub(super) T);

/// The same, or sent as `text/plain`: a browser sends that to another origin without asking first.
pub(super) struct BeaconBody<T>(pub(super) T);

const JSON: &str = "application/json";
const PLAIN: &str = "text/plain";

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        read_json(request, &[JSON]).await.map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for BeaconBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        read_json(request, &[JSON, PLAIN]).await.map(Self)
    }
}

/// Refuses a body. A route that takes none would ignore it and do something else than was asked.
pub(super) struct NoBody;

/// Refuses a body and a query string.
pub(super) struct NoInput;

impl<S: Send + Sync> FromRequest<S> for NoBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let body = read_body(request).await?;
        let body = body.trim_ascii();
        // Some clients send an empty object where there is nothing to say.
        if body.is_empty() || body == b"{}" {
            return Ok(Self);
        }
        let body = short(&String::from_utf8_lossy(body));
        Err(ApiError::invalid(format!(
            "this route takes no body, and nothing was done: leave out `{body}`"
        )))
    }
}

impl<S: Send + Sync> FromRequest<S> for NoInput {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if let Some(query) = request.uri().query().filter(|query| !query.is_empty()) {
            let query = short(query);
            return Err(ApiError::invalid(format!(
                "this route takes no parameters, and nothing was done: leave out `?{query}`"
            )));
        }
        NoBody::from_request(request, state).await.map(|NoBody| Self)
    }
}

async fn read_body(request: Request) -> Result<Bytes, ApiError> {
    // Read before (see `admission`), within its limits.
    to_bytes(request.into_body(), usize::MAX)
        .await
        .map_err(|_| ApiError::invalid("the body could not be read to its end"))
}

async fn read_json<T: DeserializeOwned>(request: Request, kinds: &[&str]) -> Result<T, ApiError> {
    let kind = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or("");
    let kind = kind.split(';').next().unwrap_or("").trim();
    if !kinds.iter().any(|wanted| kind.eq_ignore_ascii_case(wanted)) {
        let kind: String = kind.chars().take(64).collect();
        let detail =
            format!("the body must be JSON: send `content-type: application/json`, not `{kind}`");
        return Err(ApiError::new(ErrorCode::UnsupportedMediaType, detail));
    }
    let body = read_body(request).await?;
    serde_json::from_slice(&body)
        .map(|ObjectOf(value)| value)
        .map_err(|error| refusal::<ObjectOf<T>>(&body, &error))
}

/// The definition of a placement. What is wrong with it names the key.
///
/// # Errors
/// [`ErrorCode::InvalidPlacement`].
pub(super) fn read_definition(body: Map<String, Value>) -> Result<Placement, ApiError> {
    let value = Value::Object(whole_members(body));
    serde_path_to_error::deserialize(value).map_err(|error| {
        let told = told(&error.path().to_string(), &error.inner().to_string());
        ApiError::new(ErrorCode::InvalidPlacement, told)
    })
}

/// Why a body is not what is wanted. Read once more, now with the path to every value.
fn refusal<T: DeserializeOwned>(body: &[u8], error: &serde_json::Error) -> ApiError {
    let place = format!("line {} column {}", error.line(), error.column());
    let message = error.to_string();
    let message = message.strip_suffix(&format!(" at {place}")).unwrap_or(&message);
    if !error.is_data() {
        let detail = format!("the body is not valid JSON: {message} ({place})");
        return ApiError::new(ErrorCode::InvalidJson, detail);
    }
    let path = match serde_path_to_error::deserialize::<_, T>(
        &mut serde_json::Deserializer::from_slice(body),
    ) {
        Err(error) => error.path().to_string(),
        Ok(_) => String::new(),
    };
    ApiError::invalid(format!("{} ({place})", told(&path, message)))
}

/// A message of a deserialiser about the value at `path`, in the words of an API.
fn told(path: &str, message: &str) -> String {
    let path = if path == "." { "" } else { path };
    let subject = if path.is_empty() { "the body".to_owned() } else { format!("`{path}`") };
    let inside = |key: &str| match path.rsplit_once('.') {
        Some((parent, last)) if last == key => format!(" in `{parent}`"),
        _ if path.is_empty() || path == key => String::new(),
        _ => format!(" in `{path}`"),
    };
    match Expected::read(message) {
        Some(Expected::Other { wanted, found }) => {
            format!("{subject} must be {wanted}, not {}", short(&found))
        }
        Some(Expected::UnknownKey { key, known }) => {
            format!("unknown key `{}`{}; known: {known}", short(&key), inside(&key))
        }
        Some(Expected::UnknownValue { value, known }) => {
            format!("{subject} must be one of {known}, not `{}`", short(&value))
        }
        Some(Expected::Missing(key)) => format!("`{key}`{} is missing", inside(&key)),
        Some(Expected::Twice(key)) => format!("`{key}`{} is given twice", inside(&key)),
        None => match message {
            "invalid digit found in string" | "number too large to fit in target type" => {
                format!("{subject} must be a whole number, 0 or above")
            }
            "cannot parse integer from empty string" => {
                format!("{subject} is empty; give a whole number")
            }
            "provided string was not `true` or `false`" => {
                format!("{subject} must be true or false")
            }
            _ => format!("{subject}: {message}"),
        },
    }
}

/// The beginning of a text of the caller.
fn short(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// The query string.
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let parsed = Query::try_from_uri(&parts.uri);
        parsed.map(|Query(value)| Self(value)).map_err(|rejection| {
            let text = rejection.body_text();
            let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
            // `name: what is wrong`, unless the name itself is.
            let (name, message) = match text.split_once(": ") {
                Some((name, message)) if !name.contains(' ') => (name, message),
                _ => ("", text),
            };
            ApiError::invalid(format!("query string: {}", told(name, message)))
        })
    }
}

/// The one variable of the path.
pub(super) struct PathVariable<T>(pub(super) T);

impl<S: Send + Sync, T: TryFrom<String, Error: std::fmt::Display>> FromRequestParts<S>
    for PathVariable<T>
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| ApiError::invalid(rejection.body_text()))?;
        T::try_from(text).map(Self).map_err(|error| ApiError::invalid(format!("path: {error}")))
    }
}
