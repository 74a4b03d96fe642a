//! What the nodes of a cluster share and nobody else knows: one file.
//!
//! It holds the authority that signs their certificates, and a seed from which every other
//! secret that must be the same on all nodes is derived (RFC 5869, its second half). So the
//! file stays the same when a later version needs one more.

use super::authority::Authority;
use crate::boot::data_dir::write_secret;
use crate::boot::secrets::{Secrets, from_hex, random, to_hex};
use crate::error::Error;
use hmac::{Hmac, Mac};
use secrecy::SecretString;
use sha2::Sha256;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;
use toml::{Table, Value};

/// The first lines of the file.
const HEAD: &str = "# What the nodes of a klatsch cluster know each other by: the same on all, and secret.\n\
                    # Whoever has it is a node. klatsch cluster join brings it to a new one.\n";

/// Bytes of the seed and of what is derived: nobody guesses 256 bits (row C01).
const BYTES: usize = 32;

/// The secret of a cluster.
pub struct ClusterSecret {
    authority: Authority,
    seed: [u8; BYTES],
}

impl ClusterSecret {
    /// Makes a new one: of a cluster that has no node yet.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn make(now: SystemTime) -> Result<Self, Error> {
        Ok(Self {
            authority: Authority::make(now)?,
            seed: random()?,
        })
    }

    /// Reads the file; where there is none, makes a secret and the file.
    ///
    /// # Errors
    /// The file cannot be read or written, or is damaged.
    pub fn load_or_make(path: &Path, now: SystemTime) -> Result<Self, Error> {
        match fs::read_to_string(path) {
            Ok(text) => {
                if is_open_to_everybody(path) {
                    tracing::warn!(
                        ?path,
                        "the cluster's secret is open to everybody: chmod 600"
                    );
                }
                Self::parse(&text).map_err(|what| damaged(path, &what))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let made = Self::make(now)?;
                write_secret(path, made.to_text().as_bytes())?;
                tracing::info!(?path, "secret of a new cluster made");
                Ok(made)
            }
            Err(error) => Err(Error::io("cannot read", path)(error)),
        }
    }

    /// Reads a secret from its text; the complaint shows nothing of it.
    ///
    /// # Errors
    /// What is missing or broken.
    pub fn parse(text: &str) -> Result<Self, String> {
        let table: Table = text.parse().map_err(|_| "is no TOML".to_owned())?;
        let get = |key: &str| {
            let value = table.get(key).and_then(Value::as_str);
            value.ok_or_else(|| format!("lacks {key}"))
        };
        let seed = from_hex(get("seed")?).ok_or_else(|| "has a broken seed".to_owned())?;
        let authority = Authority::from_pem(get("certificate")?, get("key")?);
        Ok(Self {
            authority: authority.map_err(|error| format!("has a broken authority: {error}"))?,
            seed,
        })
    }

    /// The file's text.
    pub fn to_text(&self) -> String {
        let table = Table::from_iter(
            [
                ("seed", to_hex(&self.seed)),
                ("certificate", self.authority.certificate_pem().to_owned()),
                ("key", self.authority.key_pem()),
            ]
            .map(|(key, value)| (key.to_owned(), Value::String(value))),
        );
        format!("{HEAD}{table}")
    }

    /// What signs the nodes' certificates.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The secrets that a server alone would keep for itself.
    pub fn secrets(&self) -> Secrets {
        Secrets {
            fake_salt_key: self.derive("fake_salt_key"),
            token_key: self.derive("token_key"),
            upload_key: self.derive("upload_key"),
            turn_key: self.derive("turn_key"),
            web_push_key: self.derive("web_push_key"),
            room_key: self.derive("room_key"),
        }
    }

    /// What nodes prove to each other once they have seen each other's certificates (row A18),
    /// in hexadecimal digits.
    pub fn link_secret(&self) -> SecretString {
        to_hex(&self.derive("link")).into()
    }

    /// RFC 5869 §2.3 with one block: the seed is random already.
    fn derive(&self, purpose: &str) -> [u8; BYTES] {
        let hmac = <Hmac<Sha256> as Mac>::new_from_slice(&self.seed);
        let mut hmac = hmac.expect("HMAC takes keys of any length");
        hmac.update(b"klatsch cluster ");
        hmac.update(purpose.as_bytes());
        hmac.update(&[1]);
        hmac.finalize().into_bytes().into()
    }
}

/// A group may read it: Kubernetes mounts secrets so.
fn is_open_to_everybody(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o007 != 0)
}

/// Not replaced silently: other nodes have it.
fn damaged(path: &Path, what: &str) -> Error {
    Error::Refused(format!(
        "the cluster's secret {} {what}: take it from another node with klatsch cluster join",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::data_dir::is_open_to_others;
    use secrecy::ExposeSecret;

    fn made() -> ClusterSecret {
        ClusterSecret::make(SystemTime::now()).unwrap()
    }

    #[test]
    fn first_node_makes_the_secret_and_finds_it_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cluster.secret");
        let now = SystemTime::now();
        let first = ClusterSecret::load_or_make(&path, now).unwrap();
        assert!(!is_open_to_others(&path));
        let again = ClusterSecret::load_or_make(&path, now).unwrap();
        assert_eq!(again.to_text(), first.to_text());
        assert_eq!(again.secrets(), first.secrets());
    }

    #[test]
    fn a18_what_is_derived_differs_by_purpose_and_by_cluster() {
        let (one, two) = (made(), made());
        let Secrets {
            fake_salt_key,
            token_key,
            upload_key,
            turn_key,
            web_push_key,
            room_key,
        } = one.secrets();
        let mut keys = vec![
            fake_salt_key,
            token_key,
            upload_key,
            turn_key,
            web_push_key,
            room_key,
            one.derive("link"),
            two.derive("link"),
        ];
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 8);
    }

    #[test]
    fn derived_secrets_stay_what_they_are() {
        let mut secret = made();
        secret.seed = [7; BYTES];
        assert_eq!(secret.link_secret().expose_secret(), GOLDEN);
    }

    /// HMAC-SHA-256 of "klatsch cluster link\x01" under 32 bytes of 7, by Python's hmac.
    const GOLDEN: &str = "05bd5f04bbb9cc84aed49cc7b588201448234bfce77ad8b9c33eb05b6e6831bf";

    #[test]
    fn damaged_secret_is_neither_replaced_nor_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cluster.secret");
        let whole = made().to_text();
        let without = |key: &str| {
            let mut table: Table = whole.parse().unwrap();
            table.remove(key);
            table.to_string()
        };
        for text in [
            "]",
            "seed = \"beef\"",
            &without("seed"),
            &without("key"),
            &without("certificate"),
        ] {
            fs::write(&path, text).unwrap();
            let error = ClusterSecret::load_or_make(&path, SystemTime::now());
            let error = error.err().unwrap().to_string();
            assert!(error.contains("cluster join"), "{error}");
            assert!(
                !error.contains("beef") && !error.contains("BEGIN"),
                "{error}"
            );
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
