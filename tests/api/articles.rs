//! `GET /v1/articles/{id}` and `…/similar`

use crate::harness::Api;
use serde_json::json;

#[tokio::test]
async fn an_article_is_shown_with_its_attributes() {
    let api = Api::start().await;
    let article = api.get("/v1/articles/article_id7").await.json();
    let attributes = json!({"bucket": "ten", "product_code": "3"});
    let shown = json!({
        "article_id": "article_id7", "available": true, "price": 0.07, "image_url": null, "attributes": attributes
    });
    assert_eq!(article, shown);
    assert_eq!(api.get("/v1/articles/gone3").await.json()["available"], json!(false));
    let detail = api.get("/v1/articles/other").await.problem(404, "unknown_article");
    assert!(detail.contains("other"), "{detail}");
}

#[tokio::test]
async fn similar_articles_leave_the_article_itself_out() {
    let api = Api::start().await;
    for id in ["article_id7", "new7", "gone7"] {
        let reply = api.get(&format!("/v1/articles/{id}/similar?k=20&explain=true")).await;
        assert_eq!((reply.article_ids().len(), &reply.meta()["strategy"]), (20, &json!("similar")), "{id}");
        assert!(!reply.article_ids().iter().any(|other| other == id));
        assert_eq!(reply.json()["items"][0]["reasons"][0]["article_id"], json!(id));
    }
    api.get("/v1/articles/other/similar").await.problem(404, "unknown_article");
    api.get("/v1/articles/new7/similar?k=x").await.problem(400, "invalid_request");
}
