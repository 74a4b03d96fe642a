//! Message Processing Hints: XEP-0334 version 0.4.0.

use super::{Feature, Spec};
use crate::stanza::Message;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "hints",
    spec: Spec::Xep { number: 334, version: "0.4.0" },
    ..Feature::NONE
};

/// Tells whether a message is kept in the logs.
pub fn is_kept(_message: &Message) -> bool {
    true
}
