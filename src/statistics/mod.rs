//! What a shop's purchases say about its articles, as of a moment: how often each sold lately, who
//! buys it again and when, what is bought together. The same counts feed the sources and the
//! ranker, when a server answers and when lists of past moments are made for training.

mod articles;
pub(crate) mod ease;
mod neighbours;

pub use articles::ArticleStatistics;
pub use neighbours::{NearestArticles, Neighbours};

use crate::domain::Timestamp;
use std::sync::Arc;

/// A purchase, with running numbers for customer and article.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Purchase {
    pub customer: u32,
    pub article: u32,
    pub at: Timestamp,
    /// How much it counts; above 0.
    pub weight: f32,
}

/// Counts of all articles as of one moment.
#[derive(Debug, Clone, Default)]
pub struct Statistics {
    /// What was bought at this moment or later is not counted.
    pub at: Timestamp,
    /// By article.
    pub articles: Vec<ArticleStatistics>,
    /// Days from one purchase of an article to the customer's next of it, on average over all.
    pub mean_gap: f32,
    /// Articles bought by one customer on one day.
    pub together: Arc<Neighbours>,
    /// Articles bought by the same customers.
    pub similar: Arc<Neighbours>,
    /// What customers buy who bought an article, by the weights of EASE; only the articles that most
    /// customers bought have any.
    pub ease: Arc<Neighbours>,
    /// Articles that customers buy next, as shares of all that they buy then.
    pub following: Arc<Neighbours>,
    /// Articles viewed by one person on one day.
    pub viewed: Arc<Neighbours>,
}

impl Statistics {
    /// Neighbours come from purchases of so many days.
    pub const DAYS: u32 = 180;

    /// Counts the purchases of `articles` articles made before `at`, as of the last of them: after
    /// a day on which the shop was closed, yesterday is the day before.
    ///
    /// # Panics
    /// When an article's number is not below `articles`.
    pub fn count(articles: usize, mut purchases: Vec<Purchase>, at: Timestamp) -> Self {
        purchases.retain(|purchase| purchase.at < at);
        let latest = purchases.iter().map(|purchase| purchase.at).max();
        let at = latest.map_or(at, |latest| Timestamp(latest.0 + 1));
        purchases
            .sort_unstable_by_key(|purchase| (purchase.customer, purchase.article, purchase.at));
        let (counted, mean_gap) = articles::count(articles, &purchases, at);
        let since = at.minus_days(Self::DAYS);
        purchases.retain(|purchase| purchase.at >= since);
        let similar = neighbours::by_customer(articles, &purchases).into();
        let ease = ease::by_customer(articles, &purchases).into();
        purchases.sort_unstable_by_key(|purchase| {
            (purchase.customer, purchase.at.day(), purchase.article)
        });
        let together = neighbours::by_day(articles, &purchases).into();
        // Purchases of one moment have no order: one is drawn, the same every time.
        purchases
            .sort_unstable_by_key(|purchase| (purchase.customer, purchase.at, drawn(purchase)));
        let following = neighbours::following(articles, &purchases).into();
        Self {
            at,
            articles: counted,
            mean_gap,
            together,
            similar,
            ease,
            following,
            viewed: Arc::default(),
        }
    }

    /// The same with what was viewed together. `views` are counted as [`Statistics::count`] counts
    /// purchases.
    #[must_use]
    pub fn with_views(mut self, mut views: Vec<Purchase>) -> Self {
        views.sort_unstable_by_key(|view| (view.customer, view.at.day(), view.article));
        self.viewed = neighbours::by_day(self.articles.len(), &views).into();
        self
    }

    /// The same with a purchase of an article, made lately: how often articles sold follows at
    /// once. Who buys what again and what is bought together waits for the next count of all.
    pub fn add(&mut self, article: u32, at: Timestamp) {
        let now = self.at.max(at);
        self.make_room(article as usize + 1);
        self.articles[article as usize].add(at, now);
    }

    /// Makes sure that there are statistics of so many articles.
    pub fn make_room(&mut self, articles: usize) {
        self.articles.resize(self.articles.len().max(articles), ArticleStatistics::default());
    }
}

/// A number of a customer and an article, in no order (the finaliser of SplitMix64).
fn drawn(purchase: &Purchase) -> u64 {
    let mut bits = u64::from(purchase.customer) << 32 | u64::from(purchase.article);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests;
