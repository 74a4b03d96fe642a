//! Namespaces shared by several files: RFC 6120 §13, RFC 7395, XML 1.0 namespaces.
//!
//! A feature's own namespaces stand in the feature's file.

/// Content namespace of client streams (RFC 6120 §4.8.2).
pub const CLIENT: &str = "jabber:client";
/// Content namespace of server streams (RFC 6120 §4.8.2).
pub const SERVER: &str = "jabber:server";
/// Content namespace of streams of external components (XEP-0114 §3).
pub const COMPONENT: &str = "jabber:component:accept";
/// The stream itself (RFC 6120 §4.8.1).
pub const STREAMS: &str = "http://etherx.jabber.org/streams";
/// Stream error conditions (RFC 6120 §4.9.2).
pub const STREAM_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
/// Stanza error conditions (RFC 6120 §8.3.2).
pub const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// STARTTLS (RFC 6120 §5).
pub const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
/// SASL negotiation (RFC 6120 §6).
pub const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
/// SASL negotiation of today (XEP-0388).
pub const SASL2: &str = "urn:xmpp:sasl:2";
/// Resource binding (RFC 6120 §7).
pub const BIND: &str = "urn:ietf:params:xml:ns:xmpp-bind";
/// Session establishment (RFC 3921 §3), kept for old clients.
pub const SESSION: &str = "urn:ietf:params:xml:ns:xmpp-session";
/// WebSocket framing (RFC 7395 §3.3).
pub const FRAMING: &str = "urn:ietf:params:xml:ns:xmpp-framing";
/// What the prefix `xml` stands for (Namespaces in XML 1.0 §3).
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// What the prefix `xmlns` stands for (Namespaces in XML 1.0 §3).
pub const XMLNS: &str = "http://www.w3.org/2000/xmlns/";
