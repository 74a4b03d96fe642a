//! XMPP to people: client streams over TCP ([`c2s`]) and WebSocket ([`websocket`]).

mod buffer;
pub mod socket;
mod wire;
