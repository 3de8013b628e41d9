//! Changes: reload, activation, rollback, a new catalogue, and following what other processes do.
//! One at a time; what is prepared becomes visible in one swap, what fails leaves everything as it
//! was.
//!
//! One file for each thing that is followed: [`models`], [`catalogue`], [`popularity`], [`events`],
//! [`placements`]; [`open`] turns bundles into models for them, and [`alone`] serves without the
//! database. Each waits for its own counters: events come many times a second, and whatever else
//! looked at the database with each of them would do nothing else.

mod alone;
mod catalogue;
mod events;
mod models;
mod open;
mod placements;
mod popularity;
mod retention;

pub(super) use models::Following;
pub(super) use open::Refusals;
pub use placements::PlacementAsk;

use super::{ServeError, Service};
use crate::{
    domain::Timestamp,
    store::{self, Revisions},
};
use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::watch;

/// How often recorded times are folded into histograms.
const UPKEEP: Duration = Duration::from_secs(5);

/// How many polls pass before a bundle that was refused is tried again: it may still be on its way
/// to this machine.
const PATIENCE: u32 = 30;

impl Service {
    /// Follows the database until the process ends: its changes, its absence, its return.
    pub async fn run(self: Arc<Self>) {
        let upkeep = async {
            loop {
                self.metrics().upkeep();
                let available = if self.database.is_available() { 1.0 } else { 0.0 };
                self.metrics().database_available.set(available);
                tokio::time::sleep(UPKEEP).await;
            }
        };
        let revisions =
            store::watch(self.database.store().clone(), Revisions::default(), self.poll);
        tokio::join!(
            self.database.watch(self.poll),
            self.keep_catalogue(revisions.clone()),
            self.keep_models(revisions.clone()),
            self.watch_keys(revisions.clone()),
            self.keep_placements(revisions.clone()),
            self.follow_events(revisions.clone()),
            self.follow_sales(revisions),
            self.keep_retention(),
            upkeep
        );
    }

    async fn keep_catalogue(&self, mut revisions: watch::Receiver<Revisions>) {
        let mut failing = false;
        loop {
            let seen = revisions.borrow_and_update().catalogue;
            // First, so that a server that is ready signs its answers.
            let result = match self.follow_signer().await {
                Ok(()) => self.catch_up_catalogue().await,
                Err(error) => Err(error),
            };
            if let Err(error) = &result
                && !failing
            {
                tracing::warn!(%error, "cannot follow the catalogue; what is loaded stays in service");
            }
            failing = result.is_err();
            let again = if failing { self.poll } else { Duration::MAX };
            tokio::select! {
                changed = moved(&mut revisions, seen, |now| now.catalogue), if !failing => if changed.is_err() { return },
                () = tokio::time::sleep(again) => {}
            }
        }
    }

    /// Apart from the catalogue, because opening a bundle may take minutes.
    async fn keep_models(&self, mut revisions: watch::Receiver<Revisions>) {
        if !self.database.is_available() {
            // Found at the start: finding it again would only take time.
            self.serve_alone().await;
        }
        let mut failing = false;
        loop {
            let seen = revisions.borrow_and_update().models;
            let result = self.follow_models().await;
            if let Err(error) = &result
                && !failing
            {
                tracing::warn!(%error, "cannot follow the active models; what is loaded stays in service");
            }
            failing = result.is_err();
            if failing && self.state().models.is_empty() {
                self.serve_alone().await;
            }
            let again = match result {
                Ok(true) => Duration::MAX,
                Ok(false) => self.poll * PATIENCE,
                Err(_) => self.poll,
            };
            tokio::select! {
                changed = moved(&mut revisions, seen, |now| now.models), if !failing => if changed.is_err() { return },
                () = tokio::time::sleep(again) => {}
            }
        }
    }

    /// Makes what is served equal to what the database says: keys, placements, catalogue and active
    /// versions. Answers whether every model is served as wanted; a bundle that is refused is no
    /// error here: see [`Service::status`].
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn catch_up(&self) -> Result<bool, ServeError> {
        if self.state().catalogue.is_none()
            && let Err(error) = self.count_sales().await
        {
            tracing::warn!(%error, "cannot count the sales; popularity is that of the bundles");
        }
        self.follow_signer().await?;
        self.follow_keys().await?;
        self.follow_placements().await?;
        self.catch_up_catalogue().await?;
        self.follow_models().await
    }

    /// Makes the catalogue that is served equal to the database's.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(super) async fn catch_up_catalogue(&self) -> Result<(), ServeError> {
        let _changes = self.changes.lock().await;
        let now = self.state();
        let (catalogue, models) = self.newest(&now).await?;
        self.publish(self.with_catalogue(&now, catalogue, &models).await?);
        Ok(())
    }
}

/// Waits until a counter is another than it was when it was `seen`.
async fn moved<T: PartialEq>(
    revisions: &mut watch::Receiver<Revisions>,
    seen: T,
    of: impl Fn(&Revisions) -> T,
) -> Result<(), watch::error::RecvError> {
    revisions.wait_for(|now| of(now) != seen).await.map(drop)
}

/// The first whole second that has not begun: what has happened until now was before it.
pub fn next_second() -> Timestamp {
    Timestamp(now().0.saturating_add(1))
}

/// The present moment.
pub fn now() -> Timestamp {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs());
    Timestamp(u32::try_from(seconds).unwrap_or(u32::MAX))
}
