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
    line: Arc<Line>,
}

type Written = Result<Vec<Verdict>, StoreError>;

/// The events of one request.
struct Told {
    events: Vec<NewEvent>,
    answer: oneshot::Sender<Written>,
}

impl EventWriter {
    /// `most`: events that may wait or be written at once.
    pub(super) fn new(
        database: Arc<Database>,
        customers: Arc<Customers>,
        most: usize,
    ) -> Arc<Self> {
        Arc::new(Self { database, customers, line: Arc::new(Line::new(most)) })
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
        let (written, turn) = self.line.join(events)?;
        if let Some(turn) = turn {
            tokio::spawn(self.clone().write_waiting(turn));
        }
        let written = written.await;
        Ok(written.map_err(|_| ServeError::Internal("the writer of events ended".into()))??)
    }

    /// Writes until nobody waits.
    async fn write_waiting(self: Arc<Self>, mut turn: Turn) {
        while let Some(group) = turn.next() {
            let began = Instant::now();
            self.write_together(group).await;
            sleep_until(began + SPACING).await;
        }
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
        self.line.queue().events -= events.len();
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
}

/// Where requests wait. One of them at a time has the turn: its task writes for all.
struct Line {
    most: usize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Told>,
    /// Events that wait or are being written.
    events: usize,
    /// Whether somebody has the turn.
    writing: bool,
}

impl Line {
    fn new(most: usize) -> Self {
        Self { most, queue: Mutex::default() }
    }

    /// Where the answer will come, and the turn if nobody has it.
    fn join(
        self: &Arc<Self>,
        events: Vec<NewEvent>,
    ) -> Result<(oneshot::Receiver<Written>, Option<Turn>), Overload> {
        let mut queue = self.queue();
        if queue.events > 0 && queue.events + events.len() > self.most {
            return Err(Overload::EVENTS);
        }
        let (answer, written) = oneshot::channel();
        queue.events += events.len();
        queue.waiting.push_back(Told { events, answer });
        let free = !std::mem::replace(&mut queue.writing, true);
        Ok((written, free.then(|| Turn { line: self.clone(), ended: false })))
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held by whoever writes.
struct Turn {
    line: Arc<Line>,
    /// Whether it was given back: somebody else may have it by now.
    ended: bool,
}

impl Turn {
    /// Who is to be written next, together; gives the turn back when nobody waits.
    fn next(&mut self) -> Option<Vec<Told>> {
        let mut queue = self.line.queue();
        let (mut group, mut events) = (Vec::new(), 0);
        while let Some(told) = queue.waiting.front() {
            if !group.is_empty() && events + told.events.len() > TOGETHER {
                break;
            }
            events += told.events.len();
            group.extend(queue.waiting.pop_front());
        }
        if group.is_empty() {
            queue.writing = false;
            self.ended = true;
            return None;
        }
        Some(group)
    }
}

impl Drop for Turn {
    /// A panic, or the end of the runtime, must not leave others waiting for a writer that is gone.
    fn drop(&mut self) {
        if !self.ended {
            *self.line.queue() = Queue::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Counting, Millis, Retention};

    fn events(count: usize) -> Vec<NewEvent> {
        let event = NewEvent {
            event_id: "1".to_owned(),
            kind: "view".to_owned(),
            retention: Retention::Actions,
            at: Millis(0),
            customer: None,
            visitor: None,
            order_id: None,
            currency: None,
            counting: Counting::Nothing,
            items: Vec::new(),
        };
        vec![event; count]
    }

    #[test]
    fn one_writes_for_those_who_come_meanwhile() {
        let line = Arc::new(Line::new(100));
        let (_first, turn) = line.join(events(1)).unwrap();
        let mut turn = turn.expect("nobody else writes");
        assert_eq!(turn.next().map(|group| group.len()), Some(1));
        let (_second, other) = line.join(events(2)).unwrap();
        let (_third, another) = line.join(events(3)).unwrap();
        assert!(other.is_none() && another.is_none());
        assert_eq!(turn.next().map(|group| group.len()), Some(2));
        assert!(turn.next().is_none());
    }

    #[test]
    fn who_comes_as_a_turn_ends_is_not_forgotten() {
        let line = Arc::new(Line::new(100));
        let (_first, turn) = line.join(events(1)).unwrap();
        let mut ending = turn.unwrap();
        ending.next();
        line.queue().events -= 1;
        assert!(ending.next().is_none());
        let (mut written, turn) = line.join(events(1)).unwrap();
        let mut turn = turn.expect("the turn was given back");
        drop(ending);
        let group = turn.next().expect("the second request waits");
        assert_eq!(line.queue().events, 1);
        for told in group {
            let _ = told.answer.send(Ok(vec![Verdict::Accepted]));
        }
        assert_eq!(written.try_recv().unwrap().unwrap(), [Verdict::Accepted]);
    }

    #[test]
    fn a_turn_that_breaks_off_leaves_nobody_waiting() {
        let line = Arc::new(Line::new(100));
        let (mut first, turn) = line.join(events(60)).unwrap();
        let mut turn = turn.unwrap();
        let group = turn.next();
        let (mut second, _) = line.join(events(30)).unwrap();
        drop((group, turn));
        assert!(first.try_recv().is_err() && second.try_recv().is_err());
        assert!(line.join(events(100)).unwrap().1.is_some(), "the queue is empty again");
    }

    #[test]
    fn a_full_queue_refuses_but_takes_one_large_request() {
        let line = Arc::new(Line::new(10));
        let (_large, _turn) = line.join(events(20)).unwrap();
        assert!(line.join(events(1)).is_err());
    }
}
