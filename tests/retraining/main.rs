//! Retraining from a database: nights that go well, candidates that are refused, versions that are
//! taken back, and runs that were killed.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod server;

use server::{BEFORE, FakeServer, Manner};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};
use support::Database;
use vitrine::{
    bundle,
    dataset::{
        Dataset, LoadOptions,
        generate::{Generator, ShopSize},
        load,
    },
    domain::{CustomerId, Timestamp},
    retrain::{Ending, Journal, Left, Publish, Registry, RetrainConfig, Retraining, Server, Watch},
    store::{self, Import, Person},
};

const SHOP: ShopSize =
    ShopSize { articles: 150, customers: 300, transactions: 8_000, days: 60, seed: 7 };

const MODEL: &str = "
    [model]
    name = \"night\"
    family = \"two-tower\"
    dim = 16
    query_layers = [16]
    item_layers = [16]
    [[features.query]]
    source = \"customer_id\"
    encoding = \"embedding\"
    dim = 16
    [[features.query]]
    source = \"history\"
    encoding = \"history\"
    dim = 16
    length = 10
    [[features.item]]
    source = \"article_id\"
    encoding = \"embedding\"
    dim = 16
    [[features.item]]
    source = \"garment_group_name\"
    encoding = \"one-hot\"
    [loss]
    temperature = 0.2
    [training]
    epochs = 4
    batch_size = 256
    threads = 1
    [split]
    protocol = \"time\"
    test_days = 7
    validation_days = 7
    [index]
    m = 8
    ef_construction = 40
    ef_search = 60
";

/// The folder of the generated shop.
fn files() -> &'static Path {
    static FILES: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
        let home = tempfile::tempdir().unwrap();
        Generator::new(SHOP).unwrap().write(&home.path().join("shop"), false).unwrap();
        home
    });
    FILES.path()
}

/// The shop without its last days.
fn shop(without_days: u32) -> Dataset {
    let mut dataset = load(&files().join("shop"), &LoadOptions::default()).unwrap().0;
    let end = dataset.purchases.time.last().unwrap().minus_days(without_days);
    let known = dataset.purchases.time.partition_point(|&time| time <= end);
    dataset.purchases.truncate(known);
    dataset
}

/// A shop in a database, and the folders that its retrainings write.
struct Night {
    home: tempfile::TempDir,
    url: String,
    config: RetrainConfig,
    _database: Option<tempfile::TempDir>,
}

impl Night {
    async fn new(without_days: u32) -> Self {
        let (url, directory) = support::empty_sqlite();
        store::migrate(&url, &support::patient()).await.unwrap();
        let night = Self::at(url, Some(directory));
        night.import(without_days).await;
        night
    }

    fn at(url: String, database: Option<tempfile::TempDir>) -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("model.toml"), MODEL).unwrap();
        let path = home.path().join("nightly.toml");
        fs::write(&path, "[training]\nconfig = \"model.toml\"\nwarm_epochs = 2").unwrap();
        let mut config = RetrainConfig::load(&path).unwrap();
        config.publish =
            Publish { models: home.path().join("models"), runs: home.path().join("runs"), keep: 2 };
        // Tests are about the steps; a model this small need not beat anything.
        config.gate.baselines = Vec::new();
        config.gate.least_cases = 10;
        Self { home, url, config, _database: database }
    }

    async fn import(&self, without_days: u32) {
        let dataset = shop(without_days);
        let fingerprint = dataset.fingerprint();
        store::import(&self.url, &support::patient(), &Import::new(&dataset, &fingerprint))
            .await
            .unwrap();
    }

    /// Retrains on a thread of its own, as the command does.
    async fn retrain(&self) -> Ending {
        self.try_retrain().await.unwrap()
    }

    async fn try_retrain(&self) -> Result<Ending, String> {
        let (url, config) = (self.url.clone(), self.config.clone());
        let work = move || {
            let registry = Registry::open(&url).map_err(|error| error.to_string())?;
            let training = config.training().map_err(|error| error.to_string())?;
            let retraining = Retraining {
                config: &config,
                training,
                registry,
                source: "the test".to_owned(),
                stop: &|| false,
            };
            retraining.run().map_err(|error| error.to_string())
        };
        tokio::task::spawn_blocking(work).await.unwrap()
    }

    async fn active(&self) -> Option<String> {
        let store = store::connect(&self.url, &support::patient()).await.unwrap();
        store.models().await.unwrap().into_iter().find(|row| row.active).map(|row| row.version)
    }

    /// Versions in the folder of models, newest first.
    fn bundles(&self) -> Vec<String> {
        bundle::list(&self.config.publish.models)
            .unwrap()
            .into_iter()
            .map(|bundle| bundle.version)
            .collect()
    }

    fn bundle(&self, version: &str) -> PathBuf {
        self.config.publish.models.join("night").join(version)
    }

    /// The steps of all nights.
    fn steps(&self) -> Vec<String> {
        let text = fs::read_to_string(self.config.publish.runs.join("retrain.jsonl")).unwrap();
        let step = |line: &str| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["step"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        text.lines().map(step).collect()
    }

    fn watch(&mut self, server: &FakeServer) {
        let servers =
            vec![Server { public: server.url(), admin: server.url(), every_address: false }];
        self.config.watch = Watch {
            servers,
            rounds: 2,
            interval_seconds: 0,
            takeover_seconds: 1,
            probes: BEFORE,
            ..Watch::default()
        };
    }
}

fn version(ending: &Ending) -> String {
    match ending {
        Ending::Serving { version } => version.clone(),
        other => panic!("{other:?}"),
    }
}

async fn nights_follow_each_other(night: Night) {
    let first = version(&night.retrain().await);
    assert_eq!(night.active().await, Some(first.clone()));
    let manifest = bundle::Bundle::open_metadata(&night.bundle(&first)).unwrap();
    let last = *shop(6).purchases.time.last().unwrap();
    assert_eq!(
        (manifest.seen_until, manifest.held_out),
        (Some(last), None),
        "it ships with everything"
    );

    let before = night.steps().len();
    assert!(matches!(night.retrain().await, Ending::Nothing(_)));
    assert_eq!(night.steps()[before..], ["read", "days"]);
    assert_eq!(night.bundles(), std::slice::from_ref(&first));

    night.import(3).await;
    let before = night.steps().len();
    let second = version(&night.retrain().await);
    assert_eq!(
        night.steps()[before..],
        ["read", "warm", "gate", "publish", "activate", "watch", "clean"]
    );
    let seen = bundle::Bundle::open_metadata(&night.bundle(&second)).unwrap().seen_until;
    assert_eq!(seen, shop(3).purchases.time.last().copied());

    night.import(0).await;
    let third = version(&night.retrain().await);
    assert_eq!(night.active().await, Some(third.clone()));
    assert_eq!(
        night.bundles(),
        [third, second],
        "two stay: the active one and the one to go back to"
    );
    assert!(!night.config.publish.models.join(".retrain").exists());
}

#[tokio::test]
async fn nights_follow_each_other_on_sqlite() {
    nights_follow_each_other(Night::new(6).await).await;
}

#[tokio::test]
async fn nights_follow_each_other_on_postgres() {
    let url = Database::postgres().await.url;
    let night = Night::at(url, None);
    night.import(6).await;
    nights_follow_each_other(night).await;
}

#[tokio::test]
async fn a_refused_candidate_changes_nothing() {
    let mut night = Night::new(6).await;
    let first = version(&night.retrain().await);
    night.import(0).await;
    // A model that never learns anything ranks the articles at random.
    night.config.gate.baselines = vec!["popularity".to_owned()];
    night.config.training.warm_epochs = 0;
    night.config.training.set =
        ["training.epochs=1", "optimizer.learning_rate=1e-9"].map(str::to_owned).to_vec();
    let Ending::Refused(reason) = night.retrain().await else { panic!("it was not refused") };
    assert!(
        reason.contains("is BELOW the active bundle") && reason.contains("popularity"),
        "{reason}"
    );
    assert_eq!((night.active().await, night.bundles()), (Some(first.clone()), vec![first]));
    assert_eq!(night.steps().last().unwrap(), "gate");
}

#[tokio::test]
async fn too_few_customers_judge_nobody() {
    let mut night = Night::new(3).await;
    let first = version(&night.retrain().await);
    night.import(2).await;
    night.config.gate.least_cases = 100_000;
    let Ending::Nothing(reason) = night.retrain().await else { panic!("somebody judged") };
    assert!(reason.contains("fewer than the 100000"), "{reason}");
    assert_eq!((night.active().await, night.bundles().len()), (Some(first), 1));
}

#[tokio::test]
async fn two_retrainings_exclude_each_other() {
    for url in [Night::new(6).await.url, Database::postgres().await.url] {
        let night = Night::at(url.clone(), None);
        if url.starts_with("sqlite:") {
            store::migrate(&url, &support::patient()).await.unwrap();
        }
        let held = store::RetrainLock::take(&url, &support::patient()).await.unwrap();
        assert!(held.is_some());
        assert_eq!(night.retrain().await, Ending::Busy);
        drop(held);
        assert_ne!(night.try_retrain().await, Ok(Ending::Busy));
    }
}

#[tokio::test]
async fn a_killed_night_goes_on_where_it_was() {
    let mut night = Night::new(6).await;
    let server = FakeServer::start(&night.config.publish.models, Manner::Good);
    let first = version(&night.retrain().await);
    night.import(3).await;
    let second = version(&night.retrain().await);

    // Killed behind the publication: the version lies there, and the database still says the one
    // before.
    let store = store::connect(&night.url, &support::patient()).await.unwrap();
    store.rollback_model("night").await.unwrap();
    let figures = serde_json::json!({"model": "night", "version": second});
    Journal::open(&night.config.publish.runs)
        .unwrap()
        .step("publish", "killed behind this", figures)
        .unwrap();
    assert_eq!(night.active().await, Some(first.clone()));
    let before = night.steps().len();
    assert_eq!(version(&night.retrain().await), second);
    assert_eq!(night.steps()[before..], ["resume", "activate", "watch", "clean"]);

    // Killed behind the activation: the servers are watched, and then nothing is left to do.
    night.watch(&server);
    let figures =
        serde_json::json!({"model": "night", "version": second, "previous": first, "before": {}});
    Journal::open(&night.config.publish.runs)
        .unwrap()
        .step("activate", "killed behind this", figures)
        .unwrap();
    assert_eq!(version(&night.retrain().await), second);
    assert_eq!(Journal::open(&night.config.publish.runs).unwrap().left().unwrap(), Left::Nothing);

    // Killed in the middle of the training: what lies in the stage goes.
    let stage = night.config.publish.models.join(".retrain/night/half");
    fs::create_dir_all(&stage).unwrap();
    assert!(matches!(night.retrain().await, Ending::Nothing(_)));
    assert!(!stage.exists());
}

/// Files in a folder and below that hold a text.
fn files_with(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if support::file_holds(&path, text) {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn the_next_bundle_holds_nothing_of_whoever_is_erased() {
    let night = Night::new(6).await;
    let customer = shop(6).customers.ids.iter().next().unwrap().to_owned();
    let first = version(&night.retrain().await);
    assert_ne!(
        files_with(&night.bundle(&first), &customer),
        Vec::<PathBuf>::new(),
        "nothing could be found"
    );
    let store = store::connect(&night.url, &support::patient()).await.unwrap();
    assert!(
        store.erase(&Person::Customer(CustomerId::parse(&customer).unwrap())).await.unwrap().known
    );
    night.import(3).await;
    let second = version(&night.retrain().await);
    assert_eq!(files_with(&night.bundle(&second), &customer), Vec::<PathBuf>::new());
    assert_eq!(files_with(&night.config.publish.runs, &customer), Vec::<PathBuf>::new());
    assert_eq!(support::places_of(&night.url, &customer).await, Vec::<String>::new());
}

async fn taken_back(manner: Manner, expected: &str) {
    let mut night = Night::new(6).await;
    let first = version(&night.retrain().await);
    night.import(3).await;
    let server = FakeServer::start(&night.config.publish.models, manner);
    night.watch(&server);
    let Ending::TakenBack { version, reason } = night.retrain().await else {
        panic!("{manner:?} was kept")
    };
    assert!(reason.contains(expected) && reason.contains(&first), "{reason}");
    assert_eq!(night.active().await, Some(first));
    assert!(night.bundle(&version).is_dir(), "it stays, to look into it");
    assert_eq!(night.steps().last().unwrap(), "back");
}

#[tokio::test]
async fn answers_that_become_empty_take_the_version_back() {
    taken_back(Manner::EmptyWithTheSecond, "of the answers are empty").await;
}

#[tokio::test]
async fn answers_that_fail_take_the_version_back() {
    taken_back(Manner::FailsWithTheSecond, "answers fail").await;
}

#[tokio::test]
async fn a_server_that_does_not_load_the_version_takes_it_back() {
    taken_back(Manner::RefusesTheSecond, "does not load version").await;
}

#[tokio::test]
async fn a_server_that_never_takes_over_takes_the_version_back() {
    taken_back(Manner::StaysWithTheFirst, "does not serve version").await;
}

#[tokio::test]
async fn a_good_version_stays() {
    let mut night = Night::new(6).await;
    night.retrain().await;
    night.import(3).await;
    let server = FakeServer::start(&night.config.publish.models, Manner::Good);
    night.watch(&server);
    let second = version(&night.retrain().await);
    assert_eq!(night.active().await, Some(second));
}

/// Runs `vitrine-trainer gate` and answers its exit code and what it said.
fn gate(candidate: &Path, active: &Path, url: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vitrine-trainer"));
    command.args([
        "gate",
        "--data",
        url,
        "--test-days",
        "3",
        "--least-cases",
        "10",
        "--baselines",
        "popularity",
    ]);
    // Articles in any order cover more of the catalogue than a model that knows what sells.
    command.args(["--least-coverage", "0"]);
    let output =
        command.arg("--candidate").arg(candidate).arg("--active").arg(active).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn the_gate_alone_judges_bundles_that_have_not_seen_the_days() {
    let mut night = Night::new(3).await;
    let good = night.bundle(&version(&night.retrain().await));
    // Another model of the same days that has learnt nothing.
    night.config.publish.models = night.home.path().join("others");
    night.config.training.warm_epochs = 0;
    night.config.training.set =
        ["training.epochs=1", "optimizer.learning_rate=1e-9"].map(str::to_owned).to_vec();
    night.config.gate.least_coverage = 0.0;
    let store = store::connect(&night.url, &support::patient()).await.unwrap();
    store.deactivate_model("night").await.unwrap();
    let bad = night.bundle(&version(&night.retrain().await));
    let seen = gate(&good, &good, &night.url);
    assert!(seen.0 == Some(2) && seen.1.contains("cannot be judged by these days"), "{seen:?}");

    night.import(0).await;
    let refused = gate(&bad, &good, &night.url);
    assert!(
        refused.0 == Some(3) && refused.1.contains("is BELOW the active bundle"),
        "{refused:?}"
    );
    let passed = gate(&good, &bad, &night.url);
    assert_eq!(passed.0, Some(0), "{}", passed.1);

    // A bundle with a damaged file does not open.
    let items = bad.join("items.bin");
    let mut bytes = fs::read(&items).unwrap();
    let end = bytes.len() - 4;
    bytes[end..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&items, bytes).unwrap();
    let damaged = gate(&bad, &good, &night.url);
    assert!(damaged.0 == Some(3) && damaged.1.contains("cannot be opened"), "{damaged:?}");
}

#[tokio::test]
async fn only_whole_days_are_learnt() {
    let night = Night::new(0).await;
    let dataset = shop(0);
    let (read, report) =
        store::read_dataset(&night.url, &support::patient(), &night.config.purchases)
            .await
            .unwrap();
    assert_eq!(read.purchases.len(), dataset.purchases.len());
    assert!(*read.purchases.time.last().unwrap() < Timestamp(report.moment.day() * Timestamp::DAY));
}
