//! The server side of SCRAM (RFC 5802 §5), in the two steps between which the credentials
//! are loaded.

use subtle::{Choice, ConstantTimeEq as _};

use super::message::{BindingFlag, ClientFinal, ClientFirst};
use crate::sasl::{
    BindingType, ChannelBindings, Failure, Hash, Mechanism, ScramCredentials, encoding,
};

/// A client-first-message the server accepts so far.
#[derive(Debug)]
pub struct ScramFirst {
    hash: Hash,
    message: ClientFirst,
    /// What `c=` must decode to: GS2 header and channel-binding data.
    expected_binding: Vec<u8>,
}

impl ScramFirst {
    /// Reads a client-first-message. `plus_offered` tells whether this stream's mechanism
    /// list had a -PLUS form, `bindings` what the connection can be bound to.
    ///
    /// # Errors
    /// When the grammar is broken or the channel-binding flag does not fit (row A06).
    pub fn read(
        mechanism: Mechanism,
        data: &[u8],
        plus_offered: bool,
        bindings: &ChannelBindings,
    ) -> Result<Self, Failure> {
        let hash = mechanism
            .hash()
            .ok_or(Failure::malformed("not a SCRAM mechanism"))?;
        let message = ClientFirst::parse(data)?;
        let bound_to = decide_binding(mechanism.is_plus(), plus_offered, &message.flag, bindings)?;
        let mut expected_binding = message.gs2_header.clone().into_bytes();
        expected_binding.extend_from_slice(bound_to);
        Ok(Self {
            hash,
            message,
            expected_binding,
        })
    }

    /// The name the client logs in with.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.message.username
    }

    /// Whom the client wants to act as; empty means itself.
    #[must_use]
    pub fn authzid(&self) -> &str {
        &self.message.authzid
    }

    /// The hash of the mechanism.
    #[must_use]
    pub const fn hash(&self) -> Hash {
        self.hash
    }

    /// The server-first-message. Without credentials for this hash the account does not
    /// exist as far as this exchange goes: pass [`ScramCredentials::fake`] and `known: false`,
    /// and it fails at the proof, as a wrong password does.
    #[must_use]
    pub fn challenge(
        self,
        credentials: ScramCredentials,
        known: bool,
        entropy: &[u8],
        list_hash: Option<&str>,
    ) -> (ScramProof, Vec<u8>) {
        let nonce = format!("{}{}", self.message.nonce, encoding::nonce(entropy));
        let salt = encoding::encode(&credentials.salt);
        let mut server_first = format!("r={nonce},s={salt},i={}", credentials.iterations);
        if let Some(hash) = list_hash {
            // XEP-0474: an optional attribute, which RFC 5802 §5.1 lets old clients ignore.
            server_first.push_str(",h=");
            server_first.push_str(hash);
        }
        let message = server_first.clone().into_bytes();
        (
            ScramProof {
                first: self,
                credentials,
                known,
                nonce,
                server_first,
            },
            message,
        )
    }
}

/// The channel-binding data an exchange must contain (RFC 5802 §6, RFC 9266): the matrix of
/// the client's flag and the server's offer, row A06 of the attack corpus.
fn decide_binding<'a>(
    is_plus: bool,
    plus_offered: bool,
    flag: &BindingFlag,
    bindings: &'a ChannelBindings,
) -> Result<&'a [u8], Failure> {
    match (is_plus, flag) {
        (false, BindingFlag::Unsupported) => Ok(&[]),
        // §6: the client believes that the server cannot bind, so somebody took the -PLUS
        // mechanisms out of the list it saw.
        (false, BindingFlag::NotOffered) if plus_offered => Err(Failure::channel_binding(
            "channel binding was offered: the list was tampered with",
        )),
        (false, BindingFlag::NotOffered) => Ok(&[]),
        (false, BindingFlag::Required(_)) => Err(Failure::malformed(
            "channel binding needs a -PLUS mechanism",
        )),
        (true, BindingFlag::Required(name)) => BindingType::parse(name)
            .and_then(|kind| bindings.get(kind))
            .ok_or(Failure::BINDING_TYPE),
        (true, _) => Err(Failure::malformed(
            "a -PLUS mechanism needs channel binding",
        )),
    }
}

/// A server that has sent its challenge and waits for the proof.
#[derive(Debug)]
pub struct ScramProof {
    first: ScramFirst,
    credentials: ScramCredentials,
    known: bool,
    nonce: String,
    server_first: String,
}

impl ScramProof {
    /// Checks the client-final-message; the answer is the server-final-message, which proves
    /// to the client that the server knows the credentials.
    ///
    /// # Errors
    /// `malformed-request` for broken grammar; the same `not-authorized` for a wrong nonce, a
    /// wrong channel, a wrong password and an unknown account (row A11).
    pub fn verify(self, data: &[u8]) -> Result<Vec<u8>, Failure> {
        let message = ClientFinal::parse(data)?;
        let auth_message = format!(
            "{},{},{}",
            self.first.message.bare, self.server_first, message.without_proof
        );
        // Everything is compared before anything is decided, in constant time, so that no
        // answer comes earlier than another (row A10).
        let is_right = Choice::from(u8::from(self.known))
            & message.binding.ct_eq(&self.first.expected_binding)
            & message.nonce.as_bytes().ct_eq(self.nonce.as_bytes())
            & self.is_proved(&message.proof, auth_message.as_bytes());
        let signature = self
            .first
            .hash
            .hmac(&self.credentials.server_key, auth_message.as_bytes());
        if !bool::from(is_right) {
            return Err(Failure::NOT_AUTHORIZED);
        }
        Ok(format!("v={}", encoding::encode(&signature)).into_bytes())
    }

    /// RFC 5802 §3: the proof is the client key hidden by a signature with the stored key.
    fn is_proved(&self, proof: &[u8], auth_message: &[u8]) -> Choice {
        let hash = self.first.hash;
        let signature = hash.hmac(&self.credentials.stored_key, auth_message);
        let client_key: Vec<u8> = signature
            .iter()
            .zip(proof)
            .map(|(mask, byte)| mask ^ byte)
            .collect();
        let length_fits = Choice::from(u8::from(proof.len() == signature.len()));
        length_fits & hash.digest(&client_key).ct_eq(&self.credentials.stored_key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::FailureCondition::{MalformedRequest, NotAuthorized};

    fn tls() -> ChannelBindings {
        ChannelBindings {
            exporter: Some([3; 32]),
            server_end_point: None,
        }
    }

    #[test]
    fn a06_the_channel_binding_flag_must_fit_the_offer() {
        let plain = Mechanism::Scram(Hash::Sha1);
        let plus = Mechanism::ScramPlus(Hash::Sha1);
        let cases = [
            (plain, "n", true, Ok(())),
            (plain, "n", false, Ok(())),
            (plain, "y", false, Ok(())),
            (plain, "y", true, Err(NotAuthorized)),
            (plain, "p=tls-exporter", true, Err(MalformedRequest)),
            (plain, "p=tls-exporter", false, Err(MalformedRequest)),
            (plus, "n", true, Err(MalformedRequest)),
            (plus, "y", true, Err(MalformedRequest)),
            (plus, "p=tls-exporter", true, Ok(())),
            (plus, "p=tls-server-end-point", true, Err(NotAuthorized)),
            (plus, "p=tls-unique", true, Err(NotAuthorized)),
        ];
        for (mechanism, flag, plus_offered, expected) in cases {
            let data = format!("{flag},,n=user,r=abc");
            let read = ScramFirst::read(mechanism, data.as_bytes(), plus_offered, &tls());
            let outcome = read.map(|_| ()).map_err(|failure| failure.condition);
            assert_eq!(
                outcome,
                expected,
                "{} {flag} {plus_offered}",
                mechanism.name()
            );
        }
    }

    #[test]
    fn plain_is_not_a_scram_mechanism() {
        let read = ScramFirst::read(Mechanism::Plain, b"n,,n=user,r=abc", false, &tls());
        assert!(read.is_err());
    }
}
