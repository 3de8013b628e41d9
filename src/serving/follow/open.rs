//! From a version to a model that may serve: a trial, then the bundle itself. Takes no lock: a load
//! may last minutes, and a change of an article must not wait for it.

use super::now;
use crate::{
    recommend::{Catalogue, Model, Snapshot},
    serving::{Refusal, ServeError, Service, models},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::task::spawn_blocking;

/// The longest pause before a refused bundle is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// Bundles that were refused, the latest of each model.
#[derive(Default)]
pub struct Refusals(Mutex<BTreeMap<String, Refused>>);

struct Refused {
    told: Refusal,
    tried: Instant,
    /// How long to wait before it is tried again: doubles each time.
    pause: Duration,
}

impl Refusals {
    /// What the operator is told.
    pub(in crate::serving) fn told(&self) -> Vec<Refusal> {
        self.lock().values().map(|refused| refused.told.clone()).collect()
    }

    /// Whether this version was refused a moment ago. It may still be on its way to this machine,
    /// so it is tried again; but one that takes minutes to be refused must not keep a processor
    /// busy.
    fn is_recent(&self, model: &str, version: &str) -> bool {
        let refusals = self.lock();
        let refused = refusals.get(model).filter(|refused| refused.told.version == version);
        refused.is_some_and(|refused| refused.tried.elapsed() < refused.pause)
    }

    /// Records a refusal; answers whether it is news.
    fn record(&self, told: Refusal, shortest: Duration) -> bool {
        let mut refusals = self.lock();
        let before = refusals.get(&told.model).filter(|before| before.told.version == told.version);
        let is_news = before.is_none_or(|before| before.told.reason != told.reason);
        let pause = before.map_or(shortest, |before| (before.pause * 2).min(LONGEST_PAUSE));
        refusals.insert(told.model.clone(), Refused { told, tried: Instant::now(), pause });
        is_news
    }

    pub(super) fn forget(&self, model: &str) {
        self.lock().remove(model);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Refused>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    /// From now on no bundle is opened, and one that is being opened is given up.
    pub fn stop_loading(&self) {
        self.stopping.send_replace(true);
    }

    /// Opens a version. A refusal is logged once, counted and recorded.
    ///
    /// # Errors
    /// [`ServeError::Refused`], or [`ServeError::Stopping`].
    pub(super) async fn open(
        &self,
        model: &str,
        version: &str,
    ) -> Result<Arc<dyn Model>, ServeError> {
        let mut stopping = self.stopping.subscribe();
        let result = tokio::select! {
            result = self.open_bundle(model, version) => result,
            _ = stopping.wait_for(|stopping| *stopping) => return Err(ServeError::Stopping),
        };
        match &result {
            Ok(_) => {
                self.metrics().reloads.increment(1);
                tracing::info!(model, version, "model loaded");
            }
            Err(error) => self.record_refusal(model, version, error),
        }
        result
    }

    /// [`Service::open`] for following: `None` when the version is refused, or was a moment ago.
    pub(super) async fn open_again(&self, model: &str, version: &str) -> Option<Arc<dyn Model>> {
        match self.refusals.is_recent(model, version) {
            true => None,
            false => self.open(model, version).await.ok(),
        }
    }

    /// [`Service::open`] without a record of it.
    pub(super) async fn open_bundle(
        &self,
        model: &str,
        version: &str,
    ) -> Result<Arc<dyn Model>, ServeError> {
        let directory = models::directory(&self.models_directory, model, version)?;
        let refused = |reason| ServeError::Refused {
            model: model.to_owned(),
            version: version.to_owned(),
            reason,
        };
        self.trial.run(&directory).await.map_err(refused)?;
        let (model, version) = (model.to_owned(), version.to_owned());
        let work = spawn_blocking(move || models::load(&directory, &model, &version));
        work.await.map_err(|error| ServeError::Internal(error.to_string()))?
    }

    /// Lays a model over a catalogue.
    ///
    /// # Errors
    /// [`ServeError::Refused`] when the model cannot embed the catalogue's articles.
    pub(super) async fn join(
        &self,
        model: Arc<dyn Model>,
        catalogue: &Arc<Catalogue>,
    ) -> Result<Arc<Snapshot>, ServeError> {
        let (name, version) = (model.name().to_owned(), model.version().to_owned());
        let (catalogue, filter_bytes) = (catalogue.clone(), self.filter_bytes);
        let work = spawn_blocking(move || models::join(model, catalogue, filter_bytes));
        let result = work.await.map_err(|error| ServeError::Internal(error.to_string()))?;
        if let Err(error) = &result {
            self.record_refusal(&name, &version, error);
        }
        result
    }

    fn record_refusal(&self, model: &str, version: &str, error: &ServeError) {
        let reason = match error {
            ServeError::Refused { reason, .. } => reason.clone(),
            other => other.to_string(),
        };
        self.metrics().reload_failures.increment(1);
        let told = Refusal {
            model: model.to_owned(),
            version: version.to_owned(),
            reason: reason.clone(),
            at: now(),
        };
        if self.refusals.record(told, self.poll * super::PATIENCE) {
            tracing::error!(
                model,
                version,
                reason,
                "bundle refused; what is loaded stays in service"
            );
        }
    }
}
