//! What a request reads, and how it is answered.

use super::{
    Config, Metrics, ServeError,
    customers::{Currency, Customers, Lookup},
    database::Database,
    follow::Changes,
    keys::{Caller, Keys},
    sales::{Sales, SalesCounter},
};
use crate::{
    domain::{ArticleId, CustomerId, Timestamp, TopK},
    features::{Attributes, NoAttributes},
    recommend::{
        Answer, Catalogue, Customer, Exclude, Filter, Generation, Request, Snapshot, Strategy, Subject, Warning, plan,
        recommend,
    },
    store::{Revisions, Store},
};
use arc_swap::ArcSwap;
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, watch};

/// Everything behind the HTTP surface. One a process; cheap to share.
pub struct Service {
    state: ArcSwap<State>,
    pub(super) database: Database,
    customers: Customers,
    pub(super) changes: tokio::sync::Mutex<Changes>,
    pub(super) refusals: std::sync::Mutex<BTreeMap<String, super::Refusal>>,
    pub(super) models_directory: PathBuf,
    pub(super) default_model: Option<String>,
    pub(super) poll: Duration,
    pub(super) sales: SalesCounter,
    pub(super) keys: Keys,
    metrics: Metrics,
    processors: Arc<Semaphore>,
    /// Threads that compute answers of batches.
    pub(super) batches: Arc<Semaphore>,
    queue: Duration,
}

/// What is served. Replaced as a whole; a request reads it once.
#[derive(Debug, Default)]
pub struct State {
    pub(super) catalogue: Option<Arc<Catalogue>>,
    /// What the catalogue's sales are from.
    pub(super) sales: Option<Arc<Sales>>,
    /// By name.
    pub(super) models: BTreeMap<String, Arc<Snapshot>>,
    pub(super) default: Option<String>,
}

/// What is asked for, owned so that it can move to another thread.
#[derive(Debug, Clone)]
pub struct Call {
    /// `None`: the default model.
    pub model: Option<String>,
    pub subject: CallSubject,
    pub k: TopK,
    /// See [`Request::offset`].
    pub offset: Option<usize>,
    pub at: Timestamp,
    pub filter: Filter,
    /// Rank only these articles.
    pub only: Option<Vec<ArticleId>>,
    pub exclude: Vec<ArticleId>,
    pub exclude_purchased: bool,
    pub max_per: Vec<(String, usize)>,
    pub explain: bool,
    /// Reasons may tell what the customer bought.
    pub tell_purchases: bool,
    pub generation: Option<Generation>,
}

#[derive(Debug, Clone)]
pub enum CallSubject {
    /// `session`: newest first.
    Customer {
        id: Option<CustomerId>,
        session: Vec<ArticleId>,
    },
    Article(ArticleId),
    /// `but`: the customer whose purchases are left out.
    Everyone {
        but: Option<CustomerId>,
    },
}

/// An answer and the snapshot its rows refer to.
#[derive(Debug)]
pub struct Answered {
    pub snapshot: Arc<Snapshot>,
    pub answer: Answer,
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
            false => ServeError::UnknownModel { name: name.into(), loaded: self.models.keys().cloned().collect() },
        })
    }

    pub fn is_ready(&self) -> bool {
        self.model(None).is_ok()
    }
}

impl Service {
    /// A service that has loaded nothing yet; see [`Service::catch_up`] and [`Service::run`]. `routes` get metrics
    /// of their own.
    ///
    /// # Errors
    /// When the metrics cannot be set up.
    pub fn new(store: Arc<dyn Store>, config: &Config, routes: &[&'static str]) -> Result<Self, ServeError> {
        let metrics = Metrics::new(routes).map_err(|error| ServeError::Internal(error.to_string()))?;
        let processors = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Ok(Self {
            state: ArcSwap::from_pointee(State::default()),
            database: Database::new(store, config.database.timeout),
            customers: Customers::new(config.customers.clone()),
            changes: tokio::sync::Mutex::default(),
            refusals: std::sync::Mutex::default(),
            models_directory: config.models.directory.clone(),
            default_model: config.models.default.clone(),
            poll: config.database.poll,
            sales: SalesCounter::new(config.popularity.clone()),
            keys: Keys::default(),
            metrics,
            processors: Arc::new(Semaphore::new(processors)),
            batches: Arc::new(Semaphore::new((processors / 2).max(1))),
            queue: config.limits.queue,
        })
    }

    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Whose key it is; `None` for one that is unknown or withdrawn.
    pub fn caller(&self, secret: &[u8]) -> Option<Caller> {
        self.keys.find(secret)
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

    /// The database itself, for work that no request waits for.
    pub fn store(&self) -> &Arc<dyn Store> {
        self.database.store()
    }

    /// Whether the database answered last time.
    pub fn database_available(&self) -> bool {
        self.database.is_available()
    }

    /// What is served at this moment.
    pub fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    pub(super) fn publish(&self, state: State) {
        self.state.store(Arc::new(state));
    }

    /// Answers a call on one snapshot.
    ///
    /// # Errors
    /// [`ServeError::NotReady`], [`ServeError::UnknownModel`], [`ServeError::Overloaded`], or what the pipeline
    /// refuses. The database being away is none: the answer says so instead.
    pub async fn recommend(self: &Arc<Self>, call: Call) -> Result<Answered, ServeError> {
        let snapshot = self.state.load().model(call.model.as_deref())?.clone();
        let lookup = match &call.subject {
            CallSubject::Customer { id: Some(id), .. } | CallSubject::Everyone { but: Some(id) } => {
                Some(self.look_up(id).await)
            }
            _ => None,
        };
        if is_heavy(&snapshot, &call) {
            let service = self.clone();
            self.on_processor(move || service.answer(snapshot, &call, &call.subject, lookup.as_ref())).await?
        } else {
            self.answer(snapshot, &call, &call.subject, lookup.as_ref())
        }
    }

    pub(super) async fn look_up(&self, id: &CustomerId) -> Lookup {
        let started = Instant::now();
        let lookup = self.customers.look_up(&self.database, id).await;
        self.metrics.stage_customer.record(started.elapsed().as_secs_f64());
        match (lookup.currency, lookup.cached) {
            (Currency::Current, true) => &self.metrics.customers_cached,
            (Currency::Current, false) => &self.metrics.customers_read,
            (Currency::Stale | Currency::Unavailable, _) => &self.metrics.customers_degraded,
        }
        .increment(1);
        lookup
    }

    /// `subject` is the call's own or stands in for it.
    pub(super) fn answer(
        &self,
        snapshot: Arc<Snapshot>,
        call: &Call,
        subject: &CallSubject,
        lookup: Option<&Lookup>,
    ) -> Result<Answered, ServeError> {
        let known = lookup.and_then(|lookup| lookup.known.as_deref());
        let attributes: &dyn Attributes = known.map_or(&NoAttributes, |known| known);
        let excluded: &[ArticleId] = match (subject, known) {
            (CallSubject::Everyone { but: Some(_) }, Some(known)) => &known.purchases,
            _ => &call.exclude,
        };
        let request = Request {
            subject: match subject {
                CallSubject::Customer { id, session } => Subject::Customer(Customer {
                    id: id.as_ref(),
                    recorded: known.is_some(),
                    attributes,
                    purchases: known.map_or(&[], |known| &known.purchases),
                    purchase_times: known.map_or(&[], |known| &known.purchase_times),
                    purchase_weights: known.map_or(&[], |known| &known.purchase_weights),
                    session,
                }),
                CallSubject::Article(id) => Subject::Article(id),
                CallSubject::Everyone { .. } => Subject::Everyone,
            },
            k: call.k,
            offset: call.offset,
            at: call.at,
            filter: &call.filter,
            only: call.only.as_deref(),
            exclude: Exclude { article_ids: excluded, purchased: call.exclude_purchased },
            max_per: &call.max_per,
            explain: call.explain,
            tell_purchases: call.tell_purchases,
            generation: call.generation,
        };
        let started = Instant::now();
        let plan = plan(&snapshot, &request)?;
        let planned = Instant::now();
        let mut answer = recommend(&snapshot, &request, &plan)?;
        self.metrics.stage_embed.record((planned - started).as_secs_f64());
        self.metrics.stage_rank.record(planned.elapsed().as_secs_f64());
        match lookup.map(|lookup| lookup.currency) {
            Some(Currency::Stale) => answer.warnings.push(Warning::CustomerDataStale),
            Some(Currency::Unavailable) => answer.warnings.push(Warning::CustomerDataUnavailable),
            Some(Currency::Current) | None => {}
        }
        if answer.strategy == Strategy::Popular && answer.fallback.is_some() {
            self.metrics.cold_starts.increment(1);
        }
        if let Some(plan) = answer.search {
            self.metrics.count_search(plan);
        }
        Ok(Answered { snapshot, answer })
    }

    /// Runs heavy work off the asynchronous threads, as much at a time as there are processors.
    async fn on_processor<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServeError> {
        let permit = tokio::time::timeout(self.queue, self.processors.clone().acquire_owned());
        let Ok(Ok(permit)) = permit.await else { return Err(ServeError::Overloaded) };
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

/// Whether the call may keep a processor for more than about half a millisecond.
fn is_heavy(snapshot: &Snapshot, call: &Call) -> bool {
    let scans_many = !call.filter.is_empty() && snapshot.catalogue().len() > 200_000;
    call.k.get() > 100
        || call.offset.is_some()
        || call.generation.is_some()
        || call.explain
        || !call.max_per.is_empty()
        || scans_many
        || !snapshot.remembers(&call.filter)
}
