//! The client's half of SCRAM-SHA-1 and SCRAM-SHA-256 (RFC 5802, RFC 7677)
//! without channel binding, and of PLAIN (RFC 4616).
//!
//! Kept apart from the protocol crate's for one reason: derived keys are
//! remembered by account and salt, or ten thousand logins would measure the
//! driver's PBKDF2. The server's proof is checked: who does not know the
//! password must not pass for the server under load.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac};
use sha1::{Digest, Sha1};
use sha2::Sha256;

use crate::error::{LoadError, Result};

/// Iterations above this are refused: they would stall the driver, not the server.
const ITERATIONS_MAX: u32 = 1_000_000;

/// A hash that SCRAM is used with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Hash {
    /// SCRAM-SHA-1.
    Sha1,
    /// SCRAM-SHA-256.
    Sha256,
}

/// What a salted password is remembered by.
type KeyName = (Hash, String, Vec<u8>, u32);

/// Salted passwords by account and salt.
static SALTED: LazyLock<Mutex<HashMap<KeyName, Vec<u8>>>> = LazyLock::new(Mutex::default);

/// One exchange, between the client's first message and the server's last.
pub(crate) struct Scram {
    hash: Hash,
    user: String,
    password: String,
    nonce: String,
    server_signature: Vec<u8>,
}

impl Scram {
    /// Starts an exchange; the mechanism is one of the names above.
    pub(crate) fn new(mechanism: &str, user: &str, password: &str) -> Result<Self> {
        let hash = match mechanism {
            "SCRAM-SHA-1" => Hash::Sha1,
            "SCRAM-SHA-256" => Hash::Sha256,
            other => return Err(LoadError::Usage(format!("unknown mechanism {other}"))),
        };
        let mut nonce = [0; 18];
        getrandom::fill(&mut nonce)
            .map_err(|error| LoadError::Usage(format!("no randomness: {error}")))?;
        let nonce = BASE64.encode(nonce);
        Ok(Self {
            hash,
            user: user.into(),
            password: password.into(),
            nonce,
            server_signature: Vec::new(),
        })
    }

    /// The first message, base64: RFC 5802 §5.1, `n,,` for "no channel binding".
    pub(crate) fn first(&self) -> String {
        BASE64.encode(format!("n,,{}", self.first_bare()))
    }

    /// The answer to the server's first message, both base64.
    pub(crate) fn respond(&mut self, challenge: &str) -> Result<String> {
        let challenge = decode_text(challenge)?;
        let nonce = attribute(&challenge, 'r')?;
        // RFC 5802 §5.1: the server's nonce begins with the client's.
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(LoadError::protocol("the server's nonce is not ours"));
        }
        let salt = decode(attribute(&challenge, 's')?)?;
        let iterations: u32 = attribute(&challenge, 'i')?
            .parse()
            .map_err(|_| LoadError::protocol("bad iteration count"))?;
        if iterations == 0 || iterations > ITERATIONS_MAX {
            return Err(LoadError::protocol("bad iteration count"));
        }
        // `c=biws` is base64 of the `n,,` sent first.
        let without_proof = format!("c=biws,r={nonce}");
        let signed = format!("{},{challenge},{without_proof}", self.first_bare());
        let salted = self.salted_password(&salt, iterations);
        let proof = self.prove(&salted, &signed);
        Ok(BASE64.encode(format!("{without_proof},p={}", BASE64.encode(proof))))
    }

    /// Checks the server's proof in its last message, base64.
    pub(crate) fn verify(&self, last: &str) -> Result<()> {
        let last = decode_text(last)?;
        let signature = decode(attribute(&last, 'v')?)?;
        if signature != self.server_signature || signature.is_empty() {
            return Err(LoadError::protocol("the server's proof is wrong"));
        }
        Ok(())
    }

    fn first_bare(&self) -> String {
        format!("n={},r={}", self.user, self.nonce)
    }

    /// RFC 5802 §3: the client's proof; the server's signature is kept for later.
    fn prove(&mut self, salted: &[u8], signed: &str) -> Vec<u8> {
        let client_key = self.hmac(salted, b"Client Key");
        let stored_key = self.digest(&client_key);
        let signature = self.hmac(&stored_key, signed.as_bytes());
        let server_key = self.hmac(salted, b"Server Key");
        self.server_signature = self.hmac(&server_key, signed.as_bytes());
        client_key
            .iter()
            .zip(signature)
            .map(|(key, byte)| key ^ byte)
            .collect()
    }

    fn salted_password(&self, salt: &[u8], iterations: u32) -> Vec<u8> {
        let name = (self.hash, self.user.clone(), salt.to_vec(), iterations);
        if let Some(known) = SALTED
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&name)
        {
            return known.clone();
        }
        let password = self.password.as_bytes();
        let salted = match self.hash {
            Hash::Sha1 => {
                pbkdf2::pbkdf2_hmac_array::<Sha1, 20>(password, salt, iterations).to_vec()
            }
            Hash::Sha256 => {
                pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, iterations).to_vec()
            }
        };
        SALTED
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name, salted.clone());
        salted
    }

    fn hmac(&self, key: &[u8], data: &[u8]) -> Vec<u8> {
        match self.hash {
            Hash::Sha1 => keyed::<Hmac<Sha1>>(key, data),
            Hash::Sha256 => keyed::<Hmac<Sha256>>(key, data),
        }
    }

    fn digest(&self, data: &[u8]) -> Vec<u8> {
        match self.hash {
            Hash::Sha1 => Sha1::digest(data).to_vec(),
            Hash::Sha256 => Sha256::digest(data).to_vec(),
        }
    }
}

/// The one message of PLAIN, base64 (RFC 4616 §2).
pub(crate) fn plain(user: &str, password: &str) -> String {
    BASE64.encode(format!("\0{user}\0{password}"))
}

fn keyed<M: Mac + hmac::digest::KeyInit>(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac = <M as Mac>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}

/// The value of `name=` in a SCRAM message.
fn attribute(message: &str, name: char) -> Result<&str> {
    message
        .split(',')
        .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
        .ok_or_else(|| LoadError::protocol(format!("no {name}= in the server's message")))
}

fn decode(text: &str) -> Result<Vec<u8>> {
    BASE64
        .decode(text.trim())
        .map_err(|_| LoadError::protocol("bad base64"))
}

fn decode_text(text: &str) -> Result<String> {
    String::from_utf8(decode(text)?).map_err(|_| LoadError::protocol("SCRAM message is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5802 §5: the example exchange.
    #[test]
    fn the_example_of_rfc_5802_holds() {
        let mut scram = Scram {
            hash: Hash::Sha1,
            user: "user".into(),
            password: "pencil".into(),
            nonce: "fyko+d2lbbFgONRv9qkxdawL".into(),
            server_signature: Vec::new(),
        };
        let challenge = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";
        let response = scram
            .respond(&BASE64.encode(challenge))
            .expect("the challenge is good");
        let expected =
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=";
        assert_eq!(decode_text(&response).expect("base64"), expected);
        scram
            .verify(&BASE64.encode("v=rmF9pqV8S7suAoZWja4dJRkFsKQ="))
            .expect("the proof is good");
        assert!(scram.verify(&BASE64.encode("v=AAAA")).is_err());
    }

    #[test]
    fn a_foreign_nonce_is_refused() {
        let mut scram = Scram::new("SCRAM-SHA-256", "user", "pencil").expect("known");
        assert!(
            scram
                .respond(&BASE64.encode("r=other,s=QSXCR+Q6sek8bf92,i=4096"))
                .is_err()
        );
        assert!(scram.respond("%").is_err());
    }
}
