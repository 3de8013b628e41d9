//! Each customer's purchases in order.

use super::{Dataset, Ties, TimeUnit};

/// Purchase rows grouped by customer, each group oldest first. Purchases of one moment
/// ([`super::Purchases::moment_of`]) stand in an order drawn by [`Ties`], so that "the last
/// purchase" is the same on every run and machine and favours no article.
#[derive(Debug)]
pub struct Histories {
    offsets: Vec<u32>,
    rows: Vec<u32>,
}

impl Histories {
    /// The seed of [`Self::of`], by which the server orders the ties of a history as well.
    pub const TIE_SEED: u64 = 0;

    /// With the ties drawn by [`Self::TIE_SEED`].
    ///
    /// # Panics
    /// On more than 2³²−1 purchases.
    pub fn of(dataset: &Dataset) -> Self {
        Self::with_ties(dataset, Self::TIE_SEED)
    }

    /// With the ties drawn by another seed, to see how much an evaluation depends on the draw.
    ///
    /// # Panics
    /// On more than 2³²−1 purchases.
    pub fn with_ties(dataset: &Dataset, seed: u64) -> Self {
        let purchases = &dataset.purchases;
        let mut offsets = vec![0u32; dataset.customers.len() + 1];
        for &customer in &purchases.customer {
            offsets[customer as usize + 1] += 1;
        }
        for i in 1..offsets.len() {
            offsets[i] += offsets[i - 1];
        }
        let mut next = offsets.clone();
        let mut rows = vec![0u32; purchases.len()];
        for (row, &customer) in purchases.customer.iter().enumerate() {
            let slot = &mut next[customer as usize];
            rows[*slot as usize] = row as u32;
            *slot += 1;
        }
        let article = |row: u32| dataset.articles.ids.get(purchases.article[row as usize]);
        for (customer, pair) in offsets.windows(2).enumerate() {
            let history = &mut rows[pair[0] as usize..pair[1] as usize];
            history.sort_unstable_by_key(|&row| (purchases.moment_of(row), row));
            let ties = Ties::of(seed, dataset.customers.ids.get(customer as u32));
            let same_moment = |&a: &u32, &b: &u32| purchases.moment_of(a) == purchases.moment_of(b);
            for tied in history.chunk_by_mut(same_moment).filter(|tied| tied.len() > 1) {
                // Stable: the same article bought twice at one moment keeps its file order.
                tied.sort_by_cached_key(|&row| ties.place(article(row)));
            }
        }
        Self { offsets, rows }
    }

    /// The purchase rows of a customer, oldest first.
    pub fn of_customer(&self, customer: u32) -> &[u32] {
        let c = customer as usize;
        &self.rows[self.offsets[c] as usize..self.offsets[c + 1] as usize]
    }

    pub fn customers(&self) -> usize {
        self.offsets.len() - 1
    }

    /// For every purchase, how many of its customer's earlier purchases were known just before it.
    /// Where times are days, purchases of the same day are one basket and don't know each other.
    pub fn known_before_purchases(&self, dataset: &Dataset) -> Vec<u32> {
        let time = &dataset.purchases.time;
        let mut known = vec![0; self.rows.len()];
        for customer in 0..self.customers() as u32 {
            let rows = self.of_customer(customer);
            let mut basket = 0;
            for (position, &row) in rows.iter().enumerate() {
                let day = time[row as usize].day();
                if dataset.time_unit != TimeUnit::Day || time[rows[basket] as usize].day() != day {
                    basket = position;
                }
                known[row as usize] = basket as u32;
            }
        }
        known
    }
}

/// Position of every article in the order of ids: as numbers where all are whole numbers, else as
/// text.
#[cfg(feature = "database")]
pub(crate) fn article_ranks(dataset: &Dataset) -> Vec<u32> {
    let ids = &dataset.articles.ids;
    let mut order: Vec<u32> = (0..ids.len() as u32).collect();
    let numbers: Option<Vec<u64>> = ids.iter().map(|id| id.parse().ok()).collect();
    match numbers {
        Some(numbers) => order.sort_by_key(|&row| numbers[row as usize]),
        None => order.sort_by_key(|&row| ids.get(row)),
    }
    let mut rank = vec![0; order.len()];
    for (position, &row) in order.iter().enumerate() {
        rank[row as usize] = position as u32;
    }
    rank
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dataset::Purchases,
        domain::{IdTable, Timestamp},
        features::testing,
    };

    /// The purchases `(customer, article, second, millisecond)` of a shop with these articles.
    fn histories(
        articles: &[&str],
        bought: &[(u32, &str, u32, u16)],
        seed: u64,
    ) -> Vec<Vec<String>> {
        let mut dataset = testing::shop(0, articles.len(), 2, 0, TimeUnit::Second);
        dataset.articles.ids = articles.iter().copied().collect::<IdTable>();
        dataset.purchases = Purchases {
            customer: bought.iter().map(|row| row.0).collect(),
            article: bought.iter().map(|row| dataset.articles.ids.find(row.1).unwrap()).collect(),
            time: bought.iter().map(|row| Timestamp(row.2)).collect(),
            millis: bought.iter().map(|row| row.3).collect(),
            ..Purchases::default()
        };
        let histories = Histories::with_ties(&dataset, seed);
        let article = |&row: &u32| {
            dataset.articles.ids.get(dataset.purchases.article[row as usize]).to_owned()
        };
        (0..2)
            .map(|customer| histories.of_customer(customer).iter().map(article).collect())
            .collect()
    }

    #[test]
    fn ties_depend_on_ids_and_seed_and_on_no_order_of_rows() {
        let rows = [
            (0, "a", 5, 0),
            (0, "b", 5, 0),
            (0, "c", 5, 0),
            (0, "d", 5, 0),
            (1, "a", 5, 0),
            (1, "b", 5, 0),
        ];
        let first = histories(&["a", "b", "c", "d"], &rows, 0);
        let mut turned = rows;
        turned.reverse();
        assert_eq!(histories(&["d", "c", "b", "a"], &turned, 0), first);
        let drawn: std::collections::HashSet<_> =
            (0..20).map(|seed| histories(&["a", "b", "c", "d"], &rows, seed)).collect();
        assert!(drawn.len() > 10, "20 seeds drew {} orders", drawn.len());
    }

    #[test]
    fn milliseconds_are_an_order() {
        let rows = [(0, "c", 5, 300), (0, "a", 5, 200), (0, "b", 5, 100), (0, "d", 4, 999)];
        for seed in 0..5 {
            assert_eq!(histories(&["a", "b", "c", "d"], &rows, seed)[0], ["d", "b", "a", "c"]);
        }
    }
}
