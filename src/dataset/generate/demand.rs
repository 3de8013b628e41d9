//! What the shop sells in each week: the calendar, the seasons of the shelves, and the articles on
//! sale with their weights.

use super::{
    catalogue::{Article, Bucket, Catalogue},
    random::{Purpose, normal, stream},
    vocabulary::GARMENTS,
};
use crate::domain::Timestamp;
use rayon::prelude::*;

/// Last day of every generated shop: 2020-09-22.
pub(super) const LAST_DAY: u32 = 18_527;

/// Sales a day by month (February = 1), and by day of the week from Monday.
const MONTHS: [f32; 12] = [1.05, 1.0, 1.1, 1.3, 1.45, 1.66, 1.6, 1.25, 1.12, 1.14, 1.05, 1.0];
const WEEKDAYS: [f32; 7] = [0.94, 0.86, 1.08, 1.08, 1.03, 1.06, 0.95];

/// How strongly the luck of an article changes from week to week (log), and how much of it stays.
const SHOCK: f32 = 1.0;
const SHOCK_STAYS: f32 = 0.3;

/// One article on sale in one week and bucket.
#[derive(Debug, Clone, Copy, Default)]
struct Offer {
    article: u32,
    /// Running sum of the weights within the bucket and week.
    sum: f32,
}

/// The demand side of the shop, by day and by week (of seven days from the first day).
#[derive(Debug)]
pub(super) struct Demand {
    pub days: u32,
    /// Running share of all sales at the end of each day.
    calendar: Vec<f32>,
    /// Offers of week `w` and bucket `b`: `offers[starts[w * buckets + b]..starts[w * buckets + b +
    /// 1]]`.
    offers: Vec<Offer>,
    starts: Vec<u32>,
    buckets: usize,
    /// Chance that a wish for a bucket is acted upon in a week, by `w * buckets + b`; 0 where
    /// nothing is on sale.
    season: Vec<f32>,
}

impl Demand {
    pub(super) fn new(seed: u64, days: u32, catalogue: &Catalogue) -> Self {
        let weeks = days.div_ceil(7) as usize;
        let buckets = catalogue.buckets.len();
        let lives: Vec<(u32, Vec<f32>)> = (0..catalogue.articles.len())
            .into_par_iter()
            .map(|row| weekly(seed, row, &catalogue.articles[row], weeks as u32))
            .collect();
        let bucket = |row: usize| catalogue.product(row as u32).bucket;
        let mut starts = vec![0u32; weeks * buckets + 1];
        for (row, (first, weights)) in lives.iter().enumerate() {
            for week in 0..weights.len() {
                starts[(*first as usize + week) * buckets + bucket(row) + 1] += 1;
            }
        }
        for slot in 1..starts.len() {
            starts[slot] += starts[slot - 1];
        }
        let mut next = starts.clone();
        let mut offers = vec![Offer::default(); starts[starts.len() - 1] as usize];
        for (row, (first, weights)) in lives.iter().enumerate() {
            for (week, &weight) in weights.iter().enumerate() {
                let slot = (*first as usize + week) * buckets + bucket(row);
                let at = next[slot] as usize;
                let before = if next[slot] == starts[slot] { 0.0 } else { offers[at - 1].sum };
                offers[at] = Offer { article: row as u32, sum: before + weight };
                next[slot] += 1;
            }
        }
        let mut season = vec![0.0; weeks * buckets];
        for (slot, season) in season.iter_mut().enumerate() {
            if starts[slot] < starts[slot + 1] {
                *season = seasonal(
                    &catalogue.buckets[slot % buckets],
                    first_day(days) + (slot / buckets) as u32 * 7 + 3,
                );
            }
        }
        Self { days, calendar: calendar(days), offers, starts, buckets, season }
    }

    /// The day (from 0) at a position 0..1 of all sales.
    pub(super) fn day_at(&self, position: f32) -> u32 {
        self.calendar.partition_point(|&sum| sum <= position).min(self.days as usize - 1) as u32
    }

    /// Chance that a wish for the bucket is acted upon.
    pub(super) fn season(&self, week: usize, bucket: usize) -> f32 {
        self.season[week * self.buckets + bucket]
    }

    /// `count` articles on sale in the bucket, spread evenly over its sales of the week from a
    /// random start: the more an article sells, the more often it comes. None where nothing is on
    /// sale.
    pub(super) fn display(
        &self,
        week: usize,
        bucket: usize,
        count: usize,
        start: f32,
    ) -> impl Iterator<Item = u32> {
        let offers = self.offers(week, bucket);
        let step = offers.last().map_or(0.0, |offer| offer.sum / count as f32);
        let mut from = 0;
        (0..if offers.is_empty() { 0 } else { count }).map(move |place| {
            let at = (place as f32 + start) * step;
            from += offers[from..].partition_point(|offer| offer.sum <= at);
            // Rounding may reach the end.
            from = from.min(offers.len() - 1);
            offers[from].article
        })
    }

    /// Whether the article is on sale in the week.
    pub(super) fn sells(&self, week: usize, bucket: usize, article: u32) -> bool {
        self.offers(week, bucket).binary_search_by_key(&article, |offer| offer.article).is_ok()
    }

    fn offers(&self, week: usize, bucket: usize) -> &[Offer] {
        let slot = week * self.buckets + bucket;
        &self.offers[self.starts[slot] as usize..self.starts[slot + 1] as usize]
    }
}

/// First day of a shop of `days` days, counted from 1970.
pub(super) fn first_day(days: u32) -> u32 {
    LAST_DAY + 1 - days
}

/// The first week an article sells in, and its weight in each week from there.
fn weekly(seed: u64, row: usize, article: &Article, weeks: u32) -> (u32, Vec<f32>) {
    // The second half of the stream numbers: the first belongs to the products.
    let mut rng = stream(seed, Purpose::Article, row as u64 | 1 << 63);
    let first = article.launch.max(0.0).floor();
    if first >= weeks as f32 {
        // A late colour whose launch lies beyond the data: in the catalogue, never sold.
        return (0, Vec::new());
    }
    let end = (article.launch + article.life).clamp(first + 1.0, weeks as f32).ceil();
    let mut luck = SHOCK / (1.0 - SHOCK_STAYS * SHOCK_STAYS).sqrt() * normal(&mut rng);
    let shock = if article.basic { 0.4 * SHOCK } else { SHOCK };
    let weights = (first as u32..end as u32)
        .map(|week| {
            luck = SHOCK_STAYS * luck + shock * normal(&mut rng);
            let age = (week as f32 + 0.5 - article.launch).max(0.0);
            let fade = if article.basic { 0.12 } else { 2.2 * (-age / (0.6 * article.life)).exp() };
            article.appeal * fade * luck.exp()
        })
        .collect();
    (first as u32, weights)
}

/// Sales of a shelf on a day against its best day: 0..1.
fn seasonal(bucket: &Bucket, day: u32) -> f32 {
    let (_, _, _, amplitude, best_month, _) = GARMENTS[bucket.garment];
    let date = Timestamp(day * Timestamp::DAY).datetime();
    let month = f32::from(date.ordinal()) * (12.0 / 365.25);
    let phase = (month - (best_month - 0.5)) * (std::f32::consts::TAU / 12.0);
    (amplitude * (phase.cos() - 1.0)).exp()
}

/// Mean of [`seasonal`] over a year: dividing by it keeps a shelf's yearly sales at its demand.
pub(super) fn mean_season(bucket: &Bucket) -> f32 {
    let days = LAST_DAY - 365..LAST_DAY;
    days.map(|day| seasonal(bucket, day)).sum::<f32>() / 365.0
}

/// Running share of all sales at the end of each day.
fn calendar(days: u32) -> Vec<f32> {
    let mut sum = 0.0f64;
    let sums: Vec<f64> = (0..days)
        .map(|day| {
            let date = Timestamp((first_day(days) + day) * Timestamp::DAY).datetime();
            let month = f64::from(date.ordinal()) * (12.0 / 365.25) - 0.5;
            let (low, high) = (
                (month.floor() as i32).rem_euclid(12) as usize,
                (month.floor() as i32 + 1).rem_euclid(12) as usize,
            );
            let share = month - month.floor();
            let level = f64::from(MONTHS[low]) * (1.0 - share) + f64::from(MONTHS[high]) * share;
            sum += level * f64::from(WEEKDAYS[date.weekday().number_days_from_monday() as usize]);
            sum
        })
        .collect();
    sums.iter().map(|&at| (at / sum) as f32).collect()
}
