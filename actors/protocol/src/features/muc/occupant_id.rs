//! Occupant identifiers: XEP-0421 version 1.0.1,
//! <https://xmpp.org/extensions/xep-0421.html>
//!
//! A keyed hash of the real bare address with the room's own secret (§4.1): stable for one
//! person in one room, different in every room, and no way back to the address.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::features::{Feature, Service, Spec};
use crate::jid::BareJid;
use crate::sasl::Hash;
use crate::xml::{Child, Element};

/// The namespace.
pub const NS: &str = "urn:xmpp:occupant-id:0";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "muc::occupant_id",
    title: "Occupant Identifiers",
    spec: Spec::Xep {
        number: 421,
        version: "1.0.1",
    },
    disco_room: &[NS],
    // §4: every room has them, so the service says so as well.
    services: &[(Service::Rooms, &[NS])],
    ..Feature::NONE
};

/// Somebody's id in a room: 43 characters of at most 128.
pub fn occupant_id(secret: &[u8; 32], account: &BareJid) -> Box<str> {
    let hash = Hash::Sha256.hmac(secret, account.as_str().as_bytes());
    URL_SAFE_NO_PAD.encode(hash).into()
}

/// The element that goes with everything of theirs.
pub fn element(id: &str) -> Element {
    Element::new("occupant-id", NS).attr("id", id)
}

/// §4: what a client says of occupant ids is taken away, all of it (row R07).
pub fn is_forged(child: &Child<'_>) -> bool {
    child.name() == "occupant-id" && child.is_in(NS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::muc::testkit::*;
    use crate::testkit::bare;

    #[test]
    fn an_id_is_stable_in_a_room_and_differs_between_rooms_and_people() {
        let (hag, hecate) = (
            bare("hag66@shakespeare.lit"),
            bare("hecate@shakespeare.lit"),
        );
        let id = |secret: u8, account| occupant_id(&[secret; 32], account);
        assert_eq!(id(1, &hag), id(1, &hag));
        assert_ne!(id(1, &hag), id(2, &hag));
        assert_ne!(id(1, &hag), id(1, &hecate));
        assert!(id(1, &hag).len() <= 128);
    }

    #[test]
    fn it_is_on_every_presence_and_message_of_the_occupant() {
        let mut room = room();
        room.enters(HAG, "thirdwitch");
        let id = occupant_id(&SECRET, &bare("hag66@shakespeare.lit"));
        let wanted = format!("<occupant-id xmlns='{NS}' id='{id}'/>");
        let mut expect = |xml: &str| {
            let out = room.gets(xml);
            assert!(!out.raw.is_empty());
            for stanza in &out.raw {
                assert_eq!(stanza.matches(&wanted).count(), 1, "{stanza}");
            }
        };
        expect(&format!(
            "<presence from='{HAG}' to='{COVEN}/thirdwitch'><show>xa</show></presence>"
        ));
        expect(&format!(
            "<message from='{HAG}' to='{COVEN}' type='groupchat'><body>hi</body></message>"
        ));
        expect(&format!(
            "<message from='{HAG}' to='{COVEN}/firstwitch' type='chat'><body>hi</body></message>"
        ));
        expect(&format!(
            "<presence from='{HAG}' to='{COVEN}/thirdwitch' type='unavailable'/>"
        ));
    }

    #[test]
    fn r07_every_forged_id_goes_and_one_of_ours_comes() {
        let mut room = room();
        room.enters(HAG, "thirdwitch");
        let forged = format!("<occupant-id xmlns='{NS}' id='forged'/>").repeat(3);
        let out = room.gets(&format!(
            "<message from='{HAG}' to='{COVEN}' type='groupchat'><body>hi</body>{forged}</message>"
        ));
        for stanza in &out.raw {
            assert_eq!(stanza.matches("<occupant-id").count(), 1, "{stanza}");
            assert!(!stanza.contains("forged"), "{stanza}");
        }
    }
}
