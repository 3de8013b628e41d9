//! A server over a small shop: 300 articles the model knows, 1,811 newer ones and 50 that are sold
//! out.
//!
//! `bucket` says how many available articles share it: `one` 1, `ten` 10, `hundred` 100, `many`
//! 2,000. Customers `customer_id0..10` are in the database with an age and purchases,
//! `customer_id10..20` are known to the model alone, `newcomer` to the database alone.

use crate::{
    shop::{ITEMS, Shop},
    support,
};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
    time::Duration,
};
use tokio::{sync::oneshot, task::JoinHandle};
use tower::ServiceExt;
use vitrine::{
    bundle,
    dataset::{Column, Dataset, Entities, MISSING, Purchases, Values},
    domain::{ArticleId, Timestamp},
    http::{self, App, Server},
    serving::{Config, Secret, Service},
    store::{self, Import, Store},
};

pub const KEY: &str = "a key for the tests";
pub const MODEL: &str = "test-model";
pub const NEW: usize = 1_811;
pub const GONE: usize = 50;

/// What every test starts from; made once, copied by each.
struct Template {
    directory: tempfile::TempDir,
    /// Oldest first; they differ in popularity.
    versions: [String; 2],
}

static TEMPLATE: LazyLock<Template> = LazyLock::new(|| {
    // A runtime of its own: the first test to come here has one already.
    let make = || tokio::runtime::Runtime::new().unwrap().block_on(template());
    std::thread::spawn(make).join().unwrap()
});

async fn template() -> Template {
    // A static is never dropped: the directory stays, so it stays among the build's files.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fill(&format!("sqlite:{}", directory.path().join("shop.sqlite").display())).await;
    let models = directory.path().join("models");
    let shop = Shop::new();
    let reversed: Vec<f32> = (0..ITEMS).rev().map(|i| i as f32).collect();
    let first = shop.write(&models).unwrap();
    let mut contents = shop.contents();
    contents.popularity = &reversed;
    let second = bundle::write(&models, contents).unwrap();
    let version = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let versions = [version(&first), version(&second)];
    assert!(versions.is_sorted(), "a bundle written later sorts later: {versions:?}");
    Template { directory, versions }
}

/// Makes the shop in an empty database.
pub async fn fill(url: &str) {
    let options = support::patient();
    store::migrate(url, &options).await.unwrap();
    let dataset = dataset();
    store::import(url, &options, &Import::new(&dataset, "the test shop")).await.unwrap();
    let store = store::connect(url, &options).await.unwrap();
    let gone: Vec<_> = (0..GONE).map(|n| ArticleId::parse(&format!("gone{n}")).unwrap()).collect();
    assert!(store.set_available(&gone, false).await.unwrap().is_empty());
}

fn category(name: &str, values: impl Iterator<Item = Option<String>>) -> Column {
    let mut dictionary = vitrine::domain::IdTable::new();
    let codes =
        values.map(|value| value.map_or(MISSING, |value| dictionary.insert(&value))).collect();
    Column { name: name.into(), values: Values::Category { codes, dictionary } }
}

pub fn dataset() -> Dataset {
    let known = (0..ITEMS).map(|n| format!("article_id{n}"));
    let ids: Vec<String> = known
        .chain((0..NEW).map(|n| format!("new{n}")))
        .chain((0..GONE).map(|n| format!("gone{n}")))
        .collect();
    let bucket = |n: usize| match n {
        0 => "one",
        1..=10 => "ten",
        11..=110 => "hundred",
        n if n < ITEMS + NEW => "many",
        n => ["one", "ten", "hundred", "many"][n % 4],
    };
    let rows = 0..ids.len();
    let articles = Entities {
        ids: ids.iter().map(String::as_str).collect(),
        columns: vec![
            category("bucket", rows.clone().map(|n| Some(bucket(n).to_owned()))),
            category(
                "garment",
                rows.clone().map(|n| (n % 4 != 3).then(|| format!("garment{}", n % 4))),
            ),
            category("product_code", rows.clone().map(|n| Some((n / 2).to_string()))),
            Column {
                name: "price".into(),
                values: Values::Number(rows.map(|n| n as f32 / 100.0).collect()),
            },
        ],
        vectors: Vec::new(),
    };
    let names: Vec<String> =
        (0..10).map(|n| format!("customer_id{n}")).chain(["newcomer".to_owned()]).collect();
    let customers = Entities {
        ids: names.iter().map(String::as_str).collect(),
        columns: vec![Column {
            name: "age".into(),
            values: Values::Number((0..11).map(|n| 20.0 + n as f32).collect()),
        }],
        vectors: Vec::new(),
    };
    let mut purchases = Purchases::default();
    for n in 0..50u32 {
        purchases.customer.push(n % 10);
        purchases.article.push(n * 3);
        purchases.time.push(Timestamp(1_600_000_000 + n * Timestamp::DAY));
    }
    Dataset { articles, customers, purchases, ..Dataset::default() }
}

/// A server of one test.
pub struct Api {
    pub public: Router,
    pub admin: Router,
    pub service: Arc<Service>,
    pub config: Config,
    pub versions: [String; 2],
    directory: tempfile::TempDir,
}

impl Api {
    /// Both versions on disk, the older one active.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(configure: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        copy(TEMPLATE.directory.path(), directory.path());
        let url = format!("sqlite:{}", directory.path().join("shop.sqlite").display());
        let store = store::connect(&url, &support::patient()).await.unwrap();
        Self::over(store, directory, true, configure).await
    }

    /// To be served by a [`RunningServer`].
    pub async fn start_on_sockets(configure: impl FnOnce(&mut Config)) -> Self {
        Self::start_with(|config| {
            config.http.listen = ([127, 0, 0, 1], 0).into();
            config.admin.listen = ([127, 0, 0, 1], 0).into();
            configure(config);
        })
        .await
    }

    /// No version active yet; the newer bundle is damaged first.
    pub async fn start_unused(damage: impl FnOnce(&Path)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        copy(TEMPLATE.directory.path(), directory.path());
        damage(&directory.path().join("models").join(MODEL).join(&TEMPLATE.versions[1]));
        let url = format!("sqlite:{}", directory.path().join("shop.sqlite").display());
        let store = store::connect(&url, &support::patient()).await.unwrap();
        Self::over(store, directory, false, |_| {}).await
    }

    /// A server over any store.
    pub async fn over_store(store: Arc<dyn Store>, configure: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        copy(TEMPLATE.directory.path(), directory.path());
        Self::over(store, directory, true, configure).await
    }

    async fn over(
        store: Arc<dyn Store>,
        directory: tempfile::TempDir,
        active: bool,
        configure: impl FnOnce(&mut Config),
    ) -> Self {
        let versions = TEMPLATE.versions.clone();
        if active {
            store.register_model(MODEL, &versions[0]).await.unwrap();
            store.activate_model(MODEL, &versions[0]).await.unwrap();
        }
        let api = Self::serving(store, directory, configure);
        api.service.catch_up().await.unwrap();
        api
    }

    /// A server that has loaded nothing yet.
    fn serving(
        store: Arc<dyn Store>,
        directory: tempfile::TempDir,
        configure: impl FnOnce(&mut Config),
    ) -> Self {
        let versions = TEMPLATE.versions.clone();
        let mut config = Config::default();
        config.models.directory = directory.path().join("models");
        config.database.poll = Duration::from_millis(20);
        // A loaded test machine must not look like an absent database.
        config.database.timeout = Duration::from_secs(30);
        config.database.queue = Duration::from_secs(30);
        config.http.request_timeout = Duration::from_secs(60);
        // The popularity of the bundles tells the versions apart.
        config.popularity = None;
        configure(&mut config);
        let service = Arc::new(Service::new(store, &config, &http::route_patterns()).unwrap());
        let app = App::new(service.clone());
        let public = http::public(&app, &config).unwrap();
        let admin = http::admin(&app, &config, Secret::new(KEY.into()));
        Self { public, admin, service, config, versions, directory }
    }

    /// The address of the database.
    pub fn database(&self) -> String {
        format!("sqlite:{}", self.directory.path().join("shop.sqlite").display())
    }

    /// The directory of all bundles.
    pub fn models(&self) -> PathBuf {
        self.directory.path().join("models")
    }

    /// Writes a bundle of another model; answers its version.
    pub fn add_model(&self, name: &str) -> String {
        let shop = Shop::new();
        let path =
            bundle::write(&self.models(), bundle::Contents { name, ..shop.contents() }).unwrap();
        path.file_name().unwrap().to_str().unwrap().to_owned()
    }

    /// A second server over the same folder, and over this store.
    pub fn again(self, store: Arc<dyn Store>, configure: impl FnOnce(&mut Config)) -> Self {
        Self::serving(store, self.directory, configure)
    }

    /// The directory of a version.
    pub fn bundle(&self, version: usize) -> PathBuf {
        self.directory.path().join("models").join(MODEL).join(&self.versions[version])
    }

    pub async fn get(&self, path: &str) -> Reply {
        send(&self.public, Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        send(&self.public, with_json(Request::post(path), body)).await
    }

    /// `POST /v1/recommendations` that must succeed.
    pub async fn recommend(&self, body: Value) -> Reply {
        self.recommend_with(body, None).await
    }

    /// The same with a key.
    pub async fn recommend_with(&self, body: Value, key: Option<&str>) -> Reply {
        let mut request = with_json(Request::post("/v1/recommendations"), &body);
        if let Some(key) = key {
            request
                .headers_mut()
                .insert(header::AUTHORIZATION, format!("Bearer {key}").parse().unwrap());
        }
        let reply = send(&self.public, request).await;
        assert_eq!(reply.status, StatusCode::OK, "{body}: {}", reply.body);
        reply
    }

    /// Makes a key with these scopes.
    pub async fn key(&self, scopes: &[&str]) -> String {
        let body = json!({"name": "test", "scopes": scopes});
        let reply = self.operate(Method::POST, "/admin/v1/keys", Some(body)).await;
        reply.json()["key"].as_str().unwrap().to_owned()
    }

    /// A request to the admin listener with the key.
    pub async fn operate(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {KEY}"));
        let request = match body {
            Some(body) => with_json(request, &body),
            None => request.body(Body::empty()).unwrap(),
        };
        send(&self.admin, request).await
    }

    pub async fn status(&self) -> Value {
        self.operate(Method::GET, "/admin/v1/status", None).await.json()
    }
}

/// A server on sockets of its own.
pub struct RunningServer {
    pub public: SocketAddr,
    pub admin: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl RunningServer {
    pub async fn start(api: &Api) -> Self {
        let server =
            Server::bind(api.service.clone(), &api.config, Secret::new(KEY.into())).await.unwrap();
        let (public, admin) = server.addresses().unwrap();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self { public, admin, stop, running }
    }

    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        self.running.await.unwrap();
    }
}

fn with_json(request: axum::http::request::Builder, body: &Value) -> Request<Body> {
    request
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .unwrap()
}

pub async fn send(router: &Router, request: Request<Body>) -> Reply {
    let response = router.clone().oneshot(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    Reply { status, headers, body: String::from_utf8_lossy(&bytes).into_owned() }
}

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub fn article_ids(&self) -> Vec<String> {
        let json = self.json();
        json["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["article_id"].as_str().unwrap().to_owned())
            .collect()
    }

    pub fn meta(&self) -> Value {
        self.json()["meta"].clone()
    }

    /// Asserts a problem document with this status and code; answers its detail.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        let problem = self.json();
        assert_eq!(
            (problem["status"].as_u64(), problem["code"].as_str()),
            (Some(u64::from(status)), Some(code))
        );
        assert_eq!(problem["type"], json!(format!("urn:vitrine:error:{code}")));
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()));
        assert_eq!(problem["request_id"].as_str(), self.headers["x-request-id"].to_str().ok());
        problem["detail"].as_str().unwrap().to_owned()
    }
}

pub fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
