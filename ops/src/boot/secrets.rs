//! What the server alone knows, made once and kept in the data directory.

use super::data_dir::write_secret;
use crate::error::Error;
use std::fmt;
use std::fs;
use std::path::Path;
use toml::{Table, Value};

/// The file's name.
const FILE: &str = "secrets.toml";

/// Bytes of one secret.
const BYTES: usize = 32;

/// The server's secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets {
    /// Makes the salts of accounts that do not exist, so that nobody can tell (row A10).
    pub fake_salt_key: [u8; BYTES],
    /// Makes tokens by which clients log in (XEP-0484), the same on all nodes.
    pub token_key: [u8; BYTES],
    /// Signs slots for files (XEP-0363), the same on all nodes.
    pub upload_key: [u8; BYTES],
    /// Makes what clients use relays with (XEP-0215), the same on all nodes.
    pub turn_key: [u8; BYTES],
    /// The server's key for push services of browsers (RFC 8292), the same on all nodes: browsers
    /// have subscribed to it.
    pub web_push_key: [u8; BYTES],
    /// Makes addresses of rooms of what they are about, the same on all nodes and for good.
    pub room_key: [u8; BYTES],
}

impl Secrets {
    /// Reads the secrets; what is missing is made and kept.
    pub fn load_or_make(data: &Path) -> Result<Self, Error> {
        let path = data.join(FILE);
        let mut table = read(&path)?;
        let known = table.len();
        let secrets = Self {
            fake_salt_key: get_or_make(&mut table, "fake_salt_key", &path)?,
            token_key: get_or_make(&mut table, "token_key", &path)?,
            upload_key: get_or_make(&mut table, "upload_key", &path)?,
            turn_key: get_or_make(&mut table, "turn_key", &path)?,
            web_push_key: get_or_make(&mut table, "web_push_key", &path)?,
            room_key: get_or_make(&mut table, "room_key", &path)?,
        };
        if table.len() > known {
            write_secret(&path, table.to_string().as_bytes())?;
        }
        Ok(secrets)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secrets(hidden)")
    }
}

fn read(path: &Path) -> Result<Table, Error> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Table::new()),
        Err(error) => return Err(Error::io("cannot read", path)(error)),
    };
    // The parser's message would show the line: a secret.
    text.parse().map_err(|_| damaged(path))
}

fn get_or_make(table: &mut Table, key: &str, path: &Path) -> Result<[u8; BYTES], Error> {
    if let Some(value) = table.get(key) {
        return value
            .as_str()
            .and_then(from_hex)
            .ok_or_else(|| damaged(path));
    }
    let secret = random()?;
    table.insert(key.to_owned(), Value::String(to_hex(&secret)));
    Ok(secret)
}

/// A secret that nobody has ever seen.
pub(crate) fn random() -> Result<[u8; BYTES], Error> {
    let mut secret = [0; BYTES];
    getrandom::fill(&mut secret)
        .map_err(|error| Error::Refused(format!("no randomness: {error}")))?;
    Ok(secret)
}

/// Not replaced silently: a backup may have it, and new secrets have consequences.
fn damaged(path: &Path) -> Error {
    Error::Refused(format!(
        "{} is damaged: restore it, or remove it to make new secrets",
        path.display()
    ))
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn from_hex(text: &str) -> Option<[u8; BYTES]> {
    if !text.is_ascii() || text.len() != 2 * BYTES {
        return None;
    }
    let mut bytes = [0; BYTES];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let first = Secrets::load_or_make(folder.path()).unwrap();
        assert_eq!(Secrets::load_or_make(folder.path()).unwrap(), first);
        assert!(!super::super::data_dir::is_open_to_others(
            &folder.path().join(FILE)
        ));
        let other = tempfile::tempdir().unwrap();
        assert_ne!(Secrets::load_or_make(other.path()).unwrap(), first);
    }

    #[test]
    fn damaged_secrets_are_neither_replaced_nor_shown() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["fake_salt_key = \"abcd\"", "fake_salt_key = 1", "abcd"] {
            fs::write(folder.path().join(FILE), text).unwrap();
            let error = Secrets::load_or_make(folder.path())
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("damaged") && !error.contains("abcd"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_a_later_version_keeps_stays() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "later = \"x\"\n").unwrap();
        Secrets::load_or_make(folder.path()).unwrap();
        assert!(
            fs::read_to_string(folder.path().join(FILE))
                .unwrap()
                .contains("later = \"x\"")
        );
    }
}
