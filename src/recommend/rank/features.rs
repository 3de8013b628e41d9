//! What the learned ranker sees of a customer and a candidate, as of the moment of the request. One
//! module for the server and for training, so that both compute the same numbers.

use super::super::{
    Bought, Candidates, Catalogue, Context, Group, RecommendError, Signals,
    sources::neighbours::{lately, tastes},
};
use crate::{domain::Timestamp, statistics::Neighbours};
use hashbrown::HashMap;
use std::hash::Hash;

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
/// The mean gap of an article counts as so many gaps of the customer's own.
const PRIOR_GAPS: f32 = 2.0;

/// Features of the customer and the article. Ages and gaps are in days.
const OF_ARTICLE: [&str; 38] = [
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
    "customer.rows",
    "customer.articles",
    "customer.rows_90",
    "customer.visits",
    "customer.last_visit",
    "customer.gap",
    "together",
    "similar",
    "article.found_by",
];
/// Features of each attribute.
const OF_ATTRIBUTE: [&str; 6] = ["share", "decayed_90", "decayed_30", "last", "due", "within"];

impl FeatureSet {
    /// The name of every feature, in their order.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = OF_ARTICLE.map(str::to_owned).into();
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
        OF_ARTICLE.len() + OF_ATTRIBUTE.len() * self.attributes.len() + self.sources.len()
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
        let similar = affinities(signals, &tables.similar, &tastes(context), candidates);
        let attributes: Vec<ByValue<'_>> = self
            .attributes
            .iter()
            .filter_map(|name| ByValue::of(catalogue, name, context))
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
            let own = customer.articles.get(&candidate.row);
            for name in &self.attributes {
                let by_value = attributes.iter().find(|by_value| by_value.name == name);
                rows.extend(by_value.map_or_else(missing, |by_value| {
                    by_value.describe(candidate.row, own, &customer, tables.mean_gap)
                }));
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
        "article.trend" => Some(Aspect::Trend),
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
}

impl Own {
    /// The next older purchase.
    fn add(&mut self, bought: &Bought, age: f32) {
        self.rows += 1;
        let day = bought.at.day();
        if self.days > 0 && self.day == day {
            return;
        }
        if self.days == 0 {
            self.last = age;
        }
        (self.day, self.first) = (day, age);
        self.days += 1;
        self.within_28 += u32::from(age <= 28.0);
        self.within_90 += u32::from(age <= 90.0);
        for (sum, half_life) in self.decayed.iter_mut().zip(HALF_LIVES) {
            *sum += (-age / half_life).exp2();
        }
    }

    /// Days from one purchase to the next, the customer's and `usual`.
    fn gap(&self, usual: f32) -> f32 {
        let gaps = self.days.saturating_sub(1) as f32;
        (self.first - self.last + PRIOR_GAPS * usual) / (gaps + PRIOR_GAPS)
    }
}

/// How due something is, last bought so many days ago.
fn due(last: f32, gap: f32) -> f32 {
    (last / gap.max(0.1)).min(NEVER)
}

fn age(at: Timestamp, now: Timestamp) -> f32 {
    now.0.saturating_sub(at.0) as f32 / Timestamp::DAY as f32
}

/// What the customer bought, by what is the same about it.
fn count<K: Hash + Eq>(
    history: &[Bought],
    now: Timestamp,
    key: impl Fn(u32) -> Option<K>,
) -> HashMap<K, Own> {
    let mut counted: HashMap<K, Own> = HashMap::new();
    for bought in history {
        if let Some(key) = key(bought.row) {
            counted.entry(key).or_default().add(bought, age(bought.at, now));
        }
    }
    counted
}

/// The customer's purchases as a whole.
struct Customer {
    articles: HashMap<u32, Own>,
    visits: Own,
    /// Purchases decayed with the half-life of [`QUARTER`].
    decayed: f32,
    rows_90: f32,
    now: Timestamp,
}

impl Customer {
    /// `history` is newest first.
    fn of(history: &[Bought], now: Timestamp) -> Self {
        let mut visits = Own::default();
        history.iter().for_each(|bought| visits.add(bought, age(bought.at, now)));
        let ages = || history.iter().map(|bought| age(bought.at, now));
        Self {
            articles: count(history, now, Some),
            visits,
            decayed: ages().map(|age| (-age / HALF_LIVES[QUARTER]).exp2()).sum(),
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
        let never = Own { last: NEVER, first: NEVER, ..Own::default() };
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
        ]);
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
        ]);
        to.extend([
            self.visits.rows as f32,
            self.articles.len() as f32,
            self.rows_90,
            self.visits.days as f32,
            if self.visits.days == 0 { NEVER } else { self.visits.last },
            self.gap(),
        ]);
        to.extend(near);
    }
}

/// What the customer bought by value of one attribute.
struct ByValue<'a> {
    name: &'a str,
    column: &'a super::super::Column,
    values: HashMap<Group, Own>,
}

impl<'a> ByValue<'a> {
    /// `None` for an attribute that the catalogue lacks.
    fn of(catalogue: &'a Catalogue, name: &'a str, context: &Context<'_>) -> Option<Self> {
        let column = catalogue.column(catalogue.attribute(name)?);
        let values = count(context.history(), context.request.at, |row| column.group(row));
        Some(Self { name, column, values })
    }

    /// The numbers of [`OF_ATTRIBUTE`] for the value of an article; `own`: its own purchases.
    fn describe(
        &self,
        row: u32,
        own: Option<&Own>,
        customer: &Customer,
        usual_gap: f32,
    ) -> [f32; 6] {
        let value = self.column.group(row).and_then(|value| self.values.get(&value));
        let Some(bought) = value else { return missing() };
        let within = own.map_or(0.0, |own| own.decayed[YEAR] / bought.decayed[YEAR].max(1e-6));
        [
            bought.decayed[QUARTER] / customer.decayed.max(1e-6),
            bought.decayed[QUARTER],
            bought.decayed[1],
            bought.last,
            due(bought.last, bought.gap(usual_gap)),
            within,
        ]
    }
}

/// Of a value that the customer never bought.
fn missing() -> [f32; 6] {
    [0.0, 0.0, 0.0, NEVER, NEVER, 0.0]
}
