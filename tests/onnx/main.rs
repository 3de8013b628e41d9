//! Towers computed four ways: by their definition in plain Rust, by the training kernels, by tract
//! and by ONNX Runtime. The unit tests of `model` compare the training kernels with burn.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../support/encoder.rs"]
mod encoder;
mod fixture;
#[path = "../support/python.rs"]
mod python;
mod reference;
mod sequences;
mod split;
mod text;

use fixture::{Fixture, embedding, history, multi_hot, number, one_hot};
use std::{path::Path, process::Command};
use vitrine::{
    bundle::Tower,
    features::{Feature, FeatureSchema, TowerSchema},
    model::{Inputs, LossKind, TwoTower, TwoTowerConfig},
    onnx::{self, Input, TowerGraph},
};

/// Every kind of input.
fn all() -> Vec<Feature> {
    vec![
        embedding("customer_id", 101, 16),
        one_hot("club", 4),
        number("age"),
        multi_hot("tags", 9),
        history("article_id", 51, 8, 10, 0.8),
        number("postal code"),
        one_hot("news/frequency", 3),
    ]
}

/// Every kind of input, alone and together.
fn fixtures() -> Vec<Fixture> {
    vec![
        Fixture::new("embedding", vec![embedding("article_id", 11, 8)], &[8, 4], false),
        Fixture::new("embedding without layers", vec![embedding("article_id", 11, 8)], &[], false),
        Fixture::new(
            "embedding without layers, normalised",
            vec![embedding("article_id", 11, 8)],
            &[],
            true,
        ),
        Fixture::new("one-hot", vec![one_hot("garment", 7)], &[5], false),
        Fixture::new("numbers only", vec![number("age"), multi_hot("tags", 6)], &[8, 3], true),
        Fixture::new(
            "numbers apart",
            vec![number("age"), one_hot("x", 2), number("height")],
            &[4],
            false,
        ),
        Fixture::new("history", vec![history("article_id", 31, 6, 8, 0.5)], &[4, 4], false),
        Fixture::new(
            "history without layers, normalised",
            vec![history("article_id", 31, 6, 8, 1.0)],
            &[],
            true,
        ),
        Fixture::new("all", all(), &[32, 16, 8], false),
        Fixture::new("all normalised", all(), &[32, 16], true),
    ]
}

/// One table of more than [`onnx::EXTERNAL_ABOVE`] bytes.
fn large() -> Fixture {
    Fixture::new(
        "large table",
        vec![embedding("customer_id", 300_000, 64), number("age")],
        &[16],
        true,
    )
}

fn expected(fixture: &Fixture, indices: &[i64], numbers: &[f32], batch: usize) -> Vec<f32> {
    let (n, m) = fixture.schema.row_widths();
    (0..batch)
        .flat_map(|row| {
            reference::forward(&fixture.tower(), &indices[row * n..][..n], &numbers[row * m..][..m])
        })
        .collect()
}

fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() <= 1e-4, "{what}: number {i} is {f}, not {e}");
    }
}

#[test]
fn tract_computes_what_the_towers_define() {
    let directory = tempfile::tempdir().unwrap();
    for fixture in fixtures() {
        for (external_above, external) in [(onnx::EXTERNAL_ABOVE, false), (16, true)] {
            let path = directory.path().join(format!("tower-{external}.onnx"));
            onnx::write(&fixture.tower(), &path, external_above).unwrap();
            let tower = Tower::load(&path, &fixture.schema, fixture.tower().dim()).unwrap();
            let mut found = Vec::new();
            for batch in [1, 2, 32, 1000, 1, 0] {
                let (indices, numbers) = fixture.rows(batch);
                tower.embed(&indices, &numbers, batch, &mut found).unwrap();
                let what = format!("{}, batch {batch}, external {external}", fixture.name);
                assert_close(&found, &expected(&fixture, &indices, &numbers, batch), &what);
            }
        }
    }
}

/// Writes what `check.py` reads of one case.
fn export(directory: &Path, fixture: &Fixture, batch: usize, external_above: Option<usize>) {
    std::fs::create_dir(directory).unwrap();
    let path = directory.join("tower.onnx");
    onnx::write(&fixture.tower(), &path, external_above.unwrap_or(usize::MAX)).unwrap();
    let (indices, numbers) = fixture.rows(batch);
    let (n, m) = fixture.schema.row_widths();
    let mut inputs = serde_json::Map::new();
    if n > 0 {
        inputs.insert(
            "indices".into(),
            serde_json::json!({ "shape": [batch, n], "values": indices }),
        );
    }
    if m > 0 {
        inputs.insert(
            "numbers".into(),
            serde_json::json!({ "shape": [batch, m], "values": numbers }),
        );
    }
    let case = serde_json::json!({
        "inputs": inputs,
        "dim": fixture.tower().dim(),
        "expected": expected(fixture, &indices, &numbers, batch),
        "external": external_above.is_some(),
    });
    std::fs::write(directory.join("case.json"), case.to_string()).unwrap();
}

/// A model as the trainer has it, and what the trainer computes for `fixture.rows(batch)`.
fn trained(features: Vec<Feature>, hidden: &[usize], batch: usize) -> (Fixture, Vec<f32>) {
    let dim = 12;
    let mut widths = hidden.to_vec();
    widths.push(dim);
    let fixture = Fixture::new("trained", features, &widths, true);
    let schema = FeatureSchema { query: fixture.schema.clone(), item: fixture.schema.clone() };
    let config = TwoTowerConfig {
        dim,
        query_layers: hidden.to_vec(),
        item_layers: vec![],
        normalize: true,
        loss: LossKind::Softmax,
        temperature: 1.0,
        amsgrad: false,
    };
    let mut side = TwoTower::new(&schema, &config, 3).query;
    let mut x = 0.0f32;
    let mut next = || {
        x = (x + 0.618_034).fract();
        x - 0.5
    };
    for table in &mut side.tables {
        // Every row counts as trained.
        table.steps.fill(1);
        table.weights.fill_with(&mut next);
    }
    for layer in &mut side.tower.layers {
        layer.bias.fill_with(&mut next);
    }
    let (indices, numbers) = fixture.rows(batch);
    let computed = side.embed(&Inputs { rows: batch, indices, numbers });
    let layers = side
        .tower
        .layers
        .iter()
        .map(|l| (l.weight.clone(), l.bias.clone(), l.inputs, l.outputs))
        .collect();
    let tables = side.tables.iter().map(|table| table.trained_weights()).collect();
    (fixture.with_parameters(tables, layers), computed)
}

#[test]
fn tract_computes_what_the_trainer_computed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tower.onnx");
    for (features, hidden) in
        [(all(), &[32, 16][..]), (all(), &[]), (vec![history("article_id", 31, 6, 8, 0.5)], &[8])]
    {
        let (fixture, by_trainer) = trained(features, hidden, 32);
        let (indices, numbers) = fixture.rows(32);
        assert_close(
            &expected(&fixture, &indices, &numbers, 32),
            &by_trainer,
            "trainer and definition",
        );
        onnx::write(&fixture.tower(), &path, onnx::EXTERNAL_ABOVE).unwrap();
        let mut found = Vec::new();
        let tower = Tower::load(&path, &fixture.schema, fixture.tower().dim()).unwrap();
        tower.embed(&indices, &numbers, 32, &mut found).unwrap();
        assert_close(&found, &by_trainer, "trainer and tract");
    }
}

#[test]
fn large_tables_lie_beside_the_graph() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tower.onnx");
    let fixture = large();
    let written = onnx::write(&fixture.tower(), &path, onnx::EXTERNAL_ABOVE).unwrap();
    assert_eq!(written, [path.clone(), directory.path().join("tower.onnx.data")]);
    let size = |path: &Path| std::fs::metadata(path).unwrap().len();
    assert!(size(&path) < 20_000 && size(&written[1]) == 300_000 * 64 * 4);

    let tower = Tower::load(&path, &fixture.schema, 16).unwrap();
    let (indices, numbers) = fixture.rows(8);
    let mut found = Vec::new();
    tower.embed(&indices, &numbers, 8, &mut found).unwrap();
    assert_close(&found, &expected(&fixture, &indices, &numbers, 8), "large");

    // Its own data file only, whatever the graph says.
    std::fs::rename(&written[1], directory.path().join("other.data")).unwrap();
    assert!(Tower::load(&path, &fixture.schema, 16).is_err());
    std::fs::rename(&path, directory.path().join("other")).unwrap();
    let error = Tower::load(&directory.path().join("other"), &fixture.schema, 16).unwrap_err();
    assert!(error.to_string().contains("it lies in another file"), "{error}");
}

#[test]
fn zeros_stay_zeros_when_normalised() {
    let table = [0.0, 0.0, 3.0, 4.0];
    let schema = TowerSchema { features: vec![embedding("article_id", 2, 2)] };
    let tower = TowerGraph {
        name: "zeros",
        widths: schema.row_widths(),
        inputs: vec![Input::Embedding {
            name: "article_id",
            table: &table,
            rows: 2,
            dim: 2,
            at: 0,
        }],
        layers: vec![],
        normalize: true,
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tower.onnx");
    onnx::write(&tower, &path, onnx::EXTERNAL_ABOVE).unwrap();
    let mut found = Vec::new();
    Tower::load(&path, &schema, 2).unwrap().embed(&[0, 1], &[], 2, &mut found).unwrap();
    assert_close(&found, &[0.0, 0.0, 0.6, 0.8], "zeros");
}

#[test]
fn towers_that_do_not_fit_together_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let fixture = Fixture::new(
        "x",
        vec![embedding("a", 5, 4), history("b", 6, 3, 2, 0.5), number("c")],
        &[4, 2],
        false,
    );
    let refused = |change: &dyn Fn(&mut TowerGraph<'_>), word: &str| {
        let mut tower = fixture.tower();
        change(&mut tower);
        let path = directory.path().join("tower.onnx");
        let error = onnx::write(&tower, &path, 0).unwrap_err().to_string();
        assert!(error.contains(word) && !path.exists(), "{error}");
    };
    refused(&|tower| tower.inputs.clear(), "no inputs");
    refused(&|tower| tower.widths = (2, 1), "reads past the 2 columns");
    refused(&|tower| tower.widths = (3, 0), "reads past the 0 columns");
    refused(&|tower| tower.layers[1].inputs = 3, "but 4 arrive");
    refused(&|tower| tower.layers[1].bias = &[], "0 biases");
    refused(&|tower| tower.inputs.truncate(1), "but 4 arrive");
    refused(
        &|tower| {
            if let Input::Embedding { rows, .. } = &mut tower.inputs[0] {
                *rows = 6;
            }
        },
        "not 6 × 4",
    );
    refused(&|tower| tower.inputs[0] = Input::Numbers { at: usize::MAX, width: 2 }, "reads past");
    refused(
        &|tower| {
            if let Input::History { decay, .. } = &mut tower.inputs[1] {
                *decay = 0.0;
            }
        },
        "not in (0, 1]",
    );
    let table = [f32::INFINITY; 20];
    let diverged = TowerGraph {
        inputs: vec![Input::Embedding { name: "a", table: &table, rows: 5, dim: 4, at: 0 }],
        layers: vec![],
        ..fixture.tower()
    };
    let error =
        onnx::write(&diverged, &directory.path().join("d.onnx"), 0).unwrap_err().to_string();
    assert!(error.contains("holds inf at position 0"), "{error}");
}

#[test]
fn onnx_runtime_computes_what_the_towers_define() {
    let directory = tempfile::tempdir().unwrap();
    for fixture in fixtures() {
        for (batch, external) in [(1, None), (32, None), (32, Some(16))] {
            let name = format!("{} batch {batch} external {}", fixture.name, external.is_some());
            export(&directory.path().join(name), &fixture, batch, external);
        }
    }
    for fixture in fixtures() {
        split::export(&directory.path().join(format!("{} in parts", fixture.name)), &fixture, 32);
    }
    export(&directory.path().join("large table"), &large(), 8, Some(onnx::EXTERNAL_ABOVE));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/onnx/check.py");
    let output = Command::new(python::interpreter("onnx"))
        .arg(script)
        .arg(directory.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("41 of 41 cases agree"), "{text}");
}
