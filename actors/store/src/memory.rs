//! The store in memory, for tests: the same promises, until the process ends.

mod claims;
mod colleagues;
mod invitations;
mod lives;
mod log;
mod moving;
mod nodes;
mod push;
mod reach;
mod renaming;
mod rooms;
mod spent;
mod tokens;
mod uploads;
mod waiting;
mod web_push;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use klatsch_protocol::features::archive_preferences::Preferences;
use klatsch_protocol::features::avatar::NS_METADATA;
use klatsch_protocol::features::blocking::Blocklist;
use klatsch_protocol::features::invitation::{Invitation, TokenHash};
use klatsch_protocol::features::presence::wish;
use klatsch_protocol::features::push::Registration;
use klatsch_protocol::features::roster::{Roster, RosterChange, Subscription};
use klatsch_protocol::features::upload;
use klatsch_protocol::features::web_push::Registration as Browser;
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::sasl::ScramCredentials;
use klatsch_protocol::time::Timestamp;

use crate::accounts::{Account, Accounts, Credentials, LIST_MAX};
use crate::blocklist::Blocklists;
use crate::error::{Result, StoreError};
use crate::lives::KnownNode;
use crate::preferences::ArchivePreferences;
use crate::roster::{REMOVED_MAX, Rosters};
use crate::snapshot::{Snapshot, Snapshots};
use crate::spent::SpentHash;
use crate::store::Upkeep;
use crate::tokens::Token;
use log::Log;
pub use reach::{Reach, Reached};

/// The memory backend, as somebody reaches it.
#[derive(Default)]
pub(crate) struct Memory {
    state: Arc<Mutex<Box<State>>>,
    pub(crate) reach: Arc<Reach>,
}

#[derive(Default)]
struct State {
    accounts: BTreeMap<BareJid, Life>,
    /// The versions of the roster and the block list that removed accounts had.
    past: HashMap<BareJid, (u64, u64)>,
    /// Addresses that accounts had, with those they have.
    former: BTreeMap<BareJid, BareJid>,
    epoch: u64,
    /// By service and name.
    nodes: BTreeMap<(BareJid, String), nodes::Held>,
    rooms: BTreeMap<BareJid, rooms::Held>,
    /// The last versions of rooms that are no more, and the last ids of their logs.
    past_rooms: HashMap<BareJid, (u64, u64)>,
    invitations: BTreeMap<TokenHash, Invitation>,
    /// Each with the time until when it is kept.
    spent: HashMap<SpentHash, Timestamp>,
    uploads: BTreeMap<upload::slot::Id, uploads::Held>,
    /// Each with the time its session waits until.
    waiting: Vec<waiting::Put>,
    /// Nodes, in the order of their numbers.
    lives: Vec<KnownNode>,
    claims: Vec<claims::Held>,
    colleagues: colleagues::Held,
}

/// One life of an account.
struct Life {
    account: Account,
    scram: Vec<ScramCredentials>,
    roster: Roster,
    blocklist: Blocklist,
    log: Log,
    preferences: Preferences,
    kept: BTreeMap<String, Bytes>,
    push: Vec<Registration>,
    web_push: Vec<Browser>,
    /// With the client each belongs to.
    tokens: Vec<(String, Token)>,
}

impl Memory {
    /// The same, for somebody who reaches it in a way of their own.
    pub(crate) fn reached_apart(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
            reach: Arc::default(),
        }
    }

    /// A poisoned lock is taken over: no change below can panic half-way.
    fn state(&self) -> MutexGuard<'_, Box<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, account: &BareJid, read: impl FnOnce(&Life) -> T) -> Result<T> {
        self.state()
            .accounts
            .get(account)
            .map(read)
            .ok_or(StoreError::NoSuchAccount)
    }

    fn change<T>(
        &self,
        account: &BareJid,
        change: impl FnOnce(&mut Life) -> Result<T>,
    ) -> Result<T> {
        change(
            self.state()
                .accounts
                .get_mut(account)
                .ok_or(StoreError::NoSuchAccount)?,
        )
    }
}

impl Upkeep for Memory {
    async fn health(&self) -> Result<()> {
        Ok(())
    }

    async fn checkpoint(&self) -> Result<()> {
        Ok(())
    }

    async fn sweep(&self, now: Timestamp) -> Result<bool> {
        let mut state = self.state();
        state.sweep_items(now);
        state.sweep_photos(now);
        Ok(false)
    }

    async fn index_words(&self, _max: u64) -> Result<u64> {
        // A search looks at everything.
        Ok(0)
    }

    async fn purge_hidden(&self, before: Timestamp) -> Result<u64> {
        let mut state = self.state();
        let lives = state.accounts.values_mut();
        Ok(lives.map(|life| life.log.purge_hidden(before)).sum())
    }

    async fn purge_old(
        &self,
        accounts: Option<Timestamp>,
        rooms: Option<Timestamp>,
    ) -> Result<u64> {
        let mut state = self.state();
        let mut purged = 0;
        for life in state.accounts.values_mut() {
            let delivered = life.log.cursor();
            purged += accounts.map_or(0, |stamp| life.log.purge(stamp, delivered));
        }
        for room in state.rooms.values_mut() {
            purged += rooms.map_or(0, |stamp| room.log.purge(stamp, u64::MAX));
        }
        Ok(purged)
    }

    async fn integrity_check(&self) -> Result<()> {
        Ok(())
    }
}

impl ArchivePreferences for Memory {
    async fn archive_preferences(&self, account: &BareJid) -> Result<Preferences> {
        self.read(account, |life| life.preferences.clone())
    }

    async fn prefer(&self, account: &BareJid, preferences: Preferences) -> Result<()> {
        self.change(account, |life| {
            life.preferences = preferences;
            Ok(())
        })
    }
}

impl Accounts for Memory {
    async fn create_account(
        &self,
        account: &BareJid,
        credentials: &Credentials,
        admin: bool,
        now: Timestamp,
    ) -> Result<()> {
        self.state().create(account, credentials, admin, now)
    }

    async fn set_credentials(&self, account: &BareJid, credentials: &Credentials) -> Result<()> {
        let mut state = self.state();
        let life = state.accounts.get_mut(account);
        let life = life.ok_or(StoreError::NoSuchAccount)?;
        life.set_keys(credentials);
        life.tokens.clear();
        life.web_push.clear();
        state.forget_waiting(account);
        Ok(())
    }

    async fn add_keys(&self, account: &BareJid, keys: &ScramCredentials) -> Result<bool> {
        self.change(account, |life| {
            let is_new = life.scram.iter().all(|known| known.hash != keys.hash);
            if is_new {
                life.scram.push(keys.clone());
                life.scram.sort_by_key(|known| known.hash);
            }
            Ok(is_new)
        })
    }

    async fn credentials(&self, account: &BareJid) -> Result<Option<Credentials>> {
        Ok(self.state().accounts.get(account).map(|life| Credentials {
            scram: life.scram.clone(),
            disabled: life.account.disabled,
            admin: life.account.admin,
            epoch: life.account.epoch,
        }))
    }

    async fn remove_account(&self, account: &BareJid, _now: Timestamp) -> Result<()> {
        let mut state = self.state();
        let life = state
            .accounts
            .remove(account)
            .ok_or(StoreError::NoSuchAccount)?;
        state.past.insert(
            account.clone(),
            (life.roster.version, life.blocklist.version),
        );
        state.forget_account(account);
        let is_others = |invitation: &Invitation| invitation.inviter.as_ref() != Some(account);
        state
            .invitations
            .retain(|_, invitation| is_others(invitation));
        state.forget_in_rooms(account);
        state.former.retain(|_, now| now != account);
        state.forget_waiting(account);
        let files = state.uploads.values_mut();
        files.for_each(|file| file.disown(account));
        Ok(())
    }

    async fn list_accounts(
        &self,
        domain: &str,
        after: Option<&BareJid>,
        max: u32,
    ) -> Result<Vec<Account>> {
        let state = self.state();
        let listed = state
            .accounts
            .values()
            .map(|life| &life.account)
            .filter(|account| {
                account.jid.domain() == domain && after.is_none_or(|after| account.jid > *after)
            });
        Ok(listed.take(max.min(LIST_MAX) as usize).cloned().collect())
    }

    async fn set_disabled(&self, account: &BareJid, disabled: bool) -> Result<()> {
        self.change(account, |life| {
            life.account.disabled = disabled;
            Ok(())
        })
    }

    async fn set_admin(&self, account: &BareJid, admin: bool) -> Result<()> {
        self.change(account, |life| {
            life.account.admin = admin;
            Ok(())
        })
    }

    async fn count_accounts(&self) -> Result<u64> {
        Ok(self.state().accounts.len() as u64)
    }

    async fn has_admin(&self) -> Result<bool> {
        Ok(self
            .state()
            .accounts
            .values()
            .any(|life| life.account.admin))
    }

    async fn accounts_among(&self, addresses: &[BareJid]) -> Result<Vec<BareJid>> {
        let state = self.state();
        let are_there = addresses
            .iter()
            .filter(|jid| state.accounts.contains_key(*jid));
        Ok(are_there.cloned().collect())
    }
}

impl State {
    fn create(
        &mut self,
        account: &BareJid,
        credentials: &Credentials,
        admin: bool,
        now: Timestamp,
    ) -> Result<()> {
        if self.accounts.contains_key(account) {
            return Err(StoreError::Conflict);
        }
        self.epoch += 1;
        let (roster, blocklist) = self
            .past
            .get(account)
            .map_or((0, 0), |(roster, blocklist)| (roster + 1, blocklist + 1));
        let mut life = Life {
            account: Account {
                jid: account.clone(),
                admin,
                disabled: credentials.disabled,
                created: now,
                epoch: self.epoch,
            },
            scram: Vec::new(),
            roster: Roster {
                version: roster,
                ..Roster::default()
            },
            blocklist: Blocklist {
                version: blocklist,
                ..Blocklist::default()
            },
            log: Log::default(),
            preferences: Preferences::default(),
            kept: BTreeMap::new(),
            push: Vec::new(),
            web_push: Vec::new(),
            tokens: Vec::new(),
        };
        life.set_keys(credentials);
        self.former.remove(account);
        self.accounts.insert(account.clone(), life);
        Ok(())
    }

    fn forget_waiting(&mut self, account: &BareJid) {
        self.waiting
            .retain(|(session, ..)| session.account != *account);
    }
}

impl Life {
    /// The last key of a hash counts.
    fn set_keys(&mut self, credentials: &Credentials) {
        let keys = credentials.scram.iter().map(|key| (key.hash, key.clone()));
        self.scram = keys.collect::<BTreeMap<_, _>>().into_values().collect();
    }

    fn change_roster(&mut self, changes: Vec<RosterChange>) -> u64 {
        let roster = &mut self.roster;
        if changes.is_empty() {
            return roster.version;
        }
        roster.version += 1;
        for change in changes {
            match change {
                RosterChange::Put(mut item) => {
                    item.version = roster.version;
                    roster.removed.retain(|(jid, _)| *jid != item.jid);
                    roster.items.insert(item.jid.clone(), item);
                }
                RosterChange::Remove(jid) => {
                    if roster.items.remove(&jid).is_some() {
                        roster.removed.push((jid, roster.version));
                    }
                }
            }
        }
        roster
            .removed
            .sort_by(|one, other| (one.1, &one.0).cmp(&(other.1, &other.0)));
        let forgotten = roster.removed.len().saturating_sub(REMOVED_MAX);
        roster.removed.drain(..forgotten);
        roster.version
    }
}

impl Snapshots for Memory {
    async fn snapshot(&self, account: &BareJid) -> Result<Snapshot> {
        let state = self.state();
        let life = state.accounts.get(account);
        let life = life.ok_or(StoreError::NoSuchAccount)?;
        Ok(Snapshot {
            roster: life.roster.clone(),
            blocklist: life.blocklist.clone(),
            cursor: life.log.cursor(),
            head: life.log.head(),
            avatar: state.last_payload(account, NS_METADATA),
            wish: life.kept.get(wish::NAME).map(|kept| kept.to_vec()),
        })
    }
}

impl Rosters for Memory {
    async fn change_roster(
        &self,
        account: &BareJid,
        expected: u64,
        changes: Vec<RosterChange>,
    ) -> Result<u64> {
        self.change(account, |life| match life.roster.version == expected {
            true => Ok(life.change_roster(changes)),
            false => Err(StoreError::Conflict),
        })
    }

    async fn who_shows(&self, to: &Jid) -> Result<Vec<BareJid>> {
        let account = to.bare();
        let shows = |life: &Life| {
            let item = life.roster.items.get(&account);
            let is_shown = item.is_some_and(|item| {
                matches!(item.subscription, Subscription::From | Subscription::Both)
            });
            is_shown && !log::is_blocked(&life.blocklist.jids, to)
        };
        let state = self.state();
        Ok(state
            .accounts
            .iter()
            .filter(|(_, life)| shows(life))
            .map(|(jid, _)| jid.clone())
            .collect())
    }
}

impl Blocklists for Memory {
    async fn change_blocklist(
        &self,
        account: &BareJid,
        expected: u64,
        add: Vec<Jid>,
        remove: Vec<Jid>,
    ) -> Result<u64> {
        self.change(account, |life| {
            let list = &mut life.blocklist;
            if list.version != expected {
                return Err(StoreError::Conflict);
            }
            if !add.is_empty() || !remove.is_empty() {
                list.version += 1;
                list.jids.retain(|jid| !remove.contains(jid));
                list.jids.extend(add);
            }
            Ok(list.version)
        })
    }

    async fn who_blocks(&self, jid: &Jid) -> Result<Vec<BareJid>> {
        let state = self.state();
        let blocking = state
            .accounts
            .iter()
            .filter(|(_, life)| log::is_blocked(&life.blocklist.jids, jid));
        Ok(blocking.map(|(account, _)| account.clone()).collect())
    }
}
