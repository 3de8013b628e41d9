//! The shop's customers: what the shop knows about them, and the hidden taste that drives what they
//! buy.

use super::{
    catalogue::{Catalogue, Style},
    demand::mean_season,
    random::{Picker, Purpose, interpolate, normal, stream},
    vocabulary::{AGE_TASTE, COLOURS, GARMENTS},
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Number of taste clusters.
const PERSONAS: usize = 48;
/// Spread of the liking of garment groups and of index groups (log): of the clusters, and of a
/// customer around its own.
const GARMENT_SPREAD: (f32, f32) = (1.0, 0.7);
const GROUP_SPREAD: (f32, f32) = (0.4, 0.4);
/// Share of the variance of a customer's style that the cluster explains.
const CLUSTER_SHARE: f32 = 0.95;

/// Share of customers up to an age: humps at 19–28 and 45–55, median 31.
const AGES: [(f32, f32); 22] = [
    (0.0, 16.0),
    (0.02, 18.0),
    (0.05, 19.0),
    (0.10, 20.8),
    (0.18, 22.6),
    (0.26, 24.3),
    (0.34, 26.1),
    (0.42, 28.2),
    (0.50, 31.0),
    (0.56, 34.0),
    (0.61, 38.0),
    (0.655, 43.0),
    (0.69, 46.0),
    (0.75, 48.5),
    (0.81, 51.0),
    (0.87, 54.0),
    (0.90, 56.5),
    (0.95, 61.5),
    (0.98, 67.0),
    (0.995, 75.0),
    (0.9995, 88.0),
    (1.0, 99.9),
];

/// Share of customers up to a number of rows (its logarithm), in a shop with 23.2 rows a customer.
const ROWS: [(f32, f32); 20] = [
    (0.0, 0.0),
    (0.006, 0.0),
    (0.10, 2.0),
    (0.20, 3.0),
    (0.25, 3.6),
    (0.30, 4.4),
    (0.40, 6.4),
    (0.50, 9.0),
    (0.60, 13.5),
    (0.70, 20.5),
    (0.75, 26.0),
    (0.80, 34.0),
    (0.85, 45.0),
    (0.90, 61.0),
    (0.95, 95.0),
    (0.98, 150.0),
    (0.99, 198.0),
    (0.995, 265.0),
    (0.9995, 450.0),
    (1.0, 1_200.0),
];

/// What the shop knows about a customer.
#[derive(Debug)]
pub(super) struct Profile {
    /// 64 hexadecimal digits.
    pub id: String,
    pub age: Option<u8>,
    pub reads_news: bool,
    pub active: bool,
    pub club: &'static str,
    pub news: &'static str,
    pub postal_code: String,
    true_age: u8,
}

/// A cluster of customers with like taste.
#[derive(Debug)]
struct Persona {
    style: Style,
    garments: Vec<f32>,
    groups: [f32; 5],
    colours: Vec<f32>,
}

/// What a customer likes. Hidden: only the purchases tell.
#[derive(Debug)]
pub(super) struct Taste {
    pub style: Style,
    /// Wish for each bucket before the season.
    pub buckets: Picker,
    /// Log liking of each colour.
    pub colours: Vec<f32>,
    /// Chance that a visit is online.
    pub online: f32,
}

/// The crowd: clusters of taste and the rows each customer will buy.
#[derive(Debug)]
pub(super) struct Crowd {
    seed: u64,
    /// Purchase rows of each customer.
    pub rows: Vec<u32>,
    personas: Vec<Persona>,
    /// Demand of each bucket freed of its season.
    demand: Vec<f32>,
}

impl Crowd {
    /// `customers` customers who buy `transactions` rows in all.
    pub(super) fn new(
        seed: u64,
        customers: usize,
        transactions: u64,
        catalogue: &Catalogue,
    ) -> Self {
        let mut rng = stream(seed, Purpose::Market, 2);
        let personas = (0..PERSONAS)
            .map(|_| Persona {
                style: std::array::from_fn(|_| normal(&mut rng)),
                garments: GARMENTS.iter().map(|_| GARMENT_SPREAD.0 * normal(&mut rng)).collect(),
                groups: std::array::from_fn(|_| GROUP_SPREAD.0 * normal(&mut rng)),
                colours: COLOURS.iter().map(|_| 0.3 * normal(&mut rng)).collect(),
            })
            .collect();
        let demand =
            catalogue.buckets.iter().map(|bucket| bucket.demand / mean_season(bucket)).collect();
        Self { seed, rows: rows(seed, customers, transactions), personas, demand }
    }

    pub(super) fn profile(&self, customer: usize) -> Profile {
        let mut rng = stream(self.seed, Purpose::Customer, customer as u64);
        let stride = u64::MAX / self.rows.len() as u64;
        let head = customer as u64 * stride + rng.random_range(0..stride);
        let id = format!("{head:016x}{:032x}{:016x}", rng.random::<u128>(), rng.random::<u64>());
        let true_age = interpolate(&AGES, rng.random()) as u8;
        let age = (rng.random::<f32>() >= 0.013).then_some(true_age);
        let reads_news = rng.random::<f32>() < 0.34;
        let active = rng.random::<f32>() < if reads_news { 0.95 } else { 0.008 };
        let at = rng.random::<f32>();
        let club = if at < 0.924 {
            "ACTIVE"
        } else if at < 0.992 {
            "PRE-CREATE"
        } else if at < 0.9955 {
            "LEFT CLUB"
        } else {
            ""
        };
        let news = if reads_news {
            "Regularly"
        } else if rng.random::<f32>() < 0.98 {
            "NONE"
        } else {
            ""
        };
        // A tenth of the customers share the code that stands for none.
        let codes = (self.rows.len() as u64).div_ceil(3);
        let code = if rng.random::<f32>() < 0.09 { u64::MAX } else { rng.random_range(0..codes) };
        let mut place = stream(self.seed, Purpose::Market, 1_000 + code.min(codes));
        let postal_code = format!("{:032x}{:032x}", place.random::<u128>(), place.random::<u128>());
        Profile { id, age, reads_news, active, club, news, postal_code, true_age }
    }

    /// The taste of a customer, and the stream of random numbers that continues into the customer's
    /// purchases.
    pub(super) fn taste(&self, customer: usize, catalogue: &Catalogue) -> (Taste, ChaCha8Rng) {
        let age = self.profile(customer).true_age;
        let mut rng = stream(self.seed, Purpose::Journey, customer as u64);
        let persona = &self.personas[rng.random_range(0..PERSONAS)];
        let (shared, own) = (CLUSTER_SHARE.sqrt(), (1.0 - CLUSTER_SHARE).sqrt());
        let style: Style =
            std::array::from_fn(|d| shared * persona.style[d] + own * normal(&mut rng));
        let band = AGE_TASTE.iter().rposition(|band| band.0 <= age).unwrap_or(0);
        let groups: [f32; 5] = std::array::from_fn(|g| {
            AGE_TASTE[band].1[g] * (persona.groups[g] + GROUP_SPREAD.1 * normal(&mut rng)).exp()
        });
        let garments: Vec<f32> = persona
            .garments
            .iter()
            .map(|liking| (liking + GARMENT_SPREAD.1 * normal(&mut rng)).exp())
            .collect();
        let buckets =
            Picker::new(
                catalogue.buckets.iter().zip(&self.demand).map(|(bucket, demand)| {
                    demand * groups[bucket.group] * garments[bucket.garment]
                }),
            );
        let colours =
            persona.colours.iter().map(|liking| liking + 0.3 * normal(&mut rng)).collect();
        let kind = rng.random::<f32>();
        let online = if kind < 0.62 {
            0.93
        } else if kind < 0.84 {
            0.5
        } else {
            0.12
        };
        (Taste { style, buckets, colours, online }, rng)
    }
}

/// Rows a customer: the curve [`ROWS`], scaled so that the sum is exact.
fn rows(seed: u64, customers: usize, transactions: u64) -> Vec<u32> {
    let wish = |customer: usize| {
        let at = stream(seed, Purpose::Market, (1 << 40) + customer as u64).random::<f32>();
        f64::from(interpolate_log(at))
    };
    let wishes: Vec<f64> = (0..customers).into_par_iter().map(wish).collect();
    let total: f64 = wishes.iter().sum();
    let (mut sum, mut given) = (0.0f64, 0u64);
    let mut rows: Vec<u32> = wishes
        .iter()
        .map(|wish| {
            sum += wish;
            let upto = ((sum / total * transactions as f64) as u64).min(transactions);
            let rows = upto.saturating_sub(given);
            given = given.max(upto);
            rows as u32
        })
        .collect();
    // What floating-point rounding left over.
    rows[customers - 1] += (transactions - given) as u32;
    rows
}

/// Between two points of [`ROWS`] the number of rows grows evenly in its logarithm.
fn interpolate_log(at: f32) -> f32 {
    if at < ROWS[1].0 {
        return 0.0;
    }
    let next = ROWS.partition_point(|point| point.0 <= at).clamp(2, ROWS.len() - 1);
    let ((p0, n0), (p1, n1)) = (ROWS[next - 1], ROWS[next]);
    let share = (at - p0) / (p1 - p0);
    (n0.max(1.0).ln() * (1.0 - share) + n1.ln() * share).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_add_up_and_have_the_shape_of_a_shop() {
        for (customers, transactions) in [(1, 1), (10, 3), (1_000, 23_200), (3, 1_000_000)] {
            assert_eq!(
                rows(1, customers, transactions).iter().map(|&n| u64::from(n)).sum::<u64>(),
                transactions
            );
        }
        let mut shop = rows(1, 50_000, 1_160_000);
        shop.sort_unstable();
        assert!((8..=10).contains(&shop[25_000]), "median {}", shop[25_000]);
        assert!((55..=67).contains(&shop[45_000]), "p90 {}", shop[45_000]);
    }
}
