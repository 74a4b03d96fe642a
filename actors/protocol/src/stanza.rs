//! Stanzas: RFC 6120 §8.
//!
//! The head is typed, the children stay canonical bytes ([`Payloads`]) until a feature asks
//! for one. Attributes of a stanza that RFC 6120 §8.1 does not know are not carried on.

mod error;
mod iq;
mod malformed;
mod message;
mod presence;
mod stream_error;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use error::{Condition, ErrorKind, StanzaError};
pub use iq::{Iq, IqKind};
pub use malformed::{Malformed, StanzaName};
pub use message::{Message, MessageKind};
pub use presence::{Presence, PresenceKind, Show};
pub use stream_error::{StreamCondition, StreamError, StreamErrorDetail};

use crate::features::registration;
use crate::jid::Jid;
use crate::ns;
use crate::xml::{Fragment, Limits, Payloads, parse_fragment, write_attribute};

/// One of the three kinds of stanza.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Stanza {
    /// RFC 6121 §5.
    Message(Message),
    /// RFC 6121 §4.
    Presence(Presence),
    /// RFC 6120 §8.2.3.
    Iq(Iq),
}

/// The attributes all stanzas have in common (RFC 6120 §8.1).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Head {
    /// Whom it is for (§8.1.1).
    pub to: Option<Jid>,
    /// Whom it is from (§8.1.2).
    pub from: Option<Jid>,
    /// What the sender tracks it by (§8.1.3).
    pub id: Option<Box<str>>,
    /// The language of what people read in it (§8.1.5).
    pub lang: Option<Box<str>>,
}

impl Head {
    /// The head of an answer: the addresses change sides, the id stays (RFC 6120 §8.1.3).
    pub fn reply(&self) -> Self {
        Self {
            to: self.from.clone(),
            from: self.to.clone(),
            id: self.id.clone(),
            lang: None,
        }
    }
}

impl Stanza {
    /// Reads a stanza of a stream (RFC 6120 §8).
    pub fn from_fragment(fragment: Fragment) -> Result<Self, Malformed> {
        malformed::read(fragment)
    }

    /// Reads what [`Self::to_bytes`] has written.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        match parse_fragment(bytes, &Limits::CANONICAL) {
            Ok(fragment) => Self::from_fragment(fragment),
            Err(_) => Err(Malformed::unreadable()),
        }
    }

    /// The common attributes.
    pub fn head(&self) -> &Head {
        match self {
            Self::Message(message) => &message.head,
            Self::Presence(presence) => &presence.head,
            Self::Iq(iq) => &iq.head,
        }
    }

    /// The common attributes, to change them.
    pub fn head_mut(&mut self) -> &mut Head {
        match self {
            Self::Message(message) => &mut message.head,
            Self::Presence(presence) => &mut presence.head,
            Self::Iq(iq) => &mut iq.head,
        }
    }

    /// Whom it is for.
    pub fn to(&self) -> Option<&Jid> {
        self.head().to.as_ref()
    }

    /// Whom it is from.
    pub fn from(&self) -> Option<&Jid> {
        self.head().from.as_ref()
    }

    /// What the sender tracks it by.
    pub fn id(&self) -> Option<&str> {
        self.head().id.as_deref()
    }

    /// Its children.
    pub fn payloads(&self) -> &Payloads {
        match self {
            Self::Message(message) => &message.payloads,
            Self::Presence(presence) => &presence.payloads,
            Self::Iq(iq) => &iq.payloads,
        }
    }

    /// Its children, to change them.
    pub fn payloads_mut(&mut self) -> &mut Payloads {
        match self {
            Self::Message(message) => &mut message.payloads,
            Self::Presence(presence) => &mut presence.payloads,
            Self::Iq(iq) => &mut iq.payloads,
        }
    }

    /// `message`, `presence` or `iq`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Message(_) => "message",
            Self::Presence(_) => "presence",
            Self::Iq(_) => "iq",
        }
    }

    /// The `type` attribute; `None` for the default.
    pub fn type_name(&self) -> Option<&'static str> {
        match self {
            Self::Message(message) => message.kind.as_str(),
            Self::Presence(presence) => presence.kind.as_str(),
            Self::Iq(iq) => Some(iq.kind.as_str()),
        }
    }

    /// Writes it for a TCP stream, whose header has declared the content namespace.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.write_with(out, None, self.to());
    }

    /// Writes it as [`Stanza::write`], to another address: what many get is one stanza.
    pub fn write_to(&self, out: &mut Vec<u8>, to: &Jid) {
        self.write_with(out, None, Some(to));
    }

    /// Writes it with `xmlns='jabber:client'`: for a WebSocket frame (RFC 7395 §3.3.3), and
    /// for a stanza in another one (XEP-0297 §3).
    pub fn write_framed(&self, out: &mut Vec<u8>) {
        self.write_with(out, Some(ns::CLIENT), self.to());
    }

    /// The same to another address.
    pub fn write_framed_to(&self, out: &mut Vec<u8>, to: &Jid) {
        self.write_with(out, Some(ns::CLIENT), Some(to));
    }

    fn write_with(&self, out: &mut Vec<u8>, namespace: Option<&str>, to: Option<&Jid>) {
        let (head, payloads) = (self.head(), self.payloads().bytes());
        out.reserve(payloads.len() + 256);
        out.push(b'<');
        out.extend_from_slice(self.name().as_bytes());
        let attributes = [
            ("xmlns", namespace),
            ("to", to.map(Jid::as_str)),
            ("from", head.from.as_ref().map(Jid::as_str)),
            ("id", head.id.as_deref()),
            ("type", self.type_name()),
            ("xml:lang", head.lang.as_deref()),
        ];
        for (name, value) in attributes {
            if let Some(value) = value {
                write_attribute(out, name, value);
            }
        }
        if payloads.is_empty() {
            out.extend_from_slice(b"/>");
            return;
        }
        out.push(b'>');
        out.extend_from_slice(payloads);
        out.extend_from_slice(b"</");
        out.extend_from_slice(self.name().as_bytes());
        out.push(b'>');
    }

    /// As [`Self::write`], by itself.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        self.write(&mut out);
        out.into()
    }

    /// Tells whether it says that a message could not be delivered.
    pub fn is_message_error(&self) -> bool {
        matches!(self, Self::Message(message) if message.kind == MessageKind::Error)
    }

    /// The error that answers it (RFC 6120 §8.3.1); `None` when it is an error itself, an
    /// answer, or presence telling a state, which nobody waits for.
    pub fn error_reply(&self, error: &StanzaError) -> Option<Stanza> {
        let head = self.head().reply();
        let payloads = || {
            self.payloads()
                // XEP-0077 §3.3: what may have a password is not sent back.
                .without(|child| child.is("error", ns::CLIENT) || child.is_in(registration::NS))
                .with(&error.to_element())
        };
        match self {
            Self::Message(message) if message.kind != MessageKind::Error => {
                let kind = MessageKind::Error;
                Some(Self::Message(Message {
                    head,
                    kind,
                    payloads: payloads(),
                }))
            }
            Self::Presence(presence) if presence.kind != PresenceKind::Error => {
                let kind = PresenceKind::Error;
                Some(Self::Presence(Presence {
                    head,
                    kind,
                    payloads: payloads(),
                }))
            }
            Self::Iq(iq) if matches!(iq.kind, IqKind::Get | IqKind::Set) => Some(Self::Iq(Iq {
                head,
                kind: IqKind::Error,
                payloads: payloads(),
            })),
            _ => None,
        }
    }
}

impl From<Message> for Stanza {
    fn from(message: Message) -> Self {
        Self::Message(message)
    }
}

impl From<Presence> for Stanza {
    fn from(presence: Presence) -> Self {
        Self::Presence(presence)
    }
}

impl From<Iq> for Stanza {
    fn from(iq: Iq) -> Self {
        Self::Iq(iq)
    }
}

/// The bytes of a stanza as [`Stanza::write`] gives them, as [`Stanza::write_framed`] would:
/// a stanza out of the store becomes a child of another one without being read.
pub fn framed(stanza: &[u8]) -> Bytes {
    let name_end = stanza
        .iter()
        .position(|byte| matches!(byte, b' ' | b'/' | b'>'));
    let (name, rest) = stanza.split_at(name_end.unwrap_or(stanza.len()));
    [name, b" xmlns='", ns::CLIENT.as_bytes(), b"'", rest]
        .concat()
        .into()
}
