//! What the shop knows of a customer, remembered for a while.

use super::{CustomersConfig, database::Database};
use crate::{
    dataset::{Histories, Ties},
    domain::{ArticleId, CustomerId, Timestamp},
    features::Attributes,
    store::{self, AttributeValue, CustomerRecord},
};
use moka::sync::Cache;
use std::{sync::Arc, time::Instant};

/// Attributes and purchases of a customer.
#[derive(Debug, Default)]
pub(super) struct Known {
    attributes: store::Attributes,
    /// Newest first.
    pub(super) purchases: Vec<ArticleId>,
    pub(super) purchase_times: Vec<Timestamp>,
    pub(super) purchase_weights: Vec<f32>,
}

/// How current a [`Lookup`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Currency {
    Current,
    /// The database is away; this is what it said earlier.
    Stale,
    /// The database is away and nothing was remembered.
    Unavailable,
}

/// What is known of a customer; `known` is `None` when the shop has no record (or none could be read).
#[derive(Debug, Clone)]
pub(super) struct Lookup {
    pub(super) known: Option<Arc<Known>>,
    pub(super) currency: Currency,
    pub(super) cached: bool,
}

#[derive(Clone)]
struct Entry {
    known: Option<Arc<Known>>,
    read: Instant,
}

pub(super) struct Customers {
    cache: Cache<CustomerId, Entry>,
    config: CustomersConfig,
}

impl Customers {
    pub(super) fn new(config: CustomersConfig) -> Self {
        let cache = Cache::builder().max_capacity(config.cached).time_to_live(config.stale).build();
        Self { cache, config }
    }

    /// What is known of the customer; never an error, because an answer without it is better than none.
    pub(super) async fn look_up(&self, database: &Database, id: &CustomerId) -> Lookup {
        let remembered = self.cache.get(id);
        if let Some(entry) = &remembered
            && entry.read.elapsed() < self.config.fresh
        {
            return Lookup { known: entry.known.clone(), currency: Currency::Current, cached: true };
        }
        match database.call(database.store().customer(id, self.config.purchases)).await {
            Ok(record) => {
                let known = record.map(|record| Arc::new(Known::from(record)));
                self.cache.insert(id.clone(), Entry { known: known.clone(), read: Instant::now() });
                Lookup { known, currency: Currency::Current, cached: false }
            }
            Err(_) => match remembered {
                Some(entry) => Lookup { known: entry.known, currency: Currency::Stale, cached: true },
                None => Lookup { known: None, currency: Currency::Unavailable, cached: false },
            },
        }
    }
}

impl From<CustomerRecord> for Known {
    /// Purchases of one moment come from the database in the order of its keys; training drew theirs by a hash, and the
    /// model must read the same history here.
    fn from(mut record: CustomerRecord) -> Self {
        let ties = Ties::of(Histories::TIE_SEED, record.id.as_str());
        record
            .purchases
            .chunk_by_mut(|a, b| (a.at, a.millis) == (b.at, b.millis))
            .filter(|tied| tied.len() > 1)
            .for_each(|tied| {
                tied.sort_by_cached_key(|purchase| std::cmp::Reverse(ties.place(purchase.article.as_str())));
            });
        let purchase_times = record.purchases.iter().map(|purchase| purchase.at).collect();
        let purchase_weights = record.purchases.iter().map(|purchase| purchase.weight).collect();
        let purchases = record.purchases.into_iter().map(|purchase| purchase.article).collect();
        Self { attributes: record.attributes, purchases, purchase_times, purchase_weights }
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
    use crate::{dataset::TimeUnit, features::testing, store::PurchaseRecord};

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
            let purchases = vec![purchase(newest, 900, 2.0), purchase(middle, 500, 0.5), purchase(oldest, 20, 1.0)];
            let id = CustomerId::parse("x").unwrap();
            let known = Known::from(CustomerRecord { id, attributes: store::Attributes::new(), purchases });
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
                article: ArticleId::parse(dataset.articles.ids.get(dataset.purchases.article[row as usize])).unwrap(),
                at: dataset.purchases.time[row as usize],
                millis: 0,
                weight: 1.0,
            };
            let trained: Vec<PurchaseRecord> = histories.of_customer(customer).iter().rev().map(purchase).collect();
            let mut purchases = trained.clone();
            purchases.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| b.article.cmp(&a.article)));
            let id = CustomerId::parse(dataset.customers.ids.get(customer)).unwrap();
            let known = Known::from(CustomerRecord { id, attributes: store::Attributes::new(), purchases });
            assert_eq!(known.purchases, trained.iter().map(|p| p.article.clone()).collect::<Vec<_>>());
        }
    }
}
