//! What surrounds every request: its id, panics, metrics, log lines, and the form of errors.

use super::{
    ApiError, App, ErrorCode,
    access_log::{AccessLog, Entry},
    around::{Around, Middleware, answer_of},
};
use crate::serving::{Config, Traced, stages};
use axum::{
    body::Body,
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::Route,
};
use futures_util::FutureExt;
use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

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

pub(super) struct Edge {
    app: App,
    log: AccessLog,
}

/// The layer that puts the edge around a router.
pub(super) fn around(app: &App, config: &Config) -> Around<Edge> {
    Around::new(Edge { app: app.clone(), log: AccessLog::new(&config.log) })
}

impl Middleware for Edge {
    async fn handle(self: Arc<Self>, mut request: Request, to: Route) -> Response {
        let started = Instant::now();
        let request_id = request_id(request.headers());
        request.extensions_mut().insert(Context { request_id: request_id.clone(), started });
        let route = request.extensions().get::<MatchedPath>().cloned();
        let route = route.as_ref().map(MatchedPath::as_str);
        let method = request.method().clone();
        let metrics = self.app.service().metrics();
        let _in_flight = metrics.request_begins();
        let tracer = self.app.service().tracer();
        let trace =
            tracer.and_then(|tracer| Some((tracer, tracer.begin(traceparent(request.headers()))?)));
        let (response, stages) = stages::record(answer(request, to)).await;
        let (mut response, code) = finish(&self, response, &request_id);
        response.headers_mut().insert(REQUEST_ID, request_id.clone());
        let took = started.elapsed();
        metrics.route(route).record(response.status().as_u16(), took);
        self.log.write(&Entry {
            request_id: text(&request_id),
            method: &method,
            route: route.unwrap_or("unmatched"),
            status: response.status(),
            code,
            took,
            stages: &stages,
        });
        if let Some((tracer, context)) = trace {
            let (request_id, method, route) =
                (text(&request_id), method.as_str(), route.unwrap_or("unmatched"));
            let status = response.status().as_u16();
            tracer.end(
                &context,
                &Traced { request_id, method, route, status, started, stages: &stages },
            );
        }
        response
    }
}

fn traceparent(headers: &HeaderMap) -> Option<&str> {
    headers.get("traceparent")?.to_str().ok()
}

/// The answer of what lies within, or of a panic.
async fn answer(request: Request, to: Route) -> Response {
    match AssertUnwindSafe(answer_of(to, request)).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => {
            let message = panic.downcast_ref::<String>().map(String::as_str);
            let message =
                message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            ApiError::internal(format!("a handler panicked: {message}")).into_response()
        }
    }
}

/// Turns whatever is an error into a problem document and logs its cause if it is the server's
/// fault.
fn finish(
    edge: &Edge,
    response: Response,
    request_id: &HeaderValue,
) -> (Response, Option<ErrorCode>) {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return (response, None);
    }
    let (mut parts, _) = response.into_parts();
    let error = parts.extensions.remove::<ApiError>().unwrap_or_else(|| foreign(status));
    if let Some(cause) = &error.cause {
        let code = error.code.parts().2;
        tracing::error!(request_id = text(request_id), code, cause, "request failed");
    }
    let metrics = edge.app.service().metrics();
    if let Some(overload) = error.overload {
        metrics.count_overload(overload);
    }
    if matches!(
        error.code,
        ErrorCode::Timeout | ErrorCode::StillRunning | ErrorCode::RequestTimeout
    ) {
        metrics.count_timeout();
    }
    parts.status = error.code.parts().0;
    // What the inner response said of its own body no longer holds; `Allow` and the like do.
    parts.headers.remove(header::CONTENT_LENGTH);
    // One by one: `extend` would add to what the inner response has.
    for (name, value) in problem_headers(&error) {
        parts.headers.insert(name, value);
    }
    (Response::from_parts(parts, Body::from(problem(&error, text(request_id)))), Some(error.code))
}

fn problem(error: &ApiError, request_id: &str) -> Vec<u8> {
    serde_json::to_vec(&error.problem(request_id)).unwrap_or_default()
}

/// The headers that say what kind of error it is.
fn problem_headers(error: &ApiError) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let kind = (header::CONTENT_TYPE, "application/problem+json");
    let more = match error.code.parts().0 {
        StatusCode::SERVICE_UNAVAILABLE => Some((header::RETRY_AFTER, "1")),
        StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, "Bearer")),
        // The rest of the body is not read.
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT => {
            Some((header::CONNECTION, "close"))
        }
        _ => None,
    };
    [Some(kind), more]
        .into_iter()
        .flatten()
        .map(|(name, value)| (name, HeaderValue::from_static(value)))
}

/// The bytes of an answer to a client that has not brought a request this far; the connection ends
/// with it.
pub(super) fn bare(error: &ApiError) -> Vec<u8> {
    let status = error.code.parts().0;
    let request_id = request_id(&HeaderMap::new());
    let body = problem(error, text(&request_id));
    let reason = status.canonical_reason().unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {} {reason}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\
         x-request-id: {}\r\nconnection: close\r\n\r\n",
        status.as_u16(),
        body.len(),
        text(&request_id)
    );
    [head.into_bytes(), body].concat()
}

/// An error that no code of ours made.
fn foreign(status: StatusCode) -> ApiError {
    let code = match status {
        StatusCode::NOT_FOUND => ErrorCode::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => ErrorCode::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::BodyTooLarge,
        StatusCode::URI_TOO_LONG => ErrorCode::UriTooLong,
        StatusCode::REQUEST_TIMEOUT => ErrorCode::RequestTimeout,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ErrorCode::UnsupportedMediaType,
        status if status.is_client_error() => ErrorCode::InvalidRequest,
        status => return ApiError::internal(format!("an inner service answered {status}")),
    };
    ApiError::new(code, status.canonical_reason().unwrap_or("the request cannot be answered"))
}

pub(super) async fn not_found(uri: Uri) -> ApiError {
    let path: String = uri.path().chars().take(100).collect();
    ApiError::new(
        ErrorCode::NotFound,
        format!("there is nothing at {path}; see /docs on the public address"),
    )
}

pub(super) async fn method_not_allowed() -> ApiError {
    ApiError::new(
        ErrorCode::MethodNotAllowed,
        "this path answers other methods; see the header `allow`",
    )
}

/// The caller's id if it is a sane one, else a new one that sorts by time.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let sane = |id: &&HeaderValue| {
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        (1..=128).contains(&id.len()) && id.as_bytes().iter().all(allowed)
    };
    headers.get(REQUEST_ID).filter(sane).cloned().unwrap_or_else(|| {
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        let text = time_ordered_id().hyphenated().encode_lower(&mut text);
        HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("none"))
    })
}

/// A UUID of version 7. Its random bits come from the thread's generator, which spares each request
/// a call of the system.
fn time_ordered_id() -> uuid::Uuid {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(since_epoch.as_millis() as u64, &rand::random())
        .into_uuid()
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        http::{
            admission::{Admission, Gate},
            route_patterns,
        },
        serving::Service,
        store,
    };
    use axum::{Router, routing::get};
    use http_body_util::BodyExt;
    use std::time::Duration;
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
        let router = router.layer(Gate::open(Arc::new(Admission::public(&config))));
        let router = router.layer(around(&app, &config)).with_state(app);
        let response =
            router.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
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
