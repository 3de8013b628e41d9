//! The shop's statistics, joined to the rows of a catalogue.

use super::{Catalogue, Group, snapshot::NONE};
use crate::{
    domain::IdTable,
    statistics::{ArticleStatistics, Neighbours, Statistics},
};
use hashbrown::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Statistics by catalogue row.
pub struct Signals {
    statistics: Arc<Statistics>,
    /// The ids of the articles of the statistics; `None`: they are the rows of the catalogue.
    ids: Option<Arc<IdTable>>,
    /// Article of each row.
    articles: Vec<u32>,
    /// Row of each article.
    rows: Vec<u32>,
    /// Rows by falling sales within each of the windows, and by how much better they sell lately.
    rankings: Arc<Rankings>,
    by_value: RwLock<HashMap<String, Arc<SalesByValue>>>,
}

#[derive(Default)]
struct Rankings {
    windows: [Vec<u32>; ArticleStatistics::WINDOWS.len()],
    trending: Vec<u32>,
    /// The last day's share of the sales of 28 days.
    day_share: f32,
}

/// What sells by value of an attribute.
pub type SalesByValue = HashMap<Group, ValueSales>;

/// What sells of one value of an attribute.
#[derive(Debug, Default)]
pub struct ValueSales {
    /// The rows that sell best in 28 days, the best first.
    pub best: Vec<u32>,
    /// Purchases of the last day and of 28 days.
    pub day: u32,
    pub month: u32,
}

/// Rows of a ranking: filters and exclusions may take many of them.
const RANKED: usize = 20_000;
/// Rows of [`ValueSales::best`].
const BEST: usize = 100;

impl Signals {
    /// Statistics whose articles are the rows of the catalogue.
    pub fn of_rows(statistics: Arc<Statistics>) -> Self {
        let rows: Vec<u32> = (0..statistics.articles.len() as u32).collect();
        let mut signals = Self {
            statistics,
            ids: None,
            articles: rows.clone(),
            rows,
            rankings: Arc::default(),
            by_value: RwLock::default(),
        };
        signals.rank();
        signals
    }

    /// Statistics of articles with these ids.
    pub fn over(statistics: Arc<Statistics>, ids: Arc<IdTable>, catalogue: &Catalogue) -> Self {
        let rows = vec![NONE; statistics.articles.len()];
        let mut signals = Self {
            statistics,
            ids: Some(ids),
            articles: Vec::new(),
            rows,
            rankings: Arc::default(),
            by_value: RwLock::default(),
        };
        signals.extend(catalogue);
        signals.rank();
        signals
    }

    /// The same over a catalogue that was made from the one before by changes.
    #[must_use]
    pub fn after(&self, catalogue: &Catalogue) -> Self {
        let by_value = self.by_value.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut signals = Self {
            statistics: self.statistics.clone(),
            ids: self.ids.clone(),
            articles: self.articles.clone(),
            rows: self.rows.clone(),
            rankings: self.rankings.clone(),
            by_value: RwLock::new(by_value),
        };
        signals.extend(catalogue);
        signals
    }

    /// The same articles with other statistics; those that are new to the statistics come last.
    #[must_use]
    pub fn with_statistics(
        &self,
        statistics: Arc<Statistics>,
        ids: &Arc<IdTable>,
        catalogue: &Catalogue,
    ) -> Self {
        let same = self.ids.as_ref().is_some_and(|known| Arc::ptr_eq(known, ids));
        if !same || self.articles.len() != catalogue.rows() {
            return Self::over(statistics, ids.clone(), catalogue);
        }
        let mut signals = Self {
            statistics,
            ids: self.ids.clone(),
            articles: self.articles.clone(),
            rows: self.rows.clone(),
            rankings: Arc::default(),
            by_value: RwLock::default(),
        };
        signals.rank();
        signals
    }

    /// Finds the articles of rows that it does not know yet.
    fn extend(&mut self, catalogue: &Catalogue) {
        let Some(ids) = &self.ids else { return };
        for row in self.articles.len() as u32..catalogue.rows() as u32 {
            let article = ids.find(catalogue.id(row)).unwrap_or(NONE);
            if let Some(of_article) = self.rows.get_mut(article as usize) {
                *of_article = row;
            }
            self.articles.push(article);
        }
    }

    fn rank(&mut self) {
        let by = |score: &dyn Fn(ArticleStatistics) -> f32| {
            let mut ranked: Vec<(u32, f32)> =
                self.rows().map(|row| (row, score(self.article(row)))).collect();
            ranked.retain(|&(_, score)| score > 0.0);
            ranked.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            ranked.truncate(RANKED);
            ranked.into_iter().map(|(row, _)| row).collect()
        };
        let windows = std::array::from_fn(|window| by(&|article| article.sold[window] as f32));
        let trending = by(&|article| article.surprise());
        let total = |window: usize| -> u64 {
            let articles = &self.statistics.articles;
            articles.iter().map(|article| u64::from(article.sold[window])).sum()
        };
        let month = total(ArticleStatistics::MONTH).max(1);
        let day_share = total(ArticleStatistics::DAY) as f32 / month as f32;
        self.rankings = Arc::new(Rankings { windows, trending, day_share });
    }

    /// Rows by falling sales within one of [`ArticleStatistics::WINDOWS`], the best of them.
    pub fn ranked(&self, days: u32) -> &[u32] {
        let window = ArticleStatistics::WINDOWS.iter().position(|&window| window == days);
        window.map_or(&[], |window| &self.rankings.windows[window])
    }

    /// The last day's share of what the shop sold in 28 days.
    pub fn day_share(&self) -> f32 {
        self.rankings.day_share
    }

    /// Rows that sell better than they did, the best of them.
    pub fn trending(&self) -> &[u32] {
        &self.rankings.trending
    }

    /// The moment of the statistics and what they say of the whole shop.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// How the article of a row sells.
    pub fn article(&self, row: u32) -> ArticleStatistics {
        self.article_of(row)
            .map_or_else(Default::default, |article| self.statistics.articles[article as usize])
    }

    /// The rows with statistics.
    pub fn rows(&self) -> impl Iterator<Item = u32> + '_ {
        self.rows.iter().copied().filter(|&row| row != NONE)
    }

    fn article_of(&self, row: u32) -> Option<u32> {
        self.articles.get(row as usize).copied().filter(|&article| article != NONE)
    }

    /// Rows near to those of `seeds`, by a table of neighbours; see [`Neighbours::near`].
    pub fn near(
        &self,
        table: &Neighbours,
        seeds: &[(u32, f32)],
        want: usize,
        allowed: impl Fn(u32) -> bool,
    ) -> Vec<(u32, f32)> {
        let seeds = self.seeds(seeds);
        let row = |article: u32| self.rows[article as usize];
        let mut found =
            table.near(&seeds, want, |article| row(article) != NONE && allowed(row(article)));
        found.iter_mut().for_each(|(article, _)| *article = row(*article));
        found
    }

    /// Seeds in the numbers of the statistics, sorted by article, for [`Neighbours::affinity`].
    pub fn seeds(&self, rows: &[(u32, f32)]) -> Vec<(u32, f32)> {
        let known = rows.iter().filter_map(|&(row, weight)| Some((self.article_of(row)?, weight)));
        let mut seeds: Vec<(u32, f32)> = known.collect();
        seeds.sort_unstable_by_key(|seed| seed.0);
        seeds
    }

    /// How near the article of a row is to seeds made by [`Self::seeds`].
    pub fn affinity(&self, table: &Neighbours, seeds: &[(u32, f32)], row: u32) -> f32 {
        self.article_of(row).map_or(0.0, |article| table.affinity(seeds, article))
    }

    /// What sold in the last 28 days by value of an attribute; counted when it is first asked for.
    /// `None` for an attribute that the catalogue lacks or that holds lists.
    pub fn sales_by_value(
        &self,
        catalogue: &Catalogue,
        attribute: &str,
    ) -> Option<Arc<SalesByValue>> {
        if let Some(known) =
            self.by_value.read().unwrap_or_else(PoisonError::into_inner).get(attribute)
        {
            return Some(known.clone());
        }
        let column = catalogue.column(catalogue.attribute(attribute)?);
        if column.kind() == crate::domain::AttributeKind::Texts {
            return None;
        }
        let month = |row: u32| self.article(row).sold[ArticleStatistics::MONTH];
        let mut by_value = SalesByValue::new();
        for row in self.rows().filter(|&row| month(row) > 0) {
            if let Some(value) = column.group(row) {
                let sales = by_value.entry(value).or_default();
                sales.best.push(row);
                sales.month += month(row);
                sales.day += self.article(row).sold[ArticleStatistics::DAY];
            }
        }
        for sales in by_value.values_mut() {
            sales.best.sort_unstable_by_key(|&row| (std::cmp::Reverse(month(row)), row));
            sales.best.truncate(BEST);
        }
        let by_value = Arc::new(by_value);
        let mut known = self.by_value.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(attribute.to_owned(), by_value.clone());
        Some(by_value)
    }
}

impl std::fmt::Debug for Signals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signals({} articles)", self.rows.len())
    }
}
