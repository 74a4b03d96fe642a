//! The keys of a provider: a JWK Set (RFC 7517, 7518 §6, RFC 8037), and whether one of them has
//! signed something.
//!
//! Keys that cannot be used are passed over, as a set has keys for others, too. A key is good for
//! one algorithm alone, which follows from what it is.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde::Deserialize;

use super::BadToken;

/// A provider has a key or two, and some that are going or to come.
const KEYS_MAX: usize = 64;

/// RFC 7518 §3.3: 2,048 bits or more; ring takes no more than this.
const MODULUS_BYTES_MAX: usize = 1024;

/// Both coordinates of a point on P-256.
const COORDINATE_BYTES: usize = 32;

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// By its name, if it is taken (RFC 7518 §3.1, RFC 8037 §3.1).
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

/// What a key proves signatures with.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256([u8; 1 + 2 * COORDINATE_BYTES]),
    Ed25519([u8; 32]),
}

/// A key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    kid: Option<String>,
    material: Material,
}

/// A provider's keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySet(Vec<Key>);

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<serde_json::Value>,
}

/// RFC 7517 §4.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a set; `None` when it is none.
    #[must_use]
    pub fn read(json: &[u8]) -> Option<Self> {
        let set: Jwks = serde_json::from_slice(json).ok()?;
        let keys = set.keys.into_iter().take(KEYS_MAX).filter_map(|key| {
            let key: Jwk = serde_json::from_value(key).ok()?;
            key.read()
        });
        Some(Self(keys.collect()))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none, so that no token is right.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is a key of this name; without a name any is meant.
    #[must_use]
    pub fn has(&self, kid: Option<&str>) -> bool {
        self.0.iter().any(|key| key.is_meant_by(kid))
    }

    /// Whether one of the keys of this name has signed something.
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        kid: Option<&str>,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<(), BadToken> {
        let mut meant = self.0.iter().filter(|key| key.is_meant_by(kid)).peekable();
        if meant.peek().is_none() {
            return Err(BadToken::UnknownKey);
        }
        let has_signed =
            |key: &Key| key.material.is_for(algorithm) && key.material.proves(signed, signature);
        match meant.any(has_signed) {
            true => Ok(()),
            false => Err(BadToken::Signature),
        }
    }
}

impl Key {
    /// RFC 7515 §4.1.4: a name is compared to the letter; it is nothing else than a name.
    fn is_meant_by(&self, kid: Option<&str>) -> bool {
        kid.is_none_or(|kid| self.kid.as_deref() == Some(kid))
    }
}

impl Material {
    /// The algorithm follows from the key and not from the token (RFC 8725 §3.1).
    fn is_for(&self, algorithm: Algorithm) -> bool {
        algorithm
            == match self {
                Self::Rsa { .. } => Algorithm::Rs256,
                Self::P256(_) => Algorithm::Es256,
                Self::Ed25519(_) => Algorithm::EdDsa,
            }
    }

    fn proves(&self, signed: &[u8], signature: &[u8]) -> bool {
        let proved = match self {
            Self::Rsa { n, e } => RsaPublicKeyComponents { n, e }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                signed,
                signature,
            ),
            Self::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature)
            }
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(signed, signature),
        };
        proved.is_ok()
    }
}

impl Jwk {
    fn read(self) -> Option<Key> {
        // RFC 7517 §4.2, §4.3: a key for something else is not for this.
        let is_for_signatures = self.usage.as_deref().is_none_or(|it| it == "sig");
        let verify = "verify".to_owned();
        let may_verify = self.key_ops.as_ref().is_none_or(|it| it.contains(&verify));
        let (name, material) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => ("RS256", self.rsa()?),
            ("EC", Some("P-256")) => ("ES256", self.p256()?),
            ("OKP", Some("Ed25519")) => ("EdDSA", self.ed25519()?),
            _ => return None,
        };
        let is_of_kind = self.alg.as_deref().is_none_or(|alg| alg == name);
        (is_for_signatures && may_verify && is_of_kind).then_some(Key {
            kid: self.kid,
            material,
        })
    }

    fn rsa(&self) -> Option<Material> {
        let number = |text: &Option<String>| {
            let bytes = bytes(text)?;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            Some(bytes[zeros..].to_vec())
        };
        let (n, e) = (number(&self.n)?, number(&self.e)?);
        let is_fit = (256..=MODULUS_BYTES_MAX).contains(&n.len()) && (1..=8).contains(&e.len());
        is_fit.then_some(Material::Rsa { n, e })
    }

    fn p256(&self) -> Option<Material> {
        let (x, y) = (bytes(&self.x)?, bytes(&self.y)?);
        if x.len() != COORDINATE_BYTES || y.len() != COORDINATE_BYTES {
            return None;
        }
        // SEC 1 §2.3.3: the point as it is.
        let point = [&[4][..], &x, &y].concat();
        Some(Material::P256(point.try_into().ok()?))
    }

    fn ed25519(&self) -> Option<Material> {
        Some(Material::Ed25519(bytes(&self.x)?.try_into().ok()?))
    }
}

fn bytes(text: &Option<String>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.as_deref()?).ok()
}
