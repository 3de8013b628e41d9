//! A model and a catalogue joined: everything one request reads.

use super::{Catalogue, Filter, FilterError, Model, ModelError};
use crate::{
    features::EntityRow,
    retrieval::{Index, ItemSet},
};
use hashbrown::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A model joined with a state of the catalogue. Immutable but for a cache of filter results.
pub struct Snapshot {
    model: Arc<dyn Model>,
    catalogue: Arc<Catalogue>,
    join: Arc<Join>,
    popularity: Arc<Popularity>,
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
}

/// How well the catalogue's rows sell: as the shop counts it, or else as the model's training window does.
struct Popularity {
    /// By row; empty where the catalogue has them.
    sales: Vec<f32>,
    /// All rows, the best seller first.
    order: Vec<u32>,
    /// The place of each row in `order`.
    rank: Vec<u32>,
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
        let mut rows = vec![NONE; model.items()];
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
        let join = Join { rows, items, fresh };
        let popularity = Popularity::of(&*model, &catalogue, &join.items);
        Ok(Self::of(model, catalogue, Arc::new(join), Arc::new(popularity)))
    }

    fn of(model: Arc<dyn Model>, catalogue: Arc<Catalogue>, join: Arc<Join>, popularity: Arc<Popularity>) -> Self {
        let available = Arc::new(join.eligible(catalogue.available().clone()));
        Self { model, catalogue, join, popularity, available, filtered: Mutex::default() }
    }

    /// The same model over a catalogue of the same articles, with another availability or other sales; `None` if the
    /// articles differ.
    pub fn over(&self, catalogue: Arc<Catalogue>) -> Option<Self> {
        if !catalogue.has_articles_of(&self.catalogue) {
            return None;
        }
        let popularity = match catalogue.has_sales_of(&self.catalogue) {
            true => self.popularity.clone(),
            false => Arc::new(Popularity::of(&*self.model, &catalogue, &self.join.items)),
        };
        Some(Self::of(self.model.clone(), catalogue, self.join.clone(), popularity))
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

    /// Those of a set that are among `rows`.
    pub(super) fn restricted(&self, set: Eligible, rows: impl Iterator<Item = u32>) -> Eligible {
        let mut listed = ItemSet::empty(self.catalogue.len());
        rows.for_each(|row| listed.insert(row));
        listed.intersect(&set.rows);
        self.join.eligible(listed)
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
            return self.model.vector(item);
        }
        let at = self.join.fresh.rows.binary_search(&row).ok()?;
        let dim = self.model.index().map_or(0, Index::dim);
        self.join.fresh.vectors.get(at * dim..(at + 1) * dim)
    }

    /// The articles newer than the model with their vectors.
    pub(super) fn fresh(&self) -> impl Iterator<Item = (u32, &[f32])> {
        let dim = self.model.index().map_or(1, Index::dim);
        self.join.fresh.rows.iter().copied().zip(self.join.fresh.vectors.chunks_exact(dim))
    }

    /// How well the article sells.
    pub fn popularity(&self, row: u32) -> f32 {
        self.catalogue.sales().unwrap_or(&self.popularity.sales)[row as usize]
    }

    /// All catalogue rows by falling popularity.
    pub(super) fn popular(&self) -> &[u32] {
        &self.popularity.order
    }

    /// Position of a row among [`Snapshot::popular`].
    pub(super) fn popularity_rank(&self, row: u32) -> u32 {
        self.popularity.rank[row as usize]
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, HashMap<Box<str>, Arc<Eligible>>> {
        self.filtered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Popularity {
    /// `items`: the model's item of each row, or [`NONE`].
    fn of(model: &dyn Model, catalogue: &Catalogue, items: &[u32]) -> Self {
        let of_model = |&item: &u32| if item == NONE { 0.0 } else { model.popularity()[item as usize] };
        let counted = catalogue.sales();
        let own = if counted.is_some() { Vec::new() } else { items.iter().map(of_model).collect() };
        let sales = counted.unwrap_or(&own);
        let mut order: Vec<u32> = (0..catalogue.len() as u32).collect();
        order.sort_by(|&a, &b| {
            let by_sales = sales[b as usize].total_cmp(&sales[a as usize]);
            by_sales.then_with(|| catalogue.id(a).cmp(catalogue.id(b)))
        });
        let mut rank = vec![0; order.len()];
        for (place, &row) in order.iter().enumerate() {
            rank[row as usize] = place as u32;
        }
        Self { sales: own, order, rank }
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
