//! What an evaluation refuses and warns of, through the built program.

use crate::place::{Place, bad, good, stdout};
use serde_json::Value;
use std::path::Path;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Trains on the shop; the bundle's path.
#[track_caller]
fn train(place: &Place, sets: &str) -> String {
    stdout(&good(&mut place.on_shop(&format!("train --config tiny.toml {sets}")))).trim().to_owned()
}

fn manifest(place: &Place, bundle: &str) -> Value {
    json(&place.read(Path::new(bundle).join("manifest.json")))
}

#[test]
fn a_test_that_the_bundle_has_seen_is_refused() {
    let place = Place::new();
    let bundle = train(&place, "--set training.epochs=1");
    let says = manifest(&place, &bundle);
    let (measured, until) = (&says["measured"], says["seen_until"].as_str().unwrap());
    assert_eq!(
        (&measured["protocol"], &measured["state"]),
        (&"time".into(), &"training-and-validation".into())
    );
    assert_eq!(measured["trained_until"], until);
    assert!(measured["verdict"]["best_baseline"].is_string(), "{measured}");
    assert_eq!(says["metrics"][0]["intervals"]["ndcg@10"].as_array().unwrap().len(), 2);

    let own =
        json(&stdout(&good(&mut place.on_shop(&format!("evaluate --bundle {bundle} --json")))));
    assert_eq!((&own["protocol"], &own["users"]), (&measured["protocol"], &measured["cases"]));
    let recall = |row: &Value| row["metrics"]["recall@12"].as_f64().unwrap();
    assert!((recall(&own["rows"][0]) - recall(&says["metrics"][0])).abs() < 1e-3);
    assert!(own["seen"].is_null() && own["verdict"]["metric"] == "recall@12");

    let longer = format!("evaluate --bundle {bundle} --test-days 20");
    let error = bad(&mut place.on_shop(&longer), 2);
    assert!(error.contains(until) && error.contains("--allow-seen"), "{error}");
    let allowed =
        json(&stdout(&good(&mut place.on_shop(&format!("{longer} --allow-seen --json")))));
    assert!(allowed["seen"].as_str().unwrap().contains(until));
    bad(&mut place.on_shop(&format!("evaluate --bundle {bundle} --protocol leave-one-out")), 2);
}

#[test]
fn what_ships_may_be_trained_on_everything() {
    let place = Place::new();
    let before = manifest(&place, &train(&place, "--set training.epochs=2"));
    let bundle = train(&place, "--set training.epochs=2 --set training.refit=\"all\"");
    let after = manifest(&place, &bundle);
    assert_eq!(
        after["metrics"][0]["metrics"], before["metrics"][0]["metrics"],
        "measured before the last training"
    );
    assert_eq!(after["measured"]["trained_until"], before["seen_until"]);
    assert!(
        after["seen_until"].as_str() > before["seen_until"].as_str(),
        "{}",
        after["seen_until"]
    );
    assert!(after["held_out"].is_null() && before["held_out"].is_string());
    bad(&mut place.on_shop(&format!("evaluate --bundle {bundle}")), 2);
    assert!(
        !place
            .0
            .path()
            .join("runs")
            .read_dir()
            .unwrap()
            .flatten()
            .any(|run| run.path().join("last.ckpt").exists())
    );
    let split = "split={protocol=\"time\",test_days=0,validation_days=7}";
    let error = bad(&mut place.on_shop(&format!("train --config tiny.toml --set {split}")), 2);
    assert!(error.contains("training.refit = \"all\""), "{error}");
}

#[test]
fn a_model_below_the_baselines_is_told_and_the_gate_refuses_it() {
    let place = Place::new();
    // It learns nothing: its lists are random.
    let nothing =
        "train --config tiny.toml --set training.epochs=1 --set optimizer.learning_rate=0.00000001";
    let error = bad(&mut place.on_shop(&format!("{nothing} --gate")), 3);
    assert!(error.contains("no bundle was written") && error.contains("BELOW"), "{error}");
    assert!(!place.0.path().join("models/tiny").exists());
    assert!(place.list()[0]["outcome"]["reason"].as_str().unwrap().contains("gate"));
    let output = good(&mut place.on_shop(nothing));
    let error = String::from_utf8_lossy(&output.stderr);
    let warning = error.find("WARNING: this model is worse than counting").unwrap();
    assert!(warning < error.find("Serve it with").unwrap(), "{error}");
    let says = manifest(&place, stdout(&output).trim());
    assert_eq!(says["measured"]["verdict"]["outcome"], "below");
}

#[test]
fn seeds_are_averaged() {
    let place = Place::new();
    let line = "compare --configs tiny.toml --set training.epochs=1 --baselines popularity item-knn --seeds 1,2 --json";
    let table = json(&stdout(&good(&mut place.on_shop(line))));
    assert_eq!(table["tie_seeds"], serde_json::json!([1, 2]));
    for row in table["rows"].as_array().unwrap() {
        let (mean, interval) =
            (row["metrics"]["ndcg@10"].as_f64().unwrap(), &row["intervals"]["ndcg@10"]);
        assert!(
            interval[0].as_f64().unwrap() <= mean && mean <= interval[1].as_f64().unwrap(),
            "{row}"
        );
    }
    let runs = place.list();
    let trained: Vec<&Value> = runs.iter().filter(|run| run["kind"] == "train").collect();
    let each = |run: &Value| run["outcome"]["test"][0]["metrics"]["ndcg@10"].as_f64().unwrap();
    assert_eq!(trained.len(), 2);
    let mean = (each(trained[0]) + each(trained[1])) / 2.0;
    assert!((table["rows"][0]["metrics"]["ndcg@10"].as_f64().unwrap() - mean).abs() < 1e-9);

    let line = "evaluate --baseline all --protocol loo-strict --repeats keep --tie-seeds 2 --json";
    let report = json(&stdout(&good(&mut place.on_shop(line))));
    assert_eq!((&report["protocol"], &report["dropped"]), (&"loo-strict".into(), &0.into()));
    assert_eq!(
        (&report["tie_seeds"], &report["split"]["repeats"]),
        (&serde_json::json!([0, 1]), &"keep".into())
    );
    assert_eq!(report["rows"].as_array().unwrap().len(), 11);
    let dropped = json(&stdout(&good(&mut place.on_shop(&line.replace("keep", "drop")))));
    assert!(dropped["dropped"].as_u64().unwrap() > 0);
    let sum =
        |report: &Value| report["users"].as_u64().unwrap() + report["dropped"].as_u64().unwrap();
    assert!(sum(&dropped).abs_diff(sum(&report)) <= 1, "means of two draws are rounded");
}
