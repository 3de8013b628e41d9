//! `/admin/v1/models…`

use crate::harness::{Api, MODEL, Reply};
use axum::http::Method;
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::time::Duration;

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
    assert_eq!(
        api.get("/v1/popular?k=1").await.article_ids(),
        ["article_id0"],
        "the new version's popularity"
    );

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
    let activate =
        async |version: &str| change(&api, "activate", Some(json!({"version": version}))).await;
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

/// Otherwise a rollback "to" a version would silently go to another one.
#[tokio::test]
async fn a_route_without_a_body_refuses_one_and_does_nothing() {
    let api = Api::start().await;
    let [old, new] = &api.versions;
    change(&api, "activate", Some(json!({"version": new}))).await.json();
    let wanted = json!({"version": new});
    let of_models = ["reload", "rollback", "deactivate"]
        .map(|what| (Method::POST, format!("/admin/v1/models/{MODEL}/{what}")));
    let others = ["keys/none", "customers/customer_id1", "visitors/v", "articles/article_id1"]
        .map(|what| (Method::DELETE, format!("/admin/v1/{what}")));
    let of_placements = [
        (Method::DELETE, "/admin/v1/placements/home".to_owned()),
        (Method::POST, "/admin/v1/placements/home/rollback".to_owned()),
    ];
    for (method, path) in of_models.iter().chain(&others).chain(&of_placements) {
        let reply = api.operate(method.clone(), path, Some(wanted.clone())).await;
        let detail = reply.problem(400, "invalid_request");
        assert!(detail.contains("no body") && detail.contains(new.as_str()), "{path}: {detail}");
    }
    for (method, path) in of_models.iter().chain(&others) {
        let reply = api.operate(method.clone(), &format!("{path}?version={new}"), None).await;
        let detail = reply.problem(400, "invalid_request");
        assert!(detail.contains("no parameters"), "{path}: {detail}");
    }
    assert_eq!(&served(&api).await, new);
    assert_eq!(api.get("/v1/articles/article_id1").await.status, 200);
    let rolled_back = change(&api, "rollback", Some(json!({}))).await;
    assert_eq!(rolled_back.json()["version"], json!(old), "an empty object asks for nothing");
}

/// Waits until this version answers.
async fn until_served(api: &Api, version: &str) {
    while served(api).await != version {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_timeout_of_requests_does_not_cut_an_activation() {
    let api = Api::start_with(|config| config.http.request_timeout = Duration::from_nanos(1)).await;
    let reply = change(&api, "activate", Some(json!({"version": api.versions[1]}))).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["version"]), (200, &json!(api.versions[1])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_begun_is_finished_and_told_so() {
    let api =
        Api::start_with(|config| config.admin.request_timeout = Duration::from_nanos(1)).await;
    let reply = change(&api, "activate", Some(json!({"version": api.versions[1]}))).await;
    let detail = reply.problem(504, "still_running");
    assert!(detail.contains("goes on"), "{detail}");
    until_served(&api, &api.versions[1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_does_not_stop_what_it_began() {
    let api = Api::start().await;
    let call = change(&api, "activate", Some(json!({"version": api.versions[1]})));
    assert!(call.now_or_never().is_none(), "a bundle is not loaded at once");
    until_served(&api, &api.versions[1]).await;
}
