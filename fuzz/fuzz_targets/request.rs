//! Requests through the router of the public listener: path, query and body. No answer is a fault
//! of the server, and every error is a problem document. No model is loaded, so what is well-formed
//! ends with 503.

#![no_main]

use arbitrary::Arbitrary;
use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
};
use http_body_util::BodyExt;
use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};
use tokio::runtime::Runtime;
use tower::ServiceExt;
use vitrine::{
    http::{self, App},
    serving::{Config, Service},
    store::{self, StoreOptions},
};

#[derive(Arbitrary, Debug)]
enum Call<'a> {
    Recommend(&'a [u8]),
    Get(&'a str),
    Customer(&'a str, &'a str),
    Similar(&'a str, &'a str),
    Article(&'a str),
    Popular(&'a str),
}

struct Server {
    runtime: Runtime,
    router: Router,
}

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    let url = format!("sqlite:{}", vitrine_fuzz::folder().join("shop.sqlite").display());
    let router = runtime.block_on(async {
        let options = StoreOptions::default();
        store::migrate(&url, &options).await.expect("the schema can be made");
        let store = store::connect(&url, &options).await.expect("the database can be opened");
        let config = Config::default();
        let service = Arc::new(
            Service::new(store, &config, &http::route_patterns()).expect("the service can be made"),
        );
        service.catch_up().await.expect("the empty catalogue can be read");
        http::public(&App::new(service), &config).expect("the router can be made")
    });
    Server { runtime, router }
});

impl Call<'_> {
    /// `None` for what no client could send.
    fn request(&self) -> Option<Request<Body>> {
        let get = |path: String| Request::get(path).body(Body::empty()).ok();
        match self {
            Self::Recommend(body) => Request::post("/v1/recommendations")
                .header("content-type", "application/json")
                .body(Body::from(body.to_vec()))
                .ok(),
            Self::Get(path) => get(format!("/{path}")),
            Self::Customer(id, query) => get(format!("/v1/customers/{id}/recommendations?{query}")),
            Self::Similar(id, query) => get(format!("/v1/articles/{id}/similar?{query}")),
            Self::Article(id) => get(format!("/v1/articles/{id}")),
            Self::Popular(query) => get(format!("/v1/popular?{query}")),
        }
    }
}

fuzz_target!(|call: Call<'_>| {
    let Some(request) = call.request() else { return };
    let Server { runtime, router } = &*SERVER;
    runtime.block_on(async {
        let response = router.clone().oneshot(request).await.expect("a router never fails");
        let status = response.status();
        assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR);
        let problem = response
            .headers()
            .get("content-type")
            .is_some_and(|kind| kind == "application/problem+json");
        let body = response.into_body().collect().await.expect("the body ends").to_bytes();
        if status.is_client_error() || status.is_server_error() {
            assert!(
                problem && serde_json::from_slice::<serde_json::Value>(&body).is_ok(),
                "{status}"
            );
        }
    });
});
