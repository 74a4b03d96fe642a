//! Tokens that say themselves whose they are: JSON Web Tokens (RFC 7519) signed by an OpenID
//! provider, read as RFC 8725 wants it.
//!
//! What is not said to be taken is refused: three algorithms, all of them signatures by a key
//! that the provider publishes. `none` and the keyed hashes are none of them, so no public key is
//! ever taken for a secret (RFC 8725 §2.1). `keys.rs` are a provider's keys, `issuer.rs` finds
//! and fetches them. Leaves out encrypted and nested tokens, and whatever a token's header says
//! of where its key is (`jku`, `jwk`, `x5u`, `x5c`): who makes a token does not say what proves it.

pub mod issuer;
pub mod keys;
#[cfg(test)]
mod tests;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

use self::keys::{Algorithm, KeySet};
use crate::ldap::account_of;

/// Tokens with many roles in them have some kilobytes.
pub(super) const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Names of keys are hashes or dates.
const KID_BYTES_MAX: usize = 256;

/// Clocks may be so far apart.
const LEEWAY_SECONDS: f64 = 60.0;

/// Why a token is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// It is no signed token.
    #[error("not a signed token")]
    Malformed,
    /// It is signed by what is not taken, or has what must be understood and is not.
    #[error("an algorithm, or a kind of token, that is not taken")]
    Kind,
    /// Its key is none of the provider's.
    #[error("a key that the provider does not have")]
    UnknownKey,
    /// It is not signed by its key.
    #[error("a wrong signature")]
    Signature,
    /// It is another provider's.
    #[error("another issuer")]
    Issuer,
    /// It is for another service.
    #[error("another audience")]
    Audience,
    /// It is good no longer, not yet, or for ever.
    #[error("not valid now")]
    Time,
    /// It says of nobody verified whose it is.
    #[error("no verified address")]
    Nobody,
}

/// Whose tokens are taken, and what for.
#[derive(Debug, Clone)]
pub struct Expected {
    /// The provider, to the letter.
    pub issuer: String,
    /// What we are called in its tokens; one is enough.
    pub audience: Vec<String>,
}

/// A token in its parts.
pub(super) struct Parts<'a> {
    algorithm: Algorithm,
    pub(super) kid: Option<String>,
    signed: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
}

/// What matters of a token's header (RFC 7515 §4.1).
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<IgnoredAny>,
}

/// What matters of its claims (RFC 7519 §4.1, OpenID Connect Core §5.1).
#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: OneOrMany,
    exp: f64,
    nbf: Option<f64>,
    iat: Option<f64>,
    email: Option<String>,
    email_verified: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// Whether a text has the form of a signed token (RFC 7515 §7.1), so that nobody else is asked.
pub(super) fn looks_like_one(token: &str) -> bool {
    token.split('.').count() == 3
}

impl<'a> Parts<'a> {
    /// Takes a token apart; nothing of it is true yet.
    ///
    /// # Errors
    /// [`BadToken::Malformed`], [`BadToken::Kind`].
    pub(super) fn read(token: &'a str) -> Result<Self, BadToken> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(BadToken::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(BadToken::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(BadToken::Malformed)?;
        if payload.contains('.') {
            return Err(BadToken::Malformed);
        }
        let header: Header = decode_json(header)?;
        let algorithm = Algorithm::of(&header.alg).ok_or(BadToken::Kind)?;
        // RFC 7515 §4.1.11: we understand no extension.
        if header.crit.is_some() || !header.typ.as_deref().is_none_or(is_taken) {
            return Err(BadToken::Kind);
        }
        let is_long = |kid: &String| kid.len() > KID_BYTES_MAX;
        if header.kid.as_ref().is_some_and(is_long) {
            return Err(BadToken::UnknownKey);
        }
        Ok(Self {
            algorithm,
            kid: header.kid,
            signed,
            payload,
            signature: decode(signature)?,
        })
    }

    /// Whose the token is, if everything about it is right.
    ///
    /// # Errors
    /// [`BadToken`].
    pub(super) fn verify(
        &self,
        keys: &KeySet,
        expected: &Expected,
        now: Timestamp,
    ) -> Result<BareJid, BadToken> {
        keys.verify(
            self.algorithm,
            self.kid.as_deref(),
            self.signed.as_bytes(),
            &self.signature,
        )?;
        // From here on the provider has said it.
        let claims: Claims = decode_json(self.payload)?;
        if claims.iss != expected.issuer {
            return Err(BadToken::Issuer);
        }
        let is_ours = |it: &String| expected.audience.contains(it);
        let is_for_us = match &claims.aud {
            OneOrMany::One(audience) => is_ours(audience),
            OneOrMany::Many(audiences) => audiences.iter().any(is_ours),
        };
        if !is_for_us {
            return Err(BadToken::Audience);
        }
        if !claims.is_valid_at(now) {
            return Err(BadToken::Time);
        }
        claims.account().ok_or(BadToken::Nobody)
    }
}

impl Claims {
    fn is_valid_at(&self, now: Timestamp) -> bool {
        // Microseconds of centuries are whole numbers to a double.
        let now = now.micros() as f64 / 1e6;
        let has_begun = |at: &f64| *at <= now + LEEWAY_SECONDS;
        self.exp.is_finite()
            && now < self.exp + LEEWAY_SECONDS
            && self.nbf.as_ref().is_none_or(has_begun)
            && self.iat.as_ref().is_none_or(has_begun)
    }

    /// Where anybody may write any address into their profile, it is nobody's.
    fn account(&self) -> Option<BareJid> {
        match self.email_verified {
            Some(false) => None,
            _ => account_of(self.email.as_deref()?),
        }
    }
}

/// RFC 8725 §3.11: tokens of another kind, as for a logout or for a proof of a key, are no logins.
/// RFC 9068 §2.1 has a kind for access tokens; most have none, or say what all are.
fn is_taken(typ: &str) -> bool {
    let name = typ.get("application/".len()..);
    let is_long = typ.to_ascii_lowercase().starts_with("application/");
    let name = name.filter(|_| is_long).unwrap_or(typ);
    ["jwt", "at+jwt"]
        .iter()
        .any(|it| name.eq_ignore_ascii_case(it))
}

fn decode(text: &str) -> Result<Vec<u8>, BadToken> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| BadToken::Malformed)
}

fn decode_json<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, BadToken> {
    serde_json::from_slice(&decode(text)?).map_err(|_| BadToken::Malformed)
}
