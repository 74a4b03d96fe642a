//! Slots and files in memory.

use klatsch_protocol::features::upload::{Reservation, Reserved, Slot};
use klatsch_protocol::time::Timestamp;

use super::{Memory, State};
use crate::error::{Result, StoreError};
use crate::uploads::{ContentHash, EXPIRE_MAX, Expired, Upload, Uploads, free_at};

/// A slot, or a file.
pub(super) struct Held {
    slot: Slot,
    /// Which life of the account it belongs to.
    epoch: u64,
    file: Option<(ContentHash, Timestamp)>,
    expires: Timestamp,
}

impl Uploads for Memory {
    async fn reserve_upload(&self, wanted: &Reservation, now: Timestamp) -> Result<Reserved> {
        let mut state = self.state();
        let slot = wanted.slot.clone();
        let life = state.accounts.get(&slot.account);
        let epoch = life.ok_or(StoreError::NoSuchAccount)?.account.epoch;
        if let Some(retry) = free_at(&state.holdings(&slot, epoch, now), wanted, now) {
            return Ok(Reserved::Full(retry));
        }
        let held = Held {
            slot: slot.clone(),
            epoch,
            file: None,
            expires: slot.put_until,
        };
        state.uploads.insert(slot.id, held);
        Ok(Reserved::Granted(Box::new(slot)))
    }

    async fn begin_upload(&self, id: u128, until: Timestamp, now: Timestamp) -> Result<()> {
        let mut state = self.state();
        let held = state.slot(id, now)?;
        held.expires = held.expires.max(until);
        Ok(())
    }

    async fn finish_upload(&self, id: u128, hash: &ContentHash, now: Timestamp) -> Result<()> {
        let mut state = self.state();
        let held = state.slot(id, now)?;
        held.file = Some((*hash, now));
        held.expires = held.slot.keep_until;
        Ok(())
    }

    async fn find_upload(&self, id: u128, now: Timestamp) -> Result<Upload> {
        let state = self.state();
        let held = state.uploads.get(&id).filter(|held| held.expires > now);
        let found = held.and_then(|held| Some((held, held.file?)));
        let (held, (hash, stored)) = found.ok_or(StoreError::NoSuchItem)?;
        Ok(Upload {
            domain: held.slot.domain.clone(),
            name: held.slot.name.clone(),
            content_type: held.slot.content_type.clone(),
            size: held.slot.size,
            hash,
            stored,
            expires: held.expires,
        })
    }

    async fn expire_uploads(&self, now: Timestamp) -> Result<Expired> {
        let mut state = self.state();
        let all = state.uploads.iter();
        let old = all.filter(|(_, held)| held.expires <= now);
        let ids: Vec<u128> = old.map(|(id, _)| *id).take(EXPIRE_MAX as usize).collect();
        let mut unused = Vec::new();
        for id in &ids {
            let held = state.uploads.remove(id);
            if let Some((hash, _)) = held.and_then(|held| held.file)
                && !state.is_content_used(&hash)
            {
                unused.push(hash);
            }
        }
        let more = ids.len() == EXPIRE_MAX as usize;
        Ok(Expired { unused, more })
    }

    async fn is_content_used(&self, hash: &ContentHash) -> Result<bool> {
        Ok(self.state().is_content_used(hash))
    }
}

impl State {
    fn slot(&mut self, id: u128, now: Timestamp) -> Result<&mut Held> {
        let held = self.uploads.get_mut(&id);
        let held = held.filter(|held| held.expires > now);
        match held.ok_or(StoreError::NoSuchItem)? {
            held if held.file.is_some() => Err(StoreError::Conflict),
            held => Ok(held),
        }
    }

    fn holdings(&self, slot: &Slot, epoch: u64, now: Timestamp) -> Vec<(u64, Timestamp)> {
        let counts = |held: &&Held| {
            held.epoch == epoch
                && held.expires > now
                && held.slot.purpose.shares_quota(slot.purpose)
        };
        let counted = self.uploads.values().filter(counts);
        let mut found: Vec<_> = counted.map(|held| (held.slot.size, held.expires)).collect();
        found.sort_by_key(|(_, expires)| *expires);
        found
    }

    fn is_content_used(&self, hash: &ContentHash) -> bool {
        let mut files = self.uploads.values().filter_map(|held| held.file);
        files.any(|(used, _)| used == *hash)
    }

    /// What a removed account has left goes with the next sweep.
    pub(super) fn forget_uploads(&mut self, epoch: u64) {
        let of_it = self.uploads.values_mut().filter(|it| it.epoch == epoch);
        of_it.for_each(|held| held.expires = Timestamp(0));
    }
}
