//! What a data scientist looks at first in a shop's data, measured once and shown as text, JSON or
//! a page with plots.
//!
//! [`Inspection::of`] measures; the struct serialises to the JSON that `vitrine-trainer inspect
//! --json` prints, so its fields are the documented keys. A part that the data cannot answer (no
//! dates, no prices, no ages) is `None`: `null`.

mod measure;
#[cfg(feature = "trainer")]
mod page;
mod popularity;
#[cfg(test)]
mod tests;
mod text;

use super::{Dataset, Histories, TimeUnit};
use serde::Serialize;

#[cfg(feature = "trainer")]
pub use page::page;

/// First look at a shop's data.
#[derive(Debug, Serialize)]
pub struct Inspection {
    pub counts: Counts,
    /// `None` where only an order is known.
    pub period: Option<Period>,
    /// Every attribute column with its empty cells.
    pub columns: Vec<ColumnSummary>,
    /// Ages of customers, from a number column named `age`.
    pub ages: Option<Distribution>,
    /// Purchases of a customer who bought at all.
    pub purchases_per_customer: Quantiles,
    /// Purchases of an article that was bought at all.
    pub purchases_per_article: Quantiles,
    /// Purchases of one customer on one day.
    pub basket_size: Option<Quantiles>,
    /// Days between two days on which a customer buys.
    pub gap_days: Option<Quantiles>,
    pub popularity: Popularity,
    pub seasonality: Option<Seasonality>,
    /// Attributes with few values: the most bought values of each.
    pub categories: Vec<Category>,
    pub prices: Option<Distribution>,
    pub cold: Cold,
    pub drift: Option<Drift>,
    pub duplicates: Option<Duplicates>,
    pub rebuys: Rebuys,
}

#[derive(Debug, Serialize)]
pub struct Counts {
    pub articles: usize,
    pub customers: usize,
    pub purchases: usize,
    /// Share of all pairs of customer and article that were bought.
    pub density: f64,
}

#[derive(Debug, Serialize)]
pub struct Period {
    /// `YYYY-MM-DD`
    pub first: String,
    pub last: String,
    pub days: u32,
}

#[derive(Debug, Serialize)]
pub struct ColumnSummary {
    /// `articles`, `customers` or `purchases`.
    pub table: &'static str,
    pub name: String,
    /// `category`, `number` or `tags`.
    pub kind: &'static str,
    /// Different values of a category or tags column.
    pub distinct: Option<usize>,
    pub missing: usize,
    /// Of the rows, 0..1.
    pub missing_share: f64,
}

/// Smallest to largest of a number of things; empty input gives zeros.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Quantiles {
    pub count: usize,
    pub mean: f64,
    pub min: f64,
    pub p10: f64,
    pub p25: f64,
    pub p50: f64,
    pub p75: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
}

/// Numbers as quantiles and as a histogram of equal-width bins.
#[derive(Debug, Serialize)]
pub struct Distribution {
    pub quantiles: Quantiles,
    pub missing: usize,
    pub bins: Vec<Bin>,
    /// The most frequent values, most frequent first.
    pub frequent: Vec<(f64, usize)>,
}

/// Values from `from` to below `to`; the last bin of a histogram also holds what lies beyond it.
#[derive(Debug, Serialize)]
pub struct Bin {
    pub from: f64,
    pub to: f64,
    pub count: usize,
}

/// How unevenly the purchases fall on the articles of the catalogue, never-bought ones included.
#[derive(Debug, Serialize)]
pub struct Popularity {
    /// 0: all sell alike; 1: one sells all.
    pub gini: f64,
    /// Share of purchases that fall on the best-selling 1 % of articles.
    pub top_1_percent: f64,
    pub top_10_percent: f64,
    /// Share of purchases of the best-selling share of articles, as (articles, purchases) from (0,
    /// 0) to (1, 1).
    pub lorenz: Vec<(f64, f64)>,
    pub best_sellers: Vec<BestSeller>,
}

#[derive(Debug, Serialize)]
pub struct BestSeller {
    pub article_id: String,
    pub purchases: usize,
    pub share: f64,
}

#[derive(Debug, Serialize)]
pub struct Seasonality {
    /// Each month of the period: `YYYY-MM`, purchases, purchases a day on its days in the period.
    pub months: Vec<(String, usize, f64)>,
    /// Purchases by day of the week, Monday first.
    pub weekdays: [usize; 7],
}

#[derive(Debug, Serialize)]
pub struct Category {
    /// `articles` or `customers`.
    pub table: &'static str,
    pub column: String,
    pub distinct: usize,
    /// Value, rows of the table that have it, share of purchases; most bought first.
    pub top: Vec<(String, usize, f64)>,
}

#[derive(Debug, Serialize)]
pub struct Cold {
    pub articles_never_bought: usize,
    pub articles_bought_once: usize,
    pub customers_without_purchase: usize,
    pub customers_with_one_purchase: usize,
    /// Articles bought for the first time in the last seven days: no model trained before has seen
    /// them.
    pub articles_new_in_last_week: Option<usize>,
    /// Share of the last week's purchases that fall on those.
    pub last_week_share_of_new_articles: Option<f64>,
}

/// How fast the best-sellers change. Weeks are counted back from the last day.
#[derive(Debug, Serialize)]
pub struct Drift {
    /// Mean over neighbouring weeks of |A ∩ B| / |A ∪ B| of their twelve best-sellers.
    pub weekly_top_12_jaccard: f64,
    /// The same for each week against the one before, oldest first.
    pub by_week: Vec<f64>,
}

/// Rows equal to another one in customer, article, time, price and channel.
#[derive(Debug, Serialize)]
pub struct Duplicates {
    pub rows: usize,
    pub share: f64,
}

/// Do customers rebuy? Purchases of an article that the same customer bought on an earlier day.
#[derive(Debug, Serialize)]
pub struct Rebuys {
    /// Rows that are re-buys, out of those left when the repeats within a day are counted once.
    pub rows: usize,
    pub share: f64,
    /// Share of customers with at least two purchase days who rebuy at all.
    pub customers_share: f64,
    /// What follows for excluding purchased articles from recommendations.
    pub conclusion: String,
}

impl Inspection {
    pub fn of(dataset: &Dataset) -> Self {
        let histories = Histories::of(dataset);
        let dated = dataset.time_unit != TimeUnit::Position && !dataset.purchases.is_empty();
        let bought = popularity::bought(dataset);
        let journeys = measure::journeys(dataset, &histories);
        Self {
            counts: measure::counts(dataset, &journeys),
            period: dated.then(|| measure::period(dataset)),
            columns: measure::columns(dataset),
            ages: measure::ages(dataset),
            purchases_per_customer: Quantiles::of(journeys.purchases),
            purchases_per_article: Quantiles::of(
                bought.iter().copied().filter(|&n| n > 0).collect(),
            ),
            basket_size: dated.then(|| Quantiles::of(journeys.baskets)),
            gap_days: dated.then(|| Quantiles::of(journeys.gaps)),
            cold: popularity::cold(dataset, &bought, &histories, dated),
            popularity: popularity::popularity(dataset, &bought),
            seasonality: dated.then(|| measure::seasonality(dataset)),
            categories: measure::categories(dataset),
            prices: measure::prices(dataset),
            drift: if dated { popularity::drift(dataset) } else { None },
            duplicates: dated.then_some(journeys.duplicates),
            rebuys: journeys.rebuys,
        }
    }
}
