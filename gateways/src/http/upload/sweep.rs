//! Takes contents away that nobody refers to any more.
//!
//! What has expired is forgotten every few minutes, and its content goes at once. A crash may
//! leave a content that no file refers to: some folders are looked through each time.

use std::time::Duration;

use klatsch_store::{ContentHash, StoreError};
use tokio::task::yield_now;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::shelf::FOLDERS;
use super::{Uploads, now};

/// Files may stay so much longer than was said; nobody can have them any more.
const EVERY: Duration = Duration::from_secs(600);

/// Clients that come back after a start come first.
const AFTER_START: Duration = Duration::from_secs(90);

/// Folders looked through at a time: all of them in a bit more than ten hours.
const FOLDERS_AT_ONCE: u8 = 4;

/// Steps of forgetting at a time, 500 files each.
const STEPS_MAX: usize = 1000;

impl Uploads {
    /// Tidies up for as long as the server runs.
    pub async fn tend(&self) {
        let mut ticks = interval_at(Instant::now() + AFTER_START, EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut folder = 0;
        loop {
            ticks.tick().await;
            self.sweep(folder, FOLDERS_AT_ONCE).await;
            folder = folder.wrapping_add(FOLDERS_AT_ONCE);
        }
    }

    /// Tidies up once and for all, as far as there is something to tidy up now.
    pub async fn tidy_up(&self) {
        for folder in (0..FOLDERS).filter_map(|folder| u8::try_from(folder).ok()) {
            self.sweep(folder, 1).await;
        }
    }

    async fn sweep(&self, folder: u8, folders: u8) {
        if let Err(error) = self.forget_expired().await {
            tracing::warn!(%error, "expired uploads were not removed");
        }
        for step in 0..folders {
            if let Err(error) = self.look_through(folder.wrapping_add(step)).await {
                tracing::warn!(%error, "a folder of uploads was not looked through");
            }
        }
    }

    async fn forget_expired(&self) -> Result<(), StoreError> {
        for _ in 0..STEPS_MAX {
            let expired = self.store.expire_uploads(now()).await?;
            for hash in &expired.unused {
                self.take_away(hash).await?;
            }
            if !expired.more {
                break;
            }
            yield_now().await;
        }
        Ok(())
    }

    async fn look_through(&self, folder: u8) -> Result<(), StoreError> {
        let failed = |error: std::io::Error| StoreError::Unavailable(error.to_string());
        for hash in self.shelf.list(folder).await.map_err(failed)? {
            if !self.store.is_content_used(&hash).await? {
                self.take_away(&hash).await?;
            }
        }
        Ok(())
    }

    /// Somebody may have put the same content there since it was found unused.
    async fn take_away(&self, hash: &ContentHash) -> Result<(), StoreError> {
        let _taking = self.shelf.taking().await;
        if self.store.is_content_used(hash).await? {
            return Ok(());
        }
        let taken = self.shelf.take(hash).await;
        taken.map_err(|error| StoreError::Unavailable(error.to_string()))
    }
}
