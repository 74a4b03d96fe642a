//! OAUTHBEARER (RFC 7628), both sides.
//!
//! Left out: finding out whose a token is, which is the account backends' work, and the keys
//! `host`, `port` and their like, by which nothing is decided here.

use super::{Failure, Secret};

/// What parts the pieces of a message (§3.1), and all that a client says to an error (§3.2.3).
const KVSEP: char = '\u{1}';

/// The error challenge of a token that lets nobody in (§3.2.2). It says no more: which scopes
/// there are, and who gives tokens out, is for the page to know that has asked for one.
pub const INVALID_TOKEN: &[u8] = br#"{"status":"invalid_token"}"#;

/// What an OAUTHBEARER message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BearerMessage {
    /// Whom the client wants to act as; empty means whoever the token is of.
    pub authzid: String,
    /// The token; none when the client asks for the error alone, to learn what it says (§4.3).
    pub token: Option<Secret>,
}

/// Reads a message (§3.1): a GS2 header without channel binding, then keys with their values.
///
/// # Errors
/// `malformed-request` when the grammar is broken, or the credentials are of another kind than
/// a bearer token (RFC 6750 §2.1).
pub fn parse_bearer(data: &[u8]) -> Result<BearerMessage, Failure> {
    let text = str::from_utf8(data).map_err(|_| Failure::malformed("OAUTHBEARER is not UTF-8"))?;
    let (header, pairs) = text
        .split_once(KVSEP)
        .ok_or(Failure::malformed("OAUTHBEARER lacks a separator"))?;
    let authzid = read_header(header)?;
    let mut token = None;
    for pair in read_pairs(pairs)? {
        let (key, value) = pair?;
        // §3.1: there is one, and a second could say something else.
        if key == "auth" && token.replace(read_authorization(value)?).is_some() {
            return Err(Failure::malformed("OAUTHBEARER has two authorizations"));
        }
    }
    let token = token.ok_or(Failure::malformed("OAUTHBEARER has no authorization"))?;
    Ok(BearerMessage { authzid, token })
}

/// The GS2 header (RFC 5801 §4): whether the client knows channel binding, which this mechanism
/// has not, and whom it acts as.
fn read_header(header: &str) -> Result<String, Failure> {
    let broken = Failure::malformed("OAUTHBEARER has no GS2 header");
    let rest = header.strip_prefix(['n', 'y']).ok_or(broken)?;
    let rest = rest.strip_prefix(',').and_then(|it| it.strip_suffix(','));
    match rest.ok_or(broken)? {
        "" => Ok(String::new()),
        authzid => read_name(authzid.strip_prefix("a=").ok_or(broken)?).ok_or(broken),
    }
}

/// A name of RFC 5801 §4: comma and equals sign are written as `=2C` and `=3D`.
fn read_name(written: &str) -> Option<String> {
    let mut pieces = written.split('=');
    let mut name = pieces.next()?.to_owned();
    for piece in pieces {
        let (sign, rest) = match piece.as_bytes() {
            [b'2', b'C', ..] => (',', &piece[2..]),
            [b'3', b'D', ..] => ('=', &piece[2..]),
            _ => return None,
        };
        name.push(sign);
        name.push_str(rest);
    }
    (!name.is_empty() && !name.contains('\0') && !written.contains(',')).then_some(name)
}

type Pair<'a> = Result<(&'a str, &'a str), Failure>;

/// The keys with their values, each closed by a separator, and one more at the end.
fn read_pairs(text: &str) -> Result<impl Iterator<Item = Pair<'_>>, Failure> {
    let broken = Failure::malformed("OAUTHBEARER is not closed by a separator");
    let inside = text.strip_suffix(KVSEP).ok_or(broken)?;
    let pairs = match inside {
        "" => "",
        inside => inside.strip_suffix(KVSEP).ok_or(broken)?,
    };
    let written = pairs.split(KVSEP).filter(move |_| !pairs.is_empty());
    Ok(written.map(|pair| {
        let is_key = |key: &str| !key.is_empty() && key.bytes().all(|it| it.is_ascii_alphabetic());
        let is_value = |value: &str| {
            value
                .bytes()
                .all(|it| matches!(it, b' '..=b'~' | b'\t' | b'\r' | b'\n'))
        };
        let split = pair.split_once('=');
        split
            .filter(|(key, value)| is_key(key) && is_value(value))
            .ok_or(Failure::malformed("OAUTHBEARER has a broken key"))
    }))
}

/// What would stand in the header `Authorization` of HTTP; its scheme is written in any case.
fn read_authorization(value: &str) -> Result<Option<Secret>, Failure> {
    if value.is_empty() {
        return Ok(None);
    }
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    let token = token.trim_start_matches(' ');
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Failure::malformed("OAUTHBEARER takes bearer tokens"));
    }
    match is_token(token) {
        true => Ok(Some(Secret::new(token))),
        false => Err(Failure::malformed("a bearer token has no such characters")),
    }
}

/// RFC 6750 §2.1, `b64token`.
#[must_use]
pub fn is_token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let is_sign = |it: u8| it.is_ascii_alphanumeric() || b"-._~+/".contains(&it);
    !body.is_empty() && body.bytes().all(is_sign)
}

/// The message a client sends with its token, which acts as this account, or as the token's for
/// an empty name.
#[must_use]
pub fn bearer_message(authzid: &str, token: &Secret) -> Vec<u8> {
    let name = authzid.replace('=', "=3D").replace(',', "=2C");
    let name = match name.as_str() {
        "" => name,
        name => format!("a={name}"),
    };
    let token = token.expose();
    format!("n,{name},{KVSEP}auth=Bearer {token}{KVSEP}{KVSEP}").into_bytes()
}

/// What a client answers to the error challenge (§3.2.3).
#[must_use]
pub fn error_answer() -> Vec<u8> {
    vec![1]
}

#[cfg(test)]
mod tests {
    use super::super::FailureCondition::MalformedRequest;
    use super::*;

    fn read(text: &str) -> Option<(String, Option<String>)> {
        let message = parse_bearer(text.as_bytes()).ok()?;
        let token = message.token.map(|token| token.expose().to_owned());
        Some((message.authzid, token))
    }

    #[test]
    fn client_and_server_agree() {
        for authzid in ["", "juliet@example.org", "a=b,c@example.org"] {
            let token = Secret::new("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
            let message = parse_bearer(&bearer_message(authzid, &token)).unwrap();
            assert_eq!(message.authzid, authzid);
            assert_eq!(message.token, Some(token));
        }
    }

    #[test]
    fn section_4_1_the_example_of_the_specification_is_read() {
        let message = "n,a=user@example.com,\u{1}host=server.example.com\u{1}port=143\u{1}\
                       auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\u{1}\u{1}";
        let token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";
        assert_eq!(
            read(message),
            Some(("user@example.com".into(), Some(token.into())))
        );
    }

    #[test]
    fn section_4_3_an_empty_authorization_asks_for_the_error() {
        assert_eq!(read("n,,\u{1}auth=\u{1}\u{1}"), Some((String::new(), None)));
    }

    #[test]
    fn scheme_is_read_in_any_case() {
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let read = read(&format!("y,,\u{1}auth={scheme} x\u{1}\u{1}"));
            assert_eq!(read, Some((String::new(), Some("x".into()))), "{scheme}");
        }
    }

    #[test]
    fn broken_messages_are_refused() {
        for text in [
            "",
            "\u{1}",
            "n,,",
            "n,,\u{1}",
            "n,,\u{1}\u{1}",
            "n,,\u{1}auth=Bearer x",
            "n,,\u{1}auth=Bearer x\u{1}",
            "n,,\u{1}auth=Bearer x\u{1}\u{1}\u{1}",
            "n,,\u{1}host=x\u{1}\u{1}",
            "n,,\u{1}auth=Bearer x\u{1}auth=Bearer y\u{1}\u{1}",
            "n,,\u{1}auth=Bearer \u{1}\u{1}",
            "n,,\u{1}auth=Bearer\u{1}\u{1}",
            "n,,\u{1}auth=Basic eDp5\u{1}\u{1}",
            "n,,\u{1}auth=Bearer x y\u{1}\u{1}",
            "n,,\u{1}auth=Bearer ä\u{1}\u{1}",
            "n,,\u{1}auth=Bearer ==\u{1}\u{1}",
            "n,,\u{1}a b=c\u{1}auth=Bearer x\u{1}\u{1}",
            "n,,\u{1}=c\u{1}auth=Bearer x\u{1}\u{1}",
            "n,,\u{1}x\u{1}auth=Bearer x\u{1}\u{1}",
            "n,a=,\u{1}auth=Bearer x\u{1}\u{1}",
            "n,a=b=2,\u{1}auth=Bearer x\u{1}\u{1}",
            "n,a=b=2é,\u{1}auth=Bearer x\u{1}\u{1}",
            "n,a=b,c,\u{1}auth=Bearer x\u{1}\u{1}",
            "n,b@c,\u{1}auth=Bearer x\u{1}\u{1}",
            "p=tls-exporter,,\u{1}auth=Bearer x\u{1}\u{1}",
            "n\u{1}auth=Bearer x\u{1}\u{1}",
            "n,\u{1}auth=Bearer x\u{1}\u{1}",
        ] {
            let failure = parse_bearer(text.as_bytes()).expect_err(text);
            assert_eq!(failure.condition, MalformedRequest, "{text:?}");
        }
        assert!(parse_bearer(b"n,,\x01auth=Bearer \xff\x01\x01").is_err());
    }
}
