//! The database goes away and comes back.

use crate::{
    harness::{Api, fill},
    support::postgres::Cluster,
};
use axum::http::Method;
use serde_json::json;
use std::time::Duration;
use vitrine::store::{self, StoreOptions};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_degrade_say_so_and_recover() {
    let cluster = Cluster::start();
    let url = cluster.database();
    fill(&url).await;
    let options = StoreOptions { acquire_timeout: Duration::from_secs(5), ..StoreOptions::default() };
    let store = store::connect(&url, &options).await.unwrap();
    let api = Api::over_store(store, |config| {
        config.customers.fresh = Duration::ZERO;
        config.database.timeout = Duration::from_secs(10);
    })
    .await;
    let follower = tokio::spawn(api.service.clone().run());
    let whole = api.recommend(json!({"customer_id": "customer_id3", "at": "2026-01-01"})).await.json();
    assert_eq!(whole["meta"]["warnings"], json!([]));

    cluster.stop();
    let stale = api.recommend(json!({"customer_id": "customer_id3", "at": "2026-01-01"})).await.json();
    assert_eq!(stale["meta"]["warnings"], json!(["customer_data_stale"]));
    assert_eq!(stale["items"], whole["items"], "what was remembered still counts");
    let unread = api.recommend(json!({"customer_id": "customer_id4"})).await;
    assert_eq!(unread.meta()["warnings"], json!(["customer_data_unavailable"]));
    assert_eq!((unread.meta()["strategy"].clone(), unread.article_ids().len()), (json!("personalised"), 12));
    let stranger = api.recommend(json!({"customer_id": "newcomer"})).await;
    assert_eq!(stranger.meta()["fallback"], json!("unknown_customer"));
    assert_eq!(api.get("/readyz").await.json(), json!({"status": "degraded", "database": false}));
    assert_eq!(api.status().await["database"]["available"], json!(false));
    let body = json!({"articles": [{"article_id": "new"}]});
    let refused = api.operate(Method::POST, "/admin/v1/articles", Some(body)).await;
    refused.problem(503, "database_unavailable");
    assert_eq!(api.get("/v1/popular").await.article_ids().len(), 12);

    cluster.resume();
    let recovered = async {
        while api.get("/readyz").await.json()["status"] != json!("ready") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), recovered).await.expect("recovery is automatic");
    let whole = api.recommend(json!({"customer_id": "newcomer"})).await;
    assert_eq!((&whole.meta()["warnings"], &whole.meta()["fallback"]), (&json!([]), &json!("unknown_to_model")));
    follower.abort();
}
