//! What the learned ranker sees of a customer and a candidate, as of the moment of the request. One
//! module for the server and for training, so that both compute the same numbers.

use super::super::{
    Bought, Candidates, Catalogue, Context, Group, RecommendError, SalesByValue, Signals,
    sources::neighbours::{Ease, lately, tastes},
};
use crate::{
    domain::Timestamp,
    statistics::{ArticleStatistics, Neighbours},
};
use hashbrown::HashMap;
use std::{hash::Hash, sync::Arc};

/// The features of a ranker: those of the customer and the article, those of every attribute, and
/// one for every source of candidates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureSet {
    /// Attributes of one value an article whose purchases are counted by value.
    pub attributes: Vec<String>,
    /// Names of the sources, in their order.
    pub sources: Vec<String>,
}

/// Stands for "never": days that no purchase is old, a gap that nobody waits.
const NEVER: f32 = 1_000.0;
/// Half-lives of a customer's purchases, in days.
const HALF_LIVES: [f32; 4] = [7.0, 30.0, 90.0, 365.0];
/// The half-life that shares are counted with, by its place in [`HALF_LIVES`].
const QUARTER: usize = 2;
const YEAR: usize = 3;
/// What is left of a purchase at each later visit.
const KEPT_BY_VISIT: [f32; 3] = [0.8, 0.9, 0.97];
/// The mean gap of an article counts as so many gaps of the customer's own.
const PRIOR_GAPS: f32 = 2.0;

/// Features of the customer and the article. Ages and gaps are in days.
const OF_ARTICLE: [&str; 48] = [
    "own.days",
    "own.rows",
    "own.last",
    "own.first",
    "own.decayed_7",
    "own.decayed_30",
    "own.decayed_90",
    "own.decayed_365",
    "own.within_28",
    "own.within_90",
    "own.gap",
    "own.due",
    "own.rate",
    "own.share",
    "own.visit_share",
    "own.due_in_visits",
    "own.of_most",
    "own.visits_ago",
    "own.by_visit_80",
    "own.by_visit_90",
    "own.by_visit_97",
    "article.sold_1",
    "article.sold_3",
    "article.sold_7",
    "article.sold_28",
    "article.sold_91",
    "article.sold",
    "article.sold_a_year_ago",
    "article.buyers",
    "article.recent_buyers",
    "article.repurchase_rate",
    "article.gap",
    "article.first_sold",
    "article.last_sold",
    "article.trend",
    "article.trend_1",
    "customer.rows",
    "customer.articles",
    "customer.rows_90",
    "customer.visits",
    "customer.last_visit",
    "customer.gap",
    "customer.repeats",
    "customer.repeat_share",
    "customer.visits_28",
    "together",
    "similar",
    "article.found_by",
];
/// How much EASE expects the article; a feature where it is among the sources.
const EASE: &str = "ease";
/// Features of each attribute: what the customer bought of the article's value, then how the
/// value sells, and the article within it.
const OF_ATTRIBUTE: [&str; 9] = [
    "share",
    "decayed_90",
    "decayed_30",
    "last",
    "due",
    "within",
    "trend_1",
    "part_1",
    "part_1_trend",
];
/// An article's usual part of what its value sells counts as so many purchases of a day.
const PRIOR_OF_PART: f32 = 5.0;

impl FeatureSet {
    /// The name of every feature, in their order.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = OF_ARTICLE.map(str::to_owned).into();
        names.extend(self.has_ease().then(|| EASE.to_owned()));
        for attribute in &self.attributes {
            names.extend(OF_ATTRIBUTE.map(|feature| format!("{attribute}.{feature}")));
        }
        names.extend(
            self.sources.iter().enumerate().map(|(at, source)| format!("rank.{at}.{source}")),
        );
        names
    }

    /// How many numbers a candidate has.
    pub fn width(&self) -> usize {
        OF_ARTICLE.len()
            + usize::from(self.has_ease())
            + OF_ATTRIBUTE.len() * self.attributes.len()
            + self.sources.len()
    }

    fn has_ease(&self) -> bool {
        self.sources.iter().any(|source| source == Ease::NAME)
    }

    /// A row of numbers for every candidate, in their order; all finite.
    ///
    /// # Errors
    /// [`RecommendError::NoStatistics`] before the purchases are counted.
    pub fn rows(
        &self,
        context: &Context<'_>,
        candidates: &Candidates,
    ) -> Result<Vec<f32>, RecommendError> {
        let (signals, catalogue) = (context.shop.signals()?, context.snapshot.catalogue());
        let customer = Customer::of(context.history(), context.request.at);
        let tables = &signals.statistics();
        let together = affinities(signals, &tables.together, &lately(context), candidates);
        let tastes = tastes(context);
        let similar = affinities(signals, &tables.similar, &tastes, candidates);
        let ease = self.has_ease().then(|| affinities(signals, &tables.ease, &tastes, candidates));
        let choices = context.choices();
        let attributes: Vec<ByValue<'_>> = self
            .attributes
            .iter()
            .filter_map(|name| ByValue::of(catalogue, name, context, &choices))
            .collect();
        let most = customer
            .articles
            .values()
            .map(|own| own.decayed[QUARTER])
            .fold(f32::MIN_POSITIVE, f32::max);
        let mut rows = Vec::with_capacity(candidates.list.len() * self.width());
        for (place, candidate) in candidates.list.iter().enumerate() {
            let found = candidates.found(candidate);
            let near = [together[place], similar[place], found.iter().flatten().count() as f32];
            customer.describe(signals, candidate.row, most, near, &mut rows);
            rows.extend(ease.iter().map(|ease| ease[place]));
            let own = customer.articles.get(&candidate.row);
            for name in &self.attributes {
                let by_value = attributes.iter().find(|by_value| by_value.name == name);
                match by_value {
                    Some(by_value) => {
                        let gap = tables.mean_gap;
                        rows.extend(by_value.bought(candidate.row, own, gap));
                        rows.extend(by_value.sold(candidate.row, signals));
                    }
                    None => rows.extend(missing().into_iter().chain([0.0; 3])),
                }
            }
            rows.extend(
                found
                    .iter()
                    .map(|found| found.map_or(0.0, |found| 1.0 / (1.0 + found.rank as f32))),
            );
        }
        Ok(rows)
    }
}

/// What a group of features says, in a merchandiser's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Aspect {
    /// The customer bought the article: how often, how lately, whether it is due again.
    OwnPurchases,
    /// It sells well.
    Sales,
    /// Customers buy it again, and after how long.
    Repurchases,
    /// It sells better than it used to.
    Trend,
    /// It is bought together with the customer's latest purchases.
    BoughtTogether,
    /// Customers of similar taste buy it.
    SimilarTaste,
    /// The customer buys articles of the same attribute.
    Attribute,
    /// Several sources find it, or one ranks it high.
    Sources,
}

impl FeatureSet {
    /// What each feature belongs to: an aspect and its attribute; `None` for what is the same for
    /// all candidates of a list.
    pub(super) fn aspects(&self) -> Vec<Option<(Aspect, Option<&str>)>> {
        let mut aspects: Vec<_> =
            OF_ARTICLE.iter().map(|name| aspect(name).map(|aspect| (aspect, None))).collect();
        aspects.extend(self.has_ease().then_some(Some((Aspect::SimilarTaste, None))));
        for attribute in &self.attributes {
            aspects
                .extend(OF_ATTRIBUTE.map(|_| Some((Aspect::Attribute, Some(attribute.as_str())))));
        }
        aspects.extend(self.sources.iter().map(|_| Some((Aspect::Sources, None))));
        aspects
    }
}

fn aspect(feature: &str) -> Option<Aspect> {
    match feature {
        "together" => Some(Aspect::BoughtTogether),
        "similar" => Some(Aspect::SimilarTaste),
        "article.found_by" => Some(Aspect::Sources),
        "article.trend" | "article.trend_1" => Some(Aspect::Trend),
        "article.repurchase_rate" | "article.gap" => Some(Aspect::Repurchases),
        name if name.starts_with("own.") => Some(Aspect::OwnPurchases),
        name if name.starts_with("article.") => Some(Aspect::Sales),
        _ => None,
    }
}

/// How near each candidate is to the seeds.
fn affinities(
    signals: &Signals,
    table: &Neighbours,
    seeds: &[(u32, f32)],
    candidates: &Candidates,
) -> Vec<f32> {
    let places: HashMap<u32, usize> = candidates
        .list
        .iter()
        .enumerate()
        .map(|(place, candidate)| (candidate.row, place))
        .collect();
    let mut near = vec![0.0; candidates.list.len()];
    for (row, score) in signals.near(table, seeds, usize::MAX, |row| places.contains_key(&row)) {
        if let Some(&place) = places.get(&row) {
            near[place] = score;
        }
    }
    near
}

/// One customer's purchases of an article, or of articles that share a value. What is bought on one
/// day counts once.
#[derive(Debug, Clone, Copy, Default)]
struct Own {
    days: u32,
    rows: u32,
    /// Ages.
    last: f32,
    first: f32,
    decayed: [f32; HALF_LIVES.len()],
    within_28: u32,
    within_90: u32,
    day: u32,
    /// Visits since the last purchase.
    visits_ago: u32,
    by_visit: [f32; KEPT_BY_VISIT.len()],
}

impl Own {
    /// The next older purchase, made so many visits ago.
    fn add(&mut self, bought: &Bought, age: f32, visits_ago: u32) {
        self.rows += 1;
        let day = bought.at.day();
        if self.days > 0 && self.day == day {
            return;
        }
        if self.days == 0 {
            (self.last, self.visits_ago) = (age, visits_ago);
        }
        (self.day, self.first) = (day, age);
        self.days += 1;
        self.within_28 += u32::from(age <= 28.0);
        self.within_90 += u32::from(age <= 90.0);
        for (sum, half_life) in self.decayed.iter_mut().zip(HALF_LIVES) {
            *sum += (-age / half_life).exp2();
        }
        for (sum, kept) in self.by_visit.iter_mut().zip(KEPT_BY_VISIT) {
            *sum += kept.powi(visits_ago as i32);
        }
    }

    /// Days from one purchase to the next, the customer's and `usual`.
    fn gap(&self, usual: f32) -> f32 {
        let gaps = self.days.saturating_sub(1) as f32;
        (self.first - self.last + PRIOR_GAPS * usual) / (gaps + PRIOR_GAPS)
    }
}

/// How much better something sells in the last day than it usually would, as a logarithm.
fn day_trend(sold: u32, usual: f32) -> f32 {
    ((sold as f32 + 0.5) / (usual + 0.5)).ln()
}

/// How due something is, last bought so many days ago.
fn due(last: f32, gap: f32) -> f32 {
    (last / gap.max(0.1)).min(NEVER)
}

fn age(at: Timestamp, now: Timestamp) -> f32 {
    now.0.saturating_sub(at.0) as f32 / Timestamp::DAY as f32
}

/// Purchases with the number of visits after each. A visit is a day with purchases.
fn by_visit(history: &[Bought]) -> impl Iterator<Item = (u32, &Bought)> {
    let visits = history.chunk_by(|a, b| a.at.day() == b.at.day());
    (0..).zip(visits).flat_map(|(ago, visit)| visit.iter().map(move |bought| (ago, bought)))
}

/// What the customer bought, by what is the same about it.
fn count<K: Hash + Eq>(
    history: &[Bought],
    now: Timestamp,
    key: impl Fn(u32) -> Option<K>,
) -> HashMap<K, Own> {
    let mut counted: HashMap<K, Own> = HashMap::new();
    for (visits_ago, bought) in by_visit(history) {
        if let Some(key) = key(bought.row) {
            counted.entry(key).or_default().add(bought, age(bought.at, now), visits_ago);
        }
    }
    counted
}

/// Purchases, decayed with the half-life of [`QUARTER`].
fn decayed(history: &[Bought], now: Timestamp) -> f32 {
    history.iter().map(|bought| (-age(bought.at, now) / HALF_LIVES[QUARTER]).exp2()).sum()
}

/// The customer's purchases as a whole.
struct Customer {
    articles: HashMap<u32, Own>,
    visits: Own,
    /// Purchases decayed with the half-life of [`QUARTER`].
    decayed: f32,
    rows_90: f32,
    /// Of the last 90 days, one an article and day: all, and those of articles bought before.
    bought_90: f32,
    repeats_90: f32,
    now: Timestamp,
}

impl Customer {
    /// `history` is newest first.
    fn of(history: &[Bought], now: Timestamp) -> Self {
        let mut visits = Own::default();
        for (visits_ago, bought) in by_visit(history) {
            visits.add(bought, age(bought.at, now), visits_ago);
        }
        let ages = || history.iter().map(|bought| age(bought.at, now));
        let articles = count(history, now, Some);
        let (mut bought_90, mut repeats_90) = (0, 0);
        for own in articles.values() {
            bought_90 += own.within_90;
            repeats_90 += own.within_90 - u32::from(own.first <= 90.0);
        }
        Self {
            articles,
            bought_90: bought_90 as f32,
            repeats_90: repeats_90 as f32,
            visits,
            decayed: decayed(history, now),
            rows_90: ages().filter(|&age| age <= 90.0).count() as f32,
            now,
        }
    }

    /// Days between visits.
    fn gap(&self) -> f32 {
        match self.visits.days {
            0 | 1 => NEVER,
            days => (self.visits.first - self.visits.last) / (days - 1) as f32,
        }
    }

    /// The numbers of [`OF_ARTICLE`].
    fn describe(&self, signals: &Signals, row: u32, most: f32, near: [f32; 3], to: &mut Vec<f32>) {
        let article = signals.article(row);
        let article_gap = article.gap(signals.statistics().mean_gap);
        let usual_day = article.sold[ArticleStatistics::MONTH] as f32 * signals.day_share();
        let never = Own { last: NEVER, first: NEVER, visits_ago: NEVER as u32, ..Own::default() };
        let known = self.articles.get(&row);
        let own = known.copied().unwrap_or(never);
        let gap = match known {
            Some(own) => own.gap(article_gap),
            None => article_gap,
        };
        let visits = self.visits.days.max(1) as f32;
        to.extend([own.days as f32, own.rows as f32, own.last, own.first]);
        to.extend(own.decayed);
        to.extend([own.within_28 as f32, own.within_90 as f32, gap, due(own.last, gap)]);
        to.extend([
            own.days as f32 / own.first.max(14.0),
            own.decayed[QUARTER] / self.decayed.max(1e-6),
            own.days as f32 / visits,
            due(own.last, self.gap().max(0.5)),
            own.decayed[QUARTER] / most,
            own.visits_ago as f32,
        ]);
        to.extend(own.by_visit);
        to.extend(article.sold.map(|sold| sold as f32));
        to.extend([
            article.sold_a_year_ago as f32,
            article.buyers as f32,
            article.recent_buyers as f32,
            article.repurchase_rate(),
            article_gap,
            age(article.first, self.now).min(10.0 * NEVER),
            age(article.last, self.now).min(NEVER),
            article.trend(),
            day_trend(article.sold[ArticleStatistics::DAY], usual_day),
        ]);
        to.extend([
            self.visits.rows as f32,
            self.articles.len() as f32,
            self.rows_90,
            self.visits.days as f32,
            if self.visits.days == 0 { NEVER } else { self.visits.last },
            self.gap(),
            self.repeats_90,
            (self.repeats_90 + 3.0) / (self.bought_90 + 10.0),
            self.visits.within_28 as f32,
        ]);
        to.extend(near);
    }
}

/// What the customer bought, or else is interested in, by value of one attribute.
struct ByValue<'a> {
    name: &'a str,
    column: &'a super::super::Column,
    values: HashMap<Group, Own>,
    /// All choices, decayed with the half-life of [`QUARTER`].
    decayed: f32,
    sales: Option<Arc<SalesByValue>>,
}

impl<'a> ByValue<'a> {
    /// `None` for an attribute that the catalogue lacks.
    fn of(
        catalogue: &'a Catalogue,
        name: &'a str,
        context: &Context<'_>,
        choices: &[Bought],
    ) -> Option<Self> {
        let column = catalogue.column(catalogue.attribute(name)?);
        let values = count(choices, context.request.at, |row| column.group(row));
        let decayed = decayed(choices, context.request.at);
        let sales = context.shop.signals().ok()?.sales_by_value(catalogue, name);
        Some(Self { name, column, values, decayed, sales })
    }

    /// What the customer bought of an article's value; `own`: of the article.
    fn bought(&self, row: u32, own: Option<&Own>, usual_gap: f32) -> [f32; 6] {
        let value = self.column.group(row).and_then(|value| self.values.get(&value));
        let Some(bought) = value else { return missing() };
        let within = own.map_or(0.0, |own| own.decayed[YEAR] / bought.decayed[YEAR].max(1e-6));
        [
            bought.decayed[QUARTER] / self.decayed.max(1e-6),
            bought.decayed[QUARTER],
            bought.decayed[1],
            bought.last,
            due(bought.last, bought.gap(usual_gap)),
            within,
        ]
    }

    /// How an article's value sells, and the article within it.
    fn sold(&self, row: u32, signals: &Signals) -> [f32; 3] {
        let sales = self.column.group(row).and_then(|value| self.sales.as_ref()?.get(&value));
        let Some(sales) = sales else { return [0.0; 3] };
        let sold = signals.article(row).sold;
        let usual = (sold[ArticleStatistics::MONTH] as f32 + 0.1) / (sales.month as f32 + 1.0);
        let part = (sold[ArticleStatistics::DAY] as f32 + PRIOR_OF_PART * usual)
            / (sales.day as f32 + PRIOR_OF_PART);
        let trend = day_trend(sales.day, sales.month as f32 * signals.day_share());
        [trend, part, (part / usual).ln()]
    }
}

/// Of a value that the customer never bought.
fn missing() -> [f32; 6] {
    [0.0, 0.0, 0.0, NEVER, NEVER, 0.0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_has_a_name_and_an_aspect() {
        for sources in [vec!["popular"], vec!["ease", "popular"]] {
            let sources: Vec<String> = sources.into_iter().map(str::to_owned).collect();
            let set = FeatureSet { attributes: vec!["category".to_owned()], sources };
            let (names, aspects) = (set.names(), set.aspects());
            assert_eq!((names.len(), aspects.len()), (set.width(), set.width()));
            let of = |name: &str| aspects[names.iter().position(|known| known == name).unwrap()];
            assert_eq!(of("similar"), Some((Aspect::SimilarTaste, None)));
            assert_eq!(of("category.share"), Some((Aspect::Attribute, Some("category"))));
            assert_eq!(of(names.last().unwrap()), Some((Aspect::Sources, None)));
            if names.contains(&EASE.to_owned()) {
                assert_eq!(of(EASE), Some((Aspect::SimilarTaste, None)));
            }
        }
    }
}
