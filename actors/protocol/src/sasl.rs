//! SASL for XMPP (RFC 6120 §6, RFC 4422), without sockets, clocks or stores.
//!
//! Here live the mechanisms: SCRAM (RFC 5802, RFC 7677) with and without channel binding
//! (RFC 9266, RFC 5929), PLAIN (RFC 4616), OAUTHBEARER (RFC 7628), the protection of the
//! offered lists (XEP-0474 version 0.5.0), hashed tokens (`ht.rs`), and the credentials an
//! account keeps. The server side decides, the client side serves load generators and tests.
//!
//! Left out: the XML around the exchange and its order (`stream/sasl.rs`, `stream/sasl2.rs`),
//! EXTERNAL, and `tls-unique`, which RFC 9266 replaces and TLS 1.3 does not have.

pub mod channel_binding;
pub mod credentials;
pub mod downgrade;
pub mod encoding;
mod failure;
mod hash;
pub mod ht;
pub mod identity;
mod login;
pub mod oauthbearer;
pub mod plain;
pub mod scram;
mod secret;

pub use channel_binding::{BindingType, ChannelBindings};
pub use credentials::{DEFAULT_ITERATIONS, PasswordError, ScramCredentials};
pub use failure::{Failure, FailureCondition};
pub use hash::Hash;
pub use ht::{HtMechanism, TokenProof};
pub use login::{Claim, Login, mail_localpart};
pub use secret::Secret;

use serde::{Deserialize, Serialize};

/// A SASL mechanism this server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Mechanism {
    /// PLAIN: the password itself, so only under TLS (RFC 4616 §4).
    Plain,
    /// SCRAM without channel binding.
    Scram(Hash),
    /// SCRAM bound to the TLS channel under it.
    ScramPlus(Hash),
    /// OAUTHBEARER: a token that somebody has given out, so only where nobody listens
    /// (RFC 7628 §5).
    OauthBearer,
}

impl Mechanism {
    /// Every mechanism, the strongest first: clients that simply take the first they know
    /// then take the best (RFC 6120 §6.3.3 asks for an order of preference).
    pub const ALL: [Self; 8] = [
        Self::ScramPlus(Hash::Sha512),
        Self::ScramPlus(Hash::Sha256),
        Self::ScramPlus(Hash::Sha1),
        Self::Scram(Hash::Sha512),
        Self::Scram(Hash::Sha256),
        Self::Scram(Hash::Sha1),
        Self::Plain,
        // Only those choose it who have a token, and who has a password as well should not find
        // it first.
        Self::OauthBearer,
    ];

    /// The registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::OauthBearer => "OAUTHBEARER",
            Self::Scram(Hash::Sha1) => "SCRAM-SHA-1",
            Self::Scram(Hash::Sha256) => "SCRAM-SHA-256",
            Self::Scram(Hash::Sha512) => "SCRAM-SHA-512",
            Self::ScramPlus(Hash::Sha1) => "SCRAM-SHA-1-PLUS",
            Self::ScramPlus(Hash::Sha256) => "SCRAM-SHA-256-PLUS",
            Self::ScramPlus(Hash::Sha512) => "SCRAM-SHA-512-PLUS",
        }
    }

    /// The mechanism of a name. Names are compared exactly: RFC 4422 §3.1 has upper case only.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// Whether the mechanism binds the exchange to the TLS channel.
    #[must_use]
    pub const fn is_plus(self) -> bool {
        matches!(self, Self::ScramPlus(_))
    }

    /// The hash of a SCRAM mechanism.
    #[must_use]
    pub const fn hash(self) -> Option<Hash> {
        match self {
            Self::Plain | Self::OauthBearer => None,
            Self::Scram(hash) | Self::ScramPlus(hash) => Some(hash),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_finds_its_mechanism() {
        for mechanism in Mechanism::ALL {
            assert_eq!(Mechanism::parse(mechanism.name()), Some(mechanism));
        }
        assert_eq!(Mechanism::parse("plain"), None);
        assert_eq!(Mechanism::parse("SCRAM-MD5"), None);
    }

    #[test]
    fn a17_nobody_logs_in_by_a_certificate() {
        assert_eq!(Mechanism::parse("EXTERNAL"), None);
    }
}
