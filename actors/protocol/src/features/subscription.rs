//! Presence subscriptions: RFC 6121 §3 and appendix A.

use super::{Feature, Spec};
use crate::effect::Effect;
use crate::facts::Facts;
use crate::stanza::Presence;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "subscription",
    spec: Spec::Rfc { number: 6121, section: "3" },
    ..Feature::NONE
};

/// Decides a subscription stanza the user has sent.
pub fn decide_outbound(_presence: &Presence, _facts: &Facts<'_>) -> Vec<Effect> {
    Vec::new()
}

/// Decides a subscription stanza that has come for this account.
pub fn decide_inbound(_presence: &Presence, _facts: &Facts<'_>) -> Vec<Effect> {
    Vec::new()
}
