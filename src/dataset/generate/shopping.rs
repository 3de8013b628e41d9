//! What customers do in the shop: when they come, what they look at, what they take.
//!
//! A visit is a basket of rows of one day and channel. For each row the customer picks a shelf (own
//! taste, the season, what goes with the row before), looks at some articles drawn by this week's
//! popularity, and takes one by taste. Some rows are a second piece of the same, another colour of
//! it, or something bought before.

use super::{
    catalogue::{Catalogue, STYLE, Style},
    customers::{Crowd, Taste},
    demand::Demand,
    random::normal,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Chance that the next row of a basket repeats the one before exactly.
const SECOND_PIECE: f32 = 0.13;
/// Chance that a row is something the customer bought on an earlier day.
const REBUY: f32 = 0.06;
/// Chance that a row is another colour of the product before.
const OTHER_COLOUR: f32 = 0.05;
/// Chance that the next row comes from the same shelf, or from one that goes with the row before.
const SAME_SHELF: f32 = 0.2;
const GOES_WITH: f32 = 0.2;
/// Chance that a visit starts with something that goes with the last visit.
const CONTINUES: f32 = 0.25;
/// Articles looked at for each one taken.
const LOOKS: usize = 48;
/// How strongly taste in style and colour decides among them (log odds a standard deviation).
const STYLE_PULL: f32 = 3.5;
const COLOUR_PULL: f32 = 1.0;
/// How much the last article's style counts for what goes with it, and how long a mood lasts.
const MATCH_PULL: f32 = 0.6;
const MOOD_STAYS: f32 = 0.7;
/// Rows a basket (log-normal): median and spread.
const BASKET: (f32, f32) = (2.5, 1.0);
/// Shape of the gaps between visits (Weibull); below 1 visits come in bursts.
const GAP_SHAPE: f32 = 0.95;

/// One bought piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub customer: u32,
    pub article: u32,
    pub day: u16,
    pub online: bool,
}

/// The shop as a customer finds it.
#[derive(Debug)]
pub(super) struct Shop {
    pub catalogue: Catalogue,
    pub demand: Demand,
    pub crowd: Crowd,
}

/// Customers simulated by one task; also the step of the progress.
const CHUNK: usize = 2_048;

impl Shop {
    /// All purchases sorted by day, then customer, then order in the basket. `done` is told of
    /// finished rows.
    pub(super) fn purchases(&self, done: impl Fn(u64) + Sync) -> Vec<Row> {
        let customers = self.crowd.rows.len();
        let chunks: Vec<Vec<Row>> = (0..customers.div_ceil(CHUNK))
            .into_par_iter()
            .map(|chunk| {
                let range = chunk * CHUNK..((chunk + 1) * CHUNK).min(customers);
                let count: u32 = self.crowd.rows[range.clone()].iter().sum();
                let mut rows = Vec::with_capacity(count as usize);
                for customer in range {
                    self.customer(customer, &mut rows);
                }
                done(rows.len() as u64);
                rows
            })
            .collect();
        by_day(chunks, self.demand.days as usize)
    }

    /// The purchases of one customer in order of time.
    fn customer(&self, customer: usize, rows: &mut Vec<Row>) {
        let wanted = self.crowd.rows[customer] as usize;
        if wanted == 0 {
            return;
        }
        let (taste, rng) = self.crowd.taste(customer, &self.catalogue);
        let first = rows.len();
        let mut journey = Journey {
            shop: self,
            taste,
            rng,
            mood: [0.0; STYLE],
            customer: customer as u32,
            first,
            rows,
        };
        for (day, pieces) in journey.visits(wanted) {
            journey.visit(day, pieces);
        }
    }

    /// Articles a customer takes from the shelves in a week, drawn `draws` times: the true odds of
    /// the next purchase.
    #[cfg(test)]
    pub(super) fn wishes(&self, customer: usize, week: usize, draws: usize) -> Vec<u32> {
        let (taste, rng) = self.crowd.taste(customer, &self.catalogue);
        let mut rows = Vec::new();
        let mut journey = Journey {
            shop: self,
            taste,
            rng,
            mood: [0.0; STYLE],
            customer: 0,
            first: 0,
            rows: &mut rows,
        };
        (0..draws).map(|_| journey.fresh(week)).collect()
    }

    /// Log liking of an article, as [`Journey::choose`] weighs it.
    fn liking(&self, style: &Style, taste: &Taste, article: u32) -> f32 {
        let look = &self.catalogue.looks[article as usize];
        let dot: f32 = style.iter().zip(&look.style).map(|(a, b)| a * b).sum();
        STYLE_PULL / (STYLE as f32).sqrt() * dot + COLOUR_PULL * taste.colours[look.colour as usize]
    }
}

struct Journey<'a> {
    shop: &'a Shop,
    taste: Taste,
    rng: ChaCha8Rng,
    /// What the customer is after at present, on top of the lasting taste.
    mood: Style,
    customer: u32,
    /// Where this customer's rows start.
    first: usize,
    rows: &'a mut Vec<Row>,
}

impl Journey<'_> {
    /// Days of visits, ascending and distinct, with the pieces bought on each: `wanted` in all.
    fn visits(&mut self, wanted: usize) -> Vec<(u32, usize)> {
        let days = self.shop.demand.days;
        let mut baskets = Vec::new();
        let mut left = wanted;
        while left > 0 {
            let size =
                (BASKET.0 * (BASKET.1 * normal(&mut self.rng)).exp()).round().max(1.0) as usize;
            baskets.push(size.min(left));
            left -= size.min(left);
        }
        // More visits than days: the last baskets join the ones before.
        while baskets.len() > days as usize {
            let last = baskets.pop().unwrap_or(0);
            let at = baskets.len() % days as usize;
            baskets[at] += last;
        }
        // Some customers are active for a part of the period only. Time is a circle here, for the
        // visits of all customers together to follow the calendar.
        let active =
            if self.rng.random::<f32>() < 0.6 { 1.0 } else { 0.2 + 0.8 * self.rng.random::<f32>() };
        let start = self.rng.random::<f32>();
        let mut at = 0.0;
        let mut positions: Vec<f32> = (0..=baskets.len())
            .map(|_| {
                at += (-(1.0 - self.rng.random::<f32>()).ln()).powf(1.0 / GAP_SHAPE);
                at
            })
            .collect();
        let end = positions.pop().unwrap_or(1.0).max(f32::MIN_POSITIVE);
        let mut visits: Vec<u32> = positions
            .iter()
            .map(|position| self.shop.demand.day_at((start + active * position / end) % 1.0))
            .collect();
        visits.sort_unstable();
        spread(&mut visits, days);
        visits.into_iter().zip(baskets).collect()
    }

    fn visit(&mut self, day: u32, pieces: usize) {
        let week = day as usize / 7;
        let online = self.rng.random::<f32>() < self.taste.online;
        for value in &mut self.mood {
            *value = MOOD_STAYS * *value + 0.25 * normal(&mut self.rng);
        }
        let earlier = self.rows.len();
        for _ in 0..pieces {
            let article = self.next(week, earlier);
            let style = &self.shop.catalogue.product(article).style;
            for (value, theirs) in self.mood.iter_mut().zip(style) {
                *value += 0.06 * theirs;
            }
            self.rows.push(Row { customer: self.customer, article, day: day as u16, online });
        }
    }

    /// The next piece of the basket; the rows from `earlier` on are of this visit.
    fn next(&mut self, week: usize, earlier: usize) -> u32 {
        let in_basket = self.rows.len() > earlier;
        let last = (self.rows.len() > self.first).then(|| self.rows[self.rows.len() - 1].article);
        if let (true, Some(last)) = (in_basket, last)
            && self.rng.random::<f32>() < SECOND_PIECE
        {
            return last;
        }
        if self.rng.random::<f32>() < REBUY
            && let Some(article) = self.bought_before(week, earlier)
        {
            return article;
        }
        let Some(last) = last else { return self.fresh(week) };
        let bucket = self.shop.catalogue.product(last).bucket;
        let at = self.rng.random::<f32>();
        let found = if !in_basket {
            if at < CONTINUES { self.matching(week, bucket, last) } else { None }
        } else if at < OTHER_COLOUR {
            self.other_colour(week, last)
        } else if at < OTHER_COLOUR + SAME_SHELF {
            let style = self.wish();
            self.choose(week, bucket, &style)
        } else if at < OTHER_COLOUR + SAME_SHELF + GOES_WITH {
            self.matching(week, bucket, last)
        } else {
            None
        };
        found.unwrap_or_else(|| self.fresh(week))
    }

    /// Something from an earlier day that is still on sale, rather something recent.
    fn bought_before(&mut self, week: usize, earlier: usize) -> Option<u32> {
        let history = self.first..earlier;
        for _ in 0..4 {
            if history.is_empty() {
                return None;
            }
            let back = (history.len() as f32 * self.rng.random::<f32>().powi(2)) as usize;
            let article = self.rows[history.end - 1 - back.min(history.len() - 1)].article;
            let bucket = self.shop.catalogue.product(article).bucket;
            if self.shop.demand.sells(week, bucket, article) {
                return Some(article);
            }
        }
        None
    }

    fn other_colour(&mut self, week: usize, last: u32) -> Option<u32> {
        let product = self.shop.catalogue.product(last);
        if product.variants < 2 {
            return None;
        }
        let other = product.first + self.rng.random_range(0..product.variants);
        (other != last && self.shop.demand.sells(week, product.bucket, other)).then_some(other)
    }

    /// Something from a shelf that goes with the last piece, in a style near it.
    fn matching(&mut self, week: usize, bucket: usize, last: u32) -> Option<u32> {
        let (partners, picker) = self.shop.catalogue.buckets[bucket].complements.as_ref()?;
        let bucket = partners[picker.pick(&mut self.rng)];
        if self.rng.random::<f32>() >= self.shop.demand.season(week, bucket) {
            return None;
        }
        let theirs = &self.shop.catalogue.product(last).style;
        let mut style = self.wish();
        for (value, theirs) in style.iter_mut().zip(theirs) {
            *value += MATCH_PULL * theirs;
        }
        self.choose(week, bucket, &style)
    }

    /// Something from a shelf the customer likes and the season favours.
    fn fresh(&mut self, week: usize) -> u32 {
        let style = self.wish();
        for _ in 0..16 {
            let bucket = self.taste.buckets.pick(&mut self.rng);
            if self.rng.random::<f32>() < self.shop.demand.season(week, bucket)
                && let Some(article) = self.choose(week, bucket, &style)
            {
                return article;
            }
        }
        // The customer has all there is: then once more, or the catalogue's first article, which is
        // always on sale.
        let bucket = self.taste.buckets.pick(&mut self.rng);
        self.look(week, bucket, &style).unwrap_or(0)
    }

    fn wish(&self) -> Style {
        std::array::from_fn(|d| self.taste.style[d] + self.mood[d])
    }

    /// Takes an article of a shelf by taste, one the customer does not have.
    fn choose(&mut self, week: usize, bucket: usize, style: &Style) -> Option<u32> {
        (0..2).find_map(|_| {
            let article = self.look(week, bucket, style)?;
            self.rows[self.first..].iter().all(|row| row.article != article).then_some(article)
        })
    }

    /// Looks at some articles of a shelf and takes one by taste.
    fn look(&mut self, week: usize, bucket: usize, style: &Style) -> Option<u32> {
        let shop = self.shop;
        let mut sum = 0.0;
        let mut taken = None;
        for article in shop.demand.display(week, bucket, LOOKS, self.rng.random()) {
            let weight = shop.liking(style, &self.taste, article).exp();
            sum += weight;
            // Each look replaces the choice with its share of all weights so far: one pass, the
            // right odds.
            if self.rng.random::<f32>() * sum < weight {
                taken = Some(article);
            }
        }
        taken
    }
}

/// Moves visits of one day to the next free days, so that days are distinct; there are at most
/// `days`.
fn spread(visits: &mut [u32], days: u32) {
    for i in 1..visits.len() {
        visits[i] = visits[i].max(visits[i - 1] + 1);
    }
    let mut limit = days;
    for day in visits.iter_mut().rev() {
        *day = (*day).min(limit - 1);
        limit = *day;
    }
}

/// Counting sort by day; within a day the order of `chunks` stays. Frees each chunk when it is
/// placed.
fn by_day(chunks: Vec<Vec<Row>>, days: usize) -> Vec<Row> {
    let mut next = vec![0usize; days + 1];
    for row in chunks.iter().flatten() {
        next[usize::from(row.day) + 1] += 1;
    }
    for day in 1..next.len() {
        next[day] += next[day - 1];
    }
    let mut sorted = vec![Row { customer: 0, article: 0, day: 0, online: false }; next[days]];
    for chunk in chunks {
        for row in chunk {
            let slot = &mut next[usize::from(row.day)];
            sorted[*slot] = row;
            *slot += 1;
        }
    }
    sorted
}
