//! Looks every second how much disk is free. Below the reserve messages are refused
//! (`<resource-constraint type='wait'/>`, D5); what is kept can be read, presence and requests
//! go on, and messages are taken again as soon as there is room (row C13).
//!
//! The write-ahead log is folded into the database then, since it may hold most of what is not
//! free. Leaves out making room in any other way: what is kept is kept.

use crate::disk::Disk;
use crate::health::Health;
use crate::metrics;
use klatsch_actors::strain::Strain;
use klatsch_store::Store;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// The reserve is written full in no less time.
const EVERY: Duration = Duration::from_secs(1);

/// Looks between two tries to make room: readers may have held the write-ahead log.
const LOOKS_BETWEEN: u32 = 5;

/// How long such a try may take.
const MAKE_ROOM_MAX: Duration = Duration::from_secs(10);

/// Watches until it is aborted. `reserve`: as configured.
pub(super) fn start(
    folder: PathBuf,
    reserve: u64,
    store: Store,
    strain: Arc<Strain>,
    health: Health,
) -> JoinHandle<()> {
    // Shown from the start, as all metrics are; what follows from it is decided at the first look.
    if let Ok(disk) = Disk::of(&folder) {
        metrics::disk(disk.free, false);
    }
    tokio::spawn(run(folder, reserve, store, strain, health))
}

async fn run(folder: PathBuf, reserve: u64, store: Store, strain: Arc<Strain>, health: Health) {
    // A file system that hangs must not hang whoever serves clients.
    let look = || {
        let folder = folder.clone();
        async move {
            spawn_blocking(move || Disk::of(&folder))
                .await
                .unwrap_or_else(|error| Err(io::Error::other(error)))
        }
    };
    let make_room = || async {
        match timeout(MAKE_ROOM_MAX, store.checkpoint()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "no room made"),
            Err(_) => tracing::warn!("no room made in time"),
        }
    };
    watch(reserve, &strain, &health, look, make_room).await;
}

async fn watch<F, G>(
    configured: u64,
    strain: &Strain,
    health: &Health,
    look: impl Fn() -> F,
    make_room: impl Fn() -> G,
) where
    F: Future<Output = io::Result<Disk>>,
    G: Future<Output = ()>,
{
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut was_low = false;
    let mut looks = 0;
    loop {
        ticks.tick().await;
        let disk = match look().await {
            Ok(disk) => disk,
            // Who cannot tell leaves things as they are: the store has an answer of its own.
            Err(error) => {
                health.report("disk", Some(&format!("cannot be looked at: {error}")));
                continue;
            }
        };
        let reserve = disk.reserve(configured);
        let is_low = disk.is_low(reserve, was_low);
        strain.set_disk_is_low(is_low);
        metrics::disk(disk.free, is_low);
        let Disk { free, .. } = disk;
        match (was_low, is_low) {
            (false, true) => {
                tracing::error!(
                    free,
                    reserve,
                    "the disk is nearly full: messages are refused"
                );
            }
            (true, false) => tracing::info!(free, reserve, "messages are taken again"),
            _ => {}
        }
        let problem = format!("{free} bytes free, messages are refused");
        health.report("disk", is_low.then_some(problem.as_str()));
        looks = if is_low { looks + 1 } else { 0 };
        if looks % LOOKS_BETWEEN == 1 {
            make_room().await;
        }
        was_low = is_low;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test(start_paused = true)]
    async fn c13_messages_are_refused_below_the_reserve_and_taken_again_above_it() {
        let (strain, health) = (Strain::default(), Health::default());
        let free = Cell::new(Some(500));
        let look = || {
            let disk = free.get().map(|free| Disk { free, total: 1000 });
            std::future::ready(disk.ok_or(io::ErrorKind::NotFound.into()))
        };
        let tries = Cell::new(0);
        let make_room = || {
            tries.set(tries.get() + 1);
            std::future::ready(())
        };
        let mut watching = Box::pin(watch(100, &strain, &health, look, make_room));
        for (now, is_low, problem) in [
            (Some(500), false, None),
            (
                Some(99),
                true,
                Some("disk: 99 bytes free, messages are refused"),
            ),
            (
                Some(110),
                true,
                Some("disk: 110 bytes free, messages are refused"),
            ),
            (
                None,
                true,
                Some("disk: cannot be looked at: entity not found"),
            ),
            (Some(125), false, None),
        ] {
            free.set(now);
            assert!(timeout(EVERY, &mut watching).await.is_err());
            assert_eq!(strain.disk_is_low(), is_low, "{now:?}");
            assert_eq!(health.problems().first().map(String::as_str), problem);
        }
        assert_eq!(tries.get(), 1, "room is made when it becomes low");
    }
}
