//! Message Archive Management: XEP-0313 version 1.1.3.

use super::{Feature, Spec};


/// The feature.
pub const FEATURE: Feature = Feature {
    name: "mam",
    spec: Spec::Xep { number: 313, version: "1.1.3" },
    ..Feature::NONE
};

