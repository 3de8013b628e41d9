//! Placements beside the models of a comparison, and alone.

use super::place::{CONFIG, Place, bad, good, stdout};
use serde_json::Value;

const RANKER: &str = r#"
    [model]
    name = "again"
    family = "ranker"
    [ranker]
    lists = 3
    hidden = [8]
    [training]
    epochs = 2
    threads = 1
    metric = "recall@12"
    refit = "validation"
"#;

/// Two sources, one of them a model by its name.
const FUSION: &str = r#"
    sources = [{ source = "model" }, { source = "model", model = "wide" }, { source = "popular", limit = 40 }]
"#;

fn place() -> Place {
    let place = Place::new();
    place
        .write("wide.toml", &CONFIG.replace("dim = 8", "dim = 16").replace("\"tiny\"", "\"wide\""));
    place.write("ranker.toml", RANKER);
    place.write("fusion.toml", FUSION);
    place.write("best-sellers.toml", "sources = [{ source = \"popular\" }]");
    place.write("two-stages.toml", "ranker = \"again\"");
    place
}

fn row<'a>(table: &'a Value, name: &str) -> &'a Value {
    let rows = table["rows"].as_array().unwrap();
    rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no row {name}"))
}

#[test]
fn models_fusions_and_the_two_stages_stand_in_one_table() {
    let place = place();
    // What ships may have seen the test; what placements ask must not.
    let all = CONFIG.replace("refit = \"validation\"", "refit = \"all\"");
    place.write("tiny.toml", &all);
    let line = "compare --configs tiny.toml wide.toml ranker.toml --placement fusion.toml two-stages.toml best-sellers.toml \
                --baselines popularity --seeds 1,2 --out table.md --json";
    let output = good(&mut place.on_shop(line));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("tiny: `refit = \"all\"` gives way to \"validation\""), "{error}");
    let table: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let names: Vec<&str> =
        table["rows"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["tiny", "wide", "ranker", "fusion", "two-stages", "best-sellers", "popularity"]
    );

    let fusion = row(&table, "fusion");
    assert_eq!(
        (&fusion["kind"], &fusion["settings"]),
        (&"pipeline".into(), &"asks tiny, wide".into())
    );
    assert!(
        fusion["milliseconds"].as_f64().unwrap() > 0.0
            && fusion["bytes"].is_null()
            && !fusion["verdict"].is_null()
    );
    let sources = fusion["details"]["sources"].as_array().unwrap();
    let labels: Vec<&str> =
        sources.iter().map(|source| source["source"].as_str().unwrap()).collect();
    assert_eq!(labels, ["model", "model (model \"wide\")", "popular", "all together"]);
    let of = |source: &Value, key: &str| source[key].as_f64().unwrap();
    let union = of(&sources[3], "recall");
    for source in &sources[..3] {
        let without = union - of(source, "only_here");
        assert!(of(source, "recall") <= union + 1e-9 && without >= -1e-9, "{sources:?}");
    }
    assert!(fusion["details"]["calibration"].is_null(), "no ranker");

    // The ranker alone and the placement that names it are the same list.
    let (alone, placed) = (row(&table, "ranker"), row(&table, "two-stages"));
    assert_eq!(placed["settings"], "ranked by again");
    assert_eq!(alone["metrics"]["recall@12"], placed["metrics"]["recall@12"]);
    for row in [alone, placed] {
        let calibration = &row["details"]["calibration"];
        let groups = calibration["groups"].as_array().unwrap();
        let sum = |key: &str| groups.iter().map(|group| group[key].as_f64().unwrap()).sum::<f64>();
        assert!(
            groups.len() == 10
                && (sum("predicted") - 1.0).abs() < 1e-3
                && (sum("observed") - 1.0).abs() < 1e-3
        );
        assert_eq!(row["metrics"]["calibration-error"], calibration["error"]);
        assert!((0.0..1.0).contains(&calibration["error"].as_f64().unwrap()), "{calibration}");
    }

    // A placement of what sells is the baseline of what sells, as the server counts it.
    let metric = |name: &str| row(&table, name)["metrics"]["hr@100"].as_f64().unwrap();
    assert!((metric("best-sellers") - metric("popularity")).abs() < 0.2);

    // Every row has the same segments, of the same cases.
    let segments = |name: &str| -> Vec<(String, u64)> {
        let segments = row(&table, name)["segments"].as_array().unwrap();
        segments
            .iter()
            .map(|s| (s["segment"].as_str().unwrap().to_owned(), s["cases"].as_u64().unwrap()))
            .collect()
    };
    let customers = segments("tiny")
        .iter()
        .filter(|(name, _)| name.ends_with("customers"))
        .map(|(_, n)| n)
        .sum::<u64>();
    assert_eq!(Some(customers), table["users"].as_u64());
    assert!(names.iter().all(|name| segments(name) == segments("tiny")));

    let markdown = place.read("table.md");
    for part in [
        "| fusion |",
        "recall@12 by segment",
        "| heavy customers",
        "two-stages: what its sources find",
        "calibration",
    ] {
        assert!(markdown.contains(part), "{part}: {markdown}");
    }
}

#[test]
fn a_ranker_knows_what_its_placement_and_the_baselines_know() {
    let place = place();
    // Leave-one-out: what others bought after the case is known to all rows.
    let line = "compare --configs ranker.toml --placement two-stages.toml --baselines popularity --json \
                --set split={protocol=\"leave-one-out\",repeats=\"keep\"}";
    let table: Value = serde_json::from_str(&stdout(&good(&mut place.on_shop(line)))).unwrap();
    let metric = |name: &str| row(&table, name)["metrics"]["recall@12"].as_f64().unwrap();
    assert!(metric("ranker") > 0.0, "{table}");
    assert!(
        (metric("ranker") - metric("two-stages")).abs() < 1e-9,
        "{} {}",
        metric("ranker"),
        metric("two-stages")
    );
}

#[test]
fn a_placement_that_does_not_fit_is_refused_before_anything_is_trained() {
    let place = place();
    place.write("other.toml", "sources = [{ source = \"model\", model = \"gone\" }]");
    place.write("no-ranker.toml", "ranker = \"tiny\"");
    place.write("misspelt.toml", "souces = []");
    place.write("copy.toml", CONFIG);
    for (configs, placement, said) in [
        (
            "tiny.toml wide.toml",
            "other.toml",
            "names the model `gone`, which is not among those measured (there are: tiny, wide)",
        ),
        ("tiny.toml", "no-ranker.toml", "its ranker `tiny` is not of the family `ranker`"),
        ("tiny.toml", "misspelt.toml", "misspelt.toml"),
        ("tiny.toml copy.toml", "best-sellers.toml", "two configurations name their model `tiny`"),
        ("ranker.toml", "models/ranker.toml", "two rows would be called `ranker`"),
    ] {
        if placement.starts_with("models/") {
            std::fs::create_dir(place.0.path().join("models")).unwrap();
            place.write(placement, "ranker = \"again\"");
        }
        let line = format!("compare --configs {configs} --placement {placement} --baselines none");
        let error = bad(&mut place.on_shop(&line), 2);
        assert!(error.contains(said), "{error}");
    }
    assert!(place.list().is_empty(), "something was begun");
    // What only the catalogue can tell is told in the row, and the others stand.
    place.write("unfit.toml", "sources = [{ source = \"popular\" }]\nmax_per = { moon = 1 }");
    let line = "compare --configs tiny.toml --placement unfit.toml best-sellers.toml --baselines none --json";
    let output = place.on_shop(line).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let table: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert!(row(&table, "unfit")["error"].as_str().unwrap().contains("moon"), "{table}");
    assert!(row(&table, "best-sellers")["metrics"]["hr@100"].is_f64());
}

#[test]
fn an_evaluation_tells_the_same_of_a_placement_as_a_comparison() {
    let place = place();
    let line =
        "compare --configs ranker.toml --placement two-stages.toml --baselines popularity --json";
    let table: Value = serde_json::from_str(&stdout(&good(&mut place.on_shop(line)))).unwrap();
    let runs = place.list();
    let trained = runs.iter().find(|run| run["kind"] == "train").unwrap();
    let version = place.0.path().join(trained["outcome"]["bundle"].as_str().unwrap());
    let evaluate = |options: &str| {
        let mut command = place.on_shop(&format!("evaluate --placement two-stages.toml {options}"));
        command.arg("--bundle").arg(&version);
        command
    };
    let report: Value =
        serde_json::from_str(&stdout(&good(&mut evaluate("--details --json")))).unwrap();
    let (here, there) = (row(&report, "two-stages"), row(&table, "two-stages"));
    assert_ne!(report["verdict"]["best_baseline"], "two-stages", "a placement is no baseline");
    assert_eq!(here["metrics"], there["metrics"]);
    assert_eq!(report["placements"][0]["sources"], there["details"]["sources"]);
    assert_eq!(report["placements"][0]["calibration"], there["details"]["calibration"]);
    let segments = report["by_segment"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["name"] == "two-stages")
        .unwrap();
    assert_eq!(segments["segments"], there["segments"]);
    let text = stdout(&good(&mut evaluate("--details")));
    assert!(
        text.contains("by segment")
            && text.contains("all together")
            && text.contains("an answer of 12"),
        "{text}"
    );
    // Without the bundle there is no such model.
    let error = bad(&mut place.on_shop("evaluate --placement two-stages.toml"), 2);
    assert!(
        error.contains(
            "names the model `again`, which is not among those measured (there is none here)"
        ),
        "{error}"
    );
}
