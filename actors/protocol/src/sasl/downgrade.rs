//! SASL SCRAM Downgrade Protection: XEP-0474 version 0.5.0,
//! <https://xmpp.org/extensions/xep-0474.html>
//!
//! The server signs, as part of the SCRAM exchange, which mechanisms and channel-binding
//! types it offered, so that a list shortened on the way is noticed. PLAIN exchanges cannot
//! be protected; that is why PLAIN is never offered without TLS.

use super::{Hash, encoding};

/// The value of attribute `h` in the server-first-message (§ "Server Sends Downgrade
/// Protection Hash"). `bindings` is empty when no channel-binding list was advertised.
#[must_use]
pub fn list_hash(hash: Hash, mechanisms: &[&str], bindings: &[&str]) -> String {
    let mut list = join_sorted(mechanisms);
    if !bindings.is_empty() {
        list.push('\u{1f}');
        list.push_str(&join_sorted(bindings));
    }
    encoding::encode(&hash.digest(list.as_bytes()))
}

/// Sorts by "i;octet" (RFC 4790 §9.3), which is Rust's order of strings.
fn join_sorted(names: &[&str]) -> String {
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    sorted.join("\u{1e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_gives_its_hash() {
        let mechanisms = ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"];
        let bindings = ["tls-server-end-point", "tls-exporter"];
        let hash = list_hash(Hash::Sha1, &mechanisms, &bindings);
        assert_eq!(hash, "G6k/rBLDqgOhRRaCuuatSDFkJ08=");
    }

    #[test]
    fn a_shortened_list_gives_another_hash() {
        let whole = list_hash(Hash::Sha256, &["SCRAM-SHA-1", "SCRAM-SHA-256"], &[]);
        let shortened = list_hash(Hash::Sha256, &["SCRAM-SHA-1"], &[]);
        assert_ne!(whole, shortened);
    }
}
