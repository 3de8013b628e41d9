//! How well articles sell: as the shop counts it, or else as the model's training window does.

use super::{Catalogue, Model, snapshot::NONE};
use std::cmp::Ordering;

/// The order of the catalogue's rows by sales.
pub(super) struct Popularity {
    /// By row; empty where the catalogue has them.
    own: Vec<f32>,
    /// All rows, the best seller first.
    order: Vec<u32>,
    /// The place of each row in `order`.
    rank: Vec<u32>,
}

/// With more new rows it is faster to sort all than to insert each.
const INSERTED: usize = 64;

impl Popularity {
    /// `items`: the model's item of each row, or [`NONE`].
    pub(super) fn of(model: &dyn Model, catalogue: &Catalogue, items: &[u32]) -> Self {
        let popularity =
            Self { own: own(model, catalogue, items, 0), order: Vec::new(), rank: Vec::new() };
        popularity.sorted(catalogue, (0..catalogue.rows() as u32).collect())
    }

    /// The same rows by other sales. Little has moved since they were sorted last, which is quick
    /// to sort again.
    pub(super) fn with_sales(
        &self,
        model: &dyn Model,
        catalogue: &Catalogue,
        items: &[u32],
    ) -> Self {
        let popularity =
            Self { own: own(model, catalogue, items, 0), order: Vec::new(), rank: Vec::new() };
        popularity.sorted(catalogue, self.order.clone())
    }

    /// The same with the rows that the catalogue has got since.
    pub(super) fn with_new_rows(
        &self,
        model: &dyn Model,
        catalogue: &Catalogue,
        items: &[u32],
    ) -> Self {
        let known = self.order.len();
        if catalogue.rows() - known > INSERTED {
            return Self::of(model, catalogue, items);
        }
        let mut next = Self { own: self.own.clone(), order: self.order.clone(), rank: Vec::new() };
        next.own.extend(own(model, catalogue, items, known));
        for row in known as u32..catalogue.rows() as u32 {
            let place = next
                .order
                .partition_point(|&other| next.compare(catalogue, other, row) == Ordering::Less);
            next.order.insert(place, row);
        }
        next.ranked()
    }

    pub(super) fn of_row(&self, catalogue: &Catalogue, row: u32) -> f32 {
        catalogue.sales().unwrap_or(&self.own)[row as usize]
    }

    pub(super) fn order(&self) -> &[u32] {
        &self.order
    }

    pub(super) fn rank(&self, row: u32) -> u32 {
        self.rank[row as usize]
    }

    /// Better sellers first, ties by id.
    fn compare(&self, catalogue: &Catalogue, a: u32, b: u32) -> Ordering {
        let by_sales = self.of_row(catalogue, b).total_cmp(&self.of_row(catalogue, a));
        by_sales.then_with(|| catalogue.id(a).cmp(catalogue.id(b)))
    }

    fn sorted(mut self, catalogue: &Catalogue, mut rows: Vec<u32>) -> Self {
        rows.sort_by(|&a, &b| self.compare(catalogue, a, b));
        self.order = rows;
        self.ranked()
    }

    fn ranked(mut self) -> Self {
        self.rank = vec![0; self.order.len()];
        for (place, &row) in self.order.iter().enumerate() {
            self.rank[row as usize] = place as u32;
        }
        self
    }
}

/// The model's sales of the rows from `first` on; none where the catalogue has its own.
fn own(model: &dyn Model, catalogue: &Catalogue, items: &[u32], first: usize) -> Vec<f32> {
    let of_item = |&item: &u32| if item == NONE { 0.0 } else { model.popularity()[item as usize] };
    if catalogue.sales().is_some() {
        Vec::new()
    } else {
        items[first..].iter().map(of_item).collect()
    }
}
