//! Events on their way into the database.
//!
//! A request that comes alone is written at once. Those that arrive while a transaction is being
//! written, or soon after one began, are written together in the next one, so many small requests
//! cost few commits. A request is answered once its transaction has committed and the caches of
//! this server have forgotten whom it is about: from then on answers know it.
//!
//! The queue is bounded; whoever finds it full is told to come again.

use super::{Overload, ServeError, customers::Customers, database::Database};
use crate::store::{NewEvent, StoreError, Verdict};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

/// Events after which a transaction takes no further request.
const TOGETHER: usize = 2_000;

/// Between the beginnings of two transactions: a commit costs the same for one event as for a
/// hundred.
const SPACING: Duration = Duration::from_millis(10);

pub(super) struct EventWriter {
    database: Arc<Database>,
    customers: Arc<Customers>,
    /// Events that may wait or be written at once.
    most: usize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Told>,
    /// Events that wait or are being written.
    events: usize,
    /// Whether somebody writes.
    writing: bool,
}

type Written = Result<Vec<Verdict>, StoreError>;

/// The events of one request.
struct Told {
    events: Vec<NewEvent>,
    answer: oneshot::Sender<Written>,
}

impl EventWriter {
    pub(super) fn new(
        database: Arc<Database>,
        customers: Arc<Customers>,
        most: usize,
    ) -> Arc<Self> {
        Arc::new(Self { database, customers, most, queue: Mutex::default() })
    }

    /// Writes events and answers what became of each, in their order.
    ///
    /// # Errors
    /// [`ServeError::Overloaded`] when too many wait; those of the store. Then nothing was written,
    /// or, where a connection broke, perhaps everything: the same events sent again are then
    /// duplicates.
    pub(super) async fn write(
        self: &Arc<Self>,
        events: Vec<NewEvent>,
    ) -> Result<Vec<Verdict>, ServeError> {
        if !self.database.is_available() {
            return Err(StoreError::Unavailable(self.database.reason().unwrap_or_default()).into());
        }
        let written = self.stand_in_line(events)?.await;
        Ok(written.map_err(|_| ServeError::Internal("the writer of events ended".into()))??)
    }

    fn stand_in_line(
        self: &Arc<Self>,
        events: Vec<NewEvent>,
    ) -> Result<oneshot::Receiver<Written>, Overload> {
        let (answer, written) = oneshot::channel();
        let mut queue = self.queue();
        if queue.events > 0 && queue.events + events.len() > self.most {
            return Err(Overload::EVENTS);
        }
        queue.events += events.len();
        queue.waiting.push_back(Told { events, answer });
        if !std::mem::replace(&mut queue.writing, true) {
            tokio::spawn(Turn(self.clone()).write_waiting());
        }
        Ok(written)
    }

    /// Who is to be written next, together; ends the turn when nobody waits.
    fn next(&self) -> Option<Vec<Told>> {
        let mut queue = self.queue();
        let (mut group, mut events) = (Vec::new(), 0);
        while let Some(told) = queue.waiting.front() {
            if !group.is_empty() && events + told.events.len() > TOGETHER {
                break;
            }
            events += told.events.len();
            group.extend(queue.waiting.pop_front());
        }
        queue.writing = !group.is_empty();
        queue.writing.then_some(group)
    }

    async fn write_together(&self, group: Vec<Told>) {
        let lengths: Vec<usize> = group.iter().map(|told| told.events.len()).collect();
        let mut events = Vec::with_capacity(lengths.iter().sum());
        let mut askers = Vec::with_capacity(group.len());
        for told in group {
            events.extend(told.events);
            askers.push(told.answer);
        }
        let mut written = self.write_one(&events).await;
        let mut rest = events.as_slice();
        for (asker, length) in askers.into_iter().zip(lengths) {
            let (own, others) = rest.split_at(length);
            rest = others;
            let answer = match &mut written {
                Ok(verdicts) => Ok(verdicts.drain(..length).collect()),
                // The database refused the transaction, which may be the fault of a single request.
                Err(error) if own.len() < events.len() && !error.is_transient() => {
                    self.write_one(own).await
                }
                Err(error) => Err(error.clone()),
            };
            // Some no longer wait.
            let _ = asker.send(answer);
        }
        self.queue().events -= events.len();
    }

    async fn write_one(&self, events: &[NewEvent]) -> Written {
        let verdicts = self.database.store().add_events(events).await;
        match &verdicts {
            Ok(verdicts) if verdicts.len() != events.len() => {
                return Err(StoreError::Fault(format!(
                    "{} verdicts on {} events",
                    verdicts.len(),
                    events.len()
                )));
            }
            // Even after a failure: a transaction whose answer was lost may have been committed.
            _ => self.customers.forget_told(events),
        }
        verdicts
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held by whoever writes.
struct Turn(Arc<EventWriter>);

impl Turn {
    /// Writes until nobody waits.
    async fn write_waiting(self) {
        while let Some(group) = self.0.next() {
            let began = Instant::now();
            self.0.write_together(group).await;
            sleep_until(began + SPACING).await;
        }
    }
}

impl Drop for Turn {
    /// A panic, or the end of the runtime, must not leave others waiting for a writer that is gone.
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        if queue.writing {
            *queue = Queue::default();
        }
    }
}
