//! What an account sees by the directory, as a number: sums of hashes, so that what changes is
//! taken out and put in without looking at the rest.
//!
//! The numbers go to clients as part of their roster's version (RFC 6121 §2.6) and come back from
//! them, perhaps to another node or a later version of the server: they are the same everywhere.

use sha2::{Digest, Sha256};

/// Somebody as others see them.
pub(super) fn of_person(account: &str, name: &str) -> u64 {
    hash(&[b"person", account.as_bytes(), name.as_bytes()])
}

/// A group with this name, whose members are seen as this sum.
pub(super) fn of_group(name: &str, sum: u64) -> u64 {
    hash(&[b"group", name.as_bytes(), &sum.to_be_bytes()])
}

fn hash(parts: &[&[u8]]) -> u64 {
    let mut hasher = Sha256::new();
    for part in parts {
        // With lengths, no two lists of parts are the same bytes.
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let mut number = [0; 8];
    number.copy_from_slice(&hasher.finalize()[..8]);
    u64::from_be_bytes(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client's version may be older than the server's: no line ever changes.
    #[test]
    fn numbers_stay_what_they_are() {
        assert_eq!(of_person("doe@example.org", "John Doe"), 0x28aac0728e548b36);
        assert_eq!(of_group("Staff", 7), 0x1eac8e8f44bb48bf);
    }
}
