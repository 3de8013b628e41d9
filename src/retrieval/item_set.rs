//! A set of items as a bitmap.

/// A set of item numbers below a fixed length.
#[derive(Clone, PartialEq, Eq)]
pub struct ItemSet {
    words: Vec<u64>,
    len: usize,
    /// Asked for several times a request.
    count: usize,
}

impl ItemSet {
    /// The empty set over items `0..len`.
    pub fn empty(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(64)], len, count: 0 }
    }

    /// The set of all items `0..len`.
    pub fn full(len: usize) -> Self {
        let mut words = vec![u64::MAX; len.div_ceil(64)];
        if let Some(last) = words.last_mut()
            && !len.is_multiple_of(64)
        {
            *last = (1 << (len % 64)) - 1;
        }
        Self { words, len, count: len }
    }

    /// Exclusive upper bound of the items.
    pub fn capacity(&self) -> usize {
        self.len
    }

    /// How many items are in the set.
    pub fn count(&self) -> usize {
        self.count
    }

    pub fn contains(&self, item: u32) -> bool {
        let item = item as usize;
        item < self.len && self.words[item / 64] >> (item % 64) & 1 == 1
    }

    /// Items at or above the capacity are ignored.
    pub fn insert(&mut self, item: u32) {
        if (item as usize) < self.len && !self.contains(item) {
            self.words[item as usize / 64] |= 1 << (item % 64);
            self.count += 1;
        }
    }

    pub fn remove(&mut self, item: u32) {
        if self.contains(item) {
            self.words[item as usize / 64] &= !(1 << (item % 64));
            self.count -= 1;
        }
    }

    /// Keeps only what is also in `other` (same capacity).
    pub fn intersect(&mut self, other: &Self) {
        debug_assert_eq!(self.len, other.len);
        for (a, b) in self.words.iter_mut().zip(&other.words) {
            *a &= b;
        }
        self.count = self.words.iter().map(|w| w.count_ones() as usize).sum();
    }

    /// Adds what is in `other` (same capacity).
    pub fn unite(&mut self, other: &Self) {
        debug_assert_eq!(self.len, other.len);
        for (a, b) in self.words.iter_mut().zip(&other.words) {
            *a |= b;
        }
        self.count = self.words.iter().map(|w| w.count_ones() as usize).sum();
    }

    /// The items below the capacity that are not in this set.
    pub fn complement(&self) -> Self {
        let mut rest = Self::full(self.len);
        for (a, b) in rest.words.iter_mut().zip(&self.words) {
            *a &= !b;
        }
        rest.count = self.len - self.count;
        rest
    }

    /// The bitmap, 64 items a word, lowest item in the lowest bit.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The items in rising order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.words.iter().enumerate().flat_map(|(w, &word)| {
            std::iter::successors((word != 0).then_some(word), |&rest| {
                let rest = rest & (rest - 1);
                (rest != 0).then_some(rest)
            })
            .map(move |rest| (w * 64) as u32 + rest.trailing_zeros())
        })
    }
}

impl std::fmt::Debug for ItemSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ItemSet({} of {})", self.count(), self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in() {
        let mut set = ItemSet::empty(130);
        for item in [0, 63, 64, 129, 130, 999] {
            set.insert(item);
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63, 64, 129]);
        set.remove(64);
        set.intersect(&ItemSet::full(130));
        assert_eq!((set.count(), set.contains(129), set.contains(64)), (3, true, false));
        assert_eq!((ItemSet::full(130).count(), ItemSet::full(128).count()), (130, 128));
        let rest = set.complement();
        assert_eq!((rest.count(), rest.contains(64), rest.contains(63)), (127, true, false));
        set.unite(&rest);
        assert_eq!(set, ItemSet::full(130));
    }
}
