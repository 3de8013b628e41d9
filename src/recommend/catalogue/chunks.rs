//! One value a row, in chunks that versions of the catalogue share.

use std::sync::Arc;

/// Rows of a chunk: a change of one row copies so many values.
const CHUNK: usize = 1_024;

/// Values of rows. A copy shares every chunk with its original until one of them is changed; chunks
/// without any value take no memory, so an attribute of few articles is cheap.
#[derive(Debug, Clone)]
pub(super) struct Chunks<T> {
    chunks: Vec<Option<Arc<[T]>>>,
    missing: T,
}

impl<T: Clone + PartialEq> Chunks<T> {
    pub(super) fn new(missing: T) -> Self {
        Self { chunks: Vec::new(), missing }
    }

    /// The value of a row, or that of missing ones.
    pub(super) fn get(&self, row: u32) -> &T {
        let row = row as usize;
        match self.chunks.get(row / CHUNK) {
            Some(Some(chunk)) => &chunk[row % CHUNK],
            _ => &self.missing,
        }
    }

    /// Gives a row a value; answers whether it had another.
    pub(super) fn set(&mut self, row: u32, value: T) -> bool {
        if *self.get(row) == value {
            return false;
        }
        let (chunk, at) = (row as usize / CHUNK, row as usize % CHUNK);
        if chunk >= self.chunks.len() {
            self.chunks.resize(chunk + 1, None);
        }
        let empty = || std::iter::repeat_n(self.missing.clone(), CHUNK).collect();
        let values = self.chunks[chunk].get_or_insert_with(empty);
        Arc::make_mut(values)[at] = value;
        true
    }

    pub(super) fn clear(&mut self, row: u32) -> bool {
        self.set(row, self.missing.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_copies_one_chunk_and_leaves_the_original() {
        let mut old = Chunks::new(0u32);
        assert!(old.set(5, 50) && old.set(3 * CHUNK as u32, 7) && !old.set(5, 50));
        let mut new = old.clone();
        assert!(new.set(5, 51));
        assert_eq!((*old.get(5), *new.get(5), *new.get(6), *new.get(900_000)), (50, 51, 0, 0));
        let shared = |chunk: usize| match (&old.chunks[chunk], &new.chunks[chunk]) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        assert_eq!([0, 1, 2, 3].map(shared), [false, true, true, true]);
        assert!(new.clear(5) && !new.clear(5));
    }
}
