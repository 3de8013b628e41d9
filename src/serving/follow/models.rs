//! Versions of models: reload, activation, rollback, and loading what the database says is active.

use super::{Changes, now};
use crate::{
    bundle,
    recommend::{Catalogue, Model, Snapshot},
    serving::{Refusal, ServeError, Service, models},
    store::ModelVersion,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
};
use tokio::task::spawn_blocking;

/// Where the model of a new snapshot comes from.
pub(super) enum Source {
    Loaded(Arc<dyn Model>),
    Files(String, String),
}

impl Service {
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

    /// Loads into `models` what the database says is active. A model without an active version gets the newest bundle that
    /// is good, and that one is made active. Answers whether every model is served as wanted.
    ///
    /// # Errors
    /// When the database or the directory of bundles cannot be read.
    pub(super) async fn follow_models(
        &self,
        changes: &mut Changes,
        revision: i64,
        catalogue: &Arc<Catalogue>,
        models: &mut BTreeMap<String, Arc<Snapshot>>,
    ) -> Result<bool, ServeError> {
        if changes.followed == Some(revision) {
            return Ok(true);
        }
        let wanted = self.active_versions().await?;
        let mut bundles = self.bundles()?;
        bundles.retain(|model, _| !wanted.contains_key(model) && !models.contains_key(model));
        let mut whole = true;
        for (model, version) in &wanted {
            if models.get(model).is_some_and(|snapshot| snapshot.model().version() == version) {
                continue;
            }
            match self.load(model, version, catalogue).await {
                Ok(snapshot) => drop(models.insert(model.clone(), snapshot)),
                // The version before it, if any, stays.
                Err(_) => whole = false,
            }
        }
        for (model, versions) in bundles {
            match self.adopt(&model, &versions, catalogue).await? {
                Ok(snapshot) => drop(models.insert(model, snapshot)),
                Err(_) => whole = false,
            }
        }
        // Looked at again although no revision changes.
        changes.followed = whole.then_some(revision);
        Ok(whole)
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

    pub(super) async fn prepare(
        &self,
        source: Source,
        catalogue: &Arc<Catalogue>,
    ) -> Result<Arc<Snapshot>, ServeError> {
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

    fn unknown_model(&self, name: &str) -> ServeError {
        ServeError::UnknownModel { name: name.into(), loaded: self.state().models.keys().cloned().collect() }
    }
}
