//! Presence: RFC 6121 §4.

use super::{Feature, Spec};
use crate::effect::{Answer, Effect};
use crate::facts::Facts;
use crate::stanza::{Presence, Stanza};

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "presence",
    spec: Spec::Rfc { number: 6121, section: "4" },
    ..Feature::NONE
};

/// Decides presence the client has sent: available, unavailable, directed, probe.
pub fn decide_sent(_presence: &Presence, _facts: &Facts<'_>) -> Vec<Effect> {
    Vec::new()
}

/// Goes on with an initial presence when it is known whose presence the account may see.
pub fn show_contacts(_stanza: &Stanza, _answer: Answer, _facts: &Facts<'_>) -> Vec<Effect> {
    Vec::new()
}

/// What everybody is told when a session ends without having said so (RFC 6121 §4.5).
pub fn decide_gone(_facts: &Facts<'_>) -> Vec<Effect> {
    Vec::new()
}

/// Answers a probe for this account (RFC 6121 §4.3.2).
pub fn answer_probe(_presence: &Presence, _facts: &Facts<'_>) -> Vec<Effect> {
    Vec::new()
}
