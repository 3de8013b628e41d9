//! The kernel against the definition, written out over dense rows in f64.

use super::*;
use proptest::prelude::{ProptestConfig, prop_assert, proptest};
use rand::Rng;

/// Customers with their items and values, each customer holding at least two of `items`.
fn draw(customers: usize, items: usize, seed: u64) -> Vec<(Vec<u32>, Vec<f32>)> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let row = |rng: &mut ChaCha8Rng| {
        let count = rng.random_range(2..=items.min(9));
        let bought: Vec<u32> = rand::seq::index::sample(rng, items, count)
            .into_iter()
            .map(|item| item as u32)
            .collect();
        let values = bought.iter().map(|_| rng.random_range(0.2f32..1.0)).collect();
        (bought, values)
    };
    (0..customers).map(|_| row(&mut rng)).collect()
}

fn batch(rows: &[(Vec<u32>, Vec<f32>)]) -> ElsaBatch {
    ElsaBatch::new(rows.iter().map(|(items, values)| (items.as_slice(), values.as_slice())))
}

/// The mean loss of the paper with the weights as given; items that are not `present` have a zero
/// vector.
fn plain_loss(weights: &[f64], dim: usize, rows: &[(Vec<u32>, Vec<f32>)], present: &[bool]) -> f64 {
    let items = weights.len() / dim;
    let unit = |item: usize| -> Vec<f64> {
        let row = &weights[item * dim..(item + 1) * dim];
        let length = row.iter().map(|w| w * w).sum::<f64>().sqrt();
        row.iter().map(|w| if present[item] { w / length } else { 0.0 }).collect()
    };
    let table: Vec<Vec<f64>> = (0..items).map(unit).collect();
    let loss = |(bought, values): &(Vec<u32>, Vec<f32>)| {
        let mut x = vec![0.0; items];
        bought.iter().zip(values).for_each(|(&item, &value)| x[item as usize] = f64::from(value));
        let query: Vec<f64> =
            (0..dim).map(|d| (0..items).map(|i| x[i] * table[i][d]).sum()).collect();
        let y: Vec<f64> = (0..items)
            .map(|i| (0..dim).map(|d| query[d] * table[i][d]).sum::<f64>() - x[i])
            .collect();
        let length = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
        let (long_x, long_y) = (length(&x), length(&y));
        x.iter().zip(&y).map(|(x, y)| (x / long_x - y / long_y).powi(2)).sum::<f64>()
    };
    rows.iter().map(loss).sum::<f64>() / rows.len() as f64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn loss_and_gradient_are_those_of_the_definition(
        customers in 1usize..12, items in 4usize..40, dim in 2usize..9, seed: u64,
    ) {
        let rows = draw(customers, items, seed);
        let batch = batch(&rows);
        let mut model = Elsa::new(items, dim, seed ^ 1);
        let gradient = model.gradient(&batch);
        let present: Vec<bool> = model.next_step.iter().map(|&next| next > 0).collect();
        let weights: Vec<f64> = model.weights.iter().map(|&w| f64::from(w)).collect();
        let loss = plain_loss(&weights, dim, &rows, &present);
        let got = model.forward(&batch);
        prop_assert!((got - loss).abs() <= 1e-4 * (1.0 + loss), "{got} is not {loss}");
        // Where everything cancels, as it can for a single customer, the rounding of f32 remains.
        let size = gradient.iter().fold(2e-2f32, |most, g| most.max(g.abs()));
        for at in 0..weights.len() {
            const STEP: f64 = 1e-5;
            let moved = |by: f64| {
                let mut weights = weights.clone();
                weights[at] += by;
                plain_loss(&weights, dim, &rows, &present)
            };
            let want = if present[at / dim] { (moved(STEP) - moved(-STEP)) / (2.0 * STEP) } else { 0.0 };
            let got = if present[at / dim] { f64::from(gradient[at]) } else { 0.0 };
            prop_assert!((got - want).abs() <= 5e-3 * f64::from(size), "weight {at}: {got} is not {want}");
        }
    }
}

/// 60 customers of two tastes: items 0 to 9, and 10 to 19.
fn tastes() -> ElsaBatch {
    let mut rows = draw(60, 10, 3);
    rows.iter_mut().enumerate().for_each(|(i, (items, values))| {
        items.iter_mut().for_each(|item| *item += i as u32 % 2 * 10);
        values.fill(1.0);
    });
    batch(&rows)
}

fn trained(threads: usize) -> Elsa {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| {
        let mut model = Elsa::new(25, 8, 1);
        let optimizer = AdamW { learning_rate: 0.05, ..AdamW::default() };
        let losses: Vec<f64> = (0..80).map(|_| model.step(&tastes(), &optimizer)).collect();
        assert!(losses[79] < 0.7 * losses[0], "{losses:?}");
        model
    })
}

#[test]
fn tastes_are_told_apart_and_absent_items_have_no_vector() {
    let model = trained(2);
    let table = model.table();
    let row = |item: usize| &table[item * 8..(item + 1) * 8];
    let product = |a: usize, b: usize| row(a).iter().zip(row(b)).map(|(a, b)| a * b).sum::<f32>();
    assert!((0..20).all(|item| (product(item, item) - 1.0).abs() < 1e-5), "unit vectors");
    assert!((20..25).all(|item| row(item).iter().all(|&x| x == 0.0)), "nobody bought them");
    let mean = |pairs: Vec<f32>| pairs.iter().sum::<f32>() / pairs.len() as f32;
    let within = mean(
        (0..10).flat_map(|a| (0..a).map(move |b| (a, b))).map(|(a, b)| product(a, b)).collect(),
    );
    let across = mean(
        (0..10).flat_map(|a| (10..20).map(move |b| (a, b))).map(|(a, b)| product(a, b)).collect(),
    );
    assert!(within > across + 0.2, "{within} within a taste, {across} across");
}

#[test]
fn a_thread_count_gives_the_same_bits_every_time_and_others_agree() {
    let (one, three) = (trained(1), trained(3));
    assert_eq!(
        (one.weights == trained(1).weights, three.weights == trained(3).weights),
        (true, true)
    );
    let apart = one
        .table()
        .iter()
        .zip(three.table().iter())
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(apart < 1e-2, "{apart}");
}

#[test]
fn a_state_read_back_goes_on_the_same() {
    let optimizer = AdamW { learning_rate: 0.05, ..AdamW::default() };
    let mut model = trained(2);
    let mut copy = Elsa::new(25, 8, 9);
    for (to, from) in copy.arrays().into_iter().zip(model.arrays()) {
        to.copy_from_slice(from);
    }
    for _ in 0..3 {
        assert_eq!(model.step(&tastes(), &optimizer), copy.step(&tastes(), &optimizer));
    }
    assert_eq!(model.weights, copy.weights);
}

#[test]
fn a_customer_without_a_reconstruction_stays_finite() {
    // One item reconstructs to nothing; two opposite directions cancel out.
    let rows = [(vec![0], vec![1.0]), (vec![0, 1], vec![1.0, 1.0])];
    let mut model = Elsa::new(2, 2, 1);
    model.weights = vec![1.0, 0.0, -1.0, 0.0];
    for _ in 0..5 {
        let loss = model.step(&batch(&rows), &AdamW::default());
        assert!(loss.is_finite() && model.weights.iter().all(|w| w.is_finite()), "{loss}");
    }
}
