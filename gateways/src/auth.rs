//! Who may log in.

pub mod throttle;
