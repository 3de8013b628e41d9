//! Versions of models: reload, activation, deactivation, rollback, and loading what the database
//! says is active. Nothing else serves, whatever lies in the folder.

use crate::{
    bundle,
    recommend::{Catalogue, Model, Snapshot},
    serving::{ServeError, Service, State},
    store::ModelVersion,
};
use std::{collections::BTreeMap, sync::Arc};

/// What following remembers; the lock around it is held while versions are opened.
#[derive(Debug, Default)]
pub struct Following {
    /// Revision of the models whose active versions are all served.
    followed: Option<i64>,
}

impl Service {
    /// Reads the bundle of the active version again.
    ///
    /// # Errors
    /// [`ServeError::Refused`] with the reason; the loaded one stays in service.
    pub async fn reload(&self, model: &str) -> Result<String, ServeError> {
        let version = match self.database.store().models().await {
            Ok(rows) => active_versions(&rows).remove(model),
            // Without the database the served version is the one to read again.
            Err(_) => {
                self.state().models.get(model).map(|snapshot| snapshot.model().version().to_owned())
            }
        };
        let version = version.ok_or_else(|| self.unknown_model(model))?;
        let opened = self.open(model, &version).await?;
        let _changes = self.changes.lock().await;
        let catalogue = self.current_catalogue().await?;
        let snapshot = self.join(opened, &catalogue).await?;
        self.refusals.forget(model);
        self.swap_one(catalogue, snapshot);
        Ok(version)
    }

    /// Loads a version, makes it the active one in the database and serves it; with `default` its
    /// model becomes the one of requests that name none. Answers the version before it.
    ///
    /// # Errors
    /// When the bundle is refused or the database is away; then nothing has changed.
    pub async fn activate(
        &self,
        model: &str,
        version: &str,
        default: bool,
    ) -> Result<Option<String>, ServeError> {
        let opened = self.open(model, version).await?;
        let _changes = self.changes.lock().await;
        let catalogue = self.current_catalogue().await?;
        let snapshot = self.join(opened, &catalogue).await?;
        let store = self.database.store();
        store.register_model(model, version).await?;
        let previous = store.activate(model, version, default).await?;
        self.refusals.forget(model);
        self.swap_one(catalogue, snapshot);
        self.follow_default().await?;
        Ok(previous)
    }

    /// Takes a model out of service; answers the version that was active.
    ///
    /// # Errors
    /// When none is, it is the default while others are active, or the database is away; then
    /// nothing has changed.
    pub async fn deactivate(&self, model: &str) -> Result<String, ServeError> {
        let _changes = self.changes.lock().await;
        let version = self.database.store().deactivate_model(model).await?;
        self.refusals.forget(model);
        let mut state = State::clone(&self.state());
        state.models.remove(model);
        state.active.remove(model);
        self.publish(state);
        self.follow_default().await?;
        Ok(version)
    }

    /// Makes the version before the active one active again; answers it.
    ///
    /// # Errors
    /// When there is none, its bundle is refused, or the database is away; then nothing has
    /// changed.
    pub async fn rollback(&self, model: &str) -> Result<String, ServeError> {
        let store = self.database.store();
        let target = store.rollback_target(model).await?;
        let opened = self.open(model, &target).await?;
        let _changes = self.changes.lock().await;
        let catalogue = self.current_catalogue().await?;
        let snapshot = self.join(opened, &catalogue).await?;
        let version = store.rollback_model(model).await?;
        // Where another process changed the model meanwhile, following loads what is active now.
        if version == target {
            self.refusals.forget(model);
            self.swap_one(catalogue, snapshot);
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
                rows.push(ModelVersion {
                    model: found.name,
                    version: found.version,
                    active: false,
                });
            }
        }
        rows.sort_by(|a, b| a.model.cmp(&b.model).then_with(|| b.version.cmp(&a.version)));
        Ok(rows)
    }

    /// Serves what the database says is active, and nothing else. Where that cannot be opened and
    /// nothing of the model is loaded, its latest earlier version that is good stands in. Answers
    /// whether every model is served as wanted.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(super) async fn follow_models(&self) -> Result<bool, ServeError> {
        let mut following = self.following.lock().await;
        let store = self.database.store();
        if following.followed == Some(store.revisions().await?.models) {
            return Ok(true);
        }
        let first = match store.models().await?.is_empty() {
            true => self.first_start().await?,
            false => None,
        };
        // Before the rows: they are at least that new.
        let revision = store.revisions().await?.models;
        let rows = store.models().await?;
        let active = active_versions(&rows);
        let (opened, whole) = match first {
            Some(model) => (vec![model], true),
            None => self.open_wanted(&active, &rows).await,
        };
        let _changes = self.changes.lock().await;
        if store.revisions().await?.models != revision {
            // What was opened may be out of date: the next round sees the change.
            return Ok(false);
        }
        let catalogue = self.current_catalogue().await?;
        let mut models = self.state().models.clone();
        models.retain(|model, _| active.contains_key(model));
        let whole = self.join_all(opened, &catalogue, &mut models).await && whole;
        self.publish(State {
            catalogue: Some(catalogue),
            models,
            active,
            ..State::clone(&self.state())
        });
        self.follow_default().await?;
        // Looked at again although no revision changes.
        following.followed = whole.then_some(revision);
        Ok(whole)
    }

    /// Opens the active versions that are not served yet. Answers, too, whether all could be
    /// opened.
    async fn open_wanted(
        &self,
        active: &BTreeMap<String, String>,
        rows: &[ModelVersion],
    ) -> (Vec<Arc<dyn Model>>, bool) {
        let (mut opened, mut whole) = (Vec::new(), true);
        let now = self.state();
        for (model, version) in active {
            if now.models.get(model).is_some_and(|snapshot| snapshot.model().version() == version) {
                self.refusals.forget(model);
            } else if let Some(bundle) = self.open_again(model, version).await {
                self.refusals.forget(model);
                opened.push(bundle);
            } else {
                whole = false;
                if !now.models.contains_key(model) {
                    opened.extend(self.open_earlier(model, version, rows).await);
                }
            }
        }
        (opened, whole)
    }

    /// The latest version before this one that was active once and is good.
    async fn open_earlier(
        &self,
        model: &str,
        version: &str,
        rows: &[ModelVersion],
    ) -> Option<Arc<dyn Model>> {
        // Only what was activated is registered; versions sort by time.
        let earlier = |row: &&ModelVersion| row.model == model && row.version.as_str() < version;
        let mut versions: Vec<&str> =
            rows.iter().filter(earlier).map(|row| row.version.as_str()).collect();
        versions.sort_unstable_by(|a, b| b.cmp(a));
        for earlier in versions {
            // A refusal of the active version is what the operator must see, so others are not
            // recorded.
            if let Ok(bundle) = self.open_bundle(model, earlier).await {
                tracing::warn!(
                    model,
                    serving = earlier,
                    active = version,
                    "an earlier version stands in"
                );
                self.metrics().model_stand_ins.increment(1);
                return Some(bundle);
            }
        }
        None
    }

    /// Lays models over the catalogue and puts them among the others. Answers whether all could be.
    pub(super) async fn join_all(
        &self,
        opened: Vec<Arc<dyn Model>>,
        catalogue: &Arc<Catalogue>,
        models: &mut BTreeMap<String, Arc<Snapshot>>,
    ) -> bool {
        let mut whole = true;
        for model in opened {
            let name = model.name().to_owned();
            match self.join(model, catalogue).await {
                Ok(snapshot) => drop(models.insert(name, snapshot)),
                Err(_) => whole = false,
            }
        }
        whole
    }

    /// Where the database has never heard of a model, the newest good bundle of the only one in the
    /// folder (or of `models.default`) is made active, so that a first start needs no command.
    ///
    /// # Errors
    /// When the directory cannot be read or the database is away.
    async fn first_start(&self) -> Result<Option<Arc<dyn Model>>, ServeError> {
        let Some((model, versions)) = self.obvious_model()? else { return Ok(None) };
        for version in versions {
            let Some(bundle) = self.open_again(&model, &version).await else { continue };
            let store = self.database.store();
            store.register_model(&model, &version).await?;
            store.activate_model(&model, &version).await?;
            self.refusals.forget(&model);
            tracing::info!(
                model,
                version,
                "first start: activated the newest good bundle of the only model to choose from"
            );
            return Ok(Some(bundle));
        }
        Ok(None)
    }

    /// The model to serve where nobody has said which, with its versions on disk, newest first:
    /// `models.default`, or the only one there is.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub(super) fn obvious_model(&self) -> Result<Option<(String, Vec<String>)>, ServeError> {
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for bundle in bundle::list(&self.models_directory)? {
            found.entry(bundle.name).or_default().push(bundle.version);
        }
        Ok(match &self.default_model {
            Some(name) => found.remove_entry(name),
            None if found.len() == 1 => found.pop_first(),
            None => None,
        })
    }

    /// Reads which model is the default, and remembers what is active for a start without the
    /// database.
    async fn follow_default(&self) -> Result<(), ServeError> {
        let default = match &self.default_model {
            Some(name) => Some(name.clone()),
            None => self.database.store().default_model().await?,
        };
        self.publish(State { default, ..State::clone(&self.state()) });
        self.remember_active();
        Ok(())
    }

    fn swap_one(&self, catalogue: Arc<Catalogue>, snapshot: Arc<Snapshot>) {
        let mut state = State::clone(&self.state());
        let (name, version) =
            (snapshot.model().name().to_owned(), snapshot.model().version().to_owned());
        state.models.insert(name.clone(), snapshot);
        state.active.insert(name, version);
        self.publish(State { catalogue: Some(catalogue), ..state });
    }

    fn unknown_model(&self, name: &str) -> ServeError {
        ServeError::UnknownModel {
            name: name.into(),
            loaded: self.state().models.keys().cloned().collect(),
        }
    }
}

/// By model: the version the database says is active.
fn active_versions(rows: &[ModelVersion]) -> BTreeMap<String, String> {
    rows.iter()
        .filter(|row| row.active)
        .map(|row| (row.model.clone(), row.version.clone()))
        .collect()
}
