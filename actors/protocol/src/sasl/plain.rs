//! PLAIN (RFC 4616), both sides.
//!
//! Left out: checking the password, which is the account backend's work.

use super::{Failure, Secret};

/// What a PLAIN message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainMessage {
    /// Whom the client wants to act as; empty means itself.
    pub authzid: String,
    /// Who the client is.
    pub authcid: String,
    /// The password.
    pub password: Secret,
}

/// Reads a PLAIN message (RFC 4616 §2): three UTF-8 texts parted by NUL, the last two not
/// empty.
///
/// # Errors
/// `malformed-request` when the grammar is broken, `not-authorized` for an empty password:
/// some directories take that for an anonymous login and say yes.
pub fn parse_plain(data: &[u8]) -> Result<PlainMessage, Failure> {
    let text = str::from_utf8(data).map_err(|_| Failure::malformed("PLAIN is not UTF-8"))?;
    let mut parts = text.split('\0');
    let (Some(authzid), Some(authcid), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Failure::malformed("PLAIN has three parts"));
    };
    if authcid.is_empty() || password.is_empty() {
        return Err(Failure::NOT_AUTHORIZED);
    }
    Ok(PlainMessage {
        authzid: authzid.to_owned(),
        authcid: authcid.to_owned(),
        password: Secret::new(password),
    })
}

/// The message a client sends to log in as itself.
#[must_use]
pub fn plain_message(authcid: &str, password: &Secret) -> Vec<u8> {
    format!("\0{authcid}\0{}", password.expose()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::FailureCondition::{MalformedRequest, NotAuthorized};
    use super::*;

    #[test]
    fn client_and_server_agree() {
        let message = parse_plain(&plain_message("juliet", &Secret::new("päss"))).unwrap();
        assert_eq!(
            (message.authzid.as_str(), message.authcid.as_str()),
            ("", "juliet")
        );
        assert_eq!(message.password.expose(), "päss");
    }

    #[test]
    fn broken_messages_are_refused() {
        let cases: [(&[u8], _); 7] = [
            (b"", MalformedRequest),
            (b"juliet", MalformedRequest),
            (b"\0juliet", MalformedRequest),
            (b"\0juliet\0pw\0", MalformedRequest),
            (b"\0juliet\0\xff", MalformedRequest),
            (b"\0juliet\0", NotAuthorized),
            (b"\0\0pw", NotAuthorized),
        ];
        for (data, condition) in cases {
            assert_eq!(
                parse_plain(data).unwrap_err().condition,
                condition,
                "{data:?}"
            );
        }
    }
}
