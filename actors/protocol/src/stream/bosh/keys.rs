//! The sequence of keys by which a client proves that its requests come from one hand
//! (XEP-0124 §15). SHA-1 is the specification's; only TLS makes a session secret.

use sha1::{Digest, Sha1};

/// Forty hexadecimal digits.
const KEY_BYTES: usize = 40;

/// What the next request of a session must prove to know; nothing, unless its client began a
/// sequence.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Keys {
    /// The hash of the next key.
    expected: Option<String>,
}

impl Keys {
    /// The session's first request brings its first key, if the client wants keys.
    #[must_use]
    pub fn begin(new_key: Option<&str>) -> Self {
        Self {
            expected: new_key.map(str::to_owned),
        }
    }

    /// Takes a request's keys; false: it was not this session's client that sent it.
    #[must_use]
    pub fn take(&mut self, key: Option<&str>, new_key: Option<&str>) -> bool {
        let Some(expected) = &self.expected else {
            return true;
        };
        let Some(key) = key.filter(|key| key.len() == KEY_BYTES) else {
            return false;
        };
        if !hash(key).eq_ignore_ascii_case(expected) {
            return false;
        }
        self.expected = Some(new_key.unwrap_or(key).to_owned());
        true
    }
}

fn hash(key: &str) -> String {
    let digest = Sha1::digest(key);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The specification's own example (§15.4, §15.5).
    const KEYS: [&str; 3] = [
        "ca393b51b682f61f98e7877d61146407f3d0a770",
        "bfb06a6f113cd6fd3838ab9d300fdb4fe3da2f7d",
        "6f825e81f4532b2c5fa2d12457d8a1f22e8f838e",
    ];

    fn sequence(seed: &str, length: usize) -> Vec<String> {
        let mut keys = vec![hash(seed)];
        while keys.len() < length {
            keys.push(hash(keys.last().map_or("", |key| key)));
        }
        keys.reverse();
        keys
    }

    #[test]
    fn keys_of_the_specification_follow_each_other() {
        let mut it = Keys::begin(Some(KEYS[0]));
        let next = "113cf58a372";
        assert!(it.take(Some(KEYS[1]), None));
        assert!(it.take(Some(KEYS[2]), Some(next)));
        assert_eq!(it, Keys::begin(Some(next)));
    }

    #[test]
    fn each_key_is_the_one_whose_hash_was_sent_before() {
        let keys = sequence("seed", 4);
        let mut it = Keys::begin(Some(&keys[0]));
        assert!(it.take(Some(&keys[1]), None));
        assert!(it.take(Some(&keys[2]), None));
        assert!(!it.take(Some(&keys[2]), None), "a key counts once");
        assert!(!it.take(None, None), "and is not left out");
        assert!(it.take(Some(&keys[3]), None));
    }

    #[test]
    fn last_key_brings_the_first_of_the_next_sequence() {
        let (old, new) = (sequence("seed", 2), sequence("another", 3));
        let mut it = Keys::begin(Some(&old[0].to_uppercase()));
        assert!(it.take(Some(&old[1]), Some(&new[0])));
        assert!(it.take(Some(&new[1]), None));
    }

    #[test]
    fn client_without_keys_needs_none() {
        let mut it = Keys::begin(None);
        assert!(it.take(None, None) && it.take(Some("x"), Some("y")) && it.take(None, None));
    }
}
