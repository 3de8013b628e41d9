//! Which models serve: those that were activated, whatever else lies in the folder or is missing
//! from it.

use crate::{
    harness::{Api, MODEL, Reply, fill},
    reload::{flip, until},
    support::{self, postgres::Cluster},
};
use axum::http::Method;
use serde_json::{Value, json};
use std::time::Duration;
use vitrine::store::{self, StoreOptions};

async fn change(api: &Api, model: &str, what: &str, body: Option<Value>) -> Reply {
    api.operate(Method::POST, &format!("/admin/v1/models/{model}/{what}"), body).await
}

async fn served(api: &Api) -> Vec<String> {
    let status = api.status().await;
    status["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["name"].as_str().unwrap().to_owned())
        .collect()
}

async fn default_model(api: &Api) -> Value {
    api.get("/v1/popular").await.meta()["model"]["name"].clone()
}

#[tokio::test]
async fn a_colleagues_bundle_in_the_folder_changes_nothing() {
    let api = Api::start().await;
    // Before the other one by name.
    let version = api.add_model("a-colleagues");
    change(&api, MODEL, "activate", Some(json!({"version": api.versions[1]}))).await;
    api.service.catch_up().await.unwrap();
    assert_eq!(served(&api).await, [MODEL]);
    change(&api, "a-colleagues", "reload", None).await.problem(404, "unknown_model");

    // Even activated it does not take over.
    change(&api, "a-colleagues", "activate", Some(json!({"version": version}))).await;
    assert_eq!(served(&api).await, ["a-colleagues", MODEL]);
    assert_eq!(default_model(&api).await, json!(MODEL));
    let named = api.get("/v1/popular?model=a-colleagues").await;
    assert_eq!(named.meta()["model"]["version"], json!(version));

    // Unless that is what was asked for.
    let detail = change(&api, MODEL, "deactivate", None).await.problem(400, "invalid_request");
    assert!(detail.contains("the default"), "{detail}");
    change(&api, "a-colleagues", "activate", Some(json!({"version": version, "default": true})))
        .await;
    assert_eq!(default_model(&api).await, json!("a-colleagues"));
    let gone = change(&api, MODEL, "deactivate", None).await.json();
    assert_eq!(gone, json!({"name": MODEL, "version": api.versions[1]}));
    assert_eq!(served(&api).await, ["a-colleagues"]);
    api.get(&format!("/v1/popular?model={MODEL}")).await.problem(404, "unknown_model");
    change(&api, MODEL, "deactivate", None).await.problem(409, "no_previous_version");

    // The last one may go; then nothing comes up by itself.
    change(&api, "a-colleagues", "deactivate", None).await;
    api.service.catch_up().await.unwrap();
    let detail = api.get("/readyz").await.problem(503, "not_ready");
    assert!(detail.contains("no model is active"), "{detail}");
}

#[tokio::test]
async fn replicas_follow_a_deactivation_and_the_default() {
    let first = Api::start().await;
    let version = first.add_model("other");
    let store = store::connect(&first.database(), &support::patient()).await.unwrap();
    let directory = first.models();
    let second = Api::over_store(store, |config| config.models.directory = directory).await;
    change(&first, "other", "activate", Some(json!({"version": version, "default": true}))).await;
    second.service.catch_up().await.unwrap();
    assert_eq!(default_model(&second).await, json!("other"));
    change(&first, MODEL, "deactivate", None).await;
    second.service.catch_up().await.unwrap();
    assert_eq!(served(&second).await, ["other"]);
}

#[tokio::test]
async fn of_several_models_none_is_chosen() {
    let api = Api::start_unused(|_| {}).await;
    assert_eq!(served(&api).await, [MODEL], "a first start with one model needs no command");
    let database = support::Database::sqlite().await;
    api.add_model("other");
    let api = api.again(database.store.clone(), |_| {});
    api.service.catch_up().await.unwrap();
    let detail = api.get("/readyz").await.problem(503, "not_ready");
    assert!(detail.contains("activate one"), "{detail}");
    let api =
        api.again(database.store.clone(), |config| config.models.default = Some("other".into()));
    api.service.catch_up().await.unwrap();
    assert_eq!(served(&api).await, ["other"], "the configuration says which");
}

#[tokio::test]
async fn an_earlier_version_stands_in_for_a_damaged_one() {
    let api = Api::start().await;
    change(&api, MODEL, "activate", Some(json!({"version": api.versions[1]}))).await;
    let store = store::connect(&api.database(), &support::patient()).await.unwrap();
    flip(&api.bundle(1).join("items.bin"));
    let api = api.again(store, |config| config.database.poll = Duration::from_millis(1));
    assert!(!api.service.catch_up().await.unwrap());
    let [old, new] = &api.versions;
    assert_eq!(api.get("/v1/popular").await.meta()["model"]["version"], json!(old));
    let ready = api.get("/readyz").await.json();
    assert_eq!(ready["status"], json!("degraded"));
    assert!(ready["reasons"][0].as_str().unwrap().contains(new), "{ready}");
    let status = api.status().await;
    assert_eq!(
        (&status["models"][0]["version"], &status["models"][0]["active_version"]),
        (&json!(old), &json!(new))
    );
    assert!(status["refusals"][0]["reason"].as_str().unwrap().contains("sha256"), "{status}");
    let list = api.operate(Method::GET, "/admin/v1/models", None).await.json();
    assert_eq!(
        (&list["models"][0]["version"], &list["models"][0]["active"]),
        (&json!(new), &json!(true))
    );
    let metrics = api.operate(Method::GET, "/metrics", None).await.body;
    assert!(metrics.contains("vitrine_model_stand_ins_total 1"), "{metrics}");

    // Mended, it serves without being asked for.
    flip(&api.bundle(1).join("items.bin"));
    let follower = tokio::spawn(api.service.clone().run());
    until(async || api.get("/readyz").await.json() == json!({"status": "ready", "database": true}))
        .await;
    assert_eq!(api.get("/v1/popular").await.meta()["model"]["version"], json!(new));
    follower.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_starts_without_the_database_and_heals() {
    let cluster = Cluster::start();
    let url = cluster.database();
    fill(&url).await;
    let options =
        StoreOptions { acquire_timeout: Duration::from_secs(5), ..StoreOptions::default() };
    let api = Api::over_store(store::connect(&url, &options).await.unwrap(), |_| {}).await;
    // The newest bundle is not what was active.
    assert_eq!(api.get("/v1/popular").await.meta()["model"]["version"], json!(api.versions[0]));
    cluster.stop();

    let api = api.again(store::connect_later(&url, &options).unwrap(), |config| {
        config.database.timeout = Duration::from_secs(10);
    });
    assert!(api.service.catch_up().await.is_err());
    let follower = tokio::spawn(api.service.clone().run());
    until(async || api.get("/readyz").await.status == 200).await;
    assert_eq!(api.get("/readyz").await.json()["status"], json!("degraded"));
    let guest = api.recommend(json!({"session": {"article_ids": ["article_id5"]}})).await;
    assert_eq!((guest.article_ids().len(), &guest.meta()["strategy"]), (12, &json!("session")));
    assert_eq!(guest.meta()["model"]["version"], json!(api.versions[0]));
    assert_eq!(guest.meta()["warnings"], json!(["catalogue_unavailable"]));
    let stranger = api.recommend(json!({"customer_id": "newcomer"})).await;
    assert_eq!(stranger.meta()["fallback"], json!("unknown_customer"));
    api.post("/v1/recommendations", &json!({"filter": {"bucket": "ten"}}))
        .await
        .problem(503, "database_unavailable");

    cluster.resume();
    until(async || api.get("/readyz").await.json() == json!({"status": "ready", "database": true}))
        .await;
    let filtered = api.recommend(json!({"filter": {"bucket": "ten"}})).await;
    assert_eq!((filtered.article_ids().len(), &filtered.meta()["warnings"]), (10, &json!([])));
    assert_eq!(served(&api).await, [MODEL]);
    follower.abort();
}
