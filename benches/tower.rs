//! Latency of towers run by tract, as the server runs them: `cargo bench --bench tower`.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

#[path = "../tests/onnx/fixture.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod fixture;

use criterion::{Criterion, criterion_group, criterion_main};
use fixture::{Fixture, embedding, feature, history, number, one_hot};
use vitrine::{bundle::Tower, features::Encoding, onnx};

fn month() -> vitrine::features::Feature {
    feature("at", Encoding::CyclicMonth)
}

/// The query tower of `models/configs/retrieval.toml`, one of a large shop, and that with a purchase history.
fn fixtures() -> [Fixture; 3] {
    let large =
        || vec![embedding("customer_id", 200_000, 64), one_hot("club", 4), one_hot("news", 5), number("age"), month()];
    let mut with_history = large();
    with_history.push(history("article_id", 105_543, 64, 20, 0.8));
    [
        Fixture::new("retrieval", vec![embedding("customer_id", 23_839, 16), number("age"), month()], &[16, 16], false),
        Fixture::new("large", large(), &[128, 64], true),
        Fixture::new("large with history", with_history, &[128, 64], true),
    ]
}

fn towers(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let mut out = Vec::new();
    for fixture in fixtures() {
        let path = directory.path().join("tower.onnx");
        onnx::write(&fixture.tower(), &path, onnx::EXTERNAL_ABOVE).expect("the tower can be written");
        let tower = Tower::load(&path, &fixture.schema, fixture.tower().dim()).expect("the tower can be loaded");
        for batch in [1, 256] {
            let (indices, numbers) = fixture.rows(batch);
            criterion.bench_function(&format!("{}, batch {batch}", fixture.name), |bencher| {
                bencher.iter(|| tower.embed(&indices, &numbers, batch, &mut out));
            });
        }
    }
}

criterion_group!(benches, towers);
criterion_main!(benches);
