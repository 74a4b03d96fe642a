//! Jingle Message Initiation: XEP-0353 version 0.8.0,
//! <https://xmpp.org/extensions/xep-0353.html>
//!
//! The server's share: call signalling without text is copied to all devices and stands in
//! the archive, so that a phone that was away shows the missed call.

use super::{Feature, Spec};
use crate::stanza::Message;

/// The namespace.
pub const NS: &str = "urn:xmpp:jingle-message:0";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "jingle",
    title: "Jingle Message Initiation",
    spec: Spec::Xep {
        number: 353,
        version: "0.8.0",
    },
    ..Feature::NONE
};

/// Tells whether a message is call signalling that is kept.
pub fn is_lasting(message: &Message) -> bool {
    // `<ringing/>` says nothing once the call is over; the rest tells how it went.
    message
        .payloads
        .iter()
        .any(|child| child.namespace() == NS && child.name() != "ringing")
}

/// Tells whether a message is call signalling.
pub fn is_signalling(message: &Message) -> bool {
    message.payloads.iter().any(|child| child.namespace() == NS)
}
