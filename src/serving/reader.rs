//! Reads customers for many requests at once.
//!
//! A customer who is being read is not read again: whoever asks meanwhile waits for the same answer.
//! Customers for whom no connection is free wait and are then read together in one query, so a burst
//! of new customers costs a few queries and not one each. The queue cannot grow beyond the requests
//! in progress, whose number is limited.

use super::{database::Database, known::Known};
use crate::{
    domain::CustomerId,
    store::{ReadCustomer, StoreError},
};
use hashbrown::HashMap;
use metrics::Counter;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Most customers and most purchases of a query, so that it ends well within its time-out.
const MAX_CUSTOMERS: usize = 64;
const MAX_PURCHASES: usize = 8_192;

/// How often broken rows are logged; all of them are counted.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// What a query said of a customer.
#[derive(Debug, Clone)]
pub(super) enum Read {
    /// With the most purchases that were asked for.
    Known(Arc<Known>, usize),
    Unknown,
    /// The customer's own rows are broken.
    Unreadable,
    /// The database did not answer.
    Failed,
}

pub(super) struct Reader {
    database: Arc<Database>,
    /// As many as there are connections.
    connections: Arc<Semaphore>,
    queue: Mutex<Queue>,
    unreadable: Counter,
    /// When broken rows were logged last.
    logged: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Queue {
    /// Who waits to be read, first come first.
    waiting: VecDeque<CustomerId>,
    /// Who waits or is being read.
    wanted: HashMap<CustomerId, Wanted>,
}

struct Wanted {
    /// The most purchases that anybody asked for.
    purchases: usize,
    askers: Vec<oneshot::Sender<Read>>,
}

/// Customers of one query. If it is never answered, those who wait are told so.
struct Batch<'a> {
    reader: &'a Reader,
    ids: Vec<CustomerId>,
    purchases: usize,
}

impl Reader {
    /// Reads over so many connections at once; counts the customers whose rows are broken.
    pub(super) fn new(database: Arc<Database>, connections: usize, unreadable: Counter) -> Arc<Self> {
        let connections = Arc::new(Semaphore::new(connections));
        Arc::new(Self { database, connections, queue: Mutex::default(), unreadable, logged: Mutex::default() })
    }

    /// Reads a customer with at least the latest `purchases`, waiting for a connection if need be.
    pub(super) async fn read(self: &Arc<Self>, id: &CustomerId, purchases: usize) -> Read {
        if !self.database.is_available() {
            return Read::Failed;
        }
        let answer = self.ask(id, purchases);
        // Once to wait for the queries before, once for its own.
        match tokio::time::timeout(self.database.patience() * 2, answer).await {
            Ok(Ok(read)) => read,
            Ok(Err(_)) | Err(_) => Read::Failed,
        }
    }

    /// Stands in line; starts to read if a connection is free.
    fn ask(self: &Arc<Self>, id: &CustomerId, purchases: usize) -> oneshot::Receiver<Read> {
        let (asker, answer) = oneshot::channel();
        let mut queue = self.queue();
        match queue.wanted.get_mut(id) {
            Some(wanted) => {
                wanted.purchases = wanted.purchases.max(purchases);
                wanted.askers.push(asker);
            }
            None => {
                queue.wanted.insert(id.clone(), Wanted { purchases, askers: vec![asker] });
                queue.waiting.push_back(id.clone());
            }
        }
        // Under the lock, as a reader gives its connection back: none leaves while somebody comes.
        if !queue.waiting.is_empty()
            && let Ok(connection) = self.connections.clone().try_acquire_owned()
        {
            tokio::spawn(self.clone().read_waiting(connection));
        }
        answer
    }

    /// Reads until nobody waits.
    async fn read_waiting(self: Arc<Self>, connection: OwnedSemaphorePermit) {
        let mut connection = Some(connection);
        while let Some(batch) = self.next_batch(&mut connection) {
            let result = self.database.customers(&batch.ids, batch.purchases).await;
            batch.answer(result);
        }
    }

    /// Who is to be read next; gives the connection back when nobody is.
    fn next_batch(&self, connection: &mut Option<OwnedSemaphorePermit>) -> Option<Batch<'_>> {
        let mut queue = self.queue();
        let (mut ids, mut purchases) = (Vec::new(), 0);
        while let Some(id) = queue.waiting.front() {
            let most = queue.wanted.get(id).map_or(0, |wanted| wanted.purchases).max(purchases);
            let fits = ids.len() < MAX_CUSTOMERS && most.saturating_mul(ids.len() + 1) <= MAX_PURCHASES;
            if !fits && !ids.is_empty() {
                break;
            }
            purchases = most;
            ids.extend(queue.waiting.pop_front());
        }
        if ids.is_empty() {
            connection.take();
            return None;
        }
        Some(Batch { reader: self, ids, purchases })
    }

    /// A customer's rows are broken, which is that customer's trouble alone.
    fn report(&self, error: &StoreError) {
        self.unreadable.increment(1);
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.is_none_or(|logged| logged.elapsed() >= LOG_EVERY) {
            *logged = Some(Instant::now());
            tracing::warn!(%error, "a customer is answered as unknown; /metrics counts such look-ups as `unreadable`");
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch<'_> {
    fn answer(mut self, result: Result<Vec<ReadCustomer>, StoreError>) {
        // Dropping the batch tells those who wait that nothing came.
        let Ok(found) = result else { return };
        let limit = self.purchases;
        let said = found.into_iter().map(|(id, record)| match record {
            Ok(record) => (id, Read::Known(Arc::new(Known::from(record)), limit)),
            Err(error) => {
                self.reader.report(&error);
                (id, Read::Unreadable)
            }
        });
        let mut said: HashMap<CustomerId, Read> = said.collect();
        let mut queue = self.reader.queue();
        for id in std::mem::take(&mut self.ids) {
            let said = said.remove(&id).unwrap_or(Read::Unknown);
            for asker in queue.wanted.remove(&id).into_iter().flat_map(|wanted| wanted.askers) {
                // Some no longer wait.
                let _ = asker.send(said.clone());
            }
        }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        let mut queue = self.reader.queue();
        for id in &self.ids {
            queue.wanted.remove(id);
        }
    }
}
