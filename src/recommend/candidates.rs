//! Candidates: what the sources found, merged, with what each of them says.

use super::sources::{Drawn, SourceSpec};
use hashbrown::HashMap;

/// An article that some source found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    pub row: u32,
    /// What the answer shows.
    pub score: f32,
    /// What candidates are ordered by: above 0, and rules multiply it.
    pub strength: f32,
    /// The source that ranks it best, among [`Candidates::sources`].
    pub best: usize,
    /// Its place in the order of finding, the key of [`Candidates::found`].
    pub found: usize,
    /// Rules that touched it, a bit each.
    pub rules: u64,
}

/// What a source says of an article.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    pub score: f32,
    /// From 0.
    pub rank: u32,
}

/// The candidates of one request.
#[derive(Debug, Default)]
pub struct Candidates {
    /// Names of the sources.
    pub sources: Vec<&'static str>,
    /// The strongest first, once they are ranked.
    pub list: Vec<Candidate>,
    found: Vec<Option<Found>>,
}

impl Candidates {
    /// Merges what the sources found; `drawn` has an entry for each. Every article comes once.
    pub(super) fn merge(specs: &[SourceSpec], drawn: &[Drawn]) -> Self {
        let width = specs.len();
        let total: usize = drawn.iter().map(|drawn| drawn.articles.len()).sum();
        let mut merged = Self {
            sources: specs.iter().map(SourceSpec::name).collect(),
            list: Vec::with_capacity(total),
            found: Vec::with_capacity(total * width),
        };
        let mut places: HashMap<u32, usize> = HashMap::with_capacity(total);
        for (source, drawn) in drawn.iter().enumerate() {
            for (rank, &(row, score)) in (0u32..).zip(&drawn.articles) {
                let place = *places.entry(row).or_insert_with(|| merged.add(row, width));
                merged.found[place * width + source].get_or_insert(Found { score, rank });
            }
        }
        merged
    }

    fn add(&mut self, row: u32, width: usize) -> usize {
        let found = self.list.len();
        self.list.push(Candidate { row, score: 0.0, strength: 0.0, best: 0, found, rules: 0 });
        self.found.resize(self.found.len() + width, None);
        found
    }

    /// What each source says of a candidate, in their order.
    pub fn found(&self, candidate: &Candidate) -> &[Option<Found>] {
        self.found_at(candidate.found)
    }

    /// What each source says of the candidate with this [`Candidate::found`].
    pub(super) fn found_at(&self, found: usize) -> &[Option<Found>] {
        let width = self.sources.len();
        &self.found[found * width..][..width]
    }

    /// Puts the strongest first; among equals the one found first.
    pub fn sort(&mut self) {
        self.list.sort_by(|a, b| b.strength.total_cmp(&a.strength).then(a.found.cmp(&b.found)));
    }
}
