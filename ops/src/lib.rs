//! The binary klatsch: configuration, command line, boot, metrics and health.

pub mod config;
pub mod error;
pub mod health;
pub mod logging;
pub mod metrics;
