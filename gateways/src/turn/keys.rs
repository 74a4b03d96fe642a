//! Who may use relays: credentials that end by themselves, and nonces.
//!
//! A name says when it ends and whose it is, its password proves that this server (or one of
//! its cluster) wrote it: `protocol/src/features/external_services.rs` does. Nothing is
//! remembered of either, so that nobody can fill memory by asking.

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use klatsch_protocol::features::external_services::Secret;
use klatsch_protocol::sasl::Hash;
use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;

/// Seconds that a nonce is good: RFC 8656 §5 wants one to end within the hour at the latest.
const NONCE_SECONDS: u64 = 3600;

/// Digits of the time at which a nonce ends.
const NONCE_TIME: usize = 8;

/// Bytes of a nonce's proof: nobody guesses 96 bits within an hour, and answers stay small.
const NONCE_MAC: usize = 12;

/// Bytes of a name: ours have 27.
const NAME_BYTES_MAX: usize = 64;

/// The key of the long-term mechanism.
pub(super) type LongTermKey = [u8; 16];

/// Makes and checks.
pub(super) struct Keys {
    realm: String,
    secret: Secret,
    nonce_key: [u8; 32],
}

/// What a name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name<'a> {
    /// When it ends, in seconds since 1970.
    pub(super) ends: u64,
    /// Whose it is; nobody can tell from it who that is.
    pub(super) account: &'a str,
}

impl<'a> Name<'a> {
    /// Reads `1700000000:0123456789abcdef`.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (ends, account) = text.split_once(':')?;
        let is_time = ends.bytes().all(|byte| byte.is_ascii_digit());
        let is_known = is_time && !account.is_empty() && text.len() <= NAME_BYTES_MAX;
        let ends = ends.parse().ok()?;
        is_known.then_some(Self { ends, account })
    }
}

impl Keys {
    /// The nonce key lives as long as the process: a nonce of before is stale, and the client
    /// asks again with a new one.
    pub(super) fn new(realm: String, secret: Secret, nonce_key: [u8; 32]) -> Self {
        Self {
            realm,
            secret,
            nonce_key,
        }
    }

    /// Where the credentials are good.
    pub(super) fn realm(&self) -> &str {
        &self.realm
    }

    /// The key of a name, whoever bears it.
    pub(super) fn of(&self, name: &str) -> LongTermKey {
        let password = STANDARD.encode(Hash::Sha1.hmac(&self.secret.0, name.as_bytes()));
        long_term(name, &self.realm, &password)
    }

    /// A nonce for who is there; in another's hands it is worth nothing.
    pub(super) fn nonce(&self, client: SocketAddr, now: u64) -> String {
        let ends = format!("{:08x}", now + NONCE_SECONDS);
        let mac = self.nonce_mac(&ends, client);
        ends + &mac
    }

    /// Tells whether a nonce is one of ours for this client, and not too old.
    pub(super) fn is_fresh(&self, nonce: &str, client: SocketAddr, now: u64) -> bool {
        let Some((ends, mac)) = nonce.split_at_checked(NONCE_TIME) else {
            return false;
        };
        let expected = self.nonce_mac(ends, client);
        let is_ours = bool::from(expected.as_bytes().ct_eq(mac.as_bytes()));
        is_ours && u64::from_str_radix(ends, 16).is_ok_and(|ends| ends > now)
    }

    fn nonce_mac(&self, ends: &str, client: SocketAddr) -> String {
        let mut bound = ends.as_bytes().to_vec();
        match client.ip() {
            IpAddr::V4(ip) => bound.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => bound.extend_from_slice(&ip.octets()),
        }
        bound.extend_from_slice(&client.port().to_be_bytes());
        let mac = Hash::Sha256.hmac(&self.nonce_key, &bound);
        STANDARD.encode(&mac[..NONCE_MAC])
    }
}

/// RFC 8489 §9.2.2: the key of the long-term mechanism.
pub(super) fn long_term(name: &str, realm: &str, password: &str) -> LongTermKey {
    let mut hash = Md5::new();
    for part in [name, ":", realm, ":", password] {
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        let secret = Secret((*b"secret").into());
        Keys::new("example.org".to_owned(), secret, [9; 32])
    }

    fn client(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn t02_nonce_is_good_for_its_client_and_an_hour() {
        let keys = keys();
        let here = client("192.0.2.1:5000");
        let nonce = keys.nonce(here, 1_000);
        assert_eq!(nonce.len(), NONCE_TIME + 16);
        assert!(keys.is_fresh(&nonce, here, 1_000 + NONCE_SECONDS - 1));
        assert!(!keys.is_fresh(&nonce, here, 1_000 + NONCE_SECONDS));
        for other in ["192.0.2.1:5001", "192.0.2.2:5000", "[::1]:5000"] {
            assert!(!keys.is_fresh(&nonce, client(other), 1_000), "{other}");
        }
        for forged in ["", "0", "ffffffff", "ffffffffAAAAAAAAAAAAAAAA", "éééé"] {
            assert!(!keys.is_fresh(forged, here, 1_000), "{forged}");
        }
        let longer = format!("ffffffff{}", &nonce[NONCE_TIME..]);
        assert!(!keys.is_fresh(&longer, here, 1_000));
        let restarted = Keys {
            nonce_key: [8; 32],
            ..keys
        };
        assert!(!restarted.is_fresh(&nonce, here, 1_000));
    }

    #[test]
    fn name_says_when_and_whose() {
        let name = Name::parse("1700000000:0123456789abcdef").unwrap();
        assert_eq!(
            (name.ends, name.account),
            (1_700_000_000, "0123456789abcdef")
        );
        let long = format!("1:{}", "a".repeat(NAME_BYTES_MAX));
        for bad in ["", "anna", "1", ":a", "1:", "+1:a", "-1:a", "x:a", &long] {
            assert_eq!(Name::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn key_depends_on_name_realm_and_secret() {
        let first = keys().of("1:a");
        assert_ne!(first, keys().of("2:a"));
        let other = Keys::new("other".to_owned(), Secret((*b"secret").into()), [9; 32]);
        assert_ne!(first, other.of("1:a"));
        let other = Keys::new("example.org".to_owned(), Secret((*b"x").into()), [9; 32]);
        assert_ne!(first, other.of("1:a"));
    }
}
