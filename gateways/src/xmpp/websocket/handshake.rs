//! The WebSocket handshake (RFC 6455 §4.2, RFC 7395 §3.1), and whose pages may connect.

use http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, StatusCode};
use klatsch_protocol::stream::websocket::SUBPROTOCOL;

use crate::http::{Requester, may_connect};
use crate::websocket::{accept_value, has_token};

/// A refused handshake: the status, a header that helps, and words for a developer.
pub(super) type Refusal = (StatusCode, [(HeaderName, &'static str); 1], &'static str);

fn refuse(status: StatusCode, text: &'static str) -> Refusal {
    // RFC 6455 §4.4: the version we speak; harmless in the other refusals.
    (status, [(SEC_WEBSOCKET_VERSION, "13")], text)
}

/// Checks a handshake; the answer is the value of `Sec-WebSocket-Accept`.
pub(super) fn check(
    headers: &HeaderMap,
    requester: Requester,
    allowed_origins: &[String],
) -> Result<String, Refusal> {
    if !has_token(headers, &UPGRADE, "websocket") || !has_token(headers, &CONNECTION, "upgrade") {
        return Err(refuse(
            StatusCode::UPGRADE_REQUIRED,
            "this is a WebSocket for XMPP\n",
        ));
    }
    if headers
        .get(SEC_WEBSOCKET_VERSION)
        .is_none_or(|version| version != "13")
    {
        return Err(refuse(
            StatusCode::UPGRADE_REQUIRED,
            "speak WebSocket version 13\n",
        ));
    }
    let accept =
        accept_value(headers).ok_or(refuse(StatusCode::BAD_REQUEST, "bad Sec-WebSocket-Key\n"))?;
    if !requester.secure {
        return Err(refuse(
            StatusCode::FORBIDDEN,
            "use wss: XMPP does not travel unencrypted\n",
        ));
    }
    // Row W01: a page elsewhere must not open a chat in its visitor's name.
    if !may_connect(headers, requester, allowed_origins) {
        return Err(refuse(
            StatusCode::FORBIDDEN,
            "this origin may not connect\n",
        ));
    }
    if !has_token(headers, &SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        return Err(refuse(
            StatusCode::BAD_REQUEST,
            "ask for the subprotocol xmpp\n",
        ));
    }
    Ok(accept)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: Requester = Requester {
        address: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        encrypted: false,
        secure: true,
    };
    const ENCRYPTED: Requester = Requester {
        encrypted: true,
        ..LOCAL
    };

    fn headers(changes: &[(&'static str, Option<&str>)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        let usual = [
            ("host", "chat.example.org"),
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-protocol", "foo, xmpp"),
        ];
        for (name, value) in usual {
            map.insert(name, value.parse().unwrap());
        }
        for (name, value) in changes {
            match value {
                Some(value) => drop(map.insert(*name, value.parse().unwrap())),
                None => drop(map.remove(*name)),
            }
        }
        map
    }

    fn status(changes: &[(&'static str, Option<&str>)], requester: Requester) -> u16 {
        let allowed = ["https://good.example".to_owned()];
        match check(&headers(changes), requester, &allowed) {
            Ok(_) => 101,
            Err((status, ..)) => status.as_u16(),
        }
    }

    #[test]
    fn accept_value_is_that_of_the_rfc() {
        let accept = check(&headers(&[]), ENCRYPTED, &[]).ok().unwrap();
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn incomplete_handshakes_are_refused() {
        assert_eq!(status(&[("upgrade", None)], ENCRYPTED), 426);
        assert_eq!(
            status(&[("sec-websocket-version", Some("8"))], ENCRYPTED),
            426
        );
        assert_eq!(
            status(&[("sec-websocket-key", Some("c2hvcnQ="))], ENCRYPTED),
            400
        );
        assert_eq!(status(&[("sec-websocket-protocol", None)], ENCRYPTED), 400);
        assert_eq!(
            status(&[("sec-websocket-protocol", Some("xmpp2"))], ENCRYPTED),
            400
        );
        assert_eq!(
            status(
                &[],
                Requester {
                    secure: false,
                    ..LOCAL
                }
            ),
            403
        );
    }

    #[test]
    fn w01_only_own_and_allowed_origins_connect() {
        let with = |origin: &str, requester| status(&[("origin", Some(origin))], requester);
        for good in [
            "https://chat.example.org",
            "https://CHAT.example.org",
            "https://good.example",
        ] {
            assert_eq!(with(good, ENCRYPTED), 101, "{good}");
        }
        for evil in [
            "https://evil.example",
            "null",
            "",
            "https://chat.example.org.evil.example",
            "https://evilchat.example.org",
            "https://good.example.evil.example",
            "https://good.example:444",
            "https://chat.example.org:8443",
            "https://chat.example.org/",
            "https://chat.example.org@evil.example",
            "http://chat.example.org",
            "https://good.example https://evil.example",
            "file://",
        ] {
            assert_eq!(with(evil, ENCRYPTED), 403, "{evil}");
        }
        assert_eq!(with("http://chat.example.org", LOCAL), 101);
        let mut twice = headers(&[("origin", Some("https://chat.example.org"))]);
        twice.append("origin", "https://evil.example".parse().unwrap());
        assert!(check(&twice, ENCRYPTED, &[]).is_err());
    }
}
