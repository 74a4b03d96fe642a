//! What a connection may cost: the `[limits]` an operator can tune.
//!
//! Rates and connection counts spare the trusted networks; sizes, memory and time bounds
//! spare nobody (DESIGN section 9).

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::network::Network;

/// Every budget of the gateways, with defaults that fit a small machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Networks whose addresses no rate and no connection count applies to.
    pub trusted: Vec<Network>,
    /// File descriptors kept for the store, the link and logs; the rest may be connections.
    pub reserved_descriptors: usize,
    /// Connections at once on all listeners; 0 means what the descriptor limit allows.
    pub connections_max: usize,
    /// Connections at once from one IPv4 address or one IPv6 /64.
    pub connections_per_address: u32,
    /// New connections a second from one IPv4 address or one IPv6 /64.
    pub connection_rate_per_address: u32,
    /// New connections a second on all listeners; 0 means 200 for each core.
    pub accept_rate: u32,
    /// Seconds a client has from its connection to a bound session; bytes do not extend it.
    #[serde(with = "seconds")]
    pub negotiation_timeout: Duration,
    /// Seconds a TLS handshake may take.
    #[serde(with = "seconds")]
    pub tls_handshake_timeout: Duration,
    /// Seconds a closing connection waits for its peer to close, too.
    #[serde(with = "seconds")]
    pub close_timeout: Duration,
    /// Seconds after which sent but unacknowledged bytes end a connection (TCP_USER_TIMEOUT).
    #[serde(with = "seconds")]
    pub tcp_user_timeout: Duration,
    /// Seconds of silence after which TCP asks whether the client is still there.
    #[serde(with = "seconds")]
    pub tcp_keepalive: Duration,
    /// Bytes waiting for a slow client above which its session stops pulling from its log.
    pub send_queue_soft_bytes: usize,
    /// Bytes waiting for a slow client at which its connection is closed.
    pub send_queue_bytes_max: usize,
    /// Bytes of one stanza after login.
    pub stanza_bytes_max: usize,
    /// Bytes a second that are read from a client once it is bound; 0 means no limit.
    pub session_byte_rate: u32,
    /// Bytes that a client may send at once before that rate holds.
    pub session_byte_burst: u32,
    /// Stanzas a second that are taken from a client once it is bound; 0 means no limit.
    pub session_stanza_rate: u32,
    /// Stanzas that a client may send at once before that rate holds.
    pub session_stanza_burst: u32,
    /// Bytes of a request's header on the HTTP listeners.
    pub http_header_bytes_max: usize,
    /// Seconds a request's header may take to arrive.
    #[serde(with = "seconds")]
    pub http_header_timeout: Duration,
    /// WebSocket control frames (ping, pong) a second.
    pub websocket_control_rate: u32,
    /// Login attempts a minute from one IPv4 address or one IPv6 /64 before they are refused.
    pub login_rate_per_address: u32,
    /// Accounts an hour that one IPv4 address or one IPv6 /64 may make without an invitation.
    pub registrations_per_address: u32,
    /// Failed logins from one address after which it is banned.
    pub login_failures_max: u32,
    /// Seconds a ban lasts.
    #[serde(with = "seconds")]
    pub login_ban: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            trusted: vec![Network::V4_LOOPBACK, Network::V6_LOOPBACK],
            reserved_descriptors: 128,
            connections_max: 0,
            connections_per_address: 50,
            connection_rate_per_address: 10,
            accept_rate: 0,
            negotiation_timeout: Duration::from_secs(30),
            tls_handshake_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            tcp_user_timeout: Duration::from_secs(60),
            tcp_keepalive: Duration::from_secs(60),
            send_queue_soft_bytes: 64 * 1024,
            send_queue_bytes_max: 1024 * 1024,
            stanza_bytes_max: 256 * 1024,
            session_byte_rate: 64 * 1024,
            session_byte_burst: 512 * 1024,
            session_stanza_rate: 50,
            session_stanza_burst: 200,
            http_header_bytes_max: 16 * 1024,
            http_header_timeout: Duration::from_secs(10),
            websocket_control_rate: 10,
            login_rate_per_address: 60,
            registrations_per_address: 3,
            login_failures_max: 100,
            login_ban: Duration::from_secs(3600),
        }
    }
}

impl Limits {
    /// Tells whether rates and counts spare this address.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }
}

/// Durations as seconds, whole or with a fraction.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(value.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Number {
            Whole(u64),
            Fraction(f64),
        }
        match Number::deserialize(from)? {
            Number::Whole(seconds) => Ok(Duration::from_secs(seconds)),
            Number::Fraction(seconds) => {
                Duration::try_from_secs_f64(seconds).map_err(D::Error::custom)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_key_is_refused() {
        assert!(serde_json::from_str::<Limits>(r#"{"conections_max": 3}"#).is_err());
    }

    #[test]
    fn seconds_may_be_whole_or_fractions() {
        let limits: Limits =
            serde_json::from_str(r#"{"close_timeout": 1, "login_ban": 0.5}"#).unwrap();
        assert_eq!(limits.close_timeout, Duration::from_secs(1));
        assert_eq!(limits.login_ban, Duration::from_millis(500));
        assert!(serde_json::from_str::<Limits>(r#"{"login_ban": -1.0}"#).is_err());
    }

    #[test]
    fn loopback_is_trusted_and_nobody_else() {
        let limits = Limits::default();
        for trusted in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(limits.trusts(trusted.parse().unwrap()), "{trusted}");
        }
        for stranger in ["10.0.0.1", "::2", "2001:db8::1", "0.0.0.0"] {
            assert!(!limits.trusts(stranger.parse().unwrap()), "{stranger}");
        }
    }
}
