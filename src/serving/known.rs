//! What the shop knows of a customer, as models read it.

use super::EventWeights;
use crate::{
    dataset::{Histories, Ties},
    domain::{ArticleId, Timestamp},
    features::Attributes,
    recommend::{Action, ActionKind},
    store::{self, ActionRecord, AttributeValue, CustomerRecord, take_back},
};
use hashbrown::HashSet;

/// Attributes, purchases and other actions of a customer or visitor.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Whether the shop has a record of the customer.
    pub(super) recorded: bool,
    attributes: store::Attributes,
    /// Newest first.
    pub(super) purchases: Vec<ArticleId>,
    pub(super) purchase_times: Vec<Timestamp>,
    pub(super) purchase_weights: Vec<f32>,
    /// Newest first.
    pub(super) actions: Vec<Action>,
}

impl Known {
    /// Bytes of memory, about.
    pub(super) fn weight(&self) -> usize {
        // A pointer and a length, and what an allocation costs besides its bytes.
        const TEXT: usize = 32;
        let attribute = |(name, value): (&String, &AttributeValue)| {
            let value = match value {
                AttributeValue::Number(_) => 0,
                AttributeValue::Text(text) => text.len(),
                AttributeValue::Tags(tags) => tags.iter().map(|tag| TEXT + tag.len()).sum(),
            };
            3 * TEXT + name.len() + value
        };
        let purchase =
            |id: &ArticleId| TEXT + id.as_str().len() + size_of::<Timestamp>() + size_of::<f32>();
        let attributes: usize = self.attributes.iter().map(attribute).sum();
        let action = |action: &Action| TEXT + action.article.as_str().len() + size_of::<Action>();
        let purchases: usize = self.purchases.iter().map(purchase).sum();
        size_of::<Self>() + attributes + purchases + self.actions.iter().map(action).sum::<usize>()
    }
}

impl Known {
    /// Purchases of one moment come from the database in the order of its keys; training drew
    /// theirs by a hash, and the model must read the same history here.
    pub(super) fn of(mut record: CustomerRecord, weights: &EventWeights) -> Self {
        let ties = Ties::of(Histories::TIE_SEED, record.id.as_str());
        record
            .purchases
            .chunk_by_mut(|a, b| (a.at, a.millis) == (b.at, b.millis))
            .filter(|tied| tied.len() > 1)
            .for_each(|tied| {
                tied.sort_by_cached_key(|purchase| {
                    std::cmp::Reverse(ties.place(purchase.article.as_str()))
                });
            });
        let mut known = Self { recorded: true, attributes: record.attributes, ..Self::default() };
        for purchase in record.purchases {
            known.buy(purchase.article, purchase.at, purchase.weight * weights.of("purchase"));
        }
        known.actions = record.actions.into_iter().map(|action| weights.action(action)).collect();
        known
    }

    /// What a visitor did who is no customer, newest first.
    pub(super) fn of_visitor(actions: Vec<ActionRecord>, weights: &EventWeights) -> Self {
        let mut known = Self::default();
        let mut returned = Vec::new();
        for action in actions {
            match action.kind.as_str() {
                "purchase" => {
                    let back = take_back(&mut returned, &action.article, action.quantity);
                    let kept = action.quantity - back;
                    if kept > 0.0 {
                        let weight = kept * weights.of("purchase");
                        known.buy(action.article, action.at.timestamp(), weight);
                    }
                }
                "return" => returned.push((action.article, action.quantity)),
                _ => known.actions.push(weights.action(action)),
            }
        }
        known
    }

    /// The customer with what was done in a browser that is not known to be theirs.
    pub(super) fn with_visitor(&self, visitor: &Self) -> Self {
        let mut known = Self {
            recorded: self.recorded,
            attributes: self.attributes.clone(),
            ..Self::default()
        };
        // Once it is known whose visits these are, the customer's record has them too.
        let owned: HashSet<&str> = self.purchases.iter().map(ArticleId::as_str).collect();
        let others = visitor.bought().filter(|(article, ..)| !owned.contains(article.as_str()));
        let mut purchases: Vec<_> = self.bought().chain(others).collect();
        // Stable: ties stay as they are.
        purchases.sort_by_key(|&(_, at, _)| std::cmp::Reverse(at));
        purchases
            .into_iter()
            .for_each(|(article, at, weight)| known.buy(article.clone(), at, weight));
        let done: HashSet<_> = self
            .actions
            .iter()
            .map(|action| (action.article.as_str(), action.at, action.kind))
            .collect();
        let is_other =
            |action: &&Action| !done.contains(&(action.article.as_str(), action.at, action.kind));
        known.actions =
            self.actions.iter().chain(visitor.actions.iter().filter(is_other)).cloned().collect();
        known.actions.sort_by_key(|action| std::cmp::Reverse(action.at));
        known
    }

    /// Whether nothing is known but that the shop has a record.
    pub(super) fn is_empty(&self) -> bool {
        self.attributes.is_empty() && self.purchases.is_empty() && self.actions.is_empty()
    }

    fn buy(&mut self, article: ArticleId, at: Timestamp, weight: f32) {
        self.purchases.push(article);
        self.purchase_times.push(at);
        self.purchase_weights.push(weight);
    }

    fn bought(&self) -> impl Iterator<Item = (&ArticleId, Timestamp, f32)> {
        let rest = self.purchase_times.iter().copied().zip(self.purchase_weights.iter().copied());
        self.purchases.iter().zip(rest).map(|(article, (at, weight))| (article, at, weight))
    }
}

impl EventWeights {
    /// How much an event of a type counts.
    fn of(&self, kind: &str) -> f32 {
        self.0.get(kind).copied().unwrap_or(0.0)
    }

    fn action(&self, record: ActionRecord) -> Action {
        let ActionRecord { kind, article, at, quantity: _ } = record;
        Action { article, at: at.timestamp(), weight: self.of(&kind), kind: ActionKind::of(&kind) }
    }
}

impl Attributes for Known {
    fn text(&self, name: &str) -> Option<&str> {
        match self.attributes.get(name)? {
            AttributeValue::Text(text) => Some(text),
            _ => None,
        }
    }

    fn number(&self, name: &str) -> Option<f32> {
        match self.attributes.get(name)? {
            AttributeValue::Number(number) => Some(number.to_f32()),
            AttributeValue::Text(text) => text.trim().parse().ok(),
            AttributeValue::Tags(_) => None,
        }
    }

    fn for_each_tag(&self, name: &str, tag: &mut dyn FnMut(&str)) {
        match self.attributes.get(name) {
            Some(AttributeValue::Text(text)) => tag(text),
            Some(AttributeValue::Tags(tags)) => tags.iter().for_each(|text| tag(text)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dataset::TimeUnit,
        domain::CustomerId,
        features::testing,
        store::{Millis, PurchaseRecord},
    };

    fn record(id: CustomerId, purchases: Vec<PurchaseRecord>) -> CustomerRecord {
        CustomerRecord { id, attributes: store::Attributes::new(), purchases, actions: Vec::new() }
    }

    #[test]
    fn what_a_visitor_did_stands_among_what_the_customer_did() {
        let action = |kind: &str, article: &str, at: i64| ActionRecord {
            kind: kind.into(),
            article: ArticleId::parse(article).unwrap(),
            at: Millis(at * 1_000 + 999),
            quantity: 2.0,
        };
        let weights = EventWeights::default();
        let bought = |article: &str, at| PurchaseRecord {
            article: ArticleId::parse(article).unwrap(),
            at: Timestamp(at),
            millis: 0,
            weight: 1.0,
        };
        let mut record =
            record(CustomerId::parse("x").unwrap(), vec![bought("c", 30), bought("a", 10)]);
        record.actions = vec![action("view", "v", 40), action("view", "u", 5)];
        let known = Known::of(record, &weights);
        // The customer's record has some of it already.
        let told = [("view", "u", 5), ("purchase", "a", 10)]
            .map(|(kind, article, at)| action(kind, article, at));
        let visitor = [
            action("return", "r", 26),
            action("click", "w", 25),
            action("purchase", "b", 20),
            action("purchase", "r", 18),
        ];
        let visitor = visitor.into_iter().chain(told).collect();
        let both = known.with_visitor(&Known::of_visitor(visitor, &weights));
        assert_eq!(
            both.purchases.iter().map(ArticleId::as_str).collect::<Vec<_>>(),
            ["c", "b", "a"]
        );
        assert_eq!(
            (both.purchase_weights, both.purchase_times[1]),
            (vec![1.0, 2.0, 1.0], Timestamp(20))
        );
        let actions: Vec<_> =
            both.actions.iter().map(|action| (action.article.as_str(), action.at.0)).collect();
        assert_eq!((actions, both.recorded), (vec![("v", 40), ("w", 25), ("u", 5)], true));
    }

    #[test]
    fn milliseconds_order_a_history_and_weights_stay_with_their_purchases() {
        let purchase = |article: &str, millis, weight| PurchaseRecord {
            article: ArticleId::parse(article).unwrap(),
            at: Timestamp(7),
            millis,
            weight,
        };
        for articles in [["a", "b", "c"], ["c", "b", "a"], ["b", "c", "a"]] {
            let [newest, middle, oldest] = articles;
            let purchases = vec![
                purchase(newest, 900, 2.0),
                purchase(middle, 500, 0.5),
                purchase(oldest, 20, 1.0),
            ];
            let id = CustomerId::parse("x").unwrap();
            let known = Known::of(record(id, purchases), &EventWeights::default());
            assert_eq!(known.purchases.iter().map(ArticleId::as_str).collect::<Vec<_>>(), articles);
            assert_eq!(known.purchase_weights, [2.0, 0.5, 1.0]);
        }
    }

    #[test]
    fn a_history_is_read_in_the_order_it_was_trained_in() {
        let mut dataset = testing::shop(3, 9, 4, 60, TimeUnit::Second);
        // Few moments, so that most purchases share theirs.
        dataset.purchases.time.iter_mut().for_each(|time| *time = Timestamp(time.0 % 3));
        let histories = Histories::of(&dataset);
        for customer in 0..4 {
            let purchase = |&row: &u32| PurchaseRecord {
                article: ArticleId::parse(
                    dataset.articles.ids.get(dataset.purchases.article[row as usize]),
                )
                .unwrap(),
                at: dataset.purchases.time[row as usize],
                millis: 0,
                weight: 1.0,
            };
            let trained: Vec<PurchaseRecord> =
                histories.of_customer(customer).iter().rev().map(purchase).collect();
            let mut purchases = trained.clone();
            purchases.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| b.article.cmp(&a.article)));
            let id = CustomerId::parse(dataset.customers.ids.get(customer)).unwrap();
            let known = Known::of(record(id, purchases), &EventWeights::default());
            assert_eq!(
                known.purchases,
                trained.iter().map(|p| p.article.clone()).collect::<Vec<_>>()
            );
        }
    }
}
