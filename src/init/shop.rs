//! What a shop's data is like, as far as the choice of models depends on it.

use crate::dataset::{Column, Dataset, Entities, Histories, TimeUnit, Values};
use hashbrown::HashSet;

/// Measured over all purchases.
#[derive(Debug, Clone)]
pub struct Shop {
    /// Articles of the catalogue, and those that were ever bought.
    pub articles: usize,
    pub articles_bought: usize,
    /// Customers with a purchase.
    pub customers: usize,
    pub purchases: usize,
    pub time_unit: TimeUnit,
    /// Days from the first to the last purchase; `None` where the times are no dates.
    pub days: Option<u32>,
    /// Purchases of a customer: quartiles and mean.
    pub history: History,
    /// Customers who bought at three moments or more.
    pub sequences: usize,
    /// Customers who bought two different articles or more.
    pub pairs: usize,
    /// Share of the purchases that repeat an article which the customer had bought at an earlier
    /// moment.
    pub repeats: f64,
    /// Share of the purchases that share their moment with the one before them.
    pub ties: f64,
    pub article_attributes: Vec<Attribute>,
    pub customer_attributes: Vec<Attribute>,
}

/// How many purchases customers have.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct History {
    pub quarter: u32,
    pub median: u32,
    pub three_quarters: u32,
    pub mean: f64,
}

/// An attribute column that could be a feature.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute {
    pub name: String,
    pub kind: AttributeKind,
    /// Share of the purchases whose article or customer has a value.
    pub coverage: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeKind {
    /// With so many different values.
    Category(usize),
    Tags(usize),
    Number,
}

/// Times that are counters rather than dates lie in the first years of Unix time.
const FIRST_DATE: u32 = 20 * 365;

impl Shop {
    pub fn of(dataset: &Dataset, histories: &Histories) -> Self {
        let purchases = &dataset.purchases;
        let mut shop = Self {
            articles: dataset.articles.len(),
            articles_bought: 0,
            customers: 0,
            purchases: purchases.len(),
            time_unit: dataset.time_unit,
            days: days(dataset, histories),
            history: History::default(),
            sequences: 0,
            pairs: 0,
            repeats: 0.0,
            ties: 0.0,
            article_attributes: attributes(&dataset.articles, &purchases.article),
            customer_attributes: attributes(&dataset.customers, &purchases.customer),
        };
        shop.read_histories(dataset, histories);
        shop.articles_bought = purchases.article.iter().collect::<HashSet<_>>().len();
        shop
    }

    fn read_histories(&mut self, dataset: &Dataset, histories: &Histories) {
        let purchases = &dataset.purchases;
        let (mut lengths, mut repeats, mut ties) = (Vec::new(), 0usize, 0usize);
        let mut seen = HashSet::new();
        for customer in 0..histories.customers() as u32 {
            let rows = histories.of_customer(customer);
            if rows.is_empty() {
                continue;
            }
            lengths.push(rows.len() as u32);
            seen.clear();
            let mut moments = 0;
            // Purchases of one moment do not repeat each other.
            for moment in rows.chunk_by(|&a, &b| purchases.moment_of(a) == purchases.moment_of(b)) {
                moments += 1;
                ties += moment.len() - 1;
                repeats += moment
                    .iter()
                    .filter(|&&row| seen.contains(&purchases.article[row as usize]))
                    .count();
                seen.extend(moment.iter().map(|&row| purchases.article[row as usize]));
            }
            self.sequences += usize::from(moments >= 3);
            self.pairs += usize::from(seen.len() >= 2);
        }
        lengths.sort_unstable();
        let at = |share: f64| {
            lengths.get((share * lengths.len() as f64) as usize).copied().unwrap_or_default()
        };
        let all = purchases.len().max(1) as f64;
        self.customers = lengths.len();
        self.repeats = repeats as f64 / all;
        self.ties = ties as f64 / all;
        self.history = History {
            quarter: at(0.25),
            median: at(0.5),
            three_quarters: at(0.75),
            mean: purchases.len() as f64 / lengths.len().max(1) as f64,
        };
    }
}

/// The span of days; `None` for positions, and for numbers that count each customer's orders.
fn days(dataset: &Dataset, histories: &Histories) -> Option<u32> {
    let time = &dataset.purchases.time;
    let (first, last) = (time.first()?, time.last()?);
    if dataset.time_unit == TimeUnit::Position {
        return None;
    }
    if first.day() < FIRST_DATE {
        // Numbers of days are alike for all customers; numbers of orders begin anew with each.
        let starts = |customer| {
            let rows: &[u32] = histories.of_customer(customer);
            rows.first().is_some_and(|&row| time[row as usize].day() <= first.day())
        };
        let all = (0..histories.customers() as u32).filter(|&customer| starts(customer)).count();
        if all * 2 > histories.customers() {
            return None;
        }
    }
    Some(last.day() - first.day() + 1)
}

/// The attribute columns of a table, without those that say the same as another one.
fn attributes(entities: &Entities, rows: &[u32]) -> Vec<Attribute> {
    let columns: Vec<&Column> =
        entities.columns.iter().filter(|column| !repeats_another(column, entities)).collect();
    columns.into_iter().map(|column| attribute(column, rows)).collect()
}

fn attribute(column: &Column, rows: &[u32]) -> Attribute {
    // A sample tells the coverage well enough.
    let step = (rows.len() / 100_000).max(1);
    let sample = || rows.iter().step_by(step).map(|&row| row as usize);
    let filled = |row: usize| match &column.values {
        values @ Values::Category { .. } => values.category(row).is_some(),
        values @ Values::Tags { .. } => values.tags(row).next().is_some(),
        values @ (Values::Number(_) | Values::Integer(_)) => values.number(row).is_some(),
    };
    let coverage =
        sample().filter(|&row| filled(row)).count() as f64 / sample().count().max(1) as f64;
    let kind = match &column.values {
        Values::Category { dictionary, .. } => AttributeKind::Category(dictionary.len()),
        Values::Tags { dictionary, .. } => AttributeKind::Tags(dictionary.len()),
        Values::Number(_) | Values::Integer(_) => AttributeKind::Number,
    };
    Attribute { name: column.name.clone(), kind, coverage }
}

/// Whether an earlier or better named column has another text for each of this one's values, as a
/// code beside a name.
fn repeats_another(column: &Column, entities: &Entities) -> bool {
    let Values::Category { codes, dictionary } = &column.values else { return false };
    let position = |name: &str| entities.columns.iter().position(|column| column.name == name);
    let is_name = |name: &str| name.ends_with("name") || name.ends_with("Name");
    entities.columns.iter().any(|other| {
        let Values::Category { codes: others, dictionary: names } = &other.values else {
            return false;
        };
        if other.name == column.name || names.len() != dictionary.len() {
            return false;
        }
        let better = match (is_name(&other.name), is_name(&column.name)) {
            (true, false) => true,
            (false, true) => false,
            _ => position(&other.name) < position(&column.name),
        };
        better && one_to_one(codes, others, dictionary.len())
    })
}

fn one_to_one(codes: &[u32], others: &[u32], values: usize) -> bool {
    let mut meaning = vec![None; values];
    codes.iter().zip(others).all(|(&code, &other)| match meaning.get_mut(code as usize) {
        Some(known) => *known.get_or_insert(other) == other,
        // Missing in both.
        None => code == other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::Timestamp, features::testing};

    /// Purchases `(customer, article, second)`.
    fn shop(rows: &[(u32, u32, u32)], time_unit: TimeUnit) -> Shop {
        let mut dataset = testing::shop(0, 5, 3, 0, time_unit);
        for &(customer, article, second) in rows {
            dataset.purchases.customer.push(customer);
            dataset.purchases.article.push(article);
            dataset.purchases.time.push(Timestamp(second));
        }
        Shop::of(&dataset, &Histories::of(&dataset))
    }

    #[test]
    fn repeats_and_ties_are_of_moments() {
        let late = 1_600_000_000;
        let rows = [
            (0, 0, late),
            (0, 1, late),
            (0, 1, late),
            (0, 0, late + 90_000),
            (1, 2, late + 90_000),
        ];
        let shop = shop(&rows, TimeUnit::Second);
        assert_eq!((shop.customers, shop.articles_bought, shop.purchases), (2, 3, 5));
        assert_eq!((shop.repeats, shop.ties), (0.2, 0.4));
        assert_eq!((shop.days, shop.pairs, shop.sequences), (Some(2), 1, 0));
        assert_eq!(
            (shop.history.quarter, shop.history.three_quarters, shop.history.mean),
            (1, 4, 2.5)
        );
    }

    #[test]
    fn numbers_of_orders_are_no_days() {
        let orders: Vec<(u32, u32, u32)> = (0..3)
            .flat_map(|customer| (1..4).map(move |day| (customer, day, day * Timestamp::DAY)))
            .collect();
        assert_eq!(shop(&orders, TimeUnit::Day).days, None);
        let days =
            [(0, 0, Timestamp::DAY), (1, 0, 9 * Timestamp::DAY), (2, 0, 20 * Timestamp::DAY)];
        assert_eq!(shop(&days, TimeUnit::Day).days, Some(20));
    }

    #[test]
    fn a_code_beside_its_name_is_left_out() {
        let mut dataset = testing::shop(0, 4, 1, 4, TimeUnit::Day);
        let category = |name: &str, texts: [&str; 4]| {
            let dictionary: crate::domain::IdTable = texts.into_iter().collect();
            let codes = texts.iter().filter_map(|text| dictionary.find(text)).collect();
            Column { name: name.into(), values: Values::Category { codes, dictionary } }
        };
        dataset.articles.columns = vec![
            category("group_no", ["1", "2", "1", "3"]),
            category("group_name", ["hat", "shoe", "hat", "sock"]),
            category("colour", ["red", "red", "blue", "green"]),
        ];
        let shop = Shop::of(&dataset, &Histories::of(&dataset));
        let names: Vec<&str> = shop.article_attributes.iter().map(|a| a.name.as_str()).collect();
        assert_eq!(names, ["group_name", "colour"]);
    }
}
