//! Every path answers errors in the same form.

use crate::harness::{Api, KEY, Reply, send};
use axum::{
    body::Body,
    http::{Method, Request, header},
};
use serde_json::json;

async fn raw(api: &Api, kind: &str, body: impl Into<Body>) -> Reply {
    let request = Request::post("/v1/recommendations")
        .header(header::CONTENT_TYPE, kind)
        .body(body.into())
        .unwrap();
    send(&api.public, request).await
}

#[tokio::test]
async fn bad_bodies() {
    let api = Api::start().await;
    let detail = raw(&api, "application/json", "{\n  \"k\": }").await.problem(400, "invalid_json");
    assert!(detail.contains("line 2 column"), "{detail}");
    raw(&api, "application/json", "").await.problem(400, "invalid_json");
    raw(&api, "application/json", &b"{\"customer_id\": \"\xff\"}"[..])
        .await
        .problem(400, "invalid_json");
    raw(&api, "text/plain", "{}").await.problem(415, "unsupported_media_type");
    assert_eq!(raw(&api, "application/json; charset=utf-8", "{}").await.status, 200);
    let big = format!("{{\"customer_id\": \"{}\"}}", "x".repeat(api.config.http.body_limit));
    raw(&api, "application/json", big).await.problem(413, "body_too_large");
}

#[tokio::test]
async fn wrong_values_are_told_without_the_words_of_the_program() {
    let api = Api::start().await;
    for (body, says) in [
        (r#"{"k": -1}"#, "`k` must be a whole number from 1 to 500, not -1 (line 1 column"),
        (r#"{"k": "12"}"#, "`k` must be a whole number from 1 to 500, not the text \"12\""),
        (r#"{"k": 1, "k": 2}"#, "`k` is given twice"),
        (r#"{"explain": 1}"#, "`explain` must be true or false, not 1"),
        (r#"{"max_per": {"a": 1.5}}"#, "`max_per.a` must be a whole number, 0 or above, not 1.5"),
        (
            r#"{"session": {"articles": []}}"#,
            "unknown key `articles` in `session`; known: `article_ids`",
        ),
        (r#"{"fields": {}}"#, "`fields` must be a list, not an object"),
        (r#"{"filter": []}"#, "`filter` must be an object, not a list"),
        (r#"{"strategy": "generate"}"#, "unknown key `strategy`; known: "),
    ] {
        let detail = raw(&api, "application/json", body).await.problem(400, "invalid_request");
        assert!(detail.starts_with(says), "{body}: {detail}");
    }
    for (query, says) in [
        ("k=many", "query string: `k` must be a whole number"),
        ("k=1&k=2", "query string: `k` is given twice"),
        ("explain=1", "query string: `explain` must be true or false"),
        ("colour=red", "query string: unknown key `colour`"),
    ] {
        let detail = api.get(&format!("/v1/popular?{query}")).await.problem(400, "invalid_request");
        assert!(detail.starts_with(says), "{query}: {detail}");
    }
}

#[tokio::test]
async fn a_field_named_twice_is_answered_once() {
    let api = Api::start().await;
    let reply = api.get("/v1/popular?k=1&fields=price,bucket,price").await;
    assert_eq!((reply.status.as_u16(), reply.body.matches("\"price\":").count()), (200, 1));
}

#[tokio::test]
async fn unknown_routes_and_methods() {
    let api = Api::start().await;
    for path in ["/", "/v1", "/v1/nothing", "/docs/nothing.js", "/admin/v1/status", "/metrics"] {
        api.get(path).await.problem(404, "not_found");
    }
    let wrong =
        send(&api.public, Request::delete("/v1/recommendations").body(Body::empty()).unwrap())
            .await;
    wrong.problem(405, "method_not_allowed");
    assert_eq!(wrong.headers[header::ALLOW], "POST");
    api.operate(Method::GET, "/admin/v1/nothing", None).await.problem(404, "not_found");
    api.operate(Method::PUT, "/admin/v1/status", None).await.problem(405, "method_not_allowed");
}

#[tokio::test]
async fn the_admin_listener_wants_its_key_on_every_path() {
    let api = Api::start().await;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let request = Request::get("/admin/v1/status")
            .header(header::AUTHORIZATION, format!("{scheme} {KEY}"));
        assert_eq!(
            send(&api.admin, request.body(Body::empty()).unwrap()).await.status,
            200,
            "{scheme}"
        );
    }
    for path in ["/admin/v1/status", "/admin/v1/models", "/metrics", "/nothing"] {
        for key in [
            None,
            Some("Bearer wrong".to_owned()),
            Some(KEY.to_owned()),
            Some(format!("Bearer {KEY} ")),
        ] {
            let mut request = Request::get(path);
            if let Some(key) = key {
                request = request.header(header::AUTHORIZATION, key);
            }
            let reply = send(&api.admin, request.body(Body::empty()).unwrap()).await;
            assert!(!reply.problem(401, "unauthorized").contains(KEY));
            assert_eq!(reply.headers[header::WWW_AUTHENTICATE], "Bearer");
        }
    }
}

#[tokio::test]
async fn request_ids_are_the_callers_if_sane_and_new_otherwise() {
    let api = Api::start().await;
    let ask = async |id: &str| {
        let request =
            Request::get("/v1/popular").header("x-request-id", id).body(Body::empty()).unwrap();
        send(&api.public, request).await
    };
    let kept = ask("checkout-7.b_2").await;
    assert_eq!(
        (&kept.headers["x-request-id"], &kept.meta()["request_id"]),
        (&"checkout-7.b_2".parse().unwrap(), &json!("checkout-7.b_2"))
    );
    for odd in ["a b", "", &"x".repeat(129), "<script>"] {
        let replaced = ask(odd).await.headers["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!((replaced.len(), replaced.as_bytes()[14]), (36, b'7'), "{odd}: {replaced}");
    }
}

#[tokio::test]
async fn a_busy_server_says_when_to_come_again() {
    let api = Api::start_with(|config| config.limits.concurrent_requests = 1).await;
    let replies = futures_util::future::join_all((0..20).map(|n| {
        let body =
            json!({"customer_id": format!("c{n}"), "k": 500, "filter": {"price": {"max": n}}});
        async {
            let body = body;
            api.post("/v1/recommendations", &body).await
        }
    }))
    .await;
    let (served, refused): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 200);
    assert!(!served.is_empty() && !refused.is_empty());
    for reply in refused {
        reply.problem(503, "overloaded");
        assert_eq!(reply.headers[header::RETRY_AFTER], "1");
    }
    assert_eq!(api.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn browsers_may_call_only_where_it_is_configured() {
    let ask = async |api: &Api| {
        let request = Request::get("/v1/popular").header(header::ORIGIN, "https://shop.example");
        send(&api.public, request.body(Body::empty()).unwrap()).await
    };
    let closed = ask(&Api::start().await).await;
    assert!(!closed.headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
    let open =
        Api::start_with(|config| config.http.cors_origins = vec!["https://shop.example".into()])
            .await;
    let answer = ask(&open).await;
    assert_eq!(answer.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "https://shop.example");
    let exposed = answer.headers[header::ACCESS_CONTROL_EXPOSE_HEADERS]
        .to_str()
        .unwrap()
        .to_ascii_lowercase();
    for name in ["x-request-id", "retry-after", "etag"] {
        assert!(exposed.contains(name), "{exposed}");
    }
    let preflight = Request::options("/v1/recommendations")
        .header(header::ORIGIN, "https://shop.example")
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
        .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "content-type,authorization");
    let answer = send(&open.public, preflight.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.headers[header::ACCESS_CONTROL_MAX_AGE], "7200");
    assert_eq!(answer.headers[header::ACCESS_CONTROL_ALLOW_HEADERS], "content-type,authorization");
}

#[tokio::test]
async fn large_answers_are_compressed_and_small_ones_not() {
    let api = Api::start().await;
    for (k, encoding) in [(3, None), (500, Some("gzip"))] {
        let request =
            Request::get(format!("/v1/popular?k={k}")).header(header::ACCEPT_ENCODING, "gzip");
        let reply = send(&api.public, request.body(Body::empty()).unwrap()).await;
        assert_eq!(
            reply.headers.get(header::CONTENT_ENCODING).map(|e| e.to_str().unwrap()),
            encoding
        );
    }
}

#[tokio::test]
async fn generated_lists_are_asked_for_rightly_and_of_a_sequence_model() {
    let api = Api::start().await;
    let ask = async |more: serde_json::Value| {
        let mut body = json!({"customer_id": "customer_id1", "generation": {"method": "greedy"}});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        raw(&api, "application/json", body.to_string()).await
    };
    for (more, says) in [
        (json!({}), "reads no sequences"),
        (json!({"k": 51}), "`k` must be 1 to 50 with `generation`, not 51"),
        (json!({"offset": 0}), "no pages"),
        (
            json!({"generation": {"method": "beam", "width": 9}}),
            "`generation.width` must be 1 to 8, not 9",
        ),
        (
            json!({"generation": {"method": "sample", "temperature": 0}}),
            "`generation.temperature` must be 0.01 to 10",
        ),
        (
            json!({"generation": {"method": "sample", "top_p": 1.5}}),
            "`generation.top_p` must be above 0",
        ),
        (
            json!({"generation": {"method": "sample", "seed": 1u64 << 53}}),
            "`generation.seed` must be 0 to",
        ),
    ] {
        let detail = ask(more).await.problem(400, "invalid_request");
        assert!(detail.contains(says), "{detail}");
    }
    for more in [
        json!({"strategy": "generate"}),
        json!({"generation": {"method": "dream"}}),
        json!({"generation": {"method": "greedy", "width": 2}}),
        json!({"generation": {"method": "sample", "seed": -1}}),
        json!({"generation": {}}),
    ] {
        let reply = ask(more.clone()).await;
        assert_eq!(reply.status, 400, "{more}");
    }
}
