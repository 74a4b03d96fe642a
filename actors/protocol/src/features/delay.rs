//! Delayed Delivery: XEP-0203 version 2.0.

use super::{Feature, Spec};


/// The feature.
pub const FEATURE: Feature = Feature {
    name: "delay",
    spec: Spec::Xep { number: 203, version: "2.0" },
    ..Feature::NONE
};

