//! What happened before the first simulated day: customers searched, and nobody recommended
//! anything.

use super::{
    household::Household,
    market::Day,
    shop::Shop,
    visit::{Act, Deed},
};

/// A kept purchase.
#[derive(Debug, Clone, Copy)]
pub(super) struct Purchase {
    pub customer: usize,
    pub article: u32,
    pub day: Day,
    /// Number of the visit's purchase: they are a minute apart.
    pub order: usize,
}

/// The state of the shop on the evening before the first day.
#[derive(Debug)]
pub(super) struct History {
    pub purchases: Vec<Purchase>,
    pub households: Vec<Household>,
    /// Visits, for the calibration.
    pub visits: usize,
}

impl History {
    pub(super) fn of(shop: &Shop, first: Day) -> Self {
        let mut households: Vec<Household> =
            shop.customers.iter().map(|customer| Household::new(customer.systems)).collect();
        let mut purchases: Vec<Purchase> = Vec::new();
        let mut returns: Vec<(Day, usize, u32)> = Vec::new();
        let mut visits = 0;
        for day in first..0 {
            returns.retain(|&(due, customer, number)| {
                if due == day {
                    households[customer].returns(number, shop.article(number));
                    let kept = |purchase: &Purchase| {
                        (purchase.customer, purchase.article) != (customer, number)
                    };
                    purchases.retain(kept);
                }
                due > day
            });
            for customer in shop.visitors(day) {
                let visit = shop.visit(customer, day, &[], &mut households[customer]);
                visits += 1;
                let bought = visit.deeds.iter().filter(|deed| deed.act == Act::Purchase);
                purchases.extend(bought.enumerate().map(|(order, &Deed { article, .. })| {
                    Purchase { customer, article, day, order }
                }));
                returns
                    .extend(visit.returns.into_iter().map(|(due, number)| (due, customer, number)));
            }
        }
        Self { purchases, households, visits }
    }
}
