//! Whose pages may speak XMPP here, by WebSocket or BOSH (row W01).

use http::HeaderMap;
use http::header::{HOST, ORIGIN};

use super::host_meta::is_host;
use super::requester::Requester;

/// Tells whether the page that connects may: it is from this host, or the operator allows its
/// origin. Programs that are no browsers send no Origin, and could send any.
pub(crate) fn may_connect(headers: &HeaderMap, requester: Requester, allowed: &[String]) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else {
        return true;
    };
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    if origins.next().is_some() {
        return false;
    }
    // Exactly: whatever is built from parts can be built by others, too.
    if allowed.iter().any(|allowed| allowed == origin) {
        return true;
    }
    let scheme = if requester.encrypted {
        "https://"
    } else {
        "http://"
    };
    let host = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .filter(|host| is_host(host));
    match (origin.strip_prefix(scheme), host) {
        (Some(origin), Some(host)) => origin.eq_ignore_ascii_case(host),
        _ => false,
    }
}
