//! Client State Indication: XEP-0352 version 1.0.0,
//! <https://xmpp.org/extensions/xep-0352.html>
//!
//! While the client is in the background, what a person need not see now waits: presence,
//! chat states, events of nodes, receipts, and in rooms what does not mention the user. Of
//! what replaces itself the last one is kept. Anything else wakes the client, and then
//! everything that waited goes with it and before it, so that the radio is woken once and
//! nothing changes places. What stands in a log waits there: [`entry_waits`] is asked before
//! the session's cursor moves. `<active/>` and `<inactive/>` themselves, and for how long and
//! how much may wait, are the session's.

use super::{Feature, Spec, attention, chat, delay, hints, muc, pubsub, stanza_id};
use crate::effect::{Effect, HoldKey};
use crate::facts::Facts;
use crate::jid::Jid;
use crate::ns;
use crate::routing::Share;
use crate::stanza::{Message, MessageKind, Presence, PresenceKind, Stanza};
use crate::xml::Child;

/// The namespace, and the stream feature that announces it (§3).
pub const NS: &str = "urn:xmpp:csi:0";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "csi",
    title: "Client State Indication",
    spec: Spec::Xep {
        number: 352,
        version: "1.0.0",
    },
    ..Feature::NONE
};

/// Payloads that no person waits for. Whatever is not here wakes: what this server does not
/// know may be a call.
const IDLE: &[&str] = &[
    chat::NS_CHATSTATES,
    chat::NS_RECEIPTS,
    chat::NS_MARKERS,
    hints::NS,
    delay::NS,
    stanza_id::NS,
    muc::occupant_id::NS,
    muc::moderation::NS_RETRACT,
    pubsub::NS_EVENT,
    "urn:xmpp:reactions:0",
    "urn:xmpp:fallback:0",
];

/// Writes a stanza, or holds it back while the client is inactive.
pub fn hold_or_reply(stanza: Stanza, facts: &Facts<'_>) -> Vec<Effect> {
    if is_inactive(facts) && waits(&stanza) {
        return vec![Effect::Hold(hold_key(&stanza), stanza)];
    }
    reply(stanza, facts)
}

/// Writes a stanza, and before it what has waited.
pub fn reply(stanza: Stanza, facts: &Facts<'_>) -> Vec<Effect> {
    let mut effects = vec![Effect::Reply(stanza)];
    if is_inactive(facts) {
        effects.insert(0, Effect::Release);
    }
    effects
}

fn is_inactive(facts: &Facts<'_>) -> bool {
    facts.session.is_some_and(|session| session.inactive)
}

/// Tells whether an entry of the account's log may wait there while the client is inactive.
pub fn entry_waits(message: &Message, share: Share) -> bool {
    match share {
        // The user has written it on another device, and looks at that one.
        Share::CarbonSent => true,
        _ => is_idle(message),
    }
}

/// Tells whether what is said to all in a room may wait in the room's log.
pub fn room_entry_waits(message: &Message, nick: &str, account: &str) -> bool {
    !attention::is_mention(message, Some(nick), account)
}

fn waits(stanza: &Stanza) -> bool {
    match stanza {
        Stanza::Presence(presence) => {
            let is_state = matches!(
                presence.kind,
                PresenceKind::Available | PresenceKind::Unavailable
            );
            is_state && !is_answer_of_room(presence)
        }
        Stanza::Message(message) => is_idle(message),
        Stanza::Iq(_) => false,
    }
}

/// XEP-0045 §7.2.2: a client that enters a room in the background waits for its own presence
/// there (status code 110).
fn is_answer_of_room(presence: &Presence) -> bool {
    let x = presence.payloads.element("x", muc::NS_USER);
    x.is_some_and(|x| {
        let mut children = x.children();
        children.any(|child| child.name() == "status" && child.get("code") == Some("110"))
    })
}

fn is_idle(message: &Message) -> bool {
    if message.kind == MessageKind::Error {
        return false;
    }
    let idle =
        |child: Child<'_>| IDLE.contains(&child.namespace()) || child.is("thread", ns::CLIENT);
    message.payloads.iter().all(idle)
}

/// What replaces it, if anything does.
fn hold_key(stanza: &Stanza) -> Option<HoldKey> {
    let from = stanza.from()?;
    match stanza {
        Stanza::Presence(_) => Some(HoldKey::Presence(from.clone())),
        Stanza::Message(message) if chat::is_chat_state_alone(message) => {
            Some(HoldKey::ChatState(Jid::from(from.bare())))
        }
        Stanza::Message(message) => event_key(message, from),
        Stanza::Iq(_) => None,
    }
}

/// Events replace each other that tell of the same items of the same node.
fn event_key(message: &Message, from: &Jid) -> Option<HoldKey> {
    let event = message.payloads.element("event", pubsub::NS_EVENT)?;
    let items = event.find("items", pubsub::NS_EVENT)?;
    let mut what = items.get("node")?.to_owned();
    for item in items.children() {
        what.push('\n');
        what.push_str(item.get("id")?);
    }
    Some(HoldKey::Event(from.clone(), what.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{facts, stanza};

    const PRESENCE: &str = "<presence from='bob@example.org/x'/>";
    const TYPING: &str = "<message from='bob@example.org/x' type='chat'>\
        <composing xmlns='http://jabber.org/protocol/chatstates'/></message>";
    const CHAT: &str = "<message from='bob@example.org/x' type='chat'><body>hi</body></message>";
    const ASKS: &str = "<presence from='bob@example.org' type='subscribe'/>";

    #[test]
    fn an_active_client_gets_everything_at_once() {
        for text in [PRESENCE, TYPING, CHAT, ASKS] {
            let effects = hold_or_reply(stanza(text), &facts().facts());
            assert!(matches!(effects.as_slice(), [Effect::Reply(_)]));
        }
    }

    #[test]
    fn an_inactive_client_is_not_woken_for_presence_and_typing() {
        for text in [PRESENCE, TYPING] {
            let effects = hold_or_reply(stanza(text), &facts().inactive().facts());
            assert!(matches!(effects.as_slice(), [Effect::Hold(..)]), "{text}");
        }
    }

    const EVENT: &str = "<message from='bob@example.org' type='headline'>\
        <event xmlns='http://jabber.org/protocol/pubsub#event'><items node='urn:xmpp:mood'>\
        <item id='current'/></items></event></message>";

    #[test]
    fn events_and_receipts_do_not_wake_and_events_of_one_item_replace_each_other() {
        let inactive = facts().inactive();
        let effects = hold_or_reply(stanza(EVENT), &inactive.facts());
        let [Effect::Hold(Some(HoldKey::Event(from, what)), _)] = effects.as_slice() else {
            panic!("{effects:?}");
        };
        assert_eq!(
            (from.as_str(), &**what),
            ("bob@example.org", "urn:xmpp:mood\ncurrent")
        );
        let receipt = "<message from='bob@example.org/x' type='chat'>\
            <received xmlns='urn:xmpp:receipts' id='1'/></message>";
        let effects = hold_or_reply(stanza(receipt), &inactive.facts());
        assert!(matches!(effects.as_slice(), [Effect::Hold(None, _)]));
    }

    #[test]
    fn calls_errors_and_what_nobody_here_knows_wake() {
        for inner in [
            "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>",
            "<x xmlns='urn:somebody:elses'/>",
        ] {
            let text = format!("<message from='bob@example.org/x' type='chat'>{inner}</message>");
            let effects = hold_or_reply(stanza(&text), &facts().inactive().facts());
            assert!(matches!(effects.first(), Some(Effect::Release)), "{inner}");
        }
        let error = "<message from='bob@example.org/x' type='error'/>";
        let effects = hold_or_reply(stanza(error), &facts().inactive().facts());
        assert!(matches!(effects.first(), Some(Effect::Release)));
    }

    #[test]
    fn other_peoples_presence_in_a_room_waits_and_ones_own_entry_does_not() {
        let presence = |code: &str| {
            let x = "http://jabber.org/protocol/muc#user";
            stanza(&format!(
                "<presence from='r@conference.example.org/n'><x xmlns='{x}'>{code}</x></presence>"
            ))
        };
        let inactive = facts().inactive();
        let others = hold_or_reply(presence(""), &inactive.facts());
        assert!(matches!(others.as_slice(), [Effect::Hold(Some(_), _)]));
        let own = hold_or_reply(presence("<status code='110'/>"), &inactive.facts());
        assert!(matches!(
            own.as_slice(),
            [Effect::Release, Effect::Reply(_)]
        ));
    }

    #[test]
    fn of_entries_wait_what_the_user_sent_elsewhere_and_what_is_no_text() {
        let Stanza::Message(text) = stanza(CHAT) else {
            unreachable!("it is a message");
        };
        assert!(!entry_waits(&text, Share::Addressed));
        assert!(!entry_waits(&text, Share::CarbonReceived));
        assert!(entry_waits(&text, Share::CarbonSent));
    }

    #[test]
    fn what_matters_wakes_an_inactive_client_and_takes_along_what_waited() {
        for text in [CHAT, ASKS] {
            let effects = hold_or_reply(stanza(text), &facts().inactive().facts());
            assert!(
                matches!(effects.as_slice(), [Effect::Release, Effect::Reply(_)]),
                "{text}"
            );
        }
    }
}
