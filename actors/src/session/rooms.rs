//! The rooms a session is in: what it hears there, and what it has missed.
//!
//! What is said to all is an entry of the room's log. Its hints may be lost and its client may
//! be slow or away: the same rules as for the account's log hold ([`super::cursor`]). What
//! passes (presence, chat states) is delivered or held as any other stanza.

use std::sync::Arc;

use klatsch_protocol::archive::Entry;
use klatsch_protocol::effect::Effect;
use klatsch_protocol::features::csi;
use klatsch_protocol::features::muc::effect::Occupancy;
use klatsch_protocol::features::muc::history;
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::pipeline;
use klatsch_protocol::stanza::{PresenceKind, Stanza};
use klatsch_protocol::stream::sm::Unacked;
use klatsch_store::StoreError;
use serde::{Deserialize, Serialize};

use super::cursor::{Cursor, Hint};
use super::log::PAGE;
use super::message::Answered;
use super::{Connection, Live, SessionMsg};
use crate::mail::{Heard, RoomMail};
use crate::metrics;
use crate::push;
use crate::room::keeper::KeeperMsg;
use crate::room::{Settled, ask};
use crate::router::patiently;

/// A session's place in a room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Membership {
    /// What the room is told if it is started again.
    pub occupancy: Occupancy,
    /// How far the session has read the room's log; `None` before it has heard of any entry.
    pub cursor: Option<Cursor>,
}

impl Live {
    /// Brings a stanza to a room; the client's next one waits until it is settled, so that what
    /// it says has one order and its acknowledgement means kept (D1).
    pub(super) fn ask_room(&self, stanza: Stanza) {
        let room = stanza.to().map_or("", Jid::bare_str);
        let inside = self.session.rooms.get(room);
        let occupancy = inside.map(|inside| Box::new(inside.occupancy.clone()));
        let counted = Some(self.counted_key().into());
        let world = self.world.clone();
        self.later(async move {
            match ask::deliver(&world, Arc::new(stanza), occupancy, counted).await {
                Settled::Done => Answered::Done,
                Settled::Refused(error) => Answered::Refused(error),
                Settled::Replied(reply) => Answered::Replied(reply),
                Settled::Uncertain => Answered::Uncertain,
            }
        });
    }

    /// Whether a stanza would enter one room more than a session may be in.
    pub(super) fn is_in_too_many_rooms(&self, stanza: &Stanza) -> bool {
        let Stanza::Presence(presence) = stanza else {
            return false;
        };
        let rooms = &self.session.rooms;
        let room = presence.head.to.as_ref().map_or("", Jid::bare_str);
        presence.kind == PresenceKind::Available
            && rooms.len() >= self.world.settings.rooms_joined_max
            && !rooms.contains_key(room)
    }

    /// A room has something for this session.
    pub(super) fn take_room_mail(&mut self, mail: &RoomMail) {
        if self.has_ended {
            return;
        }
        match mail {
            RoomMail::Heard(heard) => self.hear(heard),
            RoomMail::Shown(stanzas) => stanzas.iter().for_each(|stanza| self.show_stanza(stanza)),
            RoomMail::Remember(room, Some(occupancy)) => self.remember(room, occupancy),
            RoomMail::Remember(room, None) => self.forget_room(room),
            RoomMail::CaughtUp(room, id) => {
                if let Some(inside) = self.session.rooms.get_mut(room) {
                    let cursor = inside.cursor.get_or_insert_with(|| Cursor::at(*id));
                    cursor.catch_up(*id);
                    self.go_on_reading_room(room);
                }
            }
            RoomMail::Ends(room, id) => {
                let inside = self.session.rooms.get(room);
                let cursor = inside.and_then(|inside| inside.cursor.as_ref());
                self.wake_in_time(cursor.is_some_and(|cursor| *id > cursor.tail()));
                if let Some(inside) = self.session.rooms.get_mut(room) {
                    let cursor = inside.cursor.get_or_insert_with(|| Cursor::at(*id));
                    cursor.hear_tail(*id);
                    self.go_on_reading_room(room);
                }
            }
        }
    }

    fn remember(&mut self, room: &BareJid, occupancy: &Occupancy) {
        let before = self.session.rooms.get(room);
        let cursor = before.and_then(|before| before.cursor.clone());
        if let Some(replica) = self.world.directory.replica() {
            replica.inside(room, &self.session.facts.jid, self.slot, Some(occupancy));
        }
        let occupancy = occupancy.clone();
        let inside = Membership { occupancy, cursor };
        self.session.rooms.insert(room.clone(), inside);
        self.show_record();
    }

    fn forget_room(&mut self, room: &BareJid) {
        self.session.rooms.remove(room);
        if let Some(replica) = self.world.directory.replica() {
            replica.inside(room, &self.session.facts.jid, self.slot, None);
        }
    }

    /// Nobody goes on with this session from its record.
    pub(super) fn forget_record(&self) {
        if let (Some(replica), Some(sm)) = (self.world.directory.replica(), &self.session.sm)
            && sm.is_resumable()
        {
            replica.forget_record(&self.cell.jid, &sm.id);
        }
    }

    /// The session ends: it is inside nothing.
    pub(super) fn forget_rooms(&self) {
        let Some(replica) = self.world.directory.replica() else {
            return;
        };
        for room in self.session.rooms.keys() {
            replica.inside(room, &self.session.facts.jid, self.slot, None);
        }
    }

    fn hear(&mut self, heard: &Heard) {
        let Some(id) = heard.entry else {
            self.show_stanza(&heard.stanza);
            return;
        };
        self.doze_or_wake_in_room(heard);
        self.push_in_room(heard);
        let can_take = self.can_take_entries() && !self.room_pulls.contains(&heard.room);
        let Some(inside) = self.session.rooms.get_mut(&heard.room) else {
            return;
        };
        let cursor = inside.cursor.get_or_insert_with(|| Cursor::at(id - 1));
        match cursor.hint(id, can_take) {
            Hint::Next if self.is_passed_on(&heard.stanza) => {
                let has_sm = self.session.sm.is_some();
                let room = || heard.room.clone();
                let unacked = has_sm.then(|| Unacked::RoomEntry { room: room(), id });
                self.pass_on(&heard.stanza, unacked);
            }
            Hint::Next => self.deliver_room_entry(&heard.room, id, &self.own(&heard.stanza)),
            Hint::Known => {}
            Hint::Missing => self.go_on_reading_room(&heard.room),
        }
    }

    /// A device whose connection is lost is told of it (XEP-0357).
    fn push_in_room(&self, heard: &Heard) {
        let inside = self.session.rooms.get(&heard.room);
        if let (Some(inside), Stanza::Message(message)) = (inside, &heard.stanza)
            && matches!(self.connection, Connection::Away)
        {
            let (session, nick) = (&self.session.facts.jid, &inside.occupancy.nick);
            push::ask_for_occupant(&self.world, session, nick, message);
        }
    }

    /// Whether it calls for the user is looked at only where that matters: the text of a message
    /// to a thousand would be read a thousand times.
    fn doze_or_wake_in_room(&mut self, heard: &Heard) {
        if !self.session.facts.inactive {
            return;
        }
        if let (Some(inside), Stanza::Message(message)) =
            (self.session.rooms.get(&heard.room), &heard.stanza)
        {
            let (nick, account) = (&inside.occupancy.nick, self.cell.jid.as_str());
            let waits = csi::room_entry_waits(message, nick, account);
            self.doze_or_wake(waits);
        }
    }

    /// What a room shows that stands in no log.
    fn show_stanza(&mut self, stanza: &Stanza) {
        if !self.is_passed_on(stanza) {
            self.deliver(&self.own(stanza));
            return;
        }
        let has_sm = self.session.sm.is_some();
        let unacked = has_sm.then(|| Unacked::Stanza(Box::new(self.own(stanza))));
        self.pass_on(stanza, unacked);
    }

    /// A stanza for many as this session's own.
    fn own(&self, stanza: &Stanza) -> Stanza {
        let mut stanza = stanza.clone();
        stanza.head_mut().to = Some(self.session.facts.jid.clone().into());
        stanza
    }

    /// Whether the client is there and gets the stanza as it is.
    fn is_passed_on(&self, stanza: &Stanza) -> bool {
        let data = self.cell.data();
        let facts = self
            .world
            .facts(&self.cell.jid, &data, Some(&self.session.facts));
        matches!(self.connection, Connection::Here(_)) && pipeline::is_passed_on(stanza, &facts)
    }

    fn deliver_room_entry(&mut self, room: &BareJid, id: u64, stanza: &Stanza) {
        let data = self.cell.data();
        let facts = self
            .world
            .facts(&self.cell.jid, &data, Some(&self.session.facts));
        for effect in pipeline::decide_room_entry(stanza, &facts) {
            match effect {
                Effect::Reply(stanza) => {
                    let room = room.clone();
                    let has_sm = self.session.sm.is_some();
                    let unacked = has_sm.then_some(Unacked::RoomEntry { room, id });
                    self.write(&stanza, unacked);
                }
                other => self.perform_delivery(other),
            }
        }
    }

    /// Reads on from the logs of all rooms, if there is something and the client can take it.
    pub(super) fn go_on_reading_rooms(&mut self) {
        let is_behind = |inside: &Membership| inside.cursor.as_ref().is_some_and(Cursor::is_behind);
        let all = self.session.rooms.iter();
        let behind: Vec<BareJid> = all
            .filter(|(_, inside)| is_behind(inside))
            .map(|(room, _)| room.clone())
            .collect();
        for room in behind {
            self.go_on_reading_room(&room);
        }
    }

    fn go_on_reading_room(&mut self, room: &BareJid) {
        let inside = self.session.rooms.get(room);
        let cursor = inside.and_then(|inside| inside.cursor.as_ref());
        let Some(cursor) = cursor.filter(|cursor| cursor.is_behind()) else {
            return;
        };
        if !self.can_take_entries() || self.room_pulls.contains(room) {
            return;
        }
        let after = cursor.position();
        self.room_pulls.insert(room.clone());
        metrics::log_read();
        let (world, slot, room) = (self.world.clone(), self.slot, room.clone());
        tokio::spawn(async move {
            let page = patiently(world.store.room_entries(&room, after, PAGE)).await;
            let slots = &world.directory.slots;
            slots.send(slot, SessionMsg::RoomPulled(room, page));
        });
    }

    /// The next entries of a room's log have come.
    pub(super) fn room_pulled(&mut self, room: &BareJid, page: Result<Vec<Entry>, StoreError>) {
        self.room_pulls.remove(room);
        if !matches!(self.connection, Connection::Here(_)) {
            return;
        }
        match page {
            Ok(entries) if entries.is_empty() => self.settle_room(room),
            Ok(entries) => {
                for entry in &entries {
                    self.take_room_entry(room, entry);
                }
                self.go_on_reading_room(room);
            }
            Err(StoreError::NoSuchRoom) => self.settle_room(room),
            // The next hint tries again.
            Err(error) => tracing::warn!(%error, "the log of a room cannot be read"),
        }
    }

    /// The room's log turned out to end earlier than was heard.
    fn settle_room(&mut self, room: &BareJid) {
        let inside = self.session.rooms.get_mut(room);
        if let Some(cursor) = inside.and_then(|inside| inside.cursor.as_mut()) {
            cursor.settle();
        }
    }

    fn take_room_entry(&mut self, room: &BareJid, entry: &Entry) {
        let inside = self.session.rooms.get_mut(room);
        let cursor = inside.and_then(|inside| inside.cursor.as_mut());
        let is_new = cursor.is_some_and(|cursor| cursor.take(entry.id));
        if self.has_ended || !is_new {
            return;
        }
        if let Some(mut message) = history::missed_message(room, entry) {
            message.head.to = Some(self.session.facts.jid.clone().into());
            self.deliver_room_entry(room, entry.id, &message.into());
        }
    }

    /// A room, or all of them, was started again and knows nobody.
    pub(super) fn announce(&self, room: Option<&BareJid>) {
        let concerned = |inside: &&Membership| room.is_none_or(|it| *it == inside.occupancy.room);
        for inside in self.session.rooms.values().filter(concerned) {
            let room = &inside.occupancy.room;
            if let Some(replica) = self.world.directory.replica() {
                let session = &self.session.facts.jid;
                replica.inside(room, session, self.slot, Some(&inside.occupancy));
            }
            let peers = self.world.directory.peers();
            if peers.is_some_and(|peers| peers.home(room).is_some()) {
                // The room's node sees it.
                continue;
            }
            let rejoin = KeeperMsg::Rejoin {
                session: self.session.facts.jid.clone(),
                occupancy: Box::new(inside.occupancy.clone()),
            };
            // A keeper that fails once more asks once more.
            let _ = self.world.registry.room_keeper().cast(rejoin);
        }
    }

    /// Where this session is inside rooms.
    pub(super) fn occupied(&self) -> Vec<Jid> {
        let address = |inside: &Membership| {
            let occupancy = &inside.occupancy;
            let address = occupancy.room.with_resource(&occupancy.nick);
            // Rooms prepare nicks as resources.
            address.ok().map(Jid::from)
        };
        self.session.rooms.values().filter_map(address).collect()
    }
}
