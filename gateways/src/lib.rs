//! Sockets and people: XMPP over TCP and WebSocket, TLS, HTTP and logins.
//!
//! A gateway turns bytes into stanzas for a session and a session's stanzas into bytes; what
//! they mean is decided below. No gateway imports another.
//! Leaves out, for now: server-to-server, JSON channels, upload, the web client.

pub mod auth;
pub mod doors;
pub mod http;
pub mod listener;
pub mod metrics;
pub mod tls;
pub mod xmpp;
