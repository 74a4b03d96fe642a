//! Service Discovery: XEP-0030 version 2.5.0.

use super::{Feature, Spec};


/// The feature.
pub const FEATURE: Feature = Feature {
    name: "disco",
    spec: Spec::Xep { number: 30, version: "2.5.0" },
    ..Feature::NONE
};

