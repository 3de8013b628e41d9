//! The customer's own articles by how often and how lately they were bought, for models that count.

use super::{Customer, Snapshot};
use crate::{counters::PersonalFrequency, domain::Timestamp};

/// Catalogue rows of the customer's purchases with their scores, the highest first. Articles newer
/// than the model count like all others.
pub(super) fn ranked(
    snapshot: &Snapshot,
    customer: &Customer<'_>,
    frequency: &PersonalFrequency,
    at: Timestamp,
) -> Vec<(u32, f32)> {
    let times = customer.purchase_times.iter().copied().chain(std::iter::repeat(at));
    let weights = customer.purchase_weights.iter().copied().chain(std::iter::repeat(1.0));
    let bought = customer.purchases.iter().zip(times).zip(weights);
    let rows = bought.filter_map(|((id, time), weight)| Some((snapshot.catalogue().row(id.as_str())?, time, weight)));
    frequency.scores(rows, counted_from(customer, at))
}

/// The moment that ages are counted from: the customer's latest purchase. Any later moment ranks
/// alike, but the scores of a customer who has been away for years would all be 0 in 32 bits.
fn counted_from(customer: &Customer<'_>, at: Timestamp) -> Timestamp {
    let all_have_times = customer.purchase_times.len() >= customer.purchases.len();
    customer.purchase_times.first().copied().filter(|_| all_have_times).unwrap_or(at)
}
