//! Session establishment, kept for old clients: RFC 3921 §3.

use super::{Feature, Spec};


/// The feature.
pub const FEATURE: Feature = Feature {
    name: "session",
    spec: Spec::Rfc { number: 3921, section: "3" },
    ..Feature::NONE
};

