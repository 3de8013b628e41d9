//! `POST /v1/recommendations/batch`

use crate::harness::Api;
use serde_json::{Value, json};

const PATH: &str = "/v1/recommendations/batch";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_customer_gets_what_a_single_request_gives() {
    let api = Api::start().await;
    let ids: Vec<String> = (0..100).map(|n| format!("customer_id{}", n % 25)).collect();
    let body = json!({
        "customer_ids": ids, "k": 5, "filter": {"bucket": "hundred"}, "exclude": {"purchased": true}, "fields": ["price"]
    });
    let reply = api.post(PATH, &body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let results = reply.json()["results"].as_array().unwrap().clone();
    assert_eq!(
        results.iter().map(|result| result["customer_id"].as_str().unwrap()).collect::<Vec<_>>(),
        ids
    );
    for result in &results[..25] {
        let mut body = body.clone();
        body.as_object_mut().unwrap().remove("customer_ids");
        body["customer_id"] = result["customer_id"].clone();
        let single = api.recommend(body).await.json();
        assert_eq!(result["answer"]["items"], single["items"], "{}", result["customer_id"]);
        assert_eq!(result["answer"]["meta"]["fallback"], single["meta"]["fallback"]);
    }
}

#[tokio::test]
async fn one_bad_id_costs_only_its_own_answer() {
    let api = Api::start().await;
    let reply = api
        .post(PATH, &json!({"customer_ids": ["customer_id1", "", "x".repeat(129), "nobody"]}))
        .await
        .json();
    let kinds: Vec<(bool, &Value)> = reply["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| (result["answer"].is_object(), &result["problem"]["code"]))
        .collect();
    let bad = json!("invalid_request");
    assert_eq!(kinds, [(true, &Value::Null), (false, &bad), (false, &bad), (true, &Value::Null)]);
}

#[tokio::test]
async fn what_is_wrong_with_all_refuses_all() {
    let api = Api::start().await;
    for (more, code, told) in [
        (json!({"filter": {"color": "Black"}}), "unknown_attribute", "color"),
        (json!({"max_per": {"color": 1}}), "unknown_attribute", "color"),
        (json!({"fields": ["color"]}), "unknown_attribute", "color"),
        (json!({"max_per": {"color": 1}, "customer_ids": [""]}), "unknown_attribute", "color"),
        (json!({"fields": ["color"], "customer_ids": [""]}), "unknown_attribute", "color"),
        (json!({"k": 51}), "invalid_request", "1 to 50 in a batch"),
        (json!({"customer_ids": []}), "invalid_request", "no customer"),
        (json!({"customer_ids": vec!["a"; 1_001]}), "invalid_request", "at most 1000"),
        (json!({"customer_id": "a"}), "invalid_request", "customer_id"),
    ] {
        let mut body = json!({"customer_ids": ["customer_id1"]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let detail = api.post(PATH, &body).await.problem(400, code);
        assert!(detail.contains(told), "{body}: {detail}");
    }
    api.post(PATH, &json!({"customer_ids": ["a"], "model": "other"}))
        .await
        .problem(404, "unknown_model");
}
