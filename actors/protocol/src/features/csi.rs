//! Client State Indication: XEP-0352 version 1.0.0.

use super::{Feature, Spec};
use crate::effect::Effect;
use crate::facts::Facts;
use crate::stanza::Stanza;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "csi",
    spec: Spec::Xep { number: 352, version: "1.0.0" },
    ..Feature::NONE
};

/// Writes a stanza, or holds it back while the client is inactive.
pub fn hold_or_reply(stanza: Stanza, _facts: &Facts<'_>) -> Vec<Effect> {
    vec![Effect::Reply(stanza)]
}
