//! Reads a stanza's head, and says what is wrong with one that is none: RFC 6120 §8.1, §8.2.

use super::{Head, Iq, IqKind, Message, MessageKind, Presence, PresenceKind, Stanza, StanzaError};
use crate::jid::Jid;
use crate::ns;
use crate::xml::{Element, Fragment};

/// The most that is ever echoed of an attribute that was wrong (row X19).
const ECHO_BYTES_MAX: usize = 256;

/// The names of the three stanzas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StanzaName {
    /// `<message/>`
    Message,
    /// `<presence/>`
    Presence,
    /// `<iq/>`
    Iq,
}

/// A first-level element that is no valid stanza.
#[derive(Debug, Clone, PartialEq)]
pub struct Malformed {
    /// What it wanted to be; `None`: no stanza at all (RFC 6120 §4.9.3.24,
    /// `unsupported-stanza-type`).
    pub kind: Option<StanzaName>,
    /// It says it is an error or a result: nobody answers those.
    pub is_answer: bool,
    /// Its id.
    pub id: Option<Box<str>>,
    /// Its `to` as it was written.
    pub to: Option<Box<str>>,
    /// Its `from` as it was written.
    pub from: Option<Box<str>>,
    /// What is wrong.
    pub error: StanzaError,
}

impl Malformed {
    /// Bytes that are no XML of ours.
    pub(super) fn unreadable() -> Self {
        Self {
            kind: None,
            is_answer: false,
            id: None,
            to: None,
            from: None,
            error: StanzaError::bad_request(),
        }
    }

    /// The stanza error that answers it (RFC 6120 §8.3.1). None goes to what is no stanza, is
    /// an error or is an answer.
    pub fn reply(&self) -> Option<Element> {
        let name = self.kind?.as_str();
        if self.is_answer {
            return None;
        }
        let short =
            |text: &Option<Box<str>>| text.clone().filter(|text| text.len() <= ECHO_BYTES_MAX);
        let reply = Element::new(name, ns::CLIENT)
            .attr_opt("to", short(&self.from))
            .attr_opt("from", short(&self.to))
            .attr_opt("id", short(&self.id))
            .attr("type", "error")
            .child(self.error.to_element());
        Some(reply)
    }
}

impl StanzaName {
    /// The element's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Presence => "presence",
            Self::Iq => "iq",
        }
    }

    fn of(fragment: &Fragment) -> Option<Self> {
        // RFC 6120 §4.8.3: a stanza is in the stream's content namespace.
        if ![ns::CLIENT, ns::SERVER].contains(&fragment.namespace()) {
            return None;
        }
        match fragment.name() {
            "message" => Some(Self::Message),
            "presence" => Some(Self::Presence),
            "iq" => Some(Self::Iq),
            _ => None,
        }
    }
}

pub(super) fn read(fragment: Fragment) -> Result<Stanza, Malformed> {
    let kind = StanzaName::of(&fragment);
    let refuse = |error: StanzaError| {
        let attribute = |name| fragment.attr(name).map(Box::from);
        Malformed {
            kind,
            is_answer: is_answer(kind, fragment.attr("type")),
            id: attribute("id"),
            to: attribute("to"),
            from: attribute("from"),
            error,
        }
    };
    let head = read_head(&fragment).map_err(refuse)?;
    let type_name = fragment.attr("type");
    match kind {
        None => Err(refuse(StanzaError::bad_request())),
        Some(StanzaName::Message) => {
            let kind = MessageKind::parse(type_name);
            Ok(Stanza::Message(Message {
                head,
                kind,
                payloads: fragment.into_payloads(),
            }))
        }
        Some(StanzaName::Presence) => match PresenceKind::parse(type_name) {
            Some(kind) => Ok(Stanza::Presence(Presence {
                head,
                kind,
                payloads: fragment.into_payloads(),
            })),
            // RFC 6121 §4.7.1: the type is one of those defined.
            None => Err(refuse(StanzaError::bad_request())),
        },
        Some(StanzaName::Iq) => match read_iq_kind(&fragment) {
            Some(kind) => Ok(Stanza::Iq(Iq {
                head,
                kind,
                payloads: fragment.into_payloads(),
            })),
            None => Err(refuse(StanzaError::bad_request())),
        },
    }
}

fn is_answer(kind: Option<StanzaName>, type_name: Option<&str>) -> bool {
    type_name == Some("error") || (kind == Some(StanzaName::Iq) && type_name == Some("result"))
}

/// RFC 6120 §8.2.3: an id and a type are obligatory (rules 1 and 2), and a request has
/// exactly one child (rule 5).
fn read_iq_kind(fragment: &Fragment) -> Option<IqKind> {
    fragment.attr("id")?;
    let kind = IqKind::parse(fragment.attr("type"))?;
    let is_request = matches!(kind, IqKind::Get | IqKind::Set);
    (!is_request || fragment.payloads().len() == 1).then_some(kind)
}

fn read_head(fragment: &Fragment) -> Result<Head, StanzaError> {
    let mut head = Head::default();
    for (name, value) in fragment.attributes() {
        match name {
            "to" => head.to = Some(read_jid(value)?),
            "from" => head.from = Some(read_jid(value)?),
            "id" => head.id = Some(value.into()),
            "xml:lang" => head.lang = Some(value.into()),
            _ => {}
        }
    }
    Ok(head)
}

/// RFC 6120 §8.3.3.8.
fn read_jid(text: &str) -> Result<Jid, StanzaError> {
    Jid::parse(text).map_err(|_| StanzaError::jid_malformed())
}
