//! The shape of the simulated shop beside that of real ones, which docs/simulation.md lists.

use super::{history::History, market::Day, shop::Shop};
use hashbrown::HashMap;

const DAYS: Day = 120;

/// How customers shopped before the first day.
#[derive(Debug)]
struct Shape {
    rows_a_basket: f64,
    baskets_in_28_days: f64,
    /// Share of the purchases, in the last third, of an article that the customer had bought on
    /// another day.
    repeats: f64,
    /// Of the last 28 days: shares of the best-selling hundredth and tenth of the articles, and of
    /// articles that are at most 28 days old.
    top_hundredth: f64,
    top_tenth: f64,
    new: f64,
}

impl Shape {
    fn of(shop: &Shop, history: &History) -> Self {
        let purchases = &history.purchases;
        let mut baskets: HashMap<(usize, Day), usize> = HashMap::new();
        let mut first: HashMap<(usize, u32), Day> = HashMap::new();
        let mut sold: HashMap<u32, f64> = HashMap::new();
        let (mut late, mut repeats, mut month, mut new) = (0.0, 0.0, 0.0, 0.0);
        for purchase in purchases {
            *baskets.entry((purchase.customer, purchase.day)).or_default() += 1;
            let before =
                *first.entry((purchase.customer, purchase.article)).or_insert(purchase.day);
            if purchase.day >= -DAYS / 3 {
                late += 1.0;
                repeats += f64::from(before < purchase.day);
            }
            if purchase.day >= -28 {
                *sold.entry(purchase.article).or_default() += 1.0;
                month += 1.0;
                new += f64::from(purchase.day - shop.article(purchase.article).sale.start <= 28);
            }
        }
        let mut counts: Vec<f64> = sold.into_values().collect();
        counts.sort_by(|a, b| b.total_cmp(a));
        let top =
            |part: f64| counts[..(counts.len() as f64 * part) as usize].iter().sum::<f64>() / month;
        let months = f64::from(DAYS) / 28.0;
        Self {
            rows_a_basket: purchases.len() as f64 / baskets.len() as f64,
            baskets_in_28_days: baskets.len() as f64 / shop.customers.len() as f64 / months,
            repeats: repeats / late,
            top_hundredth: top(0.01),
            top_tenth: top(0.1),
            new: new / month,
        }
    }
}

#[test]
fn the_shop_lies_between_a_grocer_and_a_fashion_shop() {
    let shop = Shop::new(1, 2_000, -DAYS..1);
    let shape = Shape::of(&shop, &History::of(&shop, -DAYS));
    for (name, value, range) in [
        ("rows a basket", shape.rows_a_basket, 2.5..11.5),
        ("baskets in 28 days", shape.baskets_in_28_days, 0.25..3.9),
        ("repeats", shape.repeats, 0.05..0.49),
        ("top hundredth", shape.top_hundredth, 0.15..0.25),
        ("top tenth", shape.top_tenth, 0.5..0.65),
        ("new articles", shape.new, 0.04..0.5),
    ] {
        assert!(range.contains(&value), "{name}: {shape:?}");
    }
}
