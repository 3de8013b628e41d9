//! The export of runs to a real MLflow server.

use crate::{
    place::{Place, bad, good, stdout},
    server::{answer, answering, cut_after, shared},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path, process::Command, sync::atomic::Ordering};
use vitrine::{
    bundle::{MetricsRow, RowKind},
    experiments::{Kind, Member, NewRun, Outcome, Recorder, Runs, Status},
};

impl Place {
    fn export(&self, line: &str, url: &str) -> Command {
        let mut command = self.command(&format!("runs export {line}"));
        command.args(["--mlflow", url]);
        for name in ["USERNAME", "PASSWORD", "TOKEN", "SERVER_CERT_PATH"] {
            command.env_remove(format!("MLFLOW_TRACKING_{name}"));
        }
        for name in ["http_proxy", "https_proxy", "all_proxy"] {
            command.env_remove(name).env_remove(name.to_uppercase());
        }
        command.env_remove("MLFLOW_EXPERIMENT_NAME");
        command
    }

    fn folder(&self) -> Runs {
        Runs::new(self.0.path().join("runs"))
    }

    /// A run of more points and settings than one request takes, as a training leaves it.
    fn long_run(&self, member: Option<Member>) -> Recorder {
        let run = self.begin(Kind::Train, "long", member);
        let config: String = (0..130).map(|number| format!("key_{number} = {number}\n")).collect();
        run.write("config.toml", &config).unwrap();
        run.write("metrics.jsonl", &lines(1..=6)).unwrap();
        run
    }

    fn begin(&self, kind: Kind, name: &str, member: Option<Member>) -> Recorder {
        let parameters = BTreeMap::new();
        let new =
            NewRun { kind, name, config: None, data: "shop", fingerprint: "f", member, parameters };
        self.folder().begin(new).unwrap()
    }
}

/// Epochs of two hundred steps.
fn lines(epochs: std::ops::RangeInclusive<u32>) -> String {
    let epoch = |epoch: u32| {
        let steps = (1..=200).map(move |step| {
            let step = (epoch - 1) * 200 + step;
            json!({"stage": "search", "epoch": epoch, "step": step, "loss": 1.0 / f64::from(step)})
        });
        let end = json!({
            "stage": "search", "epoch": epoch, "step": epoch * 200, "loss": 0.5, "seconds": 1.25, "mrr": f64::from(epoch),
        });
        steps.chain([end])
    };
    epochs.flat_map(epoch).map(|line| format!("{line}\n")).collect()
}

fn outcome(status: Status) -> Outcome {
    let row = |name: &str, kind| MetricsRow::new(name, kind, [("hr@10".to_owned(), 0.25)].into());
    let test = vec![row("long", RowKind::Bundle), row("popularity", RowKind::Baseline)];
    let (metric, validation) = (Some("mrr".to_owned()), Some(9.0));
    Outcome { seconds: 12.5, best_epoch: Some(9), metric, validation, test, ..Outcome::new(status) }
}

/// What was done to each run, by its id.
fn changes(output: &std::process::Output) -> BTreeMap<String, String> {
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    stdout(output).lines().map(words).map(|words| (words[2].clone(), words[0].clone())).collect()
}

fn tags(run: &Value) -> BTreeMap<&str, &str> {
    by_key(&run["data"]["tags"])
}

fn by_key(pairs: &Value) -> BTreeMap<&str, &str> {
    let pairs = pairs.as_array().into_iter().flatten();
    pairs.map(|pair| (pair["key"].as_str().unwrap(), pair["value"].as_str().unwrap())).collect()
}

const SMALL_SWEEP: &str = r#"
    [sweep]
    base = "tiny.toml"
    trials = 3
    [space]
    "model.dim" = { choice = [8, 5000] }
    "optimizer.learning_rate" = { log = [1e-3, 0.1] }
"#;

#[test]
fn runs_are_in_mlflow_as_they_are_here() {
    let place = Place::new();
    let server = shared();
    place.write("sweep.toml", SMALL_SWEEP);
    good(&mut place.on_shop("compare --configs tiny.toml --baselines popularity"));
    good(&mut place.on_shop("sweep --config sweep.toml --trials 3"));
    let line = "--experiment whole";
    let output = good(&mut place.export(line, &server.url()));
    let list = place.list();
    assert!(list.len() >= 6 && list.iter().any(|run| run["status"] == "failed"), "{list:?}");
    let created = changes(&output);
    assert!(
        created.len() == list.len() && created.values().all(|change| change == "created"),
        "{created:?}"
    );

    let there = server.runs("whole");
    let of = |id: &Value| there.iter().find(|run| run["info"]["run_name"] == *id).unwrap();
    assert_eq!(there.len(), list.len());
    for here in &list {
        let run = of(&here["id"]);
        let tags = tags(run);
        let shown: Value = serde_json::from_str(
            &place.runs(&format!("show {} --json", here["id"].as_str().unwrap())),
        )
        .unwrap();
        let status = if here["status"] == "failed" { "FAILED" } else { "FINISHED" };
        assert_eq!(run["info"]["status"], status, "{run}");
        let start = time::OffsetDateTime::from_unix_timestamp(
            run["info"]["start_time"].as_i64().unwrap() / 1000,
        );
        let format = &time::format_description::well_known::Rfc3339;
        assert_eq!(start.unwrap().format(format).unwrap(), here["started"].as_str().unwrap());
        assert!(run["info"]["end_time"].as_i64() >= run["info"]["start_time"].as_i64());
        assert_eq!(tags["vitrine.run"], here["id"]);
        assert_eq!(tags["vitrine.kind"], here["kind"]);
        assert_eq!(tags["vitrine.fingerprint"], shown["record"]["fingerprint"]);
        assert_eq!(tags["mlflow.source.name"], "vitrine-trainer");
        let commit = &shown["record"]["environment"]["revision"]["commit"];
        assert_eq!(tags.get("mlflow.source.git.commit").copied(), commit.as_str());
        let parent = here["member"]["of"]
            .as_str()
            .map(|parent| of(&json!(parent))["info"]["run_id"].as_str().unwrap());
        assert_eq!(tags.get("mlflow.parentRunId").copied(), parent);
        let parameters = by_key(&run["data"]["params"]);
        assert_eq!(parameters.is_empty(), shown["config"].is_null());
        for (key, pointer) in [
            ("optimizer.learning_rate", "/optimizer/learning_rate"),
            ("features.query.0.source", "/features/query/0/source"),
            ("training.epochs", "/training/epochs"),
        ] {
            let value = shown["config"].pointer(pointer);
            let value =
                value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            assert_eq!(parameters.get(key).copied(), value.as_deref(), "{key}");
        }
        let folder = place.0.path().join("runs").join(here["id"].as_str().unwrap());
        let mut files = 0;
        for file in std::fs::read_dir(&folder).unwrap().flatten() {
            let name = file.file_name().into_string().unwrap();
            assert_eq!(server.artefact(run, &name), std::fs::read(file.path()).unwrap(), "{name}");
            files += 1;
        }
        assert!(files >= 2, "{folder:?}");
        metrics_are_those_of(run, &folder);
    }
    let trained = list.iter().find(|run| run["kind"] == "train").unwrap();
    let test = &trained["outcome"]["test"][0]["metrics"]["ndcg@10"];
    let history = server.history(of(&trained["id"]), "test/ndcg_at_10");
    let values: Vec<f64> = history.iter().map(|(_, value)| *value).collect();
    assert_eq!(values, [test.as_f64().unwrap()]);

    // Once more: nothing is left to do.
    let again = changes(&good(&mut place.export(line, &server.url())));
    assert!(
        again.len() == list.len() && again.values().all(|change| change == "unchanged"),
        "{again:?}"
    );
    assert_eq!(server.runs("whole"), there);
}

/// All that the metrics file has is there.
#[track_caller]
fn metrics_are_those_of(run: &Value, folder: &Path) {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap_or_default();
    let mut expected: BTreeMap<String, Vec<(i64, f64)>> = BTreeMap::new();
    for line in text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let prefix = if line["stage"] == "refit" { "refit" } else { "train" };
        for (name, value) in line.as_object().unwrap() {
            let metric = match name.as_str() {
                "stage" | "epoch" | "step" => continue,
                "loss" if line["seconds"].is_null() => format!("{prefix}/loss"),
                "loss" => format!("{prefix}/epoch_loss"),
                "seconds" => format!("{prefix}/epoch_seconds"),
                name => format!("validation/{}", name.replace('@', "_at_")),
            };
            let point = (line["step"].as_i64().unwrap(), value.as_f64().unwrap());
            expected.entry(metric).or_default().push(point);
        }
    }
    for (metric, points) in expected {
        assert_eq!(shared().history(run, &metric), points, "{metric}");
    }
}

#[test]
fn an_interrupted_export_is_completed_and_never_doubled() {
    let place = Place::new();
    let whole = place.begin(Kind::Comparison, "compare", None);
    let of = whole.record.id.clone();
    let long = place.long_run(Some(Member { of: of.clone(), number: 0 }));
    let id = long.record.id.clone();
    long.finish(outcome(Status::Finished)).unwrap();
    whole.finish(Outcome::new(Status::Finished)).unwrap();

    let (url, passed) = cut_after(usize::MAX);
    good(&mut place.export("--experiment cut-none", &url));
    let bytes = passed.load(Ordering::SeqCst);
    let expected = shared().runs("cut-none");
    // Twice each, so that what was completed in part is completed again.
    for percents in [[4, 30], [50, 70], [85, 98]] {
        let experiment = format!("cut-{}", percents[0]);
        let line = format!("--experiment {experiment}");
        for percent in percents {
            let error = bad(&mut place.export(&line, &cut_after(bytes * percent / 100).0), 1);
            assert!(error.contains("cannot be reached"), "{error}");
        }
        good(&mut place.export(&line, &shared().url()));
        let there = shared().runs(&experiment);
        assert_eq!(there.len(), 2, "cut at {percents:?} %");
        for (run, expected) in there.iter().zip(&expected) {
            assert_eq!(run["data"]["params"], expected["data"]["params"], "cut at {percents:?} %");
            assert_eq!(run["info"]["status"], expected["info"]["status"], "cut at {percents:?} %");
            assert_eq!(
                run["info"]["end_time"], expected["info"]["end_time"],
                "cut at {percents:?} %"
            );
            assert!(tags(run).contains_key("vitrine.exported"));
        }
        let run = there.iter().find(|run| run["info"]["run_name"] == *id).unwrap();
        let folder = place.0.path().join("runs").join(&id);
        assert_eq!(by_key(&run["data"]["params"]).len(), 130);
        metrics_are_those_of(run, &folder);
        assert_eq!(shared().history(run, "best/mrr"), [(1200, 9.0)]);
        for name in ["metrics.jsonl", "outcome.json"] {
            assert_eq!(shared().artefact(run, name), std::fs::read(folder.join(name)).unwrap());
        }
    }
}

#[test]
fn a_run_that_went_on_or_began_anew_is_one_run() {
    let place = Place::new();
    let url = shared().url();
    let whole = place.begin(Kind::Sweep, "sweep", None);
    let member = || Some(Member { of: whole.record.id.clone(), number: 7 });
    let run = place.begin(Kind::Train, "it's", member());
    let id = run.record.id.clone();
    let export = || {
        // By its own name alone: what it is part of goes along.
        let mut command = place.export("--experiment changing", &url);
        changes(&good(command.arg(&id)))
    };
    let there = || {
        shared().runs("changing").into_iter().find(|run| run["info"]["run_name"] == *id).unwrap()
    };
    run.write("metrics.jsonl", &lines(1..=1)).unwrap();
    assert_eq!(export().values().collect::<Vec<_>>(), ["created", "created"]);
    let first = there();
    assert_eq!(first["info"]["status"], "RUNNING");
    assert!(first["info"]["end_time"].as_i64().unwrap_or_default() == 0, "{first}");
    assert_eq!(shared().history(&first, "train/loss").len(), 200);

    run.write("metrics.jsonl", &lines(1..=2)).unwrap();
    run.finish(outcome(Status::Finished)).unwrap();
    assert_eq!(export()[&id], "updated");
    let second = there();
    assert_eq!(
        (&second["info"]["status"], &second["info"]["run_id"]),
        (&json!("FINISHED"), &first["info"]["run_id"])
    );
    assert_eq!(shared().history(&second, "train/loss").len(), 400);

    // Begun anew: another start, other points, and no trace of the first attempt.
    let again = place.begin(Kind::Train, "it's", member());
    let path = again.directory().join("run.json");
    let record = std::fs::read_to_string(&path)
        .unwrap()
        .replace(&again.record.started, "2020-01-02T03:04:05Z");
    again.write("run.json", &record).unwrap();
    drop(again);
    assert_eq!(export()[&id], "updated");
    let third = there();
    assert_ne!(third["info"]["run_id"], first["info"]["run_id"]);
    assert_eq!(
        (&third["info"]["status"], &third["info"]["start_time"]),
        (&json!("KILLED"), &json!(1_577_934_245_000_i64))
    );
    assert!(shared().history(&third, "train/loss").is_empty());
    assert_eq!(shared().runs("changing").len(), 2);
    assert_eq!(tags(&third)["vitrine.status"], "unfinished");
}

#[test]
fn places_that_cannot_take_runs_are_told() {
    let place = Place::new();
    let empty = good(&mut place.export("", &shared().url()));
    assert!(
        empty.stdout.is_empty() && String::from_utf8_lossy(&empty.stderr).contains("no runs in")
    );
    place.begin(Kind::Train, "a", None).finish(outcome(Status::Pruned)).unwrap();

    for url in ["localhost:5000", "databricks", "sqlite:///mlflow.db", "http://me:secret@localhost"]
    {
        let error = bad(&mut place.export("", url), 2);
        assert!(
            error.contains("is no address of an MLflow server") && !error.contains("secret"),
            "{error}"
        );
    }
    assert!(bad(&mut place.export("nonsense", &shared().url()), 2).contains("no run `nonsense`"));
    // Bound, so that nobody else gets the port, but nobody listens.
    let bound = tokio::net::TcpSocket::new_v4().unwrap();
    bound.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let gone = bound.local_addr().unwrap();
    let error = bad(&mut place.export("", &format!("http://{gone}")), 1);
    assert!(
        error.contains(&gone.to_string()) && error.contains("is the MLflow server running"),
        "{error}"
    );
    let html = "<!doctype html>\n<title>Something else</title>";
    let refusal = r#"{"error_code": "INTERNAL_ERROR", "message": "no space left"}"#;
    let moved =
        answer("302 Found", "").replace("\r\n\r\n", "\r\nLocation: https://elsewhere/\r\n\r\n");
    for (answer, parts) in [
        (answer("200 OK", html), ["not answered as by an MLflow server", "Something else"]),
        (answer("404 Not Found", html), ["not answered as by an MLflow server", "404"]),
        (answer("200 OK", "[]"), ["not answered as by an MLflow server", "[]"]),
        (answer("200 OK", "1.30.1"), ["served by MLflow 1.30.1", "2.0 or newer"]),
        (
            answer("401 Unauthorized", "who?"),
            ["refuses access (401: who?)", "MLFLOW_TRACKING_TOKEN"],
        ),
        (answer("500 Oh", refusal), ["failed (500)", "no space left"]),
        (answer("400 Oh", r#"{"detail": "too large"}"#), ["failed (400)", "too large"]),
        (answer("503 Oh", html), ["failed (503)", "Something else"]),
        (moved, ["leads on to https://elsewhere/", "302"]),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf".to_owned(),
            ["cannot be reached", "http://127"],
        ),
    ] {
        let error = bad(&mut place.export("", &answering(answer).0), 1);
        assert!(parts.iter().all(|part| error.contains(part)), "{parts:?}: {error}");
    }

    let (url, asked) = answering(answer("403 Forbidden", ""));
    for (variables, header) in [
        (
            &[("USERNAME", "me"), ("PASSWORD", "s:ß"), ("TOKEN", "t")][..],
            "authorization: Basic bWU6czrDnw==",
        ),
        (&[("TOKEN", "abc")][..], "authorization: Bearer abc"),
    ] {
        let mut command = place.export("", &url);
        for (name, value) in variables {
            command.env(format!("MLFLOW_TRACKING_{name}"), value);
        }
        bad(&mut command, 1);
        assert!(asked.lock().unwrap().contains(header), "{}", asked.lock().unwrap());
    }
}

#[test]
fn one_export_at_a_time_from_a_folder() {
    let place = Place::new();
    place.begin(Kind::Train, "a", None).finish(outcome(Status::Finished)).unwrap();
    let lock = std::fs::File::create(place.0.path().join("runs/.export.lock")).unwrap();
    lock.lock().unwrap();
    let mut export = place.export("--experiment alone", &shared().url());
    assert!(bad(&mut export, 1).contains("another export"));
    lock.unlock().unwrap();
    good(&mut export);
}

#[test]
fn experiments_that_are_deleted_or_keep_files_elsewhere() {
    let (place, server) = (Place::new(), shared());
    place.begin(Kind::Train, "a", None).finish(outcome(Status::Finished)).unwrap();
    let create = |body: Value| server.post("experiments/create", &body)["experiment_id"].clone();
    let id = create(json!({"name": "deleted"}));
    server.post("experiments/delete", &json!({"experiment_id": id}));
    let error = bad(&mut place.export("--experiment deleted", &server.url()), 1);
    assert!(error.contains("`deleted` was deleted"), "{error}");

    create(json!({"name": "elsewhere", "artifact_location": "s3://bucket/folder"}));
    let output = good(&mut place.export("--experiment elsewhere", &server.url()));
    let warning = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(warning.contains("left out") && warning.contains("s3://bucket/folder"), "{warning}");
    assert_eq!(server.runs("elsewhere")[0]["info"]["status"], "FINISHED");

    // What one run is refused for does not keep the others from going.
    place.begin(Kind::Train, "b", None).finish(outcome(Status::Failed)).unwrap();
    let runs = server.runs("elsewhere");
    let exported =
        json!({"run_id": runs[0]["info"]["run_id"], "key": "vitrine.exported", "value": "other"});
    server.post("runs/set-tag", &exported);
    let key =
        json!({"run_id": runs[0]["info"]["run_id"], "params": [{"key": "key", "value": "other"}]});
    server.post("runs/log-batch", &key);
    let name = runs[0]["info"]["run_name"].as_str().unwrap();
    place.write(&format!("runs/{name}/config.toml"), "key = \"its own\"");
    let mut export = place.export("--experiment elsewhere", &server.url());
    let error = bad(&mut export, 1);
    assert!(
        error.contains("1 of 2 runs could not be exported")
            && error.contains("INVALID_PARAMETER_VALUE"),
        "{error}"
    );
    assert_eq!(server.runs("elsewhere").len(), 2);
}

#[test]
fn over_tls() {
    let (place, server) = (Place::new(), shared());
    place.begin(Kind::Train, "a", None).finish(outcome(Status::Finished)).unwrap();
    let url = format!("https://localhost:{}", server.https);
    let error = bad(&mut place.export("--experiment tls", &url), 1);
    assert!(error.contains("cannot be reached") && error.contains("certificate"), "{error}");
    let mut export = place.export("--experiment tls", &url);
    good(export.env("MLFLOW_TRACKING_SERVER_CERT_PATH", server.directory.join("tls.crt")));
    assert_eq!(server.runs("tls").len(), 1);
}
