//! Where the WebSocket and BOSH are: Discovering Alternative XMPP Connection Methods,
//! XEP-0156 version 1.4.0, <https://xmpp.org/extensions/xep-0156.html>
//!
//! Leaves out RFC 6415 beyond what the extension needs.

use std::net::IpAddr;

use axum::Extension;
use axum::response::{IntoResponse, Response};
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, HOST};
use http::{HeaderMap, StatusCode};

use super::headers::cacheable;
use super::requester::Requester;

/// Relation, scheme without its `s`, and path of each way to connect, the better one first.
const WAYS: [(&str, &str, &str); 2] = [
    (
        "urn:xmpp:alt-connections:websocket",
        "ws",
        "/xmpp-websocket",
    ),
    ("urn:xmpp:alt-connections:xbosh", "http", "/http-bind"),
];

/// `/.well-known/host-meta`, the form every service must have (§3.2).
pub(crate) async fn xrd(
    Extension(requester): Extension<Requester>,
    headers: HeaderMap,
) -> Response {
    let Some(links) = links(requester, &headers) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    // The links' host was checked to have no character that XML would mind.
    let links = links.map(|(relation, link)| format!("  <Link rel='{relation}' href='{link}'/>\n"));
    let text = format!(
        "<?xml version='1.0' encoding='utf-8'?>\n\
         <XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\n{}</XRD>\n",
        links.concat()
    );
    answer("application/xrd+xml", text)
}

/// `/.well-known/host-meta.json`, the form scripts like (§3.2).
pub(crate) async fn jrd(
    Extension(requester): Extension<Requester>,
    headers: HeaderMap,
) -> Response {
    let Some(links) = links(requester, &headers) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let links = links.map(|(relation, link)| serde_json::json!({ "rel": relation, "href": link }));
    let text = serde_json::json!({ "links": links }).to_string();
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

/// Where the WebSocket and BOSH of the host are that was asked.
pub(crate) fn ways(requester: Requester, headers: &HeaderMap) -> Option<[String; 2]> {
    links(requester, headers).map(|links| links.map(|(_, link)| link))
}

/// The ways to the host that was asked, with their relations.
fn links(requester: Requester, headers: &HeaderMap) -> Option<[(&'static str, String); 2]> {
    let host = headers
        .get(HOST)?
        .to_str()
        .ok()
        .filter(|host| is_host(host))?;
    // §3.2 knows wss and https only. DEVIATION: a plain request from this machine to this
    // machine is a developer's, and is told about the plain way it can use.
    let is_plain = requester.secure && !requester.encrypted && is_this_machine(host);
    let s = if is_plain { "" } else { "s" };
    Some(WAYS.map(|(relation, scheme, path)| (relation, format!("{scheme}{s}://{host}{path}"))))
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
        let [(_, websocket), (_, bosh)] = all(host, encrypted)?;
        let same = bosh
            .replace("http", "ws")
            .replace("/ws-bind", "/xmpp-websocket");
        assert_eq!(same, websocket);
        Some(websocket)
    }

    fn all(host: &str, encrypted: bool) -> Option<[(&'static str, String); 2]> {
        let requester = Requester {
            address: [127, 0, 0, 1].into(),
            encrypted,
            secure: true,
        };
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        links(requester, &headers)
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
