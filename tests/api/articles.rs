//! `GET /v1/articles/{id}` and `…/similar`

use crate::harness::{Api, send};
use axum::{
    body::Body,
    http::{Request, header},
};
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

async fn get_if_changed(api: &Api, path: &str, tag: &str) -> crate::harness::Reply {
    let request = Request::get(path).header(header::IF_NONE_MATCH, tag);
    send(&api.public, request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn an_answer_that_the_client_has_is_not_sent_again() {
    let api = Api::start().await;
    for path in
        ["/v1/articles/article_id7", "/v1/popular?k=3", "/openapi.yaml", "/docs/swagger-ui.css"]
    {
        let first = api.get(path).await;
        let tag = first.headers[header::ETAG].to_str().unwrap();
        assert_eq!(
            (first.status.as_u16(), &first.headers[header::CACHE_CONTROL]),
            (200, &"no-cache".parse().unwrap())
        );
        for known in [
            tag.to_owned(),
            format!("\"other\", {tag}"),
            tag.trim_start_matches("W/").to_owned(),
            "*".into(),
        ] {
            let again = get_if_changed(&api, path, &known).await;
            assert_eq!((again.status.as_u16(), again.body.as_str()), (304, ""), "{path} {known}");
            assert_eq!(again.headers[header::ETAG].to_str().unwrap(), tag);
        }
        let other = get_if_changed(&api, path, "\"other\"").await;
        assert_eq!((other.status.as_u16(), other.body.is_empty()), (200, false), "{path}");
    }
    let path = "/v1/articles/article_id7";
    let tag = api.get(path).await.headers[header::ETAG].to_str().unwrap().to_owned();
    let id = vitrine::domain::ArticleId::parse("article_id7").unwrap();
    api.service.set_available(&[id], false).await.unwrap();
    assert_eq!(
        get_if_changed(&api, path, &tag).await.json()["available"],
        json!(false),
        "what changed is sent"
    );
    get_if_changed(&api, "/v1/articles/none", "*").await.problem(404, "unknown_article");
}

#[tokio::test]
async fn similar_articles_leave_the_article_itself_out() {
    let api = Api::start().await;
    for id in ["article_id7", "new7", "gone7"] {
        let reply = api.get(&format!("/v1/articles/{id}/similar?k=20&explain=true")).await;
        assert_eq!(
            (reply.article_ids().len(), &reply.meta()["strategy"]),
            (20, &json!("similar")),
            "{id}"
        );
        assert!(!reply.article_ids().iter().any(|other| other == id));
        assert_eq!(reply.json()["items"][0]["reasons"][0]["article_id"], json!(id));
    }
    api.get("/v1/articles/other/similar").await.problem(404, "unknown_article");
    api.get("/v1/articles/new7/similar?k=x").await.problem(400, "invalid_request");
}
