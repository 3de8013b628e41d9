//! ETags: who has an answer already gets 304 and no body.
//!
//! `no-cache` lets browsers and proxies keep an answer and makes them ask whether it still holds,
//! so a sold-out article is never served from a cache. Tags are weak because compression changes
//! bytes.

use super::ApiError;
use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};

/// Answers above this size would not be compared but sent.
const LARGEST: usize = 16 << 20;

/// The tag of what answers are made of.
pub(super) fn tag(content: &[u8]) -> HeaderValue {
    let digits: String =
        Sha256::digest(content)[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&format!("W/\"{digits}\"")).unwrap_or(HeaderValue::from_static("W/\"\""))
}

/// Adds a tag to a good answer that has none, and drops the body if the client has it.
pub(super) async fn revalidate(request: Request, next: Next) -> Response {
    let known = request.headers().clone();
    let response = next.run(request).await;
    if response.status() != StatusCode::OK {
        return response;
    }
    let (mut parts, mut body) = response.into_parts();
    if !parts.headers.contains_key(header::ETAG) {
        let Ok(bytes) = to_bytes(body, LARGEST).await else {
            return ApiError::internal("an answer with a tag could not be read").into_response();
        };
        parts.headers.insert(header::ETAG, tag(&bytes));
        body = bytes.into();
    }
    parts.headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
    if has(&known, &parts.headers[header::ETAG]) {
        parts.status = StatusCode::NOT_MODIFIED;
        for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH] {
            parts.headers.remove(name);
        }
        body = Body::empty();
    }
    Response::from_parts(parts, body)
}

/// Whether `If-None-Match` names the tag; weak comparison (RFC 9110, 13.1.2).
fn has(known: &HeaderMap, tag: &HeaderValue) -> bool {
    let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let Ok(tag) = tag.to_str().map(strong) else { return false };
    let lists = known.get_all(header::IF_NONE_MATCH).iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|known| known.trim() == "*" || strong(known) == tag)
}
