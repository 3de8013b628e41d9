//! What is known at the moment of a request. Nothing else in the pipeline decides it.
//!
//! A request about the past (`at`) must not see what came later: history, reasons and the exclusion
//! of purchases hold only what was bought before `at`. A purchase of the very moment is left out
//! too, as it is in training: it may be what the request wants to predict. What does not change
//! with `at`: the catalogue, availability, popularity and the model are those of today.

use super::{Customer, Request, Subject};
use crate::domain::Timestamp;

/// The request with what was known at its moment.
pub(super) fn known<'a>(request: &Request<'a>) -> Request<'a> {
    let subject = match request.subject {
        Subject::Customer(customer) => Subject::Customer(customer.known_at(request.at)),
        other => other,
    };
    Request { subject, ..request.clone() }
}

impl<'a> Customer<'a> {
    /// The customer without the purchases made at `at` or later. Purchases without a time were made
    /// before.
    fn known_at(self, at: Timestamp) -> Self {
        // Newest first: what is too late stands at the beginning.
        let late = self.purchase_times.partition_point(|&time| time >= at);
        let rest = |len: usize| late.min(len);
        Self {
            purchases: &self.purchases[rest(self.purchases.len())..],
            purchase_times: &self.purchase_times[late..],
            purchase_weights: &self.purchase_weights[rest(self.purchase_weights.len())..],
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::ArticleId, features::NoAttributes};

    #[test]
    fn later_purchases_are_cut_off_with_their_times_and_weights() {
        let purchases = ["d", "c", "b", "a"].map(|id| ArticleId::parse(id).unwrap());
        let times = [9, 5, 5].map(Timestamp);
        let customer = Customer {
            id: None,
            recorded: true,
            attributes: &NoAttributes,
            purchases: &purchases,
            purchase_times: &times,
            purchase_weights: &[4.0, 3.0],
            session: &[],
        };
        let known = |at| {
            let known = customer.known_at(Timestamp(at));
            (known.purchases.len(), known.purchase_times.len(), known.purchase_weights.to_vec())
        };
        assert_eq!(known(10), (4, 3, vec![4.0, 3.0]));
        assert_eq!(known(9), (3, 2, vec![3.0]), "the very moment is not known");
        assert_eq!(known(5), (1, 0, vec![]), "no time: made before");
    }
}
