//! Customers of one step as a sparse matrix, readable by customer and by item.

use crate::model::simd::{Simd, add_scaled};
use std::ops::Range;

/// What some customers bought: each row an item at most once, with a value above 0.
#[derive(Debug, Clone, Default)]
pub struct ElsaBatch {
    /// Of customer `c`: `items[offsets[c]..offsets[c + 1]]` and `values` alike.
    offsets: Vec<usize>,
    items: Vec<u32>,
    values: Vec<f32>,
    /// The same as `(item, customer, value)`, by rising item, then customer.
    by_item: Vec<(u32, u32, f32)>,
}

impl ElsaBatch {
    /// One row a customer.
    ///
    /// # Panics
    /// When a row is empty or a value not above 0: such a row has no direction.
    pub fn new<'a>(rows: impl Iterator<Item = (&'a [u32], &'a [f32])>) -> Self {
        let mut batch = Self { offsets: vec![0], ..Self::default() };
        for (customer, (items, values)) in rows.enumerate() {
            assert!(
                !items.is_empty() && values.iter().all(|&value| value > 0.0),
                "a row without direction"
            );
            batch.items.extend_from_slice(items);
            batch.values.extend_from_slice(values);
            batch.offsets.push(batch.items.len());
            let purchases =
                items.iter().zip(values).map(|(&item, &value)| (item, customer as u32, value));
            batch.by_item.extend(purchases);
        }
        batch.by_item.sort_unstable_by_key(|&(item, customer, _)| (item, customer));
        batch
    }

    pub fn customers(&self) -> usize {
        self.offsets.len() - 1
    }

    fn row(&self, customer: usize) -> impl Iterator<Item = (u32, f32)> {
        let range = self.offsets[customer]..self.offsets[customer + 1];
        self.items[range.clone()].iter().copied().zip(self.values[range].iter().copied())
    }

    /// `‖x‖²` of a customer.
    pub(super) fn square(&self, customer: usize) -> f32 {
        self.row(customer).map(|(_, value)| value * value).sum()
    }

    /// `x·table` of the customers from `first` on, as many as fit `out`, which holds zeros.
    pub(super) fn sum_rows(&self, first: usize, table: &[f32], dim: usize, out: &mut [f32]) {
        let simd = Simd::detect();
        for (row, out) in out.chunks_exact_mut(dim).enumerate() {
            for (item, value) in self.row(first + row) {
                add_scaled(
                    simd,
                    out,
                    &table[item as usize * dim..(item as usize + 1) * dim],
                    value,
                );
            }
        }
    }

    /// Each item of the batch once, rising.
    pub(super) fn distinct_items(&self) -> impl Iterator<Item = u32> {
        self.by_item.chunk_by(|a, b| a.0 == b.0).map(|same| same[0].0)
    }

    /// Item, customer and value of the purchases of a range of items.
    pub(super) fn purchases_of(
        &self,
        items: Range<usize>,
    ) -> impl Iterator<Item = (usize, usize, f32)> {
        let first = self.by_item.partition_point(|&(item, ..)| (item as usize) < items.start);
        let rest = self.by_item[first..]
            .iter()
            .take_while(move |&&(item, ..)| (item as usize) < items.end);
        rest.map(|&(item, customer, value)| (item as usize, customer as usize, value))
    }
}
