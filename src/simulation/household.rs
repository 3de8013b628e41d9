//! A household as one arm of the comparison has left it: what it owns, and when it bought what.

use super::{
    assortment::Article,
    market::{CATEGORIES, Day, Kind, SYSTEMS},
};
use hashbrown::HashSet;

#[derive(Debug, Clone, Default)]
pub(super) struct Household {
    /// By category: the day of the last purchase and the article.
    last: Vec<Option<(Day, u32)>>,
    /// Clothing and durables.
    owned: HashSet<u32>,
    systems: [Option<usize>; SYSTEMS],
}

impl Household {
    pub(super) fn new(systems: [Option<usize>; SYSTEMS]) -> Self {
        Self { last: vec![None; CATEGORIES.len()], systems, ..Self::default() }
    }

    pub(super) fn buys(&mut self, number: u32, article: &Article, day: Day) {
        let category = article.category();
        self.last[article.category] = Some((day, number));
        if category.kind != Kind::Consumable {
            self.owned.insert(number);
        }
        if let (Kind::Durable, Some(system)) = (category.kind, category.system) {
            self.systems[system] = Some(article.variant);
        }
    }

    /// The wish is back, but not for this article.
    pub(super) fn returns(&mut self, number: u32, article: &Article) {
        let last = &mut self.last[article.category];
        if last.is_some_and(|(_, bought)| bought == number) {
            *last = None;
        }
    }

    pub(super) fn owns(&self, number: u32) -> bool {
        self.owned.contains(&number)
    }

    /// Days since the last purchase of a category.
    pub(super) fn since(&self, category: usize, day: Day) -> Option<f64> {
        self.last[category].map(|(bought, _)| f64::from(day - bought))
    }

    pub(super) fn last(&self, category: usize) -> Option<u32> {
        self.last[category].map(|(_, number)| number)
    }

    /// Whether an article works with what the household has. A device works by itself.
    pub(super) fn can_use(&self, article: &Article) -> bool {
        match (article.category().kind, article.category().system) {
            (Kind::Consumable, Some(system)) => self.systems[system] == Some(article.variant),
            _ => true,
        }
    }

    pub(super) fn has_system(&self, system: usize) -> bool {
        self.systems[system].is_some()
    }
}
