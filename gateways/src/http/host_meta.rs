//! Where the WebSocket is: Discovering Alternative XMPP Connection Methods,
//! XEP-0156 version 1.4.0, <https://xmpp.org/extensions/xep-0156.html>
//!
//! Leaves out: BOSH, and RFC 6415 beyond what the extension needs.

use std::net::IpAddr;

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
    // §3.2 knows wss only. DEVIATION: a plain request from this machine to this machine is a
    // developer's, and is told about the plain socket it can use.
    let is_plain = requester.secure && !requester.encrypted && is_this_machine(host);
    let scheme = if is_plain { "ws" } else { "wss" };
    Some(format!("{scheme}://{host}/xmpp-websocket"))
}

/// Tells whether a Host header means the machine that asks. A proxy on this machine that adds
/// no headers of its own is told apart by nothing else.
fn is_this_machine(host: &str) -> bool {
    // An IPv6 address without brackets is no Host header, but nothing else either.
    let is_address = host.parse::<IpAddr>().is_ok();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !is_address && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |address: IpAddr| address.is_loopback();
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_loopback)
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
    fn only_this_machine_is_told_of_the_plain_socket() {
        for host in [
            "localhost",
            "LOCALHOST:5280",
            "127.0.0.9:5280",
            "[::1]",
            "::1",
        ] {
            assert!(link(host, false).unwrap().starts_with("ws://"), "{host}");
        }
        // A proxy on this machine passes on who was asked.
        for host in [
            "chat.example.org",
            "192.0.2.1:5280",
            "localhost.example.org",
        ] {
            assert!(link(host, false).unwrap().starts_with("wss://"), "{host}");
        }
    }

    #[test]
    fn host_cannot_smuggle_markup() {
        assert_eq!(link("a'/><Link", true), None);
        assert_eq!(link("a/b", true), None);
        assert_eq!(link("user@host", true), None);
    }
}
