//! The store in memory, for tests: the same promises, until the process ends.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use klatsch_protocol::archive::{ArchiveQuery, Bounds, Direction, Entry, Page, PageFrom};
use klatsch_protocol::features::blocking::Blocklist;
use klatsch_protocol::features::roster::{Roster, RosterChange, Subscription};
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::sasl::ScramCredentials;
use klatsch_protocol::time::Timestamp;

use crate::accounts::{Account, Accounts, Credentials, LIST_MAX};
use crate::blocklist::{Blocklists, forms};
use crate::error::{Result, StoreError};
use crate::log::{Append, Appended, HIDDEN, IDS_MAX, Logs, PAGE_MAX, Placed, cut};
use crate::roster::{REMOVED_MAX, Rosters};
use crate::store::Upkeep;

/// The memory backend.
#[derive(Default)]
pub(crate) struct Memory {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    accounts: BTreeMap<BareJid, Life>,
    /// The versions of the roster and the block list that removed accounts had.
    past: HashMap<BareJid, (u64, u64)>,
    epoch: u64,
}

/// One life of an account.
struct Life {
    account: Account,
    scram: Vec<ScramCredentials>,
    roster: Roster,
    blocklist: Blocklist,
    log: Log,
}

/// A log.
struct Log {
    entries: BTreeMap<u64, Line>,
    replays: HashMap<[u8; 16], (u64, Placed, Option<Placed>)>,
    head: u64,
    stamp: Timestamp,
    cursor: u64,
}

/// An entry and what queries want to know of it.
struct Line {
    entry: Entry,
    resource: Option<String>,
    flags: u8,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            replays: HashMap::new(),
            head: 0,
            stamp: Timestamp(i64::MIN),
            cursor: 0,
        }
    }
}

impl Memory {
    /// A poisoned lock is taken over: no change below can panic half-way.
    fn state(&self) -> MutexGuard<'_, State> {
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

    async fn sweep(&self) -> Result<bool> {
        Ok(false)
    }

    async fn integrity_check(&self) -> Result<()> {
        Ok(())
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
        let mut state = self.state();
        if state.accounts.contains_key(account) {
            return Err(StoreError::Conflict);
        }
        state.epoch += 1;
        let (roster, blocklist) = state
            .past
            .get(account)
            .map_or((0, 0), |(roster, blocklist)| (roster + 1, blocklist + 1));
        let mut life = Life {
            account: Account {
                jid: account.clone(),
                admin,
                disabled: credentials.disabled,
                created: now,
                epoch: state.epoch,
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
        };
        life.set_keys(credentials);
        state.accounts.insert(account.clone(), life);
        Ok(())
    }

    async fn set_credentials(&self, account: &BareJid, credentials: &Credentials) -> Result<()> {
        self.change(account, |life| {
            life.set_keys(credentials);
            Ok(())
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

impl Rosters for Memory {
    async fn roster(&self, account: &BareJid) -> Result<Roster> {
        self.read(account, |life| life.roster.clone())
    }

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

    async fn who_shows(&self, to: &BareJid) -> Result<Vec<BareJid>> {
        let shows = |life: &Life| {
            life.roster.items.get(to).is_some_and(|item| {
                matches!(item.subscription, Subscription::From | Subscription::Both)
            })
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
    async fn blocklist(&self, account: &BareJid) -> Result<Blocklist> {
        self.read(account, |life| life.blocklist.clone())
    }

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
}

impl State {
    fn append(&mut self, append: &Append) -> Appended {
        let sender = append.sender.bare();
        let Some(life) = self.accounts.get(&sender) else {
            return Appended::NoSuchAccount;
        };
        if let Some(dedup) = &append.dedup
            && let Some((payload, sender, recipient)) = life.log.replays.get(&dedup.key).copied()
        {
            return match payload == dedup.payload {
                true => Appended::Replay { sender, recipient },
                false => Appended::ReplayOtherPayload,
            };
        }
        let recipient = append
            .recipient
            .as_ref()
            .filter(|recipient| **recipient != sender);
        if let Some(recipient) = recipient {
            match self.accounts.get(recipient) {
                None => return Appended::NoSuchAccount,
                Some(life) if is_blocked(&life.blocklist.jids, &append.sender) => {
                    return Appended::Blocked;
                }
                Some(_) => {}
            }
        }
        let own = append.with.bare_str() == sender.as_str();
        let direction = if own { Direction::Own } else { Direction::Sent };
        let Some(first) = self.place(&sender, &append.with, direction, append) else {
            return Appended::NoSuchAccount;
        };
        let twin = recipient.and_then(|recipient| {
            self.place(recipient, &append.sender, Direction::Received, append)
        });
        if let (Some(dedup), Some(life)) = (&append.dedup, self.accounts.get_mut(&sender)) {
            life.log
                .replays
                .insert(dedup.key, (dedup.payload, first, twin));
        }
        Appended::Stored {
            sender: first,
            recipient: twin,
        }
    }

    fn place(
        &mut self,
        account: &BareJid,
        with: &Jid,
        direction: Direction,
        append: &Append,
    ) -> Option<Placed> {
        let log = &mut self.accounts.get_mut(account)?.log;
        log.head += 1;
        log.stamp = log.stamp.max(append.now);
        let entry = Entry {
            id: log.head,
            stamp: log.stamp,
            direction,
            with: with.bare(),
            stanza: append.stanza.clone(),
        };
        let resource = with.resource().map(str::to_owned);
        log.entries.insert(
            log.head,
            Line {
                entry,
                resource,
                flags: append.flags,
            },
        );
        Some(Placed {
            id: log.head,
            stamp: log.stamp,
        })
    }
}

fn is_blocked(blocked: &BTreeSet<Jid>, sender: &Jid) -> bool {
    !blocked.is_empty()
        && forms(sender)
            .iter()
            .any(|form| blocked.contains(form.as_str()))
}

impl Log {
    fn page(&self, query: &ArchiveQuery) -> Result<Page> {
        let from = match query.page {
            PageFrom::After(id) | PageFrom::Before(id) => Some(id),
            PageFrom::Start | PageFrom::End => None,
        };
        let mut ids = query
            .ids
            .iter()
            .copied()
            .chain(query.after_id)
            .chain(query.before_id)
            .chain(from);
        if query.ids.len() > IDS_MAX || ids.any(|id| !self.entries.contains_key(&id)) {
            return Err(StoreError::NoSuchItem);
        }
        let passing = self.visible().filter(|line| passes(line, query));
        Ok(cut(passing.map(|line| line.entry.clone()).collect(), query))
    }

    fn visible(&self) -> impl DoubleEndedIterator<Item = &Line> {
        self.entries
            .values()
            .filter(|line| line.flags & HIDDEN == 0)
    }

    fn bounds(&self) -> Option<Bounds> {
        let place = |line: &Line| (line.entry.id, line.entry.stamp);
        let (first, last) = (self.visible().next()?, self.visible().next_back()?);
        Some(Bounds {
            first: place(first),
            last: place(last),
        })
    }
}

fn passes(line: &Line, query: &ArchiveQuery) -> bool {
    let entry = &line.entry;
    let with = query.with.as_ref().is_none_or(|with| {
        with.bare_str() == entry.with.as_str()
            && with
                .resource()
                .is_none_or(|resource| line.resource.as_deref() == Some(resource))
    });
    with && query.start.is_none_or(|start| entry.stamp >= start)
        && query.end.is_none_or(|end| entry.stamp <= end)
        && query.after_id.is_none_or(|id| entry.id > id)
        && query.before_id.is_none_or(|id| entry.id < id)
        && (query.ids.is_empty() || query.ids.contains(&entry.id))
}

impl Logs for Memory {
    async fn append(&self, batch: Vec<Append>) -> Result<Vec<Appended>> {
        let mut state = self.state();
        Ok(batch.iter().map(|append| state.append(append)).collect())
    }

    async fn head(&self, account: &BareJid) -> Result<u64> {
        self.read(account, |life| life.log.head)
    }

    async fn heads(&self, accounts: &[BareJid]) -> Result<Vec<u64>> {
        let state = self.state();
        let head = |account| {
            state
                .accounts
                .get(account)
                .map_or(0, |life: &Life| life.log.head)
        };
        Ok(accounts.iter().map(head).collect())
    }

    async fn entries(&self, account: &BareJid, after: u64, max: u32) -> Result<Vec<Entry>> {
        self.read(account, |life| {
            let later = life
                .log
                .entries
                .values()
                .filter(|line| line.entry.id > after);
            later
                .take(max.min(PAGE_MAX) as usize)
                .map(|line| line.entry.clone())
                .collect()
        })
    }

    async fn query(&self, account: &BareJid, query: &ArchiveQuery) -> Result<Page> {
        self.read(account, |life| life.log.page(query))?
    }

    async fn bounds(&self, account: &BareJid) -> Result<Option<Bounds>> {
        self.read(account, |life| life.log.bounds())
    }

    async fn cursor(&self, account: &BareJid) -> Result<u64> {
        self.read(account, |life| life.log.cursor)
    }

    async fn set_cursor(&self, account: &BareJid, id: u64) -> Result<()> {
        self.change(account, |life| {
            life.log.cursor = life.log.cursor.max(id.min(life.log.head));
            Ok(())
        })
    }

    async fn purge_before(
        &self,
        account: &BareJid,
        stamp: Timestamp,
        keep_after: u64,
    ) -> Result<u64> {
        self.change(account, |life| {
            let log = &mut life.log;
            let before = log.entries.len();
            log.entries
                .retain(|id, line| line.entry.stamp >= stamp || *id > keep_after);
            let first = log.entries.keys().next().copied().unwrap_or(log.head + 1);
            log.replays.retain(|_, (_, sender, _)| sender.id >= first);
            Ok((before - log.entries.len()) as u64)
        })
    }
}
