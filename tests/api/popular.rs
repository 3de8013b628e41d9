//! `GET /v1/popular`

use crate::{
    harness::{Api, dataset},
    support,
};
use serde_json::json;
use std::time::Duration;
use vitrine::{
    domain::Timestamp,
    serving::PopularityConfig,
    store::{self, Import},
};

#[tokio::test]
async fn best_sellers_come_first() {
    let api = Api::start().await;
    let reply = api.get("/v1/popular?k=3").await;
    assert_eq!(reply.article_ids(), ["article_id299", "article_id298", "article_id297"]);
    assert_eq!(
        (&reply.meta()["strategy"], &reply.meta()["fallback"]),
        (&json!("popular"), &json!(null))
    );
    let all = api.get("/v1/popular?k=500").await.json();
    let sources: Vec<_> =
        all["items"].as_array().unwrap().iter().map(|i| i["source"].as_str().unwrap()).collect();
    // Article 0 has sold nothing and neither have the new ones.
    assert_eq!((sources[298], sources[299], sources.len()), ("popular", "catalogue", 500));
    api.get("/v1/popular?k=999").await.problem(400, "invalid_request");
}

#[tokio::test]
async fn what_a_customer_bought_is_left_out_when_asked() {
    let api = Api::start().await;
    // Customer 7 bought articles 21, 51, 81, 111 and 141.
    let all = api.get("/v1/popular?k=300").await.article_ids();
    let rest = api.get("/v1/popular?k=300&exclude_purchased_by=customer_id7").await.article_ids();
    let bought = ["article_id21", "article_id51", "article_id81", "article_id111", "article_id141"];
    assert!(bought.iter().all(|id| all.iter().any(|other| other == id)));
    assert!(!bought.iter().any(|id| rest.iter().any(|other| other == id)));
    assert_eq!(rest[..3], all[..3]);
    assert_eq!(api.get("/v1/popular?k=300&exclude_purchased_by=nobody").await.article_ids(), all);
}

/// Popularity from the database, with a half-life of a week.
fn counted() -> PopularityConfig {
    PopularityConfig { half_life_days: 7.0, window_days: 365, refresh: Duration::from_secs(3_600) }
}

#[tokio::test]
async fn what_the_shop_sold_lately_is_popular_whatever_the_bundle_says() {
    let api = Api::start_with(|config| config.popularity = Some(counted())).await;
    // One purchase a day of another article, the last of article 147; a week later it counts half.
    let reply = api.get("/v1/popular?k=60").await;
    let (ids, json) = (reply.article_ids(), reply.json());
    assert_eq!(ids[..3], ["article_id147", "article_id144", "article_id141"]);
    let score = |place: usize| json["items"][place]["score"].as_f64().unwrap();
    assert!(
        (score(0) - 1.0).abs() < 1e-6 && (score(7) - 0.5).abs() < 1e-3,
        "{} {}",
        score(0),
        score(7)
    );
    assert_eq!(
        (&json["items"][49]["source"], &json["items"][50]["source"]),
        (&json!("popular"), &json!("catalogue"))
    );
}

#[tokio::test]
async fn what_is_imported_is_popular_at_once() {
    let api = Api::start_with(|config| config.popularity = Some(counted())).await;
    let mut dataset = dataset();
    let first_new = dataset.articles.ids.find("new5").unwrap();
    let end = dataset.purchases.time.last().unwrap().0;
    for n in 0..40 {
        dataset.purchases.customer.push(n % 10);
        dataset.purchases.article.push(first_new);
        dataset.purchases.time.push(Timestamp(end + n));
    }
    let import = Import::new(&dataset, "a day later");
    store::import(&api.database(), &support::patient(), &import).await.unwrap();
    // The process of the import is another one: this server follows the database.
    let follower = tokio::spawn(api.service.clone().run());
    let leads = async {
        while api.get("/v1/popular?k=1").await.article_ids() != ["new5"] {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), leads).await.expect("new5 leads");
    // Whoever is not known gets it too, and a change of an article does not lose it.
    let unknown = api.recommend(json!({"customer_id": "nobody", "k": 1})).await;
    assert_eq!(unknown.article_ids(), ["new5"]);
    let id = vitrine::domain::ArticleId::parse("new5").unwrap();
    api.service.set_available(std::slice::from_ref(&id), false).await.unwrap();
    assert_eq!(api.get("/v1/popular?k=1").await.article_ids(), ["article_id147"]);
    api.service.set_available(&[id], true).await.unwrap();
    assert_eq!(api.get("/v1/popular?k=1").await.article_ids(), ["new5"]);
    follower.abort();
}
