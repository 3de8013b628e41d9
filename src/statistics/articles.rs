//! How each article sells.

use super::Purchase;
use crate::domain::Timestamp;

/// How an article sells. Counts are of purchases, whatever their quantity.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ArticleStatistics {
    /// Within each of [`Self::WINDOWS`], and of all time.
    pub sold: [u32; Self::WINDOWS.len() + 1],
    /// Purchases of the 7 days that began a year (52 weeks) before the moment.
    pub sold_a_year_ago: u32,
    /// Customers.
    pub buyers: u32,
    /// Customers of the last 28 days.
    pub recent_buyers: u32,
    /// Customers who bought it on more than one day.
    pub rebuyers: u32,
    /// Days between one customer's purchases of it: their sum, and how many there are.
    pub gaps: (f32, u32),
    /// The first and the last purchase; both 0 where there is none.
    pub first: Timestamp,
    pub last: Timestamp,
}

impl ArticleStatistics {
    /// The windows of [`Self::sold`], in days before the moment; its last number has no such end.
    pub const WINDOWS: [u32; 5] = [1, 3, 7, 28, 91];
    /// Places in [`Self::WINDOWS`].
    pub const DAY: usize = 0;
    pub const WEEK: usize = 2;
    pub const MONTH: usize = 3;
    /// How many days' gaps the mean of all articles counts as.
    const PRIOR_GAPS: f32 = 3.0;

    /// How often it sold in a window of that many days; `None` where that window is not counted.
    pub fn sold_within(&self, days: u32) -> Option<u32> {
        Self::WINDOWS.iter().position(|&window| window == days).map(|at| self.sold[at])
    }

    /// How much better it sells in the last week than a week of the last four, as a logarithm: 0
    /// where nothing changes.
    pub fn trend(&self) -> f32 {
        ((self.sold[Self::WEEK] as f32 + 1.0) / (self.sold[Self::MONTH] as f32 / 4.0 + 1.0)).ln()
    }

    /// How many standard deviations more it sold in the last week than a week of the last four (its
    /// sales taken as Poisson distributed); 0 where it sold no more.
    pub fn surprise(&self) -> f32 {
        let usual = self.sold[Self::MONTH] as f32 / 4.0;
        ((self.sold[Self::WEEK] as f32 - usual) / (usual + 1.0).sqrt()).max(0.0)
    }

    /// Days from a purchase to the customer's next one; articles with few such pairs lean on the
    /// mean.
    pub fn gap(&self, mean_gap: f32) -> f32 {
        let (sum, count) = self.gaps;
        (sum + Self::PRIOR_GAPS * mean_gap) / (count as f32 + Self::PRIOR_GAPS)
    }

    /// The share of customers who bought it again, a little towards 5 %.
    pub fn repurchase_rate(&self) -> f32 {
        (self.rebuyers as f32 + 0.1) / (self.buyers as f32 + 2.0)
    }

    pub(super) fn add(&mut self, at: Timestamp, now: Timestamp) {
        let age = now.0.saturating_sub(at.0);
        for (sold, days) in self.sold.iter_mut().zip(Self::WINDOWS) {
            *sold += u32::from(age <= days * Timestamp::DAY);
        }
        self.sold[Self::WINDOWS.len()] += 1;
        let year = 364 * Timestamp::DAY;
        self.sold_a_year_ago += u32::from(age > year && age <= year + 7 * Timestamp::DAY);
        if self.first == Timestamp(0) || at < self.first {
            self.first = at;
        }
        self.last = self.last.max(at);
    }
}

/// Counts purchases, which are sorted by customer, article and time. Answers the mean gap as well.
pub(super) fn count(
    articles: usize,
    purchases: &[Purchase],
    now: Timestamp,
) -> (Vec<ArticleStatistics>, f32) {
    let mut counted = vec![ArticleStatistics::default(); articles];
    for pair in purchases.chunk_by(|a, b| (a.customer, a.article) == (b.customer, b.article)) {
        let article = &mut counted[pair[0].article as usize];
        pair.iter().for_each(|purchase| article.add(purchase.at, now));
        let last = pair[pair.len() - 1].at;
        article.buyers += 1;
        article.recent_buyers += u32::from(last >= now.minus_days(28));
        let mut days = 1;
        for days_of in pair.windows(2).filter(|two| two[0].at.day() != two[1].at.day()) {
            days += 1;
            article.gaps.0 += (days_of[1].at.0 - days_of[0].at.0) as f32 / Timestamp::DAY as f32;
            article.gaps.1 += 1;
        }
        article.rebuyers += u32::from(days > 1);
    }
    let sum: f64 = counted.iter().map(|article| f64::from(article.gaps.0)).sum();
    let count: u64 = counted.iter().map(|article| u64::from(article.gaps.1)).sum();
    (counted, (sum / count.max(1) as f64) as f32)
}
