//! Returns that take purchases back.

use super::moment::Moment;
use crate::{dataset::Purchases, domain::IdTable};
use std::collections::HashMap;

/// A row with a negative quantity.
pub(crate) struct Return {
    pub customer: String,
    pub article: String,
    pub moment: Moment,
    /// Pieces, above 0.
    pub units: f32,
}

/// What returns took back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cancelled {
    /// Purchases that are gone.
    pub removed: u64,
    /// Returns that found nothing to take back.
    pub unmatched: u64,
}

/// Takes back what was returned: of the purchases of the customer and the article before a return
/// the latest, then the one before it, until all pieces are accounted for. A purchase of which
/// pieces are left stays, with a smaller weight. The purchases are sorted by time, and stay so.
pub(crate) fn cancel(
    purchases: &mut Purchases,
    mut returns: Vec<Return>,
    articles: &IdTable,
    customers: &IdTable,
) -> Cancelled {
    let pair =
        |entry: &Return| Some((customers.find(&entry.customer)?, articles.find(&entry.article)?));
    let mut bought: HashMap<(u32, u32), Vec<u32>> = HashMap::new();
    bought.extend(returns.iter().filter_map(pair).map(|pair| (pair, Vec::new())));
    for row in 0..purchases.len() {
        if let Some(rows) = bought.get_mut(&(purchases.customer[row], purchases.article[row])) {
            rows.push(row as u32);
        }
    }
    purchases.weight.resize(purchases.len(), 1.0);
    returns.sort_by_key(|entry| entry.moment);
    let mut unmatched = 0;
    for entry in &returns {
        let rows = pair(entry).and_then(|pair| bought.get(&pair)).map_or(&[][..], Vec::as_slice);
        if !take_back(purchases, rows, entry) {
            unmatched += 1;
        }
    }
    Cancelled { removed: remove_empty(purchases), unmatched }
}

/// Takes the pieces of a return from these purchases; answers whether there was one to take from.
fn take_back(purchases: &mut Purchases, rows: &[u32], entry: &Return) -> bool {
    let mut units = entry.units;
    let mut found = false;
    for &row in rows.iter().rev() {
        let (time, millis) = purchases.moment_of(row);
        let weight = &mut purchases.weight[row as usize];
        if units <= 0.0 || *weight <= 0.0 || (Moment { time, millis }) > entry.moment {
            continue;
        }
        let taken = units.min(*weight);
        *weight -= taken;
        units -= taken;
        found = true;
    }
    found
}

/// Removes the purchases without a weight.
fn remove_empty(purchases: &mut Purchases) -> u64 {
    let keep: Vec<bool> = purchases.weight.iter().map(|&weight| weight > 0.0).collect();
    let removed = keep.iter().filter(|keep| !**keep).count();
    retain(&mut purchases.customer, &keep);
    retain(&mut purchases.article, &keep);
    retain(&mut purchases.time, &keep);
    retain(&mut purchases.price, &keep);
    retain(&mut purchases.channel, &keep);
    retain(&mut purchases.weight, &keep);
    retain(&mut purchases.millis, &keep);
    removed as u64
}

/// An empty column stays empty.
fn retain<T>(column: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    column.retain(|_| keep.next().is_none_or(|keep| *keep));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    fn at(seconds: u32) -> Moment {
        Moment { time: Timestamp(seconds), millis: 0 }
    }

    #[test]
    fn the_latest_purchase_before_a_return_goes_first() {
        let ids: IdTable = ["a", "b"].into_iter().collect();
        let mut purchases = Purchases {
            customer: vec![0, 0, 0, 1],
            article: vec![0, 0, 1, 0],
            time: [10, 20, 20, 20].map(Timestamp).to_vec(),
            weight: vec![3.0, 1.0, 1.0, 1.0],
            ..Purchases::default()
        };
        let entry = |customer: &str, article: &str, seconds, units| Return {
            customer: customer.into(),
            article: article.into(),
            moment: at(seconds),
            units,
        };
        // Two pieces: the one of 20, then one of the three of 10. The others come too early or are
        // of nothing known.
        let returns =
            vec![entry("a", "b", 5, 1.0), entry("a", "a", 30, 2.0), entry("a", "c", 30, 1.0)];
        assert_eq!(
            cancel(&mut purchases, returns, &ids, &ids),
            Cancelled { removed: 1, unmatched: 2 }
        );
        assert_eq!(purchases.customer, [0, 0, 1]);
        assert_eq!(purchases.article, [0, 1, 0]);
        assert_eq!(purchases.weight, [2.0, 1.0, 1.0]);
        assert_eq!(purchases.time, [10, 20, 20].map(Timestamp));
    }
}
