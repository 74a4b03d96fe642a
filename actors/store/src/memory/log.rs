//! Logs in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use klatsch_protocol::archive::{ArchiveQuery, Bounds, Direction, Entry, Page, PageFrom};
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::time::Timestamp;

use super::{Life, Memory, State};
use crate::blocklist::forms;
use crate::error::{Result, StoreError};
use crate::log::{Append, Appended, HIDDEN, IDS_MAX, Logs, PAGE_MAX, Placed, cut};

/// A log.
pub(super) struct Log {
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

impl Log {
    pub(super) fn head(&self) -> u64 {
        self.head
    }

    pub(super) fn cursor(&self) -> u64 {
        self.cursor
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

pub(super) fn is_blocked(blocked: &BTreeSet<Jid>, sender: &Jid) -> bool {
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

    async fn set_cursors(&self, cursors: Vec<(BareJid, u64)>) -> Result<()> {
        let mut state = self.state();
        for (account, id) in cursors {
            if let Some(life) = state.accounts.get_mut(&account) {
                life.log.cursor = life.log.cursor.max(id.min(life.log.head));
            }
        }
        Ok(())
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
