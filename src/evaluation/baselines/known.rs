//! What a baseline may learn from, and when it was bought.

use crate::{
    dataset::{Case, Dataset, Histories, TimeUnit},
    domain::Timestamp,
};

/// What a baseline may learn from.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    pub dataset: &'a Dataset,
    pub histories: &'a Histories,
    /// Purchase rows, ascending; usually everything before the cases.
    pub train: &'a [u32],
}

/// An article, when it was bought, and how much that counts.
pub(in crate::evaluation) type Bought = (u32, Timestamp, f32);

/// Where only an order is known, a customer's latest purchase is dated this many days after 1970
/// and each purchase before it a day earlier, so that a half-life in days is one in purchases.
const LATEST_DAY: u32 = 40_000;

impl<'a> Known<'a> {
    /// The moment of the purchase after which a customer made so many more, where only an order is
    /// known.
    pub(in crate::evaluation) fn counted_back(purchases: usize) -> Timestamp {
        let days = u32::try_from(purchases).unwrap_or(u32::MAX);
        Timestamp(LATEST_DAY.saturating_sub(days) * Timestamp::DAY)
    }

    /// The purchases to learn from.
    pub(in crate::evaluation) fn bought(self) -> Box<dyn Iterator<Item = Bought> + 'a> {
        let purchases = &self.dataset.purchases;
        if self.dataset.time_unit != TimeUnit::Position {
            return Box::new(self.train.iter().map(|&row| {
                (
                    purchases.article[row as usize],
                    purchases.time[row as usize],
                    purchases.weight_of(row),
                )
            }));
        }
        let mut bought = Vec::with_capacity(self.train.len());
        self.by_customer(|_, rows| {
            let count = rows.len();
            bought.extend(rows.iter().enumerate().map(|(at, &row)| {
                (
                    purchases.article[row as usize],
                    Self::counted_back(count - 1 - at),
                    purchases.weight_of(row),
                )
            }));
        });
        Box::new(bought.into_iter())
    }

    /// The moment of the last purchase to learn from.
    pub(in crate::evaluation) fn now(self) -> Timestamp {
        match (self.dataset.time_unit, self.train.last()) {
            (TimeUnit::Position, _) | (_, None) => Self::counted_back(0),
            (_, Some(&row)) => self.dataset.purchases.time[row as usize],
        }
    }

    /// The first moment after all of them.
    pub fn end(self) -> Timestamp {
        let latest = self.train.iter().map(|&row| self.dataset.purchases.time[row as usize]).max();
        let latest = latest.filter(|_| self.dataset.time_unit != TimeUnit::Position);
        Timestamp(latest.unwrap_or(Self::counted_back(0)).0.saturating_add(1))
    }

    /// What a case knows, oldest first.
    pub(in crate::evaluation) fn history(
        self,
        case: &Case,
    ) -> impl DoubleEndedIterator<Item = Bought> + ExactSizeIterator + 'a {
        let purchases = &self.dataset.purchases;
        let by_position = self.dataset.time_unit == TimeUnit::Position;
        let known = &self.histories.of_customer(case.customer)[..case.known as usize];
        known.iter().enumerate().map(move |(at, &row)| {
            let moment = if by_position {
                Self::counted_back(known.len() - 1 - at)
            } else {
                purchases.time[row as usize]
            };
            (purchases.article[row as usize], moment, purchases.weight_of(row))
        })
    }

    /// The moment of a case on the clock of [`Self::history`].
    pub(in crate::evaluation) fn at(self, case: &Case) -> Timestamp {
        if self.dataset.time_unit == TimeUnit::Position { Self::counted_back(0) } else { case.at }
    }

    /// The articles a case knows, each once, the latest first.
    pub(super) fn latest_articles(self, case: &Case) -> Vec<u32> {
        let mut articles = Vec::new();
        let mut seen = hashbrown::HashSet::new();
        articles.extend(
            self.history(case).rev().map(|bought| bought.0).filter(|&article| seen.insert(article)),
        );
        articles
    }

    /// Visits the training rows of each customer who has any, oldest first.
    pub(in crate::evaluation) fn by_customer(self, mut visit: impl FnMut(u32, &[u32])) {
        let mut learnt = vec![false; self.dataset.purchases.len()];
        self.train.iter().for_each(|&row| learnt[row as usize] = true);
        let mut rows = Vec::new();
        for customer in 0..self.histories.customers() as u32 {
            rows.clear();
            rows.extend(
                self.histories.of_customer(customer).iter().filter(|&&row| learnt[row as usize]),
            );
            if !rows.is_empty() {
                visit(customer, &rows);
            }
        }
    }

    /// The number of articles.
    pub(super) fn articles(self) -> usize {
        self.dataset.articles.len()
    }
}
