//! What sells best.

use super::{Drawn, Registered, Source, registered};
use crate::{
    domain::Timestamp,
    recommend::{Context, Group, RecommendError},
    statistics::ArticleStatistics,
};
use hashbrown::HashMap;
use serde::Deserialize;

pub(super) const NAME: &str = "popular";
pub(super) const REGISTERED: Registered = registered::<Popular>(
    NAME,
    "What sells best. With `days` (1, 3, 7, 28 or 91) by purchases of that window, else as the server counts sales.",
);
pub(super) const TRENDING: Registered = registered::<Trending>(
    Trending::NAME,
    "What sold more in the last 7 days than in a usual week of the last 28.",
);
pub(super) const POPULAR_IN: Registered = registered::<PopularIn>(
    PopularIn::NAME,
    "What sells best of the last 28 days among articles that share a value of `attribute` with the customer's \
     purchases, the visit or the cart, by how much of each value the customer buys.",
);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Popular {
    #[serde(default, deserialize_with = "window")]
    days: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trending {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PopularIn {
    attribute: String,
    /// Articles of one value at most.
    #[serde(default = "ten")]
    per_value: usize,
}

fn ten() -> usize {
    10
}

fn window<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let days = u32::deserialize(deserializer)?;
    if ArticleStatistics::WINDOWS.contains(&days) {
        return Ok(Some(days));
    }
    Err(serde::de::Error::custom(format!(
        "`days` must be one of {:?}, not {days}",
        ArticleStatistics::WINDOWS
    )))
}

impl Source for Popular {
    fn name(&self) -> &'static str {
        NAME
    }

    fn find(&self, context: &Context<'_>, want: usize) -> Result<Drawn, RecommendError> {
        if let Some(days) = self.days {
            let signals = context.shop.signals()?;
            let sold = |row| signals.article(row).sold_within(days).unwrap_or(0) as f32;
            return best(context, signals.ranked(days), sold, want);
        }
        let snapshot = context.snapshot;
        let rows = snapshot.by_popularity(&context.eligible.rows).take(want);
        let sold =
            rows.map(|row| (row, snapshot.popularity(row))).take_while(|&(_, sales)| sales > 0.0);
        Ok(Drawn { articles: sold.collect(), ..Drawn::default() })
    }
}

impl Trending {
    const NAME: &'static str = "trending";
}

impl Source for Trending {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn find(&self, context: &Context<'_>, want: usize) -> Result<Drawn, RecommendError> {
        let signals = context.shop.signals()?;
        best(context, signals.trending(), |row| signals.article(row).surprise(), want)
    }
}

/// The first rows of a ranking that may be answered.
fn best(
    context: &Context<'_>,
    ranking: &[u32],
    score: impl Fn(u32) -> f32,
    want: usize,
) -> Result<Drawn, RecommendError> {
    let eligible = ranking.iter().copied().filter(|&row| context.eligible.rows.contains(row));
    Ok(Drawn {
        articles: eligible.take(want).map(|row| (row, score(row))).collect(),
        ..Drawn::default()
    })
}

impl PopularIn {
    const NAME: &'static str = "popular_in";
    /// Values of the customer that count: the most bought.
    const VALUES: usize = 64;
    /// Purchases count half after so many days.
    const HALF_LIFE_DAYS: f32 = 90.0;

    /// How much the customer buys of each value, the most first.
    fn values(&self, context: &Context<'_>) -> Vec<(Group, f32)> {
        let catalogue = context.snapshot.catalogue();
        let Some(attribute) = catalogue.attribute(&self.attribute) else { return Vec::new() };
        let column = catalogue.column(attribute);
        let mut bought: HashMap<Group, (f32, u32)> = HashMap::new();
        for value in context.cart.iter().chain(&context.seen).filter_map(|&row| column.group(row)) {
            bought.entry(value).or_default().0 += 1.0;
        }
        for interest in context.interests() {
            let Some(value) = column.group(interest.row) else { continue };
            bought.entry(value).or_default().0 += interest.weight;
        }
        for purchase in context.history() {
            let Some(value) = column.group(purchase.row) else { continue };
            let (sum, day) = bought.entry(value).or_default();
            if *day != purchase.at.day() {
                let age = context.request.at.0.saturating_sub(purchase.at.0) as f32
                    / Timestamp::DAY as f32;
                (*sum, *day) = (*sum + (-age / Self::HALF_LIFE_DAYS).exp2(), purchase.at.day());
            }
        }
        let mut values: Vec<(Group, f32)> =
            bought.into_iter().map(|(value, (sum, _))| (value, sum)).collect();
        values.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        values.truncate(Self::VALUES);
        values
    }
}

impl Source for PopularIn {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn find(&self, context: &Context<'_>, want: usize) -> Result<Drawn, RecommendError> {
        let (signals, catalogue) = (context.shop.signals()?, context.snapshot.catalogue());
        let by_value = signals.sales_by_value(catalogue, &self.attribute);
        let by_value = by_value.ok_or_else(|| RecommendError::SourceUnfit {
            source_name: Self::NAME,
            problem: format!(
                "the catalogue has no attribute `{}` with one value an article",
                self.attribute
            ),
        })?;
        let mut articles: Vec<(u32, f32)> = Vec::new();
        for (value, share) in self.values(context) {
            let Some(sales) = by_value.get(&value) else { continue };
            let eligible = sales.best.iter().filter(|&&row| context.eligible.rows.contains(row));
            articles.extend(eligible.take(self.per_value).map(|&row| {
                let sold = signals.article(row).sold[ArticleStatistics::MONTH];
                (row, share * sold as f32 / sales.month as f32)
            }));
        }
        articles.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        articles.truncate(want);
        Ok(Drawn { articles, ..Drawn::default() })
    }
}
