//! Delayed Delivery: XEP-0203 version 2.0,
//! <https://xmpp.org/extensions/xep-0203.html>

use super::{Feature, Spec};
use crate::jid::Jid;
use crate::time::Timestamp;
use crate::xml::Element;

/// The namespace.
pub const NS: &str = "urn:xmpp:delay";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "delay",
    title: "Delayed Delivery",
    spec: Spec::Xep {
        number: 203,
        version: "2.0",
    },
    disco: &[NS],
    ..Feature::NONE
};

/// Says when a stanza was sent, and who says so (§2).
pub fn delay(from: Option<&Jid>, stamp: Timestamp) -> Element {
    let delay = Element::new("delay", NS).attr_opt("from", from.map(Jid::as_str));
    delay.attr("stamp", stamp.to_xep0082())
}
