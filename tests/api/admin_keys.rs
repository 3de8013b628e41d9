//! `/admin/v1/keys`, `/admin/v1/audit`, and what keys may do.

use crate::harness::{Api, KEY, MODEL, Reply, send};
use axum::{
    Router,
    body::Body,
    http::{Method, Request, header},
};
use serde_json::{Value, json};
use std::time::Duration;

const KEYS: &str = "/admin/v1/keys";

/// Makes a key and answers its secret.
async fn make(api: &Api, name: &str, more: Value) -> String {
    let mut body = json!({"name": name});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let reply = api.operate(Method::POST, KEYS, Some(body)).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    reply.json()["key"].as_str().unwrap().to_owned()
}

async fn ask(router: &Router, method: Method, path: &str, key: &str, body: Option<Value>) -> Reply {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::AUTHORIZATION, format!("Bearer {key}"));
    let request = match body {
        Some(body) => request
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string())),
        None => request.body(Body::empty()),
    };
    send(router, request.unwrap()).await
}

async fn get(router: &Router, path: &str, key: &str) -> Reply {
    ask(router, Method::GET, path, key, None).await
}

#[tokio::test]
async fn a_key_is_told_once_used_and_withdrawn() {
    let api = Api::start_with(|config| config.http.require_key = true).await;
    api.get("/v1/popular").await.problem(401, "unauthorized");
    assert_eq!(api.get("/livez").await.status, 200, "health checks have no key");
    let secret =
        make(&api, "shop", json!({"scopes": ["recommend"], "requests_per_second": 100})).await;
    assert_eq!(get(&api.public, "/v1/popular", &secret).await.status, 200);
    let list = api.operate(Method::GET, KEYS, None).await;
    assert!(!list.body.contains(&secret));
    let key = &list.json()["keys"][0];
    assert_eq!(
        (&key["name"], &key["scopes"], &key["requests_per_second"]),
        (&json!("shop"), &json!(["recommend"]), &json!(100))
    );

    let twice =
        api.operate(Method::POST, KEYS, Some(json!({"name": "shop", "scopes": ["write"]}))).await;
    assert!(twice.problem(409, "key_exists").contains("shop"));
    assert_eq!(api.operate(Method::DELETE, "/admin/v1/keys/shop", None).await.status, 204);
    get(&api.public, "/v1/popular", &secret).await.problem(401, "unauthorized");
    api.operate(Method::DELETE, "/admin/v1/keys/shop", None).await.problem(404, "unknown_key");
    let again = make(&api, "shop", json!({"scopes": ["recommend"]})).await;
    assert_ne!(again, secret);
}

#[tokio::test]
async fn a_wrong_key_is_refused_even_where_none_is_wanted() {
    let api = Api::start().await;
    get(&api.public, "/v1/popular", "vitrine_guess").await.problem(401, "unauthorized");
    assert_eq!(api.get("/v1/popular").await.status, 200);
    let lower =
        Request::get("/admin/v1/status").header(header::AUTHORIZATION, format!("bearer {KEY}"));
    assert_eq!(send(&api.admin, lower.body(Body::empty()).unwrap()).await.status, 200);
}

#[tokio::test]
async fn each_scope_opens_its_routes_and_no_others() {
    let api = Api::start().await;
    let article = json!({"articles": [{"article_id": "article_id7"}]});
    let reload = format!("/admin/v1/models/{MODEL}/reload");
    let routes = [
        (Method::GET, "/metrics", None, "monitor"),
        (Method::GET, "/admin/v1/status", None, "monitor"),
        (Method::GET, "/admin/v1/models", None, "monitor"),
        (Method::POST, "/admin/v1/articles", Some(article), "write"),
        (Method::GET, "/admin/v1/placements", None, "placements"),
        (Method::PUT, "/admin/v1/customers", Some(json!({"customers": []})), "customers"),
        (Method::GET, KEYS, None, "admin"),
        (Method::GET, "/admin/v1/audit", None, "admin"),
        (Method::POST, reload.as_str(), None, "admin"),
    ];
    for scope in [
        "recommend",
        "read-purchases",
        "write",
        "placements",
        "events",
        "customers",
        "monitor",
        "admin",
    ] {
        let secret = make(&api, scope, json!({"scopes": [scope]})).await;
        for (method, path, body, needed) in &routes {
            let reply = ask(&api.admin, method.clone(), path, &secret, body.clone()).await;
            match scope == *needed || scope == "admin" {
                true => assert_eq!(reply.status, 200, "{scope} {path}: {}", reply.body),
                false => {
                    assert!(reply.problem(403, "forbidden").contains(needed), "{scope} {path}")
                }
            }
        }
        let public = get(&api.public, "/v1/popular", &secret).await;
        assert_eq!(
            public.status == 200,
            ["recommend", "admin"].contains(&scope),
            "{scope}: {}",
            public.body
        );
    }
}

#[tokio::test]
async fn purchases_are_told_only_to_keys_that_may_read_them() {
    let api = Api::start().await;
    let path = "/v1/customers/customer_id3/recommendations?k=50&explain=true";
    let told = |reply: &Reply| {
        let items = reply.json()["items"].to_string();
        items.contains("like_purchased") || items.contains("bought_before")
    };
    let public = make(&api, "public", json!({"scopes": ["recommend"]})).await;
    let support = make(&api, "support", json!({"scopes": ["recommend", "read-purchases"]})).await;
    for reply in [api.get(path).await, get(&api.public, path, &public).await] {
        assert!(!told(&reply) && reply.body.contains("best_seller"), "{}", reply.body);
        assert_eq!(reply.meta()["warnings"], json!(["purchases_not_told"]));
    }
    let reply = get(&api.public, path, &support).await;
    assert!(told(&reply), "{}", reply.body);
    assert_eq!(reply.meta()["warnings"], json!([]));
    let body = json!({"customer_id": "customer_id3", "k": 50, "explain": true});
    assert!(!told(&api.recommend(body.clone()).await));
    assert!(told(
        &ask(&api.public, Method::POST, "/v1/recommendations", &support, Some(body)).await
    ));
}

#[tokio::test]
async fn a_key_that_sends_too_much_is_told_how_long_to_wait() {
    let api = Api::start_with(|config| config.limits.requests_per_second_per_key = 1).await;
    let slow = make(&api, "slow", json!({"scopes": ["recommend"]})).await;
    let fast =
        make(&api, "fast", json!({"scopes": ["recommend"], "requests_per_second": 1_000_000}))
            .await;
    let mut replies = Vec::new();
    for _ in 0..100 {
        replies.push(get(&api.public, "/v1/articles/article_id7", &slow).await);
        assert_eq!(get(&api.public, "/v1/articles/article_id7", &fast).await.status, 200);
    }
    let refused: Vec<&Reply> = replies.iter().filter(|reply| reply.status != 200).collect();
    // Two at once, and one more for each second that the loop may take.
    assert!(replies[0].status == 200 && refused.len() > 30, "{}", refused.len());
    for reply in refused {
        reply.problem(429, "rate_limited");
        assert!(reply.headers[header::RETRY_AFTER].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    }
    assert_eq!(api.get("/v1/articles/article_id7").await.status, 200, "no key, no limit by key");
}

#[tokio::test]
async fn another_server_follows_keys_while_it_serves() {
    let api = Api::start_with(|config| config.http.require_key = true).await;
    let follower = tokio::spawn(api.service.clone().run());
    // The command line is another process: only the database tells the server.
    let (scopes, secret) = (["recommend".to_owned()], "vitrine_of_the_command_line");
    let store = vitrine::store::connect(&api.database(), &crate::support::patient()).await.unwrap();
    let hash = vitrine::serving::hash_secret(secret.as_bytes());
    store
        .add_key(&vitrine::store::NewKey {
            name: "cli",
            hash,
            scopes: &scopes,
            requests_per_second: None,
        })
        .await
        .unwrap();
    let until = async |status: u16| {
        let reached = async {
            while get(&api.public, "/v1/popular", secret).await.status != status {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), reached).await.expect("the server follows");
    };
    until(200).await;
    store.withdraw_key("cli").await.unwrap();
    until(401).await;
    follower.abort();
}

#[tokio::test]
async fn every_change_is_recorded_with_who_and_what() {
    let api = Api::start().await;
    let pim = make(&api, "pim", json!({"scopes": ["write"]})).await;
    let put = json!({"articles": [{"article_id": "article_id7", "price": 9.5, "attributes": {"bucket": "ten"}}]});
    assert_eq!(
        ask(&api.admin, Method::POST, "/admin/v1/articles", &pim, Some(put)).await.status,
        200
    );
    let sold = json!({"article_ids": ["article_id7", "never heard of"], "available": false});
    ask(&api.admin, Method::POST, "/admin/v1/articles/availability", &pim, Some(sold)).await;
    let activate = format!("/admin/v1/models/{MODEL}/activate");
    let new = json!({"version": api.versions[1]});
    assert_eq!(api.operate(Method::POST, &activate, Some(new.clone())).await.status, 200);
    let missing = json!({"version": "20200101T000000Z-00000000"});
    api.operate(Method::POST, &activate, Some(missing)).await.problem(422, "bundle_refused");

    let page = api.operate(Method::GET, "/admin/v1/audit", None).await.json();
    let rows = page["rows"].as_array().unwrap();
    let told: Vec<(&str, &str, &str)> = rows
        .iter()
        .map(|row| {
            (
                row["actor"].as_str().unwrap(),
                row["action"].as_str().unwrap(),
                row["outcome"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("admin.key", "models.activate", "failed"),
        ("admin.key", "models.activate", "done"),
        ("pim", "articles.availability", "done"),
        ("pim", "articles.put", "done"),
        ("admin.key", "keys.create", "done"),
    ];
    assert_eq!(told, expected);
    assert!(rows[0]["error"].as_str().unwrap().contains("no bundle"));
    assert_eq!(
        (&rows[1]["before"], &rows[1]["after"]),
        (&json!({"version": api.versions[0]}), &new)
    );
    assert_eq!(
        (&rows[2]["before"], &rows[2]["after"]),
        (&json!({"article_id7": true}), &json!({"article_id7": false}))
    );
    assert_eq!(rows[3]["after"]["article_id7"]["price"], json!(9.5));
    assert_ne!(rows[3]["before"]["article_id7"]["price"], json!(9.5));
    assert!(!page.to_string().contains(&pim), "a secret stands nowhere");

    let first = api.operate(Method::GET, "/admin/v1/audit?limit=3", None).await.json();
    let next = format!("/admin/v1/audit?limit=3&before={}", first["next"]);
    let second = api.operate(Method::GET, &next, None).await.json();
    assert_eq!((second["rows"].as_array().unwrap().len(), &second["next"]), (2, &Value::Null));
    let csv = api.operate(Method::GET, "/admin/v1/audit?format=csv", None).await;
    assert_eq!(
        (csv.headers[header::CONTENT_TYPE].to_str().unwrap(), csv.body.lines().count()),
        ("text/csv", 6)
    );
    let lines = api.operate(Method::GET, "/admin/v1/audit?format=jsonl", None).await;
    assert_eq!(
        lines
            .body
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .collect::<Vec<_>>(),
        *rows
    );
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let api = Api::start().await;
    for (body, told) in [
        (json!({"name": "a b", "scopes": ["write"]}), "`name`"),
        (json!({"name": "admin.key", "scopes": ["write"]}), "another name"),
        (json!({"name": "a", "scopes": []}), "1 to 8"),
        (json!({"name": "a", "scopes": ["fly"]}), "fly"),
        (json!({"name": "a", "scopes": ["write"], "requests_per_second": 0}), "1000000"),
    ] {
        let detail = api
            .operate(Method::POST, KEYS, Some(body.clone()))
            .await
            .problem(400, "invalid_request");
        assert!(detail.contains(told), "{body}: {detail}");
    }
    for path in
        ["/admin/v1/audit?limit=0", "/admin/v1/audit?before=0", "/admin/v1/audit?format=xml"]
    {
        api.operate(Method::GET, path, None).await.problem(400, "invalid_request");
    }
}
