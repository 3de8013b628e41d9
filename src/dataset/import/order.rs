//! The order of purchases.

use crate::{dataset::Purchases, domain::Timestamp};
use rayon::prelude::*;

/// Where the shop gives no times: counts each customer's purchases in file order, from 0.
pub(super) fn count_positions(purchases: &mut Purchases, customers: usize) {
    let mut next = vec![0; customers];
    let positions = purchases.customer.iter().map(|&customer| {
        let position = &mut next[customer as usize];
        *position += 1;
        Timestamp(*position - 1)
    });
    purchases.time = positions.collect();
}

/// Sorts by time; equal times stay in file order.
pub(super) fn sort_by_time(purchases: &mut Purchases) {
    if purchases.time.is_sorted() && purchases.millis.is_empty() {
        return;
    }
    let mut order: Vec<u32> = (0..purchases.len() as u32).collect();
    order.par_sort_by_key(|&row| purchases.moment_of(row));
    permute(&mut purchases.article, &order);
    permute(&mut purchases.customer, &order);
    permute(&mut purchases.time, &order);
    permute(&mut purchases.price, &order);
    permute(&mut purchases.channel, &order);
    permute(&mut purchases.weight, &order);
    permute(&mut purchases.millis, &order);
}

/// Brings a column into a new order; an empty column stays empty.
fn permute<T: Copy>(column: &mut Vec<T>, order: &[u32]) {
    if !column.is_empty() {
        *column = order.iter().map(|&row| column[row as usize]).collect();
    }
}
