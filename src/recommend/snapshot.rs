//! A model and a catalogue joined: everything one request reads.

use super::{
    Catalogue, Change, Eligible, Filter, FilterError, Learned, Model, ModelError, RankerSpec,
    filter_cache::FilterCache,
    fresh::{Fresh, Segment},
    popularity::Popularity,
};
use crate::retrieval::{ItemSet, QueryError};
use std::sync::Arc;

/// A model joined with a state of the catalogue. Immutable but for a cache of filter results.
pub struct Snapshot {
    model: Arc<dyn Model>,
    catalogue: Arc<Catalogue>,
    ranker: Option<Arc<RankerSpec>>,
    join: Arc<Join>,
    popularity: Arc<Popularity>,
    available: Arc<Eligible>,
    filtered: Arc<FilterCache>,
}

/// What follows from the model and the articles, whatever is available.
#[derive(Clone)]
struct Join {
    /// Catalogue row of each item; [`NONE`] for items that never were in the catalogue.
    rows: Vec<u32>,
    /// Item of each catalogue row; [`NONE`] for articles newer than the model.
    items: Vec<u32>,
    fresh: Fresh,
}

/// No row, no item.
pub(super) const NONE: u32 = u32::MAX;
/// Bytes of filter results remembered where nothing else is said: some 1,000 at 100,000 articles.
const FILTER_BYTES: usize = 32 << 20;

impl Snapshot {
    /// # Errors
    /// When memory for the articles that the model was not trained with cannot be had; a ranker of
    /// other sources or features than this program has.
    pub fn new(model: Arc<dyn Model>, catalogue: Arc<Catalogue>) -> Result<Self, ModelError> {
        let ranker = model.ranker().map(RankerSpec::of).transpose()?.map(Arc::new);
        let mut join =
            Join { rows: vec![NONE; model.items()], items: Vec::new(), fresh: Fresh::default() };
        join.extend(&*model, &catalogue);
        let fresh: Vec<u32> =
            catalogue.present().iter().filter(|&row| join.items[row as usize] == NONE).collect();
        join.fresh = Fresh::of(&*model, &catalogue, &fresh)?;
        let popularity = Popularity::of(&*model, &catalogue, &join.items);
        let filtered = Arc::new(FilterCache::new(FILTER_BYTES));
        let available = Arc::new(join.eligible(catalogue.available().clone()));
        Ok(Self {
            model,
            catalogue,
            ranker,
            join: Arc::new(join),
            popularity: Arc::new(popularity),
            available,
            filtered,
        })
    }

    /// Remembers results of filters in so many bytes.
    #[must_use]
    pub fn with_filter_bytes(self, bytes: usize) -> Self {
        Self { filtered: Arc::new(FilterCache::new(bytes)), ..self }
    }

    /// The same model over a catalogue of the same articles with other sales; `None` if the
    /// articles differ. What filters came to is kept: no filter sees sales.
    pub fn over(&self, catalogue: Arc<Catalogue>) -> Option<Self> {
        if !catalogue.has_articles_of(&self.catalogue) {
            return None;
        }
        let popularity =
            Arc::new(self.popularity.with_sales(&*self.model, &catalogue, &self.join.items));
        let (model, ranker, join) = (self.model.clone(), self.ranker.clone(), self.join.clone());
        let (available, filtered) = (self.available.clone(), self.filtered.clone());
        Some(Self { model, catalogue, ranker, join, popularity, available, filtered })
    }

    /// The same model over a catalogue that was made from this one's by these changes. Costs what
    /// the changes cost; what filters came to is kept.
    ///
    /// # Errors
    /// As [`Snapshot::new`].
    pub fn after(&self, catalogue: Arc<Catalogue>, changes: &[Change]) -> Result<Self, ModelError> {
        let old = &self.join;
        let mut join = Join::clone(old);
        join.extend(&*self.model, &catalogue);
        let (mut changed, mut removed) = (Vec::new(), Vec::new());
        for change in changes
            .iter()
            .filter(|change| change.content && join.items[change.row as usize] == NONE)
        {
            let to =
                if catalogue.present().contains(change.row) { &mut changed } else { &mut removed };
            to.push(change.row);
        }
        changed.sort_unstable();
        changed.dedup();
        join.fresh = old.fresh.after(&*self.model, &catalogue, &changed, &removed)?;
        let popularity = match catalogue.rows() == self.catalogue.rows() {
            true => self.popularity.clone(),
            false => Arc::new(self.popularity.with_new_rows(&*self.model, &catalogue, &join.items)),
        };
        let is_available = |row: u32| catalogue.available().contains(row);
        let available = Arc::new(join.eligible_after(old, &self.available, changes, is_available));
        let filtered = FilterCache::new(self.filtered.capacity());
        for (filter, eligible) in self.filtered.entries() {
            // A filter that does not fit any more is told so when it is asked for.
            if let Ok(conditions) = filter.on(&catalogue) {
                let holds = |row: u32| is_available(row) && conditions.hold(row);
                filtered
                    .insert(&filter, Arc::new(join.eligible_after(old, &eligible, changes, holds)));
            }
        }
        let (model, ranker, join) = (self.model.clone(), self.ranker.clone(), Arc::new(join));
        Ok(Self {
            model,
            catalogue,
            ranker,
            join,
            popularity,
            available,
            filtered: Arc::new(filtered),
        })
    }

    pub fn model(&self) -> &Arc<dyn Model> {
        &self.model
    }

    /// How its model ranks candidates that other sources found, if it does.
    pub(super) fn ranker(&self) -> Option<Learned<'_>> {
        Some(Learned { model: self.model.ranker()?, spec: self.ranker.as_deref()? })
    }

    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }

    /// How many articles of the catalogue the model was not trained with.
    pub fn fresh_articles(&self) -> usize {
        self.catalogue.present().iter().filter(|&row| self.item_of_row(row).is_none()).count()
    }

    /// How many of those it has a vector for: they are scanned with every query.
    pub fn fresh_vectors(&self) -> usize {
        self.join.fresh.len()
    }

    /// The available articles that pass the filter. Remembered: the next call with an equal filter
    /// is a look-up.
    ///
    /// # Errors
    /// When the filter does not fit the catalogue.
    pub fn eligible(&self, filter: &Filter) -> Result<Arc<Eligible>, FilterError> {
        if filter.is_empty() {
            return Ok(self.available.clone());
        }
        if let Some(known) = self.filtered.get(filter) {
            return Ok(known);
        }
        let conditions = filter.on(&self.catalogue)?;
        let mut rows = self.catalogue.available().clone();
        rows.retain(|row| conditions.hold(row));
        let eligible = Arc::new(self.join.eligible(rows));
        self.filtered.insert(filter, eligible.clone());
        Ok(eligible)
    }

    /// Whether [`Snapshot::eligible`] is a look-up for this filter. Nobody knows before the request
    /// of one that depends on it.
    pub fn remembers(&self, filter: &Filter) -> bool {
        filter.is_empty() || self.filtered.contains(filter)
    }

    /// Rows with their items and vectors.
    pub(super) fn restricted(&self, rows: ItemSet) -> Eligible {
        self.join.eligible(rows)
    }

    /// The catalogue row of an item; `None` when the catalogue does not have it.
    pub fn row_of_item(&self, item: u32) -> Option<u32> {
        Some(self.join.rows[item as usize]).filter(|&row| row != NONE)
    }

    /// The item of a catalogue row; `None` when the model was not trained with it.
    pub fn item_of_row(&self, row: u32) -> Option<u32> {
        Some(self.join.items[row as usize]).filter(|&item| item != NONE)
    }

    /// The vector of an article.
    pub fn vector(&self, row: u32) -> Option<&[f32]> {
        match self.item_of_row(row) {
            Some(item) => self.model.vector(item),
            None => self.join.fresh.vector(row),
        }
    }

    /// The nearest `k` eligible articles newer than the model: by falling score, ties by row.
    pub(super) fn nearest_fresh(
        &self,
        vector: &[f32],
        k: usize,
        eligible: &Eligible,
    ) -> Result<Vec<(f32, u32)>, QueryError> {
        self.join.fresh.nearest(vector, k, &eligible.fresh)
    }

    /// Takes an article out of a set.
    pub(super) fn exclude(&self, eligible: &mut Eligible, row: u32) {
        eligible.remove(row, self.item_of_row(row), &self.join.fresh);
    }

    /// How well the article sells.
    pub fn popularity(&self, row: u32) -> f32 {
        self.popularity.of_row(&self.catalogue, row)
    }

    /// Rows of a set by falling popularity.
    pub(super) fn by_popularity<'a>(
        &'a self,
        rows: &'a ItemSet,
    ) -> Box<dyn Iterator<Item = u32> + 'a> {
        // A small set is cheaper to sort than to look for along the whole order.
        if rows.count() < self.catalogue.len() / 64 {
            let mut rows: Vec<u32> = rows.iter().collect();
            rows.sort_unstable_by_key(|&row| self.popularity_rank(row));
            return Box::new(rows.into_iter());
        }
        Box::new(self.popularity.order().iter().copied().filter(|&row| rows.contains(row)))
    }

    /// Position of a row among all, by falling popularity.
    pub(super) fn popularity_rank(&self, row: u32) -> u32 {
        self.popularity.rank(row)
    }
}

impl Join {
    /// Finds the items of rows that it does not know yet.
    fn extend(&mut self, model: &dyn Model, catalogue: &Catalogue) {
        for row in self.items.len() as u32..catalogue.rows() as u32 {
            let item = model.item(catalogue.id(row));
            if let Some(item) = item {
                self.rows[item as usize] = row;
            }
            self.items.push(item.unwrap_or(NONE));
        }
    }

    fn eligible(&self, rows: ItemSet) -> Eligible {
        let mut items = ItemSet::empty(self.rows.len());
        for item in rows.iter().map(|row| self.items[row as usize]).filter(|&item| item != NONE) {
            items.insert(item);
        }
        let fresh = self.fresh.segments().iter().map(|segment| segment.eligible(&rows)).collect();
        Eligible { rows, items, fresh }
    }

    /// The set after changes: `holds` tells of each changed row whether it belongs there.
    fn eligible_after(
        &self,
        old: &Self,
        before: &Eligible,
        changes: &[Change],
        holds: impl Fn(u32) -> bool,
    ) -> Eligible {
        let (mut rows, mut items) = (before.rows.clone(), before.items.clone());
        rows.grow(self.items.len());
        for &Change { row, .. } in changes {
            let item = self.items[row as usize];
            if holds(row) {
                rows.insert(row);
                items.insert(item);
            } else {
                rows.remove(row);
                items.remove(item);
            }
        }
        let mut fresh = Vec::with_capacity(self.fresh.segments().len());
        for (at, segment) in self.fresh.segments().iter().enumerate() {
            fresh.push(
                match old.fresh.segments().get(at).filter(|old| segment.numbers_like(old)) {
                    Some(_) => update(segment, &before.fresh[at], changes, &rows),
                    None => segment.eligible(&rows),
                },
            );
        }
        Eligible { rows, items, fresh }
    }
}

/// The eligible vectors of a segment after changes.
fn update(segment: &Segment, before: &ItemSet, changes: &[Change], rows: &ItemSet) -> ItemSet {
    let mut set = before.clone();
    set.intersect(segment.live());
    for &Change { row, .. } in changes {
        match segment.position(row) {
            Some(at) if rows.contains(row) && segment.live().contains(at) => set.insert(at),
            Some(at) => set.remove(at),
            None => {}
        }
    }
    set
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Snapshot({}/{})", self.model.name(), self.model.version())
    }
}
