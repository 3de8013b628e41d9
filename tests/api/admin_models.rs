//! `/admin/v1/models…`

use crate::harness::{Api, MODEL, Reply};
use axum::http::Method;
use serde_json::{Value, json};

async fn change(api: &Api, what: &str, body: Option<Value>) -> Reply {
    api.operate(Method::POST, &format!("/admin/v1/models/{MODEL}/{what}"), body).await
}

async fn served(api: &Api) -> String {
    api.get("/v1/popular").await.meta()["model"]["version"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn versions_are_listed_activated_and_rolled_back() {
    let api = Api::start().await;
    let list = api.operate(Method::GET, "/admin/v1/models", None).await.json();
    let row = |version: &str, on: bool| json!({"name": MODEL, "version": version, "active": on, "served": on});
    let [old, new] = &api.versions;
    assert_eq!(list, json!({"models": [row(new, false), row(old, true)]}));

    let reply = change(&api, "activate", Some(json!({"version": new}))).await;
    assert_eq!(reply.json(), json!({"name": MODEL, "version": new, "previous": old}));
    assert_eq!(&served(&api).await, new);
    assert_eq!(api.get("/v1/popular?k=1").await.article_ids(), ["article_id0"], "the new version's popularity");

    let reply = change(&api, "rollback", None).await;
    assert_eq!(reply.json()["version"], json!(old));
    assert_eq!(&served(&api).await, old);
    change(&api, "rollback", None).await.problem(409, "no_previous_version");
    assert_eq!(change(&api, "reload", None).await.json()["version"], json!(old));
    assert_eq!(&served(&api).await, old);
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let api = Api::start().await;
    let activate = async |version: &str| change(&api, "activate", Some(json!({"version": version}))).await;
    let detail = activate("20200101T000000Z-00000000").await.problem(422, "bundle_refused");
    assert!(detail.contains("no bundle"), "{detail}");
    for odd in ["../../etc", "", "latest"] {
        activate(odd).await.problem(422, "bundle_refused");
    }
    change(&api, "activate", Some(json!({}))).await.problem(400, "invalid_request");
    change(&api, "activate", None).await.problem(415, "unsupported_media_type");
    let other = api.operate(Method::POST, "/admin/v1/models/other/reload", None).await;
    assert!(other.problem(404, "unknown_model").contains(MODEL));
    let other = api.operate(Method::POST, "/admin/v1/models/other/rollback", None).await;
    other.problem(409, "no_previous_version");
    assert_eq!(served(&api).await, api.versions[0]);
}
