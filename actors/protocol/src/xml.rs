//! XML as XMPP uses it: XML 1.0 without DTDs, comments and processing instructions
//! (RFC 6120 §11.1), Namespaces in XML 1.0.
//!
//! What comes in passes three doors. The `scanner` finds the end of each first-level
//! element and enforces [`Limits`] before anything is built; quick-xml splits the complete
//! element into tags and text; the strict reader on top of it checks what quick-xml leaves
//! to its users (characters, names, namespaces, attributes). Then the element is written
//! anew, canonically, and only that text travels on: no byte of a peer's own spelling
//! reaches another peer, a client or the archive.
//!
//! **Canonical form.** UTF-8; no prefixes but `xml:` and those of namespaced attributes,
//! which are declared on their own element; `xmlns` comes first and stands only where the
//! namespace differs from the parent's; attributes in single quotes, in their first order;
//! `& < >` escaped everywhere, `'`, tab, line feed and carriage return in attributes too,
//! carriage return in text; empty elements as `<a/>`; no CDATA sections.

mod element;
mod escape;
mod fragment;
mod limits;
mod payloads;
mod reader;
mod scanner;
mod tokenizer;
mod wrapper;
mod writer;

pub use element::{Attribute, Element, Node};
pub(crate) use escape::has_only_chars;
pub use escape::{escape_attribute, escape_text};
pub use fragment::{Fragment, parse_fragment};
pub use limits::{Limits, XmlError};
pub use payloads::{Child, Payloads};
pub use tokenizer::{StreamHeader, Token, Tokenizer};
pub use wrapper::{Wrapper, WrapperTag};
pub(crate) use writer::write_attribute;
