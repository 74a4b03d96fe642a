//! Unique and stable stanza ids: XEP-0359 version 0.7.0.

use super::{Feature, Spec};
use crate::effect::DedupKey;
use crate::facts::Facts;
use crate::jid::BareJid;
use crate::stanza::Message;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "stanza_id",
    spec: Spec::Xep { number: 359, version: "0.7.0" },
    ..Feature::NONE
};

/// Takes every `<stanza-id/>` out that claims to be of an archive of ours (row R06).
pub fn strip_forged(message: Message, _facts: &Facts<'_>) -> Message {
    message
}

/// Adds the id the account's archive gave the message.
pub fn stamp(message: Message, _account: &BareJid, _id: u64) -> Message {
    message
}

/// What makes a replay of the message recognisable.
pub fn dedup_key(_message: &Message) -> DedupKey {
    DedupKey::Counted
}
