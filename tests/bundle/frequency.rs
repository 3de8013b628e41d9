//! Bundles without towers: whole ones open, damaged ones are refused with the right reason.

use crate::shop::Original;
use serde_json::json;
use std::{fs, sync::LazyLock};
use vitrine::bundle::{Bundle, BundleError, Ranking};

static ORIGINAL: LazyLock<Original> = LazyLock::new(Original::of_frequency);

#[test]
fn a_bundle_without_towers_has_no_vectors() {
    let bundle = Bundle::open(&ORIGINAL.path).unwrap();
    assert!(bundle.towers().is_none() && bundle.index_quality(3, 1).unwrap().is_none());
    let Ranking::Frequency(settings) = bundle.ranking() else { panic!("it has towers") };
    assert_eq!(
        (settings.half_life_days, bundle.popularity()),
        (Some(10.0), &[1.0, 0.0, 3.0, 2.0][..])
    );
    assert_eq!((bundle.manifest().dim, bundle.manifest().items), (0, 4));
    let files: Vec<&str> = bundle.manifest().files.keys().map(String::as_str).collect();
    assert_eq!(
        files,
        ["frequency.json", "golden.json", "popularity.bin", "vocabularies/article_id.txt"]
    );
}

#[test]
fn flipped_bytes_and_missing_files_are_found() {
    for name in ORIGINAL.files().iter().filter(|name| *name != "manifest.json") {
        let copy = ORIGINAL.copy();
        copy.edit(name, |bytes| bytes[0] ^= 1);
        assert!(matches!(copy.open(), Err(BundleError::Checksum { .. })), "{name}");
        fs::remove_file(copy.file(name)).unwrap();
        assert!(matches!(copy.open(), Err(BundleError::MissingFile(_))), "{name}");
    }
}

#[test]
fn what_checksums_do_not_show_is_found_too() {
    let refused = |name: &str, edit: fn(&mut serde_json::Value), word: &str| {
        let copy = ORIGINAL.copy();
        copy.edit_json(name, edit);
        copy.reseal();
        let error = copy.open().expect_err("a damaged bundle was opened").to_string();
        assert!(error.contains(word), "{name}: {error}");
    };
    let golden = "golden.json";
    refused(
        golden,
        |json| json["queries"][0]["top"][0]["score"] = json!(1.6),
        "golden request 0 differently",
    );
    refused(golden, |json| json["queries"][0]["numbers"] = json!([0.0, 10.0]), "malformed");
    refused(golden, |json| json["queries"][0]["numbers"][1] = json!(-1.0), "malformed");
    refused(golden, |json| json["queries"][0]["indices"][1] = json!(4), "malformed");
    refused(golden, |json| json["queries"] = json!([]), "there is no request");
    let settings = "frequency.json";
    refused(settings, |json| json["half_life_days"] = json!(20.0), "golden request 0 differently");
    refused(settings, |json| json["half_life_days"] = json!(0.0), "must be above 0");
    refused(settings, |json| json["popularity_half_life_days"] = json!(-7.0), "must be above 0");
    refused(settings, |json| json["half_lives"] = json!(1), "unknown field");
    // Towers that are not there, and features that nothing reads.
    let manifest = "manifest.json";
    refused(manifest, |json| json["family"] = json!("elsa"), "query_tower.onnx is missing");
    let history = |json: &mut serde_json::Value| {
        let feature = json!({ "name": "h", "source": "history", "encoding": "sequence", "vocabulary": "article_id",
            "rows": 5, "dim": 1, "length": 2 });
        let id = json!({ "name": "a", "source": "article_id", "encoding": "embedding", "vocabulary": "article_id",
            "rows": 5, "dim": 1, "dropout": 0.0 });
        json["schema"] =
            json!({ "query": { "features": [feature] }, "item": { "features": [id] } });
    };
    refused(
        manifest,
        history,
        "the number of features that the query tower reads is 1, but 0 is expected",
    );
}
