//! The articles of the shop over time: new ones come every day, and old ones go.

use super::{
    market::{
        BRANDS, CATEGORIES, COLOURS, Category, Day, FITS, Kind, STYLES, VARIANTS_OF_A_SYSTEM,
    },
    random::{About, Chance},
};
use std::ops::Range;

#[derive(Debug, Clone)]
pub(super) struct Article {
    pub category: usize,
    pub brand: usize,
    /// Clothing only; 0 otherwise.
    pub style: usize,
    pub colour: usize,
    pub fit: usize,
    /// The variant of its category's system.
    pub variant: usize,
    pub price: f64,
    /// Hidden: how well it is made (log odds).
    pub quality: f64,
    /// Hidden: how much space the shop gives it where customers search.
    pub shelf: f64,
    /// On sale from the first day to before the last.
    pub sale: Range<Day>,
}

#[derive(Debug)]
pub(super) struct Assortment {
    pub articles: Vec<Article>,
}

impl Article {
    pub(super) fn category(&self) -> &'static Category {
        &CATEGORIES[self.category]
    }

    pub(super) fn on_sale(&self, day: Day) -> bool {
        self.sale.contains(&day)
    }
}

impl Assortment {
    /// All articles that are on sale on one of the days. Their number stays the same: a place on
    /// the shelf that an article leaves is taken by a new one.
    pub(super) fn new(chance: Chance, days: Range<Day>) -> Self {
        let mut articles = Vec::new();
        for (number, category) in CATEGORIES.iter().enumerate() {
            for place in 0..category.articles {
                let mut generation = 0;
                let key = |generation| [(number * 10_000 + place) as u64, generation, 0];
                // The first one has been there for a while.
                let age = category.life() * chance.uniform(About::Shelf, key(1 << 20));
                let mut from = days.start - age as Day;
                while from < days.end {
                    let life = 10.0
                        + (category.life() - 10.0)
                            * chance.exponential(About::Shelf, key(generation));
                    let until = from + life as Day;
                    if until > days.start {
                        articles.push(article(chance, number, key(generation), from..until));
                    }
                    (from, generation) = (until, generation + 1);
                }
            }
        }
        // Ids tell when an article came, not which category it is of.
        articles.sort_by_key(|article| article.sale.start);
        Self { articles }
    }

    pub(super) fn on_sale(&self, day: Day) -> impl Iterator<Item = u32> + '_ {
        let articles = self.articles.iter().enumerate();
        articles.filter(move |(_, article)| article.on_sale(day)).map(|(number, _)| number as u32)
    }
}

fn article(
    chance: Chance,
    number: usize,
    [place, generation, _]: [u64; 3],
    sale: Range<Day>,
) -> Article {
    let category = &CATEGORIES[number];
    let key = |what| [place, generation, what];
    let below = |what, bound| chance.below(About::Article, key(what), bound);
    let is_clothing = category.kind == Kind::Clothing;
    let brand = below(1, BRANDS);
    // Brands differ in price, and so do articles of one brand.
    let dearness = 0.35 * chance.normal(About::Article, [1 << 40, number as u64, brand as u64])
        + 0.3 * chance.normal(About::Article, key(2));
    Article {
        category: number,
        brand,
        style: if is_clothing { below(3, STYLES.len()) } else { 0 },
        colour: below(4, COLOURS.len()),
        fit: if is_clothing { below(5, FITS.len()) } else { 0 },
        variant: below(6, VARIANTS_OF_A_SYSTEM),
        price: ((category.price * dearness.exp() * 100.0).round() / 100.0).max(0.5),
        quality: 0.6 * chance.normal(About::Article, key(7)) + 0.25 * dearness,
        shelf: (0.9 * chance.normal(About::Article, key(8))).exp(),
        sale,
    }
}
