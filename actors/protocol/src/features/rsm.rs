//! Result Set Management: XEP-0059 version 1.0.

use super::{Feature, Spec};


/// The feature.
pub const FEATURE: Feature = Feature {
    name: "rsm",
    spec: Spec::Xep { number: 59, version: "1.0" },
    ..Feature::NONE
};

