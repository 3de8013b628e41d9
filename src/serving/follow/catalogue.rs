//! The catalogue: changes of articles, and reading what other processes changed.

use crate::{
    domain::ArticleId,
    recommend::{Catalogue, Snapshot},
    serving::{ServeError, Service, catalogue},
    store::ArticleRecord,
};
use std::{collections::BTreeMap, sync::Arc};
use tokio::task::spawn_blocking;

impl Service {
    /// Inserts or replaces articles, all or none; they are served when this returns.
    ///
    /// # Errors
    /// When the database refuses them or is away.
    pub async fn put_articles(&self, articles: &[ArticleRecord]) -> Result<(), ServeError> {
        self.database.store().put_articles(articles).await?;
        self.catch_up_catalogue().await
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
        self.catch_up_catalogue().await?;
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
        let models = self.all_over(&now.models, &catalogue).await?;
        self.swap(catalogue, models);
        Ok(Some(unknown))
    }

    /// All models over the catalogue; those that are over it already stay as they are.
    pub(super) async fn all_over(
        &self,
        models: &BTreeMap<String, Arc<Snapshot>>,
        catalogue: &Arc<Catalogue>,
    ) -> Result<BTreeMap<String, Arc<Snapshot>>, ServeError> {
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

    /// The model of a snapshot over another catalogue; articles are embedded again only where they have changed.
    async fn renewed(&self, snapshot: &Arc<Snapshot>, catalogue: &Arc<Catalogue>) -> Result<Arc<Snapshot>, ServeError> {
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
                let catalogue = self.read_catalogue(self.database.store().catalogue_version().await?).await?;
                Ok(self.with_sales(catalogue, &self.state()).0)
            }
        }
    }
}
