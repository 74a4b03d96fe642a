//! STAND-IN.
pub mod sm;
