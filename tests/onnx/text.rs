//! The text encoder against ONNX Runtime, with the weights of a real one: all-MiniLM-L6-v2.

use super::{encoder, python};
use std::{fs::File, path::Path, process::Command};
use vitrine::text::{Pooling, TextEncoder};

#[test]
fn a_real_encoder_gives_the_vectors_of_onnx_runtime() {
    let packages = encoder::packages();
    let encoder = encoder::directory();
    let texts = [
        "Strap top Vest top Garment Upper body Solid Black Dark Ladieswear Womens Everyday Basics Jersey top with narrow straps.",
        "",
        "Crème-brûlée söckchen, 100 % BOMULL!! naïve café",
        "人造皮革 bag № 5 🙂",
        &"Wool coat with a very long description. ".repeat(40),
        "a",
    ];
    let directory = tempfile::tempdir().unwrap();
    let request = serde_json::json!({"texts": texts, "max_tokens": 64});
    let (input, output) =
        (directory.path().join("texts.json"), directory.path().join("vectors.json"));
    std::fs::write(&input, request.to_string()).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/onnx/text.py");
    let arguments = [Path::new(script), &encoder, &input, &output];
    let status = Command::new(python::interpreter("onnx"))
        .args(arguments)
        .env("PYTHONPATH", &packages)
        .status()
        .unwrap();
    assert!(status.success(), "see its output");
    let expected: std::collections::BTreeMap<String, Vec<Vec<f32>>> =
        serde_json::from_reader(File::open(output).unwrap()).unwrap();

    for (name, pooling) in [("mean", Pooling::Mean), ("cls", Pooling::Cls)] {
        let encoder = TextEncoder::open(&encoder, pooling, 64).unwrap();
        assert_eq!(encoder.dim(), 384);
        let found = encoder.embed(&texts).unwrap();
        super::assert_close(&found, &expected[name].concat(), name);
    }
    // It means something: a top is closer to a vest than to a lamp.
    let encoder = TextEncoder::open(&encoder, Pooling::Mean, 64).unwrap();
    let vectors =
        encoder.embed(&["black strap top", "dark vest with straps", "floor lamp"]).unwrap();
    let rows: Vec<&[f32]> = vectors.chunks_exact(384).collect();
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let cosine = |a: &[f32], b: &[f32]| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    let (near, far) = (cosine(rows[0], rows[1]), cosine(rows[0], rows[2]));
    assert!(near > far + 0.2, "{near} {far}");
}
