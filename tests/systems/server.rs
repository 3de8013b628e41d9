//! A server over a shop's data and every bundle in a folder.

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
};
use http_body_util::BodyExt;
use serde_json::Value;
use std::{path::Path, sync::Arc};
use tokio::runtime::Runtime;
use tower::ServiceExt;
use vitrine::{
    dataset::Dataset,
    http::{self, App},
    serving::{Config, Service},
    store::{self, Import, StoreOptions},
};

pub struct Server {
    router: Router,
    runtime: Runtime,
}

impl Server {
    /// Imports the data into a database in `home`, and activates and serves the newest bundle of
    /// every model in `home/models`.
    pub fn start(home: &Path, dataset: &Dataset) -> Self {
        let runtime = Runtime::new().unwrap();
        let router = runtime.block_on(async {
            let url = format!("sqlite:{}", home.join("shop.sqlite").display());
            // Nothing here is about time.
            let options = StoreOptions {
                acquire_timeout: std::time::Duration::from_secs(60),
                ..StoreOptions::default()
            };
            store::migrate(&url, &options).await.unwrap();
            store::import(&url, &options, &Import::new(dataset, "the tests")).await.unwrap();
            let mut config = Config::default();
            config.models.directory = home.join("models");
            let store = store::connect(&url, &options).await.unwrap();
            let mut models = std::collections::BTreeSet::new();
            for found in vitrine::bundle::list(&config.models.directory).unwrap() {
                // The newest version comes first.
                if models.insert(found.name.clone()) {
                    store.register_model(&found.name, &found.version).await.unwrap();
                    store.activate_model(&found.name, &found.version).await.unwrap();
                }
            }
            let service = Arc::new(Service::new(store, &config, &http::route_patterns()).unwrap());
            service.catch_up().await.unwrap();
            http::public(&App::new(service), &config).unwrap()
        });
        Self { router, runtime }
    }

    fn post(&self, body: &Value) -> (StatusCode, Value) {
        let request =
            Request::post("/v1/recommendations").header("content-type", "application/json");
        let request = request.body(Body::from(body.to_string())).unwrap();
        self.runtime.block_on(async {
            let response = self.router.clone().oneshot(request).await.unwrap();
            let status = response.status();
            (
                status,
                serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes())
                    .unwrap(),
            )
        })
    }

    /// `POST /v1/recommendations` that must succeed.
    #[track_caller]
    pub fn recommend(&self, body: Value) -> Value {
        let (status, answer) = self.post(&body);
        assert_eq!(status, StatusCode::OK, "{body}: {answer}");
        answer
    }

    /// The detail of the problem that a request with this body has.
    #[track_caller]
    pub fn refused(&self, status: u16, body: Value) -> String {
        let (found, problem) = self.post(&body);
        assert_eq!(found.as_u16(), status, "{body}: {problem}");
        problem["detail"].as_str().unwrap().to_owned()
    }
}
