//! Base64 as SASL in XMPP wants it (RFC 6120 §6.4.2, RFC 4648 §4).
//!
//! Strict: no line breaks, no missing or surplus padding, no stray bits, because two texts
//! for the same data are two ways past a comparison.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use super::{Failure, FailureCondition};

/// The data of `<auth/>`: none at all, or an initial response that may be empty.
///
/// # Errors
/// `incorrect-encoding` when the text is not base64.
pub fn decode_initial(text: &str) -> Result<Option<Vec<u8>>, Failure> {
    // RFC 6120 §6.4.2: a single "=" is an initial response of no bytes; an empty element is
    // no initial response.
    match text {
        "" => Ok(None),
        "=" => Ok(Some(Vec::new())),
        data => decode(data).map(Some),
    }
}

/// The data of `<response/>`.
///
/// # Errors
/// `incorrect-encoding` when the text is not base64.
pub fn decode(text: &str) -> Result<Vec<u8>, Failure> {
    if text == "=" {
        return Ok(Vec::new());
    }
    STANDARD
        .decode(text)
        .map_err(|_| Failure::of(FailureCondition::IncorrectEncoding))
}

/// Data as base64.
#[must_use]
pub fn encode(data: &[u8]) -> String {
    STANDARD.encode(data)
}

/// Random bytes as a nonce: RFC 5802 §7 allows printable ASCII but the comma.
#[must_use]
pub fn nonce(entropy: &[u8]) -> String {
    STANDARD_NO_PAD.encode(entropy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_equals_sign_is_an_empty_initial_response() {
        assert_eq!(decode_initial("="), Ok(Some(Vec::new())));
        assert_eq!(decode_initial(""), Ok(None));
    }

    #[test]
    fn sloppy_base64_is_refused() {
        for bad in [
            "YQ", "YQ=", "YQ==\n", " YQ==", "YR==", "Y===", "Y-_=", "YQ==YQ==",
        ] {
            let failure = decode(bad).expect_err(bad);
            assert_eq!(
                failure.condition,
                FailureCondition::IncorrectEncoding,
                "{bad:?}"
            );
        }
    }
}
