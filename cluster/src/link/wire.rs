//! The link between processes: ractor_cluster 0.16.5 over connections of our own.
//!
//! ractor_cluster carries the batches and supervises its sessions. It does not notice a silent
//! failure (measured: a quarter of an hour), never connects again, has queues without bounds and
//! does TLS inside its accept loop. Around it, from the socket up:
//!
//! - [`transport`]: TLS with certificates on both sides, and deadlines
//! - [`handshake`]: who the two are, which version they speak, and whether they connect;
//!   [`claims`]: that two nodes end with one connection
//! - [`keeper`]: ractor_cluster's actors and our own, [`router`], to which batches go
//! - [`connection`] and [`outbox`]: what waits for a node, bounded, in two lanes;
//!   [`batch`]: how it looks on the wire
//! - [`core`]: what all these share
//! - [`dialler`]: connects again; [`addresses`]: with whom besides those that are configured
//!
//! The token that both ends exchange inside TLS says whom a batch is from: what ractor_cluster
//! says of its actors' names and numbers is believed by nobody.

pub(crate) mod addresses;
pub(crate) mod batch;
pub(crate) mod claims;
pub(crate) mod connection;
pub(crate) mod core;
pub(crate) mod dialler;
pub(crate) mod handshake;
pub(crate) mod keeper;
pub(crate) mod outbox;
pub(crate) mod router;
pub(crate) mod transport;
