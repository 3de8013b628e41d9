//! Popularity: counting the sales where they are due, and laying them over the catalogue.

use super::now;
use crate::{
    recommend::Catalogue,
    serving::{ServeError, Service, State, sales::Sales},
};
use std::{sync::Arc, time::Instant};

impl Service {
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
