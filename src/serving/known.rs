//! What the shop knows of a customer, as models read it.

use crate::{
    dataset::{Histories, Ties},
    domain::{ArticleId, Timestamp},
    features::Attributes,
    store::{self, AttributeValue, CustomerRecord},
};

/// Attributes and purchases of a customer.
#[derive(Debug, Default)]
pub(super) struct Known {
    attributes: store::Attributes,
    /// Newest first.
    pub(super) purchases: Vec<ArticleId>,
    pub(super) purchase_times: Vec<Timestamp>,
    pub(super) purchase_weights: Vec<f32>,
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
        let purchase = |id: &ArticleId| TEXT + id.as_str().len() + size_of::<Timestamp>() + size_of::<f32>();
        let attributes: usize = self.attributes.iter().map(attribute).sum();
        size_of::<Self>() + attributes + self.purchases.iter().map(purchase).sum::<usize>()
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
    use crate::{dataset::TimeUnit, domain::CustomerId, features::testing, store::PurchaseRecord};

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
            let known = Known::from(CustomerRecord {
                id,
                attributes: store::Attributes::new(),
                purchases,
                actions: Vec::new(),
            });
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
            let known = Known::from(CustomerRecord {
                id,
                attributes: store::Attributes::new(),
                purchases,
                actions: Vec::new(),
            });
            assert_eq!(known.purchases, trained.iter().map(|p| p.article.clone()).collect::<Vec<_>>());
        }
    }
}
