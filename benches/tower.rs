//! Latency of towers run by tract, as the server runs them: `cargo bench --bench tower`.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

#[path = "../tests/onnx/fixture.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod fixture;

use criterion::{Criterion, criterion_group, criterion_main};
use fixture::{Fixture, embedding, feature, history, number, one_hot};
use vitrine::{
    bundle::Tower,
    families::{ExportedTables, query_graph},
    features::{Encoding, TowerSchema},
    model::{
        SequenceModel, SequenceModelConfig,
        sequence::{DecoderConfig, EncoderConfig},
    },
    onnx::{self, QueryGraph},
};

fn month() -> vitrine::features::Feature {
    feature("at", Encoding::CyclicMonth)
}

/// The query tower of `models/configs/retrieval.toml`, one of a large shop, and that with a
/// purchase history.
fn fixtures() -> [Fixture; 3] {
    let large = || {
        vec![
            embedding("customer_id", 200_000, 64),
            one_hot("club", 4),
            one_hot("news", 5),
            number("age"),
            month(),
        ]
    };
    let mut with_history = large();
    with_history.push(history("article_id", 105_543, 64, 20, 0.8));
    [
        Fixture::new(
            "retrieval",
            vec![embedding("customer_id", 23_839, 16), number("age"), month()],
            &[16, 16],
            false,
        ),
        Fixture::new("large", large(), &[128, 64], true),
        Fixture::new("large with history", with_history, &[128, 64], true),
    ]
}

fn towers(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let mut out = Vec::new();
    for fixture in fixtures() {
        let path = directory.path().join("tower.onnx");
        onnx::write(&fixture.tower(), &path, onnx::EXTERNAL_ABOVE)
            .expect("the tower can be written");
        let tower = Tower::load(&path, &fixture.schema, fixture.tower().dim())
            .expect("the tower can be loaded");
        for batch in [1, 256] {
            let (indices, numbers) = fixture.rows(batch);
            criterion.bench_function(&format!("{}, batch {batch}", fixture.name), |bencher| {
                bencher.iter(|| tower.embed(&indices, &numbers, batch, &mut out));
            });
        }
    }
}

/// The decoder of the speed goal: 2 layers, width 64, length 50; a full history, the median one of
/// a fashion shop and a visit.
fn decoder(criterion: &mut Criterion) {
    let (items, length, dim) = (12_101, 50, 64);
    let config = SequenceModelConfig {
        encoder: EncoderConfig::Decoder(DecoderConfig::default()),
        items,
        length,
        item_dim: dim,
        tied: true,
        bias: false,
        sos: false,
        ages: None,
        temperature: 1.0,
        smoothing: 0.0,
    };
    let model = SequenceModel::new(&config, 1).expect("the shape can be");
    let tables = ExportedTables::of(&model);
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let path = directory.path().join("decoder.onnx");
    QueryGraph::from(query_graph("decoder", &model, &tables))
        .write(&path, onnx::EXTERNAL_ABOVE)
        .expect("it can be written");
    let encoding =
        Encoding::Sequence { vocabulary: "article_id".into(), rows: items + 1, dim, length };
    let schema = TowerSchema { features: vec![feature("history", encoding)] };
    let tower = Tower::load(&path, &schema, dim).expect("the graph can be loaded");
    let mut out = Vec::new();
    for (batch, known) in [(1, length), (1, 9), (1, 3), (32, length)] {
        let index = |i: usize| if i % length < known { i * 7_919 % items } else { items };
        let indices: Vec<i64> = (0..batch * length).map(|i| index(i) as i64).collect();
        criterion.bench_function(
            &format!("decoder 2 × 64, {known} of 50 items, batch {batch}"),
            |bencher| {
                bencher.iter(|| tower.embed(&indices, &[], batch, &mut out));
            },
        );
    }
}

criterion_group!(benches, towers, decoder);
criterion_main!(benches);
