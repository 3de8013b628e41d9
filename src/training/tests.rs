//! The run as a whole, on small shops.

use super::{ConfigError, Outcome, Trained, Trainer, TrainingConfig, TrainingError};
use crate::{
    bundle::Bundle,
    dataset::{Dataset, Histories, Split, TimeUnit, Vectors},
    domain::{ArticleId, Timestamp, TopK},
    families::TrainedModel,
    features::testing,
    model::{SequenceModel, TwoTower},
    recommend::{
        CatalogueBuilder, Customer, Generation, Request, Sampling, Shop, Snapshot, Strategy,
        Warning, recommend, sources,
    },
    text,
};
use std::{
    any::Any,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// 20 articles in two tastes of 10; every customer buys within one of them.
pub(crate) fn shop() -> Dataset {
    let mut dataset = testing::shop(3, 20, 30, 600, TimeUnit::Second);
    let purchases = &mut dataset.purchases;
    for (article, customer) in purchases.article.iter_mut().zip(&purchases.customer) {
        *article = *article % 10 + customer % 2 * 10;
    }
    dataset
}

fn config(changes: &[&str]) -> TrainingConfig {
    let text = format!(
        "{}\n{}",
        "model = { name = \"small\", family = \"two-tower\", dim = 8, query_layers = [8], normalize = true }
        loss = { temperature = 0.2, uniform_negatives = 5 }
        optimizer = { learning_rate = 0.02, weight_decay = 0.0001 }
        training = { epochs = 4, batch_size = 32, threads = 1, patience = 0 }
        split = { protocol = \"leave-one-out\" }
        [features]",
        testing::FEATURES
    );
    configure(&text, changes).unwrap()
}

pub(crate) fn configure(text: &str, changes: &[&str]) -> Result<TrainingConfig, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    std::fs::write(&path, text).unwrap();
    let changes: Vec<String> = changes.iter().map(|c| (*c).to_owned()).collect();
    TrainingConfig::load(&path, &changes)
}

/// Holds weeks out, where a taste is half the catalogue: chance and popularity would find half of
/// what is bought.
const WEEK: &str = "split={protocol=\"temporal\", test_days=7, validation_days=7}";

/// Trains in `directory`, stopping before step number `steps` of this call.
pub(crate) fn train(
    config: &TrainingConfig,
    directory: &Path,
    resume: bool,
    steps: usize,
) -> Result<Outcome, TrainingError> {
    let taken = AtomicUsize::new(0);
    with_trainer(config, directory, &|| taken.fetch_add(1, Ordering::Relaxed) >= steps, |trainer| {
        trainer.train(resume)
    })
}

pub(crate) fn with_trainer<T>(
    config: &TrainingConfig,
    directory: &Path,
    stop: &(dyn Fn() -> bool + Sync),
    work: impl FnOnce(&Trainer<'_>) -> T,
) -> T {
    with_data(&shop(), config, directory, stop, work)
}

pub(crate) fn with_data<T>(
    dataset: &Dataset,
    config: &TrainingConfig,
    directory: &Path,
    stop: &(dyn Fn() -> bool + Sync),
    work: impl FnOnce(&Trainer<'_>) -> T,
) -> T {
    let histories = Histories::of(dataset);
    let split = Split::new(dataset, &histories, config.split).unwrap();
    work(&Trainer {
        config,
        dataset,
        histories: &histories,
        split: &split,
        fingerprint: &dataset.fingerprint(),
        directory: directory.to_owned(),
        cache: directory.join("cache"),
        stop,
        observe: &|_| (),
        final_epochs: None,
        warm: None,
    })
}

#[track_caller]
pub(crate) fn finished(outcome: Result<Outcome, TrainingError>) -> Trained {
    match outcome.unwrap() {
        Outcome::Finished(trained) => *trained,
        Outcome::Interrupted(_) => panic!("the run was interrupted"),
    }
}

#[track_caller]
pub(crate) fn model<M: TrainedModel>(trained: &Trained) -> &M {
    let any: &dyn Any = &*trained.model;
    any.downcast_ref().expect("of another family")
}

#[track_caller]
fn two_tower(trained: &Trained) -> &TwoTower {
    model(trained)
}

#[track_caller]
fn assert_same(a: &Trained, b: &Trained) {
    let (x, y) = (two_tower(a), two_tower(b));
    assert_eq!((a.epochs, a.validation, x.steps), (b.epochs, b.validation, y.steps));
    for (a, b) in [(&x.query, &y.query), (&x.item, &y.item)] {
        assert!(a.tables == b.tables && a.tower == b.tower, "the weights differ");
    }
}

#[test]
fn a_resumed_run_ends_in_the_same_bits() {
    // 540 purchases, 17 batches an epoch: within the first epoch, after two, within the third,
    // within a refit.
    for (changes, stops) in [
        (&[][..], &[5, 34, 40][..]),
        (&["training.refit=validation", "training.patience=2", "training.epochs=3"], &[20, 60]),
        (
            &["loss.kind=cosine-cross-entropy", "optimizer.kind=adam", "optimizer.amsgrad=true"],
            &[10, 50],
        ),
    ] {
        let config = config(changes);
        let straight = tempfile::tempdir().unwrap();
        let straight = finished(train(&config, straight.path(), false, usize::MAX));
        for &stop in stops {
            let directory = tempfile::tempdir().unwrap();
            let first = train(&config, directory.path(), false, stop).unwrap();
            assert!(matches!(first, Outcome::Interrupted(path) if path.exists()), "{stop}");
            // Twice: once more in between, without a step taken.
            assert!(matches!(
                train(&config, directory.path(), true, 0).unwrap(),
                Outcome::Interrupted(_)
            ));
            assert_same(&finished(train(&config, directory.path(), true, usize::MAX)), &straight);
        }
    }
}

#[test]
fn checkpoints_of_other_runs_and_damaged_ones_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let error = |config: &TrainingConfig| match train(config, directory.path(), true, 0) {
        Err(error) => (error.is_bad_input(), error.to_string()),
        Ok(_) => panic!("resumed"),
    };
    assert!(error(&config(&[])).1.contains("train without --resume"));
    assert!(matches!(
        train(&config(&[]), directory.path(), false, 20).unwrap(),
        Outcome::Interrupted(_)
    ));
    let (bad_input, text) = error(&config(&["optimizer.learning_rate=0.5", "model.dim=4"]));
    assert!(
        bad_input
            && text.contains("`optimizer.learning_rate` was 0.019")
            && text.contains("`model.dim` was 8, is now 4"),
        "{text}"
    );

    let path = directory.path().join("last.ckpt");
    let whole = std::fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for (bytes, problem) in [
        (&whole[..whole.len() - 40], "ends early"),
        (&whole[..9], "ends early"),
        (&flipped, "checksum"),
        (b"not a checkpoint at all", "begin"),
        (b"VTRCKPT1 and what an earlier version wrote", "another version of Vitrine"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        assert!(error(&config(&[])).1.contains(problem), "{problem}: {}", error(&config(&[])).1);
    }
}

/// A run of four epochs without patience to spare: it ends where it began to worsen, and goes back
/// to `best.ckpt`.
#[test]
fn the_best_checkpoint_must_be_of_the_epoch_that_the_last_one_names() {
    let config = config(&["training.patience=1", "training.epochs=8"]);
    let directory = tempfile::tempdir().unwrap();
    let straight = finished(train(&config, directory.path(), false, usize::MAX));
    let [last, best] = ["last.ckpt", "best.ckpt"].map(|name| directory.path().join(name));
    let state = super::checkpoint::read_state(&last).unwrap();
    assert_eq!(straight.epochs + 1, state.epoch, "the last epoch was worse");
    assert_same(&finished(train(&config, directory.path(), true, usize::MAX)), &straight);
    std::fs::copy(&last, &best).unwrap();
    match train(&config, directory.path(), true, usize::MAX) {
        Err(error) => {
            let (found, wanted) = (straight.epochs + 1, straight.epochs);
            let text = error.to_string();
            assert!(
                error.is_bad_input() && text.contains(&format!("is of epoch {found}")),
                "{text}"
            );
            assert!(text.contains(&format!("names epoch {wanted} as the best")), "{text}");
        }
        Ok(_) => panic!("took another epoch for the best"),
    }
}

/// A crash between writing an epoch and keeping it as the best loses neither.
#[test]
fn a_best_epoch_that_was_not_kept_yet_is_kept_on_resuming() {
    let config = config(&["training.patience=1", "training.epochs=8"]);
    let straight = tempfile::tempdir().unwrap();
    let straight = finished(train(&config, straight.path(), false, usize::MAX));
    let directory = tempfile::tempdir().unwrap();
    // 17 batches an epoch; the stop in the next one leaves the end of the best epoch in
    // `best.ckpt`.
    let steps = 17 * straight.epochs as usize + 1;
    assert!(matches!(
        train(&config, directory.path(), false, steps).unwrap(),
        Outcome::Interrupted(_)
    ));
    let [last, best] = ["last.ckpt", "best.ckpt"].map(|name| directory.path().join(name));
    std::fs::rename(&best, &last).unwrap();
    assert_same(&finished(train(&config, directory.path(), true, usize::MAX)), &straight);
}

#[test]
fn a_diverging_run_names_the_step_and_keeps_its_last_checkpoint() {
    let wild = config(&[
        "optimizer.learning_rate=1e30",
        "model.normalize=false",
        "loss.temperature=1e-30",
    ]);
    assert_diverges(train, &config(&[]), &wild);
}

/// A way to train: as [`train`].
type Training = fn(&TrainingConfig, &Path, bool, usize) -> Result<Outcome, TrainingError>;

/// The calm run leaves a checkpoint after three steps, and the wild one leaves it alone.
#[track_caller]
pub(crate) fn assert_diverges(train: Training, calm: &TrainingConfig, wild: &TrainingConfig) {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(train(calm, directory.path(), false, 3).unwrap(), Outcome::Interrupted(_)));
    let before = std::fs::read(directory.path().join("last.ckpt")).unwrap();
    match train(wild, directory.path(), false, usize::MAX) {
        Err(TrainingError::Diverged { step, .. }) => assert!(step >= 1),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("did not diverge"),
    }
    assert_eq!(std::fs::read(directory.path().join("last.ckpt")).unwrap(), before);
}

#[test]
fn drawn_negatives_are_kept_and_never_used_for_other_purchases() {
    let directory = tempfile::tempdir().unwrap();
    let pairs = |seed: &str| config(&["loss.kind=binary-cross-entropy", "training.epochs=1", seed]);
    let run = |seed: &str| finished(train(&pairs(seed), directory.path(), false, usize::MAX));
    let files = || -> Vec<_> {
        std::fs::read_dir(directory.path().join("cache"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect()
    };
    let first = run("training.seed=1");
    let [path] = files().try_into().unwrap();
    let file = std::fs::read(&path).unwrap();
    assert_same(&run("training.seed=1"), &first);
    run("training.seed=2");
    assert_eq!(files().len(), 2, "another seed draws others");
    assert_eq!(std::fs::read(&path).unwrap(), file);
    // What is in the file is what is learnt from.
    let mut other = file[..file.len() - 32].to_vec();
    other[40..].chunks_exact_mut(4).for_each(|article| article.copy_from_slice(&[0; 4]));
    other.extend(<sha2::Sha256 as sha2::Digest>::digest(&other));
    std::fs::write(&path, other).unwrap();
    let other = run("training.seed=1");
    assert!(two_tower(&other).item.tables != two_tower(&first).item.tables);
    std::fs::write(&path, &file[..file.len() / 2]).unwrap();
    assert_same(&run("training.seed=1"), &first);
    assert_eq!(std::fs::read(&path).unwrap(), file);
}

#[test]
fn every_loss_learns_tastes() {
    for kind in ["softmax", "cosine-cross-entropy", "binary-cross-entropy"] {
        let kind = format!("loss.kind={kind}");
        let config = config(&[&kind, "training.epochs=15", WEEK]);
        let directory = tempfile::tempdir().unwrap();
        with_trainer(&config, directory.path(), &|| false, |trainer| {
            let trained = finished(trainer.train(false));
            let lines = std::fs::read_to_string(directory.path().join("metrics.jsonl")).unwrap();
            let losses: Vec<f64> = lines
                .lines()
                .map(|line| {
                    serde_json::from_str::<serde_json::Value>(line).unwrap()["loss"]
                        .as_f64()
                        .unwrap()
                })
                .collect();
            assert!(losses[14] < 0.95 * losses[0], "{kind}: {losses:?}");
            let row = trainer.test(&trained).unwrap();
            assert!(row.metrics["recall@10"] > 0.9, "{kind}: {:?}", row.metrics);
        });
    }
}

#[test]
fn tastes_are_learnt_and_the_bundle_holds_the_model() {
    let changes = [
        "training.epochs=15",
        "training.patience=15",
        "training.refit=validation",
        "training.threads=2",
        WEEK,
    ];
    let config = config(&changes);
    let directory = tempfile::tempdir().unwrap();
    with_trainer(&config, directory.path(), &|| false, |trainer| {
        let trained = finished(trainer.train(false));
        let row = trainer.test(&trained).unwrap();
        assert!(row.metrics["recall@10"] > 0.9, "{:?}", row.metrics);
        let bundle = trainer.export(&trained, &[row], directory.path()).unwrap();
        let bundle = Bundle::open(&bundle).unwrap();
        assert_eq!(
            (bundle.manifest().dim, bundle.manifest().items, bundle.manifest().metrics.len()),
            (8, 20, 1)
        );
    });
    let lines = std::fs::read_to_string(directory.path().join("metrics.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let loss = |line: &serde_json::Value| line["loss"].as_f64().unwrap();
    assert!(loss(&lines[14]) < 0.9 * loss(&lines[0]));
    assert!(lines[0]["ndcg@10"].is_f64() && lines.iter().any(|line| line["stage"] == "refit"));
}

/// A small decoder that reads items by their texts.
const READS_TEXTS: &str = r#"
    model = { name = "tiny", family = "decoder", dim = 4 }
    sequence = { length = 6, tokens = "text", tied = false, sos = true }
    decoder = { layers = 1, heads = 2, feed_forward = 8, dropout = 0.0 }
    text = { encoder = "nowhere" }
    loss = { logq = false, uniform_negatives = 100 }
    optimizer = { learning_rate = 0.02 }
    training = { epochs = 12, batch_size = 8, threads = 1, patience = 0 }
    split = { protocol = "leave-one-out" }"#;

fn parse(text: &str) -> Result<TrainingConfig, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    std::fs::write(&path, text).unwrap();
    TrainingConfig::load(&path, &[]).map_err(|error| error.to_string())
}

#[test]
fn a_decoder_reads_texts_answers_guests_and_generates() {
    let config = parse(READS_TEXTS).unwrap();
    let mut dataset = shop();
    let directory = tempfile::tempdir().unwrap();
    let run = |dataset: &Dataset| {
        with_data(dataset, &config, directory.path(), &|| false, |trainer| {
            let outcome = trainer.train(false).map_err(|error| error.to_string())?;
            let trained = finished(Ok(outcome));
            let bundle = trainer.export(&trained, &[], directory.path()).unwrap();
            Ok::<_, String>((trained, bundle))
        })
    };
    assert!(run(&dataset).err().unwrap().contains("the configuration needs [text]"));
    // Texts of the two tastes, each article with a little of its own.
    let texts = |dim: usize| {
        let number = |i: usize| if i % dim == i / dim / 10 { 2.0 } else { 0.1 * (i % 7) as f32 };
        Vectors { name: text::NAME.to_owned(), dim, numbers: (0..20 * dim).map(number).collect() }
    };
    dataset.articles.vectors = vec![texts(3)];
    assert!(run(&dataset).err().unwrap().contains("have 3 numbers, but `sequence.item_dim` is 4"));
    dataset.articles.vectors = vec![texts(4)];
    let (trained, bundle) = run(&dataset).unwrap();
    let model: &SequenceModel = model(&trained);
    let tokens = model.tokens.as_ref().unwrap();
    assert_eq!(tokens.weights[..80], texts(4).numbers, "frozen");
    assert!(tokens.row(20).iter().any(|x| *x != 0.0), "the beginning of a sequence is learnt");

    let mut catalogue = CatalogueBuilder::default();
    for id in dataset.articles.ids.iter() {
        catalogue.push(id, id != "a4", std::iter::empty());
    }
    let snapshot =
        Snapshot::new(Arc::new(Bundle::open(&bundle).unwrap()), Arc::new(catalogue.finish(1)))
            .unwrap();
    let session = ["a3", "gone", "a5", "a1"].map(|id| ArticleId::parse(id).unwrap());
    let answer = |generation| {
        let guest = Request::new(None, TopK::new(6).unwrap(), Timestamp(1_600_000_000));
        let request = Request { session: session.to_vec(), generation, ..guest };
        let answer = recommend(&Shop::default(), &snapshot, &request, Customer::UNKNOWN).unwrap();
        assert_eq!(answer.warnings, [Warning::UnknownSessionArticles]);
        let ids: Vec<String> =
            answer.items.iter().map(|item| snapshot.catalogue().id(item.row).to_owned()).collect();
        let in_taste = ids.iter().filter(|id| id[1..].parse::<usize>().unwrap() < 10).count();
        assert!(in_taste >= 5, "three clicks tell the taste: {ids:?}");
        assert!(ids.iter().all(|id| !["a4", "a3", "a5", "a1"].contains(&id.as_str())), "{ids:?}");
        (ids, answer)
    };
    assert_eq!(answer(None).1.strategy, Strategy::Session);
    let sample = |seed| Some(Generation::Sample(Sampling { temperature: 0.5, top_p: 0.9, seed }));
    for generation in [Some(Generation::Greedy), Some(Generation::Beam { width: 3 }), sample(1)] {
        let (ids, generated) = answer(generation);
        assert_eq!((generated.strategy, ids.len()), (Strategy::Generated, 6));
        assert!(
            generated
                .items
                .iter()
                .all(|item| item.source == sources::GENERATED && item.score <= 0.0)
        );
        assert_eq!(answer(generation).0, ids);
    }
}

#[test]
fn tokens_of_texts_need_texts_and_a_table_of_their_own() {
    for (from, to) in [("tied = false", "tied = true"), ("text = {", "#")] {
        let error = parse(&READS_TEXTS.replace(from, to)).unwrap_err();
        assert!(
            error.contains("`sequence.tokens` is `text`: that needs a section [text]"),
            "{error}"
        );
    }
    let text = include_str!("../../models/configs/decoder-text.toml");
    assert_eq!(serde_json::json!(parse(text).unwrap())["sequence"]["tokens"], "text");
}
