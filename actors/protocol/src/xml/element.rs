//! An element as a tree: what features build, and what they read when they look closely.
//!
//! Trees that come from parsing are at most [`Limits::CANONICAL`]'s depth deep, and built
//! ones as deep as the code nests them, so the derived, recursive drop is safe.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::escape::escape_text;
use super::reader::{Item, RawAttribute, Scope, StrictReader};
use super::scanner::{Found, Scanner};
use super::writer::{write_end, write_start};
use super::{Limits, XmlError};
use crate::ns;

/// An element with its attributes and content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Element {
    /// Apart, so that an element is small where it is seldom there, as in a stanza error.
    tag: Box<Tag>,
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Tag {
    name: Cow<'static, str>,
    namespace: Cow<'static, str>,
    attributes: Vec<Attribute>,
}

/// An attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// Its namespace, empty for nearly all.
    pub namespace: Cow<'static, str>,
    /// Its name without prefix.
    pub name: Cow<'static, str>,
    /// Its value.
    pub value: String,
}

/// What stands in an element.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Node {
    /// A child.
    Element(Element),
    /// Character data.
    Text(String),
    /// A child that is written already.
    Raw(Bytes),
}

impl Element {
    /// An empty element. `name` is one of ours or has passed the parser.
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        namespace: impl Into<Cow<'static, str>>,
    ) -> Self {
        let name = name.into();
        debug_assert!(
            super::reader::is_name(&name),
            "names are ours, never a peer's text"
        );
        let namespace = namespace.into();
        let tag = Tag {
            name,
            namespace,
            attributes: Vec::new(),
        };
        Self {
            tag: Box::new(tag),
            nodes: Vec::new(),
        }
    }

    /// Sets an attribute; `xml:lang` is the one name with a prefix.
    pub fn attr(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.set_attr(name, value);
        self
    }

    /// Sets an attribute if there is a value.
    pub fn attr_opt(
        self,
        name: impl Into<Cow<'static, str>>,
        value: Option<impl Into<String>>,
    ) -> Self {
        match value {
            Some(value) => self.attr(name, value),
            None => self,
        }
    }

    /// Sets an attribute in place.
    pub fn set_attr(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        let (namespace, name) = expand(name.into());
        let known = self
            .tag
            .attributes
            .iter_mut()
            .find(|known| known.name == name && known.namespace == namespace);
        match known {
            Some(known) => known.value = value.into(),
            None => self.tag.attributes.push(Attribute {
                namespace,
                name,
                value: value.into(),
            }),
        }
    }

    /// Takes an attribute away.
    pub fn without(mut self, name: &str) -> Self {
        let (namespace, name) = split_lang(name);
        self.tag
            .attributes
            .retain(|known| known.name != name || known.namespace != namespace);
        self
    }

    /// Adds a child.
    pub fn child(mut self, child: Element) -> Self {
        self.nodes.push(Node::Element(child));
        self
    }

    /// Adds children.
    pub fn children_from(mut self, children: impl IntoIterator<Item = Element>) -> Self {
        self.nodes.extend(children.into_iter().map(Node::Element));
        self
    }

    /// Adds character data.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.push_text(&text.into());
        self
    }

    /// Adds a child that is written already: canonical bytes that carry their own `xmlns`,
    /// as [`crate::stanza::Stanza::write_framed`] gives them.
    pub fn raw_child(mut self, bytes: Bytes) -> Self {
        self.nodes.push(Node::Raw(bytes));
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.tag.name
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.tag.namespace
    }

    /// The value of an attribute without namespace, or of `xml:lang`.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (namespace, name) = split_lang(name);
        let mut attributes = self.tag.attributes.iter();
        let found = attributes.find(|known| known.name == name && known.namespace == namespace)?;
        Some(&found.value)
    }

    /// All attributes.
    pub fn attributes(&self) -> &[Attribute] {
        &self.tag.attributes
    }

    /// Tells whether it has this name in this namespace.
    pub fn is(&self, name: &str, namespace: &str) -> bool {
        self.tag.name == name && self.tag.namespace == namespace
    }

    /// Its content.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The children that are trees.
    pub fn children(&self) -> impl Iterator<Item = &Element> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) | Node::Raw(_) => None,
        })
    }

    /// The first child of this name in this namespace.
    pub fn find(&self, name: &str, namespace: &str) -> Option<&Element> {
        self.children().find(|child| child.is(name, namespace))
    }

    /// Its own character data, without that of its children.
    pub fn text_content(&self) -> String {
        let mut content = String::new();
        for node in &self.nodes {
            if let Node::Text(text) = node {
                content.push_str(text);
            }
        }
        content
    }

    /// Writes it canonically into a parent whose namespace is this.
    pub fn write(&self, out: &mut Vec<u8>, parent_namespace: &str) {
        let namespace = (self.tag.namespace != parent_namespace).then_some(&*self.tag.namespace);
        let attributes = self
            .tag
            .attributes
            .iter()
            .map(|attribute| (&*attribute.namespace, &*attribute.name, &*attribute.value));
        write_start(out, &self.tag.name, namespace, attributes);
        if self.nodes.is_empty() {
            out.extend_from_slice(b"/>");
            return;
        }
        out.push(b'>');
        for node in &self.nodes {
            match node {
                Node::Element(child) => child.write(out, &self.tag.namespace),
                Node::Text(text) => escape_text(out, text),
                Node::Raw(bytes) => out.extend_from_slice(bytes),
            }
        }
        write_end(out, &self.tag.name);
    }

    /// Writes it canonically by itself, for a stream of clients.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(128);
        self.write(&mut out, ns::CLIENT);
        out.into()
    }

    /// Reads an element; without `xmlns` it is in `jabber:client`.
    pub fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let limits = &Limits::CANONICAL;
        match Scanner::document().scan(bytes, limits)? {
            Some((Found::Element, end)) if end == bytes.len() => {}
            _ => return Err(XmlError::NotWellFormed),
        }
        let scope = Scope::of(ns::CLIENT);
        let mut reader = StrictReader::new(bytes, scope, limits)?;
        read_tree(&mut reader)
    }

    pub(super) fn from_parts(
        name: String,
        namespace: String,
        attributes: Vec<Attribute>,
        nodes: Vec<Node>,
    ) -> Self {
        let tag = Tag {
            name: name.into(),
            namespace: namespace.into(),
            attributes,
        };
        Self {
            tag: Box::new(tag),
            nodes,
        }
    }

    fn start(local: &str, namespace: &str, attributes: &[RawAttribute<'_>]) -> Self {
        let attributes = attributes
            .iter()
            .map(|raw| Attribute {
                namespace: Cow::Owned(raw.namespace.to_string()),
                name: Cow::Owned(raw.local.to_owned()),
                value: raw.value.to_string(),
            })
            .collect();
        Self::from_parts(
            local.to_owned(),
            namespace.to_owned(),
            attributes,
            Vec::new(),
        )
    }

    /// Adjacent text is one node, so that a tree does not depend on how it was escaped.
    fn push_text(&mut self, text: &str) {
        match self.nodes.last_mut() {
            Some(Node::Text(known)) => known.push_str(text),
            _ if text.is_empty() => {}
            _ => self.nodes.push(Node::Text(text.to_owned())),
        }
    }
}

fn read_tree(reader: &mut StrictReader<'_>) -> Result<Element, XmlError> {
    // The elements that are open, from the root on.
    let mut open: Vec<Element> = Vec::new();
    while let Some(item) = reader.next()? {
        match item {
            Item::Start { local, namespace } => {
                open.push(Element::start(local, &namespace, &reader.attributes));
            }
            Item::Text(text) => {
                open.last_mut()
                    .ok_or(XmlError::NotWellFormed)?
                    .push_text(&text);
            }
            Item::End => {
                let element = open.pop().ok_or(XmlError::NotWellFormed)?;
                match open.last_mut() {
                    Some(parent) => parent.nodes.push(Node::Element(element)),
                    None => return Ok(element),
                }
            }
        }
    }
    Err(XmlError::NotWellFormed)
}

/// `xml:lang` as namespace and name.
fn split_lang(name: &str) -> (&'static str, &str) {
    match name.strip_prefix("xml:") {
        Some(name) => (ns::XML, name),
        None => ("", name),
    }
}

fn expand(name: Cow<'static, str>) -> (Cow<'static, str>, Cow<'static, str>) {
    match name.strip_prefix("xml:") {
        Some(local) => (Cow::Borrowed(ns::XML), Cow::Owned(local.to_owned())),
        None => (Cow::Borrowed(""), name),
    }
}
