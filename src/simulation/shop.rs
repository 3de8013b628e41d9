//! The whole simulated shop, and what an article is worth to a customer on a day. Nothing but the
//! simulation sees it: servers and trainer get articles with their attributes, and events.

use super::{
    assortment::{Article, Assortment},
    customers::Customer,
    household::Household,
    market::{CATEGORIES, Day, Fashion, Kind},
    random::{About, Chance},
};
use std::ops::Range;

#[derive(Debug)]
pub(super) struct Shop {
    pub chance: Chance,
    pub assortment: Assortment,
    pub customers: Vec<Customer>,
    fashion: Fashion,
}

/// How likely a customer who has seen an article clicks on it, and buys it after the click.
#[derive(Debug, Clone, Copy)]
pub(super) struct Response {
    pub click: f64,
    pub buy: f64,
}

impl Response {
    pub(super) fn purchase(self) -> f64 {
        self.click * self.buy
    }
}

/// A customer in a shop on a day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment<'a> {
    pub shop: &'a Shop,
    pub customer: usize,
    pub household: &'a Household,
    pub day: Day,
}

impl Shop {
    pub(super) fn new(seed: u64, customers: usize, days: Range<Day>) -> Self {
        let chance = Chance::new(seed);
        Self {
            chance,
            assortment: Assortment::new(chance, days),
            customers: (0..customers as u64)
                .map(|customer| Customer::new(chance, customer))
                .collect(),
            fashion: Fashion::new(chance),
        }
    }

    pub(super) fn article(&self, number: u32) -> &Article {
        &self.assortment.articles[number as usize]
    }

    /// The customers who come on a day, in order. The same in every arm.
    pub(super) fn visitors(&self, day: Day) -> impl Iterator<Item = usize> + '_ {
        let comes = move |&customer: &usize| {
            let draw =
                self.chance.uniform(About::Visits, [customer as u64, u64::from(day as u32), 0]);
            draw < self.customers[customer].rate
        };
        (0..self.customers.len()).filter(comes)
    }
}

impl<'a> Moment<'a> {
    pub(super) fn customer(&self) -> &'a Customer {
        &self.shop.customers[self.customer]
    }

    /// How much the household wants something of a category now, 0 to 1.
    pub(super) fn need(&self, category: usize) -> f64 {
        let (kind, need) = (&CATEGORIES[category], &self.customer().categories[category]);
        let uses = match kind.system.filter(|_| kind.kind == Kind::Consumable) {
            Some(system) => self.household.has_system(system),
            None => need.wanted,
        };
        if !uses {
            return 0.0;
        }
        let since = self.household.since(category, self.day);
        match kind.kind {
            Kind::Consumable => {
                since.map_or(1.0, |since| (2.0 * since / need.amount - 1.0).clamp(0.0, 1.0))
            }
            Kind::Clothing => {
                let back = since.map_or(1.0, |since| (since / kind.interval).clamp(0.0, 1.0));
                (need.amount * kind.season(self.day) * back).min(1.0)
            }
            Kind::Durable => self.wish(category, since),
        }
    }

    /// A wish for a durable opens on a random day, and closes after two weeks or with a purchase.
    fn wish(&self, category: usize, since: Option<f64>) -> f64 {
        const OPEN: Day = 14;
        let interval = CATEGORIES[category].interval as Day;
        // One wish an interval, somewhere within it.
        let period = self.day.div_euclid(interval);
        let key = [self.customer as u64, category as u64, u64::from(period as u32)];
        let opens = period * interval
            + (self.shop.chance.uniform(About::Wish, key) * f64::from(interval)) as Day;
        let open = (opens..opens + OPEN).contains(&self.day);
        let fulfilled = since.is_some_and(|since| self.day - (since as Day) >= opens);
        if open && !fulfilled { 1.0 } else { 0.0 }
    }

    /// How attractive an article is, whether it is needed or not, 0 to 1. Limits of size, system
    /// and price are gates: nothing makes up for them.
    pub(super) fn appeal(&self, number: u32) -> f64 {
        let (customer, article) = (self.customer(), self.shop.article(number));
        if !self.fits(article) {
            return 0.0;
        }
        let category = article.category();
        let room = customer.limit * category.price - article.price;
        let affordable = logistic(room / (0.1 * category.price));
        let owned = if self.household.owns(number) { 0.05 } else { 1.0 };
        affordable * owned * logistic(self.liking(article, number) - 1.5)
    }

    /// Whether it is of the customer's size and works with what the household has.
    pub(super) fn fits(&self, article: &Article) -> bool {
        let is_clothing = article.category().kind == Kind::Clothing;
        (!is_clothing || article.fit == self.customer().fit) && self.household.can_use(article)
    }

    /// Log odds.
    fn liking(&self, article: &Article, number: u32) -> f64 {
        let (customer, category) = (self.customer(), article.category());
        let need = &customer.categories[article.category];
        let brand = if article.brand == need.brand { need.loyalty } else { 0.0 };
        let style = match category.kind {
            Kind::Clothing => {
                let fashion = self.shop.fashion.of(article.style, article.colour, self.day);
                customer.taste(article.style, article.colour, self.day) + fashion
            }
            Kind::Consumable | Kind::Durable => 0.0,
        };
        let usual = category.kind == Kind::Consumable
            && self.household.last(article.category) == Some(number);
        let habit = if usual { customer.habit } else { 0.0 };
        let age = f64::from((self.day - article.sale.start).max(0));
        let novelty = customer.curiosity * (-age / 10.0).exp();
        let price = customer.thrift * (article.price / category.price).log2();
        article.quality + brand + style + habit + novelty - price
    }

    /// What the customer does who looks at an article.
    pub(super) fn response(&self, number: u32, need: f64) -> Response {
        let appeal = self.appeal(number);
        Response { click: appeal * (0.08 + 0.6 * need), buy: 0.75 * need * appeal.sqrt() }
    }
}

pub(super) fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
