//! Sampler, pruning and the order of trials, without training.

use super::{board::Board, sampler::suggest, trial::hopeless, *};
use serde_json::json;

const SPACE: &str = r#"
    [sweep]
    base = "base.toml"
    metric = "recall@12"
    trials = 30
    startup = 6
    [space]
    "optimizer.learning_rate" = { log = [1e-4, 0.1] }
    "loss.temperature" = { uniform = [0.05, 1.0] }
    "training.epochs" = { int = [1, 4] }
    "model.query_layers.0" = { choice = [8, 16], also = ["model.item_layers.0"] }
    "loss.logq" = { choice = [true, false] }
"#;

const BASE: &str = r#"
    model = { name = "small", family = "two-tower", dim = 8, query_layers = [8], item_layers = [8] }
    [[features.query]]
    source = "customer_id"
    encoding = "embedding"
    dim = 8
    [[features.item]]
    source = "article_id"
    encoding = "embedding"
    dim = 8
"#;

fn load(text: &str) -> Result<SweepFile, ExperimentError> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("base.toml"), BASE).unwrap();
    let path = directory.path().join("small.toml");
    std::fs::write(&path, text).unwrap();
    SweepFile::load(&path)
}

fn definition() -> Definition {
    load(SPACE).unwrap().definition
}

fn ended(number: usize, values: &Values, status: Status, by_epoch: &[f64]) -> Trial {
    let values = values.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    let result = by_epoch.last().copied();
    Trial { number, values, status, result, by_epoch: by_epoch.to_vec(), reason: None }
}

/// Best at a learning rate of 0.01 with `logq`.
fn objective(values: &Values) -> f64 {
    let rate = values["optimizer.learning_rate"].as_float().unwrap().log10();
    f64::from(values["loss.logq"].as_bool().unwrap()) - (rate + 2.0).powi(2)
}

fn search(definition: &Definition) -> Vec<Trial> {
    let mut trials: Vec<Trial> = Vec::new();
    for number in 0..definition.trials {
        let seen: Vec<Trial> =
            trials.iter().filter(|t| t.number + definition.parallel <= number).cloned().collect();
        let values = suggest(definition, number, &seen);
        trials.push(ended(number, &values, Status::Finished, &[objective(&values)]));
    }
    trials
}

#[test]
fn suggestions_lie_in_the_space_and_depend_on_what_is_seen_alone() {
    let definition = definition();
    let trials = search(&definition);
    assert_eq!(trials, search(&definition));
    for Trial { values, .. } in &trials {
        assert!((1e-4..=0.1).contains(&values["optimizer.learning_rate"].as_f64().unwrap()));
        assert!((0.05..=1.0).contains(&values["loss.temperature"].as_f64().unwrap()));
        assert!((1..=4).contains(&values["training.epochs"].as_i64().unwrap()));
    }
    let of = |key: &str| {
        trials
            .iter()
            .map(|trial| trial.values[key].to_string())
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(
        (of("training.epochs").len(), of("model.query_layers.0").len(), of("loss.logq").len()),
        (4, 2, 2)
    );
    let other = Definition { seed: 2, ..definition };
    assert_ne!(trials[0].values, search(&other)[0].values);
}

#[test]
fn the_estimator_finds_what_chance_does_not() {
    // The mean over the last trials of a few sweeps: one alone may be lucky.
    let late = |sampler| -> f64 {
        let mut sum = 0.0;
        for seed in 0..8 {
            let trials = search(&Definition { sampler, seed, trials: 40, ..definition() });
            sum += trials[20..].iter().filter_map(|trial| trial.result).sum::<f64>() / 20.0 / 8.0;
        }
        sum
    };
    let (tpe, random) = (late(Sampler::Tpe), late(Sampler::Random));
    assert!(tpe > random + 0.3, "{tpe} {random}");
}

#[test]
fn failed_and_pruned_trials_lead_away() {
    let definition = Definition { startup: 1, ..definition() };
    let space: Vec<Values> = (0..40)
        .map(|number| {
            suggest(&Definition { sampler: Sampler::Random, ..definition.clone() }, number, &[])
        })
        .collect();
    let logq = |values: &Values| values["loss.logq"].as_bool().unwrap();
    let mut seen: Vec<Trial> = Vec::new();
    for (number, values) in space.iter().enumerate() {
        // Whatever a pruned trial had reached, it is not good; failed ones have nothing.
        let (status, by_epoch) = match (logq(values), number % 2) {
            (true, _) => (Status::Finished, &[0.1][..]),
            (false, 0) => (Status::Pruned, &[0.9][..]),
            (false, _) => (Status::Failed, &[][..]),
        };
        seen.push(ended(number, values, status, by_epoch));
    }
    let good = (100..140).filter(|&number| logq(&suggest(&definition, number, &seen))).count();
    assert!(good >= 36, "{good} of 40");
}

#[test]
fn recorded_values_find_back_to_their_coordinate() {
    let definition = definition();
    for number in 0..50 {
        for (key, value) in suggest(&definition, number, &[]) {
            let domain = definition.space[&key].domain();
            let read: serde_json::Value = serde_json::from_str(&json!(value).to_string()).unwrap();
            let at = domain.coordinate(&read).unwrap();
            assert_eq!(domain.value(at), value, "{key}");
            assert!(domain.range().unwrap().contains(at), "{key} {at}");
        }
    }
}

#[test]
fn the_median_rule() {
    let definition = Definition { warmup_trials: 3, warmup_epochs: 2, ..definition() };
    let none = Values::new();
    let seen: Vec<Trial> = [[0.1, 0.2, 0.3], [0.3, 0.4, 0.4], [0.5, 0.6, 0.6]]
        .iter()
        .enumerate()
        .map(|(number, by_epoch)| ended(number, &none, Status::Finished, by_epoch))
        .collect();
    let cut = |by_epoch: &[f64], seen: &[Trial]| hopeless(&definition, by_epoch, seen);
    assert!(!cut(&[0.0], &seen), "the first epochs are free");
    assert!(cut(&[0.0, 0.39], &seen) && !cut(&[0.0, 0.4], &seen));
    assert!(cut(&[0.0, 0.1, 0.1, 0.39], &seen), "trials that had ended keep their best");
    assert!(!cut(&[0.0, 0.0], &seen[..2]), "too few trials");
    let pruned: Vec<Trial> =
        seen.iter().map(|trial| Trial { status: Status::Pruned, ..trial.clone() }).collect();
    assert!(!cut(&[0.0, 0.0], &pruned), "only finished trials count");
    assert!(!hopeless(&Definition { prune: false, ..definition.clone() }, &[0.0, 0.0], &seen));
}

#[test]
fn workers_see_the_same_trials_whatever_their_speed() {
    for parallel in [1, 3] {
        let known = vec![
            ended(0, &Values::new(), Status::Finished, &[]),
            ended(4, &Values::new(), Status::Finished, &[]),
        ];
        let board = Board::new(12, parallel, known);
        let shown = std::sync::Mutex::new(BTreeMap::new());
        std::thread::scope(|scope| {
            for _ in 0..parallel {
                scope.spawn(|| {
                    board.work(|number, seen| {
                        shown
                            .lock()
                            .unwrap()
                            .insert(number, seen.iter().map(|t| t.number).collect::<Vec<_>>());
                        Ok(Some(ended(number, &Values::new(), Status::Finished, &[])))
                    });
                });
            }
        });
        let shown = shown.into_inner().unwrap();
        assert_eq!(shown.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 5, 6, 7, 8, 9, 10, 11]);
        for (number, seen) in shown {
            assert_eq!(
                seen,
                (0..(number + 1).saturating_sub(parallel)).collect::<Vec<_>>(),
                "{number}"
            );
        }
        assert_eq!(board.finish().unwrap().unwrap().len(), 12);
    }
}

#[test]
fn a_stop_or_a_fault_ends_all_workers() {
    for (result, fault) in [(Ok(None), false), (Err(ExperimentError::Panic), true)] {
        let board = Board::new(9, 2, Vec::new());
        let result = std::sync::Mutex::new(Some(result));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope
                    .spawn(|| board.work(|_, _| result.lock().unwrap().take().unwrap_or(Ok(None))));
            }
        });
        assert_eq!(board.finish().map(|trials| trials.is_none()).is_err(), fault);
    }
}

#[test]
fn what_is_wrong_with_a_sweep_is_named() {
    let file = load(SPACE).unwrap();
    assert_eq!(
        (file.run_name().as_str(), file.definition.parallel, file.definition.prune),
        ("sweep-small", 1, true)
    );
    for (from, to, part) in [
        ("trials = 30", "trials = 0", "`trials` must be"),
        ("startup = 6", "start = 6", "unknown field `start`"),
        ("log = [1e-4, 0.1]", "log = [0.0, 0.1]", "`optimizer.learning_rate` `log` needs 0 < from"),
        ("int = [1, 4]", "int = [4, 1]", "`training.epochs` `int` needs from < to"),
        ("int = [1, 4]", "int = [1, 4], log = [1.0, 2.0]", "needs one of"),
        ("choice = [true, false]", "choice = []", "offers nothing"),
        ("\"loss.logq\"", "\"training.refit\"", "cannot be searched over"),
        ("\"loss.logq\"", "\"split.test_days\"", "cannot be searched over"),
        (
            "also = [\"model.item_layers.0\"]",
            "also = [\"loss.logq\"]",
            "`loss.logq` stands there twice",
        ),
        ("base.toml", "nowhere.toml", "nowhere.toml"),
    ] {
        let error = load(&SPACE.replace(from, to)).unwrap_err();
        assert!(error.is_bad_input() && error.to_string().contains(part), "{to}: {error}");
    }
}
