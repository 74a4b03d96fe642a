//! XMPP Ping: XEP-0199 version 2.0.1.

use super::{Feature, Spec};


/// The feature.
pub const FEATURE: Feature = Feature {
    name: "ping",
    spec: Spec::Xep { number: 199, version: "2.0.1" },
    ..Feature::NONE
};

