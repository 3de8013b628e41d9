//! The run as a whole, on small shops.

use super::{ConfigError, Model, Outcome, Trained, Trainer, TrainingConfig, TrainingError};
use crate::{
    bundle::Bundle,
    dataset::{Dataset, Histories, Split, TimeUnit},
    features::testing,
    model::TwoTower,
};
use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

/// 20 articles in two tastes of 10; every customer buys within one of them.
fn shop() -> Dataset {
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

pub(super) fn configure(text: &str, changes: &[&str]) -> Result<TrainingConfig, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    std::fs::write(&path, text).unwrap();
    let changes: Vec<String> = changes.iter().map(|c| (*c).to_owned()).collect();
    TrainingConfig::load(&path, &changes)
}

/// Holds weeks out, where a taste is half the catalogue: chance and popularity would find half of what is bought.
const WEEK: &str = "split={protocol=\"temporal\", test_days=7, validation_days=7}";

/// Trains in `directory`, stopping before step number `steps` of this call.
pub(super) fn train(
    config: &TrainingConfig,
    directory: &Path,
    resume: bool,
    steps: usize,
) -> Result<Outcome, TrainingError> {
    let taken = AtomicUsize::new(0);
    with_trainer(config, directory, &|| taken.fetch_add(1, Ordering::Relaxed) >= steps, |trainer| trainer.train(resume))
}

pub(super) fn with_trainer<T>(
    config: &TrainingConfig,
    directory: &Path,
    stop: &(dyn Fn() -> bool + Sync),
    work: impl FnOnce(&Trainer<'_>) -> T,
) -> T {
    let dataset = shop();
    let histories = Histories::of(&dataset);
    let split = Split::new(&dataset, &histories, config.split).unwrap();
    work(&Trainer {
        config,
        dataset: &dataset,
        histories: &histories,
        split: &split,
        fingerprint: &dataset.fingerprint(),
        directory: directory.to_owned(),
        cache: directory.join("cache"),
        stop,
        observe: &|_| (),
    })
}

#[track_caller]
pub(super) fn finished(outcome: Result<Outcome, TrainingError>) -> Trained {
    match outcome.unwrap() {
        Outcome::Finished(trained) => *trained,
        Outcome::Interrupted(_) => panic!("the run was interrupted"),
    }
}

#[track_caller]
fn two_tower(trained: &Trained) -> &TwoTower {
    match &trained.model {
        Model::TwoTower(model) => model,
        Model::Sequence(_) => panic!("of another family"),
    }
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
    // 540 purchases, 17 batches an epoch: within the first epoch, after two, within the third, within a refit.
    for (changes, stops) in [
        (&[][..], &[5, 34, 40][..]),
        (&["training.refit=validation", "training.patience=2", "training.epochs=3"], &[20, 60]),
        (&["loss.kind=cosine-cross-entropy", "optimizer.kind=adam", "optimizer.amsgrad=true"], &[10, 50]),
    ] {
        let config = config(changes);
        let straight = tempfile::tempdir().unwrap();
        let straight = finished(train(&config, straight.path(), false, usize::MAX));
        for &stop in stops {
            let directory = tempfile::tempdir().unwrap();
            let first = train(&config, directory.path(), false, stop).unwrap();
            assert!(matches!(first, Outcome::Interrupted(path) if path.exists()), "{stop}");
            // Twice: once more in between, without a step taken.
            assert!(matches!(train(&config, directory.path(), true, 0).unwrap(), Outcome::Interrupted(_)));
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
    assert!(matches!(train(&config(&[]), directory.path(), false, 20).unwrap(), Outcome::Interrupted(_)));
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
    ] {
        std::fs::write(&path, bytes).unwrap();
        assert!(error(&config(&[])).1.contains(problem), "{problem}: {}", error(&config(&[])).1);
    }
}

#[test]
fn a_diverging_run_names_the_step_and_keeps_its_last_checkpoint() {
    let directory = tempfile::tempdir().unwrap();
    let stable = config(&[]);
    assert!(matches!(train(&stable, directory.path(), false, 20).unwrap(), Outcome::Interrupted(_)));
    let before = std::fs::read(directory.path().join("last.ckpt")).unwrap();
    let wild = config(&["optimizer.learning_rate=1e30", "model.normalize=false", "loss.temperature=1e-30"]);
    match train(&wild, directory.path(), false, usize::MAX) {
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
        std::fs::read_dir(directory.path().join("cache")).unwrap().map(|entry| entry.unwrap().path()).collect()
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
                .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["loss"].as_f64().unwrap())
                .collect();
            assert!(losses[14] < 0.95 * losses[0], "{kind}: {losses:?}");
            let row = trainer.test(&trained).unwrap();
            assert!(row.metrics["recall@10"] > 0.9, "{kind}: {:?}", row.metrics);
        });
    }
}

#[test]
fn tastes_are_learnt_and_the_bundle_holds_the_model() {
    let changes =
        ["training.epochs=15", "training.patience=15", "training.refit=validation", "training.threads=2", WEEK];
    let config = config(&changes);
    let directory = tempfile::tempdir().unwrap();
    with_trainer(&config, directory.path(), &|| false, |trainer| {
        let trained = finished(trainer.train(false));
        let row = trainer.test(&trained).unwrap();
        assert!(row.metrics["recall@10"] > 0.9, "{:?}", row.metrics);
        let bundle = trainer.export(&trained, &[row], directory.path()).unwrap();
        let bundle = Bundle::open(&bundle).unwrap();
        assert_eq!((bundle.manifest().dim, bundle.manifest().items, bundle.manifest().metrics.len()), (8, 20, 1));
    });
    let lines = std::fs::read_to_string(directory.path().join("metrics.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let loss = |line: &serde_json::Value| line["loss"].as_f64().unwrap();
    assert!(loss(&lines[14]) < 0.9 * loss(&lines[0]));
    assert!(lines[0]["ndcg@10"].is_f64() && lines.iter().any(|line| line["stage"] == "refit"));
}
