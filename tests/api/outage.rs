//! The database goes away and comes back.

use crate::{
    harness::{Api, dataset, fill},
    shop::ITEMS,
    support::{
        self, Database,
        postgres::{self, Cluster},
    },
};
use axum::http::Method;
use serde_json::json;
use std::{sync::Arc, time::Duration};
use vitrine::{
    domain::Timestamp,
    store::{self, Import, StoreOptions},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_degrade_say_so_and_recover() {
    let cluster = Cluster::start();
    let url = cluster.database();
    fill(&url).await;
    let options =
        StoreOptions { acquire_timeout: Duration::from_secs(5), ..StoreOptions::default() };
    let store = store::connect(&url, &options).await.unwrap();
    let api = Api::over_store(store, |config| {
        config.customers.fresh = Duration::ZERO;
        config.database.timeout = Duration::from_secs(10);
    })
    .await;
    let follower = tokio::spawn(api.service.clone().run());
    let whole =
        api.recommend(json!({"customer_id": "customer_id3", "at": "2026-01-01"})).await.json();
    assert_eq!(whole["meta"]["warnings"], json!([]));

    cluster.stop();
    let stale =
        api.recommend(json!({"customer_id": "customer_id3", "at": "2026-01-01"})).await.json();
    assert_eq!(stale["meta"]["warnings"], json!(["customer_data_stale"]));
    assert_eq!(stale["items"], whole["items"], "what was remembered still counts");
    let unread = api.recommend(json!({"customer_id": "customer_id4"})).await;
    assert_eq!(unread.meta()["warnings"], json!(["customer_data_unavailable"]));
    assert_eq!(
        (unread.meta()["strategy"].clone(), unread.article_ids().len()),
        (json!("personalised"), 12)
    );
    let stranger = api.recommend(json!({"customer_id": "newcomer"})).await;
    assert_eq!(stranger.meta()["fallback"], json!("unknown_customer"));
    let ready = api.get("/readyz").await.json();
    assert_eq!((&ready["status"], &ready["database"]), (&json!("degraded"), &json!(false)));
    assert!(ready["reasons"][0].as_str().unwrap().contains("database is away"), "{ready}");
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
    assert_eq!(
        (&whole.meta()["warnings"], &whole.meta()["fallback"]),
        (&json!([]), &json!("unknown_to_model"))
    );
    follower.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_new_customers_is_no_outage() {
    let url = postgres::shared().database();
    fill(&url).await;
    let options = StoreOptions { max_connections: 1, ..support::patient() };
    let api = Api::over_store(store::connect(&url, &options).await.unwrap(), |config| {
        config.database.connections = 1
    });
    let api = Arc::new(api.await);
    // The first query waits for the lock, and everybody behind it for the only connection.
    let lock = support::hold_lock(&url, "LOCK TABLE purchases IN ACCESS EXCLUSIVE MODE").await;
    let ask = |n: usize| {
        let api = api.clone();
        let body = json!({"customer_id": format!("customer_id{}", n % 10), "session": {"article_ids": ["article_id1"]}});
        async move { api.recommend(body).await.meta()["warnings"].clone() }
    };
    let asked: Vec<_> = (0..400).map(|n| tokio::spawn(ask(n))).collect();
    while support::texts(&url, support::BLOCKED).await.is_empty() {
        tokio::task::yield_now().await;
    }
    drop(lock);
    for task in asked {
        assert_eq!(task.await.unwrap(), json!([]));
    }
    let metrics = api.operate(Method::GET, "/metrics", None).await.body;
    assert!(metrics.contains(r#"vitrine_customer_lookups_total{from="degraded"} 0"#), "{metrics}");
}

#[tokio::test]
async fn a_broken_row_is_one_customers_trouble() {
    for database in [Database::sqlite().await, Database::postgres().await] {
        fill(&database.url).await;
        let broken = r#"UPDATE customers SET attributes = '{"age": {"years": 3}}' WHERE id = 'customer_id3'"#;
        support::execute(&database.url, broken).await;
        let api = Api::over_store(database.store.clone(), |_| {}).await;
        let warnings = async |customer: &str| {
            let answer = api.recommend(json!({"customer_id": customer})).await;
            assert_eq!(answer.article_ids().len(), 12);
            answer.meta()["warnings"].clone()
        };
        for _ in 0..4 {
            assert_eq!(warnings("customer_id3").await, json!(["customer_data_unavailable"]));
        }
        assert_eq!(warnings("customer_id4").await, json!([]));
        assert_eq!(api.get("/readyz").await.json(), json!({"status": "ready", "database": true}));
        let metrics = api.operate(Method::GET, "/metrics", None).await.body;
        assert!(
            metrics.contains(r#"vitrine_customer_lookups_total{from="unreadable"} 1"#),
            "it is remembered: {metrics}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_slow_read_is_no_outage() {
    let url = postgres::shared().database();
    fill(&url).await;
    // Far below the test's patience with a busy machine, and far above what a statement takes.
    let options = StoreOptions { customers_timeout: Duration::from_secs(1), ..support::patient() };
    let api = Api::over_store(store::connect(&url, &options).await.unwrap(), |_| {}).await;
    let lock = support::hold_lock(&url, "LOCK TABLE purchases IN ACCESS EXCLUSIVE MODE").await;
    let slow = api.recommend(json!({"customer_id": "customer_id3"})).await;
    assert_eq!(slow.meta()["warnings"], json!(["customer_data_unavailable"]));
    drop(lock);
    assert!(api.service.database_available(), "one read that was stopped says little");
    let next = api.recommend(json!({"customer_id": "customer_id3"})).await;
    assert_eq!(next.meta()["warnings"], json!([]));
}

/// As many purchases as the model reads are enough, unless a request needs to know all of them.
#[tokio::test]
async fn a_short_read_answers_as_a_long_one_does() {
    let database = Database::sqlite().await;
    let mut dataset = dataset();
    let buy = |purchases: &mut vitrine::dataset::Purchases, article: u32, day: u32| {
        purchases.customer.push(0);
        purchases.article.push(article);
        purchases.time.push(Timestamp(1_650_000_000 + day * Timestamp::DAY));
    };
    // Many that the model knows, several a day, and then more than a short read holds that it does
    // not know.
    (0..60).for_each(|n| buy(&mut dataset.purchases, 3 * n, n / 7));
    (0..40).for_each(|n| buy(&mut dataset.purchases, ITEMS as u32 + n, 20 + n / 7));
    store::import(&database.url, &support::patient(), &Import::new(&dataset, "many"))
        .await
        .unwrap();
    let api = Api::over_store(database.store.clone(), |_| {}).await;
    for at in ["2026-01-01", "2022-04-25", "2022-04-20"] {
        let ask = |explain: bool| json!({"customer_id": "customer_id0", "at": at, "k": 50, "explain": explain});
        let short = api.recommend(ask(false)).await.article_ids();
        assert_eq!(short, api.recommend(ask(true)).await.article_ids(), "{at}");
    }
    let body = json!({"customer_id": "customer_id0", "k": 500, "exclude": {"purchased": true}});
    let rest = api.recommend(body).await.article_ids();
    for n in (0..60).map(|n| 3 * n) {
        assert!(!rest.contains(&format!("article_id{n}")), "{n} was bought");
    }
}
