//! A complete first-level element: its head as text, its children canonical.

use bytes::Bytes;
use smallvec::SmallVec;

use super::element::{Attribute, Node};
use super::escape::escape_text;
use super::payloads::{Index, Payloads, Place};
use super::reader::{Item, RawAttribute, Scope, StrictReader};
use super::scanner::{Found, Scanner};
use super::writer::{write_end, write_start};
use super::{Element, Limits, XmlError};
use crate::ns;
use crate::stanza::{Malformed, Stanza};

/// A first-level element of a stream.
///
/// Attributes of the element itself that are in a namespace other than `xml:` are dropped:
/// no specification puts any there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// Name, namespace, attribute names and values, one after the other.
    head: Box<str>,
    /// Where each of them ends.
    ends: SmallVec<[u32; 12]>,
    text: String,
    payloads: Payloads,
}

impl Fragment {
    /// Its name.
    pub fn name(&self) -> &str {
        self.piece(0)
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        self.piece(1)
    }

    /// Tells whether it has this name in this namespace.
    pub fn is(&self, name: &str, namespace: &str) -> bool {
        self.name() == name && self.namespace() == namespace
    }

    /// The value of an attribute; `xml:lang` is the one name with a prefix.
    pub fn attr(&self, name: &str) -> Option<&str> {
        self.attributes()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// Its attributes.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        (2..self.ends.len())
            .step_by(2)
            .map(|at| (self.piece(at), self.piece(at + 1)))
    }

    /// Its own character data, without that of its children.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its children.
    pub fn payloads(&self) -> &Payloads {
        &self.payloads
    }

    /// Its children, without a copy.
    pub fn into_payloads(self) -> Payloads {
        self.payloads
    }

    /// The stanza it is (RFC 6120 §8).
    pub fn into_stanza(self) -> Result<Stanza, Malformed> {
        Stanza::from_fragment(self)
    }

    /// The element as a tree; text comes before children.
    pub fn to_element(&self) -> Element {
        let attributes = self.attributes().map(|(name, value)| {
            let (namespace, name) = match name.strip_prefix("xml:") {
                Some(name) => (ns::XML, name),
                None => ("", name),
            };
            Attribute {
                namespace: namespace.into(),
                name: name.to_owned().into(),
                value: value.to_owned(),
            }
        });
        let text = (!self.text.is_empty()).then(|| Node::Text(self.text.clone()));
        let nodes = text
            .into_iter()
            .chain(self.payloads.elements().map(Node::Element));
        Element::from_parts(
            self.name().to_owned(),
            self.namespace().to_owned(),
            attributes.collect(),
            nodes.collect(),
        )
    }

    fn piece(&self, at: usize) -> &str {
        let start = at
            .checked_sub(1)
            .map_or(0, |before| self.ends[before] as usize);
        &self.head[start..self.ends[at] as usize]
    }

    /// Reads an element that the scanner has found, in a stream with these namespaces.
    pub(super) fn read(bytes: &[u8], scope: Scope<'_>, limits: &Limits) -> Result<Self, XmlError> {
        let mut reader = StrictReader::new(bytes, scope, limits)?;
        let Some(Item::Start { local, namespace }) = reader.next()? else {
            return Err(XmlError::NotWellFormed);
        };
        let (head, ends) = copy_head(local, &namespace, &reader.attributes);
        let mut content = Content::new(scope.default, bytes.len(), limits);
        content.read(&mut reader)?;
        if reader.next()?.is_some() {
            return Err(XmlError::NotWellFormed);
        }
        let payloads = Payloads::from_parts(content.out, content.index);
        Ok(Self {
            head,
            ends,
            text: content.text,
            payloads,
        })
    }
}

/// Reads a document that is one element, as a WebSocket frame has it (RFC 7395 §3.1). An
/// XML declaration is not allowed there, white space around is.
pub fn parse_fragment(bytes: &[u8], limits: &Limits) -> Result<Fragment, XmlError> {
    let bytes = bytes.trim_ascii();
    match Scanner::document().scan(bytes, limits)? {
        Some((Found::Element, end)) if end == bytes.len() => {}
        _ => return Err(XmlError::NotWellFormed),
    }
    Fragment::read(bytes, Scope::of(ns::CLIENT), limits)
}

/// Reads a row of canonical children again.
pub(super) fn read_children(
    bytes: &Bytes,
    scope: Scope<'_>,
    limits: &Limits,
) -> Result<(Index, Vec<u8>), XmlError> {
    let mut content = Content::new(scope.default, bytes.len(), limits);
    let mut rest: &[u8] = bytes;
    while !rest.is_empty() {
        let Some((Found::Element, end)) = Scanner::document().scan(rest, limits)? else {
            return Err(XmlError::NotWellFormed);
        };
        let (child, after) = rest.split_at(end);
        content.read(&mut StrictReader::new(child, scope, limits)?)?;
        rest = after;
    }
    Ok((content.index, content.out))
}

fn copy_head(
    local: &str,
    namespace: &str,
    attributes: &[RawAttribute<'_>],
) -> (Box<str>, SmallVec<[u32; 12]>) {
    let length = attributes
        .iter()
        .map(|raw| raw.prefix.len() + raw.local.len() + raw.value.len() + 1);
    let mut head = String::with_capacity(local.len() + namespace.len() + length.sum::<usize>());
    let mut ends = SmallVec::new();
    head.push_str(local);
    ends.push(head.len() as u32);
    head.push_str(namespace);
    ends.push(head.len() as u32);
    for raw in attributes {
        match &*raw.namespace {
            "" => {}
            ns::XML => head.push_str("xml:"),
            _ => continue,
        }
        head.push_str(raw.local);
        ends.push(head.len() as u32);
        head.push_str(&raw.value);
        ends.push(head.len() as u32);
    }
    (head.into_boxed_str(), ends)
}

/// Writes the children of an element canonically while they are read.
struct Content<'a> {
    content_namespace: &'a str,
    out: Vec<u8>,
    out_max: usize,
    index: Index,
    text: String,
}

impl<'a> Content<'a> {
    fn new(content_namespace: &'a str, bytes: usize, limits: &Limits) -> Self {
        Self {
            content_namespace,
            out: Vec::with_capacity(bytes),
            // Namespaces that were declared once and escapes make the canonical form longer;
            // without a bound a small stanza could become many times its size.
            out_max: limits.stanza_bytes.saturating_mul(2),
            index: Index::new(),
            text: String::new(),
        }
    }

    /// Reads up to the end of the element the reader is in, or of the input.
    fn read(&mut self, reader: &mut StrictReader<'_>) -> Result<(), XmlError> {
        // Name and namespace of the open children, and whether the last tag is still open.
        let mut open: SmallVec<[(&str, std::borrow::Cow<'_, str>); 8]> = SmallVec::new();
        let mut is_tag_open = false;
        let mut start = 0;
        while let Some(item) = reader.next()? {
            match item {
                Item::Start { local, namespace } => {
                    self.close_tag(&mut is_tag_open);
                    let parent = match open.last() {
                        Some((_, namespace)) => namespace,
                        None => {
                            start = self.out.len();
                            self.content_namespace
                        }
                    };
                    let xmlns = (namespace != parent).then_some(&*namespace);
                    let attributes = reader
                        .attributes
                        .iter()
                        .map(|raw| (&*raw.namespace, raw.local, &*raw.value));
                    write_start(&mut self.out, local, xmlns, attributes);
                    is_tag_open = true;
                    open.push((local, namespace));
                }
                Item::Text(text) if open.is_empty() => self.text.push_str(&text),
                Item::Text(text) if text.is_empty() => {}
                Item::Text(text) => {
                    self.close_tag(&mut is_tag_open);
                    escape_text(&mut self.out, &text);
                }
                Item::End => {
                    let Some((local, _)) = open.pop() else {
                        return Ok(());
                    };
                    match std::mem::take(&mut is_tag_open) {
                        true => self.out.extend_from_slice(b"/>"),
                        false => write_end(&mut self.out, local),
                    }
                    if open.is_empty() {
                        self.add_place(start)?;
                    }
                }
            }
            if self.out.len() > self.out_max {
                return Err(XmlError::TooLarge("canonical bytes"));
            }
        }
        Ok(())
    }

    fn close_tag(&mut self, is_tag_open: &mut bool) {
        if std::mem::take(is_tag_open) {
            self.out.push(b'>');
        }
    }

    fn add_place(&mut self, start: usize) -> Result<(), XmlError> {
        let place = Place::of(&self.out, start).ok_or(XmlError::TooLarge("name"))?;
        self.index.push(place);
        Ok(())
    }
}
