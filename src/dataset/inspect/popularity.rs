//! How the purchases fall on the articles, over all and over time.

use super::{BestSeller, Cold, Drift, Popularity};
use crate::dataset::{Dataset, Histories};
use std::cmp::Reverse;

/// Best-sellers compared from week to week.
const TOP: usize = 12;

/// Purchases of each article.
pub(super) fn bought(dataset: &Dataset) -> Vec<u32> {
    let mut bought = vec![0; dataset.articles.len()];
    for &article in &dataset.purchases.article {
        bought[article as usize] += 1;
    }
    bought
}

pub(super) fn popularity(dataset: &Dataset, bought: &[u32]) -> Popularity {
    let mut order: Vec<u32> = (0..bought.len() as u32).collect();
    order.sort_by_key(|&article| Reverse(bought[article as usize]));
    let total = dataset.purchases.len().max(1) as f64;
    let mut sum = 0.0;
    let best_first: Vec<f64> = order
        .iter()
        .map(|&article| {
            sum += f64::from(bought[article as usize]);
            sum / total
        })
        .collect();
    let n = best_first.len();
    let share = |articles: f64| match (articles * n as f64).round() as usize {
        0 => 0.0,
        rank => best_first[rank - 1],
    };
    // Twice the area between the curve (best first, by trapezia) and the diagonal.
    let area: f64 =
        best_first.iter().sum::<f64>() - 0.5 * best_first.last().copied().unwrap_or(0.0);
    let gini =
        if n == 0 || dataset.purchases.is_empty() { 0.0 } else { 2.0 * area / n as f64 - 1.0 };
    let best_sellers = order.iter().take(TOP).map(|&article| BestSeller {
        article_id: dataset.articles.ids.get(article).to_owned(),
        purchases: bought[article as usize] as usize,
        share: f64::from(bought[article as usize]) / total,
    });
    Popularity {
        gini,
        // At least one article, so that small shops have a figure too.
        top_1_percent: share((1.0 / n.max(1) as f64).max(0.01)),
        top_10_percent: share((1.0 / n.max(1) as f64).max(0.10)),
        lorenz: (0..=100)
            .map(|percent| f64::from(percent) / 100.0)
            .map(|at| (at, share(at)))
            .collect(),
        best_sellers: best_sellers.collect(),
    }
}

pub(super) fn cold(dataset: &Dataset, bought: &[u32], histories: &Histories, dated: bool) -> Cold {
    let times = |n: u32| bought.iter().filter(|&&b| b == n).count();
    let customers = |n: usize| {
        (0..histories.customers() as u32)
            .filter(|&customer| histories.of_customer(customer).len() == n)
            .count()
    };
    let (mut new_articles, mut share) = (None, None);
    if dated {
        let purchases = &dataset.purchases;
        let start = week_start(dataset, 0);
        let mut seen = vec![false; dataset.articles.len()];
        purchases.article[..start].iter().for_each(|&article| seen[article as usize] = true);
        let last_week = &purchases.article[start..];
        let unseen = last_week.iter().filter(|&&article| !seen[article as usize]).count();
        share = Some(unseen as f64 / last_week.len().max(1) as f64);
        let mut new: Vec<u32> =
            last_week.iter().copied().filter(|&article| !seen[article as usize]).collect();
        new.sort_unstable();
        new.dedup();
        new_articles = Some(new.len());
    }
    Cold {
        articles_never_bought: times(0),
        articles_bought_once: times(1),
        customers_without_purchase: customers(0),
        customers_with_one_purchase: customers(1),
        articles_new_in_last_week: new_articles,
        last_week_share_of_new_articles: share,
    }
}

/// `None` in less than two weeks of data.
pub(super) fn drift(dataset: &Dataset) -> Option<Drift> {
    let time = &dataset.purchases.time;
    let weeks = (time[time.len() - 1].day() - time[0].day() + 1) / 7;
    let mut counts = vec![0u32; dataset.articles.len()];
    // Oldest first.
    let tops: Vec<Vec<u32>> = (0..weeks)
        .rev()
        .map(|back| {
            let end = if back == 0 { time.len() } else { week_start(dataset, back - 1) };
            top(&dataset.purchases.article[week_start(dataset, back)..end], &mut counts)
        })
        .collect();
    let by_week: Vec<f64> = tops
        .windows(2)
        .map(|pair| {
            let shared = pair[0].iter().filter(|article| pair[1].contains(article)).count();
            let union = pair[0].len() + pair[1].len() - shared;
            if union == 0 { 0.0 } else { shared as f64 / union as f64 }
        })
        .collect();
    let mean = by_week.iter().sum::<f64>() / by_week.len() as f64;
    (!by_week.is_empty()).then_some(Drift { weekly_top_12_jaccard: mean, by_week })
}

/// First purchase row of the week that ends `back` weeks before the last day.
fn week_start(dataset: &Dataset, back: u32) -> usize {
    let time = &dataset.purchases.time;
    let first_day = (time[time.len() - 1].day() + 1).saturating_sub(7 * (back + 1));
    time.partition_point(|time| time.day() < first_day)
}

/// The best-sellers among the rows; ties to the smaller row. Leaves `counts` zeroed.
fn top(articles: &[u32], counts: &mut [u32]) -> Vec<u32> {
    let mut sold: Vec<u32> = Vec::new();
    for &article in articles {
        if counts[article as usize] == 0 {
            sold.push(article);
        }
        counts[article as usize] += 1;
    }
    sold.sort_unstable_by_key(|&article| (Reverse(counts[article as usize]), article));
    sold.iter().for_each(|&article| counts[article as usize] = 0);
    sold.truncate(TOP);
    sold
}
