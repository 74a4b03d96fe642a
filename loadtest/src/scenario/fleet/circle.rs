//! Who talks to whom and who meets where: all of it follows from numbers, so that clients,
//! driver and checker agree without asking each other.

use std::collections::BTreeSet;

use crate::history::{Event, Subject};

/// Group chat's service and its rooms' names.
const ROOM: &str = "room";

/// The accounts, `1..=clients`, and the rooms, `1..=rooms`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Circle {
    /// How many accounts there are.
    pub(crate) clients: u32,
    /// How many rooms.
    pub(crate) rooms: u32,
    /// How many meet in each.
    pub(crate) occupants: u32,
    /// The host of the rooms.
    pub(crate) service: String,
    /// What rooms of this run are called by: a room keeps its log, so no run has another's.
    pub(crate) run: String,
    /// Whether presence is looked at.
    pub(crate) watches: bool,
}

impl Circle {
    /// Whom an account talks to: its partner and the neighbours of the pair. Whose number is
    /// odd, and which node one is on, differs between them.
    pub(crate) fn contacts(&self, me: u32) -> Vec<u32> {
        let (me, clients) = (me - 1, self.clients);
        let all = [me ^ 1, (me + 2) % clients, (me + 2 * clients - 2) % clients];
        let all = all.into_iter().filter(|it| *it < clients && *it != me);
        let all: BTreeSet<_> = all.map(|it| it + 1).collect();
        all.into_iter().collect()
    }

    /// Who meets in a room: numbers that follow each other, so that every node has some; half
    /// of them meet in the next room as well.
    pub(crate) fn members(&self, room: u32) -> impl Iterator<Item = u32> {
        let clients = self.clients.max(1);
        let first = (room - 1) * (self.occupants / 2).max(1);
        let count = self.occupants.min(clients);
        (0..count).map(move |place| (first + place) % clients + 1)
    }

    /// Who makes a room, and may read its log.
    pub(crate) fn owner(&self, room: u32) -> u32 {
        self.members(room).next().unwrap_or(1)
    }

    /// The rooms that an account is in.
    pub(crate) fn rooms_of(&self, me: u32) -> Vec<u32> {
        let is_in = |room: &u32| self.members(*room).any(|member| member == me);
        (1..=self.rooms).filter(is_in).collect()
    }

    /// A room's address.
    pub(crate) fn address(&self, room: u32) -> String {
        format!("{ROOM}-{}-{room}@{}", self.run, self.service)
    }

    /// The room that an address is of.
    pub(crate) fn room_of(&self, bare: &str) -> Option<u32> {
        let name = bare.strip_suffix(&self.service)?.strip_suffix('@')?;
        let name = name.strip_prefix(ROOM)?.strip_prefix('-')?;
        name.strip_prefix(&self.run)?
            .strip_prefix('-')?
            .parse()
            .ok()
    }

    /// What an account is called in rooms.
    pub(crate) fn nick(me: u32) -> String {
        format!("n{me}")
    }

    /// Who is called so.
    pub(crate) fn called(nick: &str) -> Option<u32> {
        nick.strip_prefix('n')?.parse().ok()
    }

    /// Who is to see whom.
    pub(crate) fn watching(&self) -> Vec<Event> {
        if !self.watches {
            return Vec::new();
        }
        let contacts = (1..=self.clients).flat_map(|viewer| {
            let all = self.contacts(viewer).into_iter();
            all.map(move |contact| (viewer, Subject::Contact(contact)))
        });
        let occupants = (1..=self.rooms).flat_map(|room| {
            let viewers = self.members(room);
            viewers.flat_map(move |viewer| {
                let all = self.members(room);
                all.map(move |account| (viewer, Subject::Occupant { room, account }))
            })
        });
        let all = contacts.chain(occupants);
        all.map(|(viewer, subject)| Event::Watches { viewer, subject })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circle(clients: u32) -> Circle {
        Circle {
            clients,
            rooms: 4,
            occupants: 6,
            service: "conference.example.org".into(),
            run: "7f".into(),
            watches: true,
        }
    }

    #[test]
    fn contacts_have_each_other() {
        for clients in [4, 5, 12, 61] {
            let circle = circle(clients);
            for me in 1..=clients {
                let contacts = circle.contacts(me);
                assert!(!contacts.is_empty() && !contacts.contains(&me));
                for other in contacts {
                    assert!(circle.contacts(other).contains(&me), "{me} and {other}");
                }
            }
        }
        assert!(circle(1).contacts(1).is_empty());
    }

    #[test]
    fn every_node_has_occupants_in_every_room() {
        let circle = circle(12);
        for room in 1..=4 {
            let nodes: BTreeSet<_> = circle.members(room).map(|member| member % 3).collect();
            assert_eq!((nodes.len(), circle.members(room).count()), (3, 6));
        }
        assert_eq!(circle.rooms_of(4), [1, 2]);
        assert_eq!(circle.owner(2), 4);
    }

    #[test]
    fn rooms_are_known_by_their_address() {
        let circle = circle(12);
        assert_eq!(circle.room_of(&circle.address(3)), Some(3));
        assert_eq!(circle.room_of("room-80-3@conference.example.org"), None);
        assert_eq!(circle.room_of("room-7f-3@example.org"), None);
        assert_eq!(Circle::called(&Circle::nick(17)), Some(17));
    }

    #[test]
    fn occupants_look_at_all_who_meet_there_themselves_included() {
        let all = circle(12).watching();
        let contacts = (1..=12).map(|me| circle(12).contacts(me).len());
        assert_eq!(all.len(), contacts.sum::<usize>() + 4 * 6 * 6);
    }
}
