//! Sockets and people: XMPP, WebSocket, HTTP, TLS and logins.
