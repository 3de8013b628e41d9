//! A visit: the customer looks down the list, clicks and buys; then searches for what is still
//! needed.

use super::{
    assortment::Article,
    household::Household,
    market::{CATEGORIES, Day, Kind},
    random::About,
    shop::{Moment, Shop},
};

/// What a customer does with an article.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Click,
    Purchase,
}

/// One thing done in a visit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deed {
    pub article: u32,
    pub act: Act,
    /// The place in the list, from 0; `None` for what was found by searching.
    pub position: Option<usize>,
}

#[derive(Debug, Default)]
pub(super) struct Visit {
    pub deeds: Vec<Deed>,
    /// Articles of purchases that will be sent back, and when.
    pub returns: Vec<(Day, u32)>,
    /// What the hidden utilities say of the list: purchases that it brings on average.
    pub expected: f64,
}

/// How likely the place of a list is looked at.
pub(super) fn looked_at(position: usize) -> f64 {
    1.0 / (1.0 + 0.15 * position as f64)
}

/// The purchases that a list brings on average: after the purchase of one article, others of its
/// category are not needed any more in this visit.
pub(super) fn expected_purchases(moment: Moment<'_>, list: &[u32]) -> f64 {
    let mut open = [1.0; CATEGORIES.len()];
    let mut sum = 0.0;
    for (position, &number) in list.iter().enumerate() {
        let category = moment.shop.article(number).category;
        let buys = looked_at(position) * moment.response(number, moment.need(category)).purchase();
        sum += open[category] * buys;
        open[category] *= 1.0 - buys;
    }
    sum
}

/// The list that brings the most, place after place, by the hidden utilities.
pub(super) fn best_list(moment: Moment<'_>, k: usize) -> Vec<u32> {
    let needs: [f64; CATEGORIES.len()] = std::array::from_fn(|category| moment.need(category));
    let on_sale = moment.shop.assortment.on_sale(moment.day);
    let mut rated: Vec<(f64, u32)> = on_sale
        .filter_map(|number| {
            let need = needs[moment.shop.article(number).category];
            (need > 0.0).then(|| (moment.response(number, need).purchase(), number))
        })
        .collect();
    rated.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    rated.truncate(8 * k);
    let mut open = [1.0; CATEGORIES.len()];
    let mut list = Vec::with_capacity(k);
    while list.len() < k && !rated.is_empty() {
        let worth =
            |&(buys, number): &(f64, u32)| buys * open[moment.shop.article(number).category];
        let best = (0..rated.len()).max_by(|&a, &b| worth(&rated[a]).total_cmp(&worth(&rated[b])));
        let (buys, number) = rated.remove(best.unwrap_or(0));
        open[moment.shop.article(number).category] *= 1.0 - looked_at(list.len()) * buys;
        list.push(number);
    }
    list
}

impl Shop {
    /// A visit of a customer who is shown a list. The household remembers what was bought.
    pub(super) fn visit(
        &self,
        customer: usize,
        day: Day,
        list: &[u32],
        household: &mut Household,
    ) -> Visit {
        let moment = Moment { shop: self, customer, household, day };
        let mut visit = Visit { expected: expected_purchases(moment, list), ..Visit::default() };
        // The same customer on the same day draws the same numbers in every arm.
        let key = |number: u32| [customer as u64, u64::from(day as u32), u64::from(number)];
        for (position, &number) in list.iter().enumerate() {
            let moment = Moment { shop: self, customer, household, day };
            let response = moment.response(number, moment.need(self.article(number).category));
            if self.chance.uniform(About::Look, key(position as u32)) >= looked_at(position)
                || self.chance.uniform(About::Click, key(number)) >= response.click
            {
                continue;
            }
            visit.deeds.push(Deed { article: number, act: Act::Click, position: Some(position) });
            if self.chance.uniform(About::Buy, key(number)) < response.buy {
                self.buy(customer, day, number, household, &mut visit, Some(position));
            }
        }
        // Devices before what they use, and clothes before the groceries.
        for category in (0..CATEGORIES.len()).rev() {
            let outfit = self.outfit(&visit.deeds);
            let moment = Moment { shop: self, customer, household, day };
            if let Some(number) = moment.search(category, outfit) {
                visit.deeds.push(Deed { article: number, act: Act::Click, position: None });
                self.buy(customer, day, number, household, &mut visit, None);
            }
        }
        visit
    }

    /// The piece of clothing bought last in this visit.
    fn outfit(&self, deeds: &[Deed]) -> Option<&Article> {
        let bought = deeds
            .iter()
            .rev()
            .filter(|deed| deed.act == Act::Purchase)
            .map(|deed| self.article(deed.article));
        bought.into_iter().find(|article| article.category().kind == Kind::Clothing)
    }

    fn buy(
        &self,
        customer: usize,
        day: Day,
        number: u32,
        household: &mut Household,
        visit: &mut Visit,
        position: Option<usize>,
    ) {
        visit.deeds.push(Deed { article: number, act: Act::Purchase, position });
        let article = self.article(number);
        let appeal = Moment { shop: self, customer, household, day }.appeal(number);
        household.buys(number, article, day);
        let regret = match article.category().kind {
            Kind::Clothing => 0.08 + 0.25 * (1.0 - appeal),
            Kind::Durable => 0.05,
            Kind::Consumable => 0.0,
        };
        let key = |what| [customer as u64, u64::from(number), u64::from(day as u32) << 2 | what];
        if self.chance.uniform(About::Return, key(0)) < regret {
            let days = 4 + self.chance.below(About::Return, key(1), 9);
            visit.returns.push((day + days as Day, number));
        }
    }
}

impl Moment<'_> {
    /// Articles of a category that a search shows.
    const SHOWN: usize = 10;

    /// How much likelier a second piece of clothing is, and what it gains by going with the first
    /// (factors).
    const OUTFIT: (f64, f64) = (1.8, 2.0);

    /// What the customer finds and buys without the list, in one category.
    fn search(&self, category: usize, outfit: Option<&Article>) -> Option<u32> {
        let (shop, kind) = (self.shop, CATEGORIES[category].kind);
        let need = self.need(category);
        let eagerness = match kind {
            Kind::Consumable => 0.6,
            Kind::Clothing if outfit.is_some() => 0.5 * Self::OUTFIT.0,
            Kind::Clothing => 0.5,
            Kind::Durable => 0.4,
        };
        let key = |what: u64| {
            [self.customer as u64, u64::from(self.day as u32), (category as u64) << 32 | what]
        };
        if shop.chance.uniform(About::Search, key(0)) >= need * eagerness {
            return None;
        }
        // A search lists by the space that the shop gives an article; the usual one is found in any
        // case.
        let drawn = |number: &u32| {
            let article = shop.article(*number);
            article.shelf.ln() + shop.chance.gumbel(About::Search, key(1 + u64::from(*number)))
        };
        // Customers filter by their size, and by what their devices take.
        let of_category = |number: &u32| {
            shop.article(*number).category == category && self.fits(shop.article(*number))
        };
        let mut shown: Vec<(f64, u32)> = shop
            .assortment
            .on_sale(self.day)
            .filter(of_category)
            .map(|number| (drawn(&number), number))
            .collect();
        shown.sort_by(|a, b| b.0.total_cmp(&a.0));
        shown.truncate(Self::SHOWN);
        let usual =
            self.household.last(category).filter(|&number| shop.article(number).on_sale(self.day));
        if let Some(number) = usual.filter(|_| kind == Kind::Consumable) {
            shown.push((0.0, number));
        }
        let worth = |number: u32| {
            let goes_with =
                |with: &Article| with.style == shop.article(number).style && kind == Kind::Clothing;
            self.appeal(number) * if outfit.is_some_and(goes_with) { Self::OUTFIT.1 } else { 1.0 }
        };
        let best = shown.into_iter().map(|(_, number)| (worth(number), number));
        let (appeal, number) = best.max_by(|a, b| a.0.total_cmp(&b.0))?;
        let buys = (3.0 * appeal).min(0.95);
        (shop.chance.uniform(About::Choice, key(0)) < buys).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> Shop {
        Shop::new(5, 60, -40..8)
    }

    #[test]
    fn the_expected_purchases_are_those_that_happen_on_average() {
        let shop = shop();
        let (mut expected, mut happened) = (0.0, 0.0);
        for day in 0..8 {
            for customer in 0..60 {
                let mut household = Household::new(shop.customers[customer].systems);
                let moment = Moment { shop: &shop, customer, household: &household, day };
                let list = best_list(moment, 12);
                let visit = shop.visit(customer, day, &list, &mut household);
                expected += visit.expected;
                let bought = |deed: &&Deed| deed.act == Act::Purchase && deed.position.is_some();
                happened += visit.deeds.iter().filter(bought).count() as f64;
            }
        }
        // Poisson noise of about 4 % at this number of purchases.
        assert!(
            expected > 300.0 && (happened / expected - 1.0).abs() < 0.15,
            "{happened} of {expected}"
        );
    }

    #[test]
    fn the_best_list_is_not_below_others() {
        let shop = shop();
        let household = Household::new(shop.customers[3].systems);
        let moment = Moment { shop: &shop, customer: 3, household: &household, day: 2 };
        let best = expected_purchases(moment, &best_list(moment, 12));
        let all: Vec<u32> = shop.assortment.on_sale(2).collect();
        assert!(all.chunks(12).all(|list| expected_purchases(moment, list) <= best));
    }

    #[test]
    fn what_was_just_bought_is_not_needed() {
        let shop = shop();
        let mut household = Household::new(shop.customers[0].systems);
        let day = 3;
        for number in shop.assortment.on_sale(day).step_by(7) {
            household.buys(number, shop.article(number), day);
            let category = shop.article(number).category;
            let moment = Moment { shop: &shop, customer: 0, household: &household, day };
            assert_eq!(moment.need(category), 0.0, "{}", CATEGORIES[category].name);
        }
    }

    #[test]
    fn the_same_list_brings_the_same_visit_in_every_arm() {
        let shop = shop();
        let list: Vec<u32> = shop.assortment.on_sale(1).step_by(31).take(12).collect();
        let visit = || {
            let mut household = Household::new(shop.customers[9].systems);
            let visit = shop.visit(9, 1, &list, &mut household);
            visit
                .deeds
                .iter()
                .map(|deed| (deed.article, deed.act == Act::Purchase))
                .collect::<Vec<_>>()
        };
        assert_eq!(visit(), visit());
    }
}
