//! Popularity by the shop's own purchases: counted by the database, kept here, laid over every
//! catalogue that is served.
//!
//! What was imported is popular at once, whatever the models were trained on. A database that is
//! away or too slow costs nothing but age: the last count stays, and before the first one
//! popularity is that of the bundles.

use super::PopularityConfig;
use crate::{
    domain::{ArticleId, IdTable},
    recommend::{Catalogue, Signals},
    statistics::Statistics,
    store::{ArticleSales, PurchaseLog},
};
use hashbrown::HashMap;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A count of all sales.
#[derive(Debug)]
pub struct Sales {
    by_article: HashMap<String, f32>,
    /// Revision of the purchases that were counted.
    revision: i64,
    counted: Instant,
}

/// What the purchases say of the articles with these ids.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) ids: Arc<IdTable>,
    pub(super) statistics: Arc<Statistics>,
}

/// The latest count, and how counting is configured.
#[derive(Debug)]
pub(super) struct SalesCounter {
    config: Option<PopularityConfig>,
    latest: Mutex<Option<Arc<Sales>>>,
    statistics: Mutex<Option<Arc<Counted>>>,
}

impl SalesCounter {
    pub(super) fn new(config: Option<PopularityConfig>) -> Self {
        Self { config, latest: Mutex::default(), statistics: Mutex::default() }
    }

    pub(super) fn statistics(&self) -> Option<Arc<Counted>> {
        self.statistics.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn keep_statistics(&self, counted: Counted) {
        *self.statistics.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(counted));
    }

    pub(super) fn latest(&self) -> Option<Arc<Sales>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn config(&self) -> Option<&PopularityConfig> {
        self.config.as_ref()
    }

    /// When the sales must be counted again although nothing was imported.
    pub(super) fn refresh(&self) -> Duration {
        self.config.as_ref().map_or(Duration::MAX, |config| config.refresh)
    }

    /// How to count, if the latest count is not of this revision or too old.
    pub(super) fn due(&self, revision: i64) -> Option<&PopularityConfig> {
        let config = self.config.as_ref()?;
        let latest = self.latest();
        let current =
            latest.is_some_and(|latest| latest.revision == revision && latest.counted.elapsed() < config.refresh);
        (!current).then_some(config)
    }

    pub(super) fn keep(&self, sales: Sales) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(sales));
    }
}

impl Counted {
    pub(super) fn of(log: PurchaseLog) -> Self {
        let ids: IdTable = log.articles.iter().map(ArticleId::as_str).collect();
        let statistics = Statistics::count(log.articles.len(), log.purchases, log.until);
        Self { ids: Arc::new(ids), statistics: Arc::new(statistics) }
    }

    pub(super) fn over(&self, catalogue: &Catalogue) -> Signals {
        Signals::over(self.statistics.clone(), self.ids.clone(), catalogue)
    }
}

impl Sales {
    pub(super) fn new(counted: Vec<ArticleSales>, revision: i64) -> Self {
        let by_article = counted.into_iter().map(|article| (article.article.as_str().to_owned(), article.sales));
        Self { by_article: by_article.collect(), revision, counted: Instant::now() }
    }

    /// How well an article sells; 0 without a purchase.
    pub(super) fn of(&self, article_id: &str) -> f32 {
        self.by_article.get(article_id).copied().unwrap_or(0.0)
    }

    /// The catalogue with these sales.
    pub(super) fn over(&self, catalogue: &Catalogue) -> Catalogue {
        catalogue.with_sales(|id| self.of(id))
    }
}
