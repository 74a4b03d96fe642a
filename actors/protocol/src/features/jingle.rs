//! Jingle Message Initiation: XEP-0353 version 0.8.0.

use super::{Feature, Spec};


/// The feature.
pub const FEATURE: Feature = Feature {
    name: "jingle",
    spec: Spec::Xep { number: 353, version: "0.8.0" },
    ..Feature::NONE
};

