//! What occupants may not say, taken out of what they send: XEP-0045 §17.3 rule 6, rows M06
//! and M08.
//!
//! What a room says of occupants, rooms say alone; ids and archives likewise. What would show
//! an address that the room hides goes too.

use super::{NS, NS_ADMIN, NS_OWNER, NS_USER, hats, moderation, occupant_id};
use crate::features::{delay, stanza_id};
use crate::jid::{BareJid, Jid};
use crate::xml::{Child, Element, Node, Payloads};

/// Extended addresses (XEP-0033), which name real addresses in history.
const NS_ADDRESS: &str = "http://jabber.org/protocol/address";
/// Events of publish-subscribe come from services (row R08).
const NS_EVENT: &str = "http://jabber.org/protocol/pubsub#event";
/// Archive results come from archives (row R05), of whatever version.
const NS_MAM: &str = "urn:xmpp:mam:";

/// A presence as it may be shown.
pub(super) fn presence(payloads: &Payloads) -> Payloads {
    payloads.without(|child| is_of_rooms(child) || child.is_in(delay::NS))
}

/// A message as it may be reflected by this room. `keeps_delay`: the sender may bring what
/// was said elsewhere (§7.9), which others could use to write history.
pub(super) fn message(payloads: &Payloads, room: &BareJid, keeps_delay: bool) -> Payloads {
    let clean = payloads.without(|child| {
        is_of_rooms(child)
            || is_stanza_id_of(child, room)
            || moderation::is_forged(child)
            || child.is_in(delay::NS) && !keeps_delay
    });
    match keeps_delay && clean.has("delay", delay::NS) {
        true => with_own_delay(&clean, room),
        false => clean,
    }
}

/// §7.9: the room answers for the time, and no address is shown by it.
fn with_own_delay(payloads: &Payloads, room: &BareJid) -> Payloads {
    let rewrite = |mut element: Element| {
        if element.is("delay", delay::NS) {
            element.set_attr("from", room.as_str());
        }
        element
    };
    payloads.elements().map(rewrite).collect()
}

/// An answer without what names its sender (row M06): vCards have addresses in them, items of
/// service discovery and errors too.
pub(super) fn unnamed(payloads: &Payloads, sender: &Jid) -> Payloads {
    let needle = sender.bare_str().to_lowercase();
    payloads
        .elements()
        .filter_map(|element| without_name(&element, &needle))
        .collect()
}

fn without_name(element: &Element, needle: &str) -> Option<Element> {
    let names = |text: &str| text.to_lowercase().contains(needle);
    if element.attributes().iter().any(|it| names(&it.value)) {
        return None;
    }
    // The text between children counts as one, or a name could be cut in two.
    if names(&element.text_content()) {
        return None;
    }
    let mut clean = Element::new(element.name().to_owned(), element.namespace().to_owned());
    for attribute in element.attributes() {
        clean.set_attr(attribute.name.clone(), attribute.value.clone());
    }
    for node in element.nodes() {
        clean = match node {
            Node::Element(child) => match without_name(child, needle) {
                Some(child) => clean.child(child),
                None => clean,
            },
            Node::Text(text) => clean.text(text.clone()),
            // Only what we build ourselves has any.
            Node::Raw(_) => clean,
        };
    }
    Some(clean)
}

fn is_of_rooms(child: &Child<'_>) -> bool {
    [
        NS,
        NS_USER,
        NS_ADMIN,
        NS_OWNER,
        hats::NS,
        NS_ADDRESS,
        NS_EVENT,
    ]
    .iter()
    .any(|namespace| child.is_in(namespace))
        || occupant_id::is_forged(child)
        || child.namespace().starts_with(NS_MAM)
}

/// XEP-0359 §5 (row R06): an id in the room's name, however it is written, or in nobody's.
fn is_stanza_id_of(child: &Child<'_>, room: &BareJid) -> bool {
    if child.name() != "stanza-id" || !child.is_in(stanza_id::NS) {
        return false;
    }
    let element = child.element();
    let by = element.as_ref().and_then(|id| id.get("by"));
    by.and_then(|by| Jid::parse(by).ok())
        .is_none_or(|by| by.bare_str() == room.as_str())
}

#[cfg(test)]
mod tests {
    use crate::features::muc::testkit::*;

    fn reflected(inner: &str) -> String {
        let mut room = room();
        room.enters(HAG, "thirdwitch");
        let out = room.gets(&format!(
            "<message from='{HAG}' to='{COVEN}' type='groupchat'><body>hi</body>{inner}</message>"
        ));
        out.to(CRONE).remove(0)
    }

    #[test]
    fn m08_what_rooms_alone_say_is_taken_out() {
        for forged in [
            "<x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/></x>",
            "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='owner' role='moderator'/></x>",
            "<hats xmlns='urn:xmpp:hats:0'><hat title='King' uri='urn:x'/></hats>",
            "<addresses xmlns='http://jabber.org/protocol/address'><address type='ofrom' jid='a@b'/></addresses>",
            "<delay xmlns='urn:xmpp:delay' stamp='2002-10-13T23:58:37Z'/>",
            "<result xmlns='urn:xmpp:mam:2' id='1'/>",
            "<retracted xmlns='urn:xmpp:message-retract:1' id='1'/>",
        ] {
            same(&reflected(forged), &reflected(""));
        }
    }

    #[test]
    fn m08_a_presence_carries_no_status_of_its_senders_making() {
        let mut room = room();
        room.enters(HAG, "thirdwitch");
        let out = room.gets(&format!(
            "<presence from='{HAG}' to='{COVEN}/thirdwitch'><show>xa</show>\
             <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='owner' role='moderator'/>\
             <status code='301'/></x><hats xmlns='urn:xmpp:hats:0'/></presence>"
        ));
        same(
            &out.to(WICCA)[0],
            &format!(
                "<presence from='{COVEN}/thirdwitch' to='{WICCA}'><show>xa</show>\
                 <x xmlns='http://jabber.org/protocol/muc#user'>\
                 <item affiliation='none' jid='{HAG}' role='participant'/></x></presence>"
            ),
        );
    }

    #[test]
    fn r06_ids_in_the_rooms_name_go_and_foreign_ones_stay() {
        let forged = format!(
            "<stanza-id xmlns='urn:xmpp:sid:0' id='1' by='COVEN@chat.shakespeare.lit'/>\
             <stanza-id xmlns='urn:xmpp:sid:0' id='2' by='{COVEN}/x'/>\
             <stanza-id xmlns='urn:xmpp:sid:0' id='3'/>\
             <stanza-id xmlns='urn:xmpp:sid:0' id='4' by='other@elsewhere.example'/>"
        );
        let mut room = room();
        let out = room.gets(&format!(
            "<message from='{CRONE}' to='{COVEN}' type='groupchat'><body>hi</body>{forged}</message>"
        ));
        let raw = &out.raw[0];
        let kept = |id: u8, by: &str| {
            raw.contains(&format!(
                "<stanza-id xmlns='urn:xmpp:sid:0' id='{id}' by='{by}'/>"
            ))
        };
        assert!(
            kept(4, "other@elsewhere.example") && kept(1, COVEN),
            "{raw}"
        );
        assert_eq!(raw.matches("<stanza-id").count(), 2, "{raw}");
    }

    #[test]
    fn r08_events_of_publish_subscribe_do_not_come_from_occupants() {
        let event = "<event xmlns='http://jabber.org/protocol/pubsub#event'>\
             <items node='urn:xmpp:bookmarks:1'/></event>";
        assert!(!reflected(event).contains("event"));
    }

    #[test]
    fn what_people_say_is_carried_receipts_states_reactions_and_corrections_are_carried() {
        for carried in [
            "<active xmlns='http://jabber.org/protocol/chatstates'/>",
            "<request xmlns='urn:xmpp:receipts'/>",
            "<reactions xmlns='urn:xmpp:reactions:0' id='1'><reaction>x</reaction></reactions>",
            "<replace xmlns='urn:xmpp:message-correct:0' id='1'/>",
            "<reply xmlns='urn:xmpp:reply:0' id='1' to='a'/>",
            "<mention xmlns='urn:xmpp:mentions:0'/>",
            "<x xmlns='jabber:x:conference' jid='other@chat.shakespeare.lit'/>",
        ] {
            assert!(reflected(carried).contains(carried), "{carried}");
        }
    }
}
