//! What is known at the moment of a request. Nothing else in the pipeline decides it.
//!
//! A request about the past (`at`) must not see what came later: history, reasons and the exclusion
//! of purchases hold only what was bought before `at`. A purchase of the very moment is left out
//! too, as it is in training: it may be what the request wants to predict. What does not change
//! with `at`: the catalogue, availability, popularity and the model are those of today.

use super::{
    Customer, Eligible, Filter, Interest, Query, RecommendError, Request, Shop, Snapshot, Subject,
    actions, filter::Given, query, rules::InForce,
};
use crate::{
    domain::{ArticleId, Timestamp},
    retrieval::ItemSet,
};
use std::{
    borrow::Cow,
    cell::OnceCell,
    sync::Arc,
    time::{Duration, Instant},
};

/// A request with what it reads: one snapshot of the shop, one state of the customer.
pub struct Context<'a> {
    pub shop: &'a Shop,
    /// The model that answers where no source names another, over the catalogue.
    pub snapshot: &'a Snapshot,
    pub request: &'a Request,
    /// As of the request's moment.
    pub customer: Customer<'a>,
    /// Catalogue rows of the visit, newest first; of the article asked about, where there is one.
    pub seen: Vec<u32>,
    /// Catalogue rows of the cart.
    pub cart: Vec<u32>,
    /// What may be answered.
    pub eligible: Arc<Eligible>,
    /// The request's filter without what rules hide; plain.
    filter: Cow<'a, Filter>,
    /// Whether a condition of the request's filter is left out.
    pub(super) condition_left_out: bool,
    pub(super) rules: InForce<'a>,
    history: OnceCell<Vec<Bought>>,
    interests: OnceCell<Vec<Interest>>,
    query: OnceCell<(Query, Duration)>,
}

/// A purchase of an article that the catalogue has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bought {
    pub row: u32,
    pub at: Timestamp,
    pub weight: f32,
}

impl<'a> Context<'a> {
    /// # Errors
    /// [`RecommendError::UnknownArticle`] for articles like one that the catalogue lacks; a filter
    /// that does not fit the catalogue; [`RecommendError::NoSequence`].
    pub fn new(
        shop: &'a Shop,
        snapshot: &'a Snapshot,
        request: &'a Request,
        customer: Customer<'a>,
    ) -> Result<Self, RecommendError> {
        if request.generation.is_some() && !snapshot.model().reads_sequence() {
            return Err(RecommendError::NoSequence(snapshot.model().name().to_owned()));
        }
        let rows = |ids: &[ArticleId]| -> Vec<u32> {
            ids.iter().filter_map(|id| snapshot.catalogue().row(id.as_str())).collect()
        };
        let mut seen = rows(&request.session);
        if let Subject::Article(id) = &request.subject {
            let row = snapshot.catalogue().row(id.as_str());
            seen.insert(0, row.ok_or_else(|| RecommendError::UnknownArticle(id.clone()))?);
        }
        let catalogue = &**snapshot.catalogue();
        let given = Given {
            catalogue,
            at: request.at,
            article: seen.first().copied(),
            customer: customer.attributes,
        };
        let filter = request.recipe.filter.resolve(&given);
        let mut rules = InForce::of(&request.recipe.rules, &given, snapshot);
        let condition_left_out = filter.left_out;
        let (filter, eligible) = rules.eligible(filter.filter, snapshot)?;
        let mut context = Self {
            shop,
            snapshot,
            request,
            customer: customer.known_at(request.at),
            seen,
            cart: rows(&request.cart),
            eligible,
            filter,
            condition_left_out,
            rules,
            history: OnceCell::new(),
            interests: OnceCell::new(),
            query: OnceCell::new(),
        };
        context.eligible = context.without_excluded(snapshot, context.eligible.clone());
        Ok(context)
    }

    /// The customer's purchases, newest first.
    pub fn history(&self) -> &[Bought] {
        self.history.get_or_init(|| {
            let times = self
                .customer
                .purchase_times
                .iter()
                .copied()
                .chain(std::iter::repeat(self.request.at));
            let weights =
                self.customer.purchase_weights.iter().copied().chain(std::iter::repeat(1.0));
            let all = self.customer.purchases.iter().zip(times).zip(weights);
            let bought = all.filter_map(|((id, at), weight)| {
                Some(Bought { row: self.snapshot.catalogue().row(id.as_str())?, at, weight })
            });
            bought.collect()
        })
    }

    /// What tells the customer's taste, newest first: the purchases, or else the visit, the cart
    /// and what else interests somebody who has bought nothing yet.
    pub fn choices(&self) -> Cow<'_, [Bought]> {
        if !self.history().is_empty() {
            return Cow::Borrowed(self.history());
        }
        let choice = |row, at| Bought { row, at, weight: 1.0 };
        let at_hand = self.seen.iter().chain(&self.cart).map(|&row| choice(row, self.request.at));
        let others = self.interests().iter().map(|interest| choice(interest.row, interest.at));
        let mut choices: Vec<Bought> = at_hand.chain(others).collect();
        choices.sort_by_key(|choice| std::cmp::Reverse(choice.at));
        Cow::Owned(choices)
    }

    /// The articles that interest the customer besides what was bought, the latest first: none that
    /// the request names as seen in the visit or lying in the cart.
    pub fn interests(&self) -> &[Interest] {
        self.interests.get_or_init(|| {
            let mut interests = actions::interests(self);
            interests.retain(|interest| {
                !self.seen.contains(&interest.row) && !self.cart.contains(&interest.row)
            });
            interests
        })
    }

    /// The query of the request's own model. Formed once.
    ///
    /// # Errors
    /// A failing tower.
    pub fn query(&self) -> Result<&Query, RecommendError> {
        if self.query.get().is_none() {
            let started = Instant::now();
            let query = query::form(self, self.snapshot)?;
            // Nobody else can have set it: a context belongs to one thread.
            let _ = self.query.set((query, started.elapsed()));
        }
        match self.query.get() {
            Some((query, _)) => Ok(query),
            None => Err(super::ModelError("its query was not kept".to_owned()).into()),
        }
    }

    /// How long it took to form the query.
    pub fn embedding(&self) -> Duration {
        self.query.get().map_or(Duration::ZERO, |&(_, took)| took)
    }

    /// What may be answered, in the items of another model.
    ///
    /// # Errors
    /// When the filter does not fit the catalogue.
    pub fn eligible_in(&self, snapshot: &Snapshot) -> Result<Arc<Eligible>, RecommendError> {
        if std::ptr::eq(snapshot, self.snapshot) {
            return Ok(self.eligible.clone());
        }
        let eligible = snapshot.eligible(&self.filter)?;
        Ok(self.without_excluded(snapshot, eligible))
    }

    /// Whether the order of candidates is more than their ranking.
    pub(super) fn reorders(&self) -> bool {
        self.request.recipe.diversity > 0.0 || self.rules.reorder()
    }

    /// Takes out what the request excludes and all that it does not list, if it lists any; what was
    /// seen in the visit or lies in the cart is never answered back.
    fn without_excluded(&self, snapshot: &Snapshot, eligible: Arc<Eligible>) -> Arc<Eligible> {
        let excluded = self.excluded();
        if excluded.is_empty() && self.request.only.is_none() {
            return eligible;
        }
        let mut rest = Eligible::clone(&eligible);
        if let Some(ids) = &self.request.only {
            let mut listed = ItemSet::empty(snapshot.catalogue().rows());
            let rows = ids.iter().filter_map(|id| snapshot.catalogue().row(id.as_str()));
            rows.filter(|&row| rest.rows.contains(row)).for_each(|row| listed.insert(row));
            rest = snapshot.restricted(listed);
        }
        for row in excluded {
            snapshot.exclude(&mut rest, row);
        }
        Arc::new(rest)
    }

    fn excluded(&self) -> Vec<u32> {
        let exclude = &self.request.recipe.exclude;
        let named = exclude.article_ids.iter();
        let mut rows: Vec<u32> =
            named.filter_map(|id| self.snapshot.catalogue().row(id.as_str())).collect();
        rows.extend(&self.seen);
        rows.extend(&self.cart);
        if exclude.reads_purchases() {
            let since = exclude.purchased_within_days.filter(|_| !exclude.purchased);
            let since = since.map(|days| self.request.at.minus_days(days));
            let recent = |bought: &&Bought| since.is_none_or(|since| bought.at >= since);
            rows.extend(self.history().iter().filter(recent).map(|bought| bought.row));
        }
        if let Some(times) = exclude.seen_times_today {
            rows.extend(actions::shown(self, times));
        }
        if exclude.disliked {
            rows.extend(actions::disliked(self));
        }
        rows
    }
}

impl Customer<'_> {
    /// The customer without the purchases made at `at` or later, and without later actions.
    /// Purchases without a time were made before.
    fn known_at(self, at: Timestamp) -> Self {
        // Newest first: what is too late stands at the beginning.
        let late = self.purchase_times.partition_point(|&time| time >= at);
        let rest = |len: usize| late.min(len);
        Self {
            purchases: &self.purchases[rest(self.purchases.len())..],
            purchase_times: &self.purchase_times[late..],
            purchase_weights: &self.purchase_weights[rest(self.purchase_weights.len())..],
            actions: &self.actions[self.actions.partition_point(|action| action.at >= at)..],
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_purchases_are_cut_off_with_their_times_and_weights() {
        let purchases = ["d", "c", "b", "a"].map(|id| ArticleId::parse(id).unwrap());
        let times = [9, 5, 5].map(Timestamp);
        let customer = Customer {
            recorded: true,
            purchases: &purchases,
            purchase_times: &times,
            purchase_weights: &[4.0, 3.0],
            ..Customer::UNKNOWN
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
