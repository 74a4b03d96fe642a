//! JSON channels for integrators: Phoenix Channels, protocol version 2, as the npm client
//! `phoenix` (1.7 and 1.8) speaks it, and what its topics mean in XMPP.
//!
//! A channels client is a session like any other, whose stanzas are written here: what it
//! pushes becomes stanzas ([`Socket::hear_text`]), and what its session is sent becomes events
//! ([`Socket::take_stanza`]). So archive, copies for other devices, block lists, rooms and
//! presence are those of everybody else.
//!
//! Topics are `room:JID`, `user:JID` and `presence:` with an address, the name of a group of
//! the roster, or `*`; and `app:NAME:…`, an integrator's own, of which XMPP knows nothing.
//! Leaves out: version 1 of the protocol.

mod app;
mod channel;
mod crash;
mod crowd;
mod errands;
mod frame;
mod grant;
mod history;
mod metas;
mod presence;
mod push;
mod room;
mod socket;
#[cfg(test)]
mod tests;
mod translate;
mod user;

pub use app::{AppRefusal, Errand};
pub use crash::Cause;
pub use crowd::{Crowd, CrowdState, Shown};
pub use errands::Origin;
pub use frame::{Frame, FrameError, Payload, binary_broadcast, binary_push, binary_reply};
pub use grant::{AppRule, AppRuleError, Grant};
pub use socket::{Action, Outgoing, Settings, Socket};

/// The protocol's versions that are served, as a client asks for them in `vsn`.
#[must_use]
pub fn is_served(version: Option<&str>) -> bool {
    // Phoenix takes a missing version for 1.0.0 and compares as `~> 2.0.0` does.
    let mut parts = version.unwrap_or("1.0.0").splitn(3, '.');
    let is_two = parts.next() == Some("2") && parts.next() == Some("0");
    let patch = parts.next().unwrap_or_default();
    is_two && !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit())
}
