//! Accounts that get another address, in memory.

use std::collections::BTreeSet;

use klatsch_protocol::colleagues::Change;
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::time::Timestamp;

use super::{Life, Memory, State};
use crate::error::{Result, StoreError};
use crate::renaming::{Renaming, meanwhile, renamed, steps};
use crate::roster::REMOVED_MAX;

impl Renaming for Memory {
    async fn rename_account(&self, from: &BareJid, to: &BareJid, _now: Timestamp) -> Result<()> {
        let mut state = self.state();
        if !state.accounts.contains_key(from) {
            return Err(StoreError::NoSuchAccount);
        }
        if state.accounts.contains_key(to) {
            return Err(StoreError::Conflict);
        }
        state.rename(from, to);
        Ok(())
    }

    async fn exchange_addresses(
        &self,
        circle: &[BareJid],
        expected: u64,
        changes: Vec<Change>,
        _now: Timestamp,
    ) -> Result<u64> {
        let mut state = self.state();
        let steps = steps(circle)?;
        if circle.iter().any(|it| !state.accounts.contains_key(it)) {
            return Err(StoreError::NoSuchAccount);
        }
        let version = state.change_colleagues(expected, changes)?;
        for (from, to) in steps {
            state.rename(&from, &to);
        }
        state.forget_meanwhile();
        Ok(version)
    }

    async fn former_addresses(&self) -> Result<Vec<(BareJid, BareJid)>> {
        let state = self.state();
        let former = state.former.iter();
        Ok(former.map(|(it, now)| (it.clone(), now.clone())).collect())
    }
}

impl State {
    fn rename(&mut self, from: &BareJid, to: &BareJid) {
        self.rename_life(from, to);
        self.rename_in_nodes(from, to);
        self.rename_in_rooms(from, to);
        for life in self.accounts.values_mut() {
            life.rename_other(from, to);
        }
        let invitations = self.invitations.values_mut();
        let theirs = invitations.filter_map(|it| it.inviter.as_mut());
        theirs.for_each(|inviter| replace(inviter, from, to));
        let files = self.uploads.values_mut();
        files.for_each(|file| file.rename_owner(from, to));
        self.forget_waiting(from);
        self.rename_former(from, to);
    }

    /// Nobody has ever seen the address that one account has had for a moment.
    fn forget_meanwhile(&mut self) {
        let meanwhile = meanwhile();
        self.past.remove(&meanwhile);
        self.former.remove(&meanwhile);
        for life in self.accounts.values_mut() {
            life.roster.removed.retain(|(jid, _)| *jid != meanwhile);
        }
    }

    fn rename_life(&mut self, from: &BareJid, to: &BareJid) {
        let Some(mut life) = self.accounts.remove(from) else {
            return;
        };
        self.epoch += 1;
        life.account.jid = to.clone();
        life.account.epoch = self.epoch;
        life.tokens.clear();
        let left = (life.roster.version, life.blocklist.version);
        self.past.insert(from.clone(), left);
        let (roster, blocklist) = self.past.get(to).copied().unwrap_or_default();
        life.roster.version = life.roster.version.max(roster) + 1;
        life.blocklist.version = life.blocklist.version.max(blocklist) + 1;
        for item in life.roster.items.values_mut() {
            item.version = life.roster.version;
        }
        life.roster.removed.clear();
        self.accounts.insert(to.clone(), life);
    }

    fn rename_former(&mut self, from: &BareJid, to: &BareJid) {
        let former = self.former.values_mut();
        former.for_each(|now| replace(now, from, to));
        self.former.insert(from.clone(), to.clone());
        self.former.remove(to);
    }

    fn rename_in_nodes(&mut self, from: &BareJid, to: &BareJid) {
        for ((mut service, name), mut held) in std::mem::take(&mut self.nodes) {
            replace(&mut service, from, to);
            held.rename(from, to);
            self.nodes.insert((service, name), held);
        }
    }
}

impl Life {
    /// Somebody else has got another address.
    fn rename_other(&mut self, from: &BareJid, to: &BareJid) {
        let roster = &mut self.roster;
        if let Some(mut item) = roster.items.remove(from) {
            roster.version += 1;
            item.jid = to.clone();
            item.version = roster.version;
            roster.items.insert(to.clone(), item);
            roster.removed.retain(|(jid, _)| jid != to && jid != from);
            roster.removed.push((from.clone(), roster.version));
            let forgotten = roster.removed.len().saturating_sub(REMOVED_MAX);
            roster.removed.drain(..forgotten);
        }
        if rename_all(&mut self.blocklist.jids, from, to) {
            self.blocklist.version += 1;
        }
        rename_all(&mut self.preferences.always, from, to);
        rename_all(&mut self.preferences.never, from, to);
    }
}

pub(super) fn replace(jid: &mut BareJid, from: &BareJid, to: &BareJid) {
    if jid == from {
        *jid = to.clone();
    }
}

/// Tells whether there was anything to rename.
fn rename_all(jids: &mut BTreeSet<Jid>, from: &BareJid, to: &BareJid) -> bool {
    let old: Vec<Jid> = jids
        .iter()
        .filter(|jid| jid.bare_str() == from.as_str())
        .cloned()
        .collect();
    for jid in &old {
        jids.remove(jid);
        jids.extend(renamed(jid, from, to));
    }
    !old.is_empty()
}
