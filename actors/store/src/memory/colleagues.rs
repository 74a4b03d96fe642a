//! The directory's entries in memory.

use std::collections::BTreeMap;

use klatsch_protocol::colleagues::{Change, EntryId};
use klatsch_protocol::time::Timestamp;

use super::{Memory, State};
use crate::colleagues::{
    ColleagueEntries, Colleagues, GONE_MAX, Kept, PHOTO_WAITS, answer, photo_of, read_after,
};
use crate::error::{Result, StoreError};

/// All of them.
#[derive(Default)]
pub(super) struct Held {
    version: u64,
    entries: BTreeMap<EntryId, (Kept, Option<Box<str>>)>,
    /// By their hashes, each with when it was kept last.
    photos: BTreeMap<Box<str>, (Timestamp, Vec<u8>)>,
}

impl ColleagueEntries for Memory {
    async fn colleagues_since(&self, known: u64) -> Result<Colleagues> {
        let state = self.state();
        let held = &state.colleagues;
        let after = read_after(known, held.version);
        let later = held.entries.values().map(|(kept, _)| kept);
        let later = later.filter(|kept| kept.version > after).cloned();
        Ok(answer(known, held.version, later.collect()))
    }

    async fn change_colleagues(&self, expected: u64, changes: Vec<Change>) -> Result<u64> {
        self.state().change_colleagues(expected, changes)
    }

    async fn keep_photo(&self, hash: &str, bytes: Vec<u8>, now: Timestamp) -> Result<()> {
        let photos = &mut self.state().colleagues.photos;
        photos.insert(hash.into(), (now, bytes));
        Ok(())
    }

    async fn photo(&self, hash: &str) -> Result<Option<Vec<u8>>> {
        let state = self.state();
        let kept = state.colleagues.photos.get(hash);
        Ok(kept.map(|(_, bytes)| bytes.clone()))
    }
}

impl State {
    /// Makes all these changes, if the version is still the expected one.
    pub(super) fn change_colleagues(&mut self, expected: u64, changes: Vec<Change>) -> Result<u64> {
        let held = &mut self.colleagues;
        if held.version != expected {
            return Err(StoreError::Conflict);
        }
        if changes.is_empty() {
            return Ok(expected);
        }
        held.version += 1;
        for change in changes {
            let photo = photo_of(change.entry.as_ref()).map(Into::into);
            let kept = Kept {
                id: change.id.clone(),
                version: held.version,
                record: change.entry.map(|entry| entry.to_bytes()),
            };
            held.entries.insert(change.id, (kept, photo));
        }
        let forgotten = held.version.saturating_sub(GONE_MAX);
        held.entries
            .retain(|_, (kept, _)| kept.record.is_some() || kept.version > forgotten);
        Ok(held.version)
    }

    /// Pictures that no entry mentions any more go.
    pub(super) fn sweep_photos(&mut self, now: Timestamp) {
        let Held {
            entries, photos, ..
        } = &mut self.colleagues;
        let is_mentioned = |hash: &str| {
            let mut mentioned = entries.values().filter_map(|(_, photo)| photo.as_deref());
            mentioned.any(|photo| photo == hash)
        };
        photos.retain(|hash, (kept, _)| kept.0 > now.0 - PHOTO_WAITS || is_mentioned(hash));
    }
}
