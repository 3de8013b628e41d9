//! What a request reads, and how it is answered.

use super::{
    Config, EventsConfig, MOST_ARTICLES, Metrics, ServeError, Signer, Told, Tracer, Work,
    budgets::Budgets,
    catalogue,
    customers::{Currency, Customers, Lookup},
    database::Database,
    events::EventWriter,
    follow::{Following, Refusals, now},
    keys::{Caller, Keys, Scope},
    placements::{ServedPlacement, StoredPlacement},
    sales::{Sales, SalesCounter},
    stages::{self, Stage},
    trial::Trial,
};
use crate::{
    domain::{ArticleId, CustomerId, Timestamp},
    recommend::{
        Answer, Catalogue, Customer, Preview, Request, Shop, Signals, Snapshot,
        Stages as PipelineStages, Strategy, Warning, preview, recommend, sources::SourceSpec,
    },
    store::{NewEvent, Revisions, Store, StoreError, Verdict},
};
use arc_swap::ArcSwap;
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, watch};

/// Purchases read at least: as cheap as none.
const FEW_PURCHASES: usize = 16;

/// Everything behind the HTTP surface. One a process; cheap to share.
pub struct Service {
    state: ArcSwap<State>,
    pub(super) database: Arc<Database>,
    pub(super) customers: Arc<Customers>,
    events: Arc<EventWriter>,
    events_config: EventsConfig,
    /// Held while a change is prepared, from the state before it to the swap.
    pub(super) changes: tokio::sync::Mutex<()>,
    /// Held while active versions are followed, bundles being opened.
    pub(super) following: tokio::sync::Mutex<Following>,
    /// Revision of the placements that are served. Locked while they are read, so that an older
    /// reading never replaces a newer one.
    pub(super) followed_placements: tokio::sync::Mutex<Option<i64>>,
    pub(super) refusals: Refusals,
    pub(super) trial: Trial,
    pub(super) stopping: watch::Sender<bool>,
    /// Of filter results, for each model.
    pub(super) filter_bytes: usize,
    explain_purchases: bool,
    pub(super) models_directory: PathBuf,
    pub(super) default_model: Option<String>,
    pub(super) poll: Duration,
    pub(super) sales: SalesCounter,
    pub(super) keys: Keys,
    /// Signs answers; set once the database was read.
    signer: OnceLock<Signer>,
    metrics: Metrics,
    tracer: Option<Tracer>,
    budgets: Budgets,
    /// Threads that compute answers of batches.
    pub(super) batches: Arc<Semaphore>,
}

/// What is served. Replaced as a whole; a request reads it once.
#[derive(Debug, Default, Clone)]
pub struct State {
    pub(super) catalogue: Option<Arc<Catalogue>>,
    /// What the catalogue's sales are from.
    pub(super) sales: Option<Arc<Sales>>,
    /// By name.
    pub(super) models: BTreeMap<String, Arc<Snapshot>>,
    /// Those of the database; `None` while it was never read.
    pub(super) stored_placements: Option<Arc<BTreeMap<String, StoredPlacement>>>,
    /// By name, built-in ones included; made of the rest at [`Service::publish`].
    pub(super) placements: Arc<BTreeMap<String, Arc<ServedPlacement>>>,
    /// What purchases say about the articles of the catalogue; `None` until they are counted.
    pub(super) signals: Option<Arc<Signals>>,
    /// What requests read besides their own model's snapshot; made of the rest at
    /// [`Service::publish`].
    pub(super) shop: Arc<Shop>,
    /// The version of each model that should serve.
    pub(super) active: BTreeMap<String, String>,
    /// The model of requests that name none.
    pub(super) default: Option<String>,
}

/// A model that is not served as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandIn {
    pub model: String,
    pub active: String,
    /// What serves in its place; `None`: nothing.
    pub served: Option<String>,
}

/// An answer and the snapshot its rows refer to.
#[derive(Debug)]
pub struct Answered {
    pub snapshot: Arc<Snapshot>,
    pub answer: Answer,
    /// Identifies the answer in events; see [`super::Signer`]. `None` before the key was read that
    /// signs it.
    pub recommendation_id: Option<String>,
    /// The placement that answered, and the keys of its definition that were left out.
    pub placement: Option<(Arc<ServedPlacement>, Vec<String>)>,
    /// How long the parts of the work took.
    stages: [Stage; 2],
}

/// What answers one request.
#[derive(Debug, Clone)]
pub(super) struct Served {
    pub(super) snapshot: Arc<Snapshot>,
    shop: Arc<Shop>,
}

impl State {
    /// # Errors
    /// When no catalogue was read yet.
    pub fn catalogue(&self) -> Result<&Arc<Catalogue>, ServeError> {
        self.catalogue.as_ref().ok_or(ServeError::NotReady)
    }

    /// The model of that name, or the default one.
    ///
    /// # Errors
    /// When there is none.
    pub fn model(&self, name: Option<&str>) -> Result<&Arc<Snapshot>, ServeError> {
        let Some(name) = name.or(self.default.as_deref()) else { return Err(ServeError::NotReady) };
        self.models.get(name).ok_or_else(|| match self.models.is_empty() {
            true => ServeError::NotReady,
            false => ServeError::UnknownModel {
                name: name.into(),
                loaded: self.models.keys().cloned().collect(),
            },
        })
    }

    /// Whether requests that name no model are answered.
    pub fn answers(&self) -> bool {
        self.model(None).is_ok()
    }

    /// Models whose active version does not serve.
    pub fn stand_ins(&self) -> Vec<StandIn> {
        let stand_in = |(model, active): (&String, &String)| {
            let served =
                self.models.get(model).map(|snapshot| snapshot.model().version().to_owned());
            let differs = served.as_ref() != Some(active);
            differs.then(|| StandIn { model: model.clone(), active: active.clone(), served })
        };
        self.active.iter().filter_map(stand_in).collect()
    }

    /// What answers the request.
    ///
    /// # Errors
    /// When there is no such model, or the request needs attributes of articles that are not known
    /// yet.
    pub(super) fn served_for(&self, request: &Request) -> Result<Served, ServeError> {
        let recipe = &request.recipe;
        let snapshot = self.model(recipe.model.as_deref())?.clone();
        for name in recipe.sources.iter().filter_map(SourceSpec::model) {
            self.model(Some(name))?;
        }
        let alone = catalogue::is_from_models(snapshot.catalogue());
        if alone && !(recipe.filter.is_empty() && recipe.max_per.is_empty()) {
            let reason = "the server started without it and knows no attributes of articles yet";
            return Err(StoreError::Unavailable(reason.to_owned()).into());
        }
        Ok(Served { snapshot, shop: self.shop.clone() })
    }

    /// Whether the articles are only those that the models know, because the database was never
    /// reached.
    pub fn lacks_catalogue(&self) -> bool {
        self.catalogue.as_deref().is_none_or(catalogue::is_from_models)
    }
}

impl Service {
    /// A service that has loaded nothing yet; see [`Service::catch_up`] and [`Service::run`].
    /// `routes` get metrics of their own.
    ///
    /// # Errors
    /// When the metrics or traces cannot be set up.
    pub fn new(
        store: Arc<dyn Store>,
        config: &Config,
        routes: &[&'static str],
    ) -> Result<Self, ServeError> {
        let metrics =
            Metrics::new(routes).map_err(|error| ServeError::Internal(error.to_string()))?;
        let database = &config.database;
        let connections = database.connections as usize;
        let processors = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let database = Arc::new(Database::new(store, database.queue, database.timeout));
        let unreadable = metrics.customers_unreadable.clone();
        let weights = Arc::new(config.events.weights.clone());
        let customers = Customers::new(
            config.customers.clone(),
            weights,
            database.clone(),
            connections,
            unreadable,
        );
        let customers = Arc::new(customers);
        Ok(Self {
            state: ArcSwap::from_pointee(State::default()),
            events: EventWriter::new(database.clone(), customers.clone(), config.events.queue),
            events_config: config.events.clone(),
            customers,
            database,
            changes: tokio::sync::Mutex::default(),
            following: tokio::sync::Mutex::default(),
            followed_placements: tokio::sync::Mutex::default(),
            refusals: Refusals::default(),
            trial: Trial::new(&config.models),
            stopping: watch::Sender::new(false),
            filter_bytes: config.limits.filter_cache,
            explain_purchases: config.http.explain_purchases,
            models_directory: config.models.directory.clone(),
            default_model: config.models.default.clone(),
            poll: config.database.poll,
            sales: SalesCounter::new(config.popularity.clone()),
            keys: Keys::default(),
            signer: OnceLock::new(),
            metrics,
            tracer: Tracer::new(&config.telemetry)
                .map_err(|error| ServeError::Internal(error.to_string()))?,
            budgets: Budgets::new(&config.limits),
            batches: Arc::new(Semaphore::new((processors / 2).max(1))),
        })
    }

    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Where traces go, if they are wanted.
    pub fn tracer(&self) -> Option<&Tracer> {
        self.tracer.as_ref()
    }

    /// All metrics as text.
    pub fn render_metrics(&self) -> String {
        self.metrics.render(self.database.store().connections())
    }

    /// Whose key it is; `None` for one that is unknown or withdrawn.
    pub fn caller(&self, secret: &[u8]) -> Option<Caller> {
        self.keys.find(secret)
    }

    /// Whether the keys were read. Before that nobody's is known, and whoever sends one must come
    /// again.
    pub fn knows_keys(&self) -> bool {
        self.keys.are_read()
    }

    /// Makes the keys in use equal to those of the database.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn follow_keys(&self) -> Result<(), ServeError> {
        let store = self.database.store();
        self.keys.follow(&**store, store.revisions().await?.keys).await
    }

    /// Follows the keys beside everything else: a withdrawn one must not wait for a bundle to load.
    pub(super) async fn watch_keys(&self, mut revisions: watch::Receiver<Revisions>) {
        loop {
            let revision = revisions.borrow_and_update().keys;
            let followed = self.keys.follow(&**self.database.store(), revision).await;
            if let Err(error) = &followed {
                tracing::warn!(%error, "cannot read the keys; those that were read hold");
            }
            tokio::select! {
                changed = revisions.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(self.poll), if followed.is_err() => {}
            }
        }
    }

    /// Writes events; once it answers, the answers of this server know them.
    ///
    /// # Errors
    /// [`ServeError::Overloaded`] when too many wait to be written; those of the store.
    pub async fn add_events(&self, events: Vec<NewEvent>) -> Result<Vec<Verdict>, ServeError> {
        let names_answer = |event: &NewEvent| event.items.iter().any(|item| item.origin.is_some());
        let named = events.iter().enumerate().filter(|(_, event)| names_answer(event));
        let attributed: Vec<(usize, NewEvent)> =
            named.map(|(at, event)| (at, event.clone())).collect();
        let verdicts = self.events.write(events).await?;
        let accepted = attributed.iter().filter(|(at, _)| verdicts[*at] == Verdict::Accepted);
        accepted.for_each(|(_, event)| self.metrics.count_attributed(event));
        Ok(verdicts)
    }

    /// Which events are taken, and how many.
    pub fn events_config(&self) -> &EventsConfig {
        &self.events_config
    }

    /// The database itself, for work that no request waits for.
    pub fn store(&self) -> &Arc<dyn Store> {
        self.database.store()
    }

    /// Whether the database answered last time.
    pub fn database_available(&self) -> bool {
        self.database.is_available()
    }

    /// The database could not be reached before the service began.
    pub fn start_without_database(&self, error: &StoreError) {
        self.database.away(error);
    }

    /// What is served at this moment.
    pub fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    pub(super) fn publish(&self, mut state: State) {
        state.shop =
            Arc::new(Shop { models: state.models.clone(), signals: state.signals.clone() });
        state.placements = Arc::new(state.fitted_placements());
        let versions = |state: &State| -> Vec<_> {
            let models = state.models.values().map(|snapshot| snapshot.model());
            models.map(|model| (model.name().to_owned(), model.version().to_owned())).collect()
        };
        self.metrics.set_versions(&versions(&self.state()), &versions(&state));
        self.state.store(Arc::new(state));
    }

    /// Answers a request on one snapshot. `route` is what its events are attributed to.
    ///
    /// # Errors
    /// [`ServeError::NotReady`], [`ServeError::UnknownModel`], [`ServeError::Overloaded`], or what
    /// the pipeline refuses. An unavailable database is not an error: the answer says so instead.
    pub async fn recommend(
        self: &Arc<Self>,
        route: &'static str,
        request: Request,
    ) -> Result<Answered, ServeError> {
        let state = self.state();
        Ok(self.identified(route, self.recommend_on(&state, request).await?))
    }

    /// The answer with its id.
    pub(super) fn identified(&self, route: &str, answered: Answered) -> Answered {
        let sign = |signer: &Signer| {
            let (model, catalogue) = (answered.snapshot.model(), answered.snapshot.catalogue());
            let articles = answered.answer.items.iter().take(MOST_ARTICLES);
            signer.sign(&Told {
                route,
                model: model.name(),
                version: model.version(),
                answered: now(),
                offset: answered.answer.offset,
                articles: articles.map(|item| (catalogue.id(item.row), item.source)).collect(),
            })
        };
        Answered { recommendation_id: self.signer.get().map(sign), ..answered }
    }

    /// Reads the key that signs answers, which all replicas share, unless it is known.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(super) async fn follow_signer(&self) -> Result<(), ServeError> {
        if self.signer.get().is_none() {
            let key = self.database.store().secret("attribution").await?;
            // Another task may have read the same key.
            let _ = self.signer.set(Signer::new(key));
        }
        Ok(())
    }

    /// Checks what an event says of the answer it comes from; `None` before the key is known.
    pub fn signer(&self) -> Option<&Signer> {
        self.signer.get()
    }

    /// [`Service::recommend`] on a state that the caller has looked at.
    ///
    /// # Errors
    /// As above.
    pub(super) async fn recommend_on(
        self: &Arc<Self>,
        state: &State,
        request: Request,
    ) -> Result<Answered, ServeError> {
        let served = state.served_for(&request)?;
        let lookup = self.look_up(&served.snapshot, &request).await;
        let answered = match work_of(&served.snapshot, &request) {
            Some(work) => {
                let service = self.clone();
                self.on_processor(work, move || service.answer(served, &request, lookup.as_ref()))
                    .await??
            }
            None => self.answer(served, &request, lookup.as_ref())?,
        };
        answered.stages.into_iter().for_each(stages::add);
        Ok(answered)
    }

    /// [`Service::recommend_on`] that tells what each step did.
    ///
    /// # Errors
    /// As there.
    pub(super) async fn preview_on(
        self: &Arc<Self>,
        state: &State,
        request: Request,
    ) -> Result<(Answered, PipelineStages), ServeError> {
        let Served { snapshot, shop } = state.served_for(&request)?;
        let lookup = self.look_up(&snapshot, &request).await;
        let started = Instant::now();
        let work = move || {
            let previewed = preview(&shop, &snapshot, &request, as_known(lookup.as_ref()));
            previewed.map(|previewed| (snapshot, previewed))
        };
        let (snapshot, Preview { answer, stages }) =
            self.on_processor(Work::Explain, work).await??;
        let stage = |name| Stage { name, started, took: Duration::ZERO };
        let answered = Answered {
            snapshot,
            answer,
            recommendation_id: None,
            placement: None,
            stages: ["embed", "rank"].map(stage),
        };
        Ok((answered, stages))
    }

    /// What is known of the customer and the visitor of a request, if it names any.
    async fn look_up(&self, snapshot: &Snapshot, request: &Request) -> Option<Lookup> {
        let customer = match &request.customer {
            Some(id) => Some(self.look_up_customer(id, snapshot, request).await),
            None => None,
        };
        let Some(visitor) = &request.visitor else { return customer };
        let visitor = self.customers.look_up_visitor(visitor).await;
        Some(match customer {
            Some(customer) => customer.with_visitor(visitor),
            None => visitor,
        })
    }

    /// Reads as many purchases as this answer needs: all that are ever read where it names or
    /// excludes them, else those of the model's history.
    pub(super) async fn look_up_customer(
        &self,
        id: &CustomerId,
        snapshot: &Snapshot,
        request: &Request,
    ) -> Lookup {
        let started = Instant::now();
        let all = self.customers.purchases();
        let recipe = &request.recipe;
        let draws =
            !recipe.sources.is_empty() || !recipe.fallback.is_empty() || recipe.ranker.is_some();
        let reads_all = recipe.exclude.reads_purchases() || request.explain || draws;
        let history = if reads_all { all } else { snapshot.model().history_length() };
        // Some more, because not every purchase counts; see below.
        let few = history.saturating_mul(2).max(FEW_PURCHASES);
        let mut lookup = self.customers.look_up(id, few).await;
        if few < all && lookup.is_cut() && !has_history(&lookup, snapshot, request.at, history) {
            lookup = self.customers.look_up(id, all).await;
        }
        self.metrics.stage_customer.record(started.elapsed().as_secs_f64());
        stages::note("customer", started);
        match (lookup.currency, lookup.cached) {
            (Currency::Current, true) => &self.metrics.customers_cached,
            (Currency::Current, false) => &self.metrics.customers_read,
            (Currency::Stale | Currency::Unavailable, _) => &self.metrics.customers_degraded,
        }
        .increment(1);
        lookup
    }

    pub(super) fn answer(
        &self,
        served: Served,
        request: &Request,
        lookup: Option<&Lookup>,
    ) -> Result<Answered, ServeError> {
        let Served { snapshot, shop } = served;
        let started = Instant::now();
        let mut answer = recommend(&shop, &snapshot, request, as_known(lookup))?;
        let embed = answer.embedding.0;
        let rank = started.elapsed().saturating_sub(embed);
        let stages = [
            Stage { name: "embed", started, took: embed },
            Stage { name: "rank", started: started + embed, took: rank },
        ];
        if let Some(metrics) = self.metrics.model(snapshot.model().name()) {
            metrics.embed.record(stages[0].took.as_secs_f64());
            metrics.rank.record(stages[1].took.as_secs_f64());
            metrics.count(answer.strategy);
            if answer.strategy == Strategy::Popular && answer.fallback.is_some() {
                metrics.cold_starts.increment(1);
            }
        }
        self.metrics.count_sources(&answer.sources);
        match lookup.map(|lookup| lookup.currency) {
            Some(Currency::Stale) => answer.warnings.push(Warning::CustomerDataStale),
            Some(Currency::Unavailable) => answer.warnings.push(Warning::CustomerDataUnavailable),
            Some(Currency::Current) | None => {}
        }
        if catalogue::is_from_models(snapshot.catalogue()) {
            answer.warnings.push(Warning::CatalogueUnavailable);
        }
        if let Some(plan) = answer.search {
            self.metrics.count_search(plan);
        }
        Ok(Answered { snapshot, answer, recommendation_id: None, placement: None, stages })
    }

    /// Whether reasons may tell this caller what a customer has bought. Decided here and nowhere
    /// else: whoever knows an id can ask for its recommendations, so the public must not learn
    /// purchases from them.
    pub fn may_tell_purchases(&self, caller: &Caller) -> bool {
        self.explain_purchases || caller.may(Scope::ReadPurchases)
    }

    /// Runs heavy work off the asynchronous threads, as much of its kind at a time as it has
    /// permits.
    async fn on_processor<T: Send + 'static>(
        &self,
        kind: Work,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServeError> {
        let started = Instant::now();
        let permit = self.budgets.permit(kind).await?;
        stages::note("queue", started);
        let work = move || {
            let _permit = permit;
            catch_unwind(AssertUnwindSafe(work))
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(done)) => Ok(done),
            // The hook of the process has reported the panic.
            Ok(Err(_)) => Err(ServeError::Internal("a request panicked".into())),
            Err(error) => Err(ServeError::Internal(error.to_string())),
        }
    }
}

/// The customer as far as a look-up knows.
fn as_known(lookup: Option<&Lookup>) -> Customer<'_> {
    match lookup.and_then(|lookup| lookup.known.as_deref()) {
        Some(known) => Customer {
            recorded: known.recorded,
            attributes: known,
            purchases: &known.purchases,
            purchase_times: &known.purchase_times,
            purchase_weights: &known.purchase_weights,
            actions: &known.actions,
        },
        None => Customer::UNKNOWN,
    }
}

/// Whether the look-up holds as many purchases as the model's history: of articles that the model
/// knows, made before the moment of the query, and not of the last moment read, whose other
/// purchases may be missing.
fn has_history(lookup: &Lookup, snapshot: &Snapshot, at: Timestamp, length: usize) -> bool {
    let Some(known) = &lookup.known else { return true };
    let last = known.purchase_times.last().copied();
    let counts = |(id, time): &(&ArticleId, &Timestamp)| {
        **time < at && Some(**time) != last && snapshot.model().item(id.as_str()).is_some()
    };
    known.purchases.iter().zip(&known.purchase_times).filter(counts).take(length).count() >= length
}

/// The kind of work of a request that may keep a processor for more than about half a millisecond.
fn work_of(snapshot: &Snapshot, request: &Request) -> Option<Work> {
    if request.generation.is_some() {
        return Some(Work::Generate);
    }
    if request.explain {
        return Some(Work::Explain);
    }
    let recipe = &request.recipe;
    let scans_many = !recipe.filter.is_empty() && snapshot.catalogue().len() > 200_000
        || snapshot.fresh_vectors() > 200_000;
    let is_long = request.k.get() > 100 || request.offset.is_some() || request.only.is_some();
    let wide = is_long || scans_many || !recipe.is_light(snapshot);
    wide.then_some(Work::Wide)
}
