//! A model and a catalogue joined: everything one request reads.

use super::{Catalogue, Filter, FilterError, Model, ModelError};
use crate::{features::EntityRow, retrieval::ItemSet};
use hashbrown::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A model joined with a state of the catalogue. Immutable but for a cache of filter results.
pub struct Snapshot {
    model: Arc<dyn Model>,
    catalogue: Arc<Catalogue>,
    join: Arc<Join>,
    available: Arc<Eligible>,
    filtered: Mutex<HashMap<Box<str>, Arc<Eligible>>>,
}

/// What follows from the model and the articles, whatever is available.
struct Join {
    /// Catalogue row of each item; [`NONE`] for items no longer in the catalogue.
    rows: Vec<u32>,
    /// Item of each catalogue row; [`NONE`] for articles newer than the model.
    items: Vec<u32>,
    fresh: Fresh,
    popular: Vec<u32>,
    popularity_rank: Vec<u32>,
}

/// Articles newer than the model, embedded by its item tower.
#[derive(Default)]
struct Fresh {
    /// Rising.
    rows: Vec<u32>,
    vectors: Vec<f32>,
}

/// A set of articles, as catalogue rows and as items of the model.
#[derive(Debug, Clone)]
pub struct Eligible {
    pub rows: ItemSet,
    pub items: ItemSet,
}

const NONE: u32 = u32::MAX;
/// Filters remembered, about 30 kB each at 100,000 articles.
const REMEMBERED_FILTERS: usize = 256;

impl Snapshot {
    /// # Errors
    /// When the model cannot embed the articles it was not trained with.
    pub fn new(model: Arc<dyn Model>, catalogue: Arc<Catalogue>) -> Result<Self, ModelError> {
        let mut rows = vec![NONE; model.index().len()];
        let mut items = vec![NONE; catalogue.len()];
        let mut fresh = Fresh::default();
        for (row, id) in catalogue.entities().ids.iter().enumerate() {
            match model.item(id) {
                Some(item) => {
                    items[row] = item;
                    rows[item as usize] = row as u32;
                }
                None => fresh.rows.push(row as u32),
            }
        }
        let entities = catalogue.entities();
        let articles: Vec<_> = fresh.rows.iter().map(|&row| EntityRow { entities, row: row as usize }).collect();
        fresh.vectors = model.embed_articles(&articles)?;

        let sales = |row: u32| match items[row as usize] {
            NONE => 0.0,
            item => model.popularity()[item as usize],
        };
        let mut popular: Vec<u32> = (0..catalogue.len() as u32).collect();
        popular.sort_by(|&a, &b| sales(b).total_cmp(&sales(a)).then_with(|| catalogue.id(a).cmp(catalogue.id(b))));
        let mut popularity_rank = vec![0; popular.len()];
        for (rank, &row) in popular.iter().enumerate() {
            popularity_rank[row as usize] = rank as u32;
        }
        let join = Join { rows, items, fresh, popular, popularity_rank };
        Ok(Self::of(model, catalogue, Arc::new(join)))
    }

    fn of(model: Arc<dyn Model>, catalogue: Arc<Catalogue>, join: Arc<Join>) -> Self {
        let available = Arc::new(join.eligible(catalogue.available().clone()));
        Self { model, catalogue, join, available, filtered: Mutex::default() }
    }

    /// The same model over a catalogue that differs in availability at most; `None` if it differs in more.
    pub fn with_availability(&self, catalogue: Arc<Catalogue>) -> Option<Self> {
        let same = catalogue.has_articles_of(&self.catalogue);
        same.then(|| Self::of(self.model.clone(), catalogue, self.join.clone()))
    }

    pub fn model(&self) -> &Arc<dyn Model> {
        &self.model
    }

    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }

    /// How many articles of the catalogue the model was not trained with.
    pub fn fresh_articles(&self) -> usize {
        self.join.fresh.rows.len()
    }

    /// The available articles that pass the filter. Remembered: the next call with an equal filter is a look-up.
    ///
    /// # Errors
    /// When the filter does not fit the catalogue.
    pub fn eligible(&self, filter: &Filter) -> Result<Arc<Eligible>, FilterError> {
        if filter.is_empty() {
            return Ok(self.available.clone());
        }
        if let Some(known) = self.remembered().get(filter.key()) {
            return Ok(known.clone());
        }
        let mut rows = self.catalogue.available().clone();
        filter.narrow(&self.catalogue, &mut rows)?;
        let eligible = Arc::new(self.join.eligible(rows));
        let mut remembered = self.remembered();
        if remembered.len() >= REMEMBERED_FILTERS {
            remembered.clear();
        }
        remembered.insert(filter.key().into(), eligible.clone());
        Ok(eligible)
    }

    /// Whether [`Snapshot::eligible`] is a look-up for this filter.
    pub fn remembers(&self, filter: &Filter) -> bool {
        filter.is_empty() || self.remembered().contains_key(filter.key())
    }

    /// The catalogue row of an item; `None` when the catalogue no longer has it.
    pub fn row_of_item(&self, item: u32) -> Option<u32> {
        Some(self.join.rows[item as usize]).filter(|&row| row != NONE)
    }

    /// The item of a catalogue row; `None` when the model was not trained with it.
    pub fn item_of_row(&self, row: u32) -> Option<u32> {
        Some(self.join.items[row as usize]).filter(|&item| item != NONE)
    }

    /// The vector of an article.
    pub fn vector(&self, row: u32) -> Option<&[f32]> {
        if let Some(item) = self.item_of_row(row) {
            return Some(self.model.vector(item));
        }
        let at = self.join.fresh.rows.binary_search(&row).ok()?;
        let dim = self.model.index().dim();
        self.join.fresh.vectors.get(at * dim..(at + 1) * dim)
    }

    /// The articles newer than the model with their vectors.
    pub(super) fn fresh(&self) -> impl Iterator<Item = (u32, &[f32])> {
        self.join.fresh.rows.iter().copied().zip(self.join.fresh.vectors.chunks_exact(self.model.index().dim()))
    }

    /// Purchases of the article in the model's training window.
    pub fn popularity(&self, row: u32) -> f32 {
        self.item_of_row(row).map_or(0.0, |item| self.model.popularity()[item as usize])
    }

    /// All catalogue rows by falling popularity.
    pub(super) fn popular(&self) -> &[u32] {
        &self.join.popular
    }

    /// Position of a row among [`Snapshot::popular`].
    pub(super) fn popularity_rank(&self, row: u32) -> u32 {
        self.join.popularity_rank[row as usize]
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, HashMap<Box<str>, Arc<Eligible>>> {
        self.filtered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Join {
    fn eligible(&self, rows: ItemSet) -> Eligible {
        let mut items = ItemSet::empty(self.rows.len());
        for item in rows.iter().map(|row| self.items[row as usize]).filter(|&item| item != NONE) {
            items.insert(item);
        }
        Eligible { rows, items }
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Snapshot({}/{})", self.model.name(), self.model.version())
    }
}
