//! Voluntary Application Server Identification, RFC 8292: a push service knows by it that
//! notifications come from the server that the browser has subscribed to.
//!
//! Leaves out keeping a signature for the next notification: making one takes less than the
//! handshake that carries it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use klatsch_protocol::features::web_push::Endpoint;
use sha2::{Digest, Sha256};
use web_push_native::p256::ecdsa::signature::Signer;
use web_push_native::p256::ecdsa::{Signature, SigningKey};

/// RFC 8292 §2: 24 hours at most. Half of it bears a clock that is wrong by hours.
const LIFETIME_SECONDS: u64 = 12 * 3_600;

/// The key by which the server is known to browsers and their push services.
#[derive(Clone)]
pub struct VapidKey(SigningKey);

impl VapidKey {
    /// The key that 32 secret random bytes are. One in four billion times they are no number
    /// below the order of P-256; then their hash is taken, and so on.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let mut seed = seed;
        loop {
            if let Ok(key) = SigningKey::from_slice(&seed) {
                return Self(key);
            }
            seed = Sha256::digest(seed).into();
        }
    }

    /// The public key as browsers want it to subscribe (RFC 8292 §3.2): base64url.
    pub fn public(&self) -> String {
        let point = self.0.verifying_key().to_encoded_point(false);
        URL_SAFE_NO_PAD.encode(point.as_bytes())
    }

    /// The header `Authorization` of a request (RFC 8292 §2, §3).
    pub(super) fn authorization(&self, to: &Endpoint<'_>, contact: &str, now: u64) -> String {
        let header = serde_json::json!({ "typ": "JWT", "alg": "ES256" });
        let claims = serde_json::json!({
            "aud": format!("https://{}", to.authority),
            "exp": now.saturating_add(LIFETIME_SECONDS),
            "sub": contact,
        });
        let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
        let signed = format!(
            "{}.{}",
            encode(header.to_string()),
            encode(claims.to_string())
        );
        let signature: Signature = self.0.sign(signed.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(signature.to_bytes());
        format!("vapid t={signed}.{signature}, k={}", self.public())
    }
}

impl fmt::Debug for VapidKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("VapidKey(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_makes_the_same_key_on_every_node() {
        let key = |seed| VapidKey::from_seed([seed; 32]).public();
        assert_eq!(key(7), key(7));
        assert_ne!(key(7), key(8));
        // 65 bytes: an uncompressed point.
        assert_eq!(key(7).len(), 87);
        // Not below the order of the curve, and all zeros: neither is a key as it is.
        assert_ne!(key(255), key(0));
    }

    #[test]
    fn debug_shows_nothing_of_the_key() {
        let key = VapidKey::from_seed([7; 32]);
        assert_eq!(format!("{key:?}"), "VapidKey(hidden)");
    }
}
