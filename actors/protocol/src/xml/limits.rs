//! How large XML may be, and the names of its faults (DESIGN §8, RFC 6120 §4.9.3).

use crate::stanza::StreamCondition;

/// What is refused before anything is built from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a first-level element, or of the stream header.
    pub stanza_bytes: usize,
    /// Elements in a first-level element, itself included.
    pub elements: usize,
    /// Levels of elements in a first-level element, itself included.
    pub depth: usize,
    /// Attributes of one element, namespace declarations included.
    pub attributes: usize,
    /// Namespace declarations of one element.
    pub declarations: usize,
    /// Bytes of an element's, an attribute's or a namespace's name.
    pub name_bytes: usize,
}

impl Limits {
    /// Before authentication: 8 KiB and 32 elements are enough for every handshake.
    pub const BEFORE_LOGIN: Self = Self {
        stanza_bytes: 8 * 1024,
        elements: 32,
        depth: 32,
        attributes: 64,
        declarations: 16,
        name_bytes: 256,
    };

    /// A client that has logged in.
    pub const AFTER_LOGIN: Self = Self {
        stanza_bytes: 256 * 1024,
        elements: 16 * 1024,
        ..Self::BEFORE_LOGIN
    };

    /// Another server: its stanzas may have grown by what servers add.
    pub const S2S: Self = Self {
        stanza_bytes: 512 * 1024,
        elements: 32 * 1024,
        ..Self::BEFORE_LOGIN
    };

    /// What our own writer has written: stanzas grow when they are wrapped (carbons, archive
    /// results), so they may be larger and deeper than what came in.
    pub const CANONICAL: Self = Self {
        stanza_bytes: 16 * 1024 * 1024,
        elements: 1024 * 1024,
        depth: 128,
        attributes: 256,
        declarations: 256,
        name_bytes: 64 * 1024 - 1,
    };
}

/// Why XML is refused. After any of these the stream is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum XmlError {
    /// A comment, a processing instruction, a DTD (RFC 6120 §11.1).
    #[error("restricted XML")]
    Restricted,
    /// XML's own grammar is broken (RFC 6120 §11.3).
    #[error("XML not well-formed")]
    NotWellFormed,
    /// Well-formed, but nothing a stream may have there (RFC 6120 §4.9.3.1).
    #[error("bad format")]
    BadFormat,
    /// A limit was exceeded; the text names it.
    #[error("XML too large: {0}")]
    TooLarge(&'static str),
    /// An undeclared prefix, or a declaration that Namespaces in XML forbids
    /// (RFC 6120 §4.9.3.2).
    #[error("bad namespace prefix")]
    BadNamespacePrefix,
    /// The stream header is not in the streams namespace (RFC 6120 §4.9.3.10).
    #[error("invalid namespace")]
    InvalidNamespace,
}

impl XmlError {
    /// The stream error that answers it.
    pub fn condition(self) -> StreamCondition {
        match self {
            Self::Restricted => StreamCondition::RestrictedXml,
            Self::NotWellFormed => StreamCondition::NotWellFormed,
            Self::BadFormat => StreamCondition::BadFormat,
            Self::TooLarge(_) => StreamCondition::PolicyViolation,
            Self::BadNamespacePrefix => StreamCondition::BadNamespacePrefix,
            Self::InvalidNamespace => StreamCondition::InvalidNamespace,
        }
    }
}
