//! Who is in a room: XEP-0045 §7.2.8, several sessions of one account under one nick.
//!
//! Soft state: it is rebuilt from what sessions remember (`rejoin.rs`).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::effect::RoomEffect;
use super::nick::{self, Nick};
use super::role::Role;
use crate::jid::{BareJid, FullJid};
use crate::time::Timestamp;
use crate::xml::Payloads;

/// A nick's holder.
#[derive(Debug, Clone, PartialEq)]
pub struct Occupant {
    /// The nick.
    pub nick: Nick,
    /// Who it is, really.
    pub account: BareJid,
    /// What they may do.
    pub role: Role,
    /// Their occupant id (XEP-0421).
    pub id: Box<str>,
    /// Their sessions under this nick, never none.
    pub sessions: Vec<Session>,
    /// Their presence as those see it who may know addresses, and as all others do.
    pub(super) shown: [Payloads; 2],
}

/// One session of an occupant.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Its address.
    pub jid: FullJid,
    /// What it says of itself, without what rooms alone may say.
    pub presence: Payloads,
    /// Its priority.
    pub priority: i8,
    /// When it came in.
    pub joined: Timestamp,
}

impl Occupant {
    /// The session that speaks for the nick: the one with the highest priority, of equals
    /// the one heard of last.
    pub fn speaker(&self) -> &Session {
        let best = self.sessions.iter().max_by_key(|session| session.priority);
        best.expect("an occupant has a session")
    }

    /// The session with this address.
    pub fn session(&self, jid: &FullJid) -> Option<&Session> {
        self.sessions.iter().find(|session| session.jid == *jid)
    }

    /// The addresses of its sessions.
    pub fn jids(&self) -> impl Iterator<Item = &FullJid> {
        self.sessions.iter().map(|session| &session.jid)
    }

    /// When its first session came in.
    pub fn joined(&self) -> Timestamp {
        let times = self.sessions.iter().map(|session| session.joined);
        times.min().unwrap_or_default()
    }

    /// What a session of this occupant is told to forget as it leaves.
    pub(super) fn forget(&self, jid: &FullJid) -> RoomEffect {
        let joined = self.session(jid).map(|session| session.joined);
        RoomEffect::Forget(jid.clone(), joined.unwrap_or_default())
    }

    /// Puts a session in, or its new presence in its place; the last one heard of is last.
    pub(super) fn put(&mut self, session: Session) {
        self.sessions.retain(|known| known.jid != session.jid);
        self.sessions.push(session);
    }
}

/// All occupants of a room.
#[derive(Debug, Clone, Default)]
pub struct Occupants {
    by_nick: BTreeMap<Nick, Occupant>,
    /// What nicks are compared by.
    by_key: BTreeMap<Box<str>, Nick>,
    by_session: BTreeMap<FullJid, Nick>,
    /// Everybody's sessions, as a broadcast takes them.
    everyone: Option<Arc<[FullJid]>>,
}

impl Occupants {
    /// Tells whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.by_nick.is_empty()
    }

    /// How many nicks there are.
    pub fn len(&self) -> usize {
        self.by_nick.len()
    }

    /// How many sessions there are.
    pub fn sessions(&self) -> usize {
        self.by_session.len()
    }

    /// The occupant with exactly this nick.
    pub fn get(&self, nick: &str) -> Option<&Occupant> {
        self.by_nick.get(nick)
    }

    /// The occupant whose nick counts as the same as this one.
    pub fn like(&self, nick: &str) -> Option<&Occupant> {
        let keys = nick::keys(nick);
        let same = keys.iter().find_map(|key| self.by_key.get(key));
        self.by_nick.get(same?)
    }

    /// The occupant that this session is.
    pub fn of_session(&self, session: &FullJid) -> Option<&Occupant> {
        self.by_nick.get(self.by_session.get(session)?)
    }

    /// The occupants of an account; more than one when its sessions have several nicks.
    pub fn of_account<'a>(&'a self, account: &'a BareJid) -> impl Iterator<Item = &'a Occupant> {
        // Sessions sort behind their account's address and a slash.
        let from = self.by_session.range::<str, _>((
            std::ops::Bound::Included(account.as_str()),
            std::ops::Bound::Unbounded,
        ));
        let mine = from.take_while(|(jid, _)| jid.as_str().starts_with(account.as_str()));
        let mine = mine.filter(|(jid, _)| jid.bare_str() == account.as_str());
        let nicks: std::collections::BTreeSet<&Nick> = mine.map(|(_, nick)| nick).collect();
        nicks.into_iter().filter_map(|nick| self.by_nick.get(nick))
    }

    /// Everybody, in the order of their nicks.
    pub fn iter(&self) -> impl Iterator<Item = &Occupant> {
        self.by_nick.values()
    }

    /// The sessions of everybody.
    pub(super) fn everyone(&mut self) -> Arc<[FullJid]> {
        let all = || self.by_session.keys().cloned().collect();
        self.everyone.get_or_insert_with(all).clone()
    }

    /// An occupant, to change it. Its nick and sessions are changed here alone.
    pub(super) fn get_mut(&mut self, nick: &str) -> Option<&mut Occupant> {
        self.by_nick.get_mut(nick)
    }

    /// Puts a session under a nick, whose holder is this occupant if there is none yet.
    pub(super) fn put(&mut self, occupant: Occupant, session: Session) {
        self.everyone = None;
        let nick = occupant.nick.clone();
        if !self.by_nick.contains_key(&nick) {
            for key in nick::keys(&nick) {
                self.by_key.insert(key, nick.clone());
            }
        }
        self.by_session.insert(session.jid.clone(), nick.clone());
        self.by_nick.entry(nick).or_insert(occupant).put(session);
    }

    /// Takes a session out; its occupant goes with the last one.
    pub(super) fn take(&mut self, session: &FullJid) {
        let Some(nick) = self.by_session.remove(session) else {
            return;
        };
        self.everyone = None;
        if let Some(occupant) = self.by_nick.get_mut(&nick) {
            occupant.sessions.retain(|known| known.jid != *session);
            if occupant.sessions.is_empty() {
                self.by_nick.remove(&nick);
                for key in nick::keys(&nick) {
                    if self.by_key.get(&key) == Some(&nick) {
                        self.by_key.remove(&key);
                    }
                }
            }
        }
    }
}
