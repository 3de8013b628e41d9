//! The customer's own articles by how often and how lately they were bought.

use super::{Drawn, Registered, Source, registered};
use crate::{
    counters::PersonalFrequency,
    domain::Timestamp,
    recommend::{Context, RecommendError},
};
use serde::Deserialize;

pub(super) const NAME: &str = "buy_again";
pub(super) const REGISTERED: Registered = registered::<BuyAgain>(
    NAME,
    "The customer's own articles, by how often and how lately they were bought: each purchase counts half after \
     `half_life_days`, 90 if not given.",
);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BuyAgain {
    #[serde(default = "ninety")]
    half_life_days: f32,
}

fn ninety() -> f32 {
    90.0
}

impl Source for BuyAgain {
    fn name(&self) -> &'static str {
        NAME
    }

    fn find(&self, context: &Context<'_>, want: usize) -> Result<Drawn, RecommendError> {
        let half_life_days = Some(self.half_life_days.max(0.01));
        let own = ranked(context, &PersonalFrequency { half_life_days });
        let eligible = own.into_iter().filter(|&(row, _)| context.eligible.rows.contains(row));
        Ok(Drawn { articles: eligible.take(want).collect(), ..Drawn::default() })
    }

    fn tells_purchases(&self, _context: &Context<'_>) -> bool {
        true
    }
}

/// Catalogue rows of the customer's purchases with their scores, the highest first. Articles newer
/// than the model count like all others.
pub(in crate::recommend) fn ranked(
    context: &Context<'_>,
    frequency: &PersonalFrequency,
) -> Vec<(u32, f32)> {
    let bought = context.history().iter().map(|bought| (bought.row, bought.at, bought.weight));
    frequency.scores(bought, counted_from(context))
}

/// The moment that ages are counted from: the customer's latest purchase. Any later moment ranks
/// alike, but the scores of a customer who has been away for years would all be 0 in 32 bits.
fn counted_from(context: &Context<'_>) -> Timestamp {
    let customer = &context.customer;
    let all_have_times = customer.purchase_times.len() >= customer.purchases.len();
    customer
        .purchase_times
        .first()
        .copied()
        .filter(|_| all_have_times)
        .unwrap_or(context.request.at)
}
