//! XMPP over HTTP: what the wrappers of BOSH say, XEP-0124 version 1.11.2,
//! <https://xmpp.org/extensions/xep-0124.html>, and XEP-0206 version 1.4,
//! <https://xmpp.org/extensions/xep-0206.html>
//!
//! The order of requests, what is held and what is answered is the gateway's (`xmpp/bosh`).
//! Leaves out: several streams in a session (§16), `route` (§7.1: one server is behind this),
//! `authid` (XEP-0078 is obsolete), compression of bodies, and reports of answers that may be
//! lost (§9.2).

mod keys;

use std::time::Duration;

pub use keys::Keys;

use crate::ns;
use crate::xml::{StreamHeader, WrapperTag, escape_attribute};

/// The wrapper's namespace.
pub const NS: &str = "http://jabber.org/protocol/httpbind";
/// XEP-0206's attributes.
pub const NS_XMPP: &str = "urn:xmpp:xbosh";

/// §14.1: doubles count no further.
const RID_MAX: u64 = (1 << 53) - 1;

/// The version of the protocol that is spoken here (§7.2).
const VERSION: (u32, u32) = (1, 11);

/// What a request's wrapper says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its place among the session's requests (§14).
    pub rid: u64,
    /// The session it belongs to; none asks for one (§7.1).
    pub sid: Option<String>,
    /// Up to which request the client has its answers (§9.2).
    pub ack: Option<u64>,
    /// The next key of the client's sequence (§15).
    pub key: Option<String>,
    /// The first key of a new sequence.
    pub new_key: Option<String>,
    /// The client will be away for so long (§10).
    pub pause: Option<Duration>,
    /// The client ends the session (§13).
    pub ends: bool,
    /// A new stream begins (XEP-0206 §5).
    pub restarts: bool,
    /// Whom the stream is for.
    pub to: Option<String>,
    /// Whom it is from.
    pub from: Option<String>,
    /// Its language.
    pub lang: Option<String>,
    /// The version of XMPP.
    pub version: Option<String>,
}

/// How a client wants its session to be (§7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wishes {
    /// How long a request may wait for its answer.
    pub wait: Option<Duration>,
    /// How many requests may wait.
    pub hold: Option<u32>,
    /// The version of BOSH it speaks; without one it wants HTTP's statuses for errors (§17.1).
    pub version: Option<(u32, u32)>,
    /// What type it wants answers to have.
    pub content: Option<String>,
    /// It will say which answers it has.
    pub acks: bool,
}

impl Request {
    /// Reads a wrapper's tag.
    ///
    /// # Errors
    /// It is no wrapper of BOSH, or what it says makes no sense.
    pub fn read(tag: &WrapperTag) -> Result<Self, Condition> {
        if tag.name != "body" || tag.namespace != NS {
            return Err(Condition::BadRequest);
        }
        let text = |namespace, name| tag.attr(namespace, name).map(str::to_owned);
        let rid = number(tag, "rid")?.filter(|rid| (1..=RID_MAX).contains(rid));
        Ok(Self {
            rid: rid.ok_or(Condition::BadRequest)?,
            sid: text("", "sid"),
            ack: number(tag, "ack")?,
            key: text("", "key"),
            new_key: text("", "newkey"),
            pause: number(tag, "pause")?.map(Duration::from_secs),
            ends: tag.attr("", "type") == Some("terminate"),
            restarts: tag.attr(NS_XMPP, "restart").is_some_and(is_true),
            to: text("", "to"),
            from: text("", "from"),
            lang: text(ns::XML, "lang"),
            version: text(NS_XMPP, "version"),
        })
    }

    /// The stream header that this wrapper stands for; `to` is the domain of the session's
    /// first one, which a restart need not repeat.
    #[must_use]
    pub fn header(&self, to: &str) -> StreamHeader {
        let to = self.to.as_deref().unwrap_or(to);
        // XEP-0206's schema has 1.0 as the default.
        let version = self.version.as_deref().unwrap_or("1.0");
        StreamHeader {
            to: Some(to.to_owned()),
            from: self.from.clone(),
            id: None,
            version: Some(version.to_owned()),
            lang: self.lang.clone(),
            content_ns: ns::CLIENT.to_owned(),
        }
    }
}

impl Wishes {
    /// Reads the tag of a request for a session.
    ///
    /// # Errors
    /// A number is none.
    pub fn read(tag: &WrapperTag) -> Result<Self, Condition> {
        let hold = number(tag, "hold")?;
        Ok(Self {
            wait: number(tag, "wait")?.map(Duration::from_secs),
            hold: hold.map(|hold| u32::try_from(hold).unwrap_or(u32::MAX)),
            version: tag.attr("", "ver").map(version).transpose()?,
            content: tag.attr("", "content").map(str::to_owned),
            acks: tag.attr("", "ack") == Some("1"),
        })
    }

    /// The lower of the client's version and ours (§7.2).
    #[must_use]
    pub fn agreed_version(&self) -> Option<String> {
        let (major, minor) = self.version?.min(VERSION);
        Some(format!("{major}.{minor}"))
    }
}

fn number(tag: &WrapperTag, name: &str) -> Result<Option<u64>, Condition> {
    let Some(text) = tag.attr("", name) else {
        return Ok(None);
    };
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if is_number => Ok(Some(number)),
        _ => Err(Condition::BadRequest),
    }
}

/// §7.1: two integers, so that 1.10 is more than 1.9.
fn version(text: &str) -> Result<(u32, u32), Condition> {
    let parts = text.split_once('.');
    let numbers = parts.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    numbers.ok_or(Condition::BadRequest)
}

fn is_true(text: &str) -> bool {
    matches!(text, "true" | "1")
}

/// Why a session ends (§17.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// The wrapper is none, or what is in it is no XML.
    BadRequest,
    /// `to` names nobody served here.
    HostUnknown,
    /// There is no `to`.
    ImproperAddressing,
    /// There is no such session, or the request does not fit into it.
    ItemNotFound,
    /// Another request has ended the session.
    OtherRequest,
    /// The client has broken the session's rules.
    PolicyViolation,
    /// The stream has ended with the error that is in the wrapper.
    RemoteStreamError,
}

impl Condition {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad-request",
            Self::HostUnknown => "host-unknown",
            Self::ImproperAddressing => "improper-addressing",
            Self::ItemNotFound => "item-not-found",
            Self::OtherRequest => "other-request",
            Self::PolicyViolation => "policy-violation",
            Self::RemoteStreamError => "remote-stream-error",
        }
    }

    /// The status of HTTP that a client from before these conditions understands (§17.1).
    #[must_use]
    pub const fn legacy_status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::PolicyViolation => 403,
            Self::ItemNotFound => 404,
            _ => 200,
        }
    }
}

/// A wrapper around canonical elements, each with a namespace of its own.
#[must_use]
pub fn wrap<V: AsRef<str>, T: AsRef<[u8]>>(attributes: &[(&str, V)], payloads: &[T]) -> Vec<u8> {
    let size = payloads.iter().map(|payload| payload.as_ref().len());
    let mut out = Vec::with_capacity(512 + size.sum::<usize>());
    out.extend_from_slice(b"<body");
    let mut write = |name: &str, value: &str| {
        out.push(b' ');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"='");
        escape_attribute(&mut out, value);
        out.push(b'\'');
    };
    write("xmlns", NS);
    if attributes.iter().any(|(name, _)| name.starts_with("xmpp:")) {
        write("xmlns:xmpp", NS_XMPP);
    }
    // XEP-0206 §2: it must be declared here, too.
    if payloads
        .iter()
        .any(|payload| payload.as_ref().starts_with(b"<stream:"))
    {
        write("xmlns:stream", ns::STREAMS);
    }
    for (name, value) in attributes {
        write(name, value.as_ref());
    }
    if payloads.is_empty() {
        out.extend_from_slice(b"/>");
        return out;
    }
    out.push(b'>');
    for payload in payloads {
        out.extend_from_slice(payload.as_ref());
    }
    out.extend_from_slice(b"</body>");
    out
}

/// A wrapper with nothing in it.
#[must_use]
pub fn wrap_nothing(attributes: &[(&str, &str)]) -> Vec<u8> {
    let nothing: [&[u8]; 0] = [];
    wrap(attributes, &nothing)
}

/// The wrapper that ends a session without last words (§17.2).
#[must_use]
pub fn wrap_refusal(condition: Condition) -> Vec<u8> {
    let nothing: [&[u8]; 0] = [];
    wrap_end(Some(condition), &nothing)
}

/// The wrapper that ends a session (§13, §17.2).
#[must_use]
pub fn wrap_end<T: AsRef<[u8]>>(condition: Option<Condition>, payloads: &[T]) -> Vec<u8> {
    let mut attributes = vec![("type", "terminate")];
    attributes.extend(condition.map(|condition| ("condition", condition.as_str())));
    wrap(&attributes, payloads)
}

/// Tells whether an element is the error that ends a stream, as our own writer writes it.
#[must_use]
pub fn is_stream_error(payload: &[u8]) -> bool {
    payload.starts_with(b"<stream:error")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Limits, Wrapper};

    fn tag(attributes: &str) -> WrapperTag {
        let mut wrapper = Wrapper::default();
        wrapper
            .push(format!("<body xmlns='{NS}' xmlns:xmpp='{NS_XMPP}' {attributes}/>").as_bytes());
        wrapper.tag(&Limits::BEFORE_LOGIN).unwrap().unwrap()
    }

    #[test]
    fn request_for_a_session_says_how_it_is_to_be() {
        let tag = tag(
            "rid='9007199254740991' to='a.example' wait='60' hold='1' ver='1.6' ack='1' \
             content='text/xml; charset=utf-8' xml:lang='de' xmpp:version='1.0'",
        );
        let request = Request::read(&tag).unwrap();
        assert_eq!(request.rid, RID_MAX);
        let header = request.header("other.example");
        assert_eq!(header.to.as_deref(), Some("a.example"));
        assert_eq!(header.lang.as_deref(), Some("de"));
        let wishes = Wishes::read(&tag).unwrap();
        assert_eq!(
            (wishes.wait, wishes.hold),
            (Some(Duration::from_secs(60)), Some(1))
        );
        assert!(wishes.acks);
        assert_eq!(wishes.agreed_version().as_deref(), Some("1.6"));
    }

    #[test]
    fn restart_keeps_the_first_domain_and_begins_with_version_one() {
        let request = Request::read(&tag("rid='2' sid='s' xmpp:restart='true'")).unwrap();
        assert!(request.restarts && !request.ends);
        let header = request.header("a.example");
        assert_eq!(header.to.as_deref(), Some("a.example"));
        assert_eq!(header.version.as_deref(), Some("1.0"));
    }

    #[test]
    fn versions_are_two_numbers_and_the_lower_one_holds() {
        let version = |ver: &str| Wishes::read(&tag(&format!("ver='{ver}'")));
        assert_eq!(version("1.9").unwrap().agreed_version().unwrap(), "1.9");
        assert_eq!(version("1.12").unwrap().agreed_version().unwrap(), "1.11");
        assert_eq!(version("2.0").unwrap().agreed_version().unwrap(), "1.11");
        assert_eq!(version("new"), Err(Condition::BadRequest));
        assert_eq!(Wishes::read(&tag("")).unwrap().agreed_version(), None);
    }

    #[test]
    fn w09_request_ids_are_numbers_that_doubles_can_count() {
        for bad in [
            "",
            "0",
            "-1",
            "+1",
            "1e3",
            " 1",
            "9007199254740992",
            "99999999999999999999",
        ] {
            let request = Request::read(&tag(&format!("rid='{bad}'")));
            assert_eq!(request, Err(Condition::BadRequest), "{bad}");
        }
        assert_eq!(Request::read(&tag("sid='s'")), Err(Condition::BadRequest));
        assert_eq!(
            Request::read(&tag("rid='1' pause='x'")),
            Err(Condition::BadRequest)
        );
    }

    #[test]
    fn wrapper_declares_what_its_content_needs() {
        let features = [&b"<stream:features xmlns:stream='s'/>"[..]];
        let text = String::from_utf8(wrap(&[("sid", "a'b"), ("xmpp:version", "1.0")], &features));
        assert_eq!(
            text.unwrap(),
            "<body xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh' \
             xmlns:stream='http://etherx.jabber.org/streams' sid='a&apos;b' xmpp:version='1.0'>\
             <stream:features xmlns:stream='s'/></body>"
        );
        let end = String::from_utf8(wrap_refusal(Condition::ItemNotFound)).unwrap();
        assert_eq!(
            end,
            "<body xmlns='http://jabber.org/protocol/httpbind' type='terminate' \
             condition='item-not-found'/>"
        );
    }
}
