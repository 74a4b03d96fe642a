//! The children of a stanza as canonical bytes with an index of their names.
//!
//! What nobody looks at is never parsed again: it is copied from socket to socket, to the
//! archive and to other nodes. A child in the stream's content namespace carries no
//! `xmlns`, so that the same bytes fit client and server streams; every other child carries
//! its own, so that it means the same anywhere.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;

use super::escape::{escape_attribute, read_text};
use super::fragment::read_children;
use super::reader::Scope;
use super::{Element, Limits, XmlError};
use crate::ns;

/// The children of a stanza. A clone shares the bytes.
#[derive(Clone, Default)]
pub struct Payloads {
    bytes: Bytes,
    index: Index,
}

/// Four children are what a chat message usually has at most.
pub(super) type Index = SmallVec<[Place; 4]>;

/// Where a child is, and where its names are in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    start: u32,
    end: u32,
    name_bytes: u16,
    /// `NO_XMLNS`: none is written, it is in the content namespace.
    namespace_bytes: u16,
}

const NO_XMLNS: u16 = u16::MAX;

/// A child of a stanza.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Child<'a> {
    /// See [`Self::name`].
    pub name: &'a str,
    /// See [`Self::namespace`].
    pub namespace: &'a str,
    /// See [`Self::bytes`].
    pub bytes: &'a [u8],
}

impl<'a> Child<'a> {
    /// Its name.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Its namespace as it is written, so that `&` in it is `&amp;`; [`Self::is`] knows
    /// better. `jabber:client` stands for the stream's content namespace.
    pub fn namespace(&self) -> &'a str {
        self.namespace
    }

    /// Its canonical bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Tells whether it has this name in this namespace.
    pub fn is(&self, name: &str, namespace: &str) -> bool {
        self.name == name && self.is_in(namespace)
    }

    /// Tells whether it is in this namespace.
    pub fn is_in(&self, namespace: &str) -> bool {
        if self.namespace == namespace {
            return true;
        }
        // Rare: the name has characters that are written as references.
        if !self.namespace.contains('&') {
            return false;
        }
        let mut escaped = Vec::with_capacity(self.namespace.len());
        escape_attribute(&mut escaped, namespace);
        escaped == self.namespace.as_bytes()
    }

    /// The child as a tree.
    pub fn element(&self) -> Option<Element> {
        Element::parse(self.bytes).ok()
    }

    /// Its own character data; its children's are left out.
    pub fn text(&self) -> Option<Cow<'a, str>> {
        let bytes = self.bytes;
        // `>` is escaped in canonical attributes, so the first one ends the tag.
        let tag_end = bytes.iter().position(|&byte| byte == b'>')?;
        if bytes[tag_end.checked_sub(1)?] == b'/' {
            return Some(Cow::Borrowed(""));
        }
        let content = &bytes[tag_end + 1..];
        let text_end = content.iter().position(|&byte| byte == b'<')?;
        if tag_end + 1 + text_end + self.name.len() + 3 != bytes.len() {
            return Some(Cow::Owned(self.element()?.text_content()));
        }
        read_text(std::str::from_utf8(&content[..text_end]).ok()?).ok()
    }
}

impl Payloads {
    pub(super) fn from_parts(bytes: Vec<u8>, index: Index) -> Self {
        Self {
            bytes: bytes.into(),
            index,
        }
    }

    /// How many children there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// All children, one after the other.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The children in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Child<'_>> + Clone {
        self.index.iter().map(|place| self.child(place))
    }

    fn child(&self, place: &Place) -> Child<'_> {
        let bytes = &self.bytes[place.start as usize..place.end as usize];
        let name_end = 1 + usize::from(place.name_bytes);
        let text = |from: usize, to: usize| std::str::from_utf8(&bytes[from..to]).unwrap_or("");
        let namespace = match place.namespace_bytes {
            NO_XMLNS => ns::CLIENT,
            length => {
                let from = name_end + XMLNS.len();
                text(from, from + usize::from(length))
            }
        };
        Child {
            name: text(1, name_end),
            namespace,
            bytes,
        }
    }

    /// Tells whether there is a child of this name in this namespace.
    pub fn has(&self, name: &str, namespace: &str) -> bool {
        self.get(name, namespace).is_some()
    }

    /// The first child of this name in this namespace.
    pub fn get(&self, name: &str, namespace: &str) -> Option<Child<'_>> {
        self.iter().find(|child| child.is(name, namespace))
    }

    /// The first child of this name in this namespace, as a tree.
    pub fn element(&self, name: &str, namespace: &str) -> Option<Element> {
        self.get(name, namespace)?.element()
    }

    /// All children as trees.
    pub fn elements(&self) -> impl Iterator<Item = Element> + '_ {
        self.iter().filter_map(|child| child.element())
    }

    /// The text of the first child of this name in this namespace.
    pub fn text_of(&self, name: &str, namespace: &str) -> Option<Cow<'_, str>> {
        self.get(name, namespace)?.text()
    }

    /// These children without those the predicate names.
    pub fn without(&self, mut is_unwanted: impl FnMut(&Child<'_>) -> bool) -> Self {
        let unwanted: SmallVec<[bool; 8]> = self.iter().map(|child| is_unwanted(&child)).collect();
        if !unwanted.contains(&true) {
            return self.clone();
        }
        let mut bytes = Vec::with_capacity(self.bytes.len());
        let mut index = Index::new();
        for (place, _) in self
            .index
            .iter()
            .zip(&unwanted)
            .filter(|(_, unwanted)| !**unwanted)
        {
            let start = bytes.len() as u32;
            bytes.extend_from_slice(&self.bytes[place.start as usize..place.end as usize]);
            index.push(Place {
                start,
                end: bytes.len() as u32,
                ..*place
            });
        }
        Self::from_parts(bytes, index)
    }

    /// These children and one more.
    pub fn with(&self, element: &Element) -> Self {
        let mut all = self.clone();
        all.push(element);
        all
    }

    /// Adds a child at the end.
    pub fn push(&mut self, element: &Element) {
        let mut bytes = Vec::with_capacity(self.bytes.len() + 128);
        bytes.extend_from_slice(&self.bytes);
        let start = bytes.len();
        element.write(&mut bytes, ns::CLIENT);
        self.index.extend(Place::of(&bytes, start));
        self.bytes = bytes.into();
    }

    /// Indexes canonical bytes. They come from our own writer, but from another node's, or
    /// from a disk: they are read as strictly as a peer's.
    fn from_canonical(bytes: Bytes) -> Result<Self, XmlError> {
        let scope = Scope::of(ns::CLIENT);
        let (index, written) = read_children(&bytes, scope, &Limits::CANONICAL)?;
        // What was put in by `Element::raw_child` may declare a namespace once too often.
        let bytes = if written == bytes {
            bytes
        } else {
            written.into()
        };
        Ok(Self { bytes, index })
    }
}

/// What stands between a canonical name and its namespace.
const XMLNS: &[u8] = b" xmlns='";

impl Place {
    /// The place of the child that starts here and ends with the bytes.
    pub(super) fn of(bytes: &[u8], start: usize) -> Option<Self> {
        let child = &bytes[start..];
        let is_end = |byte: &u8| matches!(byte, b' ' | b'>' | b'/');
        let name_bytes = child.iter().position(is_end)?.checked_sub(1)?;
        let namespace_bytes = match child[name_bytes + 1..].strip_prefix(XMLNS) {
            None => NO_XMLNS,
            Some(from) => u16::try_from(from.iter().position(|&byte| byte == b'\'')?).ok()?,
        };
        Some(Self {
            start: u32::try_from(start).ok()?,
            end: u32::try_from(bytes.len()).ok()?,
            name_bytes: u16::try_from(name_bytes).ok()?,
            namespace_bytes,
        })
    }
}

impl PartialEq for Payloads {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Payloads {}

impl fmt::Debug for Payloads {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(&self.bytes), formatter)
    }
}

impl FromIterator<Element> for Payloads {
    fn from_iter<T: IntoIterator<Item = Element>>(elements: T) -> Self {
        let mut bytes = Vec::new();
        let mut index = Index::new();
        for element in elements {
            let start = bytes.len();
            element.write(&mut bytes, ns::CLIENT);
            index.extend(Place::of(&bytes, start));
        }
        Self::from_parts(bytes, index)
    }
}

impl Serialize for Payloads {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.bytes.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Payloads {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Bytes::deserialize(deserializer)?;
        Self::from_canonical(bytes).map_err(serde::de::Error::custom)
    }
}
