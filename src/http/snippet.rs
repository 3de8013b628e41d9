//! The script by which a shop's pages tell events. It is no part of the API that clients are made
//! from.

use super::{App, conditional::revalidate};
use axum::{
    Router,
    http::{HeaderValue, header},
    middleware,
    routing::get,
};
use std::sync::LazyLock;
use tower_http::compression::CompressionLayer;

const SOURCE: &str = include_str!("vitrine.js");

/// The source without what browsers do not need.
static SCRIPT: LazyLock<String> = LazyLock::new(|| {
    let lines =
        SOURCE.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    lines.map(|line| format!("{line}\n")).collect()
});

/// A page of an hour ago still works with this server.
const KEPT: HeaderValue = HeaderValue::from_static("public, max-age=3600");
const JAVASCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");

pub(super) fn routes() -> Router<App> {
    let script = || async {
        ([(header::CONTENT_TYPE, JAVASCRIPT), (header::CACHE_CONTROL, KEPT)], SCRIPT.as_str())
    };
    Router::new()
        .route("/v1/vitrine.js", get(script))
        .route_layer(middleware::from_fn(revalidate))
        // Small, but every visitor's browser loads it.
        .route_layer(CompressionLayer::new())
}
