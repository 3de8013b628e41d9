//! Events that any server took, and changes of customers: their caches forget whom they are about,
//! and the counts of sales grow by what was bought.

use super::moved;
use crate::{
    serving::{ServeError, Service, sales::Sales},
    store::{EventLine, Revisions},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// Lines that are read at once.
const LINES: u32 = 5_000;
/// Least time between two readings, so that a flood of small changes is read in few pieces.
const BREATH: Duration = Duration::from_millis(100);
/// Laying counts over a large catalogue takes some ten milliseconds of a processor. It is done
/// again after so many times as long, so that it takes little of one, but within two seconds.
const REST: u32 = 20;
const LONGEST_REST: Duration = Duration::from_secs(2);

/// How far this server has followed.
#[derive(Default)]
struct Followed {
    /// Revisions of events and customers up to which the caches have forgotten; `None` at the
    /// start.
    forgotten: Option<(i64, i64)>,
    counting: Option<Counting>,
    /// Whether counts have grown that are not served yet.
    grown: bool,
    /// When grown counts may be served.
    rested: Option<Instant>,
}

/// Sales that grow by events. They share nothing with those that are served until they are, so that
/// adding a purchase copies nothing.
struct Counting {
    /// What they are made from.
    base: Arc<Sales>,
    sales: Sales,
}

impl Service {
    pub(super) async fn follow_events(&self, mut revisions: watch::Receiver<Revisions>) {
        let (mut followed, mut failing) = (Followed::default(), false);
        loop {
            let seen = events_and_customers(&revisions.borrow_and_update());
            let result = self.catch_up_events(&mut followed).await;
            if let Err(error) = &result
                && !failing
            {
                tracing::warn!(%error, "cannot follow the events; customers and sales stay as they are known");
            }
            failing = result.is_err();
            let again = match (failing, followed.grown) {
                (true, _) => self.poll,
                (false, true) => followed.rest(),
                (false, false) => Duration::MAX,
            };
            tokio::time::sleep(BREATH).await;
            tokio::select! {
                changed = moved(&mut revisions, seen, events_and_customers), if !failing => {
                    if changed.is_err() { return }
                }
                () = self.sales.recounted(), if !failing => {}
                () = tokio::time::sleep(again) => {}
            }
        }
    }

    async fn catch_up_events(&self, followed: &mut Followed) -> Result<(), ServeError> {
        let store = self.database.store();
        let revisions = store.revisions().await?;
        let (events, customers) = *followed.forgotten.get_or_insert_with(|| {
            // What was remembered before may be older.
            self.customers.forget_all();
            events_and_customers(&revisions)
        });
        if customers != revisions.customers {
            // Who changed is not told, and whoever was erased must be gone.
            self.customers.clear();
        }
        followed.forgotten = Some((events, revisions.customers));
        self.read_events(followed, events, revisions.events).await?;
        if followed.grown && followed.rest().is_zero() {
            let started = Instant::now();
            followed.grown = false;
            if let Some(counting) = &mut followed.counting {
                counting.base = self.sales.replace(&counting.base, counting.sales.clone());
            }
            self.serve_sales().await?;
            followed.rested = Some(Instant::now() + (started.elapsed() * REST).min(LONGEST_REST));
        }
        Ok(())
    }

    /// Reads the lines up to a revision that the caches or the counts do not know yet.
    async fn read_events(
        &self,
        followed: &mut Followed,
        mut forgotten: i64,
        last: i64,
    ) -> Result<(), ServeError> {
        loop {
            let latest = self.sales.latest().filter(|sales| sales.events().is_some());
            followed.count_from(latest);
            let counted = followed.counting.as_ref().and_then(|counting| counting.sales.events());
            // A new count of all may begin before what was read already.
            let from = counted.map_or(forgotten, |counted| counted.min(forgotten));
            if from >= last {
                return Ok(());
            }
            let page = self.database.store().events_since(from, LINES).await?;
            let new = page.lines.iter().filter(|line| line.revision > forgotten);
            self.customers.forget(new.flat_map(EventLine::people));
            forgotten = forgotten.max(page.revision);
            followed.forgotten = followed.forgotten.map(|(_, customers)| (forgotten, customers));
            if let Some(counting) = &mut followed.counting {
                followed.grown |= counting.sales.add_page(&page, self.state().catalogue.as_deref());
            }
            if !page.more && page.revision <= from {
                return Ok(());
            }
        }
    }
}

impl Followed {
    /// Goes on from a count of all, if it is not what the present one is made from.
    fn count_from(&mut self, latest: Option<Arc<Sales>>) {
        let Some(latest) = latest else { return };
        if !self.counting.as_ref().is_some_and(|counting| Arc::ptr_eq(&counting.base, &latest)) {
            self.counting = Some(Counting { sales: Sales::clone(&latest), base: latest });
        }
    }

    /// How long counts that have grown must wait.
    fn rest(&self) -> Duration {
        self.rested
            .map_or(Duration::ZERO, |rested| rested.saturating_duration_since(Instant::now()))
    }
}

fn events_and_customers(revisions: &Revisions) -> (i64, i64) {
    (revisions.events, revisions.customers)
}
