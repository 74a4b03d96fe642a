//! A join token: what an operator carries from a node of the cluster to the new one.
//!
//! It says where to ask, by which fingerprint the cluster is known there, and proves that an
//! operator of the cluster wants the new node. Good for a short time and so many nodes.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use std::fmt;
use std::str::FromStr;

/// What a token begins with: people recognise it, and programs that look for leaked secrets, too.
const PREFIX: &str = "klatsch-join-1-";

/// Bytes of the secret: nobody guesses 256 bits (row C01).
pub const SECRET_BYTES: usize = 32;

/// Longest address: a name of DNS and a port.
const ADDRESS_MAX: usize = 253 + 6;

/// A join token.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// What proves that the new node is wanted.
    pub secret: [u8; SECRET_BYTES],
    /// The SHA-256 of the authority's certificate.
    pub fingerprint: [u8; 32],
    /// Where to ask, HOST:PORT.
    pub address: String,
}

/// Why a text is no join token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It does not begin like one.
    #[error("not a join token: it begins with {PREFIX}")]
    Prefix,
    /// It has been cut or changed on its way.
    #[error("join token is damaged: copy all of it")]
    Damaged,
}

impl fmt::Display for JoinToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.secret, &self.fingerprint, self.address.as_bytes()].concat();
        write!(out, "{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for JoinToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let text = text.trim().strip_prefix(PREFIX).ok_or(TokenError::Prefix)?;
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text);
        let bytes = bytes.map_err(|_| TokenError::Damaged)?;
        let (secret, rest) = bytes.split_first_chunk().ok_or(TokenError::Damaged)?;
        let (fingerprint, address) = rest.split_first_chunk().ok_or(TokenError::Damaged)?;
        let address = std::str::from_utf8(address).ok();
        let address = address
            .filter(|it| it.len() <= ADDRESS_MAX && crate::config::cluster::split(it).is_some());
        Ok(Self {
            secret: *secret,
            fingerprint: *fingerprint,
            address: address.ok_or(TokenError::Damaged)?.to_owned(),
        })
    }
}

/// The secret is not for logs.
impl fmt::Debug for JoinToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "JoinToken({}, hidden)", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> JoinToken {
        JoinToken {
            secret: [3; SECRET_BYTES],
            fingerprint: [4; 32],
            address: "[2001:db8::1]:5291".to_owned(),
        }
    }

    #[test]
    fn token_is_one_word_and_comes_back() {
        let text = token().to_string();
        assert!(
            text.bytes()
                .all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it))
        );
        assert_eq!(text.parse(), Ok(token()));
        assert_eq!(format!("  {text}\n").parse(), Ok(token()));
    }

    #[test]
    fn what_is_no_token_is_refused_by_name() {
        let text = token().to_string();
        assert_eq!("hello".parse::<JoinToken>(), Err(TokenError::Prefix));
        let cut = &text[..PREFIX.len() + 40];
        for damaged in [PREFIX, cut, &format!("{text}!"), &text[..text.len() - 6]] {
            assert_eq!(
                damaged.parse::<JoinToken>(),
                Err(TokenError::Damaged),
                "{damaged}"
            );
        }
    }

    #[test]
    fn secret_is_not_in_logs() {
        assert_eq!(
            format!("{:?}", token()),
            "JoinToken([2001:db8::1]:5291, hidden)"
        );
    }
}
