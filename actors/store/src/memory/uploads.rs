//! Files that accounts have uploaded, in memory.

use klatsch_protocol::features::upload::SlotRequest;
use klatsch_protocol::features::upload::slot::Id;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;

use super::Memory;
use crate::error::{Result, StoreError};
use crate::uploads::{ContentHash, Reserved, Upload, Uploads};

/// A file, or the room for one.
pub(super) struct Held {
    /// `None`: its account is removed.
    owner: Option<BareJid>,
    name: String,
    content_type: Option<String>,
    size: u64,
    ends: Option<Timestamp>,
    expires: Option<Timestamp>,
    content: Option<ContentHash>,
    stamp: Timestamp,
}

impl Held {
    fn is_there(&self, now: Timestamp) -> bool {
        self.ends.is_none_or(|ends| ends > now)
    }

    /// Its account is removed.
    pub(super) fn disown(&mut self, account: &BareJid) {
        if self.owner.as_ref() == Some(account) {
            self.owner = None;
            self.ends = Some(Timestamp(0));
        }
    }
}

impl Uploads for Memory {
    async fn reserve_upload(&self, request: &SlotRequest, now: Timestamp) -> Result<Reserved> {
        let mut state = self.state();
        if !state.accounts.contains_key(&request.owner) {
            return Err(StoreError::NoSuchAccount);
        }
        let owned = state.uploads.values();
        let owned = owned.filter(|held| held.owner.as_ref() == Some(&request.owner));
        let there: Vec<&Held> = owned.filter(|held| held.is_there(now)).collect();
        let taken: u64 = there.iter().map(|held| held.size).sum();
        let wanted = taken.saturating_add(request.slot.size);
        if let missing @ 1.. = wanted.saturating_sub(request.account_bytes_max) {
            return Ok(Reserved::OverQuota(room_at(&there, missing)));
        }
        let held = Held {
            owner: Some(request.owner.clone()),
            name: request.slot.name.clone(),
            content_type: request.content_type.clone(),
            size: request.slot.size,
            ends: Some(request.slot.until),
            expires: request.expires,
            content: None,
            stamp: now,
        };
        state.uploads.insert(request.slot.id, held);
        Ok(Reserved::Granted)
    }

    async fn complete_upload(&self, id: Id, content: ContentHash, now: Timestamp) -> Result<bool> {
        let mut state = self.state();
        let held = state.uploads.get_mut(&id);
        let held = held.filter(|held| held.content.is_none() && held.owner.is_some());
        let Some(held) = held else {
            return Ok(false);
        };
        held.content = Some(content);
        held.ends = held.expires;
        held.stamp = now;
        Ok(true)
    }

    async fn upload(&self, id: Id, now: Timestamp) -> Result<Option<Upload>> {
        let state = self.state();
        let held = state.uploads.get(&id).filter(|held| held.is_there(now));
        Ok(held.and_then(|held| {
            Some(Upload {
                name: held.name.clone(),
                content_type: held.content_type.clone(),
                size: held.size,
                content: held.content?,
                stamp: held.stamp,
            })
        }))
    }

    async fn expire_uploads(&self, now: Timestamp, max: u32) -> Result<Vec<ContentHash>> {
        let mut state = self.state();
        let ended = state.uploads.iter().filter(|(_, held)| !held.is_there(now));
        let mut ended: Vec<_> = ended.map(|(id, held)| (held.ends, *id)).collect();
        ended.sort_unstable();
        ended.truncate(max as usize);
        let gone = ended.iter().filter_map(|(_, id)| state.uploads.remove(id));
        Ok(gone.filter_map(|held| held.content).collect())
    }

    async fn is_content_wanted(&self, content: ContentHash) -> Result<bool> {
        let state = self.state();
        let mut contents = state.uploads.values().filter_map(|held| held.content);
        Ok(contents.any(|it| it == content))
    }
}

/// When so many bytes will have gone by themselves.
fn room_at(there: &[&Held], missing: u64) -> Option<Timestamp> {
    let ending = there
        .iter()
        .filter_map(|held| Some((held.ends?, held.size)));
    let mut ending: Vec<_> = ending.collect();
    ending.sort_unstable();
    let mut gone = 0;
    let mut enough = ending.into_iter().map(|(ends, size)| {
        gone += size;
        (gone, ends)
    });
    enough
        .find(|(gone, _)| *gone >= missing)
        .map(|(_, ends)| ends)
}
