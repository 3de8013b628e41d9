//! Following the changes that any process makes in the database.

use super::{Revisions, Store};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// The latest [`Revisions`] seen, kept up to date by a task that ends when the receiver is dropped.
///
/// A change on Postgres is seen within milliseconds (LISTEN/NOTIFY), with polling every `poll`
/// behind it; one made through the same [`Store`] on SQLite likewise, one by another process on
/// SQLite within `poll`. While the database is away the last value stands.
pub fn watch(store: Arc<dyn Store>, seen: Revisions, poll: Duration) -> watch::Receiver<Revisions> {
    let (sender, receiver) = watch::channel(seen);
    tokio::spawn(async move {
        while !sender.is_closed() {
            // A failure is the health check's to report; the next round tries again.
            if let Ok(now) = store.revisions().await {
                sender.send_if_modified(|seen| std::mem::replace(seen, now) != now);
            }
            tokio::select! {
                () = store.wait_for_change(poll) => {}
                () = sender.closed() => break,
            }
        }
    });
    receiver
}
