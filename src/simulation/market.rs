//! The shop's departments and fashions, which all customers share.

use super::random::{About, Chance};
use std::f64::consts::TAU;

/// Days are counted from the first simulated one; the history lies before it.
pub(super) type Day = i32;

/// How a household comes to want something of a category.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Used up, and bought again after an interval.
    Consumable,
    /// Wanted more or less by the season, and less for some weeks after a purchase.
    Clothing,
    /// Wanted once in a long while, and not at all after a purchase.
    Durable,
}

#[derive(Debug)]
pub(super) struct Category {
    pub name: &'static str,
    pub kind: Kind,
    /// Articles on sale at a time.
    pub articles: usize,
    /// Median price.
    pub price: f64,
    /// Consumables: days until a purchase is used up. Clothing: days until the wish is back.
    /// Durables: days between two wishes.
    pub interval: f64,
    /// Share of households that ever want it.
    pub share: f64,
    /// Articles belong to one of the systems of this number, which do not fit each other.
    pub system: Option<usize>,
    /// Clothing: the day of the year on which it is wanted most.
    pub peak: f64,
}

/// Systems of a device and what it uses: capsules, blades, ink.
pub(super) const SYSTEMS: usize = 3;
pub(super) const VARIANTS_OF_A_SYSTEM: usize = 3;
pub(super) const STYLES: [&str; 10] = [
    "basic", "sporty", "romantic", "business", "street", "outdoor", "vintage", "bohemian",
    "minimal", "party",
];
pub(super) const COLOURS: [&str; 8] =
    ["black", "white", "blue", "red", "green", "beige", "grey", "pink"];
pub(super) const FITS: [&str; 4] = ["slim", "regular", "wide", "tall"];
pub(super) const BRANDS: usize = 8;

const fn consumable(name: &'static str, price: f64, interval: f64, share: f64) -> Category {
    Category {
        name,
        kind: Kind::Consumable,
        articles: 45,
        price,
        interval,
        share,
        system: None,
        peak: 0.0,
    }
}

const fn clothing(
    name: &'static str,
    articles: usize,
    price: f64,
    share: f64,
    peak: f64,
) -> Category {
    Category {
        name,
        kind: Kind::Clothing,
        articles,
        price,
        interval: 14.0,
        share,
        system: None,
        peak,
    }
}

const fn durable(name: &'static str, price: f64, share: f64) -> Category {
    Category {
        name,
        kind: Kind::Durable,
        articles: 40,
        price,
        interval: 150.0,
        share,
        system: None,
        peak: 0.0,
    }
}

const fn of_system(category: Category, system: usize) -> Category {
    Category { system: Some(system), ..category }
}

pub(super) const CATEGORIES: [Category; 26] = [
    consumable("coffee", 7.0, 12.0, 0.5),
    consumable("tea", 4.0, 24.0, 0.35),
    consumable("cereal", 4.5, 12.0, 0.4),
    consumable("snacks", 3.0, 8.0, 0.5),
    consumable("detergent", 9.0, 32.0, 0.6),
    consumable("shampoo", 5.0, 30.0, 0.6),
    consumable("skin care", 12.0, 40.0, 0.4),
    consumable("pet food", 14.0, 10.0, 0.25),
    consumable("vitamins", 11.0, 30.0, 0.25),
    of_system(consumable("coffee capsules", 8.0, 14.0, 1.0), 0),
    of_system(consumable("razor blades", 13.0, 45.0, 1.0), 1),
    of_system(consumable("printer ink", 22.0, 60.0, 1.0), 2),
    clothing("shirts", 220, 20.0, 0.8, 150.0),
    clothing("trousers", 160, 40.0, 0.7, 270.0),
    clothing("dresses", 180, 45.0, 0.45, 160.0),
    clothing("knitwear", 150, 38.0, 0.6, 320.0),
    clothing("jackets", 110, 80.0, 0.5, 300.0),
    clothing("shoes", 160, 65.0, 0.7, 100.0),
    clothing("underwear", 110, 14.0, 0.8, 0.0),
    clothing("accessories", 120, 18.0, 0.5, 340.0),
    of_system(durable("coffee machines", 120.0, 0.5), 0),
    of_system(durable("razors", 60.0, 0.5), 1),
    of_system(durable("printers", 140.0, 0.4), 2),
    durable("lamps", 45.0, 0.6),
    durable("cookware", 50.0, 0.6),
    durable("backpacks", 55.0, 0.5),
];

impl Category {
    /// Days that an article stays on sale, on average.
    pub(super) fn life(&self) -> f64 {
        match self.kind {
            Kind::Consumable => 500.0,
            Kind::Clothing => 100.0,
            Kind::Durable => 300.0,
        }
    }

    /// How much more or less it is wanted in this season.
    pub(super) fn season(&self, day: Day) -> f64 {
        match self.kind {
            Kind::Clothing => 1.0 + 0.5 * (TAU * (f64::from(day) - self.peak) / 365.0).cos(),
            Kind::Consumable | Kind::Durable => 1.0,
        }
    }

    pub(super) fn department(&self) -> &'static str {
        match self.kind {
            Kind::Consumable => "household",
            Kind::Clothing => "fashion",
            Kind::Durable => "home",
        }
    }
}

/// Styles and colours that come and go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fashion {
    chance: Chance,
}

impl Fashion {
    /// How strong a fashion is for and against (log odds), of styles and of colours.
    const SWING: (f64, f64) = (0.9, 0.45);

    pub(super) fn new(chance: Chance) -> Self {
        Self { chance }
    }

    /// How much a style and a colour are in fashion (log odds).
    pub(super) fn of(self, style: usize, colour: usize, day: Day) -> f64 {
        Self::SWING.0 * self.wave(0, style, day) + Self::SWING.1 * self.wave(1, colour, day)
    }

    /// Waves of 60 to 140 days.
    fn wave(self, of: u64, number: usize, day: Day) -> f64 {
        let draw = |what| self.chance.uniform(About::Fashion, [of, number as u64, what]);
        let period = 60.0 + 80.0 * draw(0);
        (TAU * (f64::from(day) / period + draw(1))).sin()
    }
}
