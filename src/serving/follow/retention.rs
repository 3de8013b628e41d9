//! Events that are too old go.

use super::now;
use crate::{serving::Service, store::Retention};
use std::time::Duration;

/// Between two looks. Every replica looks: whoever comes second finds nothing to do.
const EVERY: Duration = Duration::from_secs(3_600);
/// Before the first look, so that a server that begins has its processors for its start.
const FIRST: Duration = Duration::from_secs(60);

impl Service {
    pub(super) async fn keep_retention(&self) {
        tokio::time::sleep(FIRST).await;
        loop {
            for retention in Retention::ALL {
                self.drop_old_events(retention).await;
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    async fn drop_old_events(&self, retention: Retention) {
        let days = self.events_config().days(retention);
        if days == 0 || !self.database.is_available() {
            return;
        }
        match self.store().drop_events(retention, now().minus_days(days)).await {
            Ok(0) => {}
            Ok(events) => tracing::info!(%retention, days, events, "old events dropped"),
            Err(error) => {
                tracing::warn!(%error, %retention, "cannot drop old events; the next try is in an hour")
            }
        }
    }
}
