//! Who bought what, as a sparse matrix.

use super::Known;

/// A sparse matrix by rows. As [`Self::of`] makes it, row `c` holds what customer `c` bought: each
/// article once, rising, with the weight of its strongest event, at most 1. A view may count less
/// than a purchase; three pieces count like one, because how many somebody takes says nothing about
/// what else they like.
pub(super) struct Interactions {
    offsets: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f32>,
}

impl Interactions {
    pub(super) fn of(known: Known<'_>) -> Self {
        Self::of_rows(known, known.train.iter().copied())
    }

    /// Of some purchase rows.
    pub(super) fn of_rows(known: Known<'_>, rows: impl Iterator<Item = u32> + Clone) -> Self {
        let purchases = &known.dataset.purchases;
        let cells = rows.map(|row| {
            let (customer, article) =
                (purchases.customer[row as usize], purchases.article[row as usize]);
            (customer, article, purchases.weight_of(row).min(1.0))
        });
        let mut matrix = Self::group(known.dataset.customers.len(), cells);
        matrix.keep_strongest();
        matrix
    }

    pub(super) fn transposed(&self, columns: usize) -> Self {
        let cells = (0..self.rows())
            .flat_map(|row| self.row(row).map(move |(column, value)| (column, row as u32, value)));
        Self::group(columns, cells)
    }

    pub(super) fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    pub(super) fn row(&self, row: usize) -> impl ExactSizeIterator<Item = (u32, f32)> + Clone + '_ {
        let range = self.offsets[row]..self.offsets[row + 1];
        self.columns[range.clone()].iter().copied().zip(self.values[range].iter().copied())
    }

    /// Groups cells `(row, column, value)` by row, keeping their order within one.
    fn group(rows: usize, cells: impl Iterator<Item = (u32, u32, f32)> + Clone) -> Self {
        let mut offsets = vec![0; rows + 1];
        for (row, ..) in cells.clone() {
            offsets[row as usize + 1] += 1;
        }
        for row in 0..rows {
            offsets[row + 1] += offsets[row];
        }
        let mut next = offsets.clone();
        let (mut columns, mut values) = (vec![0; offsets[rows]], vec![0.0; offsets[rows]]);
        for (row, column, value) in cells {
            let slot = &mut next[row as usize];
            (columns[*slot], values[*slot]) = (column, value);
            *slot += 1;
        }
        Self { offsets, columns, values }
    }

    /// Sorts each row by column and keeps the highest value of each.
    fn keep_strongest(&mut self) {
        let (mut start, mut kept) = (0, 0);
        let mut cells: Vec<(u32, f32)> = Vec::new();
        for row in 1..self.offsets.len() {
            let end = self.offsets[row];
            cells.clear();
            cells.extend((start..end).map(|at| (self.columns[at], self.values[at])));
            cells.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
            cells.dedup_by_key(|cell| cell.0);
            for &(column, value) in &cells {
                (self.columns[kept], self.values[kept]) = (column, value);
                kept += 1;
            }
            (start, self.offsets[row]) = (end, kept);
        }
        self.columns.truncate(kept);
        self.values.truncate(kept);
    }
}
