//! Messages: RFC 6121 §5.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Head;
use crate::ns;
use crate::xml::Payloads;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Message {
    /// Common attributes.
    pub head: Head,
    /// Its type (§5.2.2).
    pub kind: MessageKind,
    /// Its children.
    pub payloads: Payloads,
}

/// The type of a message (RFC 6121 §5.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum MessageKind {
    /// Outside any conversation; also every unknown type.
    #[default]
    Normal,
    /// In a conversation of two.
    Chat,
    /// In a room.
    Groupchat,
    /// An alert that expects no answer.
    Headline,
    /// An error in answer to a message.
    Error,
}

impl Message {
    /// The first `<body/>` (§5.2.3).
    pub fn body(&self) -> Option<Cow<'_, str>> {
        self.payloads.text_of("body", ns::CLIENT)
    }

    /// Tells whether there is a `<body/>`.
    pub fn has_body(&self) -> bool {
        self.payloads.has("body", ns::CLIENT)
    }
}

impl MessageKind {
    /// §5.2.2: an unknown or missing type is treated as `normal`.
    pub fn parse(text: Option<&str>) -> Self {
        match text {
            Some("chat") => Self::Chat,
            Some("groupchat") => Self::Groupchat,
            Some("headline") => Self::Headline,
            Some("error") => Self::Error,
            _ => Self::Normal,
        }
    }

    /// The value of the attribute; the default needs none.
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Normal => None,
            Self::Chat => Some("chat"),
            Self::Groupchat => Some("groupchat"),
            Self::Headline => Some("headline"),
            Self::Error => Some("error"),
        }
    }
}
