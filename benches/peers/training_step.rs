//! Vitrine's side of `training_step.py`: takes training steps on random batches, as many as a line
//! on standard input says, and prints the mean milliseconds a step.
//!
//! Arguments: customers, articles, embedding width, hidden width, vector length, batch size,
//! threads. Batches are made beforehand on both sides: what is timed is gather, both towers, loss,
//! backward pass and optimiser.

use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    io::{BufRead, Write},
    time::Instant,
};
use vitrine::{
    features::{Encoding, Feature, FeatureSchema, TowerSchema},
    model::{AdamW, Inputs, LossKind, StepBatch, TwoTower, TwoTowerConfig},
};

/// Batches kept ready; steps walk through them again and again.
const BATCHES: usize = 16;

/// One-hot widths of the article's two categories: garment group and index group, each with its
/// unknown.
const GROUPS: [usize; 2] = [21, 10];

fn main() -> anyhow::Result<()> {
    let arguments: Vec<usize> =
        std::env::args().skip(1).map(|a| a.parse()).collect::<Result<_, _>>()?;
    let &[customers, articles, width, hidden, dim, batch, threads] = arguments.as_slice() else {
        anyhow::bail!("usage: training_step CUSTOMERS ARTICLES WIDTH HIDDEN DIM BATCH THREADS");
    };
    let config = TwoTowerConfig {
        dim,
        query_layers: vec![hidden],
        item_layers: vec![hidden],
        normalize: false,
        loss: LossKind::Softmax,
        temperature: 1.0,
        amsgrad: false,
    };
    let mut model = TwoTower::new(&schema(customers, articles, width), &config, 1);
    let mut rng = StdRng::seed_from_u64(1);
    let batches: Vec<StepBatch> =
        (0..BATCHES).map(|_| draw(&mut rng, customers, articles, batch)).collect();
    let optimizer = AdamW { learning_rate: 0.01, ..AdamW::default() };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    println!("ready");
    let mut taken = 0;
    for line in std::io::stdin().lock().lines() {
        let steps: usize = line?.trim().parse()?;
        let started = Instant::now();
        pool.install(|| {
            for _ in 0..steps {
                let loss = model.step(&batches[taken % BATCHES], &optimizer);
                assert!(loss.is_finite());
                taken += 1;
            }
        });
        println!("{:.4}", started.elapsed().as_secs_f64() * 1e3 / steps as f64);
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn schema(customers: usize, articles: usize, dim: usize) -> FeatureSchema {
    let feature =
        |name: &str, encoding| Feature { name: name.into(), source: name.into(), encoding };
    let id = |name: &str, values: usize| {
        feature(
            name,
            Encoding::Embedding { vocabulary: name.into(), rows: values + 1, dim, dropout: 0.0 },
        )
    };
    let group = |i: usize| {
        let name = format!("group{i}");
        feature(&name, Encoding::OneHot { vocabulary: name.clone(), rows: GROUPS[i], dropout: 0.0 })
    };
    let age = feature("age", Encoding::Number { mean: 0.0, std: 1.0, range: None });
    let query = vec![id("customer_id", customers), age, feature("at", Encoding::CyclicMonth)];
    let item = vec![id("article_id", articles), group(0), group(1)];
    FeatureSchema { query: TowerSchema { features: query }, item: TowerSchema { features: item } }
}

/// Customers and articles drawn uniformly: the least friendly to caches.
fn draw(rng: &mut StdRng, customers: usize, articles: usize, batch: usize) -> StepBatch {
    let mut queries = Inputs { rows: batch, ..Inputs::default() };
    let mut items = Inputs::default();
    let mut columns = std::collections::HashMap::new();
    let mut targets = Vec::new();
    for _ in 0..batch {
        queries.indices.push(rng.random_range(0..customers as i64));
        queries.numbers.extend([rng.random::<f32>(), rng.random(), rng.random()]);
        let article = rng.random_range(0..articles as i64);
        let next = columns.len() as u32;
        targets.push(*columns.entry(article).or_insert_with(|| {
            let groups = GROUPS.map(|width| article % width as i64);
            items.indices.extend([article, groups[0], groups[1]]);
            next
        }));
    }
    items.rows = columns.len();
    StepBatch {
        queries,
        bias: vec![0.0; items.rows],
        items,
        targets,
        negatives: vec![],
        weights: None,
    }
}
