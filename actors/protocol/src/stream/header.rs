//! Stream headers (RFC 6120 §4.7): what the client's must say, and what ours says.
//!
//! The client's `from` is not looked at: SASL says who it is (§4.7.1 lets it be absent).

use super::{Transport, websocket};
use crate::jid::BareJid;
use crate::ns;
use crate::stanza::StreamCondition;
use crate::xml::{StreamHeader, escape_attribute};

/// The language of a stream whose client names none (§4.7.4).
pub(super) const LANGUAGE: &str = "en";

/// BCP 47 tags beyond this are nobody's language; §4.7.4 lets us answer with our own.
const LANGUAGE_BYTES_MAX: usize = 35;

/// Checks a client's header; the answer is the domain it names. `home` is where it has logged
/// in, if it has.
pub(super) fn check(
    header: &StreamHeader,
    domains: &[BareJid],
    home: Option<&BareJid>,
) -> Result<BareJid, StreamCondition> {
    // §4.8.2 and §4.9.3.10: clients speak jabber:client.
    if header.content_ns != ns::CLIENT {
        return Err(StreamCondition::InvalidNamespace);
    }
    // §4.7.5: we answer 1.0 to every 1.x; without a version it is the protocol before 1.0.
    if !header.version.as_deref().is_some_and(is_version_one) {
        return Err(StreamCondition::UnsupportedVersion);
    }
    let domain = header.to.as_deref().and_then(|to| served(to, domains));
    match (domain, home) {
        // Row A08, CVE-2018-10847: who logged in at one domain has no business at another.
        // RFC 6120 has no condition for a changed `to`; §4.9.3.12 fits, for the client is
        // not authorized there, and says the same whether the other domain exists or not.
        (domain, Some(home)) if domain.as_ref() != Some(home) => {
            Err(StreamCondition::NotAuthorized)
        }
        // §4.9.3.6; a missing `to` names no host either.
        (None, _) => Err(StreamCondition::HostUnknown),
        (Some(domain), _) => Ok(domain),
    }
}

/// `Nmajor.Nminor`, leading zeros ignored (§4.7.5).
fn is_version_one(version: &str) -> bool {
    let is_number = |text: &str| {
        !text.is_empty() && text.len() <= 8 && text.bytes().all(|b| b.is_ascii_digit())
    };
    version.split_once('.').is_some_and(|(major, minor)| {
        is_number(major) && is_number(minor) && major.trim_start_matches('0') == "1"
    })
}

fn served(to: &str, domains: &[BareJid]) -> Option<BareJid> {
    let to = BareJid::parse(to).ok()?;
    domains.iter().find(|domain| **domain == to).cloned()
}

/// The client's language, if it looks like one (§4.7.4); nothing else of it is echoed
/// (row X19).
pub(super) fn language(header: &StreamHeader) -> &str {
    let looks_right = |tag: &&str| {
        (1..=LANGUAGE_BYTES_MAX).contains(&tag.len())
            && tag
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    header
        .lang
        .as_deref()
        .filter(looks_right)
        .unwrap_or(LANGUAGE)
}

/// A stream id of random bytes.
pub(super) fn stream_id(entropy: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(entropy))
}

/// Our header.
pub(super) fn render(transport: Transport, from: &str, id: &str, language: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    match transport {
        // XEP-0206 §3: what of it matters stands in the wrapper.
        Transport::Bosh => return Vec::new(),
        Transport::Tcp => {
            out.extend_from_slice(b"<?xml version='1.0'?><stream:stream xmlns='jabber:client'");
            out.extend_from_slice(b" xmlns:stream='http://etherx.jabber.org/streams'");
        }
        Transport::WebSocket => {
            out.extend_from_slice(b"<open");
            attribute(&mut out, "xmlns", ns::FRAMING);
        }
    }
    attribute(&mut out, "id", id);
    if !from.is_empty() {
        attribute(&mut out, "from", from);
    }
    attribute(&mut out, "version", "1.0");
    attribute(&mut out, "xml:lang", language);
    out.extend_from_slice(websocket::tag_end(transport));
    out
}

fn attribute(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"='");
    escape_attribute(out, value);
    out.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_one_are_taken_and_no_others() {
        for good in ["1.0", "1.1", "01.00", "1.13"] {
            assert!(is_version_one(good), "{good}");
        }
        for bad in [
            "", "1", "0.9", "2.0", "10.0", "1.", ".0", "1.0.0", "1.x", "-1.0", " 1.0",
        ] {
            assert!(!is_version_one(bad), "{bad}");
        }
    }
}
