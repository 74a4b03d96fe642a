//! What is asked for: XEP-0363 §5, §6.

use super::settings::Settings;
use super::slot::Purpose;
use super::{NS, NS_PURPOSE, name};
use crate::stanza::{Iq, StanzaError};
use crate::time::Timestamp;
use crate::xml::Element;

/// Bytes a type may have (RFC 6838 §4.2: twice 127), parameters included.
const CONTENT_TYPE_BYTES_MAX: usize = 255;

/// A request that makes sense.
pub(super) struct Request {
    pub(super) name: Box<str>,
    pub(super) size: u64,
    pub(super) content_type: Option<Box<str>>,
    pub(super) purpose: Purpose,
    expire_before: Option<Timestamp>,
}

impl Request {
    /// Until when the file may be kept (§6.3: never longer than was asked).
    pub(super) fn keep_until(&self, settings: &Settings, now: Timestamp) -> Timestamp {
        let kept = settings.keep_until(self.purpose, now);
        self.expire_before.map_or(kept, |before| before.min(kept))
    }
}

/// Reads a request.
pub(super) fn read(iq: &Iq, now: Timestamp) -> Result<Request, StanzaError> {
    let wrong = |text| StanzaError::bad_request().with_text(text);
    let request = iq.payloads.element("request", NS);
    let request = request.ok_or_else(StanzaError::bad_request)?;
    let name = request.get("filename").filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| wrong("The file has no name"))?;
    let size = request.get("size").and_then(|size| size.parse().ok());
    // The schema wants a positive number.
    let size = size.filter(|size| *size > 0);
    let size = size.ok_or_else(|| wrong("The size is no positive number"))?;
    let content_type = request.get("content-type").filter(|it| !it.is_empty());
    if content_type.is_some_and(|it| !is_content_type(it)) {
        return Err(wrong("The content type is none"));
    }
    let (purpose, expire_before) = purpose(&request, now)?;
    Ok(Request {
        name: name::tidy(name),
        size,
        content_type: content_type.map(Into::into),
        purpose,
        expire_before,
    })
}

/// RFC 9110 §8.3.1, as far as it matters: what fits into a header and has a slash.
fn is_content_type(text: &str) -> bool {
    let essence = text.split(';').next().unwrap_or_default().trim();
    let is_token = |it: &str| {
        let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !it.is_empty() && it.bytes().all(is_fine)
    };
    text.len() <= CONTENT_TYPE_BYTES_MAX
        && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && essence
            .split_once('/')
            .is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

/// §6: what the file is for; without a word it is for a message.
fn purpose(request: &Element, now: Timestamp) -> Result<(Purpose, Option<Timestamp>), StanzaError> {
    let mut said = request.children().filter(|it| it.namespace() == NS_PURPOSE);
    let Some(purpose) = said.next() else {
        return Ok((Purpose::Message, None));
    };
    if said.next().is_some() {
        return Err(StanzaError::bad_request().with_text("A file has one purpose"));
    }
    match purpose.name() {
        "message" => Ok((Purpose::Message, None)),
        "profile" => Ok((Purpose::Profile, None)),
        "ephemeral" => {
            let before = purpose
                .get("expire-before")
                .and_then(Timestamp::parse_xep0082);
            let before = before.filter(|before| *before > now).ok_or_else(|| {
                StanzaError::bad_request().with_text("expire-before is no time to come")
            })?;
            Ok((Purpose::Ephemeral, Some(before)))
        }
        // Kept for a while instead would be a loss nobody was told of.
        _ => Err(StanzaError::feature_not_implemented().with_text("No files of this purpose here")),
    }
}
