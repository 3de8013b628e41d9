//! Picking articles until k stand: what rules place, then candidates in order, then what fills,
//! all under `max_per`.

mod diversity;
mod promotions;
mod selection;

pub(super) use diversity::POOL;
pub(super) use selection::{Selection, Supply};

use super::{
    Column, Group, RecommendError, Snapshot,
    filter::find_attribute,
    sources::{CATALOGUE, POPULAR},
};
use crate::domain::AttributeKind;
use hashbrown::{HashMap, HashSet};

/// An article of the list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pick {
    pub(super) row: u32,
    pub(super) score: f32,
    pub(super) source: &'static str,
    pub(super) origin: Origin,
    /// Rules that touched it, a bit each.
    pub(super) rules: u64,
}

/// Where an article of the list comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// [`Candidate::found`](super::Candidate::found)
    Candidate(usize),
    /// Its rank, from 0, in a source of the fallback chain.
    Fallback(usize),
    /// The order of sales.
    Popularity,
}

impl Pick {
    /// An article that no source found.
    fn unfound(snapshot: &Snapshot, row: u32) -> Self {
        let score = snapshot.popularity(row);
        let source = if score > 0.0 { POPULAR } else { CATALOGUE };
        Self { row, score, source, origin: Origin::Popularity, rules: 0 }
    }
}

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
    pub(super) items: Vec<Pick>,
}

impl<'a> Picks<'a> {
    /// # Errors
    /// When `max_per` names an attribute that is unknown or holds several values.
    pub(super) fn new(
        snapshot: &'a Snapshot,
        k: usize,
        max_per: &[(String, usize)],
    ) -> Result<Self, RecommendError> {
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
    pub(super) fn offer(&mut self, pick: Pick) {
        if !self.is_full() && self.admits(pick.row) {
            self.reserve(pick.row);
            self.items.push(pick);
        }
    }

    /// Keeps room for an article that is admitted.
    fn reserve(&mut self, row: u32) {
        for quota in &mut self.quotas {
            quota.take(row);
        }
        self.picked.insert(row);
    }
}

impl Quota<'_> {
    fn admits(&self, row: u32) -> bool {
        self.column
            .group(row)
            .is_none_or(|key| self.used.get(&key).is_none_or(|&used| used < self.limit))
    }

    fn take(&mut self, row: u32) {
        if let Some(key) = self.column.group(row) {
            *self.used.entry(key).or_default() += 1;
        }
    }
}
