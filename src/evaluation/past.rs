//! The shop as it was: the server's pipeline run on a dataset as of past moments.

use super::{EvaluationError, Scorer};
use crate::{
    bundle::RowKind,
    dataset::{Case, Dataset, Entities, Histories, Protocol, Repeats, Values},
    domain::{Number, Timestamp, TopK},
    features::{ArticleView, CustomerView},
    recommend::{
        Bought, Catalogue, CatalogueBuilder, Cell, Context, Customer, Exclude, ListModel, Model, ModelError,
        RankerSpec, Recipe, RecommendError, Request, Shop, Signals, Snapshot,
    },
    retrieval::{Index, Query},
    statistics::{Purchase, Statistics},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

/// A dataset as a shop whose past can be asked. Catalogue rows are the dataset's articles.
pub struct Past<'a> {
    dataset: &'a Dataset,
    histories: &'a Histories,
    snapshot: Snapshot,
    recipe: Arc<Recipe>,
    /// When the purchases are counted.
    clock: Clock,
    /// The shop by moment, counted when it is first asked for.
    shops: Mutex<BTreeMap<Timestamp, Arc<OnceLock<Shop>>>>,
}

/// At which moments purchases are counted.
enum Clock {
    /// At the moment of a case: a split by time has few.
    Exact,
    /// At the last of these moments, for leave-one-out, where every case has a moment of its own.
    Steps(Vec<Timestamp>),
}

/// So often the purchases of a leave-one-out split are counted.
const STEPS: usize = 16;

impl<'a> Past<'a> {
    /// # Errors
    /// When memory for the catalogue cannot be had.
    pub fn new(dataset: &'a Dataset, histories: &'a Histories, protocol: Protocol) -> Result<Self, ModelError> {
        let snapshot = Snapshot::new(Arc::new(NoModel), Arc::new(catalogue(&dataset.articles)))?;
        let exclude = Exclude { purchased: protocol.repeats() == Repeats::Drop, ..Exclude::default() };
        let recipe = Arc::new(Recipe { exclude, ..Recipe::default() });
        let time = &dataset.purchases.time;
        let clock = match protocol {
            Protocol::Time { .. } => Clock::Exact,
            Protocol::LeaveOneOut { .. } => {
                let mut steps: Vec<Timestamp> = (1..=STEPS)
                    .filter_map(|step| time.get((step * time.len() / (STEPS + 1)).min(time.len().wrapping_sub(1))))
                    .copied()
                    .collect();
                steps.dedup();
                Clock::Steps(steps)
            }
        };
        Ok(Self { dataset, histories, snapshot, recipe, clock, shops: Mutex::default() })
    }

    pub fn catalogue(&self) -> &Catalogue {
        self.snapshot.catalogue()
    }

    /// The candidates of a case by their articles, and a row of features for each.
    ///
    /// # Errors
    /// When a source fails.
    pub fn list(&self, spec: &RankerSpec, case: &Case) -> Result<(Vec<u32>, Vec<f32>), RecommendError> {
        let shop = self.shop(case.at);
        let shop = shop.get_or_init(|| self.count(self.counted_at(case.at)));
        // Any length will do: the sources have limits of their own.
        let request = Request { recipe: self.recipe.clone(), ..Request::new(None, TopK::ONE, case.at) };
        let context = Context::new(shop, &self.snapshot, &request, Customer::UNKNOWN)?;
        let context = context.with_history(self.history(case))?;
        let (candidates, rows) = spec.list(&context)?;
        Ok((candidates.list.iter().map(|candidate| candidate.row).collect(), rows))
    }

    /// What a case knows, newest first.
    fn history(&self, case: &Case) -> Vec<Bought> {
        let purchases = &self.dataset.purchases;
        let known = &self.histories.of_customer(case.customer)[..case.known as usize];
        let bought = |&row: &u32| Bought {
            row: purchases.article[row as usize],
            at: purchases.time[row as usize],
            weight: purchases.weight_of(row),
        };
        known.iter().rev().map(bought).collect()
    }

    fn counted_at(&self, at: Timestamp) -> Timestamp {
        match &self.clock {
            Clock::Exact => at,
            Clock::Steps(steps) => {
                let passed = steps.partition_point(|&step| step <= at);
                passed.checked_sub(1).map_or(Timestamp(0), |last| steps[last])
            }
        }
    }

    fn shop(&self, at: Timestamp) -> Arc<OnceLock<Shop>> {
        let mut shops = self.shops.lock().unwrap_or_else(PoisonError::into_inner);
        shops.entry(self.counted_at(at)).or_default().clone()
    }

    /// The shop as of a moment. Nothing that was bought then or later is counted, whoever bought it.
    fn count(&self, at: Timestamp) -> Shop {
        let purchases = &self.dataset.purchases;
        let known = purchases.time.partition_point(|&time| time < at);
        let purchase = |row: usize| Purchase {
            customer: purchases.customer[row],
            article: purchases.article[row],
            at: purchases.time[row],
            weight: purchases.weight_of(row as u32),
        };
        let statistics = Statistics::count(self.dataset.articles.len(), (0..known).map(purchase).collect(), at);
        Shop { signals: Some(Arc::new(Signals::of_rows(Arc::new(statistics)))), ..Shop::default() }
    }
}

/// A shop's articles as the catalogue of a server.
fn catalogue(articles: &Entities) -> Catalogue {
    let mut builder = CatalogueBuilder::default();
    for (row, id) in articles.ids.iter().enumerate() {
        // Lists have no value that articles share.
        let cells = articles.columns.iter().filter_map(|column| {
            let cell = match &column.values {
                Values::Category { .. } => Cell::Text(column.values.category(row)?),
                Values::Integer(_) => Cell::Number(Number::Integer(column.values.integer(row)?)),
                Values::Number(_) => Cell::Number(Number::new(f64::from(column.values.number(row)?))?),
                Values::Tags { .. } => return None,
            };
            Some((column.name.as_str(), cell))
        });
        builder.push(id, true, cells);
    }
    builder.finish(1)
}

/// Stands where the pipeline wants a model: it knows no article, so all come from the sources.
struct NoModel;

impl Model for NoModel {
    fn name(&self) -> &str {
        "none"
    }
    fn version(&self) -> &str {
        ""
    }
    fn items(&self) -> usize {
        0
    }
    fn index(&self) -> Option<&dyn Index> {
        None
    }
    fn search_plan(&self, _query: &Query<'_>) -> &'static str {
        "nothing"
    }
    fn item(&self, _article_id: &str) -> Option<u32> {
        None
    }
    fn vector(&self, _item: u32) -> Option<&[f32]> {
        None
    }
    fn popularity(&self) -> &[f32] {
        &[]
    }
    fn knows_customer(&self, _id: &str) -> bool {
        false
    }
    fn reads_history(&self) -> bool {
        false
    }
    fn needs_history(&self) -> bool {
        false
    }
    fn reads_sequence(&self) -> bool {
        false
    }
    fn embed_customer(&self, _customer: &CustomerView<'_>, _vector: &mut Vec<f32>) -> Result<(), ModelError> {
        Err(ModelError("there is no model".to_owned()))
    }
    fn embed_articles(&self, _articles: &[ArticleView<'_>]) -> Result<Vec<f32>, ModelError> {
        Ok(Vec::new())
    }
}

/// A ranker as a scorer: candidates by its scores, then all others by how well they sell.
pub struct RankerScorer<'a> {
    name: String,
    model: &'a dyn ListModel,
    spec: RankerSpec,
    past: Arc<Past<'a>>,
    /// From 0 to 1; `-inf` for articles that are never recommended.
    popularity: Vec<f32>,
}

impl<'a> RankerScorer<'a> {
    /// Candidates stand this far above all others, at least.
    const ABOVE: f32 = 2.0;

    /// `sales`: how well each article of the dataset sells; `None` for those that are never recommended.
    ///
    /// # Errors
    /// When the model wants other sources or features than this program has.
    pub fn new(
        name: &str,
        model: &'a dyn ListModel,
        past: Arc<Past<'a>>,
        sales: impl IntoIterator<Item = Option<f32>>,
    ) -> Result<Self, ModelError> {
        let popularity: Vec<f32> = sales.into_iter().map(|sales| sales.unwrap_or(f32::NEG_INFINITY)).collect();
        let most = popularity.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        let popularity = popularity.into_iter().map(|sales| sales / most).collect();
        Ok(Self { name: name.to_owned(), model, spec: RankerSpec::of(model)?, past, popularity })
    }
}

impl Scorer for RankerScorer<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> RowKind {
        RowKind::Bundle
    }

    fn score(&self, cases: &[Case], scores: &mut [f32]) -> Result<(), EvaluationError> {
        let failed = |cause: String| EvaluationError::Ranker { ranker: self.name.clone(), cause };
        for (case, scores) in cases.iter().zip(scores.chunks_exact_mut(self.popularity.len().max(1))) {
            scores.copy_from_slice(&self.popularity);
            let (articles, rows) = self.past.list(&self.spec, case).map_err(|error| failed(error.to_string()))?;
            let ranked = self.model.scores(&rows).map_err(|error| failed(error.to_string()))?;
            let lowest = ranked.iter().copied().fold(f32::INFINITY, f32::min);
            for (article, score) in articles.into_iter().zip(ranked) {
                let place = &mut scores[article as usize];
                if *place > f32::NEG_INFINITY {
                    *place = score - lowest + Self::ABOVE;
                }
            }
        }
        Ok(())
    }
}
