//! Popularity by the shop's own purchases: counted now and then from all of them, kept up to date
//! by events in between, laid over every catalogue that is served.
//!
//! What was imported or told is popular at once, whatever the models were trained on. A database
//! that is away or too slow costs nothing but age: the last count stays, and before the first one
//! popularity is that of the bundles.

use super::PopularityConfig;
use crate::{
    domain::{ArticleId, IdTable, Timestamp},
    recommend::{Catalogue, Signals},
    statistics::Statistics,
    store::{ArticleSales, EventLine, EventPage, PurchaseLog, SalesWindow},
};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// A count of all sales.
#[derive(Debug, Clone)]
pub struct Sales {
    ids: Arc<IdTable>,
    /// By article: each purchase counts `2^((at − counted from) / half-life)`, which no later
    /// purchase changes.
    sums: Arc<Vec<f64>>,
    counted_from: Timestamp,
    /// Of the latest purchase, which counts 1.
    latest: Timestamp,
    half_life_days: f64,
    /// Whether it is of at least [`SalesWindow::MANY`] purchases.
    large: bool,
    /// `None` for the quick count of the start.
    statistics: Option<Arc<Statistics>>,
    /// Revision of the imported purchases that were counted.
    purchases: i64,
    /// Revision of the events up to which all are counted; `None`: it is not known which are.
    events: Option<i64>,
    counted: Instant,
}

/// Articles unknown to the catalogue that events may add to a count: whoever has a public key could
/// make up any number.
const UNKNOWN_ARTICLES: usize = 10_000;

/// Days without a purchase after which a shop may have begun anew.
const LONG_GAP_DAYS: u32 = 28;

/// The latest count, and how counting is configured.
#[derive(Debug)]
pub(super) struct SalesCounter {
    config: Option<PopularityConfig>,
    latest: Mutex<Option<Arc<Sales>>>,
    recounted: Notify,
    /// Whether all purchases were counted once, or could not be.
    tried: AtomicBool,
}

impl SalesCounter {
    pub(super) fn new(config: Option<PopularityConfig>) -> Self {
        Self { config, latest: Mutex::default(), recounted: Notify::new(), tried: false.into() }
    }

    pub(super) fn latest(&self) -> Option<Arc<Sales>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn config(&self) -> Option<&PopularityConfig> {
        self.config.as_ref()
    }

    /// Whether the first count of all purchases has still to end.
    pub(super) fn is_first(&self) -> bool {
        self.config.is_some() && !self.tried.load(Ordering::Relaxed)
    }

    pub(super) fn end_first(&self) {
        self.tried.store(true, Ordering::Relaxed);
    }

    /// When the sales must be counted again although nothing was imported.
    pub(super) fn refresh(&self) -> Duration {
        self.config.as_ref().map_or(Duration::MAX, |config| config.refresh)
    }

    /// How to count all, if the latest count is not of these imports or too old.
    pub(super) fn due(&self, purchases: i64) -> Option<&PopularityConfig> {
        let config = self.config.as_ref()?;
        let current = self.latest().is_some_and(|latest| {
            latest.statistics.is_some()
                && latest.purchases == purchases
                && latest.counted.elapsed() < config.refresh
        });
        (!current).then_some(config)
    }

    pub(super) fn keep(&self, sales: Sales) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(sales));
        self.recounted.notify_one();
    }

    /// Keeps what was made from `before`, unless all was counted again meanwhile; answers what is
    /// kept.
    pub(super) fn replace(&self, before: &Arc<Sales>, sales: Sales) -> Arc<Sales> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *latest {
            Some(latest) if !Arc::ptr_eq(latest, before) => latest.clone(),
            latest => latest.insert(Arc::new(sales)).clone(),
        }
    }

    /// Waits until all was counted again.
    pub(super) async fn recounted(&self) {
        self.recounted.notified().await;
    }
}

impl Sales {
    /// What the database counted.
    pub(super) fn counted(sales: Vec<ArticleSales>, purchases: i64) -> Self {
        let ids: IdTable = sales.iter().map(|article| article.article.as_str()).collect();
        Self {
            ids: Arc::new(ids),
            sums: Arc::new(sales.into_iter().map(|article| f64::from(article.sales)).collect()),
            counted_from: Timestamp(0),
            latest: Timestamp(0),
            half_life_days: 1.0,
            large: false,
            statistics: None,
            purchases,
            events: None,
            counted: Instant::now(),
        }
    }

    /// Counts all purchases. Takes seconds for millions.
    pub(super) fn of(log: PurchaseLog, half_life_days: f64, purchases: i64) -> Self {
        let ids: IdTable = log.articles.iter().map(ArticleId::as_str).collect();
        let latest = Timestamp(log.until.0.saturating_sub(1));
        let mut sales = Self {
            ids: Arc::new(ids),
            sums: Arc::default(),
            counted_from: latest,
            latest,
            half_life_days,
            large: log.purchases.len() >= SalesWindow::MANY,
            statistics: None,
            purchases,
            events: Some(log.events),
            counted: Instant::now(),
        };
        let mut sums = vec![0.0; log.articles.len()];
        for purchase in log.purchases.iter().chain(&log.returns) {
            sums[purchase.article as usize] +=
                f64::from(purchase.weight) * sales.worth(purchase.at);
        }
        sales.sums = Arc::new(sums);
        let statistics =
            Statistics::count(log.articles.len(), log.purchases, log.until).with_views(log.views);
        sales.statistics = Some(Arc::new(statistics));
        sales
    }

    /// Revision of the events up to which all are counted; `None` where it is not known which are.
    pub(super) fn events(&self) -> Option<i64> {
        self.events
    }

    /// What a purchase of this moment counts.
    fn worth(&self, at: Timestamp) -> f64 {
        let days = (f64::from(at.0) - f64::from(self.counted_from.0)) / f64::from(Timestamp::DAY);
        (days / self.half_life_days).exp2()
    }

    /// When a purchase counts as made: long after all others of a large shop, it counts as the last
    /// of them, until the next count of all decides; see [`SalesWindow::now`].
    fn counting_moment(&self, at: Timestamp) -> Timestamp {
        let gap = at.0.saturating_sub(self.counted_from.0) > LONG_GAP_DAYS * Timestamp::DAY;
        if gap && self.large { self.counted_from } else { at }
    }

    /// Adds the lines of a page that are not counted yet; answers whether there were any. The page
    /// goes on where this count ends, or begins before that.
    pub(super) fn add_page(&mut self, page: &EventPage, catalogue: Option<&Catalogue>) -> bool {
        let seen = self.events.unwrap_or(i64::MAX);
        let new = page.lines.iter().filter(|line| line.revision > seen && line.counts != 0.0);
        let most = self.statistics.as_ref().map_or(0, |statistics| statistics.articles.len())
            + UNKNOWN_ARTICLES;
        let mut any = false;
        for line in new {
            any |= self.add(line, catalogue, most);
        }
        self.events = self.events.map(|events| events.max(page.revision));
        any
    }

    fn add(&mut self, line: &EventLine, catalogue: Option<&Catalogue>, most: usize) -> bool {
        let Some(id) = line.article.as_ref().map(ArticleId::as_str) else { return false };
        let known = self.ids.find(id);
        let may_be_new =
            self.ids.len() < most || catalogue.is_some_and(|catalogue| catalogue.row(id).is_some());
        let article = match known {
            Some(article) => article,
            None if may_be_new => Arc::make_mut(&mut self.ids).insert(id),
            None => return false,
        };
        let at = self.counting_moment(line.at.timestamp());
        let worth = f64::from(line.counts) * self.worth(at);
        let sums = Arc::make_mut(&mut self.sums);
        sums.resize(self.ids.len(), 0.0);
        sums[article as usize] += worth;
        self.latest = self.latest.max(at);
        if let Some(statistics) = &mut self.statistics {
            let statistics = Arc::make_mut(statistics);
            statistics.make_room(self.ids.len());
            if line.counts > 0.0 {
                statistics.add(article, at);
            }
        }
        true
    }

    /// How well an article sells; 0 without a purchase.
    pub(super) fn of_article(&self, article_id: &str) -> f32 {
        let sum = self.ids.find(article_id).and_then(|article| self.sums.get(article as usize));
        sum.map_or(0.0, |sum| (sum / self.worth(self.latest)).max(0.0) as f32)
    }

    /// The catalogue with these sales.
    pub(super) fn over(&self, catalogue: &Catalogue) -> Catalogue {
        catalogue.with_sales(|id| self.of_article(id))
    }

    /// What the purchases say of the articles of a catalogue; `before`: what they said so far.
    pub(super) fn signals(
        &self,
        before: Option<&Signals>,
        catalogue: &Catalogue,
    ) -> Option<Signals> {
        let statistics = self.statistics.clone()?;
        Some(match before {
            Some(before) => before.with_statistics(statistics, &self.ids, catalogue),
            None => Signals::over(statistics, self.ids.clone(), catalogue),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        statistics::{ArticleStatistics, Purchase},
        store::Millis,
    };

    const DAY: u32 = Timestamp::DAY;

    fn article(id: &str) -> ArticleId {
        ArticleId::parse(id).unwrap()
    }

    fn log(purchases: &[(u32, u32, f32)], events: i64) -> PurchaseLog {
        let until = purchases.iter().map(|purchase| purchase.1 + 1).max().unwrap_or(0);
        let purchases = purchases.iter().zip(0..).map(|(&(article, at, weight), customer)| {
            Purchase { customer, article, at: Timestamp(at), weight }
        });
        PurchaseLog {
            articles: ["a", "b", "c"].map(article).into(),
            purchases: purchases.collect(),
            until: Timestamp(until),
            events,
            ..PurchaseLog::default()
        }
    }

    fn page(lines: &[(i64, &str, u32, f32)]) -> EventPage {
        let line = |&(revision, id, at, counts): &(i64, &str, u32, f32)| EventLine {
            revision,
            kind: if counts < 0.0 { "return" } else { "purchase" }.into(),
            at: Millis(i64::from(at) * 1_000),
            customer: None,
            visitor: None,
            article: Some(article(id)),
            counts,
        };
        let revision = lines.iter().map(|line| line.0).max().unwrap_or(0);
        EventPage { lines: lines.iter().map(line).collect(), revision, more: false }
    }

    /// One by one or all at once, late ones and pages that overlap included: the same.
    #[test]
    fn sales_that_follow_events_equal_those_of_a_recount() {
        let old = [(0, 100 * DAY, 1.0), (1, 93 * DAY, 3.0)];
        let told = [
            (0, 100 * DAY + 10, 2.0),
            (2, 99 * DAY, 1.0),
            (1, 103 * DAY, 1.0),
            (1, 102 * DAY, 4.0),
        ];
        let ids = ["a", "b", "c"];
        let mut followed = Sales::of(log(&old, 7), 7.0, 1);
        let mut revision = 8;
        for &(of, at, counts) in &told {
            let again = (revision - 1, "a", at, 5.0);
            followed.add_page(&page(&[again, (revision, ids[of as usize], at, counts)]), None);
            revision += 1;
        }
        let recounted = Sales::of(log(&[&old[..], &told].concat(), revision), 7.0, 1);
        for id in ids {
            let (one, other) = (followed.of_article(id), recounted.of_article(id));
            assert!((one - other).abs() <= 1e-5 * other, "{id}: {one} is not {other}");
        }
        let sold = |sales: &Sales| -> Vec<_> {
            let statistics = sales.statistics.as_ref().unwrap();
            statistics
                .articles
                .iter()
                .map(|article| {
                    // The windows of a day or three end where all was counted last.
                    (article.sold[ArticleStatistics::WEEK..].to_vec(), article.first, article.last)
                })
                .collect()
        };
        assert_eq!(sold(&followed), sold(&recounted));
    }

    #[test]
    fn the_first_purchase_after_a_long_time_makes_nothing_old() {
        let old: Vec<_> = (0..10_000).map(|nth| (nth % 2, (100 - nth % 3) * DAY, 1.0)).collect();
        let mut sales = Sales::of(log(&old, 0), 7.0, 1);
        let before = [sales.of_article("a"), sales.of_article("b")];
        sales.add_page(&page(&[(1, "c", 900 * DAY, 1.0)]), None);
        assert_eq!([sales.of_article("a"), sales.of_article("b")], before);
        assert_eq!(sales.of_article("c"), 1.0);
    }

    #[test]
    fn what_comes_back_is_taken_off_and_never_below_nothing() {
        let mut sales = Sales::of(log(&[(0, 100 * DAY, 2.0)], 0), 7.0, 1);
        sales.add_page(&page(&[(1, "a", 100 * DAY, -1.0), (1, "b", 100 * DAY, -1.0)]), None);
        assert_eq!((sales.of_article("a"), sales.of_article("b")), (1.0, 0.0));
    }

    #[test]
    fn a_recount_wins_over_what_was_made_from_the_count_before_it() {
        let counter = SalesCounter::new(None);
        counter.keep(Sales::of(log(&[], 0), 7.0, 1));
        let before = counter.latest().unwrap();
        let mut next = Sales::clone(&before);
        assert!(next.add_page(&page(&[(1, "a", DAY, 1.0)]), None));
        counter.keep(Sales::of(log(&[], 1), 7.0, 2));
        let recounted = counter.replace(&before, next.clone());
        assert_eq!((recounted.of_article("a"), recounted.events()), (0.0, Some(1)));
        assert_eq!(counter.replace(&recounted, next).of_article("a"), 1.0);
    }

    #[test]
    fn articles_that_somebody_makes_up_fill_no_memory() {
        let mut sales = Sales::of(log(&[], 0), 7.0, 1);
        let names: Vec<String> = (0..2 * UNKNOWN_ARTICLES).map(|n| format!("made-up{n}")).collect();
        let lines: Vec<_> = names.iter().map(|name| (1, name.as_str(), DAY, 1.0)).collect();
        sales.add_page(&page(&lines), None);
        assert_eq!(sales.ids.len(), 3 + UNKNOWN_ARTICLES);
    }
}
