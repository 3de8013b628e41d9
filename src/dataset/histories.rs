//! Each customer's purchases in order.

use super::{Dataset, TimeUnit};

/// Purchase rows grouped by customer, each group oldest first. Ties in time are ordered by article id
/// (as numbers where both ids are whole numbers, else as text), then by file order, so that "the last
/// purchase" is the same on every run and machine.
#[derive(Debug)]
pub struct Histories {
    offsets: Vec<u32>,
    rows: Vec<u32>,
}

impl Histories {
    /// # Panics
    /// On more than 2³²−1 purchases.
    pub fn of(dataset: &Dataset) -> Self {
        let purchases = &dataset.purchases;
        let rank = article_ranks(dataset);
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
        let key = |row: &u32| (purchases.time[*row as usize], rank[purchases.article[*row as usize] as usize], *row);
        for pair in offsets.windows(2) {
            rows[pair[0] as usize..pair[1] as usize].sort_unstable_by_key(key);
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

    /// For every purchase, how many of its customer's earlier purchases were known just before it. Where times are
    /// days, purchases of the same day are one basket and don't know each other.
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

/// Position of every article in the order of ids: as numbers where all are whole numbers, else as text.
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
