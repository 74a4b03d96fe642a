//! What the store wants done now and then: what removed accounts have left, items whose time is
//! over, and what is old or hidden are deleted, the write-ahead log is folded into the database,
//! and entries are made ready to be searched.
//!
//! Leaves out looking for damage, which reads everything: `klatsch doctor` does.

use std::time::Duration;

use klatsch_protocol::time::Timestamp;
use klatsch_store::{Store, StoreError};
use serde::{Deserialize, Serialize};
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

/// Entries that are not to be found in an archive (XEP-0441) go once they have been delivered
/// and a day has passed: no session lags behind its account's cursor for so long, because it is
/// ended before (`session::LAG_MAX`), wherever it is. For the same reason nothing is kept for less than a day.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long messages are kept.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Days that entries of accounts are kept; 0: for ever.
    pub account_days: u32,
    /// Days that entries of rooms are kept; 0: for ever.
    pub room_days: u32,
}

/// Tends the store for as long as the node runs.
pub(crate) async fn run(store: Store, retention: Retention) {
    let mut hours = interval_at(Instant::now() + AFTER_START, EVERY);
    hours.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        hours.tick().await;
        if let Err(error) = tend(&store, retention, now()).await {
            tracing::warn!(%error, "the store was not tidied up");
        }
    }
}

/// Entries a second that are made ready to be searched (XEP-0431): a percent of a core, and
/// more than a busy server of this size gets in an hour's mean. A search does the rest itself.
const INDEXED_PER_SECOND: u64 = 1000;

/// Fills the index of words, a little at a time, so that messages never wait for it.
pub(crate) async fn index(store: Store) {
    let mut seconds = interval_at(Instant::now() + AFTER_START, Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_failing = false;
    loop {
        seconds.tick().await;
        let filled = store.index_words(INDEXED_PER_SECOND).await;
        match &filled {
            // Said once, not every second.
            Err(error) if !is_failing => {
                tracing::warn!(%error, "the index of words was not filled")
            }
            _ => {}
        }
        is_failing = filled.is_err();
    }
}

fn ago(now: Timestamp, days: u32) -> Timestamp {
    let micros = i64::from(days).saturating_mul(DAY.as_micros() as i64);
    Timestamp(now.0.saturating_sub(micros))
}

async fn purge(store: &Store, retention: Retention, now: Timestamp) -> Result<(), StoreError> {
    let hidden = store.purge_hidden(ago(now, 1)).await?;
    let stamp = |days: u32| (days > 0).then(|| ago(now, days));
    let (accounts, rooms) = (stamp(retention.account_days), stamp(retention.room_days));
    let old = store.purge_old(accounts, rooms).await?;
    if hidden + old > 0 {
        tracing::info!(hidden, old, "entries purged");
    }
    Ok(())
}

async fn tend(store: &Store, retention: Retention, now: Timestamp) -> Result<(), StoreError> {
    for _ in 0..STEPS_MAX {
        if !store.sweep(now).await? {
            break;
        }
        yield_now().await;
    }
    purge(store, retention, now).await?;
    store.checkpoint().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use klatsch_protocol::jid::{BareJid, Jid};
    use klatsch_store::{Append, Credentials};

    fn message(n: i64) -> Append {
        let me = Jid::parse("me@example.org").unwrap();
        Append {
            sender: me.clone(),
            recipient: None,
            are_colleagues: false,
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
        tend(&store, Retention::default(), Timestamp(2))
            .await
            .unwrap();
        assert_eq!(store.sweep(now()).await, Ok(false));
        let log = folder.path().join("klatsch.db-wal");
        assert_eq!(std::fs::metadata(log).unwrap().len(), 0);
    }
}
