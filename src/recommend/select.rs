//! Picking articles in order until k stand, under `max_per`.

use super::{
    Column, Group, Ranked, RecommendError, Snapshot,
    filter::find_attribute,
    sources::{CATALOGUE, POPULAR},
};
use crate::{domain::AttributeKind, retrieval::ItemSet};
use hashbrown::{HashMap, HashSet};

/// How many articles may share a value of one attribute. Articles without a value are not limited.
#[derive(Clone)]
struct Quota<'a> {
    column: &'a Column,
    limit: usize,
    used: HashMap<Group, usize>,
}

/// The articles picked so far.
#[derive(Clone)]
pub(super) struct Picks<'a> {
    k: usize,
    quotas: Vec<Quota<'a>>,
    picked: HashSet<u32>,
    pub(super) items: Vec<Ranked>,
}

impl<'a> Picks<'a> {
    /// # Errors
    /// When `max_per` names an attribute that is unknown or holds several values.
    pub(super) fn new(snapshot: &'a Snapshot, k: usize, max_per: &[(String, usize)]) -> Result<Self, RecommendError> {
        let mut quotas = Vec::with_capacity(max_per.len());
        for (name, limit) in max_per {
            let catalogue = snapshot.catalogue();
            let column = catalogue.column(find_attribute(catalogue, name)?);
            if column.kind() == AttributeKind::Texts {
                return Err(RecommendError::MaxPerTags(name.clone()));
            }
            quotas.push(Quota { column, limit: *limit, used: HashMap::new() });
        }
        Ok(Self { k, quotas, picked: HashSet::with_capacity(k), items: Vec::with_capacity(k) })
    }

    pub(super) fn is_full(&self) -> bool {
        self.items.len() >= self.k
    }

    pub(super) fn has_quotas(&self) -> bool {
        !self.quotas.is_empty()
    }

    /// Whether the article is new and no quota is used up.
    pub(super) fn admits(&self, row: u32) -> bool {
        !self.picked.contains(&row) && self.quotas.iter().all(|quota| quota.admits(row))
    }

    /// Takes the article unless k stand, it is there already, or a quota is used up.
    pub(super) fn offer(&mut self, row: u32, score: f32, source: &'static str) {
        if self.is_full() || !self.admits(row) {
            return;
        }
        for quota in &mut self.quotas {
            quota.take(row);
        }
        self.picked.insert(row);
        self.items.push(Ranked { row, score, source, reasons: Vec::new() });
    }

    /// Offers the eligible articles by falling popularity.
    pub(super) fn fill(&mut self, snapshot: &Snapshot, eligible: &ItemSet) {
        if self.is_full() {
            return;
        }
        for row in snapshot.by_popularity(eligible) {
            if self.is_full() {
                return;
            }
            let sales = snapshot.popularity(row);
            self.offer(row, sales, if sales > 0.0 { POPULAR } else { CATALOGUE });
        }
    }
}

impl Quota<'_> {
    fn admits(&self, row: u32) -> bool {
        self.column.group(row).is_none_or(|key| self.used.get(&key).is_none_or(|&used| used < self.limit))
    }

    fn take(&mut self, row: u32) {
        if let Some(key) = self.column.group(row) {
            *self.used.entry(key).or_default() += 1;
        }
    }
}
