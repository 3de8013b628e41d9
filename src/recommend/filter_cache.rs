//! Results of filters, remembered within a bound of bytes: whoever asks may send as many filters,
//! and as long ones, as they like.

use super::{Eligible, Filter};
use hashbrown::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Two generations, each of half the bytes. What is used moves to the young one; when that is full,
/// the old one is forgotten and the young one takes its place.
pub(super) struct FilterCache {
    capacity: usize,
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Box<str>, Entry>,
    /// Of the young one.
    bytes: usize,
    old: HashMap<Box<str>, Entry>,
}

/// A filter and what it came to.
type Entry = (Filter, Arc<Eligible>);

impl FilterCache {
    /// Remembers so many bytes.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, generations: Mutex::default() }
    }

    /// The bytes it may remember.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn contains(&self, filter: &Filter) -> bool {
        let (generations, key) = (self.lock(), filter.key());
        generations.young.contains_key(key) || generations.old.contains_key(key)
    }

    pub(super) fn get(&self, filter: &Filter) -> Option<Arc<Eligible>> {
        let mut generations = self.lock();
        if let Some((_, known)) = generations.young.get(filter.key()) {
            return Some(known.clone());
        }
        let entry = generations.old.remove(filter.key())?;
        let known = entry.1.clone();
        generations.insert(entry, self.capacity / 2);
        Some(known)
    }

    pub(super) fn insert(&self, filter: &Filter, eligible: Arc<Eligible>) {
        self.lock().insert((filter.clone(), eligible), self.capacity / 2);
    }

    /// Everything that is remembered.
    pub(super) fn entries(&self) -> Vec<(Filter, Arc<Eligible>)> {
        let generations = self.lock();
        generations.old.values().chain(generations.young.values()).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    /// What is larger than a generation is not remembered.
    fn insert(&mut self, (filter, eligible): Entry, most: usize) {
        let bytes = weight(&filter, &eligible);
        if bytes > most {
            return;
        }
        if self.bytes + bytes > most {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        if self.young.insert(filter.key().into(), (filter, eligible)).is_none() {
            self.bytes += bytes;
        }
    }
}

/// Bytes of memory, about.
fn weight(filter: &Filter, eligible: &Eligible) -> usize {
    /// What an entry costs besides its bytes.
    const OVERHEAD: usize = 256;
    // The key stands in the map and in the filter, whose values are about as long again.
    OVERHEAD + 3 * filter.key().len() + eligible.bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retrieval::ItemSet;

    fn eligible() -> Arc<Eligible> {
        Arc::new(Eligible {
            rows: ItemSet::empty(8_000),
            items: ItemSet::empty(8_000),
            fresh: Vec::new(),
        })
    }

    fn filter(text: &str) -> Filter {
        Filter::parse(&[("a".to_owned(), text.into())].into()).unwrap()
    }

    #[test]
    fn any_number_of_filters_stays_within_the_bytes() {
        let cache = FilterCache::new(100_000);
        for n in 0..10_000 {
            cache.insert(&filter(&n.to_string()), eligible());
            // One that is asked for all the time stays.
            if n == 0 || cache.contains(&filter("0")) {
                assert!(cache.get(&filter("0")).is_some());
            }
        }
        let generations = cache.lock();
        let all = generations.young.iter().chain(&generations.old);
        let bytes: usize = all.map(|(_, (filter, eligible))| weight(filter, eligible)).sum();
        assert!(bytes <= 100_000 && bytes > 50_000, "{bytes}");
        drop(generations);
        let knows = |text: &str| cache.contains(&filter(text));
        assert!(knows("0") && knows("9999") && !knows("10"));
    }

    #[test]
    fn a_filter_larger_than_all_others_displaces_none() {
        let cache = FilterCache::new(100_000);
        cache.insert(&filter("small"), eligible());
        let huge = filter(&"x".repeat(60_000));
        cache.insert(&huge, eligible());
        assert!(cache.contains(&filter("small")) && !cache.contains(&huge));
    }
}
