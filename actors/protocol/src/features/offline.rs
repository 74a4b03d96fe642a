//! Offline messages: XEP-0160 version 1.0.1,
//! <https://xmpp.org/extensions/xep-0160.html>
//!
//! There is no second store: what waits for an account is what its log holds beyond its
//! delivery cursor. [`crate::features::presence`] asks for it at the initial presence.

use super::{Feature, Spec, delay};
use crate::facts::Facts;
use crate::jid::Jid;
use crate::stanza::Message;
use crate::time::Timestamp;

/// The feature; its name in service discovery is older than namespaces (§4).
pub const FEATURE: Feature = Feature {
    name: "offline",
    title: "Offline messages",
    spec: Spec::Xep {
        number: 160,
        version: "1.0.1",
    },
    disco: &["msgoffline"],
    ..Feature::NONE
};

/// The message with the time at which it came (§3 example 3, XEP-0203 §2).
pub fn delayed(message: Message, facts: &Facts<'_>, stamp: Timestamp) -> Message {
    let server = facts.account.domain_jid();
    let payloads = message
        .payloads
        .with(&delay::delay(Some(&Jid::from(server)), stamp));
    Message {
        payloads,
        ..message
    }
}
