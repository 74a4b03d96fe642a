//! Logs in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use klatsch_protocol::archive::{ArchiveQuery, Bounds, Direction, Entry, Page, PageFrom};
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::time::Timestamp;

use super::{Life, Memory, State};
use crate::blocklist::forms;
use crate::error::{Result, StoreError};
use crate::log::{
    Append, Appended, Arrival, Arrived, Dedup, HIDDEN, IDS_MAX, LogAppend, LogAppended, Logs,
    PAGE_MAX, Placed, Restore, Sent, cut,
};
use crate::rooms::dedup_of;

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

    /// A log whose ids go on after those of an earlier one.
    pub(super) fn after(head: u64) -> Self {
        Self {
            head,
            ..Self::default()
        }
    }

    /// Ids up to this one are not given any more.
    pub(super) fn skip(&mut self, through: u64) {
        self.head = self.head.max(through);
    }

    /// What has been said under a key: its payload and its places.
    pub(super) fn said(&self, dedup: Option<&Dedup>) -> Option<(u64, Placed, Option<Placed>)> {
        self.replays.get(&dedup?.key).copied()
    }

    /// Remembers what is said under a key.
    pub(super) fn say(&mut self, dedup: Option<&Dedup>, first: Placed, twin: Option<Placed>) {
        if let Some(dedup) = dedup {
            self.replays.insert(dedup.key, (dedup.payload, first, twin));
        }
    }

    /// Allots the next id.
    pub(super) fn place(
        &mut self,
        with: &Jid,
        direction: Direction,
        stanza: &Bytes,
        flags: u8,
        now: Timestamp,
    ) -> Placed {
        self.head += 1;
        self.stamp = self.stamp.max(now);
        let entry = Entry {
            id: self.head,
            stamp: self.stamp,
            direction,
            with: with.bare(),
            stanza: stanza.clone(),
        };
        let line = Line {
            entry,
            resource: with.resource().map(str::to_owned),
            flags,
        };
        self.entries.insert(self.head, line);
        Placed {
            id: self.head,
            stamp: self.stamp,
        }
    }

    /// Puts something in the place of an entry.
    pub(super) fn replace(&mut self, id: u64, stanza: &Bytes) {
        if let Some(line) = self.entries.get_mut(&id) {
            line.entry.stanza = stanza.clone();
        }
    }

    pub(super) fn later(&self, after: u64, max: u32) -> Vec<Entry> {
        let later = self.entries.values().filter(|line| line.entry.id > after);
        let later = later.take(max.min(PAGE_MAX) as usize);
        later.map(|line| line.entry.clone()).collect()
    }

    pub(super) fn entry(&self, id: u64) -> Option<Entry> {
        self.entries.get(&id).map(|line| line.entry.clone())
    }
}

impl State {
    fn append(&mut self, append: &Append) -> Appended {
        let sender = append.sender.bare();
        let Some(life) = self.accounts.get(&sender) else {
            return Appended::NoSuchAccount;
        };
        if let Some(dedup) = &append.dedup
            && let Some((payload, sender, recipient)) = life.log.said(Some(dedup))
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
        if let Some(life) = self.accounts.get_mut(&sender) {
            life.log.say(append.dedup.as_ref(), first, twin);
        }
        Appended::Stored {
            sender: first,
            recipient: twin,
        }
    }

    fn restore(&mut self, restore: &Restore) -> Appended {
        let Some(life) = self.accounts.get_mut(&restore.account) else {
            return Appended::NoSuchAccount;
        };
        if let Some((payload, sender, recipient)) = life.log.said(Some(&restore.dedup)) {
            return match payload == restore.dedup.payload {
                true => Appended::Replay { sender, recipient },
                false => Appended::ReplayOtherPayload,
            };
        }
        let log = &mut life.log;
        let sender = log.place(
            &restore.with,
            restore.direction,
            &restore.stanza,
            0,
            restore.stamp,
        );
        log.say(Some(&restore.dedup), sender, None);
        Appended::Stored {
            sender,
            recipient: None,
        }
    }

    fn arrive(&mut self, arrival: &Arrival) -> Arrived {
        let Some(life) = self.accounts.get_mut(&arrival.recipient) else {
            return Arrived::NoSuchAccount;
        };
        let (from, stanza, now) = (&arrival.from, &arrival.stanza, arrival.now);
        let dedup = arrival.dedup.as_ref();
        let dedup = dedup.map(|dedup| dedup_of(&arrival.sender, dedup));
        if let (Some(dedup), Some((payload, placed, _))) = (&dedup, life.log.said(dedup.as_ref())) {
            return match payload == dedup.payload {
                true => Arrived::Replay(placed),
                false => Arrived::ReplayOtherPayload,
            };
        }
        if is_blocked(&life.blocklist.jids, from) {
            return Arrived::Blocked;
        }
        let flags = hidden(&arrival.recipient, life, from, false);
        let recipient = life
            .log
            .place(from, Direction::Received, stanza, flags, now);
        life.log.say(dedup.as_ref(), recipient, None);
        let sender = arrival.sent.as_ref().and_then(|Sent { with, stanza }| {
            let account = arrival.sender.bare();
            let life = self.accounts.get_mut(&account)?;
            let flags = hidden(&account, life, with, false);
            Some(life.log.place(with, Direction::Sent, stanza, flags, now))
        });
        Arrived::Stored { recipient, sender }
    }

    fn place(
        &mut self,
        account: &BareJid,
        with: &Jid,
        direction: Direction,
        append: &Append,
    ) -> Option<Placed> {
        let life = self.accounts.get_mut(account)?;
        let flags = append.flags | hidden(account, life, with, append.are_colleagues);
        let log = &mut life.log;
        Some(log.place(with, direction, &append.stanza, flags, append.now))
    }
}

/// The flags of an entry that its account may not want to find.
fn hidden(account: &BareJid, life: &Life, with: &Jid, is_colleague: bool) -> u8 {
    let preferences = &life.preferences;
    match preferences.wants(account, with, &life.roster, is_colleague) {
        true => 0,
        false => HIDDEN,
    }
}

pub(super) fn is_blocked(blocked: &BTreeSet<Jid>, sender: &Jid) -> bool {
    !blocked.is_empty()
        && forms(sender)
            .iter()
            .any(|form| blocked.contains(form.as_str()))
}

impl Log {
    pub(super) fn page(&self, query: &ArchiveQuery) -> Result<Page> {
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

    /// Deletes what was stamped before `stamp`, but nothing after `keep_after`.
    pub(super) fn purge(&mut self, stamp: Timestamp, keep_after: u64) -> u64 {
        let before = self.entries.len();
        self.entries
            .retain(|id, line| line.entry.stamp >= stamp || *id > keep_after);
        let first = self.entries.keys().next().copied();
        let first = first.unwrap_or(self.head + 1);
        self.replays.retain(|_, (_, sender, _)| sender.id >= first);
        (before - self.entries.len()) as u64
    }

    /// Deletes what no query shows, was stamped before `stamp`, and has been delivered.
    pub(super) fn purge_hidden(&mut self, stamp: Timestamp) -> u64 {
        let (before, cursor) = (self.entries.len(), self.cursor);
        self.entries.retain(|id, line| {
            line.flags & HIDDEN == 0 || line.entry.stamp >= stamp || *id > cursor
        });
        (before - self.entries.len()) as u64
    }

    fn visible(&self) -> impl DoubleEndedIterator<Item = &Line> {
        self.entries
            .values()
            .filter(|line| line.flags & HIDDEN == 0)
    }

    pub(super) fn bounds(&self) -> Option<Bounds> {
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
        && query
            .search
            .as_ref()
            .is_none_or(|search| search.matches(&entry.stanza))
}

impl Logs for Memory {
    async fn append_all(&self, batch: Vec<LogAppend>) -> Result<Vec<LogAppended>> {
        let mut state = self.state();
        let append = |append: &LogAppend| match append {
            LogAppend::Account(append) => LogAppended::Account(state.append(append)),
            LogAppend::Room(append) => LogAppended::Room(state.append_room(append)),
            LogAppend::Restore(restore) => LogAppended::Account(state.restore(restore)),
            LogAppend::Arrival(arrival) => LogAppended::Arrival(state.arrive(arrival)),
        };
        Ok(batch.iter().map(append).collect())
    }

    async fn append(&self, batch: Vec<Append>) -> Result<Vec<Appended>> {
        let mut state = self.state();
        Ok(batch.iter().map(|append| state.append(append)).collect())
    }

    async fn restore(&self, batch: Vec<Restore>) -> Result<Vec<Appended>> {
        let mut state = self.state();
        Ok(batch.iter().map(|restore| state.restore(restore)).collect())
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
        self.read(account, |life| life.log.later(after, max))
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
        self.change(account, |life| Ok(life.log.purge(stamp, keep_after)))
    }
}
