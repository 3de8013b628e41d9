//! The database as requests see it: never slow, sometimes away.
//!
//! A call that fails or takes too long marks the database as away; from then on calls fail at once, without waiting.
//! A probe in the background brings it back.

use crate::store::{Store, StoreError};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;

pub(super) struct Database {
    store: Arc<dyn Store>,
    timeout: Duration,
    available: AtomicBool,
    /// Why it is away.
    reason: Mutex<Option<String>>,
    lost: Notify,
}

impl Database {
    pub(super) fn new(store: Arc<dyn Store>, timeout: Duration) -> Self {
        Self { store, timeout, available: true.into(), reason: Mutex::default(), lost: Notify::new() }
    }

    /// The store itself, for work that may take longer than a request.
    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    pub(super) fn is_available(&self) -> bool {
        self.available.load(Ordering::Relaxed)
    }

    pub(super) fn reason(&self) -> Option<String> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs a call of the store within the time-out of requests.
    ///
    /// # Errors
    /// Those of the call; [`StoreError::Unavailable`] at once while the database is away.
    pub(super) async fn call<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        if !self.is_available() {
            return Err(StoreError::Unavailable(self.reason().unwrap_or_default()));
        }
        let result = match tokio::time::timeout(self.timeout, work).await {
            Ok(result) => result,
            Err(_) => Err(StoreError::Unavailable(format!("no answer within {} ms", self.timeout.as_millis()))),
        };
        // A fault is treated like an absence: the answer goes on, the log is written once, the probe tries again.
        if let Err(error) = &result {
            self.away(error);
        }
        result
    }

    fn away(&self, error: &StoreError) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
        if self.available.swap(false, Ordering::Relaxed) {
            tracing::warn!(%error, "the database is away: answers go on with what is known");
            self.lost.notify_one();
        }
    }

    /// Probes until the database is there again, whenever it was lost. Never ends.
    pub(super) async fn watch(&self, every: Duration) {
        loop {
            if self.is_available() {
                // Noticed by a request, or by the probe below on an idle server.
                let _ = tokio::time::timeout(every, self.lost.notified()).await;
            } else {
                tokio::time::sleep(every).await;
            }
            self.probe().await;
        }
    }

    pub(super) async fn probe(&self) {
        match tokio::time::timeout(self.timeout.max(Duration::from_secs(1)), self.store.ping()).await {
            Ok(Ok(())) => {
                *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = None;
                if !self.available.swap(true, Ordering::Relaxed) {
                    tracing::info!("the database is back");
                }
            }
            Ok(Err(error)) => self.away(&error),
            Err(_) => self.away(&StoreError::Unavailable("no answer to a ping".into())),
        }
    }
}
