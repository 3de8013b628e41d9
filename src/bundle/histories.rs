//! Rows of `indices` that are nothing but histories, and how they are cut to the length that is in
//! use.

use crate::features::{Slot, TowerSchema};

/// Shortest length worth a plan of its own; the next are twice as long.
const SHORTEST: usize = 8;

/// A row is one window of `length` columns after the other, each newest first, with its padding
/// behind.
pub(super) struct Histories {
    length: usize,
    /// Of each window.
    padding: Vec<i64>,
}

impl Histories {
    /// `None` when rows hold anything else.
    pub fn of(schema: &TowerSchema) -> Option<Self> {
        let windows = schema.slots().into_iter().map(|slot| match slot {
            Slot::Sequence { rows, length, .. } => Some((length, rows as i64 - 1)),
            _ => None,
        });
        let windows = windows.collect::<Option<Vec<_>>>()?;
        let &(length, _) = windows.first()?;
        let alike = windows.iter().all(|window| window.0 == length);
        alike
            .then(|| Self { length, padding: windows.into_iter().map(|window| window.1).collect() })
    }

    /// Columns of rows that are worth a plan beside the whole ones, rising.
    pub fn shorter_rows(&self) -> Vec<usize> {
        let lengths = std::iter::successors(Some(SHORTEST), |length| length.checked_mul(2));
        lengths
            .take_while(|&length| length < self.length)
            .map(|length| length * self.padding.len())
            .collect()
    }

    /// Columns that hold the history of this row.
    pub fn columns_in_use(&self, row: &[i64]) -> usize {
        let windows = row.chunks_exact(self.length).zip(&self.padding);
        let used = windows.map(|(window, padding)| {
            window.iter().rposition(|index| index != padding).map_or(0, |i| i + 1)
        });
        used.max().unwrap_or(0) * self.padding.len()
    }

    /// The row with windows as long as `columns` allow.
    pub fn cut(&self, row: &[i64], columns: usize) -> Vec<i64> {
        let length = columns / self.padding.len();
        row.chunks_exact(self.length).flat_map(|window| &window[..length]).copied().collect()
    }
}
