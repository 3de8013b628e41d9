//! Popularity: counting the sales where they are due, and laying them over the catalogue.

use super::{PATIENCE, moved, now};
use crate::{
    recommend::{Catalogue, Signals},
    serving::{ServeError, Service, State, sales::Sales},
    store::Revisions,
};
use std::{sync::Arc, time::Instant};
use tokio::{sync::watch, task::spawn_blocking};

impl Service {
    /// Counts the sales whenever they are due, beside the following of changes: counting takes
    /// seconds, and a changed article must not wait for it.
    pub(super) async fn follow_sales(&self, mut revisions: watch::Receiver<Revisions>) {
        let mut failing = false;
        loop {
            let seen = revisions.borrow_and_update().purchases;
            let counted = self.recount_sales().await;
            self.sales.end_first();
            if let Err(error) = &counted
                && !failing
            {
                tracing::warn!(%error, "cannot count the sales; popularity stays as it was");
            }
            failing = counted.is_err();
            let again = if failing { self.poll * PATIENCE } else { self.sales.refresh() };
            tokio::select! {
                changed = moved(&mut revisions, seen, |now| now.purchases), if !failing => if changed.is_err() { return },
                () = tokio::time::sleep(again) => {}
            }
        }
    }

    /// Has the database count the sales, before there is any other count: quicker than reading all
    /// purchases.
    ///
    /// # Errors
    /// When the database cannot count them.
    pub(super) async fn count_sales(&self) -> Result<(), ServeError> {
        let (Some(config), None) = (self.sales.config(), self.sales.latest()) else {
            return Ok(());
        };
        let (store, started) = (self.database.store(), Instant::now());
        // Read before the purchases: what is counted is at least that new.
        let revision = store.revisions().await?.purchases;
        let counted = store.sales(config.window(now())).await?;
        tracing::info!(
            articles = counted.len(),
            took_ms = started.elapsed().as_millis() as u64,
            "sales counted"
        );
        self.sales.keep(Sales::counted(counted, revision));
        Ok(())
    }

    /// Counts sales and statistics from all purchases where that is due, and serves them. Takes no
    /// lock of the changes while it counts.
    ///
    /// # Errors
    /// When the database cannot read them; the latest count stays.
    async fn recount_sales(&self) -> Result<(), ServeError> {
        let store = self.database.store();
        let revision = store.revisions().await?.purchases;
        let Some(config) = self.sales.due(revision) else { return Ok(()) };
        let started = Instant::now();
        let log = store.purchases(config.window(now())).await?;
        let (purchases, half_life_days) = (log.purchases.len(), config.half_life_days);
        let counted = spawn_blocking(move || Sales::of(log, half_life_days, revision)).await;
        self.sales.keep(counted.map_err(|error| ServeError::Internal(error.to_string()))?);
        tracing::info!(
            purchases,
            took_ms = started.elapsed().as_millis() as u64,
            "sales and statistics counted"
        );
        self.serve_sales().await
    }

    /// Lays the latest count over the catalogue that is served.
    ///
    /// # Errors
    /// When the program is at fault.
    pub(super) async fn serve_sales(&self) -> Result<(), ServeError> {
        let _changes = self.changes.lock().await;
        let now = self.state();
        let (Some(sales), Some(catalogue)) = (self.sales.latest(), now.catalogue.clone()) else {
            return Ok(());
        };
        let (counts, before) = (sales.clone(), now.signals.clone());
        let laid = spawn_blocking(move || {
            (
                Arc::new(counts.over(&catalogue)),
                counts.signals(before.as_deref(), &catalogue).map(Arc::new),
            )
        });
        let (catalogue, signals) =
            laid.await.map_err(|error| ServeError::Internal(error.to_string()))?;
        let models = self.all_over(&now.models, &catalogue).await?;
        self.publish(State {
            catalogue: Some(catalogue),
            sales: Some(sales),
            models,
            signals,
            ..State::clone(&now)
        });
        Ok(())
    }

    /// The statistics of a count joined to a catalogue; `None` for a count without them.
    ///
    /// # Errors
    /// When the program is at fault.
    pub(super) async fn signals_over(
        &self,
        sales: Option<Arc<Sales>>,
        catalogue: Arc<Catalogue>,
    ) -> Result<Option<Arc<Signals>>, ServeError> {
        let Some(sales) = sales else { return Ok(None) };
        let joined = spawn_blocking(move || sales.signals(None, &catalogue).map(Arc::new)).await;
        joined.map_err(|error| ServeError::Internal(error.to_string()))
    }

    /// The catalogue with the latest count of sales, if it has not got them yet.
    pub(super) fn with_sales(
        &self,
        catalogue: Arc<Catalogue>,
        now: &State,
    ) -> (Arc<Catalogue>, Option<Arc<Sales>>) {
        let Some(latest) = self.sales.latest() else { return (catalogue, None) };
        let same = now.sales.as_ref().is_some_and(|sales| Arc::ptr_eq(sales, &latest));
        let catalogue = if same && catalogue.sales().is_some() {
            catalogue
        } else {
            Arc::new(latest.over(&catalogue))
        };
        (catalogue, Some(latest))
    }
}
