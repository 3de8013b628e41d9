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
    assert_eq!((reply.status.as_u16(), reply.json()), (200, json!({"written": 1, "served": true})));
    let spring =
        api.recommend(json!({"customer_id": "customer_id3", "filter": {"tags": "linen"}})).await;
    assert_eq!(spring.article_ids(), ["spring-1"]);
    let shown = api.get("/v1/articles/spring-1").await.json();
    assert_eq!(
        shown["attributes"],
        json!({"bucket": "spring", "tags": ["linen", "light"], "stars": 4})
    );
    assert_eq!((&shown["price"], &shown["image_url"]), (&json!(5.5), &json!("https://img/1.jpg")));
}

#[tokio::test]
async fn what_is_sold_out_disappears_from_every_path_at_once() {
    let api = Api::start().await;
    let ten: Vec<String> = (1..=10).map(|n| format!("article_id{n}")).collect();
    let filter = json!({"bucket": "ten"});
    assert_eq!(
        api.recommend(json!({"customer_id": "customer_id3", "filter": filter}))
            .await
            .article_ids()
            .len(),
        10
    );
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
        assert!(
            !api.get(path).await.article_ids().iter().any(|id| ten[..9].contains(id)),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_bad_article_keeps_the_whole_batch_out() {
    let api = Api::start().await;
    let good = json!({"article_id": "good"});
    for (bad, told) in [
        (json!({"article_id": ""}), "empty"),
        (json!({"article_id": "bad", "attributes": {"a": {"b": 1}}}), "must be a number, a text"),
        (json!({"article_id": "bad", "colour": "red"}), "colour"),
        (json!({"article_id": "bad", "attributes": {"a": 1e300}}), "between -2^63 and 2^63"),
    ] {
        let detail =
            put(&api, json!({"articles": [good, bad]})).await.problem(400, "invalid_request");
        assert!(detail.contains(told), "{detail}");
    }
    api.get("/v1/articles/good").await.problem(404, "unknown_article");
}

#[tokio::test]
async fn an_article_that_the_catalogue_does_not_take_is_told_and_changes_nothing() {
    let api = Api::start().await;
    let before = api.get("/v1/articles/article_id7").await.json();
    let many: serde_json::Map<String, Value> =
        (0..20_000).map(|n| (format!("a{n}"), json!(1))).collect();
    for (mut bad, told) in [
        (json!({"price": -1}), "price"),
        (
            json!({"attributes": {"price": "on request"}}),
            "attribute `price` is a text, but it is a number in this shop",
        ),
        (
            json!({"attributes": {"bucket": ["one"]}}),
            "attribute `bucket` is a list of texts, but it is a text",
        ),
        (json!({"attributes": many}), "it has 20000 attributes; an article may have 200"),
        (json!({"attributes": {"text": "x".repeat(100_000)}}), "an article may have 65536"),
    ] {
        bad["article_id"] = json!("bad");
        let detail = put(&api, json!({"articles": [{"article_id": "good"}, bad]}))
            .await
            .problem(422, "invalid_article");
        assert!(detail.contains(told) && detail.contains("article `bad`"), "{detail}");
        assert!(detail.ends_with("nothing was written"), "{detail}");
    }
    api.get("/v1/articles/good").await.problem(404, "unknown_article");
    assert_eq!(api.get("/v1/articles/article_id7").await.json(), before);
    let cheap = json!({"customer_id": "customer_id3", "filter": {"price": {"max": 0.05}}});
    assert_eq!(api.recommend(cheap).await.article_ids().len(), 6);
}

#[tokio::test]
async fn whole_numbers_are_exact() {
    let api = Api::start().await;
    let articles = json!({"articles": [
        {"article_id": "a", "price": 16777217.01, "attributes": {"ean": 4006381333931i64, "stock": 16777217}},
        {"article_id": "b", "attributes": {"ean": 4006381333932i64, "stock": i64::MAX}},
    ]});
    assert_eq!(put(&api, articles).await.status, 200);
    let shown = api.get("/v1/articles/a").await.body;
    assert!(shown.contains("16777217.01") && shown.contains("4006381333931"), "{shown}");
    assert!(shown.contains("\"stock\":16777217"), "{shown}");
    for (filter, found) in [
        (json!({"ean": 4006381333931i64}), vec!["a"]),
        (json!({"ean": "4006381333932"}), vec!["b"]),
        (json!({"stock": {"min": i64::MAX}}), vec!["b"]),
        (json!({"stock": i64::MAX - 1}), vec![]),
    ] {
        let reply = api
            .recommend(
                json!({"customer_id": "customer_id3", "filter": filter, "fields": ["stock"]}),
            )
            .await;
        assert_eq!(reply.article_ids(), found, "{filter}");
    }
}

/// What once kept every later change out: a number far outside of what the model was trained on.
#[tokio::test]
async fn a_number_beyond_all_others_keeps_nothing_out() {
    let api = Api::start().await;
    let huge = json!({"articles": [{"article_id": "huge", "price": 9e18, "attributes": {"discount": -9e18}}]});
    assert_eq!(put(&api, huge).await.json(), json!({"written": 1, "served": true}));
    assert_eq!(
        put(&api, json!({"articles": [{"article_id": "next"}]})).await.json()["served"],
        true
    );
    assert_eq!(api.get("/v1/articles/huge").await.status, 200);
}

#[tokio::test]
async fn a_deleted_article_is_in_no_answer() {
    let api = Api::start().await;
    let ten: Vec<String> = (1..=10).map(|n| format!("article_id{n}")).collect();
    for id in &ten[..9] {
        let reply = api.operate(Method::DELETE, &format!("/admin/v1/articles/{id}"), None).await;
        assert_eq!((reply.status.as_u16(), reply.body.as_str()), (204, ""));
        api.operate(Method::DELETE, &format!("/admin/v1/articles/{id}"), None)
            .await
            .problem(404, "unknown_article");
        api.get(&format!("/v1/articles/{id}")).await.problem(404, "unknown_article");
        api.get(&format!("/v1/articles/{id}/similar")).await.problem(404, "unknown_article");
    }
    for body in [
        json!({"customer_id": "customer_id3", "filter": {"bucket": "ten"}}),
        json!({"customer_id": "nobody", "filter": {"bucket": "ten"}}),
        json!({"session": {"article_ids": ["article_id2"]}, "filter": {"bucket": "ten"}}),
    ] {
        assert_eq!(api.recommend(body).await.article_ids(), ["article_id10"]);
    }
    for path in ["/v1/popular?k=500", "/v1/articles/article_id30/similar?k=500"] {
        assert!(
            !api.get(path).await.article_ids().iter().any(|id| ten[..9].contains(id)),
            "{path}"
        );
    }
    put(
        &api,
        json!({"articles": [{"article_id": "article_id2", "attributes": {"bucket": "ten"}}]}),
    )
    .await;
    let ten = api.recommend(json!({"customer_id": "nobody", "filter": {"bucket": "ten"}})).await;
    assert_eq!(ten.article_ids().len(), 2);
}

#[tokio::test]
async fn attributes_are_listed_and_declared() {
    let api = Api::start().await;
    let list = api.operate(Method::GET, "/admin/v1/attributes", None).await.json();
    assert!(
        list["attributes"]
            .as_array()
            .unwrap()
            .contains(&json!({"name": "bucket", "kind": "text", "declared": false}))
    );
    let declare = async |name: &str, kind: &str| {
        api.operate(
            Method::PUT,
            &format!("/admin/v1/attributes/{name}"),
            Some(json!({"kind": kind})),
        )
        .await
    };
    declare("bucket", "number").await.problem(422, "invalid_article");
    declare("price", "text").await.problem(400, "invalid_request");
    assert_eq!(
        declare("stars", "number").await.json(),
        json!({"name": "stars", "kind": "number", "declared": true})
    );
    let stars = json!({"articles": [{"article_id": "a", "attributes": {"stars": "four"}}]});
    put(&api, stars).await.problem(422, "invalid_article");
}
