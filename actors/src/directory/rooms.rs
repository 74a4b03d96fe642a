//! Where rooms are, and what they have for sessions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use klatsch_cluster::node_id::NodeId;
use klatsch_protocol::jid::{BareJid, FullJid};
use ractor::ActorRef;

use super::{Directory, Place};
use crate::mail::{Mail, RoomMail};
use crate::peers::Peers;
use crate::room::RoomMsg;
use crate::session::SessionMsg;

/// Where a room is found.
#[derive(Clone)]
pub struct RoomPlace {
    /// Its actor.
    pub actor: ActorRef<RoomMsg>,
    /// How many sessions are inside.
    pub occupants: Arc<AtomicU32>,
}

impl Directory {
    /// Where a room is found, if it is at hand.
    pub fn room(&self, room: &str) -> Option<RoomPlace> {
        self.rooms.pin().get(room).cloned()
    }

    /// How many sessions are inside a room, on whichever node it lives.
    pub fn occupants(&self, room: &BareJid) -> u32 {
        match (self.room(room.as_str()), self.replica()) {
            (Some(place), _) => place.occupants.load(Ordering::Relaxed),
            (None, Some(replica)) => replica.count(room),
            (None, None) => 0,
        }
    }

    /// All rooms at hand.
    pub fn rooms(&self) -> Vec<(BareJid, RoomPlace)> {
        let rooms = self.rooms.pin();
        let all = rooms.iter();
        all.map(|(room, place)| (room.clone(), place.clone()))
            .collect()
    }

    /// Lists a room. Called by the keeper of rooms alone, as what follows.
    pub(crate) fn list_room(&self, room: BareJid, place: RoomPlace) {
        self.rooms.pin().insert(room, place);
    }

    pub(crate) fn unlist_room(&self, room: &BareJid) {
        self.rooms.pin().remove(room);
    }

    /// Lists no room any more; tells whether any was.
    pub(crate) fn clear_rooms(&self) -> bool {
        let rooms = self.rooms.pin();
        let any = !rooms.is_empty();
        rooms.clear();
        any
    }

    /// Tells sessions what a room has for them. Never waits. Answers those that are not there.
    pub(crate) fn tell(&self, to: &[FullJid], mail: RoomMail) -> Vec<FullJid> {
        let Some(Mail::Room(mail)) = self.travel(Mail::Room(mail)) else {
            return Vec::new();
        };
        let mail = Arc::new(mail);
        let mut there: BTreeMap<NodeId, Vec<FullJid>> = BTreeMap::new();
        let gone = self.tell_near(to, &mail, |node, jid| {
            there.entry(node).or_default().push(jid.clone());
        });
        if let (false, Some(peers)) = (there.is_empty(), &self.peers)
            && let Some(encoded) = Peers::encode_room_mail(&mail)
        {
            for (node, to) in there {
                peers.tell(node, to, encoded.clone());
            }
        }
        gone
    }

    /// Tells sessions here what a room on another node has for them; answers those that are not
    /// here.
    pub(crate) fn tell_here(&self, to: &[FullJid], mail: Arc<RoomMail>) -> Vec<FullJid> {
        let mut elsewhere = Vec::new();
        let mut gone = self.tell_near(to, &mail, |_, jid| elsewhere.push(jid.clone()));
        gone.append(&mut elsewhere);
        gone
    }

    /// Tells those that are here, says who is on another node, and answers the others.
    fn tell_near(
        &self,
        to: &[FullJid],
        mail: &Arc<RoomMail>,
        mut there: impl FnMut(NodeId, &FullJid),
    ) -> Vec<FullJid> {
        let accounts = self.accounts.pin();
        let mut is_gone = |jid: &&FullJid| {
            let published = accounts.get(jid.bare_str());
            let shown = published.and_then(|published| published.place(jid));
            match self.later(jid, shown) {
                Some(Place::Here(slot)) => !self.slots.send(slot, SessionMsg::Room(mail.clone())),
                Some(Place::There(node)) => {
                    there(node, jid);
                    false
                }
                None => !self.tell_component(jid, mail),
            }
        };
        to.iter().filter(|jid| is_gone(jid)).cloned().collect()
    }
}
