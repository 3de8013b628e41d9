//! The order of purchases that were read.

use crate::dataset::Purchases;
use rayon::prelude::*;

/// Sorts by moment, then by customer, article and all the rest, so that rows in any order give the
/// same columns.
pub(super) fn sort(purchases: &mut Purchases) {
    let time = &purchases.time;
    // Seconds and row in one number: most of the work is then a plain sort of numbers.
    let mut order: Vec<u64> =
        (0..time.len() as u64).map(|row| u64::from(time[row as usize].0) << 32 | row).collect();
    order.par_sort_unstable();
    order.par_chunk_by_mut(|a, b| a >> 32 == b >> 32).for_each(|second| {
        second.sort_unstable_by_key(|&entry| key(purchases, entry as u32));
    });
    permute(&mut purchases.customer, &order);
    permute(&mut purchases.article, &order);
    permute(&mut purchases.time, &order);
    permute(&mut purchases.price, &order);
    permute(&mut purchases.channel, &order);
    permute(&mut purchases.weight, &order);
    permute(&mut purchases.millis, &order);
}

/// What tells the rows of one second apart.
fn key(purchases: &Purchases, row: u32) -> (u16, u32, u32, u32, u8, u32) {
    let at = row as usize;
    let bits = |column: &Vec<f32>| column.get(at).map_or(0, |number| number.to_bits());
    let millis = purchases.moment_of(row).1;
    let channel = purchases.channel.get(at).copied().unwrap_or(0);
    let (customer, article) = (purchases.customer[at], purchases.article[at]);
    (millis, customer, article, bits(&purchases.price), channel, bits(&purchases.weight))
}

/// Brings a column into a new order; an empty column stays empty.
fn permute<T: Copy>(column: &mut Vec<T>, order: &[u64]) {
    if !column.is_empty() {
        *column = order.iter().map(|&entry| column[entry as u32 as usize]).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    #[test]
    fn the_order_of_rows_makes_no_difference() {
        let rows =
            [(9, 0, 1, 2), (5, 700, 0, 0), (5, 0, 1, 1), (5, 0, 0, 3), (5, 0, 0, 3), (1, 0, 2, 0)];
        let sorted = |rows: &[(u32, u16, u32, u32)]| {
            let mut purchases = Purchases {
                customer: rows.iter().map(|row| row.2).collect(),
                article: rows.iter().map(|row| row.3).collect(),
                time: rows.iter().map(|row| Timestamp(row.0)).collect(),
                millis: rows.iter().map(|row| row.1).collect(),
                ..Purchases::default()
            };
            sort(&mut purchases);
            (purchases.time, purchases.millis, purchases.customer, purchases.article)
        };
        let expected = sorted(&rows);
        assert_eq!(expected.0, [1, 5, 5, 5, 5, 9].map(Timestamp));
        assert_eq!(
            (expected.1.clone(), expected.2.clone()),
            (vec![0, 0, 0, 0, 700, 0], vec![2, 0, 0, 1, 0, 1])
        );
        let mut turned = rows;
        for _ in 0..rows.len() {
            turned.rotate_left(1);
            assert_eq!(sorted(&turned), expected);
        }
    }
}
