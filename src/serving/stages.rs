//! How long the stages of one request took, for the log and for traces. Kept beside the request's
//! task, so that no function between passes it on.

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

/// A part of the work of one request.
#[derive(Debug, Clone, Copy)]
pub struct Stage {
    pub name: &'static str,
    pub started: Instant,
    pub took: Duration,
}

tokio::task_local! {
    static STAGES: RefCell<Vec<Stage>>;
}

/// Runs the work of a request; answers what [`note`] was told meanwhile.
pub async fn record<T>(work: impl Future<Output = T>) -> (T, Vec<Stage>) {
    let recorded = async {
        let done = work.await;
        (done, STAGES.with(RefCell::take))
    };
    STAGES.scope(RefCell::default(), recorded).await
}

/// A stage that began at `started` ends now. Outside of [`record`] nobody asks.
pub fn note(name: &'static str, started: Instant) {
    add(Stage { name, started, took: started.elapsed() });
}

/// As [`note`], for a stage that was measured elsewhere.
pub fn add(stage: Stage) {
    let _ = STAGES.try_with(|stages| stages.borrow_mut().push(stage));
}
