//! Changing bundles under load: no failed request, no mixed answer, and bad bundles stay out.

use crate::{
    harness::{Api, MODEL},
    support,
};
use axum::http::Method;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Asks without pause until told to stop; answers how often, and what each version answered.
async fn load(api: Arc<Api>, stop: Arc<AtomicBool>) -> (usize, BTreeMap<String, BTreeSet<String>>) {
    let (mut asked, mut answers) = (0, BTreeMap::<String, BTreeSet<String>>::new());
    while !stop.load(Ordering::Relaxed) {
        for path in ["/v1/popular?k=20", "/v1/articles/article_id7/similar?k=5"] {
            let reply = api.get(path).await;
            assert_eq!(reply.status, 200, "{}", reply.body);
            let json = reply.json();
            let version = json["meta"]["model"]["version"].as_str().unwrap().to_owned();
            answers.entry(version).or_default().insert(format!("{path}: {}", json["items"]));
            asked += 1;
        }
        tokio::task::yield_now().await;
    }
    (asked, answers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_and_no_answer_mixes_versions() {
    let api = Arc::new(Api::start().await);
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..3).map(|_| tokio::spawn(load(api.clone(), stop.clone()))).collect();
    for round in 0..6 {
        let version = &api.versions[(round + 1) % 2];
        let path = format!("/admin/v1/models/{MODEL}/activate");
        let reply = api.operate(Method::POST, &path, Some(json!({"version": version}))).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
    stop.store(true, Ordering::Relaxed);
    let mut answers = BTreeMap::<String, BTreeSet<String>>::new();
    for client in clients {
        let (asked, seen) = client.await.unwrap();
        assert!(asked > 0);
        seen.into_iter()
            .for_each(|(version, bodies)| answers.entry(version).or_default().extend(bodies));
    }
    assert_eq!(answers.keys().collect::<Vec<_>>(), api.versions.iter().collect::<Vec<_>>());
    for (version, bodies) in answers {
        assert_eq!(bodies.len(), 2, "one answer a path and version {version}");
    }
}

#[tokio::test]
async fn damaged_bundles_are_refused_and_the_old_one_serves() {
    let api = Api::start().await;
    let target = api.bundle(1);
    let before =
        api.recommend(json!({"customer_id": "customer_id3", "at": "2026-01-01"})).await.json();
    type Damage = fn(&std::path::Path);
    let damages: [(&str, Damage); 5] = [
        ("sha256", |bundle| flip(&bundle.join("items.bin"))),
        ("bytes", |bundle| truncate(&bundle.join("index.bin"))),
        ("missing", |bundle| fs::remove_file(bundle.join("query_tower.onnx")).unwrap()),
        ("manifest", |bundle| {
            let path = bundle.join("manifest.json");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(path, text.replacen("\"dim\": 8", "\"dim\": 9", 1)).unwrap();
        }),
        ("no bundle", |bundle| fs::remove_dir_all(bundle).unwrap()),
    ];
    let whole = tempfile::tempdir().unwrap();
    crate::harness::copy(&target, whole.path());
    for (told, damage) in damages {
        let _ = fs::remove_dir_all(&target);
        fs::create_dir_all(&target).unwrap();
        crate::harness::copy(whole.path(), &target);
        damage(&target);
        let path = format!("/admin/v1/models/{MODEL}/activate");
        let reply =
            api.operate(Method::POST, &path, Some(json!({"version": api.versions[1]}))).await;
        let detail = reply.problem(422, "bundle_refused");
        assert!(detail.contains(told), "{told}: {detail}");
        let status = api.status().await;
        assert_eq!(status["models"][0]["version"], json!(api.versions[0]));
        assert_eq!(status["refusals"][0]["version"], json!(api.versions[1]));
        assert!(status["refusals"][0]["reason"].as_str().unwrap().contains(told), "{status}");
        let list = api.operate(Method::GET, "/admin/v1/models", None).await.json();
        let active: Vec<_> = list["models"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|row| row["active"] == json!(true))
            .collect();
        assert_eq!(active[0]["version"], json!(api.versions[0]), "the database still says so");
        let after =
            api.recommend(json!({"customer_id": "customer_id3", "at": "2026-01-01"})).await.json();
        assert_eq!(after["items"], before["items"]);
    }
    let metrics = api.operate(Method::GET, "/metrics", None).await.body;
    assert!(metrics.contains(r#"vitrine_reloads_total{result="refused"} 5"#), "{metrics}");
    assert_eq!(api.get("/readyz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_follow_the_active_version_and_the_catalogue() {
    let first = Api::start().await;
    let url = format!(
        "sqlite:{}",
        first.bundle(0).ancestors().nth(3).unwrap().join("shop.sqlite").display()
    );
    let store = vitrine::store::connect(&url, &support::patient()).await.unwrap();
    let second = Api::over_store(store, |_| {}).await;
    let follower = tokio::spawn(second.service.clone().run());
    let path = format!("/admin/v1/models/{MODEL}/activate");
    first.operate(Method::POST, &path, Some(json!({"version": first.versions[1]}))).await;
    let body = json!({"article_ids": ["article_id5"], "available": false});
    first.operate(Method::POST, "/admin/v1/articles/availability", Some(body)).await;
    let new = json!({"articles": [{"article_id": "spring", "attributes": {"bucket": "spring"}}]});
    first.operate(Method::POST, "/admin/v1/articles", Some(new)).await;
    first.operate(Method::DELETE, "/admin/v1/articles/article_id6", None).await;
    until(async || {
        let version = second.get("/v1/popular").await.meta()["model"]["version"].clone();
        let available = second.get("/v1/articles/article_id5").await.json()["available"].clone();
        let deleted = second.get("/v1/articles/article_id6").await.status == 404;
        let new = second.get("/v1/articles/spring").await.json()["attributes"]
            == json!({"bucket": "spring"});
        version == json!(first.versions[1]) && available == json!(false) && deleted && new
    })
    .await;
    follower.abort();
}

/// Another replica activates what this one does not have yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_that_arrives_late_is_served_without_being_asked_for() {
    let first = Api::start().await;
    let url = format!(
        "sqlite:{}",
        first.bundle(0).ancestors().nth(3).unwrap().join("shop.sqlite").display()
    );
    let store = vitrine::store::connect(&url, &support::patient()).await.unwrap();
    let second =
        Api::over_store(store, |config| config.database.poll = std::time::Duration::from_millis(2))
            .await;
    let elsewhere = second.bundle(1).with_file_name(".elsewhere");
    fs::rename(second.bundle(1), &elsewhere).unwrap();
    let follower = tokio::spawn(second.service.clone().run());
    let path = format!("/admin/v1/models/{MODEL}/activate");
    first.operate(Method::POST, &path, Some(json!({"version": first.versions[1]}))).await;
    until(async || second.status().await["refusals"][0]["version"] == json!(first.versions[1]))
        .await;
    assert_eq!(
        second.get("/v1/popular").await.meta()["model"]["version"],
        json!(first.versions[0])
    );
    fs::rename(&elsewhere, second.bundle(1)).unwrap();
    until(async || {
        second.get("/v1/popular").await.meta()["model"]["version"] == json!(first.versions[1])
    })
    .await;
    follower.abort();
}

#[tokio::test]
async fn the_newest_good_bundle_is_taken_where_none_is_active() {
    let api = Api::start_unused(|newer| flip(&newer.join("items.bin"))).await;
    let [old, new] = &api.versions;
    assert_eq!(api.get("/v1/popular").await.meta()["model"]["version"], json!(old));
    let list = api.operate(Method::GET, "/admin/v1/models", None).await.json();
    let active: Vec<_> = list["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (&row["version"], &row["active"]))
        .collect();
    assert_eq!(active, [(&json!(new), &json!(false)), (&json!(old), &json!(true))]);
}

pub async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let holds = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), holds)
        .await
        .expect("it comes to hold");
}

pub fn flip(path: &std::path::Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn truncate(path: &std::path::Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}
