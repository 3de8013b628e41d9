//! Top-k over a catalogue of the size of H&M's: every plan, k of a page and of a candidate stage,
//! and the filters between them. `cargo bench --bench retrieval`; building the graph takes half a
//! minute first.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::hint::black_box;
use vitrine::{
    bundle::IndexParameters,
    retrieval::{Graph, Index, Insertion, ItemSet, ItemVectors, Plan, Query, Retriever},
};

const ITEMS: usize = 105_542;
const DIM: usize = 64;

/// Unit vectors around 200 centres.
fn vectors(count: usize, rng: &mut StdRng, centres: &[f32]) -> Vec<f32> {
    let mut rows = Vec::with_capacity(count * DIM);
    for _ in 0..count {
        let centre = &centres[rng.random_range(0..centres.len() / DIM) * DIM..][..DIM];
        let row: Vec<f32> = centre.iter().map(|x| x + 0.6 * (rng.random::<f32>() - 0.5)).collect();
        let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        rows.extend(row.iter().map(|x| x / norm));
    }
    rows
}

fn retrieval(criterion: &mut Criterion) {
    let mut rng = StdRng::seed_from_u64(1);
    let centres: Vec<f32> = (0..200 * DIM).map(|_| rng.random::<f32>() - 0.5).collect();
    let rows = vectors(ITEMS, &mut rng, &centres);
    let queries = vectors(100, &mut rng, &centres);
    let mut turn = queries.chunks_exact(DIM).cycle();
    let mut next = || turn.next().unwrap_or_default();

    let items = ItemVectors::from_rows(DIM, &rows).expect("vectors of unit length");
    let parameters = IndexParameters { m: 16, ef_construction: 128, ef_search: 120 };
    let graph = Graph::build(&items, parameters, Insertion::Parallel).expect("parameters in range");
    let retriever = Retriever::new(items, Some(graph)).expect("a graph of these items");

    let mut group = criterion.benchmark_group("plans");
    for (plan, k) in [
        (Plan::Graph { ef: 64 }, 12),
        (Plan::Graph { ef: 120 }, 100),
        (Plan::Scan, 12),
        (Plan::Scan, 100),
    ] {
        group.bench_function(BenchmarkId::new(plan.name(), k), |bencher| {
            bencher.iter(|| {
                black_box(retriever.search_by(&Query { vector: next(), k, allowed: None }, plan))
            });
        });
    }
    group.finish();

    // What the planner's cost model has to predict: each filter by each plan and as planned.
    let mut group = criterion.benchmark_group("filtered");
    for keep in [100, 1_000, 5_000, 10_000, 30_000, 90_000] {
        let mut allowed = ItemSet::empty(ITEMS);
        while allowed.count() < keep {
            allowed.insert(rng.random_range(0..ITEMS as u32));
        }
        for plan in [Plan::Gather, Plan::Scan] {
            group.bench_function(BenchmarkId::new(plan.name(), keep), |bencher| {
                let query = |vector| Query { vector, k: 100, allowed: Some(&allowed) };
                bencher.iter(|| black_box(retriever.search_by(&query(next()), plan)));
            });
        }
        group.bench_function(BenchmarkId::new("planned", keep), |bencher| {
            bencher.iter(|| {
                black_box(retriever.search(&Query {
                    vector: next(),
                    k: 100,
                    allowed: Some(&allowed),
                }))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, retrieval);
criterion_main!(benches);
