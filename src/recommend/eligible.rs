//! Which articles may be answered, and the memory of what filters came to.

use super::{Filter, fresh::Fresh};
use crate::retrieval::ItemSet;
use hashbrown::HashMap;
use std::sync::Arc;

/// A set of articles, as catalogue rows, as items of the model, and as vectors of articles newer than it.
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

    fn bytes(&self) -> usize {
        let fresh: usize = self.fresh.iter().map(ItemSet::capacity).sum();
        (self.rows.capacity() + self.items.capacity() + fresh) / 8
    }
}

/// What filters came to on one snapshot, bounded in bytes.
#[derive(Default)]
pub(super) struct Remembered {
    by_key: HashMap<Box<str>, (Filter, Arc<Eligible>)>,
    bytes: usize,
}

/// Most bytes remembered of a snapshot's filters.
const MAX_BYTES: usize = 64 << 20;
/// A filter with a longer key is answered, but not remembered.
const MAX_KEY: usize = 64 << 10;

impl Remembered {
    pub(super) fn get(&self, filter: &Filter) -> Option<Arc<Eligible>> {
        self.by_key.get(filter.key()).map(|(_, eligible)| eligible.clone())
    }

    pub(super) fn knows(&self, filter: &Filter) -> bool {
        self.by_key.contains_key(filter.key())
    }

    /// Remembers what a filter came to; forgets everything else when there would be too much.
    pub(super) fn keep(&mut self, filter: &Filter, eligible: Arc<Eligible>) {
        if filter.key().len() > MAX_KEY {
            return;
        }
        // The key stands in the map and in the filter, whose values are about as long again.
        let bytes = 3 * filter.key().len() + eligible.bytes() + 256;
        if self.bytes + bytes > MAX_BYTES {
            *self = Self::default();
        }
        if self.by_key.insert(filter.key().into(), (filter.clone(), eligible)).is_none() {
            self.bytes += bytes;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Filter, &Arc<Eligible>)> {
        self.by_key.values().map(|(filter, eligible)| (filter, eligible))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_filters_is_bounded_in_bytes() {
        let mut remembered = Remembered::default();
        let set = || ItemSet::empty(8 << 20);
        let filter = |text: String| Filter::parse(&[("a".to_owned(), text.into())].into()).unwrap();
        for n in 0..100 {
            let eligible = Eligible { rows: set(), items: set(), fresh: Vec::new() };
            let filter = filter(n.to_string());
            remembered.keep(&filter, Arc::new(eligible));
            assert!(remembered.knows(&filter) && remembered.bytes <= MAX_BYTES);
        }
        let long = filter("x".repeat(MAX_KEY));
        remembered.keep(&long, Arc::new(Eligible { rows: set(), items: set(), fresh: Vec::new() }));
        assert!(!remembered.knows(&long));
    }
}
