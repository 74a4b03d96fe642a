//! Hashed tokens: the mechanisms HT-SHA-256-EXPR, -ENDP and -NONE
//! (draft-schmaus-kitten-sasl-ht-09), with which FAST (XEP-0484) logs in by a token.
//!
//! Left out: `-UNIQ`, as TLS 1.3 has no `tls-unique`, and other hashes.

use subtle::ConstantTimeEq;

use super::{BindingType, ChannelBindings, Failure, Hash};

const HASH: Hash = Hash::Sha256;

/// A mechanism of hashed tokens: what it binds the token's use to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HtMechanism(Option<BindingType>);

impl HtMechanism {
    /// Every mechanism, the strongest first.
    pub const ALL: [Self; 3] = [
        Self(Some(BindingType::TlsExporter)),
        Self(Some(BindingType::TlsServerEndPoint)),
        Self(None),
    ];

    /// The registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            Some(BindingType::TlsExporter) => "HT-SHA-256-EXPR",
            Some(BindingType::TlsServerEndPoint) => "HT-SHA-256-ENDP",
            None => "HT-SHA-256-NONE",
        }
    }

    /// The mechanism of a name, compared exactly.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// What the channel gives to bind to; `None` when it has nothing of this kind.
    fn binding_data(self, bindings: &ChannelBindings) -> Option<Vec<u8>> {
        match self.0 {
            Some(kind) => bindings.get(kind).map(<[u8]>::to_vec),
            None => Some(Vec::new()),
        }
    }

    /// Whether this mechanism can be used on a connection.
    #[must_use]
    pub fn is_possible(self, bindings: &ChannelBindings) -> bool {
        self.binding_data(bindings).is_some()
    }
}

/// The client's only message.
#[derive(Debug, PartialEq, Eq)]
pub struct Initiator {
    /// Whose token it has.
    pub authcid: String,
    /// That it has it.
    pub proof: TokenProof,
}

/// Shows knowledge of a token on one channel, without the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenProof {
    mechanism: HtMechanism,
    hashed: Vec<u8>,
    binding_data: Vec<u8>,
}

impl Initiator {
    /// Reads `authcid NUL HMAC(token, "Initiator" || cb-data)`.
    ///
    /// # Errors
    /// `malformed-request`; `not-authorized` when the channel has nothing to bind to.
    pub fn read(
        mechanism: HtMechanism,
        data: &[u8],
        bindings: &ChannelBindings,
    ) -> Result<Self, Failure> {
        let malformed = Failure::malformed("this is no message of a hashed token");
        let end = data.iter().position(|byte| *byte == 0).ok_or(malformed)?;
        let (authcid, hashed) = (&data[..end], &data[end + 1..]);
        let authcid = str::from_utf8(authcid).map_err(|_| malformed)?;
        if authcid.is_empty() || hashed.len() != HASH.output_bytes() {
            return Err(malformed);
        }
        let binding_data = mechanism
            .binding_data(bindings)
            .ok_or(Failure::BINDING_TYPE)?;
        Ok(Self {
            authcid: authcid.to_owned(),
            proof: TokenProof {
                mechanism,
                hashed: hashed.to_vec(),
                binding_data,
            },
        })
    }
}

impl TokenProof {
    /// The mechanism the client used: a token works with the one it was made for only
    /// (XEP-0484 §3.4).
    #[must_use]
    pub const fn mechanism(&self) -> HtMechanism {
        self.mechanism
    }

    /// Whether this token was meant, compared in constant time.
    #[must_use]
    pub fn is_of(&self, token: &str) -> bool {
        self.hash(token, b"Initiator").ct_eq(&self.hashed).into()
    }

    /// What proves to the client that the server knows the token, too.
    #[must_use]
    pub fn answer(&self, token: &str) -> Vec<u8> {
        self.hash(token, b"Responder")
    }

    fn hash(&self, token: &str, who: &[u8]) -> Vec<u8> {
        HASH.hmac(token.as_bytes(), &[who, &self.binding_data].concat())
    }
}

/// The token that belongs to a seed. The store keeps seeds: who has stolen the database alone,
/// without the server's key, logs in nowhere (row A13).
#[must_use]
pub fn token(
    key: &[u8; 32],
    seed: &[u8],
    account: &str,
    agent: &str,
    mechanism: HtMechanism,
) -> String {
    let name = mechanism.name();
    let mut input = format!("token\0{account}\0{agent}\0{name}\0").into_bytes();
    input.extend_from_slice(seed);
    super::encoding::encode(&HASH.hmac(key, &input))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bindings() -> ChannelBindings {
        ChannelBindings {
            exporter: Some([4; 32]),
            server_end_point: None,
        }
    }

    fn proof(mechanism: HtMechanism, token: &str) -> TokenProof {
        let bound = mechanism.binding_data(&bindings()).unwrap();
        let hashed = HASH.hmac(token.as_bytes(), &[b"Initiator", &*bound].concat());
        let message = [b"juliet\0", &*hashed].concat();
        let read = Initiator::read(mechanism, &message, &bindings()).unwrap();
        assert_eq!(read.authcid, "juliet");
        read.proof
    }

    #[test]
    fn a_token_is_proved_by_both_sides_and_each_proof_is_of_one_channel() {
        let none = HtMechanism(None);
        let bound = HtMechanism(Some(BindingType::TlsExporter));
        for mechanism in [none, bound] {
            assert!(proof(mechanism, "secret").is_of("secret"));
            assert!(!proof(mechanism, "secret").is_of("other"));
        }
        let elsewhere = TokenProof {
            binding_data: vec![5; 32],
            ..proof(bound, "secret")
        };
        assert!(!elsewhere.is_of("secret"));
        assert_ne!(proof(none, "s").answer("s"), proof(bound, "s").answer("s"));
        assert_ne!(proof(none, "s").answer("s"), proof(none, "s").hashed);
    }

    #[test]
    fn what_is_no_message_is_refused_by_name() {
        let none = HtMechanism(None);
        let hashed = [7; 32];
        for bad in [
            b"".to_vec(),
            b"juliet".to_vec(),
            [b"\0", &hashed[..]].concat(),
            [b"juliet\0", &hashed[1..]].concat(),
            [b"\xff\0", &hashed[..]].concat(),
        ] {
            assert!(Initiator::read(none, &bad, &bindings()).is_err(), "{bad:?}");
        }
        let end_point = HtMechanism(Some(BindingType::TlsServerEndPoint));
        let message = [b"juliet\0", &hashed[..]].concat();
        assert_eq!(
            Initiator::read(end_point, &message, &bindings()),
            Err(Failure::BINDING_TYPE)
        );
    }

    #[test]
    fn a13_a_token_belongs_to_one_account_one_client_and_one_mechanism() {
        let of = |account, agent, name| {
            token(
                &[1; 32],
                &[2; 32],
                account,
                agent,
                HtMechanism::parse(name).unwrap(),
            )
        };
        let one = of("a@x", "phone", "HT-SHA-256-NONE");
        assert_eq!(one, of("a@x", "phone", "HT-SHA-256-NONE"));
        assert_eq!(one.len(), 44);
        for other in [
            of("b@x", "phone", "HT-SHA-256-NONE"),
            of("a@x", "laptop", "HT-SHA-256-NONE"),
            of("a@x", "phone", "HT-SHA-256-EXPR"),
        ] {
            assert_ne!(one, other);
        }
    }
}
