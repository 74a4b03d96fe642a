//! What makes nodes a cluster: the secret they share, the certificates they know each other by,
//! and how a new node gets them with one command.
//!
//! Every node holds the whole [`secret`], the key of the cluster's authority with it, and makes
//! its own certificate anew at each start and before it ends. So any node takes in another, none
//! is the one that must not be lost, and no certificate has to be renewed by anybody. The price
//! is small: a node holds the store's password and everybody's credentials anyway.
//!
//! Leaves out the link itself, which is `klatsch_cluster`'s.

pub mod authority;
pub mod commands;
pub mod desk;
pub mod drain;
pub mod identity;
pub mod joined;
pub mod joining;
pub mod secret;
pub mod status;
pub mod tls;
pub mod token;
pub mod tokens;
