//! The catalogue: changes of articles, and reading what other processes changed.

use crate::{
    domain::{ArticleId, AttributeKind},
    recommend::{Catalogue, Snapshot},
    serving::{ServeError, Service, State, catalogue},
    store::{ArticleRecord, CatalogueChanges, Schema},
};
use std::{collections::BTreeMap, sync::Arc};
use tokio::task::spawn_blocking;

/// Snapshots by the name of their model.
type Models = BTreeMap<String, Arc<Snapshot>>;

/// With more changed articles than these the catalogue is read as a whole.
const MOST_CHANGES: usize = 5_000;

impl Service {
    /// Inserts or replaces articles, all or none. Answers whether this server serves them already;
    /// if not, it will as soon as the database lets it read them.
    ///
    /// # Errors
    /// When the database refuses them or is away; then nothing was written.
    pub async fn put_articles(&self, articles: &[ArticleRecord]) -> Result<bool, ServeError> {
        self.database.store().put_articles(articles).await?;
        Ok(self.serve_changes().await)
    }

    /// Makes articles available or not. Answers the ids that do not exist; for the rest see
    /// [`Service::put_articles`].
    ///
    /// # Errors
    /// When the database is away.
    pub async fn set_available(
        &self,
        ids: &[ArticleId],
        available: bool,
    ) -> Result<Vec<ArticleId>, ServeError> {
        let unknown = self.database.store().set_available(ids, available).await?;
        self.serve_changes().await;
        Ok(unknown)
    }

    /// Takes an article out of the catalogue; answers whether it was there. For the rest see
    /// [`Service::put_articles`].
    ///
    /// # Errors
    /// When the database is away.
    pub async fn delete_article(&self, id: &ArticleId) -> Result<bool, ServeError> {
        let unknown = self.database.store().delete_articles(std::slice::from_ref(id)).await?;
        if unknown.is_empty() {
            self.serve_changes().await;
        }
        Ok(unknown.is_empty())
    }

    /// Gives an attribute a kind that no import changes.
    ///
    /// # Errors
    /// When articles have values of another kind, or the database is away; then nothing has
    /// changed.
    pub async fn declare_attribute(
        &self,
        name: &str,
        kind: AttributeKind,
    ) -> Result<(), ServeError> {
        self.database.store().declare_attribute(name, kind).await?;
        self.serve_changes().await;
        Ok(())
    }

    /// The attributes of the shop and their kinds.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn schema(&self) -> Result<Schema, ServeError> {
        Ok(self.database.store().schema().await?)
    }

    /// Serves what was just written. If that fails, the change is written all the same, and
    /// following the database tries again.
    async fn serve_changes(&self) -> bool {
        let served = async {
            let _changes = self.changes.lock().await;
            let now = self.state();
            let (catalogue, models) = self.newest(&now).await?;
            self.publish(self.with_catalogue(&now, catalogue, &models).await?);
            Ok::<_, ServeError>(())
        };
        let served = served.await;
        if let Err(error) = &served {
            tracing::warn!(%error, "a change is written, but not served yet");
        }
        served.is_ok()
    }

    /// What is served once the catalogue is another. Sales and statistics are those of one count,
    /// even if a newer one comes in between. Costs what is new, where the catalogue was made from
    /// the one that is served.
    pub(super) async fn with_catalogue(
        &self,
        now: &State,
        catalogue: Arc<Catalogue>,
        models: &Models,
    ) -> Result<State, ServeError> {
        let (catalogue, sales) = self.with_sales(catalogue, now);
        let models = self.all_over(models, &catalogue).await?;
        let same_count = now.sales.as_ref().map(Arc::as_ptr) == sales.as_ref().map(Arc::as_ptr);
        let signals = match (&now.signals, &now.catalogue) {
            (Some(signals), Some(old)) if same_count && catalogue.continues(old) => {
                Some(Arc::new(signals.after(&catalogue)))
            }
            _ => self.signals_over(sales.clone(), catalogue.clone()).await?,
        };
        Ok(State { catalogue: Some(catalogue), sales, models, signals, ..State::clone(now) })
    }

    /// The catalogue that the database holds now, and the models over it. Costs what changed since
    /// the one that is served.
    pub(super) async fn newest(&self, now: &State) -> Result<(Arc<Catalogue>, Models), ServeError> {
        if let Some(loaded) =
            now.catalogue.as_ref().filter(|loaded| !catalogue::is_from_models(loaded))
            && let Some(changes) =
                self.database.store().catalogue_changes(loaded.version(), MOST_CHANGES).await?
        {
            if changes.version == loaded.version() {
                return Ok((loaded.clone(), now.models.clone()));
            }
            if let Some(changed) = self.changed(loaded, &now.models, changes).await? {
                return Ok(changed);
            }
        }
        let version = self.database.store().catalogue_version().await?;
        let catalogue = self.with_sales(self.read_catalogue(version).await?, now).0;
        let models = self.all_over(&now.models, &catalogue).await?;
        Ok((catalogue, models))
    }

    /// Catalogue and models after changes; `None` when the catalogue must be read as a whole.
    async fn changed(
        &self,
        loaded: &Arc<Catalogue>,
        models: &Models,
        changes: CatalogueChanges,
    ) -> Result<Option<(Arc<Catalogue>, Models)>, ServeError> {
        let (loaded, models, sales) = (loaded.clone(), models.clone(), self.sales.latest());
        let work = spawn_blocking(move || -> Result<_, ServeError> {
            let sales_of = |id: &str| sales.as_ref().map_or(0.0, |sales| sales.of_article(id));
            let Some((catalogue, changes)) = catalogue::apply(&loaded, changes, sales_of) else {
                return Ok(None);
            };
            let catalogue = Arc::new(catalogue);
            let after = |(name, snapshot): (String, Arc<Snapshot>)| {
                let snapshot = snapshot.after(catalogue.clone(), &changes);
                Ok((
                    name,
                    Arc::new(snapshot.map_err(|error| ServeError::Internal(error.to_string()))?),
                ))
            };
            let models = models.into_iter().map(after).collect::<Result<_, ServeError>>()?;
            Ok(Some((catalogue, models)))
        });
        let changed = work.await.map_err(|error| ServeError::Internal(error.to_string()))??;
        if let Some((catalogue, _)) = &changed {
            self.metrics().catalogue_refreshes.increment(1);
            self.metrics().catalogue_articles.set(catalogue.len() as f64);
        }
        Ok(changed)
    }

    /// All models over the catalogue; those that are over it already stay as they are.
    pub(super) async fn all_over(
        &self,
        models: &Models,
        catalogue: &Arc<Catalogue>,
    ) -> Result<Models, ServeError> {
        let mut over = BTreeMap::new();
        for (name, snapshot) in models {
            let snapshot = match Arc::ptr_eq(snapshot.catalogue(), catalogue) {
                true => snapshot.clone(),
                false => self.renewed(snapshot, catalogue).await?,
            };
            over.insert(name.clone(), snapshot);
        }
        Ok(over)
    }

    /// The model of a snapshot over another catalogue; articles are embedded again only where they
    /// have changed.
    async fn renewed(
        &self,
        snapshot: &Arc<Snapshot>,
        catalogue: &Arc<Catalogue>,
    ) -> Result<Arc<Snapshot>, ServeError> {
        let (old, new) = (snapshot.clone(), catalogue.clone());
        // Other sales are sorted anew.
        let renewed = spawn_blocking(move || old.over(new)).await;
        match renewed.map_err(|error| ServeError::Internal(error.to_string()))? {
            Some(snapshot) => Ok(Arc::new(snapshot)),
            None => self.join(snapshot.model().clone(), catalogue).await,
        }
    }

    pub(super) async fn read_catalogue(&self, version: i64) -> Result<Arc<Catalogue>, ServeError> {
        let catalogue = Arc::new(catalogue::read(&**self.database.store(), version).await?);
        self.metrics().catalogue_refreshes.increment(1);
        self.metrics().catalogue_articles.set(catalogue.len() as f64);
        Ok(catalogue)
    }

    pub(super) async fn current_catalogue(&self) -> Result<Arc<Catalogue>, ServeError> {
        match &self.state().catalogue {
            Some(catalogue) => Ok(catalogue.clone()),
            None => {
                let catalogue =
                    self.read_catalogue(self.database.store().catalogue_version().await?).await?;
                Ok(self.with_sales(catalogue, &self.state()).0)
            }
        }
    }
}
