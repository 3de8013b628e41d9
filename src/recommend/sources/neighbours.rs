//! Articles that others bought with what the customer has.

use super::{Drawn, Registered, Source, registered};
use crate::{
    domain::Timestamp,
    recommend::{Bought, Context, RecommendError},
    statistics::{Neighbours, Statistics},
};
use hashbrown::HashMap;
use serde::Deserialize;

pub(super) const TOGETHER: Registered = registered::<BoughtTogether>(
    BoughtTogether::NAME,
    "What customers buy on the same day as the articles of the cart, of the visit, or else of this customer's last week \
     of purchases.",
);
pub(super) const SIMILAR: Registered = registered::<SimilarTaste>(
    SimilarTaste::NAME,
    "What customers buy who bought the same articles (item-based collaborative filtering), by the cart, the visit and \
     all purchases, old ones counting half after 90 days.",
);

pub(super) const EASE: Registered = registered::<Ease>(
    Ease::NAME,
    "What the linear model EASE expects from the cart, the visit and all purchases, old ones counting half after 90 \
     days. It knows the 2,000 articles that most customers bought in 180 days, and finds what `similar_taste` misses \
     in a small shop.",
);
pub(super) const NEXT: Registered = registered::<BoughtNext>(
    BoughtNext::NAME,
    "What customers buy next after the articles of the visit or the latest purchases; each article counts `decay` (0.8 if \
     not given) of the next newer one.",
);
pub(super) const VIEWED: Registered = registered::<ViewedTogether>(
    ViewedTogether::NAME,
    "What people view on the same day as the articles of the visit, of the cart, or else what this person viewed last \
     (co-visitation), as `POST /v1/events` told in the last 28 days.",
);

/// Articles that count as bought lately: those of the days before the last purchase.
const LATELY_DAYS: u32 = 7;
/// Purchases count half after so many days.
const HALF_LIFE_DAYS: f32 = 90.0;
/// Seeds that count: the heaviest.
const SEEDS: usize = 200;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BoughtTogether {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ViewedTogether {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SimilarTaste {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::recommend) struct Ease {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BoughtNext {
    #[serde(default = "most")]
    decay: f32,
}

fn most() -> f32 {
    0.8
}

impl BoughtNext {
    const NAME: &'static str = "bought_next";
    /// Latest articles that count.
    const LATEST: usize = 50;
}

impl Source for BoughtNext {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn find(&self, context: &Context<'_>, want: usize) -> Result<Drawn, RecommendError> {
        let decay = self.decay.clamp(0.0, 1.0);
        let mut seeds: Vec<(u32, f32)> = Vec::new();
        let mut weight = 1.0;
        for row in latest(context) {
            if seeds.len() == Self::LATEST {
                break;
            }
            if !seeds.iter().any(|seed| seed.0 == row) {
                seeds.push((row, weight));
                weight *= decay;
            }
        }
        near(context, want, |statistics| &statistics.following, &seeds)
    }
}

/// The best `want` eligible articles near to `seeds` by one of the tables.
fn near(
    context: &Context<'_>,
    want: usize,
    table: fn(&Statistics) -> &Neighbours,
    seeds: &[(u32, f32)],
) -> Result<Drawn, RecommendError> {
    let signals = context.shop.signals()?;
    let eligible = |row| context.eligible.rows.contains(row);
    let articles = signals.near(table(signals.statistics()), seeds, want, eligible);
    Ok(Drawn { articles, ..Drawn::default() })
}

/// Articles by how lately the customer showed interest, the latest first: visit, cart, other
/// interests, purchases.
fn latest<'a>(context: &'a Context<'_>) -> impl Iterator<Item = u32> + 'a {
    let at_hand = context.seen.iter().chain(&context.cart).copied();
    let others = context.interests().iter().map(|interest| interest.row);
    at_hand.chain(others).chain(context.history().iter().map(|bought| bought.row))
}

impl BoughtTogether {
    const NAME: &'static str = "bought_together";
}

impl SimilarTaste {
    const NAME: &'static str = "similar_taste";
}

impl Ease {
    pub(in crate::recommend) const NAME: &'static str = "ease";
}

impl Source for BoughtTogether {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn find(&self, context: &Context<'_>, want: usize) -> Result<Drawn, RecommendError> {
        near(context, want, |statistics| &statistics.together, &lately(context))
    }
}

impl ViewedTogether {
    const NAME: &'static str = "viewed_together";
}

impl Source for ViewedTogether {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn find(&self, context: &Context<'_>, want: usize) -> Result<Drawn, RecommendError> {
        near(context, want, |statistics| &statistics.viewed, &lately(context))
    }
}

impl Source for SimilarTaste {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn find(&self, context: &Context<'_>, want: usize) -> Result<Drawn, RecommendError> {
        near(context, want, |statistics| &statistics.similar, &tastes(context))
    }
}

impl Source for Ease {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn find(&self, context: &Context<'_>, want: usize) -> Result<Drawn, RecommendError> {
        near(context, want, |statistics| &statistics.ease, &tastes(context))
    }
}

/// The articles at hand, each with weight 1: cart and visit, or else what else interests the
/// customer, or else the purchases of the last week in which the customer bought anything.
pub(in crate::recommend) fn lately(context: &Context<'_>) -> Vec<(u32, f32)> {
    let mut rows: Vec<u32> = context.cart.iter().chain(&context.seen).copied().collect();
    if rows.is_empty() {
        rows.extend(context.interests().iter().map(|interest| interest.row));
    }
    if rows.is_empty() {
        let last = context.history().first().map_or(Timestamp(0), |bought| bought.at);
        let since = Timestamp(last.day() * Timestamp::DAY).minus_days(LATELY_DAYS);
        rows.extend(
            context
                .history()
                .iter()
                .take_while(|bought| bought.at >= since)
                .map(|bought| bought.row),
        );
    }
    rows.sort_unstable();
    rows.dedup();
    rows.into_iter().take(SEEDS).map(|row| (row, 1.0)).collect()
}

/// All that tells the customer's taste, with its weight: `ln(1 + Σ 2^(−age / 90 days))` over the
/// days of purchases; cart and visit count like a purchase of this moment, other interests by their
/// weight.
pub(in crate::recommend) fn tastes(context: &Context<'_>) -> Vec<(u32, f32)> {
    let at_hand = context.cart.iter().chain(&context.seen).map(|&row| (row, 1.0));
    let others = context.interests().iter().map(|interest| (interest.row, interest.weight));
    let mut sums: HashMap<u32, (f32, u32)> = HashMap::new();
    for (row, weight) in at_hand.chain(others) {
        sums.entry(row).or_default().0 += weight;
    }
    for &Bought { row, at, .. } in context.history() {
        let (sum, day) = sums.entry(row).or_default();
        // Two pieces of one day are one choice.
        if *day != at.day() {
            let age = context.request.at.0.saturating_sub(at.0) as f32 / Timestamp::DAY as f32;
            (*sum, *day) = (*sum + (-age / HALF_LIFE_DAYS).exp2(), at.day());
        }
    }
    let mut tastes: Vec<(u32, f32)> =
        sums.into_iter().map(|(row, (sum, _))| (row, sum.ln_1p())).collect();
    tastes.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    tastes.truncate(SEEDS);
    tastes
}
