//! What streams, logins and transports implement: RFC 6120 and what belongs to it.
//!
//! None of these answers a stanza, so none stands in [`super::ALL`]; the code is in
//! [`crate::stream`], [`crate::sasl`] and the gateways. The table of specifications names
//! them beside the features.

use super::{Feature, Spec, Status};

/// What streams, logins and transports implement, in the order the table shows them.
pub const STREAMS: &[Feature] = &[
    rfc(
        "XMPP Core",
        6120,
        Status::Partial("no server-to-server streams yet"),
    ),
    rfc(
        "XMPP Instant Messaging and Presence",
        6121,
        Status::Partial("this server's accounts only, until federation"),
    ),
    rfc("Addresses", 7622, Status::Complete),
    rfc("TLS in XMPP", 7590, Status::Complete),
    rfc("XMPP over WebSocket", 7395, Status::Complete),
    rfc("SCRAM-SHA-1 and -PLUS", 5802, Status::Complete),
    rfc("SCRAM-SHA-256 and -PLUS", 7677, Status::Complete),
    rfc("Channel bindings for TLS 1.3", 9266, Status::Complete),
    xep("BOSH", 124, "1.11.2", Status::Complete),
    xep(
        "Alternative Connection Methods",
        156,
        "1.4.0",
        Status::Complete,
    ),
    xep(
        "Portable Import/Export Format",
        227,
        "1.1",
        Status::Partial("accounts; privacy lists only as far as they block addresses"),
    ),
    xep("Stream Management", 198, "1.6.3", Status::Complete),
    xep("XMPP Over BOSH", 206, "1.4", Status::Complete),
    xep("Direct TLS", 368, "1.1.0", Status::Complete),
    xep("Bind 2", 386, "1.1.0", Status::Complete),
    xep(
        "Extensible SASL Profile",
        388,
        "1.0.4",
        Status::Partial("no second factor"),
    ),
    xep(
        "SASL Channel-Binding Type Capability",
        440,
        "1.0.0",
        Status::Complete,
    ),
    xep(
        "SASL SCRAM Downgrade Protection",
        474,
        "0.5.0",
        Status::Complete,
    ),
    xep(
        "Stream Limits Advertisement",
        478,
        "0.2.0",
        Status::Complete,
    ),
    xep("SASL Upgrade Tasks", 480, "0.2.0", Status::Complete),
    xep(
        "Fast Authentication Streamlining Tokens",
        484,
        "0.2.0",
        Status::Complete,
    ),
];

const fn rfc(title: &'static str, number: u16, status: Status) -> Feature {
    Feature {
        name: "streams",
        title,
        spec: Spec::Rfc {
            number,
            section: "",
        },
        status,
        ..Feature::NONE
    }
}

const fn xep(title: &'static str, number: u16, version: &'static str, status: Status) -> Feature {
    Feature {
        name: "streams",
        title,
        spec: Spec::Xep { number, version },
        status,
        ..Feature::NONE
    }
}
