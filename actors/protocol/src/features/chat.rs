//! What people's messages are made of beyond text: receipts (XEP-0184), chat states
//! (XEP-0085), markers (XEP-0333), corrections (XEP-0308), reactions (XEP-0444), replies
//! (XEP-0461), retractions (XEP-0424), encrypted content (XEP-0384, XEP-0420).
//!
//! The server carries, copies and keeps them; it answers none of them.

use super::{Feature, Spec};
use crate::stanza::Message;
use crate::xml::Child;

/// Chat states (XEP-0085).
pub const NS_CHATSTATES: &str = "http://jabber.org/protocol/chatstates";
/// Receipts (XEP-0184).
pub const NS_RECEIPTS: &str = "urn:xmpp:receipts";
/// Displayed markers (XEP-0333).
pub const NS_MARKERS: &str = "urn:xmpp:chat-markers:0";
/// OMEMO as the clients have it today (XEP-0384 version 0.3).
pub const NS_OMEMO: &str = "eu.siacs.conversations.axolotl";

/// Payloads that mean something tomorrow, by namespace.
const LASTING: &[&str] = &[
    NS_RECEIPTS,
    NS_MARKERS,
    NS_OMEMO,
    "urn:xmpp:omemo:2",
    "urn:xmpp:openpgp:0",
    "jabber:x:encrypted",
    "urn:xmpp:reactions:0",
    "urn:xmpp:message-retract:0",
    "urn:xmpp:message-retract:1",
    "urn:xmpp:message-correct:0",
    "urn:xmpp:fasten:0",
    "jabber:x:conference",
];

/// The feature: carried by every server that carries messages, so nothing is announced.
pub const FEATURE: Feature = Feature {
    name: "chat",
    title: "Receipts, states, markers, reactions and their kin, carried and kept",
    spec: Spec::Xep {
        number: 184,
        version: "1.4.0",
    },
    ..Feature::NONE
};

/// Tells whether a message without text means something tomorrow.
pub fn is_lasting(message: &Message) -> bool {
    // A request for a receipt is nothing in itself (XEP-0184 §5.1).
    let lasts = |child: Child<'_>| {
        LASTING.contains(&child.namespace()) && !matches!(child.name(), "request" | "markable")
    };
    message.payloads.iter().any(lasts)
}

/// Tells whether a message is a chat state and nothing else a person would read.
pub fn is_chat_state_alone(message: &Message) -> bool {
    let is_state = message
        .payloads
        .iter()
        .any(|child| child.namespace() == NS_CHATSTATES);
    is_state && !message.has_body() && !is_lasting(message)
}

/// Tells whether a message has payloads typically used in instant messaging (XEP-0280 §6.1).
pub fn is_instant_messaging(message: &Message) -> bool {
    let is_im = |child: Child<'_>| {
        LASTING.contains(&child.namespace()) || child.namespace() == NS_CHATSTATES
    };
    message.payloads.iter().any(is_im)
}
