//! The grammar of SCRAM messages (RFC 5802 §7).

use std::borrow::Cow;

use crate::sasl::Failure;

/// What the client says about channel binding in the GS2 header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BindingFlag {
    /// `n`: the client cannot.
    Unsupported,
    /// `y`: the client can, and thinks the server cannot.
    NotOffered,
    /// `p=TYPE`: the client does.
    Required(String),
}

/// A client-first-message.
#[derive(Clone, Debug)]
pub(super) struct ClientFirst {
    pub(super) flag: BindingFlag,
    pub(super) authzid: String,
    pub(super) username: String,
    pub(super) nonce: String,
    /// The header up to and with its second comma, as the client wrote it.
    pub(super) gs2_header: String,
    /// The rest, which is signed.
    pub(super) bare: String,
}

impl ClientFirst {
    pub(super) fn parse(data: &[u8]) -> Result<Self, Failure> {
        let text = str::from_utf8(data).map_err(|_| Failure::malformed("SCRAM is not UTF-8"))?;
        let mut parts = text.splitn(3, ',');
        let (Some(flag), Some(authzid), Some(bare)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(Failure::malformed("SCRAM without a GS2 header"));
        };
        let header_bytes = text.len() - bare.len();
        let (username, nonce) = parse_bare(bare)?;
        Ok(Self {
            flag: parse_flag(flag)?,
            authzid: parse_authzid(authzid)?,
            username,
            nonce,
            gs2_header: text[..header_bytes].to_owned(),
            bare: bare.to_owned(),
        })
    }
}

fn parse_flag(flag: &str) -> Result<BindingFlag, Failure> {
    match flag {
        "n" => Ok(BindingFlag::Unsupported),
        "y" => Ok(BindingFlag::NotOffered),
        _ => match flag.strip_prefix("p=") {
            Some(name) if is_binding_name(name) => Ok(BindingFlag::Required(name.to_owned())),
            _ => Err(Failure::malformed("SCRAM with a bad channel-binding flag")),
        },
    }
}

/// `cb-name = 1*(ALPHA / DIGIT / "." / "-")`
fn is_binding_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
}

fn parse_authzid(part: &str) -> Result<String, Failure> {
    if part.is_empty() {
        return Ok(String::new());
    }
    let name = part
        .strip_prefix("a=")
        .ok_or(Failure::malformed("SCRAM with a bad authzid"))?;
    unescape_name(name)
}

/// The user name and the nonce. Optional extensions behind them are ignored (§5.1); a
/// mandatory one (`m=`) stands before the name and must fail the exchange.
fn parse_bare(bare: &str) -> Result<(String, String), Failure> {
    let mut attributes = bare.split(',');
    let username = attributes
        .next()
        .and_then(|part| part.strip_prefix("n="))
        .ok_or(Failure::malformed(
            "SCRAM without a user name, or with a mandatory extension",
        ))?;
    let nonce = attributes
        .next()
        .and_then(|part| part.strip_prefix("r="))
        .filter(|nonce| is_nonce(nonce))
        .ok_or(Failure::malformed("SCRAM without a nonce"))?;
    Ok((unescape_name(username)?, nonce.to_owned()))
}

/// Printable ASCII but the comma, and not nothing.
pub(super) fn is_nonce(nonce: &str) -> bool {
    !nonce.is_empty()
        && nonce
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b',')
}

/// `saslname`: comma and equals sign are written `=2C` and `=3D`, and nothing else is
/// (§5.1: any other use of "=" must fail the authentication).
fn unescape_name(name: &str) -> Result<String, Failure> {
    let mut pieces = name.split('=');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (sign, rest) = match (piece.strip_prefix("2C"), piece.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(Failure::malformed("SCRAM with a badly escaped name")),
        };
        plain.push(sign);
        plain.push_str(rest);
    }
    if plain.is_empty() || plain.contains('\0') {
        return Err(Failure::malformed("SCRAM with an empty name"));
    }
    Ok(plain)
}

/// The inverse of [`unescape_name`], for clients.
pub(super) fn escape_name(name: &str) -> Cow<'_, str> {
    if !name.contains([',', '=']) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.replace('=', "=3D").replace(',', "=2C"))
}

/// A client-final-message.
#[derive(Debug)]
pub(super) struct ClientFinal<'a> {
    /// The decoded `c=`: GS2 header and channel-binding data.
    pub(super) binding: Vec<u8>,
    pub(super) nonce: &'a str,
    pub(super) proof: Vec<u8>,
    /// Everything before `,p=`, which is signed.
    pub(super) without_proof: &'a str,
}

impl<'a> ClientFinal<'a> {
    pub(super) fn parse(data: &'a [u8]) -> Result<Self, Failure> {
        let text = str::from_utf8(data).map_err(|_| Failure::malformed("SCRAM is not UTF-8"))?;
        // The proof stands last (§7), so the last ",p=" begins it.
        let (without_proof, proof) = text
            .rsplit_once(",p=")
            .ok_or(Failure::malformed("SCRAM without a proof"))?;
        let mut attributes = without_proof.split(',');
        let binding = attributes
            .next()
            .and_then(|part| part.strip_prefix("c="))
            .ok_or(Failure::malformed("SCRAM without channel-binding data"))?;
        let nonce = attributes
            .next()
            .and_then(|part| part.strip_prefix("r="))
            .ok_or(Failure::malformed("SCRAM without a nonce"))?;
        Ok(Self {
            binding: decode(binding)?,
            nonce,
            proof: decode(proof)?,
            without_proof,
        })
    }
}

fn decode(text: &str) -> Result<Vec<u8>, Failure> {
    crate::sasl::encoding::decode(text)
        .map_err(|_| Failure::malformed("SCRAM with bad base64 inside"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_first_message_is_taken_apart() {
        let first = ClientFirst::parse(b"p=tls-exporter,a=x@y,n=a=2Cb=3D,r=abc,ext=1").unwrap();
        assert_eq!(first.flag, BindingFlag::Required("tls-exporter".into()));
        assert_eq!(
            (first.authzid.as_str(), first.username.as_str()),
            ("x@y", "a,b=")
        );
        assert_eq!(first.gs2_header, "p=tls-exporter,a=x@y,");
        assert_eq!(first.bare, "n=a=2Cb=3D,r=abc,ext=1");
        assert_eq!(first.nonce, "abc");
    }

    #[test]
    fn broken_client_first_messages_are_refused() {
        for bad in [
            "",
            "n",
            "n,",
            "n,,",
            "n,,n=user",
            "n,,n=user,r=",
            "n,,r=abc,n=user",
            "n,,n=,r=abc",
            "x,,n=user,r=abc",
            "p=,,n=user,r=abc",
            "p=a b,,n=user,r=abc",
            "n,x@y,n=user,r=abc",
            "n,,m=ext,n=user,r=abc",
            "n,,n=us=er,r=abc",
            "n,,n=user=2,r=abc",
            "n,,n=user=2c,r=abc",
            "n,,n=user,r=a\u{7f}",
            "n,a=,n=user,r=abc",
            "N,,n=user,r=abc",
            "n,,n=us\0er,r=abc",
        ] {
            assert!(ClientFirst::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(ClientFirst::parse(b"n,,n=\xff,r=abc").is_err());
    }

    #[test]
    fn broken_client_final_messages_are_refused() {
        for bad in [
            "",
            "c=biws",
            "c=biws,r=abc",
            "r=abc,c=biws,p=AA==",
            "c=biws,p=AA==",
            "c=b,r=a,p=AA==",
            "c=biws,r=a,p=A",
        ] {
            assert!(ClientFinal::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn escaping_a_name_is_undone_by_reading_it() {
        for name in ["user", "a,b", "a=b", "=2C", ",=,="] {
            assert_eq!(unescape_name(&escape_name(name)).as_deref(), Ok(name));
        }
    }
}
