//! The binary klatsch: configuration, command line, boot, metrics and health.

pub mod accounts;
pub mod admin;
pub mod api_tokens;
pub mod boot;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod directory;
pub mod disk;
pub mod error;
pub mod health;
pub mod invitations;
pub mod logging;
pub mod memory;
pub mod metrics;
pub mod password;
pub mod rooms;
pub mod transfer;
