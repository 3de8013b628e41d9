//! The database as requests see it: never slow, sometimes away.
//!
//! Reads fail one by one before anything is concluded from it: after [`FAILURES`] in a row the
//! database is taken for away, and reads fail at once, without waiting. A probe in the background,
//! which reads what failed last, brings it back once it is clearly well: [`GOOD_PROBES`] reads in a
//! row, each within half of what a request would wait. So a database that is slow does not come and
//! go.

use crate::{
    domain::{CustomerId, VisitorId},
    store::{ActionRecord, ReadCustomer, Store, StoreError},
};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;

/// Failed reads in a row after which the database is away.
const FAILURES: u32 = 3;
/// Probes in a row that must succeed before it is back.
const GOOD_PROBES: u32 = 3;
/// Whom a probe reads before any read has failed: nobody.
const NOBODY: &str = "-";

pub(super) struct Database {
    store: Arc<dyn Store>,
    /// Longest wait for a connection, and longest run of a query for customers.
    queue: Duration,
    timeout: Duration,
    available: AtomicBool,
    /// Reads that have failed in a row.
    failures: AtomicU32,
    trouble: Mutex<Trouble>,
    lost: Notify,
}

/// The latest failure.
#[derive(Default)]
struct Trouble {
    reason: Option<String>,
    /// Whose reading failed.
    customers: Vec<CustomerId>,
    purchases: usize,
}

impl Database {
    pub(super) fn new(store: Arc<dyn Store>, queue: Duration, timeout: Duration) -> Self {
        Self {
            store,
            queue,
            timeout,
            available: true.into(),
            failures: 0.into(),
            trouble: Mutex::default(),
            lost: Notify::new(),
        }
    }

    /// The store itself, for work that may take longer than a request.
    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    pub(super) fn is_available(&self) -> bool {
        self.available.load(Ordering::Relaxed)
    }

    /// Why it is away.
    pub(super) fn reason(&self) -> Option<String> {
        self.trouble().reason.clone().filter(|_| !self.is_available())
    }

    /// The longest that a read takes, the wait for a connection included.
    pub(super) fn patience(&self) -> Duration {
        self.queue + self.timeout
    }

    /// Reads customers for requests.
    ///
    /// # Errors
    /// Those of the store; [`StoreError::Unavailable`] at once while the database is away.
    pub(super) async fn customers(
        &self,
        ids: &[CustomerId],
        purchases: usize,
    ) -> Result<Vec<ReadCustomer>, StoreError> {
        if !self.is_available() {
            return Err(StoreError::Unavailable(self.reason().unwrap_or_default()));
        }
        let result = within(self.patience(), self.store.customers(ids, purchases)).await;
        match &result {
            Ok(_) => self.failures.store(0, Ordering::Relaxed),
            // A fault is treated like an absence: answers go on, the log is written once, the probe
            // tries again.
            Err(error) => {
                let reason = Some(error.to_string());
                *self.trouble() = Trouble { reason, customers: ids.to_vec(), purchases };
                self.count(error);
            }
        }
        result
    }

    /// Reads the latest actions of a visitor for a request.
    ///
    /// # Errors
    /// As [`Self::customers`].
    pub(super) async fn visitor(
        &self,
        id: &VisitorId,
        most: usize,
    ) -> Result<Vec<ActionRecord>, StoreError> {
        if !self.is_available() {
            return Err(StoreError::Unavailable(self.reason().unwrap_or_default()));
        }
        let result = within(self.patience(), self.store.visitor(id, most)).await;
        match &result {
            Ok(_) => self.failures.store(0, Ordering::Relaxed),
            Err(error) => self.count(error),
        }
        result
    }

    /// Counts a failed read.
    fn count(&self, error: &StoreError) {
        match self.failures.fetch_add(1, Ordering::Relaxed) + 1 {
            // The probe need not wait for the next request to find out.
            1 => self.lost.notify_one(),
            failures if failures >= FAILURES => self.away(error),
            _ => {}
        }
    }

    /// From now on the database is away, until a probe says otherwise.
    pub(super) fn away(&self, error: &StoreError) {
        self.trouble().reason = Some(error.to_string());
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

    async fn probe(&self) {
        let (ids, purchases) = {
            let trouble = self.trouble();
            (trouble.customers.clone(), trouble.purchases)
        };
        let ids =
            if ids.is_empty() { CustomerId::parse(NOBODY).into_iter().collect() } else { ids };
        if self.is_available() {
            match within(self.patience(), self.store.customers(&ids, purchases)).await {
                Ok(_) => self.failures.store(0, Ordering::Relaxed),
                Err(error) => self.count(&error),
            }
            return;
        }
        // Connecting anew is not what requests wait for.
        let mut good =
            within(self.patience(), self.store.customers(&ids, purchases)).await.map(drop);
        for _ in 0..GOOD_PROBES {
            if good.is_ok() {
                good =
                    within(self.timeout / 2, self.store.customers(&ids, purchases)).await.map(drop);
            }
        }
        match good {
            Ok(()) => {
                self.failures.store(0, Ordering::Relaxed);
                *self.trouble() = Trouble::default();
                self.available.store(true, Ordering::Relaxed);
                tracing::info!("the database is back");
            }
            Err(error) => self.trouble().reason = Some(error.to_string()),
        }
    }

    fn trouble(&self) -> std::sync::MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn within<T>(
    longest: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    tokio::time::timeout(longest, work).await.unwrap_or_else(|_| {
        Err(StoreError::Unavailable(format!("no answer within {} ms", longest.as_millis())))
    })
}
