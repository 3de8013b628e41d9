//! Counts, columns, customers' journeys, seasons, prices.

use super::{
    Bin, Category, ColumnSummary, Counts, Distribution, Duplicates, Period, Quantiles, Rebuys,
    Seasonality,
};
use crate::dataset::{Dataset, Entities, Histories, MISSING, TimeUnit, Values};
use std::collections::BTreeMap;

impl Quantiles {
    /// Quantiles by the nearest rank.
    pub(super) fn of<T: Copy + PartialOrd + Into<f64>>(mut values: Vec<T>) -> Self {
        if values.is_empty() {
            return Self::default();
        }
        values.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        let last = values.len() - 1;
        let at = |share: f64| values[(share * last as f64).round() as usize].into();
        let mean = values.iter().map(|&value| value.into()).sum::<f64>() / values.len() as f64;
        Self {
            count: values.len(),
            mean,
            min: at(0.0),
            p10: at(0.10),
            p25: at(0.25),
            p50: at(0.50),
            p75: at(0.75),
            p90: at(0.90),
            p99: at(0.99),
            max: at(1.0),
        }
    }
}

impl Distribution {
    /// A histogram of `width`d bins from the smallest multiple of `width` to the 99.5 % quantile.
    fn of(values: Vec<f32>, missing: usize, width: f64) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        for &value in &values {
            *counts.entry(value.to_bits()).or_default() += 1;
        }
        let mut frequent: Vec<(f64, usize)> = counts
            .into_iter()
            .map(|(bits, count)| (f64::from(f32::from_bits(bits)), count))
            .collect();
        frequent.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.total_cmp(&b.0)));
        frequent.truncate(10);
        let mut sorted = values.clone();
        sorted.sort_unstable_by(f32::total_cmp);
        let first = (f64::from(sorted[0]) / width).floor() * width;
        let high = f64::from(sorted[((sorted.len() - 1) as f64 * 0.995) as usize]);
        let count = (((high - first) / width).floor() as usize + 1).min(MOST_BINS);
        let mut bins: Vec<Bin> = (0..count)
            .map(|bin| Bin {
                from: first + bin as f64 * width,
                to: first + (bin + 1) as f64 * width,
                count: 0,
            })
            .collect();
        for value in values {
            let bin = ((f64::from(value) - first) / width) as usize;
            bins[bin.min(count - 1)].count += 1;
        }
        Some(Self { quantiles: Quantiles::of(sorted), missing, bins, frequent })
    }
}

const MOST_BINS: usize = 200;
/// Attributes with more values than this are names rather than categories.
const MOST_VALUES: usize = 400;
/// Values listed of each category.
const TOP: usize = 10;

pub(super) fn counts(dataset: &Dataset, journeys: &Journeys) -> Counts {
    let (articles, customers) = (dataset.articles.len(), dataset.customers.len());
    let density = journeys.pairs as f64 / (articles as f64 * customers as f64).max(1.0);
    Counts { articles, customers, purchases: dataset.purchases.len(), density }
}

pub(super) fn period(dataset: &Dataset) -> Period {
    let time = &dataset.purchases.time;
    let (first, last) = (time[0], time[time.len() - 1]);
    Period {
        first: first.date_string(),
        last: last.date_string(),
        days: last.day() - first.day() + 1,
    }
}

pub(super) fn columns(dataset: &Dataset) -> Vec<ColumnSummary> {
    let summary = |table, name: &str, kind, distinct, missing: usize, rows: usize| {
        let missing_share = missing as f64 / rows.max(1) as f64;
        ColumnSummary { table, name: name.to_owned(), kind, distinct, missing, missing_share }
    };
    let mut columns = Vec::new();
    for (table, entities) in [("articles", &dataset.articles), ("customers", &dataset.customers)] {
        for column in &entities.columns {
            let (kind, distinct, missing) = match &column.values {
                Values::Category { codes, dictionary } => (
                    "category",
                    Some(dictionary.len()),
                    codes.iter().filter(|&&code| code == MISSING).count(),
                ),
                Values::Number(numbers) => {
                    ("number", None, numbers.iter().filter(|number| number.is_nan()).count())
                }
                Values::Integer(_) => {
                    let missing = (0..entities.len())
                        .filter(|&row| column.values.integer(row).is_none())
                        .count();
                    ("number", None, missing)
                }
                Values::Tags { offsets, dictionary, .. } => (
                    "tags",
                    Some(dictionary.len()),
                    offsets.windows(2).filter(|pair| pair[0] == pair[1]).count(),
                ),
            };
            columns.push(summary(table, &column.name, kind, distinct, missing, entities.len()));
        }
    }
    let purchases = &dataset.purchases;
    if !purchases.price.is_empty() {
        let missing = purchases.price.iter().filter(|price| price.is_nan()).count();
        columns.push(summary("purchases", "price", "number", None, missing, purchases.len()));
    }
    if !purchases.channel.is_empty() {
        let missing = purchases.channel.iter().filter(|&&channel| channel == 0).count();
        let mut seen = [false; 256];
        purchases.channel.iter().for_each(|&channel| seen[usize::from(channel)] = true);
        let distinct = seen[1..].iter().filter(|&&seen| seen).count();
        columns.push(summary(
            "purchases",
            "channel",
            "category",
            Some(distinct),
            missing,
            purchases.len(),
        ));
    }
    columns
}

pub(super) fn ages(dataset: &Dataset) -> Option<Distribution> {
    let column =
        dataset.customers.columns.iter().find(|column| column.name.eq_ignore_ascii_case("age"))?;
    let Values::Number(numbers) = &column.values else { return None };
    let known: Vec<f32> = numbers.iter().copied().filter(|age| age.is_finite()).collect();
    let missing = numbers.len() - known.len();
    Distribution::of(known, missing, 1.0)
}

pub(super) fn prices(dataset: &Dataset) -> Option<Distribution> {
    let all = &dataset.purchases.price;
    let known: Vec<f32> = all.iter().copied().filter(|price| price.is_finite()).collect();
    let missing = all.len() - known.len();
    // About forty bins up to a high quantile, whatever the shop's unit.
    let mut sample: Vec<f32> = known.iter().copied().step_by(known.len() / 100_000 + 1).collect();
    sample.sort_unstable_by(f32::total_cmp);
    let high = f64::from(*sample.get((sample.len().max(1) - 1) * 99 / 100)?);
    Distribution::of(known, missing, if high > 0.0 { high / 40.0 } else { 1.0 })
}

pub(super) fn seasonality(dataset: &Dataset) -> Seasonality {
    let mut days: BTreeMap<u32, usize> = BTreeMap::new();
    for time in &dataset.purchases.time {
        *days.entry(time.day()).or_default() += 1;
    }
    let (first, last) =
        (days.keys().next().copied().unwrap_or(0), days.keys().next_back().copied().unwrap_or(0));
    let mut months: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut weekdays = [0; 7];
    for day in first..=last {
        let purchases = days.get(&day).copied().unwrap_or(0);
        let time = crate::domain::Timestamp(day * crate::domain::Timestamp::DAY);
        let month = months.entry(time.date_string()[..7].to_owned()).or_default();
        *month = (month.0 + purchases, month.1 + 1);
        // 1970-01-01 was a Thursday.
        weekdays[(day as usize + 3) % 7] += purchases;
    }
    let months =
        months.into_iter().map(|(name, (n, days))| (name, n, n as f64 / days as f64)).collect();
    Seasonality { months, weekdays }
}

pub(super) fn categories(dataset: &Dataset) -> Vec<Category> {
    let purchases = &dataset.purchases;
    let mut categories = Vec::new();
    for (table, entities, rows) in [
        ("articles", &dataset.articles, &purchases.article),
        ("customers", &dataset.customers, &purchases.customer),
    ] {
        let mut bought = vec![0usize; entities.len()];
        rows.iter().for_each(|&row| bought[row as usize] += 1);
        let names =
            entities.columns.iter().filter(|column| !numbers_a_name(entities, &column.name));
        categories.extend(names.filter_map(|column| {
            category(table, &column.name, &column.values, entities, &bought, purchases.len())
        }));
    }
    categories
}

/// Whether the column is the number, code or id beside a column of names: `section_no` beside
/// `section_name`.
fn numbers_a_name(entities: &Entities, column: &str) -> bool {
    let stem = ["_no", "_code", "_id"].iter().find_map(|suffix| column.strip_suffix(suffix));
    stem.is_some_and(|stem| entities.column(&format!("{stem}_name")).is_some())
}

fn category(
    table: &'static str,
    name: &str,
    values: &Values,
    entities: &Entities,
    bought: &[usize],
    purchases: usize,
) -> Option<Category> {
    let dictionary = match values {
        Values::Category { dictionary, .. } | Values::Tags { dictionary, .. } => dictionary,
        Values::Number(_) | Values::Integer(_) => return None,
    };
    if !(2..=MOST_VALUES).contains(&dictionary.len()) {
        return None;
    }
    let mut tally = vec![(0usize, 0usize); dictionary.len()];
    let mut count = |code: u32, row: usize| {
        let (rows, sold) = &mut tally[code as usize];
        *rows += 1;
        *sold += bought[row];
    };
    for row in 0..entities.len() {
        match values {
            Values::Category { codes, .. } if codes[row] != MISSING => count(codes[row], row),
            Values::Tags { offsets, codes, .. } => {
                codes[offsets[row] as usize..offsets[row + 1] as usize]
                    .iter()
                    .for_each(|&code| count(code, row));
            }
            _ => {}
        }
    }
    let mut order: Vec<usize> = (0..tally.len()).collect();
    order.sort_by_key(|&code| std::cmp::Reverse(tally[code].1));
    let top = order.into_iter().take(TOP).map(|code| {
        let (rows, sold) = tally[code];
        (dictionary.get(code as u32).to_owned(), rows, sold as f64 / purchases.max(1) as f64)
    });
    Some(Category {
        table,
        column: name.to_owned(),
        distinct: dictionary.len(),
        top: top.collect(),
    })
}

/// What the customers' histories tell.
pub(super) struct Journeys {
    /// Different pairs of customer and article.
    pub pairs: usize,
    pub purchases: Vec<u32>,
    pub baskets: Vec<u32>,
    pub gaps: Vec<u32>,
    pub duplicates: Duplicates,
    pub rebuys: Rebuys,
}

pub(super) fn journeys(dataset: &Dataset, histories: &Histories) -> Journeys {
    let purchases = &dataset.purchases;
    // In a plain sequence every position is a moment of its own.
    let moment = |row: u32| match dataset.time_unit {
        TimeUnit::Position => purchases.time[row as usize].0,
        TimeUnit::Day | TimeUnit::Second => purchases.time[row as usize].day(),
    };
    let (mut counts, mut baskets, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
    let (mut pairs, mut distinct, mut rebought) = (0, 0, 0);
    let (mut returning, mut rebuying) = (0usize, 0usize);
    let mut duplicates = 0;
    let mut bought: Vec<(u32, u32)> = Vec::new();
    for customer in 0..histories.customers() as u32 {
        let rows = histories.of_customer(customer);
        if rows.is_empty() {
            continue;
        }
        counts.push(rows.len() as u32);
        let mut visits = 0;
        for visit in rows.chunk_by(|&a, &b| moment(a) == moment(b)) {
            baskets.push(visit.len() as u32);
            duplicates += repeats(dataset, visit);
            visits += 1;
        }
        let firsts: Vec<u32> =
            rows.chunk_by(|&a, &b| moment(a) == moment(b)).map(|visit| moment(visit[0])).collect();
        gaps.extend(firsts.windows(2).map(|pair| pair[1] - pair[0]));
        bought.clear();
        bought.extend(rows.iter().map(|&row| (purchases.article[row as usize], moment(row))));
        bought.sort_unstable();
        bought.dedup();
        let articles = bought.chunk_by(|a, b| a.0 == b.0).count();
        pairs += articles;
        distinct += bought.len();
        rebought += bought.len() - articles;
        returning += usize::from(visits > 1);
        rebuying += usize::from(bought.len() > articles);
    }
    let rebuys = rebuys(rebought, distinct, rebuying as f64 / returning.max(1) as f64);
    let duplicates =
        Duplicates { rows: duplicates, share: duplicates as f64 / purchases.len().max(1) as f64 };
    Journeys { pairs, purchases: counts, baskets, gaps, duplicates, rebuys }
}

/// Rows of one customer and day that equal an earlier row of it in everything.
fn repeats(dataset: &Dataset, visit: &[u32]) -> usize {
    let purchases = &dataset.purchases;
    let mut keys: Vec<_> = visit
        .iter()
        .map(|&row| {
            let row = row as usize;
            let price = purchases.price.get(row).map(|price| price.to_bits());
            (purchases.time[row], purchases.article[row], price, purchases.channel.get(row))
        })
        .collect();
    keys.sort_unstable();
    keys.windows(2).filter(|pair| pair[0] == pair[1]).count()
}

/// The share at which hiding purchased articles starts to cost more than it gives, as a rule of
/// thumb.
const OFTEN: f64 = 0.10;

fn rebuys(rows: usize, of: usize, customers_share: f64) -> Rebuys {
    let share = rows as f64 / of.max(1) as f64;
    let percent = share * 100.0;
    let conclusion = if rows == 0 {
        "No customer ever buys an article again: exclude purchased articles from recommendations."
            .to_owned()
    } else if share < OFTEN {
        format!(
            "Customers seldom rebuy: {percent:.1} % of purchases. Excluding purchased articles loses at most these and \
             frees their places for new ones; compare both with `evaluate --repeats drop` and `--repeats keep`."
        )
    } else {
        format!(
            "Customers often rebuy: {percent:.1} % of purchases. Keep purchased articles in the recommendations, use \
             `repeats = \"keep\"` in [split], and compare with the baseline `personal-frequency`."
        )
    };
    Rebuys { rows, share, customers_share, conclusion }
}
