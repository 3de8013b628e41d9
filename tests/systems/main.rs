//! The four systems, each from its document's data format to answers over HTTP: the files of
//! `models/configs` at small sizes, trained by the program, verified, and served together.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::{Value, json};
use server::Server;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use vitrine::{
    dataset::{self, Dataset, LoadOptions},
    experiments::sweep::SweepFile,
    training::TrainingConfig,
};

#[path = "../support/encoder.rs"]
mod encoder;
#[path = "../support/python.rs"]
mod python;
mod server;
mod simulation;
mod webshop;

/// Sizes of `lstm.toml` that a test has time for.
const SMALL_LSTM: &str =
    "model.dim=12 sequence.item_dim=10 sequence.days.dim=4 lstm.hidden=[16,12] training.epochs=3";

const PROGRAM: &str = env!("CARGO_BIN_EXE_vitrine-trainer");

fn configs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/configs")
}

#[track_caller]
fn good(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A folder with data, models and runs.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn trainer(&self, line: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        command.current_dir(self.0.path()).args(line.split_whitespace());
        command
    }

    fn run(&self, line: &str) -> String {
        good(self.trainer(line).output().unwrap())
    }

    /// Trains a file of `models/configs` on the folder `data`; the bundle proves itself.
    fn train(&self, name: &str, changes: &str) {
        let config = configs().join(format!("{name}.toml"));
        let sets = changes.split_whitespace().flat_map(|change| ["--set", change]);
        let bundle = good(
            self.trainer("train --data data --config").arg(config).args(sets).output().unwrap(),
        );
        let bundle = bundle.trim();
        assert!(bundle.starts_with(&format!("models/{name}/")), "{bundle}");
        self.run(&format!("verify {bundle}"));
    }

    fn dataset(&self) -> Dataset {
        dataset::load(&self.0.path().join("data"), &LoadOptions::default()).unwrap().0
    }

    fn serve(&self) -> Server {
        Server::start(self.0.path(), &self.dataset())
    }
}

/// What every answer must be: `k` different articles of the catalogue by this model, made in this
/// way.
#[track_caller]
fn check(answer: &Value, model: &str, strategy: &str, k: usize) -> Vec<String> {
    assert_eq!(
        (&answer["meta"]["model"]["name"], &answer["meta"]["strategy"]),
        (&json!(model), &json!(strategy))
    );
    let items = answer["items"].as_array().unwrap();
    let ids: Vec<String> =
        items.iter().map(|item| item["article_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), k, "{ids:?}");
    ids
}

#[test]
fn every_configuration_is_one() {
    let mut found = 0;
    for entry in std::fs::read_dir(configs()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if name.starts_with("sweep-") {
            SweepFile::load(&path).unwrap();
        } else if name == "nightly" {
            vitrine::retrain::RetrainConfig::load(&path).unwrap();
        } else {
            // Bundles and files have the same name, but for the demo's.
            let config = TrainingConfig::load(&path, &[]).unwrap();
            assert!(config.model.name == name || name == "demo", "{name}: {}", config.model.name);
        }
        found += 1;
    }
    assert!(found > 10, "{found} files in {}", configs().display());
}

/// W, R and D from H&M's three files, L from them too, and all of them in one server.
#[test]
fn shops_of_the_hm_kind() {
    let home = Home::new();
    home.run("generate --out data --articles 200 --customers 300 --transactions 12000 --days 40");
    home.train("webshop", "training.epochs=1");
    home.train("webshop-modern", "training.epochs=1");
    home.train("retrieval", "training.epochs=1");
    let decoder =
        "model.dim=16 decoder.layers=2 decoder.heads=2 decoder.feed_forward=32 training.epochs=2";
    home.train("decoder-ids", decoder);
    home.train("decoder-modern", decoder);
    home.train("lstm", SMALL_LSTM);
    // As wide as the vectors of a small but real encoder.
    let encoder = encoder::directory();
    let text = "model.dim=384 decoder.layers=1 decoder.feed_forward=32 training.epochs=1 training.batch_size=256";
    home.train("decoder-text", &format!("{text} text.encoder={}", encoder.display()));

    let server = home.serve();
    let customer = home.dataset().customers.ids.get(7).to_owned();
    let visit: Vec<String> =
        [3, 5, 8].map(|row| home.dataset().articles.ids.get(row).to_owned()).into();
    let mut lists = BTreeSet::new();
    for model in [
        "webshop",
        "webshop-modern",
        "retrieval",
        "decoder-ids",
        "decoder-modern",
        "decoder-text",
        "lstm",
    ] {
        let known = server.recommend(json!({ "model": model, "customer_id": customer, "k": 12 }));
        assert!(
            lists.insert(check(&known, model, "personalised", 12)),
            "{model} answers as another model does"
        );
        let guest =
            server.recommend(json!({ "model": model, "session": { "article_ids": visit } }));
        check(&guest, model, "session", 12);
        let stranger = server.recommend(json!({ "model": model, "customer_id": "nobody" }));
        check(&stranger, model, "popular", 12);
    }

    // Lists that are written item by item, by models that can.
    let body = |generation: Value| json!({ "model": "decoder-ids", "customer_id": customer, "k": 6, "generation": generation });
    let sample = json!({ "method": "sample", "temperature": 0.8, "top_p": 0.9, "seed": 3 });
    for generation in
        [json!({ "method": "greedy" }), json!({ "method": "beam", "width": 3 }), sample]
    {
        let first =
            check(&server.recommend(body(generation.clone())), "decoder-ids", "generated", 6);
        assert_eq!(
            first,
            check(&server.recommend(body(generation)), "decoder-ids", "generated", 6)
        );
    }
    let problem = server
        .refused(400, json!({ "model": "retrieval", "generation": { "method": "greedy" }, "customer_id": customer }));
    assert!(problem.contains("retrieval"), "{problem}");
    let problem = server.refused(404, json!({ "model": "gru" }));
    assert!(problem.contains("gru") && problem.contains("decoder-ids"), "{problem}");
}

/// L from Rent the Runway's JSON lines.
#[test]
fn rentals() {
    let home = Home::new();
    let line = |user: usize, nth: usize| {
        let item = 100 + (user * 5 + nth) % 30;
        json!({
            "fit": "fit", "user_id": user.to_string(), "item_id": item.to_string(), "category": "gown", "height": "5' 6\"",
            "weight": "137lbs", "review_date": format!("April {}, 20{}", 1 + (user + nth) % 28, 11 + nth),
        })
    };
    let lines = (0..80)
        .flat_map(|user| (0..3 + user % 4).map(move |nth| line(user, nth).to_string() + "\n"));
    std::fs::create_dir(home.0.path().join("data")).unwrap();
    std::fs::write(home.0.path().join("data/renttherunway.json"), lines.collect::<String>())
        .unwrap();
    home.train("lstm", SMALL_LSTM);
    home.train("lstm-modern", "model.dim=12 lstm.hidden=[12] training.epochs=3");

    let server = home.serve();
    for model in ["lstm", "lstm-modern"] {
        let known = server.recommend(json!({ "model": model, "customer_id": "4", "k": 5 }));
        check(&known, model, "personalised", 5);
        // An article that nobody knows is named and passed over.
        let visit = json!({ "article_ids": ["never heard of", "101", "102", "103"] });
        let guest = server.recommend(json!({ "model": model, "session": visit, "k": 5 }));
        check(&guest, model, "session", 5);
        assert_eq!(guest["meta"]["warnings"], json!(["unknown_session_articles"]));
        let other = server
            .recommend(json!({ "model": model, "session": { "article_ids": ["115"] }, "k": 5 }));
        assert_ne!(check(&other, model, "session", 5), check(&guest, model, "session", 5));
    }
}

/// The best decoder from lines of `customer article article …`.
#[test]
fn plain_sequences() {
    let home = Home::new();
    let line = |user: usize| {
        let items = (0..4 + user % 5).map(|nth| format!("i{}", (user * 3 + nth) % 25));
        format!("u{user} {}\n", items.collect::<Vec<_>>().join(" "))
    };
    std::fs::create_dir(home.0.path().join("data")).unwrap();
    std::fs::write(home.0.path().join("data/sequences.txt"), (0..60).map(line).collect::<String>())
        .unwrap();
    home.train(
        "decoder-modern",
        "model.dim=16 decoder.feed_forward=32 training.epochs=150 training.patience=0",
    );
    let server = home.serve();
    let guest =
        server.recommend(json!({ "session": { "article_ids": ["i5", "i6", "i7"] }, "k": 3 }));
    let ids = check(&guest, "decoder-modern", "session", 3);
    assert!(ids.contains(&"i8".to_owned()), "everybody goes on with i8: {ids:?}");
}
