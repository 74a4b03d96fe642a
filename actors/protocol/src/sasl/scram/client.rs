//! The client side of SCRAM (RFC 5802 §5), for load generators and tests.
//!
//! Left out: pinning and the choice of a mechanism, which are a user's client's business.

use subtle::ConstantTimeEq as _;
use thiserror::Error;

use super::message::{escape_name, is_nonce};
use crate::sasl::credentials::salted_password;
use crate::sasl::{BindingType, Hash, Secret, encoding};

/// The most rounds a server may ask for: a million keeps a client busy for a second or so.
const ITERATIONS_MAX: u32 = 1_000_000;

/// What the client does about channel binding.
#[derive(Clone, PartialEq, Eq)]
pub enum ClientBinding {
    /// It cannot (`n`).
    Unsupported,
    /// It could, and saw no -PLUS mechanism (`y`).
    NotOffered,
    /// It does, with the connection's value; only with a -PLUS mechanism.
    Bound(BindingType, Vec<u8>),
}

impl ClientBinding {
    fn gs2_header(&self) -> String {
        match self {
            Self::Unsupported => "n,,".to_owned(),
            Self::NotOffered => "y,,".to_owned(),
            Self::Bound(kind, _) => format!("p={},,", kind.name()),
        }
    }

    fn data(&self) -> &[u8] {
        match self {
            Self::Bound(_, data) => data,
            _ => &[],
        }
    }
}

/// Why a client gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ScramClientError {
    /// The server's message breaks the grammar.
    #[error("the server's SCRAM message is malformed")]
    Malformed,
    /// The server's nonce does not continue the client's: a replay.
    #[error("the server's nonce does not continue ours")]
    Nonce,
    /// The iteration count is zero or absurd.
    #[error("the iteration count is out of bounds")]
    Iterations,
    /// The list the server signed is not the list the client saw (XEP-0474).
    #[error("the offered mechanisms were tampered with")]
    Downgrade,
    /// The password cannot be prepared.
    #[error("the password cannot be prepared")]
    Password,
    /// The server does not know the credentials.
    #[error("the server's signature is wrong")]
    Signature,
}

/// The keys a client derives from its password; they can be kept for the next login, since
/// deriving them is what costs time (RFC 5802 §5.1 allows that).
#[derive(Clone, PartialEq, Eq)]
pub struct ClientKeys {
    hash: Hash,
    salt: Vec<u8>,
    iterations: u32,
    client_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl ClientKeys {
    /// Derives the keys; slow by intent.
    ///
    /// # Errors
    /// When the password cannot be prepared or there are no iterations.
    pub fn derive(
        hash: Hash,
        password: &Secret,
        salt: &[u8],
        iterations: u32,
    ) -> Result<Self, ScramClientError> {
        let salted = salted_password(hash, password.expose(), salt, iterations)
            .map_err(|_| ScramClientError::Password)?;
        Ok(Self {
            hash,
            salt: salt.to_vec(),
            iterations,
            client_key: hash.hmac(&salted, b"Client Key"),
            server_key: hash.hmac(&salted, b"Server Key"),
        })
    }

    fn fits(&self, hash: Hash, salt: &[u8], iterations: u32) -> bool {
        self.hash == hash && self.salt == salt && self.iterations == iterations
    }
}

/// A client in the middle of a SCRAM exchange.
pub struct ScramClient {
    hash: Hash,
    password: Secret,
    binding: ClientBinding,
    nonce: String,
    first_bare: String,
    keys: Option<ClientKeys>,
    expected_signature: Vec<u8>,
}

impl ScramClient {
    /// Begins an exchange with fresh random bytes; 16 or more are enough.
    #[must_use]
    pub fn new(
        hash: Hash,
        username: &str,
        password: Secret,
        binding: ClientBinding,
        entropy: &[u8],
    ) -> Self {
        let nonce = encoding::nonce(entropy);
        Self::with_nonce(hash, username, password, binding, nonce)
    }

    fn with_nonce(
        hash: Hash,
        username: &str,
        password: Secret,
        binding: ClientBinding,
        nonce: String,
    ) -> Self {
        let first_bare = format!("n={},r={nonce}", escape_name(username));
        Self {
            hash,
            password,
            binding,
            nonce,
            first_bare,
            keys: None,
            expected_signature: Vec::new(),
        }
    }

    /// Uses keys kept from an earlier login, if the server still has the same salt.
    #[must_use]
    pub fn with_keys(mut self, keys: Option<ClientKeys>) -> Self {
        self.keys = keys;
        self
    }

    /// The keys of this login, to be kept for the next one; none before the server's salt
    /// is known.
    #[must_use]
    pub const fn keys(&self) -> Option<&ClientKeys> {
        self.keys.as_ref()
    }

    /// The client-first-message.
    #[must_use]
    pub fn first(&self) -> Vec<u8> {
        format!("{}{}", self.binding.gs2_header(), self.first_bare).into_bytes()
    }

    /// The client-final-message. `list_hash` is what [`crate::sasl::downgrade::list_hash`]
    /// gives for the lists this client saw; a server that does not sign its lists passes.
    ///
    /// # Errors
    /// When the server's message is malformed, replayed, absurd or reveals a downgrade.
    pub fn answer(
        &mut self,
        server_first: &[u8],
        list_hash: Option<&str>,
    ) -> Result<Vec<u8>, ScramClientError> {
        let text = str::from_utf8(server_first).map_err(|_| ScramClientError::Malformed)?;
        let challenge = Challenge::parse(text)?;
        if !challenge.nonce.starts_with(&self.nonce) || challenge.nonce.len() == self.nonce.len() {
            return Err(ScramClientError::Nonce);
        }
        if let (Some(signed), Some(seen)) = (challenge.list_hash, list_hash)
            && signed != seen
        {
            return Err(ScramClientError::Downgrade);
        }
        let keys = self.take_keys(&challenge)?;
        let message = self.prove(&keys, text, challenge.nonce);
        self.keys = Some(keys);
        Ok(message)
    }

    /// Checks the server-final-message: without it a client talks to a stranger.
    ///
    /// # Errors
    /// When the signature is missing or wrong.
    pub fn verify(&self, server_final: &[u8]) -> Result<(), ScramClientError> {
        let signature = str::from_utf8(server_final)
            .ok()
            .and_then(|text| text.split(',').next()?.strip_prefix("v="))
            .and_then(|text| encoding::decode(text).ok())
            .ok_or(ScramClientError::Malformed)?;
        let is_right =
            !signature.is_empty() && bool::from(signature.ct_eq(&self.expected_signature));
        is_right.then_some(()).ok_or(ScramClientError::Signature)
    }

    fn take_keys(&mut self, challenge: &Challenge<'_>) -> Result<ClientKeys, ScramClientError> {
        let kept = self.keys.take();
        match kept.filter(|keys| keys.fits(self.hash, &challenge.salt, challenge.iterations)) {
            Some(keys) => Ok(keys),
            None => ClientKeys::derive(
                self.hash,
                &self.password,
                &challenge.salt,
                challenge.iterations,
            ),
        }
    }

    fn prove(&mut self, keys: &ClientKeys, server_first: &str, nonce: &str) -> Vec<u8> {
        let mut binding = self.binding.gs2_header().into_bytes();
        binding.extend_from_slice(self.binding.data());
        let without_proof = format!("c={},r={nonce}", encoding::encode(&binding));
        let auth_message = format!("{},{server_first},{without_proof}", self.first_bare);
        let stored_key = self.hash.digest(&keys.client_key);
        let signature = self.hash.hmac(&stored_key, auth_message.as_bytes());
        let proof: Vec<u8> = keys
            .client_key
            .iter()
            .zip(&signature)
            .map(|(key, mask)| key ^ mask)
            .collect();
        self.expected_signature = self.hash.hmac(&keys.server_key, auth_message.as_bytes());
        format!("{without_proof},p={}", encoding::encode(&proof)).into_bytes()
    }
}

/// A server-first-message.
struct Challenge<'a> {
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: u32,
    list_hash: Option<&'a str>,
}

impl<'a> Challenge<'a> {
    fn parse(text: &'a str) -> Result<Self, ScramClientError> {
        let mut attributes = text.split(',');
        let mut next = |name: &str| attributes.next().and_then(|part| part.strip_prefix(name));
        let (Some(nonce), Some(salt), Some(iterations)) = (next("r="), next("s="), next("i="))
        else {
            return Err(ScramClientError::Malformed);
        };
        let salt = encoding::decode(salt).map_err(|_| ScramClientError::Malformed)?;
        let iterations = iterations
            .parse()
            .map_err(|_| ScramClientError::Malformed)?;
        if !(1..=ITERATIONS_MAX).contains(&iterations) {
            return Err(ScramClientError::Iterations);
        }
        if !is_nonce(nonce) || salt.is_empty() {
            return Err(ScramClientError::Malformed);
        }
        let list_hash = attributes.find_map(|part| part.strip_prefix("h="));
        Ok(Self {
            nonce,
            salt,
            iterations,
            list_hash,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sasl::scram::{ScramFirst, ScramProof};
    use crate::sasl::{ChannelBindings, Failure, Mechanism, ScramCredentials};

    /// A client of the RFCs' example user.
    fn example(hash: Hash, nonce: &str) -> ScramClient {
        let password = Secret::new("pencil");
        ScramClient::with_nonce(
            hash,
            "user",
            password,
            ClientBinding::Unsupported,
            nonce.to_owned(),
        )
    }

    fn check_example(hash: Hash, nonce: &str, challenge: &str, answer: &str, signature: &str) {
        let mut client = example(hash, nonce);
        assert_eq!(client.first(), format!("n,,n=user,r={nonce}").as_bytes());
        let message = client.answer(challenge.as_bytes(), None).unwrap();
        assert_eq!(String::from_utf8(message).unwrap(), answer);
        assert_eq!(client.verify(signature.as_bytes()), Ok(()));
        assert_eq!(client.verify(b"v=AAAA"), Err(ScramClientError::Signature));
        assert_eq!(client.verify(b"v="), Err(ScramClientError::Signature));
    }

    #[test]
    fn the_example_of_rfc_5802_section_5_is_met() {
        check_example(
            Hash::Sha1,
            "fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        );
    }

    #[test]
    fn the_example_of_rfc_7677_section_3_is_met() {
        check_example(
            Hash::Sha256,
            "rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        );
    }

    /// The server's half of a login; returns what the client makes of it.
    fn login(
        mechanism: Mechanism,
        client: &mut ScramClient,
        bindings: &ChannelBindings,
        credentials: ScramCredentials,
        entropy: &[u8],
    ) -> Result<Result<(), ScramClientError>, Failure> {
        let first = ScramFirst::read(mechanism, &client.first(), mechanism.is_plus(), bindings)?;
        let (proof, challenge): (ScramProof, _) =
            first.challenge(credentials, true, entropy, Some("aGFzaA=="));
        let answer = client
            .answer(&challenge, Some("aGFzaA=="))
            .expect("a well-formed challenge");
        proof.verify(&answer).map(|last| client.verify(&last))
    }

    #[test]
    fn a05_a_client_that_saw_another_list_gives_up() {
        let mut client = example(Hash::Sha1, "abc");
        let challenge = b"r=abcdef,s=QSXCR+Q6sek8bf92,i=1,h=AAAA";
        assert_eq!(
            client.answer(challenge, Some("BBBB")),
            Err(ScramClientError::Downgrade)
        );
        assert!(client.answer(challenge, Some("AAAA")).is_ok());
    }

    #[test]
    fn a05_a_challenge_changed_on_the_way_fails_the_proof() {
        let credentials = ScramCredentials::derive(Hash::Sha1, "pencil", b"salt", 1).unwrap();
        let mut client = example(Hash::Sha1, "abc");
        let mechanism = Mechanism::Scram(Hash::Sha1);
        let first = ScramFirst::read(
            mechanism,
            &client.first(),
            false,
            &ChannelBindings::default(),
        )
        .unwrap();
        let (proof, challenge) = first.challenge(credentials, true, &[1; 16], Some("AAAA"));
        let stripped = String::from_utf8(challenge).unwrap().replace(",h=AAAA", "");
        let answer = client.answer(stripped.as_bytes(), Some("BBBB")).unwrap();
        assert_eq!(proof.verify(&answer), Err(Failure::NOT_AUTHORIZED));
    }

    #[test]
    fn a06_another_channel_fails_the_proof() {
        let credentials = ScramCredentials::derive(Hash::Sha256, "pencil", b"salt", 1).unwrap();
        let bindings = ChannelBindings {
            exporter: Some([1; 32]),
            server_end_point: None,
        };
        let binding = ClientBinding::Bound(BindingType::TlsExporter, vec![2; 32]);
        let mut client = ScramClient::new(
            Hash::Sha256,
            "user",
            Secret::new("pencil"),
            binding,
            &[9; 16],
        );
        let mechanism = Mechanism::ScramPlus(Hash::Sha256);
        let outcome = login(mechanism, &mut client, &bindings, credentials, &[1; 16]);
        assert_eq!(outcome, Err(Failure::NOT_AUTHORIZED));
    }

    #[test]
    fn a_server_that_replays_or_asks_for_too_much_is_refused() {
        let cases: [(&str, ScramClientError); 8] = [
            ("r=abc,s=c2FsdA==,i=1", ScramClientError::Nonce),
            ("r=xyz123,s=c2FsdA==,i=1", ScramClientError::Nonce),
            ("r=abcdef,s=c2FsdA==,i=0", ScramClientError::Iterations),
            (
                "r=abcdef,s=c2FsdA==,i=4000000000",
                ScramClientError::Iterations,
            ),
            ("r=abcdef,s=c2FsdA==", ScramClientError::Malformed),
            ("r=abcdef,s=,i=1", ScramClientError::Malformed),
            ("m=x,r=abcdef,s=c2FsdA==,i=1", ScramClientError::Malformed),
            ("e=other-error", ScramClientError::Malformed),
        ];
        for (challenge, expected) in cases {
            let outcome = example(Hash::Sha1, "abc").answer(challenge.as_bytes(), None);
            assert_eq!(outcome, Err(expected), "{challenge}");
        }
    }

    #[test]
    fn keys_kept_from_a_login_work_for_the_next() {
        let credentials = ScramCredentials::derive(Hash::Sha1, "pencil", b"salt", 1).unwrap();
        let mechanism = Mechanism::Scram(Hash::Sha1);
        let none = ChannelBindings::default();
        let mut first = example(Hash::Sha1, "abc");
        assert_eq!(
            login(mechanism, &mut first, &none, credentials.clone(), &[1; 16]),
            Ok(Ok(()))
        );
        // A wrong password shows that the kept keys are used and nothing is derived anew.
        let wrong = Secret::new("wrong");
        let mut second = ScramClient::new(
            Hash::Sha1,
            "user",
            wrong,
            ClientBinding::Unsupported,
            &[2; 16],
        )
        .with_keys(first.keys().cloned());
        assert_eq!(
            login(mechanism, &mut second, &none, credentials, &[3; 16]),
            Ok(Ok(()))
        );
    }

    fn any_hash() -> impl Strategy<Value = Hash> {
        prop_oneof![Just(Hash::Sha1), Just(Hash::Sha256), Just(Hash::Sha512)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn client_and_server_agree_exactly_when_the_password_does(
            hash in any_hash(),
            name in "[a-z,=]{1,12}",
            password in "[ -~]{1,20}",
            typed in "[ -~]{1,20}",
            is_same in any::<bool>(),
            is_plus in any::<bool>(),
            exporter in any::<[u8; 32]>(),
            entropy in any::<[u8; 16]>(),
        ) {
            let typed = if is_same { password.clone() } else { typed };
            let bindings = ChannelBindings { exporter: is_plus.then_some(exporter), server_end_point: None };
            let (mechanism, binding) = if is_plus {
                (Mechanism::ScramPlus(hash), ClientBinding::Bound(BindingType::TlsExporter, exporter.to_vec()))
            } else {
                (Mechanism::Scram(hash), ClientBinding::NotOffered)
            };
            let credentials = ScramCredentials::derive(hash, &password, &entropy, 2).unwrap();
            let mut client = ScramClient::new(hash, &name, Secret::new(typed.clone()), binding, &entropy);
            let outcome = login(mechanism, &mut client, &bindings, credentials, &entropy);
            if typed == password {
                prop_assert_eq!(outcome, Ok(Ok(())));
            } else {
                prop_assert_eq!(outcome, Err(Failure::NOT_AUTHORIZED));
            }
        }
    }
}
