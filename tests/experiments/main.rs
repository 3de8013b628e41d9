//! Runs, comparisons, sweeps, maps and the export to MLflow through the built program, on a tiny
//! generated shop.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![cfg(feature = "trainer")]

mod mlflow;
mod place;
mod placements;
#[path = "../support/python.rs"]
mod python;
mod server;
mod trust;

use place::{CONFIG, Place, bad, good, stdout};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

const SWEEP: &str = r#"
    [sweep]
    base = "tiny.toml"
    trials = 20
    seed = 3
    startup = 5
    warmup_trials = 3
    [space]
    "optimizer.learning_rate" = { log = [1e-5, 0.2] }
    "loss.temperature" = { uniform = [0.05, 1.0] }
    "training.epochs" = { int = [2, 4] }
    "loss.logq" = { choice = [true, false] }
    # The last one is impossible: its trials fail, and the sweep goes on.
    "model.dim" = { choice = [8, 12, 5000] }
    "model.query_layers.0" = { choice = [4, 8], also = ["model.item_layers.0"] }
"#;

/// Runs a command until so many lines of its standard error have `word`, then kills it; the last of
/// these lines.
#[track_caller]
fn killed_at(command: &mut Command, word: &str, count: usize) -> String {
    let mut child: Child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let found = lines.filter(|line| line.contains(word)).nth(count - 1);
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(status.code().is_none(), "ended by itself: {status}");
    found.unwrap()
}

#[test]
fn trainings_leave_runs() {
    let place = Place::new();
    good(&mut place.on_shop("train --config tiny.toml"));
    good(&mut place.on_shop(
        "train --config tiny.toml --set optimizer.learning_rate=0.002 --set training.epochs=2",
    ));
    let split = "split={protocol=\"time\",test_days=7,validation_days=900}";
    bad(&mut place.on_shop(&format!("train --config tiny.toml --set {split}")), 2);
    let list = place.list();
    let ids: Vec<&str> = list.iter().map(|run| run["id"].as_str().unwrap()).collect();
    let status: Vec<&str> = list.iter().map(|run| run["status"].as_str().unwrap()).collect();
    assert_eq!(status, ["finished", "finished", "failed"], "{list:?}");
    let reason = list[2]["outcome"]["reason"].as_str().unwrap();
    assert!(reason.contains("no purchase left to train on"), "{reason}");

    let shown: Value =
        serde_json::from_str(&place.runs(&format!("show {} --json", ids[0]))).unwrap();
    assert_eq!(shown["config"]["training"]["epochs"], 4);
    assert_eq!(shown["record"]["fingerprint"].as_str().unwrap().len(), 64);
    assert!(shown["record"]["environment"]["cores"].as_u64().unwrap() >= 1);
    assert!(shown["outcome"]["bundle"].as_str().unwrap().starts_with("models/tiny/"), "{shown}");
    let names: Vec<&str> = shown["outcome"]["test"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert_eq!(names[..2], ["tiny", "popularity"]);
    let folder = Path::new("runs").join(ids[0]);
    assert!(place.read(folder.join("curves.svg")).starts_with("<svg"));
    assert!(place.read(folder.join("metrics.jsonl")).lines().count() >= 4);
    assert!(!place.0.path().join(&folder).join("last.ckpt").exists());
    // The saved configuration is one to train with.
    let config = folder.join("config.toml");
    good(place.on_shop("train --set training.epochs=1").arg("--config").arg(config));

    let text = place.runs(&format!("show {}", ids[0]));
    assert!(
        text.contains("popularity") && text.contains("search") && text.contains("refit"),
        "{text}"
    );
    let compared = place.runs(&format!("compare {} {}", ids[0], ids[1]));
    assert!(
        compared.contains("optimizer.learning_rate") && !compared.contains("training.batch_size"),
        "{compared}"
    );
    let compared: Value =
        serde_json::from_str(&place.runs(&format!("compare --json {} {}", ids[0], ids[1])))
            .unwrap();
    assert_eq!(
        compared["settings"],
        serde_json::json!(["optimizer.learning_rate", "training.epochs"])
    );

    std::fs::create_dir(place.0.path().join("runs/rubbish")).unwrap();
    let output = good(&mut place.command("runs list"));
    assert_eq!(stdout(&output).lines().count(), 5);
    assert!(String::from_utf8_lossy(&output.stderr).contains("rubbish"));
    place.runs("report --out report.html");
    let page = place.read("report.html");
    assert!(
        page.contains("Parallel coordinates") && page.contains(ids[1]) && page.contains("<svg")
    );
    assert!(
        !page.contains("src=") && !page.contains("@import") && !page.contains("<link"),
        "it loads something"
    );
    assert!(bad(&mut place.command("runs show nonsense"), 2).contains("no run `nonsense`"));
    assert!(bad(&mut place.command("runs show rubbish"), 2).contains("run.json"));
    assert!(bad(&mut place.command("runs report --out x.html --metric auc"), 2).contains("`auc`"));
}

#[test]
fn a_killed_run_is_unfinished_and_goes_on_in_its_folder() {
    let place = Place::new();
    let line = "train --config tiny.toml --set training.epochs=100000 --set training.patience=0";
    killed_at(&mut place.on_shop(line), "  epoch 3:", 1);
    let list = place.list();
    assert_eq!((list.len(), list[0]["status"].as_str()), (1, Some("unfinished")));
    assert!(list[0]["epoch"].as_u64().is_some() && list[0]["outcome"].is_null());
    let resumed = killed_at(&mut place.on_shop(&format!("{line} --resume")), "  epoch ", 1);
    let first: u64 =
        resumed.trim_start_matches("  epoch ").split(':').next().unwrap().parse().unwrap();
    assert!(first >= 3, "{resumed:?} after epoch 3");
    assert_eq!(place.list().len(), 1);
    let other = place.on_shop("train --config tiny.toml --resume").output().unwrap();
    assert!(
        String::from_utf8_lossy(&other.stderr).contains("`training.epochs` was 100000, is now 4")
    );
    assert_eq!(place.list()[0]["status"], "unfinished");
    assert!(
        bad(&mut place.on_shop("train --config tiny.toml --set model.name=\"new\" --resume"), 2)
            .contains("--resume")
    );
}

#[test]
fn systems_are_compared_and_a_failing_one_is_told() {
    let place = Place::new();
    place
        .write("wide.toml", &CONFIG.replace("dim = 8", "dim = 16").replace("\"tiny\"", "\"wide\""));
    place.write("broken.toml", &CONFIG.replace("garment_group_name", "no_such_column"));
    place.write("misspelt.toml", &CONFIG.replace("epochs", "epoch"));
    let line = "compare --configs tiny.toml broken.toml misspelt.toml wide.toml --baselines popularity --out table.md --json";
    let output = place.on_shop(line).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("2 of 4 systems failed"), "{error}");
    let table: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let rows = table["rows"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["tiny", "broken", "misspelt", "wide", "popularity"]);
    for (row, part) in [(&rows[1], "no_such_column"), (&rows[2], "unknown field `epoch`")] {
        assert!(row["error"].as_str().unwrap().contains(part), "{row}");
    }
    for row in [&rows[0], &rows[3]] {
        assert!(
            row["milliseconds"].as_f64().unwrap() > 0.0 && row["bytes"].as_u64().unwrap() > 1_000,
            "{row}"
        );
        assert!(
            row["seconds"].as_f64().unwrap() > 0.0 && row["metrics"]["ndcg@10"].is_f64(),
            "{row}"
        );
    }
    assert!(rows[4]["seconds"].is_f64() && rows[4]["metrics"]["ndcg@10"].is_f64());
    assert_eq!(
        (&table["protocol"], &table["trained_on"]),
        (&"time".into(), &"training-and-validation".into())
    );
    let markdown = place.read("table.md");
    assert!(
        markdown.contains("| system |") && markdown.contains("| broken (failed) |"),
        "{markdown}"
    );
    let kinds: Vec<String> =
        place.list().iter().map(|run| run["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["comparison", "train", "train", "train"]);
    let whole = &place.list()[0]["id"];
    let folder = Path::new("runs").join(whole.as_str().unwrap());
    assert_eq!(place.read(folder.join("table.md")), markdown);
    assert!(
        bad(&mut place.on_shop("compare --configs misspelt.toml"), 2).contains("unknown field")
    );
}

/// What a sweep found, without the names that differ by time.
#[track_caller]
fn found(command: &mut Command) -> Value {
    let mut found: Value = serde_json::from_str(&stdout(&good(command))).unwrap();
    let fields = found.as_object_mut().unwrap();
    assert!(fields.remove("run").is_some() && fields.remove("bundle").is_some());
    found
}

fn a_killed_sweep_ends_as_one_that_was_not(parallel: usize) {
    let sweep = SWEEP.replace("seed = 3", &format!("seed = 3\n    parallel = {parallel}"));
    let straight = Place::new();
    straight.write("sweep.toml", &sweep);
    let line = "sweep --config sweep.toml --json";
    let expected = found(&mut straight.on_shop(line));
    let status = |wanted: &str| {
        expected["trials"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|trial| trial["status"] == wanted)
            .count()
    };
    assert_eq!(status("finished") + status("pruned") + status("failed"), 20);
    assert!(status("finished") > 3 && status("pruned") > 0 && status("failed") > 0, "{expected}");

    let killed = Place::new();
    killed.write("sweep.toml", &sweep);
    killed_at(&mut killed.on_shop(line), "trial ", 3);
    killed_at(&mut killed.on_shop(line), "trial ", 3);
    let unfinished = killed.list().iter().filter(|run| run["status"] == "unfinished").count();
    assert!(unfinished >= 1, "the sweep itself at least");
    assert_eq!(found(&mut killed.on_shop(line)), expected);
    // Once more: nothing is left to do.
    let before = killed.list().len();
    assert_eq!(found(&mut killed.on_shop(line)), expected);
    assert_eq!(killed.list().len(), before);

    if parallel == 1 {
        // More trials go on where fewer ended, and the first ones stay.
        let longer = found(&mut straight.on_shop(&format!("{line} --trials 22")));
        assert_eq!(
            longer["trials"].as_array().unwrap()[..20],
            expected["trials"].as_array().unwrap()[..]
        );
        let id = straight.list()[0]["id"].as_str().unwrap().to_owned();
        straight.runs(&format!("report {id} --out sweep.html"));
        let page = straight.read("sweep.html");
        assert!(page.contains("rank correlation") && page.contains("optimizer.learning_rate"));
    }
}

#[test]
fn a_killed_sweep_ends_as_one_that_was_not_one_trial_at_a_time() {
    a_killed_sweep_ends_as_one_that_was_not(1);
}

#[test]
fn a_killed_sweep_ends_as_one_that_was_not_two_trials_at_a_time() {
    a_killed_sweep_ends_as_one_that_was_not(2);
}

#[test]
fn sweeps_that_cannot_be_are_refused() {
    let place = Place::new();
    for (from, to, part) in [
        ("loss.logq", "loss.logqq", "unknown field `logqq`"),
        ("model.dim", "features.item.7.dim", "`7` is no entry"),
        ("trials = 20", "trials = 20\n    metric = \"auc\"", "`training.metric` is no metric"),
    ] {
        place.write("sweep.toml", &SWEEP.replace(from, to));
        let error = bad(&mut place.on_shop("sweep --config sweep.toml"), 2);
        assert!(error.contains(part), "{error}");
    }
    assert!(place.list().is_empty());
}

#[test]
fn items_are_drawn() {
    let place = Place::new();
    let output = good(&mut place.on_shop("train --config tiny.toml --set training.epochs=1"));
    let bundle = stdout(&output).trim().to_owned();
    let map = |out: &str, rest: &str| {
        good(&mut place.on_shop(&format!("map {bundle} --out {out} {rest}")))
    };
    map("a", "--color garment_group_name --sample 100");
    map("b", "--color garment_group_name --sample 100");
    map("c", "--color garment_group_name --sample 100 --seed 2");
    let bytes = |name: &str| std::fs::read(place.0.path().join(name)).unwrap();
    assert_eq!(bytes("a/map.png")[..8], *b"\x89PNG\r\n\x1a\n");
    assert_eq!(
        (bytes("a/map.png"), bytes("a/map.html")),
        (bytes("b/map.png"), bytes("b/map.html"))
    );
    assert_ne!(bytes("a/map.png"), bytes("c/map.png"));
    let page = place.read("a/map.html");
    assert!(page.contains("100 of 120 items") && page.contains("garment_group_name"));
    assert!(!page.contains("src=") && !page.contains("<link"), "it loads something");
    good(&mut place.command(&format!("map {bundle} --out d")));
    assert!(
        bad(&mut place.on_shop(&format!("map {bundle} --out e --color size")), 2)
            .contains("no attribute `size`")
    );
    assert!(
        bad(&mut place.command(&format!("map {bundle} --out e --color size")), 2)
            .contains("--data")
    );
    assert!(bad(&mut place.command("map nowhere --out e"), 2).contains("nowhere"));
    assert!(!place.0.path().join("e").exists());
}
