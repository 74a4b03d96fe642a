//! Data Forms: XEP-0004 version 2.13.1.

use super::{Feature, Spec};


/// The feature.
pub const FEATURE: Feature = Feature {
    name: "data_forms",
    spec: Spec::Xep { number: 4, version: "2.13.1" },
    ..Feature::NONE
};

