//! The shape of the simulated shop beside that of real ones.

use super::{history::History, shop::Shop};
use hashbrown::HashMap;

/// Figures as `docs/simulation.md` lists them for Complete Journey and H&M.
#[derive(Debug)]
struct Shape {
    rows_a_basket: f64,
    visits_in_28_days: f64,
    repeats: f64,
    top_tenth: f64,
    top_hundredth: f64,
    new: f64,
    gini: f64,
}

fn shape(shop: &Shop, history: &History, days: i32) -> Shape {
    let last = &history.purchases;
    let mut baskets: HashMap<(usize, i32), f64> = HashMap::new();
    for purchase in last {
        *baskets.entry((purchase.customer, purchase.day)).or_default() += 1.0;
    }
    let late: Vec<_> = last.iter().filter(|purchase| purchase.day >= -days / 3).collect();
    let mut first: HashMap<(usize, u32), i32> = HashMap::new();
    for purchase in last {
        let day = first.entry((purchase.customer, purchase.article)).or_insert(purchase.day);
        *day = purchase.day.min(*day);
    }
    let repeats = late.iter().filter(|p| first[&(p.customer, p.article)] < p.day).count();
    let month: Vec<_> = last.iter().filter(|purchase| purchase.day >= -28).collect();
    let mut sold: HashMap<u32, f64> = HashMap::new();
    month.iter().for_each(|purchase| *sold.entry(purchase.article).or_default() += 1.0);
    let new = month.iter().filter(|p| p.day - shop.article(p.article).sale.start <= 28).count();
    let mut counts: Vec<f64> = sold.into_values().collect();
    counts.sort_by(|a, b| b.total_cmp(a));
    let share = |part: f64| counts[..(counts.len() as f64 * part) as usize].iter().sum::<f64>() / month.len() as f64;
    let n = counts.len() as f64;
    let gini = 1.0
        - 2.0
            * counts
                .iter()
                .rev()
                .scan(0.0, |sum, c| {
                    *sum += c;
                    Some(*sum)
                })
                .sum::<f64>()
            / n
            / month.len() as f64;
    Shape {
        rows_a_basket: last.len() as f64 / baskets.len() as f64,
        visits_in_28_days: baskets.len() as f64 / shop.customers.len() as f64 * 28.0 / f64::from(days),
        repeats: repeats as f64 / late.len() as f64,
        top_tenth: share(0.1),
        top_hundredth: share(0.01),
        new: new as f64 / month.len() as f64,
        gini,
    }
}

#[test]
fn the_shop_has_the_shape_of_real_ones() {
    let days = 120;
    let shop = Shop::new(1, 2_000, -days..28);
    let history = History::of(&shop, -days);
    let shape = shape(&shop, &history, days);
    eprintln!(
        "{shape:#?} {} purchases {} visits, {} articles",
        history.purchases.len(),
        history.visits,
        shop.assortment.articles.len()
    );
    use super::{household::Household, shop::Moment, visit::*};
    let mut e = [0.0; 3];
    let mut n = 0.0;
    let mut sold: HashMap<u32, f64> = HashMap::new();
    history.purchases.iter().filter(|p| p.day >= -28).for_each(|p| *sold.entry(p.article).or_default() += 1.0);
    let mut pop: Vec<u32> = sold.keys().copied().filter(|&a| shop.article(a).on_sale(0)).collect();
    pop.sort_by(|a, b| sold[b].total_cmp(&sold[a]));
    pop.truncate(12);
    for customer in shop.visitors(0) {
        let household: &Household = &history.households[customer];
        let moment = Moment { shop: &shop, customer, household, day: 0 };
        e[0] += expected_purchases(moment, &best_list(moment, 12));
        e[1] += expected_purchases(moment, &pop);
        e[2] += (0..26).map(|c| moment.need(c)).sum::<f64>();
        n += 1.0;
    }
    eprintln!("best {:.3} pop {:.3} needs {:.2} of {n}", e[0] / n, e[1] / n, e[2] / n);
    assert!((2.0..8.0).contains(&shape.rows_a_basket));
}
