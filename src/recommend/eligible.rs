//! Which articles may be answered.

use super::fresh::Fresh;
use crate::retrieval::ItemSet;

/// A set of articles, as catalogue rows, as items of the model, and as vectors of articles newer
/// than it.
#[derive(Debug, Clone)]
pub struct Eligible {
    pub rows: ItemSet,
    pub items: ItemSet,
    /// By segment of [`Fresh`].
    pub(super) fresh: Vec<ItemSet>,
}

impl Eligible {
    /// Takes a row out; `item`: that of the row, if the model knows it.
    pub(super) fn remove(&mut self, row: u32, item: Option<u32>, fresh: &Fresh) {
        self.rows.remove(row);
        match item {
            Some(item) => self.items.remove(item),
            None => {
                for (set, segment) in self.fresh.iter_mut().zip(fresh.segments()) {
                    segment.position(row).into_iter().for_each(|at| set.remove(at));
                }
            }
        }
    }

    /// Bytes of memory, about.
    pub(super) fn bytes(&self) -> usize {
        let fresh: usize = self.fresh.iter().map(ItemSet::capacity).sum();
        (self.rows.capacity() + self.items.capacity() + fresh) / 8
    }
}
