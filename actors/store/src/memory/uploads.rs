//! Files that accounts have uploaded, in memory.

use klatsch_protocol::features::upload::SlotRequest;
use klatsch_protocol::features::upload::slot::Id;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;

use super::Memory;
use crate::error::{Result, StoreError};
use crate::uploads::{Begun, ContentHash, Reserved, Upload, Uploads};

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

    fn upload(&self) -> Option<Upload> {
        Some(Upload {
            domain: self.owner.as_ref()?.domain().to_owned(),
            name: self.name.clone(),
            content_type: self.content_type.clone(),
            size: self.size,
            content: self.content?,
            stamp: self.stamp,
            ends: self.ends,
        })
    }

    /// Its account has got another address.
    pub(super) fn rename_owner(&mut self, from: &BareJid, to: &BareJid) {
        if self.owner.as_ref() == Some(from) {
            self.owner = Some(to.clone());
        }
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
        let files = there.len() as u64 + 1;
        let missing = (
            wanted.saturating_sub(request.account_bytes_max),
            files.saturating_sub(request.account_files_max),
        );
        if missing != (0, 0) {
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

    async fn begin_upload(&self, id: Id, until: Timestamp, now: Timestamp) -> Result<Begun> {
        let mut state = self.state();
        let held = state.uploads.get_mut(&id);
        Ok(match held.filter(|held| held.owner.is_some()) {
            Some(held) if held.content.is_some() => Begun::Taken,
            Some(held) if held.is_there(now) => {
                held.ends = held.ends.max(Some(until));
                Begun::Ready(held.content_type.clone())
            }
            _ => Begun::Over,
        })
    }

    async fn complete_upload(&self, id: Id, content: ContentHash, now: Timestamp) -> Result<bool> {
        let mut state = self.state();
        let held = state.uploads.get_mut(&id);
        let waits =
            |held: &&mut Held| held.content.is_none() && held.owner.is_some() && held.is_there(now);
        let held = held.filter(waits);
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
        Ok(held.and_then(Held::upload))
    }

    async fn uploads_of(
        &self,
        account: &BareJid,
        after: Option<Id>,
        max: u32,
        now: Timestamp,
    ) -> Result<Vec<(Id, Upload)>> {
        let state = self.state();
        let is_its = |held: &Held| held.owner.as_ref() == Some(account) && held.is_there(now);
        let of = state.uploads.iter().filter(|(_, held)| is_its(held));
        let mut files: Vec<(Id, Upload)> = of
            .filter(|(id, _)| after.is_none_or(|after| **id > after))
            .filter_map(|(id, held)| Some((*id, held.upload()?)))
            .collect();
        files.sort_unstable_by_key(|(id, _)| *id);
        files.truncate(max as usize);
        Ok(files)
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

/// When so many bytes and files will have gone by themselves.
fn room_at(there: &[&Held], (bytes, files): (u64, u64)) -> Option<Timestamp> {
    let ending = there
        .iter()
        .filter_map(|held| Some((held.ends?, held.size)));
    let mut ending: Vec<_> = ending.collect();
    ending.sort_unstable();
    let mut gone = (0, 0);
    let mut enough = ending.into_iter().map(|(ends, size)| {
        gone = (gone.0 + size, gone.1 + 1);
        (gone, ends)
    });
    enough
        .find(|(gone, _)| gone.0 >= bytes && gone.1 >= files)
        .map(|(_, ends)| ends)
}
