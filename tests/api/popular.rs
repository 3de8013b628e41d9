//! `GET /v1/popular`

use crate::harness::Api;
use serde_json::json;

#[tokio::test]
async fn best_sellers_come_first() {
    let api = Api::start().await;
    let reply = api.get("/v1/popular?k=3").await;
    assert_eq!(reply.article_ids(), ["article_id299", "article_id298", "article_id297"]);
    assert_eq!((&reply.meta()["strategy"], &reply.meta()["fallback"]), (&json!("popular"), &json!(null)));
    let all = api.get("/v1/popular?k=500").await.json();
    let sources: Vec<_> = all["items"].as_array().unwrap().iter().map(|i| i["source"].as_str().unwrap()).collect();
    // Article 0 has sold nothing and neither have the new ones.
    assert_eq!((sources[298], sources[299], sources.len()), ("popular", "catalogue", 500));
    api.get("/v1/popular?k=999").await.problem(400, "invalid_request");
}
