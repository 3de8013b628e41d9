//! Damaged, foreign and hostile bundles are refused with the right reason.

use crate::shop::{ITEMS, Original};
use proptest::prelude::*;
use prost::Message;
use serde_json::{Value, json};
use std::{fs, sync::LazyLock};
use tract_onnx::pb::{
    GraphProto, ModelProto, TensorProto, tensor_shape_proto::dimension, type_proto,
};
use vitrine::bundle::{Bundle, BundleError};

static ORIGINAL: LazyLock<Original> = LazyLock::new(Original::new);

/// Asserts the refusal and returns its text.
macro_rules! refused {
    ($copy:expr, $pattern:pat) => {{
        let error = $copy.open().expect_err("a damaged bundle was opened");
        assert!(matches!(&error, $pattern), "{error:?}");
        error.to_string()
    }};
}

#[test]
fn a_flipped_byte_is_found_in_every_file() {
    for name in ORIGINAL.files() {
        let length = fs::metadata(ORIGINAL.path.join(&name)).unwrap().len() as usize;
        for at in [0, length / 3, length - 1] {
            let copy = ORIGINAL.copy();
            copy.edit(&name, |bytes| bytes[at] ^= 1);
            if name == "manifest.json" {
                refused!(copy, BundleError::Manifest { .. });
            } else {
                let text = refused!(copy, BundleError::Checksum { .. });
                assert!(text.contains(&name), "{text}");
            }
        }
    }
}

#[test]
fn no_byte_of_the_manifest_can_be_changed_unseen() {
    let copy = ORIGINAL.copy();
    let whole = fs::read(copy.file("manifest.json")).unwrap();
    for at in 0..whole.len() {
        copy.edit("manifest.json", |bytes| {
            bytes.clone_from(&whole);
            bytes[at] ^= 2;
        });
        assert!(Bundle::open_metadata(copy.path()).is_err(), "byte {at}");
    }
}

#[test]
fn a_truncated_file_is_found() {
    for name in ORIGINAL.files() {
        for keep in [0, 1, 100] {
            let copy = ORIGINAL.copy();
            let length = fs::metadata(copy.file(&name)).unwrap().len() as usize;
            copy.edit(&name, |bytes| bytes.truncate(keep.min(length - 1)));
            if name == "manifest.json" {
                refused!(copy, BundleError::Manifest { .. });
            } else {
                let text = refused!(copy, BundleError::Size { .. });
                assert!(text.contains(&name), "{text}");
            }
        }
    }
}

#[test]
fn a_missing_file_is_found() {
    for name in ORIGINAL.files() {
        let copy = ORIGINAL.copy();
        fs::remove_file(copy.file(&name)).unwrap();
        if name == "manifest.json" {
            refused!(copy, BundleError::Absent(_));
        } else {
            let text = refused!(copy, BundleError::MissingFile(_));
            assert!(text.contains(&name), "{text}");
        }
    }
}

#[test]
fn files_that_match_no_schema_are_found_behind_right_checksums() {
    let file = |name: &str, edit: &dyn Fn(&mut Vec<u8>)| {
        let copy = ORIGINAL.copy();
        copy.edit(name, |bytes| edit(bytes));
        copy.reseal();
        copy
    };
    let articles = "vocabularies/article_id.txt";
    refused!(file(articles, &|b| b.truncate(12)), BundleError::Schema { .. });
    refused!(
        file(articles, &|b| b.extend(b"article_id0\n")),
        BundleError::Vocabulary { line: 301, .. }
    );
    refused!(file(articles, &|b| b[3] = 0xff), BundleError::Vocabulary { line: 1, .. });
    refused!(file(articles, &|b| b.clear()), BundleError::Schema { .. });
    refused!(file("popularity.bin", &|b| b.truncate(8)), BundleError::Popularity { .. });
    refused!(
        file("popularity.bin", &|b| b[..4].copy_from_slice(&f32::NAN.to_le_bytes())),
        BundleError::Popularity { .. }
    );
    refused!(
        file("popularity.bin", &|b| b[..4].copy_from_slice(&(-1f32).to_le_bytes())),
        BundleError::Popularity { .. }
    );
    refused!(file("items.bin", &|b| b.truncate(b.len() - 4)), BundleError::Retrieval(_));
    refused!(file("index.bin", &|b| b.truncate(100)), BundleError::Retrieval(_));
    refused!(file("index.bin", &|b| b.clear()), BundleError::Retrieval(_));
    refused!(file("query_tower.onnx", &|b| b.clear()), BundleError::Tower { .. });
    refused!(file("query_tower.onnx", &|b| b.truncate(b.len() / 2)), BundleError::Tower { .. });
    refused!(file("item_tower.onnx", &|b| *b = b"not a graph".to_vec()), BundleError::Tower { .. });
    refused!(file("golden.json", &|b| *b = b"{}".to_vec()), BundleError::Manifest { .. });
}

#[test]
fn parts_of_another_model_are_found_behind_right_checksums() {
    let copy = ORIGINAL.copy();
    fs::rename(copy.file("query_tower.onnx"), copy.file("x")).unwrap();
    fs::rename(copy.file("item_tower.onnx"), copy.file("query_tower.onnx")).unwrap();
    fs::rename(copy.file("x"), copy.file("item_tower.onnx")).unwrap();
    copy.reseal();
    let text = refused!(copy, BundleError::Tower { .. });
    assert!(text.contains("columns, the schema"), "{text}");

    for (pointer, value) in
        [("/dim", json!(9)), ("/items", json!(ITEMS - 1)), ("/index/m", json!(9))]
    {
        let copy = ORIGINAL.copy();
        copy.edit_json("manifest.json", |manifest| *manifest.pointer_mut(pointer).unwrap() = value);
        copy.reseal();
        refused!(copy, BundleError::Mismatch { .. } | BundleError::Tower { .. });
    }

    let golden = |pointer: &str, value: Value| {
        let copy = ORIGINAL.copy();
        copy.edit_json("golden.json", |golden| *golden.pointer_mut(pointer).unwrap() = value);
        copy.reseal();
        refused!(copy, BundleError::Golden { .. })
    };
    golden("/queries/1/vector/0", json!(0.9));
    golden("/queries/1/vector", json!([0.5]));
    golden("/items/0/vector/7", json!(-0.9));
    golden("/queries/0/indices/0", json!(7_000));
    golden("/queries/0/numbers", json!([]));
    golden("/queries/3/top/0/item", json!(ITEMS - 1));
    golden("/queries/3/top/2/score", json!(17.0));
    golden("/queries/0/top", json!([{ "item": 0, "score": 1.0 }]));
    golden("/queries", json!([]));
}

#[test]
fn graphs_the_writer_does_not_write_are_refused() {
    let changed = |change: fn(&mut GraphProto)| {
        let copy = ORIGINAL.copy();
        copy.edit("item_tower.onnx", |bytes| {
            let mut model = ModelProto::decode(bytes.as_slice()).unwrap();
            change(model.graph.as_mut().unwrap());
            *bytes = model.encode_to_vec();
        });
        copy.reseal();
        match copy.open() {
            Err(BundleError::Tower { reason, .. } | BundleError::Golden { reason, .. }) => reason,
            other => panic!("{other:?}"),
        }
    };
    fn constant<'a>(graph: &'a mut GraphProto, name: &str) -> &'a mut TensorProto {
        graph.initializer.iter_mut().find(|constant| constant.name == name).unwrap()
    }
    fn columns(graph: &mut GraphProto) -> &mut dimension::Value {
        let Some(type_proto::Value::TensorType(tensor)) =
            graph.input[0].r#type.as_mut().and_then(|kind| kind.value.as_mut())
        else {
            panic!("the input has no type")
        };
        tensor.shape.as_mut().unwrap().dim[1].value.as_mut().unwrap()
    }
    let refused = |change, word: &str| {
        let reason = changed(change);
        assert!(reason.contains(word), "{reason}");
    };
    // One that makes tract panic, and one that would have it reserve 16 GiB.
    refused(
        |g| constant(g, "in_0_article_id_column").raw_data = 7i64.to_le_bytes().to_vec(),
        "running it failed",
    );
    refused(
        |g| constant(g, "in_1_one_hot_depth").raw_data = (1i64 << 32).to_le_bytes().to_vec(),
        "nothing above 301",
    );
    refused(|g| constant(g, "in_1_one_hot_depth").raw_data = 5i64.to_le_bytes().to_vec(), "");
    refused(|g| constant(g, "in_1_one_hot_depth").raw_data.clear(), "");
    refused(|g| constant(g, "layer_0_bias").data_type = 11, "it has the type 11");
    refused(|g| constant(g, "layer_0_bias").raw_data.truncate(4), "");
    refused(
        |g| g.node[0].op_type = "ConstantOfShape".to_owned(),
        "`ConstantOfShape`, which no tower has",
    );
    refused(|g| g.node[0].domain = "com.example".to_owned(), "operators of `com.example`");
    refused(|g| g.input[0].name = "index".to_owned(), "an input `index`");
    refused(|g| *columns(g) = dimension::Value::DimParam("columns".to_owned()), "has the shape");
    refused(|g| *columns(g) = dimension::Value::DimValue(1), "has 1 columns, the schema 2");
    refused(|g| g.node.clear(), "");
    refused(|g| g.output.clear(), "");
}

#[test]
fn manifests_of_other_programs_are_told_apart() {
    let copy = ORIGINAL.copy();
    copy.edit_json("manifest.json", |manifest| {
        manifest["format"] = json!(2);
        manifest["novelty"] = json!(true);
    });
    let text = refused!(copy, BundleError::Format { found: 2, expected: 1, .. });
    assert!(text.contains("has bundle format 2, this program reads format 1"), "{text}");

    for edit in [
        (|manifest: &mut Value| manifest["novelty"] = json!(1)) as fn(&mut Value),
        |manifest| manifest["dim"] = json!(-1),
        |manifest| manifest["name"] = json!("../up"),
        |manifest| manifest["schema"] = json!([]),
        |manifest| *manifest = json!({ "format": 1 }),
        |manifest| *manifest = json!([1, 2]),
    ] {
        let copy = ORIGINAL.copy();
        copy.edit_json("manifest.json", edit);
        refused!(copy, BundleError::Manifest { .. });
    }
}

#[test]
fn schemas_out_of_bounds_are_refused() {
    for (pointer, value) in [
        ("/schema/query/features/0/rows", json!(u64::MAX)),
        ("/schema/query/features/0/dim", json!(u64::MAX)),
        ("/schema/query/features/3/length", json!(u64::MAX / 2)),
        ("/schema/query/features/1/std", json!(1e300)),
        ("/schema/item/features", json!([])),
        ("/schema/item/features/1/vocabulary", json!("../../secret")),
        ("/items", json!(u64::MAX)),
        ("/dim", json!(u64::MAX)),
        ("/dim", json!(0)),
    ] {
        let copy = ORIGINAL.copy();
        copy.edit_json("manifest.json", |manifest| *manifest.pointer_mut(pointer).unwrap() = value);
        copy.reseal();
        let error = copy.open().expect_err(pointer);
        assert!(!matches!(error, BundleError::Panic { .. }), "{pointer}: {error}");
    }
}

#[test]
fn names_that_lead_out_of_the_bundle_are_refused() {
    for name in
        ["../items.bin", "/etc/passwd", "a/../../b", "vocabularies/../../x", ".hidden", "a\\b", ""]
    {
        let copy = ORIGINAL.copy();
        copy.edit_json("manifest.json", |manifest| {
            let entry = manifest["files"]["items.bin"].clone();
            manifest["files"][name] = entry;
        });
        copy.seal_version();
        refused!(copy, BundleError::FileName { .. });
    }
}

#[cfg(unix)]
#[test]
fn links_are_not_followed() {
    use std::os::unix::fs::symlink;
    let copy = ORIGINAL.copy();
    fs::remove_file(copy.file("items.bin")).unwrap();
    symlink(ORIGINAL.path.join("items.bin"), copy.file("items.bin")).unwrap();
    refused!(copy, BundleError::NotAFile(_));

    let copy = ORIGINAL.copy();
    fs::remove_dir_all(copy.file("vocabularies")).unwrap();
    symlink(ORIGINAL.path.join("vocabularies"), copy.file("vocabularies")).unwrap();
    refused!(copy, BundleError::NotAFile(_));

    // The bundle itself may be reached through a link, such as `current`.
    let models = tempfile::tempdir().unwrap();
    symlink(&ORIGINAL.path, models.path().join("current")).unwrap();
    Bundle::open(&models.path().join("current")).unwrap();
}

#[test]
fn what_is_no_bundle_at_all_is_said_so() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [directory.path().join("absent"), directory.path().to_owned(), file] {
        let error = Bundle::open(&path).unwrap_err();
        assert!(matches!(&error, BundleError::Absent(p) if *p == path), "{error:?}");
    }
    let copy = ORIGINAL.copy();
    fs::remove_file(copy.file("manifest.json")).unwrap();
    fs::create_dir(copy.file("manifest.json")).unwrap();
    refused!(copy, BundleError::NotAFile(_));
    let copy = ORIGINAL.copy();
    fs::remove_file(copy.file("items.bin")).unwrap();
    fs::create_dir(copy.file("items.bin")).unwrap();
    refused!(copy, BundleError::NotAFile(_));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_instead_of_the_manifest_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let copy = ORIGINAL.copy();
        fs::write(copy.file("manifest.json"), bytes).unwrap();
        refused!(copy, BundleError::Manifest { .. } | BundleError::Format { .. });
    }

    #[test]
    fn any_change_of_a_sealed_manifest_is_survived(which in any::<prop::sample::Index>(), value in leaf()) {
        let copy = ORIGINAL.copy();
        copy.edit_json("manifest.json", |manifest| {
            let mut leaves = Vec::new();
            collect(manifest, &mut leaves);
            let leaf = which.index(leaves.len());
            *leaves.swap_remove(leaf) = value;
        });
        copy.seal_version();
        // Some changes are harmless, such as those of the training configuration.
        if let Err(error) = copy.open() {
            prop_assert!(!matches!(error, BundleError::Panic { .. }), "{error}");
        }
    }

    #[test]
    fn any_change_of_a_sealed_graph_is_survived(
        item in any::<bool>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let copy = ORIGINAL.copy();
        copy.edit(if item { "item_tower.onnx" } else { "query_tower.onnx" }, |bytes| {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        });
        copy.reseal();
        if let Err(error) = copy.open() {
            prop_assert!(!matches!(error, BundleError::Panic { .. }), "{error}");
        }
    }
}

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|x| json!(x)),
        ".{0,20}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
    ]
}

/// Every place of a JSON value that holds no other.
fn collect<'a>(value: &'a mut Value, leaves: &mut Vec<&'a mut Value>) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| collect(value, leaves)),
        Value::Object(values) => values.values_mut().for_each(|value| collect(value, leaves)),
        leaf => leaves.push(leaf),
    }
}
