//! What the store wants done now and then: what removed accounts have left and items whose time
//! is over are deleted, and the write-ahead log is folded into the database.
//!
//! Leaves out looking for damage, which reads everything: `klatsch doctor` does.

use std::time::Duration;

use klatsch_store::{Store, StoreError};
use tokio::task::yield_now;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::world::now;

/// Removed accounts have waited for longer.
const EVERY: Duration = Duration::from_secs(3600);

/// Clients that come back after a start come first.
const AFTER_START: Duration = Duration::from_secs(60);

/// So many steps of a sweep at most in an hour: each is one short transaction between those of
/// the messages, and the next hour goes on where this one has ended.
const STEPS_MAX: usize = 10_000;

/// Tends the store for as long as the node runs.
pub(crate) async fn run(store: Store) {
    let mut hours = interval_at(Instant::now() + AFTER_START, EVERY);
    hours.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        hours.tick().await;
        if let Err(error) = tend(&store).await {
            tracing::warn!(%error, "the store was not tidied up");
        }
    }
}

async fn tend(store: &Store) -> Result<(), StoreError> {
    for _ in 0..STEPS_MAX {
        if !store.sweep(now()).await? {
            break;
        }
        yield_now().await;
    }
    store.checkpoint().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use klatsch_protocol::jid::{BareJid, Jid};
    use klatsch_protocol::time::Timestamp;
    use klatsch_store::{Append, Credentials};

    fn message(n: i64) -> Append {
        let me = Jid::parse("me@example.org").unwrap();
        Append {
            sender: me.clone(),
            recipient: None,
            with: me,
            dedup: None,
            stanza: Bytes::from_static(b"<message/>"),
            flags: 0,
            now: Timestamp(n),
        }
    }

    #[tokio::test]
    async fn c15_what_a_removed_account_has_left_is_deleted_to_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("klatsch.db").display());
        let store = Store::open(&url).await.unwrap();
        let me = BareJid::parse("me@example.org").unwrap();
        let none = Credentials::default();
        let made = store.create_account(&me, &none, false, Timestamp(0)).await;
        made.unwrap();
        store
            .append((0..3000).map(message).collect())
            .await
            .unwrap();
        store.remove_account(&me, Timestamp(1)).await.unwrap();
        tend(&store).await.unwrap();
        assert_eq!(store.sweep(now()).await, Ok(false));
        let log = folder.path().join("klatsch.db-wal");
        assert_eq!(std::fs::metadata(log).unwrap().len(), 0);
    }
}
