//! Texts numbered from 0, in two layers, so that adding one does not copy the others.

use crate::domain::IdTable;
use std::sync::Arc;

/// Fewest texts of the upper layer before it is merged into the lower one.
const MERGE: usize = 1_024;

/// An append-only table of texts. A copy shares both layers with its original; adding to the copy
/// copies the upper one, which is small.
#[derive(Debug, Clone, Default)]
pub(super) struct Texts {
    base: Arc<IdTable>,
    added: Arc<IdTable>,
}

impl Texts {
    pub(super) fn len(&self) -> usize {
        self.base.len() + self.added.len()
    }

    /// The text of a row.
    ///
    /// # Panics
    /// When there is no such row.
    pub(super) fn get(&self, row: u32) -> &str {
        match row.checked_sub(self.base.len() as u32) {
            None => self.base.get(row),
            Some(row) => self.added.get(row),
        }
    }

    pub(super) fn find(&self, text: &str) -> Option<u32> {
        let above = || self.added.find(text).map(|row| row + self.base.len() as u32);
        self.base.find(text).or_else(above)
    }

    /// The row of the text, adding it when it is new.
    pub(super) fn insert(&mut self, text: &str) -> u32 {
        if let Some(row) = self.find(text) {
            return row;
        }
        if self.added.is_empty()
            && let Some(base) = Arc::get_mut(&mut self.base)
        {
            return base.insert(text);
        }
        if self.added.len() >= MERGE.max(self.base.len() / 16) {
            let base = Arc::make_mut(&mut self.base);
            for text in self.added.iter() {
                base.insert(text);
            }
            self.added = Arc::default();
            return base.insert(text);
        }
        self.base.len() as u32 + Arc::make_mut(&mut self.added).insert(text)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.base.iter().chain(self.added.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_through_copies_and_merges() {
        let mut texts = Texts::default();
        let mut copies = Vec::new();
        for n in 0..5_000u32 {
            assert_eq!(texts.insert(&n.to_string()), n);
            if n % 100 == 0 {
                copies.push((n, texts.clone()));
            }
        }
        for (n, copy) in copies {
            assert_eq!((copy.len(), copy.get(n)), (n as usize + 1, n.to_string().as_str()));
            assert_eq!(copy.find(&(n + 1).to_string()), None);
        }
        assert!((0..5_000).all(|n: u32| texts.find(&n.to_string()) == Some(n)));
        assert!(texts.iter().enumerate().all(|(n, text)| text == n.to_string()));
    }
}
