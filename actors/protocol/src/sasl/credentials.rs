//! What an account keeps instead of its password (RFC 5802 §3), and what an absent account
//! shows so that nobody can tell (row A10 of the attack corpus).
//!
//! Left out: where credentials are stored, and random salts, which come in as arguments.

use std::fmt;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use thiserror::Error;

use super::Hash;

/// PBKDF2 rounds for new credentials: RFC 7677 §4 asks for 4096 at least, the corpus row A09
/// for 10,000; a login costs the client milliseconds and the server nothing.
pub const DEFAULT_ITERATIONS: u32 = 10_000;

/// Bytes of salt for new credentials.
pub const SALT_BYTES: usize = 16;

/// Why a password cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PasswordError {
    /// Nothing is left of it after preparation.
    #[error("the password is empty")]
    Empty,
    /// SASLprep (RFC 4013 §2.3) forbids a character of it.
    #[error(
        "the password has a character that not every app can log in with, such as an emoji: \
         please use letters, digits, spaces and punctuation"
    )]
    Prohibited,
    /// PBKDF2 without a round, or more rounds than any honest peer asks for.
    #[error("the iteration count is out of bounds")]
    Iterations,
}

/// An account's SCRAM credentials for one hash. Who steals them can impersonate the server,
/// but not log in elsewhere (RFC 5802 §9).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScramCredentials {
    /// The hash the keys were made with.
    pub hash: Hash,
    /// The salt the client needs.
    pub salt: Vec<u8>,
    /// PBKDF2 rounds the client needs.
    pub iterations: u32,
    /// `H(ClientKey)`: checks proofs.
    pub stored_key: Vec<u8>,
    /// Signs for the server.
    pub server_key: Vec<u8>,
}

impl ScramCredentials {
    /// Derives credentials from a password. Slow by intent: run it in a bounded pool.
    ///
    /// # Errors
    /// When the password is empty or cannot be prepared, or without iterations.
    pub fn derive(
        hash: Hash,
        password: &str,
        salt: &[u8],
        iterations: u32,
    ) -> Result<Self, PasswordError> {
        let salted = salted_password(hash, password, salt, iterations)?;
        Ok(Self::of_salted(hash, &salted, salt, iterations))
    }

    /// The credentials that belong to a `SaltedPassword`, which somebody has derived with this
    /// salt (XEP-0480 §3).
    #[must_use]
    pub fn of_salted(hash: Hash, salted: &[u8], salt: &[u8], iterations: u32) -> Self {
        let client_key = hash.hmac(salted, b"Client Key");
        Self {
            hash,
            salt: salt.to_vec(),
            iterations,
            stored_key: hash.digest(&client_key),
            server_key: hash.hmac(salted, b"Server Key"),
        }
    }

    /// Whether a password is the one these credentials were derived from: PLAIN against
    /// stored SCRAM keys. Slow by intent: run it in a bounded pool.
    #[must_use]
    pub fn verify_password(&self, password: &str) -> bool {
        Self::derive(self.hash, password, &self.salt, self.iterations)
            .is_ok_and(|derived| derived.stored_key.ct_eq(&self.stored_key).into())
    }

    /// Credentials nobody can satisfy for an account that does not exist. They depend on the
    /// server's key and the account alone, so that asking twice gives the same salt
    /// (row A10), and every step costs what it costs for an existing account.
    #[must_use]
    pub fn fake(hash: Hash, server_key: &[u8; 32], account: &str) -> Self {
        let part = |purpose: &str| {
            let input = format!("{purpose}\0{}\0{account}", hash.name());
            hash.hmac(server_key, input.as_bytes())
        };
        let mut salt = part("salt");
        salt.truncate(SALT_BYTES);
        Self {
            hash,
            salt,
            iterations: DEFAULT_ITERATIONS,
            stored_key: part("stored key"),
            server_key: part("server key"),
        }
    }
}

impl fmt::Debug for ScramCredentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ScramCredentials")
            .field("hash", &self.hash)
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

/// `SaltedPassword` of RFC 5802 §3 with the password prepared by SASLprep.
pub(super) fn salted_password(
    hash: Hash,
    password: &str,
    salt: &[u8],
    iterations: u32,
) -> Result<Vec<u8>, PasswordError> {
    let prepared = prepare_password(password)?;
    if iterations == 0 {
        return Err(PasswordError::Iterations);
    }
    Ok(hash.salted_password(prepared.as_bytes(), salt, iterations))
}

/// SASLprep (RFC 4013) of a password; what remains may not be empty (RFC 4616 §2).
///
/// # Errors
/// When nothing remains or a character is forbidden.
pub fn prepare_password(password: &str) -> Result<std::borrow::Cow<'_, str>, PasswordError> {
    let prepared = stringprep::saslprep(password).map_err(|_| PasswordError::Prohibited)?;
    if prepared.is_empty() {
        return Err(PasswordError::Empty);
    }
    Ok(prepared)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derive(password: &str) -> Result<ScramCredentials, PasswordError> {
        ScramCredentials::derive(Hash::Sha256, password, b"salt", 2)
    }

    #[test]
    fn the_password_and_no_other_verifies() {
        let credentials = derive("pencil").unwrap();
        assert!(credentials.verify_password("pencil"));
        assert!(!credentials.verify_password("Pencil"));
        assert!(!credentials.verify_password(""));
    }

    #[test]
    fn passwords_are_prepared_by_saslprep() {
        // RFC 4013 §3: soft hyphen maps to nothing, feminine ordinal to a.
        assert!(derive("I\u{ad}X").unwrap().verify_password("IX"));
        assert!(derive("\u{aa}").unwrap().verify_password("a"));
        assert_eq!(derive("\u{7}"), Err(PasswordError::Prohibited));
    }

    /// RFC 3454 §7: stored strings have no code points that Unicode 3.2 had not assigned. A
    /// client that keeps to it could never log in with one.
    #[test]
    fn emoji_are_refused_in_words_that_people_understand() {
        let refusal = derive("correct horse \u{1f40e}").unwrap_err();
        assert_eq!(refusal, PasswordError::Prohibited);
        assert!(refusal.to_string().contains("emoji"), "{refusal}");
        assert!(derive("p\u{e4}ssw\u{f6}rter \u{20ac} \u{5bc6}\u{7801}").is_ok());
    }

    #[test]
    fn empty_passwords_are_refused() {
        assert_eq!(derive(""), Err(PasswordError::Empty));
        assert_eq!(derive("\u{ad}"), Err(PasswordError::Empty));
    }

    #[test]
    fn a10_fake_credentials_are_the_same_twice_and_differ_by_account_and_server() {
        let key = [1; 32];
        let first = ScramCredentials::fake(Hash::Sha1, &key, "a@x");
        assert_eq!(first, ScramCredentials::fake(Hash::Sha1, &key, "a@x"));
        assert_ne!(
            first.salt,
            ScramCredentials::fake(Hash::Sha1, &key, "b@x").salt
        );
        assert_ne!(
            first.salt,
            ScramCredentials::fake(Hash::Sha1, &[2; 32], "a@x").salt
        );
        assert_eq!(first.salt.len(), SALT_BYTES);
        assert_eq!(first.stored_key.len(), Hash::Sha1.output_bytes());
    }

    #[test]
    fn debug_shows_no_key() {
        let shown = format!("{:?}", derive("pencil").unwrap());
        assert_eq!(
            shown,
            "ScramCredentials { hash: Sha256, iterations: 2, .. }"
        );
    }
}
