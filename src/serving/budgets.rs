//! Who may use the processors: every kind of heavy work has permits and a queue of its own, so that
//! a flood of one kind leaves the others as they were.

use super::LimitsConfig;
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Kinds of work that keep a processor for longer than about half a millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Lists written item by item.
    Generate,
    /// Answers with reasons.
    Explain,
    /// Long answers, and those that look at much of the catalogue.
    Wide,
}

/// A budget that is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server is busy: no room for more {what} (`{key}`); try again")]
pub struct Overload {
    what: &'static str,
    /// What sets the budget.
    key: &'static str,
    /// The label of its metric.
    pub(super) label: &'static str,
}

impl Overload {
    pub const REQUESTS: Self =
        Self { what: "requests at once", key: "limits.concurrent_requests", label: "requests" };
    pub const BODIES: Self =
        Self { what: "large request bodies", key: "limits.body_memory_bytes", label: "bodies" };
    pub const EVENTS: Self =
        Self { what: "events that wait to be written", key: "events.queue", label: "events" };
    /// Every budget.
    pub(super) const ALL: [Self; 6] = [
        Self::REQUESTS,
        Self::BODIES,
        Self::EVENTS,
        Work::Generate.overload(),
        Work::Explain.overload(),
        Work::Wide.overload(),
    ];
}

impl Work {
    const fn overload(self) -> Overload {
        match self {
            Self::Generate => {
                Overload { what: "generated lists", key: "limits.generate", label: "generate" }
            }
            Self::Explain => {
                Overload { what: "answers with reasons", key: "limits.explain", label: "explain" }
            }
            Self::Wide => Overload {
                what: "requests with many articles or a new filter",
                key: "limits.wide",
                label: "wide",
            },
        }
    }
}

/// The permits of every kind.
pub(super) struct Budgets {
    generate: Budget,
    explain: Budget,
    wide: Budget,
    /// Longest wait for a permit.
    queue: Duration,
}

struct Budget {
    /// Work that runs.
    running: Arc<Semaphore>,
    /// Work that runs or waits. Bounded, so that those who wait leave permits of requests to
    /// others.
    admitted: Arc<Semaphore>,
}

/// Held while work runs.
pub(super) struct Permit {
    _running: OwnedSemaphorePermit,
    _admitted: OwnedSemaphorePermit,
}

impl Budgets {
    pub(super) fn new(limits: &LimitsConfig) -> Self {
        let budget = |running: usize| Budget {
            running: Arc::new(Semaphore::new(running)),
            admitted: Arc::new(Semaphore::new(running.max(limits.concurrent_requests / 4))),
        };
        Self {
            generate: budget(limits.generate),
            explain: budget(limits.explain),
            wide: budget(limits.wide),
            queue: limits.queue,
        }
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// When none came free in time, or too many wait already.
    pub(super) async fn permit(&self, work: Work) -> Result<Permit, Overload> {
        let budget = match work {
            Work::Generate => &self.generate,
            Work::Explain => &self.explain,
            Work::Wide => &self.wide,
        };
        let admitted = budget.admitted.clone().try_acquire_owned().map_err(|_| work.overload())?;
        match tokio::time::timeout(self.queue, budget.running.clone().acquire_owned()).await {
            Ok(Ok(running)) => Ok(Permit { _running: running, _admitted: admitted }),
            _ => Err(work.overload()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serving::Config;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn a_flood_of_one_kind_leaves_room_for_the_others() {
        let mut limits = Config::default().limits;
        (limits.generate, limits.explain, limits.wide, limits.queue) = (2, 1, 1, Duration::ZERO);
        let budgets = Budgets::new(&limits);
        let running = [
            budgets.permit(Work::Generate).await.unwrap(),
            budgets.permit(Work::Generate).await.unwrap(),
        ];
        let refused = budgets.permit(Work::Generate).await.err().unwrap().to_string();
        assert!(
            refused.contains("generated lists") && refused.contains("`limits.generate`"),
            "{refused}"
        );
        assert!(
            budgets.permit(Work::Explain).await.is_ok() && budgets.permit(Work::Wide).await.is_ok()
        );
        drop(running);
        assert!(budgets.permit(Work::Generate).await.is_ok());
    }

    #[tokio::test]
    async fn the_queue_of_a_kind_is_bounded() {
        let mut limits = Config::default().limits;
        (limits.wide, limits.concurrent_requests, limits.queue) =
            (1, 16, Duration::from_secs(3_600));
        let budgets = Budgets::new(&limits);
        let _running = budgets.permit(Work::Wide).await.unwrap();
        let mut waiting: Vec<_> = (0..9).map(|_| Box::pin(budgets.permit(Work::Wide))).collect();
        let told: Vec<_> = waiting.iter_mut().map(|permit| permit.now_or_never()).collect();
        // Four places, one of them running: three wait for their turn, six are told at once.
        assert_eq!(told.iter().filter(|permit| permit.is_none()).count(), 3);
        assert_eq!(told.iter().flatten().filter(|permit| permit.is_err()).count(), 6);
    }
}
