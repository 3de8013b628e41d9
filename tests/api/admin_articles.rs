//! `POST /admin/v1/articles`, `POST /admin/v1/articles/availability`

use crate::harness::Api;
use axum::http::Method;
use serde_json::{Value, json};

async fn put(api: &Api, body: Value) -> crate::harness::Reply {
    api.operate(Method::POST, "/admin/v1/articles", Some(body)).await
}

#[tokio::test]
async fn a_new_article_is_recommended_at_once() {
    let api = Api::start().await;
    let article = json!({
        "article_id": "spring-1", "price": 5.5, "image_url": "https://img/1.jpg",
        "attributes": {"bucket": "spring", "tags": ["linen", "light"], "stars": 4}
    });
    let reply = put(&api, json!({"articles": [article]})).await;
    assert_eq!((reply.status.as_u16(), reply.json()), (200, json!({"written": 1})));
    let spring = api.recommend(json!({"customer_id": "customer_id3", "filter": {"tags": "linen"}})).await;
    assert_eq!(spring.article_ids(), ["spring-1"]);
    let shown = api.get("/v1/articles/spring-1").await.json();
    assert_eq!(shown["attributes"], json!({"bucket": "spring", "tags": ["linen", "light"], "stars": 4.0}));
    assert_eq!((&shown["price"], &shown["image_url"]), (&json!(5.5), &json!("https://img/1.jpg")));
}

#[tokio::test]
async fn what_is_sold_out_disappears_from_every_path_at_once() {
    let api = Api::start().await;
    let ten: Vec<String> = (1..=10).map(|n| format!("article_id{n}")).collect();
    let filter = json!({"bucket": "ten"});
    assert_eq!(api.recommend(json!({"customer_id": "customer_id3", "filter": filter})).await.article_ids().len(), 10);
    let mut ids = ten[..9].to_vec();
    ids.push("never heard of".into());
    let body = json!({"article_ids": ids, "available": false});
    let reply = api.operate(Method::POST, "/admin/v1/articles/availability", Some(body)).await;
    assert_eq!(reply.json(), json!({"changed": 9, "unknown": ["never heard of"]}));
    for body in [
        json!({"customer_id": "customer_id3", "filter": filter}),
        json!({"customer_id": "nobody", "filter": filter}),
        json!({"session": {"article_ids": ["article_id50"]}, "filter": filter}),
    ] {
        assert_eq!(api.recommend(body).await.article_ids(), ["article_id10"]);
    }
    for path in ["/v1/popular?k=500", "/v1/articles/article_id3/similar?k=500"] {
        assert!(!api.get(path).await.article_ids().iter().any(|id| ten[..9].contains(id)), "{path}");
    }
}

#[tokio::test]
async fn a_bad_article_keeps_the_whole_batch_out() {
    let api = Api::start().await;
    let good = json!({"article_id": "good"});
    for (bad, told) in [
        (json!({"article_id": "bad", "price": -1}), "price"),
        (json!({"article_id": ""}), "empty"),
        (json!({"article_id": "bad", "attributes": {"a": {"b": 1}}}), "must be a number, a text"),
        (json!({"article_id": "bad", "colour": "red"}), "colour"),
    ] {
        let detail = put(&api, json!({"articles": [good, bad]})).await.problem(400, "invalid_request");
        assert!(detail.contains(told), "{detail}");
    }
    api.get("/v1/articles/good").await.problem(404, "unknown_article");
}
