//! Reads customers for many requests at once.
//!
//! A customer who is being read is not read again: whoever asks meanwhile waits for the same
//! answer. Customers for whom no connection is free wait and are then read together in one query,
//! so a burst of new customers costs a few queries and not one each. The queue cannot grow beyond
//! the requests in progress, whose number is limited.

use super::{EventWeights, database::Database, known::Known};
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
    weights: Arc<EventWeights>,
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
    reading: bool,
    /// Whoever asked after something had happened that the query may not see: they are read again.
    late: Vec<oneshot::Sender<Read>>,
    outdated: bool,
}

/// Customers of one query. If it is never answered, those who wait are told so.
struct Batch<'a> {
    reader: &'a Reader,
    ids: Vec<CustomerId>,
    purchases: usize,
}

impl Reader {
    /// Reads over so many connections at once; counts the customers whose rows are broken.
    pub(super) fn new(
        database: Arc<Database>,
        connections: usize,
        unreadable: Counter,
        weights: Arc<EventWeights>,
    ) -> Arc<Self> {
        let connections = Arc::new(Semaphore::new(connections));
        let (queue, logged) = (Mutex::default(), Mutex::default());
        Arc::new(Self { database, connections, queue, unreadable, weights, logged })
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
                if wanted.outdated { &mut wanted.late } else { &mut wanted.askers }.push(asker);
            }
            None => queue.want(id.clone(), purchases, vec![asker]),
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
            let fits =
                ids.len() < MAX_CUSTOMERS && most.saturating_mul(ids.len() + 1) <= MAX_PURCHASES;
            if !fits && !ids.is_empty() {
                break;
            }
            purchases = most;
            let id = queue.waiting.pop_front();
            if let Some(wanted) = id.as_ref().and_then(|id| queue.wanted.get_mut(id)) {
                wanted.reading = true;
            }
            ids.extend(id);
        }
        if ids.is_empty() {
            connection.take();
            return None;
        }
        Some(Batch { reader: self, ids, purchases })
    }

    /// Whoever asks for the customer from now on gets what a query reads that begins later.
    pub(super) fn forget(&self, id: &CustomerId) {
        if let Some(wanted) = self.queue().wanted.get_mut(id) {
            wanted.outdated = wanted.reading;
        }
    }

    /// [`Self::forget`] for everybody.
    pub(super) fn forget_all(&self) {
        self.queue().wanted.values_mut().for_each(|wanted| wanted.outdated = wanted.reading);
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

impl Queue {
    /// Puts a customer at the end of the line.
    fn want(&mut self, id: CustomerId, purchases: usize, askers: Vec<oneshot::Sender<Read>>) {
        self.waiting.push_back(id.clone());
        let wanted =
            Wanted { purchases, askers, reading: false, late: Vec::new(), outdated: false };
        self.wanted.insert(id, wanted);
    }
}

impl Batch<'_> {
    fn answer(mut self, result: Result<Vec<ReadCustomer>, StoreError>) {
        // Dropping the batch tells those who wait that nothing came.
        let Ok(found) = result else { return };
        let limit = self.purchases;
        let said = found.into_iter().map(|(id, record)| match record {
            Ok(record) => {
                (id, Read::Known(Arc::new(Known::of(record, &self.reader.weights)), limit))
            }
            Err(error) => {
                self.reader.report(&error);
                (id, Read::Unreadable)
            }
        });
        let mut said: HashMap<CustomerId, Read> = said.collect();
        let mut queue = self.reader.queue();
        for id in std::mem::take(&mut self.ids) {
            let said = said.remove(&id).unwrap_or(Read::Unknown);
            let Some(wanted) = queue.wanted.remove(&id) else { continue };
            for asker in wanted.askers {
                // Some no longer wait.
                let _ = asker.send(said.clone());
            }
            if !wanted.late.is_empty() {
                queue.want(id, wanted.purchases, wanted.late);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{StoreOptions, connect_later};
    use tokio::sync::oneshot::error::TryRecvError;

    /// A reader that begins no query by itself.
    fn reader() -> Arc<Reader> {
        let store = connect_later("sqlite:never-opened.sqlite", &StoreOptions::default()).unwrap();
        let database = Arc::new(Database::new(store, Duration::ZERO, Duration::ZERO));
        Reader::new(database, 0, Counter::noop(), Arc::default())
    }

    #[test]
    fn whoever_asks_after_a_change_is_answered_by_a_later_query() {
        let (reader, id) = (reader(), CustomerId::parse("c").unwrap());
        reader.forget(&id);
        let mut before = reader.ask(&id, 1);
        // Not being read yet: the query that comes will see the change.
        reader.forget(&id);
        let query = reader.next_batch(&mut None).unwrap();
        let mut during = reader.ask(&id, 1);
        reader.forget(&id);
        let mut after = reader.ask(&id, 7);
        query.answer(Ok(Vec::new()));
        assert!(matches!(before.try_recv(), Ok(Read::Unknown)));
        assert!(matches!(during.try_recv(), Ok(Read::Unknown)));
        assert!(matches!(after.try_recv(), Err(TryRecvError::Empty)));
        let next = reader.next_batch(&mut None).unwrap();
        assert_eq!((next.ids.as_slice(), next.purchases), ([id].as_slice(), 7));
        next.answer(Ok(Vec::new()));
        assert!(matches!(after.try_recv(), Ok(Read::Unknown)));
        assert!(reader.next_batch(&mut None).is_none());
    }

    #[test]
    fn a_query_that_fails_leaves_nobody_waiting() {
        let (reader, id) = (reader(), CustomerId::parse("c").unwrap());
        let mut before = reader.ask(&id, 1);
        let query = reader.next_batch(&mut None).unwrap();
        reader.forget(&id);
        let mut after = reader.ask(&id, 1);
        query.answer(Err(StoreError::Unavailable("away".into())));
        assert!(matches!(before.try_recv(), Err(TryRecvError::Closed)));
        assert!(matches!(after.try_recv(), Err(TryRecvError::Closed)));
    }
}
