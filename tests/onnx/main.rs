//! Towers computed three ways: by their definition in plain Rust, by tract and by ONNX Runtime.

mod fixture;
mod python;
mod reference;

use fixture::{Fixture, embedding, history, multi_hot, number, one_hot};
use std::{path::Path, process::Command};
use vitrine::{bundle::Tower, onnx};

/// Every kind of input, alone and together.
fn fixtures() -> Vec<Fixture> {
    let all = || {
        vec![
            embedding("customer_id", 101, 16),
            one_hot("club", 4),
            number("age"),
            multi_hot("tags", 9),
            history("article_id", 51, 8, 10, 0.8),
            number("postal code"),
            one_hot("news/frequency", 3),
        ]
    };
    vec![
        Fixture::new("embedding", vec![embedding("article_id", 11, 8)], &[8, 4], false),
        Fixture::new("embedding without layers", vec![embedding("article_id", 11, 8)], &[], false),
        Fixture::new("embedding without layers, normalised", vec![embedding("article_id", 11, 8)], &[], true),
        Fixture::new("one-hot", vec![one_hot("garment", 7)], &[5], false),
        Fixture::new("numbers only", vec![number("age"), multi_hot("tags", 6)], &[8, 3], true),
        Fixture::new("numbers apart", vec![number("age"), one_hot("x", 2), number("height")], &[4], false),
        Fixture::new("history", vec![history("article_id", 31, 6, 8, 0.5)], &[4, 4], false),
        Fixture::new("history without layers, normalised", vec![history("article_id", 31, 6, 8, 1.0)], &[], true),
        Fixture::new("all", all(), &[32, 16, 8], false),
        Fixture::new("all normalised", all(), &[32, 16], true),
    ]
}

fn expected(fixture: &Fixture, indices: &[i64], numbers: &[f32], batch: usize) -> Vec<f32> {
    let (n, m) = fixture.schema.row_widths();
    (0..batch)
        .flat_map(|row| reference::forward(&fixture.tower(), &indices[row * n..][..n], &numbers[row * m..][..m]))
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
fn export(directory: &Path, fixture: &Fixture, batch: usize, external: bool) {
    std::fs::create_dir(directory).unwrap();
    let external_above = if external { 16 } else { onnx::EXTERNAL_ABOVE };
    onnx::write(&fixture.tower(), &directory.join("tower.onnx"), external_above).unwrap();
    let (indices, numbers) = fixture.rows(batch);
    let (n, m) = fixture.schema.row_widths();
    let mut inputs = serde_json::Map::new();
    if n > 0 {
        inputs.insert("indices".into(), serde_json::json!({ "shape": [batch, n], "values": indices }));
    }
    if m > 0 {
        inputs.insert("numbers".into(), serde_json::json!({ "shape": [batch, m], "values": numbers }));
    }
    let case = serde_json::json!({
        "inputs": inputs,
        "dim": fixture.tower().dim(),
        "expected": expected(fixture, &indices, &numbers, batch),
        "external": external,
    });
    std::fs::write(directory.join("case.json"), case.to_string()).unwrap();
}

#[test]
fn onnx_runtime_computes_what_the_towers_define() {
    let directory = tempfile::tempdir().unwrap();
    for fixture in fixtures() {
        for (batch, external) in [(1, false), (32, false), (32, true)] {
            let name = format!("{} batch {batch} external {external}", fixture.name);
            export(&directory.path().join(name), &fixture, batch, external);
        }
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/onnx/check.py");
    let output = Command::new(python::interpreter()).arg(script).arg(directory.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("30 of 30 cases agree"), "{text}");
}
