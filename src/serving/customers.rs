//! What the shop knows of a customer, remembered for a while.

use super::{CustomersConfig, database::Database};
use crate::{
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
    fn from(record: CustomerRecord) -> Self {
        let purchases = record.purchases.into_iter().map(|purchase| (purchase.article, purchase.at));
        let (purchases, purchase_times) = purchases.unzip();
        Self { attributes: record.attributes, purchases, purchase_times }
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
            AttributeValue::Number(number) => Some(*number as f32),
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
