//! Changes: reload, activation, rollback, a new catalogue, and following what other processes do. One at a time;
//! what is prepared becomes visible in one swap, what fails leaves everything as it was.
//!
//! One file for each thing that is followed: [`models`], [`catalogue`], [`popularity`].

mod catalogue;
mod models;
mod popularity;

use super::{ServeError, Service, State, sales::Sales};
use crate::{
    domain::Timestamp,
    recommend::{Catalogue, Snapshot},
    store::{self, Revisions},
};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::watch;

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
        let (catalogue_and_models, sales) = (self.follow(revisions.clone()), self.follow_sales(revisions));
        tokio::join!(self.database.watch(self.poll), catalogue_and_models, sales, upkeep);
    }

    async fn follow(&self, mut revisions: watch::Receiver<Revisions>) {
        let mut failing = false;
        loop {
            revisions.borrow_and_update();
            let result = self.catch_up().await;
            if let Err(error) = &result
                && !failing
            {
                tracing::warn!(%error, "cannot follow the database; what is loaded stays in service");
            }
            failing = result.is_err();
            let again = match result {
                Ok(true) => Duration::MAX,
                Ok(false) => self.poll * PATIENCE,
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
        let now = self.state();
        let (catalogue, models) = self.newest(&now).await?;
        let (catalogue, sales) = self.with_sales(catalogue, &now);
        let mut models = self.all_over(&models, &catalogue).await?;
        let whole = self.follow_models(&mut changes, revisions.models, &catalogue, &mut models).await?;
        self.swap_sales(catalogue, sales, models);
        Ok(whole)
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
}

pub(super) fn now() -> Timestamp {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
    Timestamp(u32::try_from(seconds).unwrap_or(u32::MAX))
}
