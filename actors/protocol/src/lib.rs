//! XMPP as pure decisions: stanzas in, effects out.
//!
//! No tokio, no ractor, no clock, no randomness: what a decision may know comes in as
//! [`facts`], what it wants comes out as [`effect`]s.

pub mod account;
pub mod archive;
pub mod calendar;
pub mod channels;
pub mod colleagues;
pub mod effect;
pub mod facts;
pub mod features;
pub mod jid;
pub mod ns;
pub mod pipeline;
pub mod routing;
pub mod sasl;
pub mod stanza;
pub mod stream;
pub mod tenancy;
#[cfg(test)]
mod testkit;
pub mod time;
pub mod xml;
