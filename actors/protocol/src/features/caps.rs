//! Entity Capabilities: XEP-0115 version 1.6.0.

use super::{Feature, Spec};


/// The feature.
pub const FEATURE: Feature = Feature {
    name: "caps",
    spec: Spec::Xep { number: 115, version: "1.6.0" },
    ..Feature::NONE
};

