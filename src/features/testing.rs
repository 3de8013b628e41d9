//! Random small shops for tests of every module.

use super::{FeatureConfig, FeatureSchema, Vocabularies, fit};
use crate::{
    dataset::{Column, Dataset, Entities, MISSING, Purchases, TimeUnit, Values},
    domain::{IdTable, Timestamp},
};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// A shop with the article columns `group` (category, with holes), `tags` (sets) and `price`
/// (number, with holes) and the customer columns `age` (number, with holes), `size` (text that
/// mostly reads as a number) and `city`. The first purchase is customer 0's of article 0, who have
/// every attribute, so that there is always something to fit.
pub(crate) fn shop(
    seed: u64,
    articles: usize,
    customers: usize,
    purchases: usize,
    time_unit: TimeUnit,
) -> Dataset {
    let mut rng = StdRng::seed_from_u64(seed);
    let article_columns = vec![
        category(&mut rng, "group", articles, &["dress", "shoe", "", "a\nb", "hat"]),
        tags(&mut rng, "tags", articles, &["red", "blue", "wool", "silk"]),
        numbers(&mut rng, "price", articles),
    ];
    let customer_columns = vec![
        numbers(&mut rng, "age", customers),
        category(&mut rng, "size", customers, &["36", " 38.5", "XL", "inf", "40"]),
        category(&mut rng, "city", customers, &["Lund", "Malmö", "Uppsala"]),
    ];
    let mut times: Vec<u32> = (0..purchases)
        .map(|_| match time_unit {
            TimeUnit::Day => rng.random_range(18_000u32..18_040) * Timestamp::DAY,
            TimeUnit::Second => rng.random_range(18_000 * Timestamp::DAY..18_040 * Timestamp::DAY),
            TimeUnit::Position => rng.random_range(0..50),
        })
        .collect();
    times.sort_unstable();
    let mut purchases = Purchases {
        customer: times.iter().map(|_| rng.random_range(0..customers as u32)).collect(),
        // Squared, so that some articles are popular and some are never bought.
        article: times
            .iter()
            .map(|_| (rng.random::<f64>().powi(2) * articles as f64) as u32)
            .collect(),
        time: times.into_iter().map(Timestamp).collect(),
        ..Purchases::default()
    };
    if let (Some(customer), Some(article)) =
        (purchases.customer.first_mut(), purchases.article.first_mut())
    {
        (*customer, *article) = (0, 0);
    }
    Dataset {
        articles: entities("a", articles, article_columns),
        customers: entities("c", customers, customer_columns),
        purchases,
        time_unit,
    }
}

/// Features of [`shop`] that use every encoding.
pub(crate) const FEATURES: &str = r#"
    query = [
        { source = "customer_id", encoding = "embedding", dim = 4, dropout = 0.1 },
        { source = "age", encoding = "number" },
        { source = "history", encoding = "history", dim = 4, length = 5, decay = 0.8 },
        { source = "size", encoding = "number" },
        { source = "at", name = "month", encoding = "cyclic-month" },
        { source = "city", encoding = "one-hot" },
        { source = "at", name = "day", encoding = "embedding", dim = 3, dropout = 0.1 },
        { source = "age", name = "age-group", encoding = "bucket", min = 16, width = 10 },
    ]
    item = [
        { source = "tags", encoding = "multi-hot" },
        { source = "article_id", encoding = "embedding", dim = 4 },
        { source = "group", encoding = "one-hot" },
        { source = "group", name = "group-tags", encoding = "multi-hot" },
        { source = "price", encoding = "number" },
    ]"#;

/// [`FEATURES`] fitted on the first two thirds of the purchases.
pub(crate) fn fitted(dataset: &Dataset) -> (FeatureSchema, Vocabularies) {
    let config: FeatureConfig = toml::from_str(FEATURES).unwrap();
    let train: Vec<u32> = (0..dataset.purchases.len() as u32 * 2 / 3).collect();
    fit(dataset, &train, &config).unwrap()
}

fn entities(prefix: &str, len: usize, columns: Vec<Column>) -> Entities {
    let mut ids = IdTable::new();
    for row in 0..len {
        ids.insert(&format!("{prefix}{row}"));
    }
    Entities { ids, columns, vectors: Vec::new() }
}

fn category(rng: &mut StdRng, name: &str, rows: usize, values: &[&str]) -> Column {
    let mut code = |row| match row {
        0 => 0,
        _ if rng.random_bool(0.2) => MISSING,
        _ => rng.random_range(0..values.len() as u32),
    };
    let codes = (0..rows).map(&mut code).collect();
    Column {
        name: name.into(),
        values: Values::Category { codes, dictionary: values.iter().copied().collect() },
    }
}

fn tags(rng: &mut StdRng, name: &str, rows: usize, values: &[&str]) -> Column {
    let (mut offsets, mut codes) = (vec![0], Vec::new());
    for _ in 0..rows {
        codes.extend((0..rng.random_range(0..4)).map(|_| rng.random_range(0..values.len() as u32)));
        offsets.push(codes.len() as u32);
    }
    Column {
        name: name.into(),
        values: Values::Tags { offsets, codes, dictionary: values.iter().copied().collect() },
    }
}

fn numbers(rng: &mut StdRng, name: &str, rows: usize) -> Column {
    let mut value =
        |row| if row > 0 && rng.random_bool(0.2) { f32::NAN } else { rng.random_range(16.0..99.0) };
    Column { name: name.into(), values: Values::Number((0..rows).map(&mut value).collect()) }
}
