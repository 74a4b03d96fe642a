//! Offline messages: XEP-0160 version 1.0.1.

use super::{Feature, Spec};
use crate::facts::Facts;
use crate::stanza::Message;
use crate::time::Timestamp;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "offline",
    spec: Spec::Xep { number: 160, version: "1.0.1" },
    ..Feature::NONE
};

/// The message with the time at which it was sent (XEP-0203).
pub fn delayed(message: Message, _facts: &Facts<'_>, _stamp: Timestamp) -> Message {
    message
}
