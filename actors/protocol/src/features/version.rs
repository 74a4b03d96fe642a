//! Software Version: XEP-0092 version 1.1.

use super::{Feature, Spec};


/// The feature.
pub const FEATURE: Feature = Feature {
    name: "version",
    spec: Spec::Xep { number: 92, version: "1.1" },
    ..Feature::NONE
};

