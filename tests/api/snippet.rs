//! `GET /v1/vitrine.js`: the page snippet, and what it does in a page.

use crate::{
    clients::has_node,
    harness::{Api, send},
};
use axum::{
    body::Body,
    http::{Request, header},
};
use std::{fs, path::Path, process::Command};

const PATH: &str = "/v1/vitrine.js";

#[tokio::test]
async fn the_snippet_is_served_to_everybody_and_kept_for_an_hour() {
    let api = Api::start_with(|config| config.http.require_key = true).await;
    let reply = api.get(PATH).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.headers[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
    assert_eq!(reply.headers[header::CACHE_CONTROL], "public, max-age=3600");
    assert!(reply.body.starts_with("(() => {") && !reply.body.contains("\n//"), "{}", reply.body);
    assert!(reply.body.len() < 4_000, "{} bytes", reply.body.len());
    let request = Request::get(PATH).header(header::ACCEPT_ENCODING, "gzip");
    let compressed = send(&api.public, request.body(Body::empty()).unwrap()).await;
    assert_eq!(compressed.headers[header::CONTENT_ENCODING], "gzip");
    let request = Request::get(PATH).header(header::IF_NONE_MATCH, &reply.headers[header::ETAG]);
    let again = send(&api.public, request.body(Body::empty()).unwrap()).await;
    assert_eq!((again.status.as_u16(), again.body.as_str()), (304, ""));
}

#[tokio::test]
async fn the_snippet_tells_what_happens_after_consent_and_loses_nothing() {
    if !has_node() {
        return;
    }
    let served = tempfile::NamedTempFile::new().unwrap();
    fs::write(served.path(), Api::start().await.get(PATH).await.body).unwrap();
    let test = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api/snippet.mjs");
    let output = Command::new("node").arg(test).arg(served.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
