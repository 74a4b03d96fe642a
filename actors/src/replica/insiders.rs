//! Who is inside which room, on whichever node, as their nodes say.
//!
//! A room that starts on a node finds its occupants here. Who was on a node that has just been
//! lost is remembered for a while: the room that starts elsewhere must be able to say that they
//! have gone.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use klatsch_cluster::node_id::NodeId;
use klatsch_protocol::features::muc::effect::Occupancy;
use klatsch_protocol::jid::{BareJid, FullJid};
use tokio::time::Instant;

use crate::directory::Place;
use crate::slot::Slot;

/// A room whose node was lost is up on another within five seconds; after this whoever was lost
/// has been told of, or nobody was left to be told.
const REMEMBERED: Duration = Duration::from_secs(30);

/// The rooms.
#[derive(Default)]
pub(super) struct Insiders {
    rooms: Mutex<HashMap<BareJid, Room>>,
}

#[derive(Default)]
struct Room {
    inside: BTreeMap<FullJid, (Place, Occupancy)>,
    lost: Vec<(FullJid, Occupancy, Instant)>,
}

impl Insiders {
    /// A session that is there is inside.
    pub(super) fn put(
        &self,
        room: &BareJid,
        session: &FullJid,
        place: Place,
        occupancy: &Occupancy,
    ) {
        self.with(room, |insiders| {
            insiders.lost.retain(|(lost, ..)| lost != session);
            let inside = (place, occupancy.clone());
            insiders.inside.insert(session.clone(), inside);
        });
    }

    /// A session of another node is not inside any more, if that node still has it; tells whether
    /// it had.
    pub(super) fn take_there(
        &self,
        room: &BareJid,
        session: &FullJid,
        node: NodeId,
        is_lost: bool,
    ) -> bool {
        self.take(room, session, |place| place == Place::There(node), is_lost)
    }

    /// A session of this node is not inside any more, if this node still has it; tells whether it
    /// had.
    pub(super) fn take_here(&self, room: &BareJid, session: &FullJid) -> bool {
        let is_here = |place: Place| place.slot().is_some();
        self.take(room, session, is_here, false)
    }

    /// Tells whether the stay of this name here is of another session than the one in this slot.
    pub(super) fn is_of_another(&self, room: &BareJid, session: &FullJid, slot: Slot) -> bool {
        let rooms = self.rooms.lock().expect("no holder panics");
        let inside = rooms.get(room).and_then(|room| room.inside.get(session));
        inside.is_some_and(|(place, _)| place.slot().is_some_and(|other| other != slot))
    }

    fn take(
        &self,
        room: &BareJid,
        session: &FullJid,
        is_there: impl Fn(Place) -> bool,
        is_lost: bool,
    ) -> bool {
        self.with(room, |insiders| {
            if insiders
                .inside
                .get(session)
                .is_none_or(|it| !is_there(it.0))
            {
                return false;
            }
            if let Some((_, occupancy)) = insiders.inside.remove(session)
                && is_lost
            {
                let lost = (session.clone(), occupancy, Instant::now());
                insiders.lost.push(lost);
            }
            true
        })
    }

    pub(super) fn of(&self, room: &BareJid) -> Vec<(FullJid, Occupancy)> {
        self.with(room, |insiders| {
            let inside = insiders.inside.iter();
            let inside =
                inside.map(|(session, (_, occupancy))| (session.clone(), occupancy.clone()));
            inside.collect()
        })
    }

    pub(super) fn has(&self, room: &BareJid, session: &FullJid) -> bool {
        let rooms = self.rooms.lock().expect("no holder panics");
        rooms
            .get(room)
            .is_some_and(|room| room.inside.contains_key(session))
    }

    pub(super) fn place_of(&self, room: &BareJid, session: &FullJid) -> Option<Place> {
        let rooms = self.rooms.lock().expect("no holder panics");
        let (place, _) = rooms.get(room)?.inside.get(session)?;
        Some(*place)
    }

    pub(super) fn count(&self, room: &BareJid) -> usize {
        let rooms = self.rooms.lock().expect("no holder panics");
        rooms.get(room).map_or(0, |room| room.inside.len())
    }

    pub(super) fn here(&self, room: &BareJid) -> Vec<FullJid> {
        self.with(room, |insiders| {
            let inside = insiders.inside.iter();
            let here = inside.filter(|(_, (place, _))| place.slot().is_some());
            here.map(|(session, _)| session.clone()).collect()
        })
    }

    pub(super) fn lost(&self, room: &BareJid) -> Vec<(FullJid, Occupancy)> {
        self.with(room, |insiders| {
            let lost = insiders.lost.iter();
            lost.map(|(session, occupancy, _)| (session.clone(), occupancy.clone()))
                .collect()
        })
    }

    pub(super) fn rooms_of(&self, session: &FullJid) -> Vec<Occupancy> {
        let rooms = self.rooms.lock().expect("no holder panics");
        let inside = rooms.values().filter_map(|room| room.inside.get(session));
        inside.map(|(_, occupancy)| occupancy.clone()).collect()
    }

    pub(super) fn rooms(&self) -> Vec<BareJid> {
        let rooms = self.rooms.lock().expect("no holder panics");
        let inhabited = rooms.iter().filter(|(_, room)| !room.inside.is_empty());
        inhabited.map(|(jid, _)| jid.clone()).collect()
    }

    pub(super) fn forget_lost(&self, now: Instant) {
        let mut rooms = self.rooms.lock().expect("no holder panics");
        rooms.retain(|_, room| {
            room.lost
                .retain(|(.., at)| now.duration_since(*at) < REMEMBERED);
            !room.is_empty()
        });
    }

    fn with<A>(&self, room: &BareJid, change: impl FnOnce(&mut Room) -> A) -> A {
        let mut rooms = self.rooms.lock().expect("no holder panics");
        let answer = change(rooms.entry(room.clone()).or_default());
        if rooms.get(room).is_some_and(Room::is_empty) {
            rooms.remove(room);
        }
        answer
    }
}

impl Room {
    fn is_empty(&self) -> bool {
        self.inside.is_empty() && self.lost.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use klatsch_protocol::features::muc::role::Role;
    use klatsch_protocol::stanza::Presence;
    use klatsch_protocol::time::Timestamp;

    use super::*;
    use crate::slot::Slots;

    fn room() -> BareJid {
        BareJid::parse("r@conference.x").unwrap()
    }

    fn session() -> FullJid {
        FullJid::parse("a@x/r").unwrap()
    }

    fn occupancy() -> Occupancy {
        Occupancy {
            room: room(),
            nick: "a".into(),
            role: Role::Participant,
            joined: Timestamp(1),
            presence: Box::new(Presence::default()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_on_a_lost_node_is_remembered_for_a_while() {
        let insiders = Insiders::default();
        insiders.put(&room(), &session(), Place::There(NodeId(2)), &occupancy());
        assert!(insiders.take_there(&room(), &session(), NodeId(2), true));
        assert!(insiders.of(&room()).is_empty());
        assert_eq!(insiders.lost(&room()).len(), 1);
        tokio::time::advance(REMEMBERED).await;
        insiders.forget_lost(Instant::now());
        assert!(insiders.lost(&room()).is_empty() && insiders.rooms().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_no_longer_has_a_session_takes_it_out_of_nothing() {
        let insiders = Insiders::default();
        insiders.put(&room(), &session(), Place::There(NodeId(2)), &occupancy());
        insiders.put(&room(), &session(), Place::There(NodeId(3)), &occupancy());
        assert!(!insiders.take_there(&room(), &session(), NodeId(2), true));
        assert_eq!(insiders.of(&room()).len(), 1);
    }

    #[test]
    fn a_stay_belongs_to_the_session_that_has_made_it() {
        let slots = Slots::default();
        let (first, second) = (slots.reserve(1), slots.reserve(1));
        let insiders = Insiders::default();
        insiders.put(&room(), &session(), Place::Here(second), &occupancy());
        assert!(insiders.is_of_another(&room(), &session(), first));
        assert!(!insiders.is_of_another(&room(), &session(), second));
        insiders.put(&room(), &session(), Place::There(NodeId(2)), &occupancy());
        assert!(!insiders.is_of_another(&room(), &session(), first));
        assert!(!insiders.take_here(&room(), &session()));
    }
}
