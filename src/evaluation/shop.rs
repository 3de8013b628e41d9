//! A dataset as a server would serve it at a past moment: the same catalogue, statistics and
//! pipeline, so that what a table says is what a customer gets.

use super::{EvaluationError, baselines::Known};
use crate::{
    counters::Popularity,
    dataset::{Case, Entities, MISSING, TimeUnit, Values},
    domain::{ArticleId, CustomerId, Number, Timestamp},
    features::{ArticleView, CustomerView, EntityRow},
    recommend::{
        Catalogue, CatalogueBuilder, Cell, Customer, Model, ModelError, Recipe, Request, Shop,
        Signals, Snapshot,
    },
    retrieval::{Index, Query},
    statistics::{Purchase, Statistics},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Everything requests read, as of a moment. Catalogue rows are the articles of the dataset.
pub struct OfflineShop<'a> {
    known: Known<'a>,
    articles: Vec<ArticleId>,
    shop: Shop,
    snapshot: Arc<Snapshot>,
}

/// What a server would know of a customer.
pub struct OfflineCustomer<'a> {
    attributes: EntityRow<'a>,
    purchases: Vec<ArticleId>,
    times: Vec<Timestamp>,
    weights: Vec<f32>,
}

/// How popularity is counted where nothing else is configured; see the server's `popularity` keys.
const POPULARITY: Popularity = Popularity { window_days: Some(365), half_life_days: Some(14.0) };

impl<'a> OfflineShop<'a> {
    /// The shop after the purchases of `known`, at `at`, with these models: the first answers
    /// requests that name none.
    ///
    /// # Errors
    /// When an id of the dataset is none, or a model cannot embed articles.
    pub fn new(
        known: Known<'a>,
        models: &[Arc<dyn Model>],
        at: Timestamp,
    ) -> Result<Self, EvaluationError> {
        let failed =
            |cause: String| EvaluationError::Ranker { ranker: "pipeline".to_owned(), cause };
        let dataset = known.dataset;
        let articles = dataset.articles.ids.iter().map(ArticleId::parse);
        let articles =
            articles.collect::<Result<Vec<_>, _>>().map_err(|error| failed(error.to_string()))?;
        let sales = POPULARITY.counts(articles.len(), known.bought(), at);
        let catalogue = Arc::new(catalogue(&dataset.articles, &sales));
        let nothing: Arc<dyn Model> = Arc::new(NoModel);
        let mut snapshots = BTreeMap::new();
        for model in models.iter().chain([&nothing]) {
            let snapshot = Snapshot::new(model.clone(), catalogue.clone());
            let snapshot = snapshot.map_err(|error| failed(error.to_string()))?;
            snapshots.insert(model.name().to_owned(), Arc::new(snapshot));
        }
        let first = models.first().unwrap_or(&nothing).name();
        let snapshot = snapshots[first].clone();
        let statistics = Statistics::count(articles.len(), purchases(known), at);
        let signals = Some(Arc::new(Signals::of_rows(Arc::new(statistics))));
        Ok(Self { known, articles, shop: Shop { models: snapshots, signals }, snapshot })
    }

    pub fn shop(&self) -> &Shop {
        &self.shop
    }

    /// The model that answers where a recipe names none, over the catalogue.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The model that answers a recipe: the one that it names, if that is here.
    pub fn snapshot_of(&self, recipe: &Recipe) -> &Arc<Snapshot> {
        recipe.model.as_ref().and_then(|name| self.shop.models.get(name)).unwrap_or(&self.snapshot)
    }

    /// The names of its models.
    pub fn model_names(&self) -> Vec<&str> {
        self.shop.models.keys().map(String::as_str).filter(|&name| name != NO_MODEL).collect()
    }

    /// What is known of the customer of a case.
    pub fn customer(&self, case: &Case) -> OfflineCustomer<'a> {
        let history = self.known.history(case);
        let mut customer = OfflineCustomer {
            attributes: EntityRow {
                entities: &self.known.dataset.customers,
                row: case.customer as usize,
            },
            purchases: Vec::with_capacity(history.len()),
            times: Vec::with_capacity(history.len()),
            weights: Vec::with_capacity(history.len()),
        };
        for (article, at, weight) in history.rev() {
            customer.purchases.push(self.articles[article as usize].clone());
            customer.times.push(at);
            customer.weights.push(weight);
        }
        customer
    }

    /// The request of a case.
    ///
    /// # Errors
    /// When the customer's id is none.
    pub fn request(
        &self,
        case: &Case,
        recipe: Arc<Recipe>,
        k: usize,
    ) -> Result<Request, EvaluationError> {
        let failed =
            |cause: String| EvaluationError::Ranker { ranker: "pipeline".to_owned(), cause };
        let id = CustomerId::parse(self.known.dataset.customers.ids.get(case.customer));
        let id = id.map_err(|error| failed(error.to_string()))?;
        let k = crate::domain::TopK::new(k)
            .ok_or_else(|| failed(format!("no list has {k} articles")))?;
        // What a case knows may share its moment; a server takes nothing of the very moment as
        // known.
        let at = Timestamp(self.known.at(case).0.saturating_add(1));
        Ok(Request { recipe, time: Duration::MAX, ..Request::new(Some(id), k, at) })
    }
}

impl OfflineCustomer<'_> {
    pub fn view(&self) -> Customer<'_> {
        Customer {
            recorded: true,
            attributes: &self.attributes,
            purchases: &self.purchases,
            purchase_times: &self.times,
            purchase_weights: &self.weights,
            actions: &[],
        }
    }
}

fn purchases(known: Known<'_>) -> Vec<Purchase> {
    let (table, mut all) = (&known.dataset.purchases, Vec::with_capacity(known.train.len()));
    let by_position = known.dataset.time_unit == TimeUnit::Position;
    known.by_customer(|customer, rows| {
        for (place, &row) in rows.iter().enumerate() {
            let at = match by_position {
                true => Known::counted_back(rows.len() - 1 - place),
                false => table.time[row as usize],
            };
            let (article, weight) = (table.article[row as usize], table.weight_of(row));
            all.push(Purchase { customer, article, at, weight });
        }
    });
    all
}

/// The articles of a dataset as a catalogue, all of them available.
fn catalogue(articles: &Entities, sales: &[f32]) -> Catalogue {
    let mut builder = CatalogueBuilder::default();
    let mut tags: Vec<Vec<String>> = vec![Vec::new(); articles.columns.len()];
    for row in 0..articles.len() {
        for (column, tags) in articles.columns.iter().zip(&mut tags) {
            if let Values::Tags { offsets, codes, dictionary } = &column.values {
                let codes = &codes[offsets[row] as usize..offsets[row + 1] as usize];
                *tags = codes.iter().map(|&code| dictionary.get(code).to_owned()).collect();
            }
        }
        let cells = articles.columns.iter().zip(&tags).filter_map(|(column, tags)| {
            let cell = match &column.values {
                Values::Category { codes, dictionary } => {
                    Cell::Text(dictionary.get(Some(codes[row]).filter(|&code| code != MISSING)?))
                }
                Values::Number(numbers) => Cell::Number(Number::new(f64::from(numbers[row]))?),
                Values::Integer(integers) => Cell::Number(Number::Integer(
                    Some(integers[row]).filter(|&n| n != crate::dataset::NO_INTEGER)?,
                )),
                Values::Tags { .. } => Cell::Texts(tags),
            };
            Some((column.name.as_str(), cell))
        });
        builder.push(articles.ids.get(row as u32), true, cells);
    }
    let catalogue = builder.finish(1);
    catalogue.with_sales(|id| articles.ids.find(id).map_or(0.0, |row| sales[row as usize]))
}

/// The name of [`NoModel`].
pub(super) const NO_MODEL: &str = "none";

/// Stands where no model does: knows no article and has nothing to say.
struct NoModel;

impl Model for NoModel {
    fn name(&self) -> &str {
        NO_MODEL
    }
    fn version(&self) -> &str {
        "none"
    }
    fn items(&self) -> usize {
        0
    }
    fn index(&self) -> Option<&dyn Index> {
        None
    }
    fn search_plan(&self, _query: &Query<'_>) -> &'static str {
        "scan"
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
        true
    }
    fn reads_sequence(&self) -> bool {
        false
    }
    fn embed_customer(
        &self,
        _customer: &CustomerView<'_>,
        _vector: &mut Vec<f32>,
    ) -> Result<(), ModelError> {
        Err(ModelError("there is no model".to_owned()))
    }
    fn embed_articles(&self, _articles: &[ArticleView<'_>]) -> Result<Vec<f32>, ModelError> {
        Ok(Vec::new())
    }
}
