//! Where the WebSocket is: Discovering Alternative XMPP Connection Methods,
//! XEP-0156 version 1.4.0, <https://xmpp.org/extensions/xep-0156.html>
//!
//! Leaves out: BOSH, and RFC 6415 beyond what the extension needs.

use axum::Extension;
use axum::response::{IntoResponse, Response};
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, HOST};
use http::{HeaderMap, StatusCode};

use super::headers::cacheable;
use super::requester::Requester;

const RELATION: &str = "urn:xmpp:alt-connections:websocket";

/// `/.well-known/host-meta`, the form every service must have (§3.2).
pub(crate) async fn xrd(
    Extension(requester): Extension<Requester>,
    headers: HeaderMap,
) -> Response {
    let Some(link) = websocket_link(requester, &headers) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    // The link's host was checked to have no character that XML would mind.
    let text = format!(
        "<?xml version='1.0' encoding='utf-8'?>\n\
         <XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\n  \
         <Link rel='{RELATION}' href='{link}'/>\n</XRD>\n"
    );
    answer("application/xrd+xml", text)
}

/// `/.well-known/host-meta.json`, the form scripts like (§3.2).
pub(crate) async fn jrd(
    Extension(requester): Extension<Requester>,
    headers: HeaderMap,
) -> Response {
    let Some(link) = websocket_link(requester, &headers) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let text = serde_json::json!({ "links": [{ "rel": RELATION, "href": link }] }).to_string();
    answer("application/json", text)
}

fn answer(content_type: &'static str, text: String) -> Response {
    // §4: readable by pages of other hosts.
    let headers = [
        (CONTENT_TYPE, content_type),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    cacheable((headers, text).into_response())
}

/// The WebSocket on the host that was asked.
fn websocket_link(requester: Requester, headers: &HeaderMap) -> Option<String> {
    let host = headers
        .get(HOST)?
        .to_str()
        .ok()
        .filter(|host| is_host(host))?;
    // §3.2 knows wss only. DEVIATION: a plain request from this machine is a developer's, and
    // is told about the plain socket it can use.
    let scheme = if requester.secure && !requester.encrypted {
        "ws"
    } else {
        "wss"
    };
    Some(format!("{scheme}://{host}/xmpp-websocket"))
}

/// Tells whether a Host header is a name or address with an optional port, and nothing else.
pub(crate) fn is_host(host: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
    !host.is_empty() && host.len() <= 261 && host.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(host: &str, encrypted: bool) -> Option<String> {
        let requester = Requester {
            address: [127, 0, 0, 1].into(),
            encrypted,
            secure: true,
        };
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        websocket_link(requester, &headers)
    }

    #[test]
    fn link_names_the_host_that_was_asked() {
        let secure = link("chat.example.org:5443", true).unwrap();
        assert_eq!(secure, "wss://chat.example.org:5443/xmpp-websocket");
        assert_eq!(
            link("[::1]:5280", false).unwrap(),
            "ws://[::1]:5280/xmpp-websocket"
        );
    }

    #[test]
    fn host_cannot_smuggle_markup() {
        assert_eq!(link("a'/><Link", true), None);
        assert_eq!(link("a/b", true), None);
        assert_eq!(link("user@host", true), None);
    }
}
