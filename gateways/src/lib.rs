//! Sockets and people: XMPP over TCP and WebSocket, TLS, HTTP, logins and relays for calls.
//!
//! A gateway turns bytes into stanzas for a session and a session's stanzas into bytes; what
//! they mean is decided below. No gateway imports another.
//! Leaves out, for now: server-to-server.

pub mod api;
pub mod auth;
pub mod channels;
pub mod colleagues;
pub mod doors;
mod hold;
pub mod http;
pub mod ldap;
pub mod listener;
pub mod metrics;
mod pace;
pub mod photo;
pub mod tls;
pub mod turn;
pub mod web_push;
mod websocket;
pub mod xmpp;
