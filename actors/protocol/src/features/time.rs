//! Entity Time: XEP-0202 version 2.0.

use super::{Feature, Spec};


/// The feature.
pub const FEATURE: Feature = Feature {
    name: "time",
    spec: Spec::Xep { number: 202, version: "2.0" },
    ..Feature::NONE
};

