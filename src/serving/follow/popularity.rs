//! Popularity: counting the sales where they are due, and laying them over the catalogue.

use super::{PATIENCE, now};
use crate::{
    recommend::{Catalogue, Signals},
    serving::{
        ServeError, Service, State,
        sales::{Counted, Sales},
    },
    store::Revisions,
};
use std::{sync::Arc, time::Instant};
use tokio::{sync::watch, task::spawn_blocking};

impl Service {
    /// Counts the sales whenever they are due, beside the following of changes: counting takes seconds, and a changed
    /// article must not wait for it.
    pub(super) async fn follow_sales(&self, mut revisions: watch::Receiver<Revisions>) {
        let mut failing = false;
        loop {
            revisions.borrow_and_update();
            let before = self.sales.latest();
            let counted = self.follow_counts(&before).await;
            if let Err(error) = &counted
                && !failing
            {
                tracing::warn!(%error, "cannot count the sales; popularity stays as it was");
            }
            failing = counted.is_err();
            let again = if failing { self.poll * PATIENCE } else { self.sales.refresh() };
            tokio::select! {
                changed = revisions.changed(), if !failing => if changed.is_err() { return },
                () = tokio::time::sleep(again) => {}
            }
        }
    }

    /// Counts what is due; `before` is the latest count of sales so far.
    async fn follow_counts(&self, before: &Option<Arc<Sales>>) -> Result<(), ServeError> {
        self.count_sales().await?;
        let is_new = !same(before, &self.sales.latest());
        if is_new {
            // A new count is laid over the catalogue.
            self.catch_up_catalogue().await?;
        }
        if is_new || self.sales.statistics().is_none() {
            self.count_statistics().await?;
        }
        Ok(())
    }

    /// Counts the sales where they are due. Takes no lock of the changes: counting millions of
    /// purchases takes seconds, and a change of an article must not wait for it.
    ///
    /// # Errors
    /// When the database cannot count them; the latest count stays.
    pub(super) async fn count_sales(&self) -> Result<(), ServeError> {
        let store = self.database.store();
        // Read before the purchases: what is counted is at least that new.
        let revision = store.revisions().await?.purchases;
        let Some(config) = self.sales.due(revision) else { return Ok(()) };
        let started = Instant::now();
        let counted = store.sales(config.window(now())).await?;
        tracing::info!(articles = counted.len(), took_ms = started.elapsed().as_millis() as u64, "sales counted");
        self.sales.keep(Sales::new(counted, revision));
        Ok(())
    }

    /// Counts what the purchases say of articles, and serves it.
    ///
    /// # Errors
    /// When the database cannot read them; the latest count stays.
    async fn count_statistics(&self) -> Result<(), ServeError> {
        let Some(config) = self.sales.config() else { return Ok(()) };
        let started = Instant::now();
        let log = self.database.store().purchases(config.window(now())).await?;
        let purchases = log.purchases.len();
        let counted = spawn_blocking(move || Counted::of(log)).await;
        self.sales.keep_statistics(counted.map_err(|error| ServeError::Internal(error.to_string()))?);
        tracing::info!(purchases, took_ms = started.elapsed().as_millis() as u64, "statistics counted");
        let _changes = self.changes.lock().await;
        let now = self.state();
        let signals = match &now.catalogue {
            Some(catalogue) => self.signals_over(catalogue.clone()).await?,
            None => None,
        };
        self.publish(State { signals, ..State::clone(&now) });
        Ok(())
    }

    /// The latest statistics joined to a catalogue; `None` before they are counted.
    ///
    /// # Errors
    /// When the program is at fault.
    pub(super) async fn signals_over(&self, catalogue: Arc<Catalogue>) -> Result<Option<Arc<Signals>>, ServeError> {
        let Some(counted) = self.sales.statistics() else { return Ok(None) };
        let joined = spawn_blocking(move || Arc::new(counted.over(&catalogue))).await;
        joined.map(Some).map_err(|error| ServeError::Internal(error.to_string()))
    }

    /// The catalogue with the latest count of sales, if it has not got them yet.
    pub(super) fn with_sales(&self, catalogue: Arc<Catalogue>, now: &State) -> (Arc<Catalogue>, Option<Arc<Sales>>) {
        let Some(latest) = self.sales.latest() else { return (catalogue, None) };
        let same = now.sales.as_ref().is_some_and(|sales| Arc::ptr_eq(sales, &latest));
        let catalogue = if same && catalogue.sales().is_some() { catalogue } else { Arc::new(latest.over(&catalogue)) };
        (catalogue, Some(latest))
    }
}

fn same(one: &Option<Arc<Sales>>, other: &Option<Arc<Sales>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}
