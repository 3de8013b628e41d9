//! `/metrics` as Prometheus reads it, and the rules and the board that are made from it.

use crate::harness::{Api, send};
use axum::{
    body::Body,
    http::{Method, Request, header},
};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// A family of the exposition.
#[derive(Default)]
struct Family {
    kind: String,
    help: String,
    /// Name and labels of every sample, with its value.
    samples: BTreeMap<String, f64>,
}

/// Reads the text format strictly: a help text and a type before the first sample of a family, no
/// sample twice, names and numbers as the format has them.
fn parse(text: &str) -> BTreeMap<String, Family> {
    let mut families = BTreeMap::<String, Family>::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or_else(|| panic!("no help: {line}"));
            let family = families.entry(name.into()).or_default();
            assert!(family.samples.is_empty(), "{line} comes after its samples");
            family.help = help.into();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            let family = families.entry(name.into()).or_default();
            assert!(
                family.samples.is_empty() && family.kind.is_empty(),
                "{line} comes twice or late"
            );
            family.kind = kind.into();
        } else {
            let (sample, value) =
                line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
            let name = sample.split('{').next().unwrap();
            assert!(
                name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'),
                "{line}"
            );
            let family = families
                .get_mut(family_of(name))
                .unwrap_or_else(|| panic!("no type before {line}"));
            let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
            assert!(family.samples.insert(sample.into(), value).is_none(), "{line} comes twice");
        }
    }
    families
}

/// The family that a sample's name belongs to.
fn family_of(name: &str) -> &str {
    let histogram =
        |end: &str| name.strip_suffix(end).filter(|family| family.ends_with("_seconds"));
    ["_bucket", "_sum", "_count"].into_iter().find_map(histogram).unwrap_or(name)
}

async fn scraped() -> BTreeMap<String, Family> {
    let api = Api::start().await;
    let answer = api.recommend(json!({"customer_id": "customer_id1"})).await;
    let items = json!([{"article_id": answer.article_ids()[0], "recommendation_id": answer.json()["recommendation_id"]}]);
    let event =
        json!({"event_id": "1", "type": "click", "customer_id": "customer_id1", "items": items});
    let request = Request::post(format!("/v1/events?key={}", api.key(&["events"]).await));
    let body = Body::from(json!({"events": [event]}).to_string());
    let told =
        send(&api.public, request.header(header::CONTENT_TYPE, "text/plain").body(body).unwrap())
            .await;
    assert_eq!(told.status, 202, "{}", told.body);
    api.get("/v1/articles/none").await;
    parse(&api.operate(Method::GET, "/metrics", None).await.body)
}

#[tokio::test]
async fn families_keep_the_conventions_of_prometheus() {
    let families = scraped().await;
    for (name, family) in &families {
        assert!(!family.help.is_empty() && !family.samples.is_empty(), "{name}");
        assert_eq!(
            name.ends_with("_total"),
            family.kind == "counter",
            "{name} is a {}",
            family.kind
        );
        assert!(!name.ends_with("_ms") && !name.ends_with("_kb"), "{name} is not in base units");
        let is_histogram = name.starts_with("vitrine_") && name.ends_with("_seconds");
        assert_eq!(is_histogram, family.kind == "histogram", "{name} is a {}", family.kind);
    }
    for name in [
        "vitrine_build_info",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
    ] {
        assert!(families.contains_key(name), "{name}");
    }
    let value = |name: &str, sample: &str| families[name].samples[sample];
    // Eight for customers, four for what else is read, one for changes.
    assert_eq!(value("vitrine_database_connections_max", "vitrine_database_connections_max"), 13.0);
    // The scrape itself.
    assert_eq!(value("vitrine_requests_in_flight", "vitrine_requests_in_flight"), 1.0);
}

#[tokio::test]
async fn buckets_grow_and_reach_beyond_every_timeout() {
    let families = scraped().await;
    let samples = &families["vitrine_request_seconds"].samples;
    let bucket = |le: &str| {
        samples[&format!(
            "vitrine_request_seconds_bucket{{route=\"/v1/recommendations\",le=\"{le}\"}}"
        )]
    };
    let bounds = ["0.0005", "0.01", "1", "10", "30", "+Inf"].map(bucket);
    assert!(bounds.is_sorted(), "{bounds:?}");
    assert_eq!(bounds[5], samples["vitrine_request_seconds_count{route=\"/v1/recommendations\"}"]);
}

/// The metrics that a text names.
fn named(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("vitrine_") || word.starts_with("process_")).collect()
}

#[tokio::test]
async fn alert_rules_and_the_board_name_only_metrics_that_there_are() {
    let families = scraped().await;
    let rules = include_str!("../../deploy/prometheus/alerts.yml");
    let board = include_str!("../../deploy/grafana/vitrine.json");
    let board: serde_json::Value = serde_json::from_str(board).unwrap();
    let queries: Vec<&str> = board["panels"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap())
        .map(|target| target["expr"].as_str().unwrap())
        .collect();
    assert!(rules.contains("expr:") && !queries.is_empty());
    let shown = queries.join(" ");
    for name in named(rules).union(&named(&shown)) {
        assert!(families.contains_key(family_of(name)), "there is no {name}");
    }
    for name in families.keys().filter(|name| name.starts_with("vitrine_")) {
        assert!(
            named(&shown).iter().any(|shown| family_of(shown) == name),
            "the board does not show {name}"
        );
    }
}
