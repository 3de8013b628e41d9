//! A set of items as a bitmap.

/// A set of item numbers below a fixed length.
#[derive(Clone, Default, PartialEq, Eq)]
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

    /// Makes room for items up to `len`; a set never shrinks.
    pub fn grow(&mut self, len: usize) {
        if len > self.len {
            self.words.resize(len.div_ceil(64), 0);
            self.len = len;
        }
    }

    /// Keeps the items for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(u32) -> bool) {
        for (at, word) in self.words.iter_mut().enumerate() {
            let mut rest = *word;
            while rest != 0 {
                let bit = rest.trailing_zeros();
                rest &= rest - 1;
                if !keep(at as u32 * 64 + bit) {
                    *word &= !(1 << bit);
                }
            }
        }
        self.count = self.words.iter().map(|w| w.count_ones() as usize).sum();
    }

    /// Keeps only what is also in `other` (same capacity).
    pub fn intersect(&mut self, other: &Self) {
        debug_assert_eq!(self.len, other.len);
        for (a, b) in self.words.iter_mut().zip(&other.words) {
            *a &= b;
        }
        self.count = self.words.iter().map(|w| w.count_ones() as usize).sum();
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
        set.grow(200);
        set.insert(199);
        set.retain(|item| item != 63);
        assert_eq!(
            (set.iter().collect::<Vec<_>>(), set.count(), set.capacity()),
            (vec![0, 129, 199], 3, 200)
        );
    }
}
