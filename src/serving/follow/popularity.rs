//! Popularity: counting the sales where they are due, and laying them over the catalogue.

use super::{PATIENCE, now};
use crate::{
    recommend::Catalogue,
    serving::{ServeError, Service, State, sales::Sales},
    store::Revisions,
};
use std::{sync::Arc, time::Instant};
use tokio::sync::watch;

impl Service {
    /// Counts the sales whenever they are due, beside the following of changes: counting takes seconds, and a changed
    /// article must not wait for it.
    pub(super) async fn follow_sales(&self, mut revisions: watch::Receiver<Revisions>) {
        let mut failing = false;
        loop {
            revisions.borrow_and_update();
            let before = self.sales.latest();
            let counted = match self.count_sales().await {
                // A new count is laid over the catalogue.
                Ok(()) if !same(&before, &self.sales.latest()) => self.catch_up_catalogue().await,
                counted => counted,
            };
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
