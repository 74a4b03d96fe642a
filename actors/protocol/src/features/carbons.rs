//! Message Carbons: XEP-0280 version 1.0.1.

use super::{Feature, Spec};
use crate::effect::Effect;
use crate::facts::Facts;
use crate::stanza::Message;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "carbons",
    spec: Spec::Xep { number: 280, version: "1.0.1" },
    ..Feature::NONE
};

/// Tells whether a message is copied (§6.1).
pub fn is_eligible(_message: &Message) -> bool {
    false
}

/// Takes carbon wrappers out of what a client sends (row R03).
pub fn strip_forged(message: Message) -> Message {
    message
}

/// The copies of a message that is eligible and kept in no log.
pub fn copy_unkept(_message: &Message, _facts: &Facts<'_>) -> Vec<Effect> {
    Vec::new()
}

/// The copy of what another resource has sent (§7).
pub fn wrap_sent(message: Message, _facts: &Facts<'_>) -> Message {
    message
}

/// The copy of what another resource has received (§7).
pub fn wrap_received(message: Message, _facts: &Facts<'_>) -> Message {
    message
}
