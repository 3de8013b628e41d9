//! Changes: reload, activation, rollback, a new catalogue, and following what other processes do. One at a time;
//! what is prepared becomes visible in one swap, what fails leaves everything as it was.

use super::{Refusal, ServeError, Service, State, catalogue, models, sales::Sales};
use crate::{
    bundle,
    domain::{ArticleId, Timestamp},
    recommend::{Catalogue, Model, Snapshot},
    store::{self, ArticleRecord, ModelVersion, Revisions},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{sync::watch, task::spawn_blocking};

/// What a change must know of the changes before it; the lock around it is held while one is prepared.
#[derive(Debug, Default)]
pub struct Changes {
    /// Revision of the models whose active versions were last followed.
    followed: Option<i64>,
}

/// How often recorded times are folded into histograms.
const UPKEEP: Duration = Duration::from_secs(5);

/// How many polls pass before a bundle that was refused is tried again: it may still be on its way to this machine.
const PATIENCE: u32 = 30;

impl Service {
    /// Follows the database until the process ends: its changes, its absence, its return.
    pub async fn run(self: Arc<Self>) {
        let upkeep = async {
            loop {
                self.metrics().upkeep();
                let available = if self.database.is_available() { 1.0 } else { 0.0 };
                self.metrics().database_available.set(available);
                tokio::time::sleep(UPKEEP).await;
            }
        };
        let revisions = store::watch(self.database.store().clone(), Revisions::default(), self.poll);
        let keys = self.watch_keys(revisions.clone());
        tokio::join!(self.database.watch(self.poll), self.follow(revisions), keys, upkeep);
    }

    async fn follow(&self, mut revisions: watch::Receiver<Revisions>) {
        let (mut failing, mut uncounted) = (false, false);
        loop {
            revisions.borrow_and_update();
            let counted = self.count_sales().await;
            if let Err(error) = &counted
                && !uncounted
            {
                tracing::warn!(%error, "cannot count the sales; popularity stays as it was");
            }
            uncounted = counted.is_err();
            let result = self.catch_up().await;
            if let Err(error) = &result
                && !failing
            {
                tracing::warn!(%error, "cannot follow the database; what is loaded stays in service");
            }
            failing = result.is_err();
            let again = match result {
                Ok(true) if !uncounted => self.sales.refresh(),
                Ok(_) => self.poll * PATIENCE,
                Err(_) => self.poll,
            };
            tokio::select! {
                changed = revisions.changed(), if !failing => if changed.is_err() { return },
                () = tokio::time::sleep(again) => {}
            }
        }
    }

    /// Makes what is served equal to what the database says: catalogue and active versions. A model without an active
    /// version gets the newest bundle that is good, and that one is made active. Answers whether every model is served
    /// as wanted; a bundle that is refused is no error here: see [`Service::status`].
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn catch_up(&self) -> Result<bool, ServeError> {
        if self.state().catalogue.is_none()
            && let Err(error) = self.count_sales().await
        {
            tracing::warn!(%error, "cannot count the sales; popularity is that of the bundles");
        }
        let mut changes = self.changes.lock().await;
        let store = self.database.store();
        let revisions = store.revisions().await?;
        self.keys.follow(&**store, revisions.keys).await?;
        let now = self.state();
        let catalogue = match &now.catalogue {
            Some(catalogue) if catalogue.version() == revisions.catalogue => catalogue.clone(),
            _ => self.read_catalogue(revisions.catalogue).await?,
        };
        let (catalogue, sales) = self.with_sales(catalogue, &now);
        let (mut wanted, mut bundles) = (BTreeMap::new(), BTreeMap::new());
        if changes.followed != Some(revisions.models) {
            wanted = self.active_versions().await?;
            bundles = self.bundles()?;
            bundles.retain(|model, _| !wanted.contains_key(model) && !now.models.contains_key(model));
        }
        let mut next = BTreeMap::new();
        for (name, snapshot) in &now.models {
            if Arc::ptr_eq(snapshot.catalogue(), &catalogue) {
                next.insert(name.clone(), snapshot.clone());
            } else {
                next.insert(name.clone(), self.renewed(snapshot, &catalogue).await?);
            }
        }
        let mut whole = true;
        for (model, version) in &wanted {
            if next.get(model).is_some_and(|snapshot| snapshot.model().version() == version) {
                continue;
            }
            match self.load(model, version, &catalogue).await {
                Ok(snapshot) => next.insert(model.clone(), snapshot),
                // The version before it, if any, stays.
                Err(_) => {
                    whole = false;
                    continue;
                }
            };
        }
        for (model, versions) in bundles {
            match self.adopt(&model, &versions, &catalogue).await? {
                Ok(snapshot) => drop(next.insert(model, snapshot)),
                Err(_) => whole = false,
            }
        }
        // Looked at again although no revision changes.
        changes.followed = whole.then_some(revisions.models);
        self.swap_sales(catalogue, sales, next);
        Ok(whole)
    }

    /// Reads the bundle of the active version again.
    ///
    /// # Errors
    /// [`ServeError::Refused`] with the reason; the loaded one stays in service.
    pub async fn reload(&self, model: &str) -> Result<String, ServeError> {
        let _changes = self.changes.lock().await;
        let catalogue = self.current_catalogue().await?;
        let version = match self.active_versions().await {
            Ok(mut active) => active.remove(model),
            // Without the database the served version is the one to read again.
            Err(_) => self.state().models.get(model).map(|snapshot| snapshot.model().version().to_owned()),
        };
        let snapshot = match version {
            Some(version) => self.load(model, &version, &catalogue).await?,
            None => {
                let versions = self.bundles()?.remove(model).ok_or_else(|| self.unknown_model(model))?;
                self.adopt(model, &versions, &catalogue).await??
            }
        };
        let version = snapshot.model().version().to_owned();
        self.swap_one(catalogue, snapshot);
        Ok(version)
    }

    /// Loads a version, makes it the active one in the database and serves it. Answers the version before it.
    ///
    /// # Errors
    /// When the bundle is refused or the database is away; then nothing has changed.
    pub async fn activate(&self, model: &str, version: &str) -> Result<Option<String>, ServeError> {
        let _changes = self.changes.lock().await;
        let catalogue = self.current_catalogue().await?;
        let snapshot = self.load(model, version, &catalogue).await?;
        let store = self.database.store();
        store.register_model(model, version).await?;
        let previous = store.activate_model(model, version).await?;
        self.swap_one(catalogue, snapshot);
        Ok(previous)
    }

    /// Makes the version before the active one active again; answers it.
    ///
    /// # Errors
    /// When there is none, its bundle is refused, or the database is away; then nothing has changed.
    pub async fn rollback(&self, model: &str) -> Result<String, ServeError> {
        let _changes = self.changes.lock().await;
        let catalogue = self.current_catalogue().await?;
        let store = self.database.store();
        let active = store.models().await?.into_iter().find(|row| row.active && row.model == model);
        let version = store.rollback_model(model).await?;
        match self.load(model, &version, &catalogue).await {
            Ok(snapshot) => self.swap_one(catalogue, snapshot),
            Err(error) => {
                if let Some(ModelVersion { version, .. }) = active {
                    store.activate_model(model, &version).await?;
                }
                return Err(error);
            }
        }
        Ok(version)
    }

    /// The versions the database knows and the bundles on disk, by model, newest first.
    ///
    /// # Errors
    /// When neither can be read.
    pub async fn versions(&self) -> Result<Vec<ModelVersion>, ServeError> {
        let mut rows = self.database.store().models().await?;
        for found in bundle::list(&self.models_directory)? {
            if !rows.iter().any(|row| row.model == found.name && row.version == found.version) {
                rows.push(ModelVersion { model: found.name, version: found.version, active: false });
            }
        }
        rows.sort_by(|a, b| a.model.cmp(&b.model).then_with(|| b.version.cmp(&a.version)));
        Ok(rows)
    }

    /// Inserts or replaces articles, all or none; they are served when this returns.
    ///
    /// # Errors
    /// When the database refuses them or is away.
    pub async fn put_articles(&self, articles: &[ArticleRecord]) -> Result<(), ServeError> {
        self.database.store().put_articles(articles).await?;
        self.catch_up().await.map(drop)
    }

    /// Makes articles available or not; it is so when this returns. Answers the ids that do not exist.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn set_available(&self, ids: &[ArticleId], available: bool) -> Result<Vec<ArticleId>, ServeError> {
        if let Some(unknown) = self.set_available_in_place(ids, available).await? {
            return Ok(unknown);
        }
        let unknown = self.database.store().set_available(ids, available).await?;
        self.catch_up().await?;
        Ok(unknown)
    }

    /// Changes the availability without reading the catalogue again; `None`, and nothing done, where the loaded one is
    /// not the latest. If others changed it at the same time, following catches up with them.
    async fn set_available_in_place(
        &self,
        ids: &[ArticleId],
        available: bool,
    ) -> Result<Option<Vec<ArticleId>>, ServeError> {
        let _changes = self.changes.lock().await;
        let store = self.database.store();
        let (now, before) = (self.state(), store.catalogue_version().await?);
        let Some(loaded) = now.catalogue.as_ref().filter(|loaded| loaded.version() == before) else {
            return Ok(None);
        };
        let unknown = store.set_available(ids, available).await?;
        let after = store.catalogue_version().await?;
        let ids = || ids.iter().map(ArticleId::as_str);
        let changed = loaded.with_availability(before, ids(), available).available() != loaded.available();
        // More than our own change: keep the old number, so that the next look at the database reads everything.
        let version = if after == before + i64::from(changed) { after } else { before };
        let catalogue = Arc::new(loaded.with_availability(version, ids(), available));
        let mut models = BTreeMap::new();
        for (name, snapshot) in &now.models {
            models.insert(name.clone(), self.renewed(snapshot, &catalogue).await?);
        }
        self.swap(catalogue, models);
        Ok(Some(unknown))
    }

    /// By model: the version the database says is active.
    async fn active_versions(&self) -> Result<BTreeMap<String, String>, ServeError> {
        let rows = self.database.store().models().await?.into_iter().filter(|row| row.active);
        Ok(rows.map(|row| (row.model, row.version)).collect())
    }

    /// By model: the versions on disk, newest first.
    fn bundles(&self) -> Result<BTreeMap<String, Vec<String>>, ServeError> {
        let mut versions: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for found in bundle::list(&self.models_directory)? {
            versions.entry(found.name).or_default().push(found.version);
        }
        Ok(versions)
    }

    /// Loads the first version that is good and makes it the active one; else why the first was refused.
    async fn adopt(
        &self,
        model: &str,
        versions: &[String],
        catalogue: &Arc<Catalogue>,
    ) -> Result<Result<Arc<Snapshot>, ServeError>, ServeError> {
        let mut refused = None;
        for version in versions {
            match self.load(model, version, catalogue).await {
                Ok(snapshot) => {
                    let store = self.database.store();
                    store.register_model(model, version).await?;
                    store.activate_model(model, version).await?;
                    return Ok(Ok(snapshot));
                }
                Err(error) => drop(refused.get_or_insert(error)),
            }
        }
        Ok(Err(refused.unwrap_or_else(|| self.unknown_model(model))))
    }

    /// The catalogue with the latest count of sales, if it has not got them yet.
    fn with_sales(&self, catalogue: Arc<Catalogue>, now: &State) -> (Arc<Catalogue>, Option<Arc<Sales>>) {
        let Some(latest) = self.sales.latest() else { return (catalogue, None) };
        let same = now.sales.as_ref().is_some_and(|sales| Arc::ptr_eq(sales, &latest));
        let catalogue = if same && catalogue.sales().is_some() { catalogue } else { Arc::new(latest.over(&catalogue)) };
        (catalogue, Some(latest))
    }

    /// The model of a snapshot over another catalogue; articles are embedded again only where they have changed.
    async fn renewed(&self, snapshot: &Arc<Snapshot>, catalogue: &Arc<Catalogue>) -> Result<Arc<Snapshot>, ServeError> {
        let (old, new) = (snapshot.clone(), catalogue.clone());
        // Other sales are sorted anew.
        let renewed = spawn_blocking(move || old.over(new)).await;
        match renewed.map_err(|error| ServeError::Internal(error.to_string()))? {
            Some(snapshot) => Ok(Arc::new(snapshot)),
            None => self.prepare(Source::Loaded(snapshot.model().clone()), catalogue).await,
        }
    }

    async fn read_catalogue(&self, version: i64) -> Result<Arc<Catalogue>, ServeError> {
        let catalogue = Arc::new(catalogue::read(&**self.database.store(), version).await?);
        self.metrics().catalogue_refreshes.increment(1);
        self.metrics().catalogue_articles.set(catalogue.len() as f64);
        Ok(catalogue)
    }

    async fn current_catalogue(&self) -> Result<Arc<Catalogue>, ServeError> {
        match &self.state().catalogue {
            Some(catalogue) => Ok(catalogue.clone()),
            None => {
                let catalogue = self.read_catalogue(self.database.store().catalogue_version().await?).await?;
                Ok(self.with_sales(catalogue, &self.state()).0)
            }
        }
    }

    /// Prepares a version from its files; a refusal is logged once, counted and recorded.
    async fn load(&self, model: &str, version: &str, catalogue: &Arc<Catalogue>) -> Result<Arc<Snapshot>, ServeError> {
        let result = self.prepare(Source::Files(model.to_owned(), version.to_owned()), catalogue).await;
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        match &result {
            Ok(_) => {
                refusals.remove(model);
                self.metrics().reloads.increment(1);
                tracing::info!(model, version, "model loaded");
            }
            Err(error) => {
                let reason = match error {
                    ServeError::Refused { reason, .. } => reason.clone(),
                    other => other.to_string(),
                };
                self.metrics().reload_failures.increment(1);
                let known = refusals.get(model).is_some_and(|old| old.version == version && old.reason == reason);
                if !known {
                    tracing::error!(model, version, reason, "bundle refused; what is loaded stays in service");
                }
                let (model, version) = (model.to_owned(), version.to_owned());
                refusals.insert(model.clone(), Refusal { model, version, reason, at: now() });
            }
        }
        result
    }

    async fn prepare(&self, source: Source, catalogue: &Arc<Catalogue>) -> Result<Arc<Snapshot>, ServeError> {
        let (directory, catalogue) = (self.models_directory.clone(), catalogue.clone());
        let work = spawn_blocking(move || {
            let model = match source {
                Source::Loaded(model) => model,
                Source::Files(model, version) => models::load(&directory, &model, &version)?,
            };
            models::join(model, catalogue)
        });
        work.await.map_err(|error| ServeError::Internal(error.to_string()))?
    }

    fn swap_one(&self, catalogue: Arc<Catalogue>, snapshot: Arc<Snapshot>) {
        let mut models = self.state().models.clone();
        models.insert(snapshot.model().name().to_owned(), snapshot);
        self.swap(catalogue, models);
    }

    fn swap(&self, catalogue: Arc<Catalogue>, models: BTreeMap<String, Arc<Snapshot>>) {
        self.swap_sales(catalogue, self.state().sales.clone(), models);
    }

    fn swap_sales(
        &self,
        catalogue: Arc<Catalogue>,
        sales: Option<Arc<Sales>>,
        models: BTreeMap<String, Arc<Snapshot>>,
    ) {
        let versions = |models: &BTreeMap<String, Arc<Snapshot>>| -> Vec<_> {
            models.values().map(|s| (s.model().name().to_owned(), s.model().version().to_owned())).collect()
        };
        self.metrics().set_versions(&versions(&self.state().models), &versions(&models));
        let default = self.default_model.clone().or_else(|| models.keys().next().cloned());
        self.publish(State { catalogue: Some(catalogue), sales, models, default });
    }

    fn unknown_model(&self, name: &str) -> ServeError {
        ServeError::UnknownModel { name: name.into(), loaded: self.state().models.keys().cloned().collect() }
    }
}

/// Where the model of a new snapshot comes from.
enum Source {
    Loaded(Arc<dyn Model>),
    Files(String, String),
}

/// The present moment.
pub fn now() -> Timestamp {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
    Timestamp(u32::try_from(seconds).unwrap_or(u32::MAX))
}
