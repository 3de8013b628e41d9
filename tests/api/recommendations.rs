//! `POST /v1/recommendations`

use crate::harness::{Api, MODEL};
use serde_json::{Value, json};

const PATH: &str = "/v1/recommendations";

#[tokio::test]
async fn a_known_customer_gets_personal_articles() {
    let api = Api::start().await;
    let reply = api.recommend(json!({"customer_id": "customer_id3"})).await;
    let answer = reply.json();
    assert_eq!(answer["items"].as_array().unwrap().len(), 12);
    for (i, item) in answer["items"].as_array().unwrap().iter().enumerate() {
        assert_eq!(
            (item["rank"].as_u64(), item["source"].as_str()),
            (Some(i as u64 + 1), Some("model"))
        );
    }
    let meta = &answer["meta"];
    assert_eq!(meta["model"], json!({"name": MODEL, "version": api.versions[0]}));
    assert_eq!(
        (&meta["strategy"], &meta["fallback"], &meta["warnings"]),
        (&json!("personalised"), &Value::Null, &json!([]))
    );
    assert_eq!(meta["counts"], json!({"retrieved": 12, "filtered": 50, "filled": 0}));
    assert_eq!(meta["request_id"].as_str(), reply.headers["x-request-id"].to_str().ok());
    let other = api.recommend(json!({"customer_id": "customer_id4"})).await;
    assert_ne!(reply.article_ids(), other.article_ids());
}

#[tokio::test]
async fn strangers_and_guests_are_answered_and_told_how() {
    let api = Api::start().await;
    for (body, strategy, fallback) in [
        (json!({"customer_id": "customer_id15"}), "personalised", Value::Null),
        (json!({"customer_id": "newcomer"}), "personalised", json!("unknown_to_model")),
        (json!({"customer_id": "nobody"}), "popular", json!("unknown_customer")),
        (json!({}), "popular", json!("anonymous")),
        (json!({"session": {"article_ids": ["article_id7"]}}), "session", Value::Null),
        (
            json!({"customer_id": "nobody", "session": {"article_ids": ["article_id7"]}}),
            "session",
            json!("unknown_to_model"),
        ),
        (json!({"session": {"article_ids": ["new7"]}}), "session", Value::Null),
        (json!({"session": {"article_ids": ["never heard of"]}}), "popular", json!("anonymous")),
    ] {
        let reply = api.recommend(body.clone()).await;
        let meta = reply.meta();
        assert_eq!((&meta["strategy"], &meta["fallback"]), (&json!(strategy), &fallback), "{body}");
        assert_eq!(reply.article_ids().len(), 12, "{body}");
    }
    let popular = api.recommend(json!({"k": 2})).await;
    assert_eq!(popular.article_ids(), ["article_id299", "article_id298"]);
    let unknown = api.recommend(json!({"session": {"article_ids": ["never heard of"]}})).await;
    assert_eq!(unknown.meta()["warnings"], json!(["unknown_session_articles"]));
}

#[tokio::test]
async fn k_articles_whenever_k_are_eligible() {
    let api = Api::start().await;
    for (bucket, eligible) in [("one", 1), ("ten", 10), ("hundred", 100), ("many", 2_000)] {
        for (customer, k) in [("customer_id3", 12), ("customer_id3", 500), ("nobody", 500)] {
            let filter = json!({"bucket": bucket});
            let reply =
                api.recommend(json!({"customer_id": customer, "k": k, "filter": filter, "fields": ["bucket"]})).await;
            let ids = reply.article_ids();
            assert_eq!(ids.len(), eligible.min(k), "{bucket} {customer} {k}");
            assert!(!ids.iter().any(|id| id.starts_with("gone")), "sold out: {ids:?}");
            for item in reply.json()["items"].as_array().unwrap() {
                assert_eq!(item["article"], json!({"bucket": bucket}));
            }
        }
    }
    let none =
        api.recommend(json!({"customer_id": "customer_id3", "filter": {"bucket": "none"}})).await;
    assert_eq!((none.article_ids().len(), &none.meta()["counts"]["filtered"]), (0, &json!(2_161)));
}

#[tokio::test]
async fn purchased_and_excluded_articles_do_not_appear() {
    let api = Api::start().await;
    // Customer 3 bought articles 9, 39, 69, 99 and 129.
    let bought = ["article_id9", "article_id39", "article_id69", "article_id99", "article_id129"];
    let filter = json!({"price": {"max": 1.3}});
    let all = api
        .recommend(json!({"customer_id": "customer_id3", "k": 500, "filter": filter}))
        .await
        .article_ids();
    assert!(bought.iter().all(|id| all.iter().any(|other| other == id)));
    let exclude =
        json!({"purchased": true, "article_ids": ["article_id1", "gone1", "never heard of"]});
    let body =
        json!({"customer_id": "customer_id3", "k": 500, "filter": filter, "exclude": exclude});
    let rest = api.recommend(body).await.article_ids();
    assert_eq!(rest.len(), all.len() - 6);
    assert!(!rest.iter().any(|id| bought.contains(&id.as_str()) || id == "article_id1"));
}

#[tokio::test]
async fn max_per_fields_and_explain() {
    let api = Api::start().await;
    let body = json!({
        "customer_id": "customer_id3", "k": 50, "filter": {"bucket": "hundred"}, "max_per": {"product_code": 1},
        "fields": ["product_code", "price", "garment"], "explain": true
    });
    let answer = api.recommend(body).await.json();
    let items = answer["items"].as_array().unwrap();
    let mut codes: Vec<&str> =
        items.iter().map(|i| i["article"]["product_code"].as_str().unwrap()).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!((codes.len(), items.len()), (50, 50));
    assert!(items.iter().all(|item| item["article"]["price"].is_number()));
    let kinds: Vec<&str> = items[0]["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["best_seller"], "nobody without a key is told what the customer bought");
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer() {
    let api = Api::start().await;
    let body = json!({"customer_id": "customer_id3", "k": 100, "at": "2026-01-31", "filter": {"bucket": "many"}});
    let first = api.recommend(body.clone()).await.json();
    for _ in 0..5 {
        assert_eq!(api.recommend(body.clone()).await.json()["items"], first["items"]);
    }
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let api = Api::start().await;
    let long = "x".repeat(200);
    for (body, code, told) in [
        (json!({"k": 0}), "invalid_request", "1 to 500"),
        (json!({"k": 501}), "invalid_request", "501"),
        (json!({"k": -1}), "invalid_request", "a whole number from 1 to 500"),
        (json!({"k": 1.5}), "invalid_request", "a whole number from 1 to 500"),
        (json!({"custommer_id": "1"}), "invalid_request", "custommer_id"),
        (json!({"customer_id": ""}), "invalid_request", "empty"),
        (json!({"customer_id": long}), "invalid_request", "128"),
        (json!({"at": "yesterday"}), "invalid_request", "yesterday"),
        (json!({"filter": {"color": "Black"}}), "unknown_attribute", "bucket, garment, price"),
        (json!({"filter": {"bucket": {"min": 1}}}), "invalid_filter", "bucket"),
        (json!({"filter": {"price": {"min": 2, "max": 1}}}), "invalid_filter", "above"),
        (json!({"fields": ["colour"]}), "unknown_attribute", "colour"),
        (json!({"max_per": {"colour": 1}}), "unknown_attribute", "colour"),
        (json!({"max_per": {"bucket": 0}}), "invalid_request", "at least 1"),
        (json!({"offset": 501}), "invalid_request", "0 to 500"),
        (json!({"article_ids": []}), "invalid_request", "lists no article"),
        (json!({"article_ids": vec!["a"; 1_001]}), "invalid_request", "at most 1000"),
        (json!({"filter": {"any": []}}), "invalid_filter", "at least one"),
        (
            json!({"filter": {"bucket": {"from": "customer.age"}}}),
            "invalid_request",
            "filter of a placement",
        ),
        (
            json!({"filter": {"not": {"bucket": {"from": "customer.age"}}}}),
            "invalid_request",
            "filter of a placement",
        ),
        (
            json!({"filter": {"price": {"max_days_ago": 0.5}}}),
            "invalid_filter",
            "whole number of days",
        ),
        (json!({"filter": {"bucket": {"same_as": "me"}}}), "invalid_filter", "article"),
        (json!({"session": {"article_ids": vec!["a"; 201]}}), "invalid_request", "at most 200"),
        (json!([]), "invalid_request", "an object"),
        (json!({"session": []}), "invalid_request", "an object"),
        (json!({"exclude": [[], true]}), "invalid_request", "an object"),
        (json!({"generation": ["greedy"]}), "invalid_request", "an object"),
    ] {
        let detail = api.post(PATH, &body).await.problem(400, code);
        assert!(detail.contains(told), "{body}: {detail}");
    }
    let detail = api.post(PATH, &json!({"model": "other"})).await.problem(404, "unknown_model");
    assert!(detail.contains("other") && detail.contains(MODEL), "{detail}");
}

#[tokio::test]
async fn pages_share_no_article() {
    let api = Api::start().await;
    for body in [
        json!({"customer_id": "customer_id3"}),
        json!({"customer_id": "customer_id3", "filter": {"bucket": "hundred"}, "max_per": {"product_code": 1}}),
        json!({}),
    ] {
        let mut all = Vec::new();
        for page in 0..4 {
            let mut body = body.clone();
            body.as_object_mut()
                .unwrap()
                .extend([("k".into(), json!(12)), ("offset".into(), json!(page * 12))]);
            let reply = api.recommend(body).await;
            assert_eq!(reply.json()["items"][0]["rank"], json!(page * 12 + 1));
            all.extend(reply.article_ids());
        }
        let distinct: std::collections::BTreeSet<&String> = all.iter().collect();
        assert_eq!((distinct.len(), all.len()), (48, 48), "{body}");
        let mut once = body.clone();
        once.as_object_mut()
            .unwrap()
            .extend([("k".into(), json!(48)), ("offset".into(), json!(0))]);
        assert_eq!(api.recommend(once).await.article_ids(), all, "{body}");
    }
    let got = api.get("/v1/popular?k=2&offset=1").await.article_ids();
    assert_eq!(got, ["article_id298", "article_id297"]);
}

#[tokio::test]
async fn a_filter_may_follow_the_article_looked_at() {
    let api = Api::start().await;
    let filter = json!({"bucket": {"same_as": "article"}});
    let body = json!({"session": {"article_ids": ["article_id9"]}, "filter": filter, "fields": ["bucket"], "k": 3});
    let items = api.recommend(body).await.json()["items"].clone();
    let buckets: Vec<&Value> =
        items.as_array().unwrap().iter().map(|item| &item["article"]["bucket"]).collect();
    assert_eq!(buckets, [&json!("ten"); 3]);
    let nothing = api.recommend(json!({"filter": filter, "k": 3})).await;
    assert_eq!(
        (nothing.article_ids().len(), &nothing.meta()["warnings"]),
        (3, &json!(["condition_left_out"]))
    );
}

#[tokio::test]
async fn an_explained_article_says_which_sources_found_it() {
    let api = Api::start().await;
    let reply =
        api.recommend(json!({"customer_id": "customer_id3", "explain": true, "k": 2})).await.json();
    let second = &reply["items"][1];
    assert_eq!(
        (&second["sources"][0]["source"], &second["sources"][0]["rank"]),
        (&json!("model"), &json!(2))
    );
    assert_eq!((&second["sources"][0]["score"], &second["rules"]), (&second["score"], &json!([])));
    let plain = api.recommend(json!({"customer_id": "customer_id3", "k": 2})).await.json();
    assert!(plain["items"][0].get("sources").is_none() && plain["items"][0].get("rules").is_none());
}

#[tokio::test]
async fn a_given_list_is_ranked() {
    let api = Api::start().await;
    let list = ["no such", "article_id9", "gone1", "article_id7", "new3", "nor this"];
    let reply = api
        .recommend(json!({"customer_id": "customer_id3", "article_ids": list, "fields": ["price"]}))
        .await;
    let ids = reply.article_ids();
    assert_eq!((ids.len(), &ids[3..]), (5, &["no such".to_owned(), "nor this".to_owned()][..]));
    let answer = reply.json();
    assert_eq!(
        (&answer["items"][3]["source"], &answer["items"][3]["rank"]),
        (&json!("unknown"), &json!(4))
    );
    assert_eq!(answer["meta"]["unknown_article_ids"], json!(["no such", "nor this"]));
    assert_eq!(answer["meta"]["warnings"], json!(["unknown_article_ids"]));
    let whole = api
        .recommend(
            json!({"customer_id": "customer_id3", "k": 500, "filter": {"price": {"max": 0.2}}}),
        )
        .await;
    let order: Vec<String> =
        whole.article_ids().into_iter().filter(|id| list.contains(&id.as_str())).collect();
    assert_eq!(
        order,
        ids.iter().filter(|id| id.starts_with("article")).cloned().collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn filters_combine_and_misspelt_values_are_told() {
    let api = Api::start().await;
    let count = async |filter: Value| {
        api.recommend(json!({"k": 500, "filter": filter})).await.article_ids().len()
    };
    assert_eq!(count(json!({"any": [{"bucket": "one"}, {"bucket": "ten"}]})).await, 11);
    assert_eq!(count(json!({"not": {"bucket": ["many", "hundred"]}})).await, 11);
    assert_eq!(count(json!({"bucket": {"not": ["many", "hundred"]}})).await, 11);
    assert_eq!(count(json!({"bucket": "ten", "garment": {"exists": false}})).await, 2);
    let filter = json!({"bucket": ["ten", "tne"], "not": {"garment": "garmet1"}});
    let reply = api.recommend(json!({"filter": filter})).await;
    assert_eq!(
        (reply.article_ids().len(), &reply.meta()["warnings"]),
        (10, &json!(["unmatched_filter_values"]))
    );
    let unmatched = json!([{"attribute": "bucket", "value": "tne"}, {"attribute": "garment", "value": "garmet1"}]);
    assert_eq!(reply.meta()["unmatched_filter_values"], unmatched);
}

#[tokio::test]
async fn a_moment_in_the_past_knows_no_later_purchases() {
    let api = Api::start().await;
    let key = api.key(&["recommend", "read-purchases"]).await;
    // Customer 3 bought articles 9, 39, 69 and 99, ten days apart, the first on 16 September 2020.
    // The filter leaves few enough articles that all of them are answered.
    let ask = async |at: &str| {
        let body = json!({"customer_id": "customer_id3", "k": 500, "at": at, "explain": true,
            "filter": {"bucket": ["one", "ten", "hundred"]}, "exclude": {"purchased": true}});
        let reply = api.recommend_with(body, Some(&key)).await;
        let items = reply.json()["items"].to_string();
        [9, 39, 69, 99].map(|n| {
            let id = format!("article_id{n}");
            let reason = format!("\"article_id\":\"{id}\",\"kind\":\"like_purchased\"");
            (!reply.article_ids().contains(&id), items.contains(&reason))
        })
    };
    let excluded = |answers: [(bool, bool); 4]| answers.map(|(excluded, _)| excluded);
    assert_eq!(excluded(ask("2021-01-01").await), [true; 4]);
    let past = ask("2020-10-01").await;
    assert_eq!(excluded(past), [true, true, false, false]);
    assert!(past[..2].iter().any(|&(_, named)| named), "the known purchases are reasons: {past:?}");
    assert_eq!(
        ask("0001-01-01T00:00:00Z").await,
        [(false, false); 4],
        "long before the first purchase"
    );
    assert!(
        past[2..].iter().all(|&(_, named)| !named),
        "a reason names a later purchase: {past:?}"
    );
    assert_eq!(ask("2020-09-01").await, [(false, false); 4]);
}

#[tokio::test]
async fn the_public_learns_no_purchases_from_reasons() {
    let api = Api::start().await;
    for excluded in [false, true] {
        let body = json!({"customer_id": "customer_id3", "k": 500, "explain": true, "exclude": {"purchased": excluded},
            "filter": {"bucket": ["one", "ten", "hundred"]}, "session": {"article_ids": ["article_id1"]}});
        let answer = api.recommend(body).await.body;
        assert!(answer.contains("like_seen") && answer.contains("best_seller"), "{answer}");
        for kind in ["like_purchased", "bought_before"] {
            assert!(!answer.contains(kind), "{kind}");
        }
    }
}

#[tokio::test]
async fn the_configuration_may_let_everybody_learn_purchases() {
    let api = Api::start_with(|config| config.http.explain_purchases = true).await;
    let body = json!({"customer_id": "customer_id3", "explain": true, "filter": {"bucket": ["one", "ten", "hundred"]}});
    let reply = api.recommend(body).await;
    assert!(reply.body.contains("like_purchased"), "{}", reply.body);
    assert_eq!(reply.meta()["warnings"], json!([]));
}
