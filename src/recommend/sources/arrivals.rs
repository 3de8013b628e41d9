//! New articles, and other variants of known ones.

use super::{Drawn, Registered, Source, registered};
use crate::{
    domain::Timestamp,
    recommend::{Column, Context, RecommendError, find_attribute},
};
use serde::Deserialize;

pub(super) const NEW: Registered = registered::<NewArrivals>(
    NewArrivals::NAME,
    "Articles first sold in the last `days` (28 if not given), the newest first; with `attribute`, by the date or Unix \
     time that it holds.",
);
pub(super) const VARIANTS: Registered = registered::<Variants>(
    Variants::NAME,
    "Articles that share a value of `attribute` (the product of which they are a colour, say) with the article asked \
     about, the cart, the visit or the latest purchases, by how well they sell.",
);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewArrivals {
    #[serde(default)]
    attribute: Option<String>,
    #[serde(default = "four_weeks")]
    days: u32,
}

fn four_weeks() -> u32 {
    28
}

impl NewArrivals {
    const NAME: &'static str = "new_arrivals";
}

impl Source for NewArrivals {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn find(&self, context: &Context<'_>, want: usize) -> Result<Drawn, RecommendError> {
        let at = context.request.at;
        let since = at.minus_days(self.days);
        let mut new: Vec<(u32, Timestamp)> = match &self.attribute {
            Some(name) => {
                let catalogue = context.snapshot.catalogue();
                let column = catalogue.column(find_attribute(catalogue, name)?);
                let dated = context
                    .eligible
                    .rows
                    .iter()
                    .filter_map(|row| Some((row, moment(column, row)?)));
                dated.filter(|&(_, began)| since <= began && began <= at).collect()
            }
            None => {
                let signals = context.shop.signals()?;
                let since = signals.statistics().at.minus_days(self.days);
                let rows = signals.rows().filter(|&row| context.eligible.rows.contains(row));
                rows.map(|row| (row, signals.article(row).first))
                    .filter(|&(_, first)| first >= since)
                    .collect()
            }
        };
        new.sort_unstable_by_key(|&(row, began)| (std::cmp::Reverse(began), row));
        new.truncate(want);
        let age = |began: Timestamp| at.0.saturating_sub(began.0) as f32 / Timestamp::DAY as f32;
        Ok(Drawn {
            articles: new.into_iter().map(|(row, began)| (row, -age(began))).collect(),
            ..Drawn::default()
        })
    }
}

/// The moment that an attribute holds: a date or time as text, or a Unix time in seconds.
fn moment(column: &Column, row: u32) -> Option<Timestamp> {
    match column.text(row) {
        Some(text) => Timestamp::parse(text).ok(),
        None => u32::try_from(column.number(row)?.to_f64() as i64).ok().map(Timestamp),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Variants {
    attribute: String,
}

impl Variants {
    const NAME: &'static str = "variants";
    /// Purchases whose variants are looked for, the latest.
    const PURCHASES: usize = 20;
}

impl Source for Variants {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn find(&self, context: &Context<'_>, want: usize) -> Result<Drawn, RecommendError> {
        let (snapshot, catalogue) = (context.snapshot, context.snapshot.catalogue());
        let column = catalogue.column(find_attribute(catalogue, &self.attribute)?);
        let at_hand = context.seen.iter().chain(&context.cart).copied();
        let bought = context.history().iter().take(Self::PURCHASES).map(|bought| bought.row);
        let known: Vec<u32> = at_hand.chain(bought).collect();
        let mut values = Vec::new();
        for value in known.iter().filter_map(|&row| column.group(row)) {
            if !values.contains(&value) {
                values.push(value);
            }
        }
        if values.is_empty() {
            return Ok(Drawn::default());
        }
        let mut articles: Vec<(u32, f32)> = Vec::new();
        for row in context.eligible.rows.iter() {
            let is_variant = column.group(row).is_some_and(|value| values.contains(&value));
            if is_variant && !known.contains(&row) {
                articles.push((row, snapshot.popularity(row)));
            }
        }
        articles.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        articles.truncate(want);
        Ok(Drawn { articles, ..Drawn::default() })
    }
}
