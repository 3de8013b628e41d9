//! Results of filters, remembered within a bound of bytes: whoever asks may send as many filters, and
//! as long ones, as they like.

use super::Eligible;
use hashbrown::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Two generations, each of half the bytes. What is used moves to the young one; when that is full, the
/// old one is forgotten and the young one takes its place.
pub(super) struct FilterCache {
    capacity: usize,
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Box<str>, Arc<Eligible>>,
    /// Of the young one.
    bytes: usize,
    old: HashMap<Box<str>, Arc<Eligible>>,
}

impl FilterCache {
    /// Remembers so many bytes.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, generations: Mutex::default() }
    }

    /// The bytes it may remember.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn contains(&self, key: &str) -> bool {
        let generations = self.lock();
        generations.young.contains_key(key) || generations.old.contains_key(key)
    }

    pub(super) fn get(&self, key: &str) -> Option<Arc<Eligible>> {
        let mut generations = self.lock();
        if let Some(known) = generations.young.get(key) {
            return Some(known.clone());
        }
        let known = generations.old.remove(key)?;
        generations.insert(key, known.clone(), self.capacity / 2);
        Some(known)
    }

    pub(super) fn insert(&self, key: &str, eligible: Arc<Eligible>) {
        self.lock().insert(key, eligible, self.capacity / 2);
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    /// What is larger than a generation is not remembered.
    fn insert(&mut self, key: &str, eligible: Arc<Eligible>, most: usize) {
        let bytes = weight(key, &eligible);
        if bytes > most {
            return;
        }
        if self.bytes + bytes > most {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
        self.bytes += bytes;
        self.young.insert(key.into(), eligible);
    }
}

/// Bytes of memory, about.
fn weight(key: &str, eligible: &Eligible) -> usize {
    /// What an entry costs besides its bytes.
    const OVERHEAD: usize = 200;
    OVERHEAD + key.len() + (eligible.rows.capacity() + eligible.items.capacity()) / 8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retrieval::ItemSet;

    fn eligible() -> Arc<Eligible> {
        Arc::new(Eligible { rows: ItemSet::empty(8_000), items: ItemSet::empty(8_000) })
    }

    #[test]
    fn any_number_of_filters_stays_within_the_bytes() {
        let cache = FilterCache::new(100_000);
        for n in 0..10_000 {
            cache.insert(&format!("filter {n}"), eligible());
            // One that is asked for all the time stays.
            if n == 0 || cache.contains("filter 0") {
                assert!(cache.get("filter 0").is_some());
            }
        }
        let generations = cache.lock();
        let all = generations.young.iter().chain(&generations.old);
        let bytes: usize = all.map(|(key, eligible)| weight(key, eligible)).sum();
        assert!(bytes <= 100_000 && bytes > 50_000, "{bytes}");
        drop(generations);
        assert!(cache.contains("filter 0") && cache.contains("filter 9999") && !cache.contains("filter 10"));
    }

    #[test]
    fn a_filter_larger_than_all_others_displaces_none() {
        let cache = FilterCache::new(100_000);
        cache.insert("small", eligible());
        let huge = "x".repeat(60_000);
        cache.insert(&huge, eligible());
        assert!(cache.contains("small") && !cache.contains(&huge));
    }
}
