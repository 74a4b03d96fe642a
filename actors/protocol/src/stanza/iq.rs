//! Requests and their answers: RFC 6120 §8.2.3.

use serde::{Deserialize, Serialize};

use super::Head;
use crate::ns;
use crate::xml::{Child, Element, Payloads};

/// A request or an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Iq {
    /// Common attributes; the id is never missing in what was parsed.
    pub head: Head,
    /// Its type.
    pub kind: IqKind,
    /// Its children.
    pub payloads: Payloads,
}

/// The type of an IQ stanza (RFC 6120 §8.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum IqKind {
    /// Asks.
    Get,
    /// Demands a change.
    Set,
    /// Answers.
    Result,
    /// Refuses.
    Error,
}

impl Iq {
    /// The request itself, or the answer's content: the first child that is no `<error/>`.
    pub fn payload(&self) -> Option<Child<'_>> {
        self.payloads
            .iter()
            .find(|child| !child.is("error", ns::CLIENT))
    }

    /// The answer to this request.
    pub fn result(&self, payload: Option<Element>) -> Self {
        Self {
            head: self.head.reply(),
            kind: IqKind::Result,
            payloads: payload.into_iter().collect(),
        }
    }
}

impl IqKind {
    /// Reads the attribute; `None` for a type that does not exist.
    pub fn parse(text: Option<&str>) -> Option<Self> {
        Some(match text? {
            "get" => Self::Get,
            "set" => Self::Set,
            "result" => Self::Result,
            "error" => Self::Error,
            _ => return None,
        })
    }

    /// The value of the attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Set => "set",
            Self::Result => "result",
            Self::Error => "error",
        }
    }
}
