//! `/livez`, `/readyz`, `/metrics`, `/admin/v1/status`

use crate::harness::{Api, MODEL, send};
use axum::{
    body::Body,
    http::{Method, Request},
};
use serde_json::json;
use std::sync::Arc;
use vitrine::{
    http::{self, App},
    serving::{Config, Service},
};

#[tokio::test]
async fn a_server_without_a_model_lives_but_is_not_ready() {
    let database = crate::support::Database::sqlite().await;
    let config = Config::default();
    let service =
        Arc::new(Service::new(database.store.clone(), &config, &http::route_patterns()).unwrap());
    let router = http::public(&App::new(service), &config).unwrap();
    let get =
        async |path: &str| send(&router, Request::get(path).body(Body::empty()).unwrap()).await;
    assert_eq!(get("/livez").await.json(), json!({"status": "live"}));
    get("/readyz").await.problem(503, "not_ready");
    get("/v1/popular").await.problem(503, "not_ready");
    get("/v1/articles/a").await.problem(503, "not_ready");
    get("/v1/customers/a/recommendations").await.problem(503, "not_ready");
}

#[tokio::test]
async fn a_loaded_server_is_ready_and_says_what_it_serves() {
    let api = Api::start().await;
    assert_eq!(api.get("/readyz").await.json(), json!({"status": "ready", "database": true}));
    let status = api.status().await;
    assert_eq!(status["ready"], json!(true));
    assert_eq!(status["catalogue"]["articles"], json!(2_161));
    assert_eq!(status["catalogue"]["available"], json!(2_111));
    let model = json!({
        "name": MODEL, "version": api.versions[0], "default": true, "items": 300, "dim": 8, "new_articles": 1_861
    });
    assert_eq!((&status["models"], &status["refusals"]), (&json!([model]), &json!([])));
}

#[tokio::test]
async fn metrics_count_requests_by_route_and_class() {
    let api = Api::start().await;
    api.recommend(json!({"customer_id": "customer_id1"})).await;
    api.get("/v1/articles/none").await;
    api.get("/nowhere").await;
    let text = api.operate(Method::GET, "/metrics", None).await.body;
    for line in [
        r#"vitrine_requests_total{route="/v1/recommendations",class="2xx"} 1"#,
        r#"vitrine_requests_total{route="/v1/articles/{id}",class="4xx"} 1"#,
        r#"vitrine_requests_total{route="unmatched",class="4xx"} 1"#,
        r#"vitrine_request_seconds_count{route="/v1/recommendations"} 1"#,
        &format!(r#"vitrine_stage_seconds_count{{stage="embed",model="{MODEL}"}} 1"#),
        &format!(r#"vitrine_recommendations_total{{model="{MODEL}",strategy="personalised"}} 1"#),
        r#"vitrine_customer_lookups_total{from="database"} 1"#,
        r#"vitrine_reloads_total{result="loaded"} 1"#,
        "vitrine_catalogue_articles 2161",
        &format!(r#"vitrine_model_served{{model="{MODEL}",version="{}"}} 1"#, api.versions[0]),
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
