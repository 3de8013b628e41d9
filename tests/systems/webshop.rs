//! System W from files to answers: `models/configs/webshop.toml` trained on a small generated shop,
//! its towers in parts, and a server with an article whose category no training purchase had.

use crate::server::Server;
use serde_json::json;
use std::path::Path;
use vitrine::{
    bundle::{Bundle, Tower},
    dataset::{
        self, LoadOptions, Protocol,
        generate::{Generator, ShopSize},
    },
    evaluation::{PAIR_LOSS, SIMILARITY_RECALL},
    experiments::{Data, Ended, Job, NewRun, Runs},
    features::{ArticleView, Encoding, EntityRow, Slot, TowerSchema},
    training::TrainingConfig,
};

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/configs/webshop.toml");

/// An article of a garment group that nothing in training had.
const NEW: &str = "999000001";
const UNSEEN: &str = "Space Suits";

fn load(folder: &Path) -> dataset::Dataset {
    dataset::load(folder, &LoadOptions::default()).unwrap().0
}

fn config(changes: &[&str]) -> TrainingConfig {
    TrainingConfig::load(
        Path::new(CONFIG),
        &changes.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>(),
    )
    .unwrap()
}

/// Puts a new article at the end of the catalogue: like one of the training week, but for its
/// garment group.
fn add_unseen(folder: &Path, dataset: &dataset::Dataset) {
    let purchases = &dataset.purchases;
    let day = purchases.time.last().unwrap().day() - 10;
    let bought = purchases.time.iter().position(|time| time.day() == day).unwrap();
    let like = dataset.articles.ids.get(purchases.article[bought]);
    let path = folder.join("articles.csv");
    let mut reader = csv::Reader::from_path(&path).unwrap();
    let names = reader.headers().unwrap().clone();
    let record =
        reader.records().map(|record| record.unwrap()).find(|record| &record[0] == like).unwrap();
    let fields = names.iter().zip(record.iter()).map(|(name, value)| match name {
        "article_id" => NEW,
        "garment_group_name" => UNSEEN,
        _ => value,
    });
    let file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    csv::Writer::from_writer(file).write_record(fields).unwrap();
}

/// Trains with the configuration; the bundle.
fn train(dataset: &dataset::Dataset, home: &Path, config: &TrainingConfig) -> Bundle {
    let data = Data::new(dataset, home.display());
    let run = Runs::new(home.join("runs")).begin(NewRun::training(config, &data)).unwrap();
    let job = Job {
        data: &data,
        config,
        stop: &|| false,
        baselines: Some(&[]),
        split_encoders: true,
        gate: false,
        warm: None,
        judge: None,
    };
    match job.train(run, &home.join("models"), false).unwrap() {
        Ended::Bundle(path) => Bundle::open(&path).unwrap(),
        Ended::Interrupted(path) => panic!("stopped at {}", path.display()),
        Ended::Refused(reason) => panic!("nobody judges it: {reason}"),
        Ended::Gated(verdict) => panic!("a gate was not asked for: {verdict}"),
    }
}

#[test]
fn the_configuration_says_what_the_document_says() {
    let webshop = config(&[]);
    assert_eq!(webshop.split, Protocol::time(7, 7));
    assert_eq!((webshop.training.window_days, webshop.purchases_a_step()), (Some(7), 256));
    // Every switch of the document.
    let switched = config(&[
        "features.query.1.enabled=false",
        "features.query.2.enabled=false",
        "features.item.3.enabled=false",
        "model.dim=0",
        "optimizer.amsgrad=true",
        "loss.kind=binary-cross-entropy",
    ]);
    assert_eq!((switched.model.dim, switched.model.query_layers.len()), (64, 1));
}

#[test]
fn trained_exported_in_parts_and_served() {
    let home = tempfile::tempdir().unwrap();
    let shop = home.path().join("shop");
    let size = ShopSize { articles: 200, customers: 300, transactions: 12_000, days: 40, seed: 1 };
    Generator::new(size).unwrap().write(&shop, false).unwrap();
    let dataset = load(&shop);
    let bundle = train(
        &dataset,
        home.path(),
        &config(&["features.item.1.dropout=0.1", "training.epochs=2"]),
    );
    let metrics = &bundle.manifest().metrics[0].metrics;
    assert!(
        metrics[PAIR_LOSS].is_finite() && (0.0..=1.0).contains(&metrics[SIMILARITY_RECALL]),
        "{metrics:?}"
    );
    days_and_groups(&bundle);
    parts_give_the_same(&bundle, &dataset);

    add_unseen(&shop, &dataset);
    let dataset = load(&shop);
    let row = dataset.articles.ids.find(NEW).unwrap() as usize;
    unknown_slot(&bundle, &EntityRow { entities: &dataset.articles, row });
    let customer = dataset.customers.ids.get(*dataset.purchases.customer.last().unwrap());
    let wanted =
        json!({ "customer_id": customer, "k": 3, "filter": { "garment_group_name": UNSEEN } });
    let answer = Server::start(home.path(), &dataset).recommend(wanted);
    assert_eq!(
        (&answer["items"][0]["article_id"], &answer["items"][0]["source"]),
        (&json!(NEW), &json!("model"))
    );
    assert_eq!(answer["meta"]["strategy"], "personalised");
}

/// The week's seven days and the age groups of the document's formula.
fn days_and_groups(bundle: &Bundle) {
    let features = &bundle.manifest().schema.query.features;
    let Encoding::Bucket { rows, missing, .. } = features[1].encoding else {
        panic!("{:?}", features[1])
    };
    assert!(rows > 5 && missing == rows - 1, "{rows} groups, {missing} for a missing age");
    let Encoding::Embedding { rows, .. } = features[2].encoding else {
        panic!("{:?}", features[2])
    };
    assert_eq!(rows, 7 + 1, "the days of the training week and the unknown one");
}

fn unknown_slot(bundle: &Bundle, attributes: &EntityRow<'_>) {
    let encoder = bundle.encoder();
    let (mut indices, mut numbers) = (vec![-1; encoder.item_widths().0], vec![]);
    encoder.encode_item(&ArticleView { id: Some(NEW), attributes }, &mut indices, &mut numbers);
    let rows = |at: usize| match encoder.schema().item.slots()[at] {
        Slot::Embedding { rows, .. } | Slot::OneHot { rows, .. } => rows as i64,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (indices[0], indices[1]),
        (rows(0) - 1, rows(1) - 1),
        "unknown id and garment group"
    );
    assert!((2..6).all(|at| indices[at] < rows(at) - 1), "{indices:?}: the rest is known");
    let mut vector = Vec::new();
    bundle.towers().unwrap().item.embed(&indices, &numbers, 1, &mut vector).unwrap();
    assert!((vector.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-4, "a unit vector");
}

/// The five files, and that they compute what the bundle's towers do.
fn parts_give_the_same(bundle: &Bundle, dataset: &dataset::Dataset) {
    let folder = bundle.directory().join("split");
    let mut files: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|f| f.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let encoders = ["article_id_encoder.onnx", "customer_id_encoder.onnx"];
    assert_eq!(
        files,
        [&encoders[..], &["item_tower.onnx", "query_tower.onnx", "transaction_date_encoder.onnx"]]
            .concat()
    );

    let schema = &bundle.encoder().schema().item;
    let (mut indices, mut numbers) = (vec![0; bundle.encoder().item_widths().0], vec![]);
    let mut input = Vec::new();
    let article = ArticleView {
        id: Some(dataset.articles.ids.get(3)),
        attributes: &EntityRow { entities: &dataset.articles, row: 3 },
    };
    bundle.encoder().encode_item(&article, &mut indices, &mut numbers);
    for (slot, feature) in schema.slots().into_iter().zip(&schema.features) {
        match slot {
            Slot::Embedding { dim, at, .. } => {
                let schema = TowerSchema { features: vec![feature.clone()] };
                let encoder = Tower::load(
                    &folder.join(format!("{}_encoder.onnx", feature.name)),
                    &schema,
                    dim,
                )
                .unwrap();
                let mut columns = Vec::new();
                encoder.embed(&[indices[at]], &[], 1, &mut columns).unwrap();
                input.extend(columns);
            }
            Slot::OneHot { rows, at } => {
                input.extend((0..rows).map(|row| f32::from(u8::from(row as i64 == indices[at]))))
            }
            other => panic!("{other:?}"),
        }
    }
    let mut numbers_only = schema.features[0].clone();
    numbers_only.encoding = Encoding::MultiHot { vocabulary: "x".into(), rows: input.len() };
    let layers = TowerSchema { features: vec![numbers_only] };
    let (mut parts, mut whole) = (Vec::new(), Vec::new());
    let layers =
        Tower::load(&folder.join("item_tower.onnx"), &layers, bundle.manifest().dim).unwrap();
    layers.embed(&[], &input, 1, &mut parts).unwrap();
    bundle.towers().unwrap().item.embed(&indices, &[], 1, &mut whole).unwrap();
    assert!(parts.iter().zip(&whole).all(|(a, b)| (a - b).abs() < 1e-4), "{parts:?} {whole:?}");
}
