//! Rooms that nobody owns: XEP-0045 §10 wants an owner for every room, and accounts are removed.
//! The store makes the admins follow the last owner; where there are none, those who administer
//! the room's domain stand in until they have named an owner.
//!
//! Leaves out what moderators do: who stands in can name themselves.

use super::affiliation::Affiliation;
use super::facts::RoomFacts;
use super::room::Room;
use super::{NS_ADMIN, NS_OWNER};
use crate::jid::BareJid;
use crate::stanza::{Iq, Stanza};

impl Room {
    /// Tells whether nobody owns the room: its owners' accounts were removed, and there was no
    /// admin to follow them.
    pub fn is_ownerless(&self) -> bool {
        self.record.affiliates(Affiliation::Owner).next().is_none()
    }

    /// Tells whether a stanza is decided by whether its sender administers the domain: it is
    /// about managing a room that nobody owns.
    pub fn wants_steward(&self, stanza: &Stanza) -> bool {
        let manages = |iq: &Iq| {
            let payload = iq.payload();
            payload.is_some_and(|it| it.is("query", NS_OWNER) || it.is("query", NS_ADMIN))
        };
        matches!(stanza, Stanza::Iq(iq) if manages(iq)) && self.is_ownerless()
    }

    /// What somebody is to the room who wants to manage it. §10: every room has an owner; for
    /// one that has lost its last, those who administer the domain stand in until they have
    /// named another.
    pub(super) fn standing(&self, by: &BareJid, facts: &RoomFacts<'_>) -> Affiliation {
        match facts.is_steward && self.is_ownerless() {
            true => Affiliation::Owner,
            false => self.record.affiliation(by),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::features::muc::testkit::*;
    use crate::testkit::parse;

    const INSTANT: &str = "<x xmlns='jabber:x:data' type='submit'/>";

    fn owner(from: &str, kind: &str, inner: &str) -> String {
        format!(
            "<iq from='{from}' id='1' to='{COVEN}' type='{kind}'>\
             <query xmlns='http://jabber.org/protocol/muc#owner'>{inner}</query></iq>"
        )
    }

    /// The coven, whose owner's and admin's accounts were removed.
    fn ownerless() -> Given {
        let mut room = empty_room();
        room.room_mut().record.affiliations.clear();
        room.enters(HAG, "thirdwitch");
        room
    }

    fn admin(from: &str, kind: &str, item: &str) -> String {
        owner(from, kind, item).replace("muc#owner", "muc#admin")
    }

    #[test]
    fn section_10_a_room_without_owner_is_managed_by_those_who_administer_the_domain() {
        let name = admin(
            HECATE,
            "set",
            "<item affiliation='owner' jid='hag66@shakespeare.lit'/>",
        );
        let member = "<item affiliation='member' jid='hag66@shakespeare.lit'/>";
        let requests = [
            owner(HECATE, "get", ""),
            owner(HECATE, "set", INSTANT),
            owner(HECATE, "set", "<destroy/>"),
            admin(HECATE, "get", "<item affiliation='owner'/>"),
            admin(HECATE, "get", "<item role='moderator'/>"),
            name.clone(),
        ];
        for request in &requests {
            let mut room = ownerless();
            assert!(room.room().wants_steward(&parse(request)));
            assert_eq!(room.gets(request).refusal(), "forbidden", "{request}");
            room.is_steward = true;
            let out = room.gets(request);
            assert!(out.to(HECATE)[0].contains("type='result'"), "{request}");
        }
        // First somebody has to own it.
        let mut room = ownerless();
        room.is_steward = true;
        let out = room.gets(&admin(HECATE, "set", member));
        assert_eq!(out.refusal(), "conflict");
        room.gets(&name);
        assert!(!room.room().is_ownerless());
        assert_eq!(room.gets(&owner(HECATE, "get", "")).refusal(), "forbidden");
    }

    #[test]
    fn who_administers_the_domain_is_nobody_in_a_room_with_an_owner() {
        let mut room = room();
        room.is_steward = true;
        let request = owner(HECATE, "get", "");
        assert!(!room.room().wants_steward(&parse(&request)));
        assert_eq!(room.gets(&request).refusal(), "forbidden");
    }
}
