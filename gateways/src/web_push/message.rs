//! A notification as a browser reads it, and the request that brings it to the push service.

use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request};
use klatsch_protocol::features::web_push::{Endpoint, Notice, Registration};
use web_push_native::p256::PublicKey;
use web_push_native::{Auth, encrypt};

/// A multiple of this has every notification: its length says nothing of what is in it.
const BYTES_STEP: usize = 256;

/// A push service takes 4,096 bytes encrypted (RFC 8291 §4), which adds about a hundred.
const BYTES_MAX: usize = 3_840;

/// Characters of a text, which is a glance at it: 4 bytes each at most, and 2 with escapes.
const BODY_CHARACTERS_MAX: usize = 400;

/// The notification, encrypted for this browser alone; `None`: it has no key that can be used.
pub(super) fn sealed(registration: &Registration, notice: &Notice) -> Option<Vec<u8>> {
    let key = PublicKey::from_sec1_bytes(&registration.key).ok()?;
    let auth: [u8; 16] = registration.auth.as_slice().try_into().ok()?;
    encrypt(written(notice), &key, &Auth::from(auth)).ok()
}

/// JSON, with blanks at the end.
fn written(notice: &Notice) -> Vec<u8> {
    let mut told = serde_json::json!({
        "conversation": notice.about.conversation,
        "kind": notice.about.kind.as_str(),
        "count": notice.count,
    });
    if let Some(sender) = &notice.sender {
        told["sender"] = sender.as_str().into();
    }
    if let Some(body) = &notice.body {
        let glance: String = body.chars().take(BODY_CHARACTERS_MAX).collect();
        told["body"] = glance.into();
    }
    let mut bytes = told.to_string().into_bytes();
    if bytes.len() > BYTES_MAX {
        // An address is 3 KB at most: what is long is not worth more than that somebody wrote.
        let bare = Notice {
            sender: None,
            body: None,
            ..notice.clone()
        };
        return written(&bare);
    }
    bytes.resize(bytes.len().next_multiple_of(BYTES_STEP), b' ');
    bytes
}

/// RFC 8030 §5; `None` when something in it cannot stand in a header.
pub(super) fn request(
    to: &Endpoint<'_>,
    notice: &Notice,
    sealed: Vec<u8>,
    authorization: &str,
) -> Option<Request<Body>> {
    let kind = notice.about.kind;
    let mut authorization = HeaderValue::from_str(authorization).ok()?;
    authorization.set_sensitive(true);
    Request::builder()
        .method(Method::POST)
        .uri(to.path)
        .header(HOST, to.authority)
        .header(AUTHORIZATION, authorization)
        .header("ttl", kind.lifetime().as_secs())
        .header("urgency", kind.urgency())
        .header("topic", notice.topic())
        .header(CONTENT_ENCODING, "aes128gcm")
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(CONTENT_LENGTH, sealed.len())
        .body(Body::from(sealed))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use klatsch_protocol::features::web_push::{About, Kind};

    fn notice(body: Option<String>) -> Notice {
        Notice {
            about: About {
                conversation: "abc".to_owned(),
                kind: Kind::Message,
            },
            count: 2,
            sender: None,
            body,
        }
    }

    #[test]
    fn length_says_nothing_of_the_content() {
        assert_eq!(written(&notice(None)).len(), BYTES_STEP);
        assert_eq!(written(&notice(Some("psst".to_owned()))).len(), BYTES_STEP);
    }

    #[test]
    fn what_is_long_is_cut_and_never_too_long_to_send() {
        for body in ["\u{1F600}".repeat(9_000), "\u{1}".repeat(9_000)] {
            let bytes = written(&notice(Some(body)));
            assert!(bytes.len() <= BYTES_MAX, "{}", bytes.len());
            let told: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(told["count"], 2);
        }
        let long = Notice {
            sender: Some("a".repeat(5_000)),
            ..notice(None)
        };
        assert_eq!(written(&long), written(&notice(None)));
    }
}
