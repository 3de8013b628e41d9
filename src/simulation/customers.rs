//! The shop's customers: what they need, like and can afford. All of it is hidden; the shop knows
//! an id.

use super::{
    market::{BRANDS, CATEGORIES, COLOURS, Day, FITS, Kind, STYLES, SYSTEMS, VARIANTS_OF_A_SYSTEM},
    random::{About, Chance},
};

#[derive(Debug)]
pub(super) struct Customer {
    /// Visits a day.
    pub rate: f64,
    pub fit: usize,
    /// The most that is paid in a category, as a multiple of its median price.
    pub limit: f64,
    /// Log odds lost when a price doubles.
    pub thrift: f64,
    /// Log odds that an article gains on its first day; below 0 for those who wait.
    pub curiosity: f64,
    /// Log odds that the article bought last gains where it is bought again.
    pub habit: f64,
    pub categories: Vec<Need>,
    /// Liking of styles before and after the change of taste (log odds).
    styles: [[f64; STYLES.len()]; 2],
    colours: [f64; COLOURS.len()],
    /// When the taste begins to change, and how many days the change takes.
    change: (Day, f64),
    /// The variants of the systems that the household owned at first.
    pub systems: [Option<usize>; SYSTEMS],
}

/// What a household wants of a category.
#[derive(Debug)]
pub(super) struct Need {
    pub wanted: bool,
    /// Consumables: days until it is used up here. Clothing: how strong the wish is at most.
    pub amount: f64,
    pub brand: usize,
    /// Log odds that the brand gains.
    pub loyalty: f64,
}

/// Clusters of like taste.
const PERSONAS: u64 = 12;

impl Customer {
    pub(super) fn new(chance: Chance, customer: u64) -> Self {
        let normal = |what| chance.normal(About::Customer, [customer, 0, what]);
        let uniform = |what| chance.uniform(About::Customer, [customer, 1, what]);
        let below = |what, bound| chance.below(About::Customer, [customer, 2, what], bound);
        let (before, after) = (below(1, PERSONAS as usize), below(2, PERSONAS as usize));
        let styles = [before, after].map(|persona| {
            std::array::from_fn(|style| {
                let shared =
                    chance.normal(About::Customer, [1 << 40, persona as u64, style as u64]);
                1.2 * shared + 0.5 * normal(100 + style as u64)
            })
        });
        Self {
            // Most come seldom, and a few come often.
            rate: (0.055 * (0.75 * normal(1)).exp()).min(0.6),
            fit: below(3, FITS.len()),
            limit: 1.6 * (0.35 * normal(2)).exp(),
            thrift: (0.9 + 0.5 * normal(3)).max(0.0),
            curiosity: 0.6 + 0.8 * normal(4),
            habit: 0.6 + 0.6 * normal(5),
            categories: (0..CATEGORIES.len())
                .map(|number| Need::new(chance, customer, number))
                .collect(),
            styles,
            colours: std::array::from_fn(|colour| 0.5 * normal(200 + colour as u64)),
            // One in five changes in the simulated four weeks, others before or later.
            change: ((uniform(1) * 280.0) as Day - 140, 10.0 + 30.0 * uniform(2)),
            systems: std::array::from_fn(|system| {
                let owns = uniform(10 + system as u64) < 0.35;
                owns.then(|| below(10 + system as u64, VARIANTS_OF_A_SYSTEM))
            }),
        }
    }

    /// Liking of a style and a colour on a day (log odds).
    pub(super) fn taste(&self, style: usize, colour: usize, day: Day) -> f64 {
        let changed = (f64::from(day - self.change.0) / self.change.1).clamp(0.0, 1.0);
        (1.0 - changed) * self.styles[0][style]
            + changed * self.styles[1][style]
            + self.colours[colour]
    }
}

impl Need {
    fn new(chance: Chance, customer: u64, number: usize) -> Self {
        let category = &CATEGORIES[number];
        let key = |what| [customer, number as u64, what];
        let wanted = chance.uniform(About::Need, key(1)) < category.share;
        let amount = match category.kind {
            Kind::Consumable => {
                category.interval * (0.4 * chance.normal(About::Need, key(2))).exp()
            }
            Kind::Clothing | Kind::Durable => 0.25 + 0.6 * chance.uniform(About::Need, key(3)),
        };
        let loyalty = (0.8 + 0.8 * chance.normal(About::Need, key(4))).max(0.0);
        Self { wanted, amount, brand: chance.below(About::Need, key(5), BRANDS), loyalty }
    }
}
