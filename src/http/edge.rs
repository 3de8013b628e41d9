//! What surrounds every request: its id, limits, time-out, panics, metrics, and the form of errors.

use super::{ApiError, App, ErrorCode};
use crate::serving::Config;
use axum::{
    Router,
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a handler may know of its request.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) request_id: HeaderValue,
    pub(super) started: Instant,
}

impl Context {
    pub(super) fn request_id(&self) -> &str {
        text(&self.request_id)
    }
}

struct Edge {
    app: App,
    timeout: Duration,
    /// Requests in progress, health checks and metrics not counted.
    permits: Semaphore,
}

/// Puts the edge around a router.
pub(super) fn around(router: Router<App>, app: &App, config: &Config) -> Router<App> {
    let permits = Semaphore::new(config.limits.concurrent_requests);
    let edge = Edge { app: app.clone(), timeout: config.http.request_timeout, permits };
    router.layer(middleware::from_fn_with_state(Arc::new(edge), pass))
}

async fn pass(State(edge): State<Arc<Edge>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = request_id(request.headers());
    request.extensions_mut().insert(Context { request_id: request_id.clone(), started });
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map(MatchedPath::as_str);
    let limited = request.uri().path().starts_with("/v1/");
    let permit = if limited { edge.permits.try_acquire().map(Some) } else { Ok(None) };
    let response = match permit {
        Ok(_permit) => answer(&edge, request, next).await,
        Err(_) => ApiError::new(ErrorCode::Overloaded, "the server is busy; try again").into_response(),
    };
    let mut response = finish(&edge, response, &request_id);
    response.headers_mut().insert(REQUEST_ID, request_id);
    edge.app.service().metrics().route(route).record(response.status().as_u16(), started.elapsed());
    response
}

async fn answer(edge: &Edge, request: Request, next: Next) -> Response {
    let guarded = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(edge.timeout, guarded).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            let message = panic.downcast_ref::<String>().map(String::as_str);
            let message = message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            ApiError::internal(format!("a handler panicked: {message}")).into_response()
        }
        Err(_) => {
            let detail = format!("no answer within {} ms", edge.timeout.as_millis());
            ApiError::new(ErrorCode::Timeout, detail).into_response()
        }
    }
}

/// Turns whatever is an error into a problem document and logs it if it is the server's fault.
fn finish(edge: &Edge, response: Response, request_id: &HeaderValue) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    let error = parts.extensions.remove::<ApiError>().unwrap_or_else(|| foreign(status));
    let (status, _, name) = error.code.parts();
    if let Some(cause) = &error.cause {
        tracing::error!(request_id = text(request_id), code = name, cause, "request failed");
    }
    if error.code == ErrorCode::Overloaded {
        edge.app.service().metrics().count_overload();
    }
    let problem = error.problem(text(request_id));
    parts.status = status;
    // What the inner response said of its own body no longer holds; `Allow` and the like do.
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        parts.headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if status == StatusCode::UNAUTHORIZED {
        parts.headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    Response::from_parts(parts, Body::from(body))
}

/// An error that no code of ours made.
fn foreign(status: StatusCode) -> ApiError {
    let code = match status {
        StatusCode::NOT_FOUND => ErrorCode::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => ErrorCode::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::BodyTooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ErrorCode::UnsupportedMediaType,
        status if status.is_client_error() => ErrorCode::InvalidRequest,
        status => return ApiError::internal(format!("an inner service answered {status}")),
    };
    ApiError::new(code, status.canonical_reason().unwrap_or("the request cannot be answered"))
}

pub(super) async fn not_found(uri: Uri) -> ApiError {
    let path: String = uri.path().chars().take(100).collect();
    ApiError::new(ErrorCode::NotFound, format!("there is nothing at {path}; see /docs on the public address"))
}

pub(super) async fn method_not_allowed() -> ApiError {
    ApiError::new(ErrorCode::MethodNotAllowed, "this path answers other methods; see the header `allow`")
}

/// The caller's id if it is a sane one, else a new one that sorts by time.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let sane = |id: &&HeaderValue| {
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        (1..=128).contains(&id.len()) && id.as_bytes().iter().all(allowed)
    };
    headers.get(REQUEST_ID).filter(sane).cloned().unwrap_or_else(|| {
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        let text = uuid::Uuid::now_v7().hyphenated().encode_lower(&mut text);
        HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("none"))
    })
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{http::route_patterns, serving::Service, store};
    use axum::routing::get;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    async fn ask(path: &str) -> (StatusCode, HeaderMap, String) {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("shop.sqlite").display());
        let options = store::StoreOptions::default();
        store::migrate(&url, &options).await.unwrap();
        let store = store::connect(&url, &options).await.unwrap();
        let mut config = Config::default();
        config.http.request_timeout = Duration::from_millis(20);
        let app = App::new(Arc::new(Service::new(store, &config, &route_patterns()).unwrap()));
        let panics = || async {
            if true {
                panic!("the secret of row 7")
            }
        };
        let router = Router::new()
            .route("/panic", get(panics))
            .route("/forever", get(std::future::pending::<()>))
            .route("/foreign", get(|| async { (StatusCode::BAD_GATEWAY, "inner secret") }));
        let router = around(router, &app, &config).with_state(app);
        let response = router.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, headers, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn panics_timeouts_and_foreign_errors_become_opaque_problems() {
        for (path, expected, code) in [
            ("/panic", 500, "\"code\":\"internal\""),
            ("/foreign", 500, "\"code\":\"internal\""),
            ("/forever", 503, "\"code\":\"timeout\""),
        ] {
            let (status, headers, body) = ask(path).await;
            assert_eq!(status.as_u16(), expected, "{path}");
            assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
            assert!(body.contains(code) && !body.contains("secret"), "{body}");
            assert!(body.contains(headers[REQUEST_ID].to_str().unwrap()), "{body}");
        }
    }
}
