//! SCRAM: RFC 5802 with SHA-1, RFC 7677 with SHA-256, and the same with SHA-512; each also
//! in its -PLUS form.
//!
//! [`ScramFirst`] and [`ScramProof`] are the two halves of the server, [`ScramClient`] the
//! client of load generators and tests. Left out: mandatory extensions (none is defined) and
//! SCRAM's own `e=` errors, for which XMPP has `<failure/>`.

mod client;
mod message;
mod server;

pub use client::{ClientBinding, ClientKeys, ScramClient, ScramClientError};
pub use server::{ScramFirst, ScramProof};
