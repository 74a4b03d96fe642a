//! Channel binding: which values a TLS connection has, and what they are called.
//!
//! `tls-exporter` (RFC 9266), `tls-server-end-point` (RFC 5929 §4), announced by XEP-0440
//! version 1.0.0. Left out: `tls-unique`, which TLS 1.3 does not define.

use std::fmt;

/// A channel-binding type with its registered unique prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BindingType {
    /// Keying material exported from this very connection: unique to it (RFC 9266 §2).
    TlsExporter,
    /// The hash of the server's certificate: survives a proxy that holds the key.
    TlsServerEndPoint,
}

impl BindingType {
    /// The registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TlsExporter => "tls-exporter",
            Self::TlsServerEndPoint => "tls-server-end-point",
        }
    }

    /// The type of a name; RFC 5056 §7 makes names case-insensitive, RFC 5802 §7 sends them
    /// as registered, so they are compared exactly.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::TlsExporter, Self::TlsServerEndPoint]
            .into_iter()
            .find(|known| known.name() == name)
    }
}

/// The values the TLS connection under a stream has; none on a plain connection, and none
/// when TLS ends at a proxy in front of the server.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ChannelBindings {
    /// 32 bytes exported with the label of RFC 9266 §2; only for TLS 1.3, or TLS 1.2 with
    /// extended master secret (RFC 9266 §3).
    pub exporter: Option<[u8; 32]>,
    /// The certificate's hash by RFC 5929 §4.1.
    pub server_end_point: Option<Vec<u8>>,
}

impl ChannelBindings {
    /// The value of a type, if this connection has it.
    #[must_use]
    pub fn get(&self, kind: BindingType) -> Option<&[u8]> {
        match kind {
            BindingType::TlsExporter => self.exporter.as_ref().map(<[u8; 32]>::as_slice),
            BindingType::TlsServerEndPoint => self.server_end_point.as_deref(),
        }
    }

    /// The types there are values for, the better first (XEP-0440 prefers `tls-exporter`).
    pub fn types(&self) -> impl Iterator<Item = BindingType> + '_ {
        [BindingType::TlsExporter, BindingType::TlsServerEndPoint]
            .into_iter()
            .filter(|kind| self.get(*kind).is_some())
    }

    /// Whether there is nothing to bind to, so that no -PLUS mechanism can work.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.types().next().is_none()
    }
}

impl fmt::Debug for ChannelBindings {
    /// Names the types only: exported keying material is secret (RFC 5705 §4).
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ChannelBindings")?;
        formatter
            .debug_list()
            .entries(self.types().map(BindingType::name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_types_with_a_value_are_named() {
        let none = ChannelBindings::default();
        assert!(none.is_empty());
        let one = ChannelBindings {
            exporter: Some([7; 32]),
            server_end_point: None,
        };
        assert_eq!(one.types().collect::<Vec<_>>(), [BindingType::TlsExporter]);
        assert_eq!(format!("{one:?}"), r#"ChannelBindings["tls-exporter"]"#);
    }
}
