//! Presence: RFC 6121 §3 and §4.

use serde::{Deserialize, Serialize};

use super::Head;
use crate::ns;
use crate::xml::Payloads;

/// A presence stanza.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Presence {
    /// Common attributes.
    pub head: Head,
    /// Its type (§4.7.1).
    pub kind: PresenceKind,
    /// Its children.
    pub payloads: Payloads,
}

/// The type of a presence stanza (RFC 6121 §4.7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum PresenceKind {
    /// No type: the sender is there.
    #[default]
    Available,
    /// The sender is gone.
    Unavailable,
    /// Asks to see the recipient's presence.
    Subscribe,
    /// Allows it.
    Subscribed,
    /// No longer wants to see it.
    Unsubscribe,
    /// Refuses it, or takes it back.
    Unsubscribed,
    /// A server asks for the current state.
    Probe,
    /// An error in answer to presence.
    Error,
}

/// What somebody who is there is up to (RFC 6121 §4.7.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Show {
    /// Eager to talk.
    Chat,
    /// Nothing special: no `<show/>`.
    #[default]
    Online,
    /// Gone for a moment.
    Away,
    /// Gone for long.
    Xa,
    /// Busy.
    Dnd,
}

impl Presence {
    /// The priority (§4.7.2.3): 0 if there is none, or none that is a number of one byte.
    pub fn priority(&self) -> i8 {
        let text = self.payloads.text_of("priority", ns::CLIENT);
        text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    /// The state (§4.7.2.1); an unknown one is as good as none.
    pub fn show(&self) -> Show {
        match self
            .payloads
            .text_of("show", ns::CLIENT)
            .as_deref()
            .map(str::trim)
        {
            Some("chat") => Show::Chat,
            Some("away") => Show::Away,
            Some("xa") => Show::Xa,
            Some("dnd") => Show::Dnd,
            _ => Show::Online,
        }
    }
}

impl Show {
    /// The name people give it: the value of `<show/>`, or `online`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Online => "online",
            Self::Away => "away",
            Self::Xa => "xa",
            Self::Dnd => "dnd",
        }
    }

    /// Reads such a name.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Chat, Self::Online, Self::Away, Self::Xa, Self::Dnd];
        all.into_iter().find(|show| show.as_str() == text)
    }
}

impl PresenceKind {
    /// Reads the attribute; `None` for a type that does not exist.
    pub fn parse(text: Option<&str>) -> Option<Self> {
        Some(match text {
            None => Self::Available,
            Some("unavailable") => Self::Unavailable,
            Some("subscribe") => Self::Subscribe,
            Some("subscribed") => Self::Subscribed,
            Some("unsubscribe") => Self::Unsubscribe,
            Some("unsubscribed") => Self::Unsubscribed,
            Some("probe") => Self::Probe,
            Some("error") => Self::Error,
            Some(_) => return None,
        })
    }

    /// The value of the attribute; being there needs none.
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Available => None,
            Self::Unavailable => Some("unavailable"),
            Self::Subscribe => Some("subscribe"),
            Self::Subscribed => Some("subscribed"),
            Self::Unsubscribe => Some("unsubscribe"),
            Self::Unsubscribed => Some("unsubscribed"),
            Self::Probe => Some("probe"),
            Self::Error => Some("error"),
        }
    }
}
