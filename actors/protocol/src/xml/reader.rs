//! A strict reader of one complete element: quick-xml finds tags and text, this checks the
//! rest: characters (XML 1.0 §2.2), names (§2.3), attributes (§3.1), references (§4.1),
//! and all of Namespaces in XML 1.0.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::Event;
use smallvec::SmallVec;

use super::escape::{has_only_chars, normalise_lines, read_attribute, read_reference};
use super::{Limits, XmlError};
use crate::ns;

/// Namespace declarations in scope at a time (row X08).
const BINDINGS_MAX: usize = 64;

/// The namespaces in scope around an element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) default: &'a str,
    pub(super) prefixes: &'a [(Box<str>, Box<str>)],
    /// What this stream says for `jabber:client`; empty if it says just that.
    pub(super) content: &'a str,
}

impl<'a> Scope<'a> {
    /// With this default and nothing else.
    pub(super) fn of(default: &'a str) -> Self {
        Self {
            default,
            prefixes: &[],
            content: "",
        }
    }
}

/// An attribute that is no namespace declaration.
#[derive(Debug, Clone)]
pub(super) struct RawAttribute<'a> {
    pub(super) prefix: &'a str,
    pub(super) local: &'a str,
    /// Empty without prefix.
    pub(super) namespace: Cow<'a, str>,
    pub(super) value: Cow<'a, str>,
}

/// What the reader has come upon.
#[derive(Debug)]
pub(super) enum Item<'a> {
    /// A start tag; its attributes are in [`StrictReader::attributes`].
    Start {
        local: &'a str,
        namespace: Cow<'a, str>,
    },
    /// Character data, maybe only a part of it.
    Text(Cow<'a, str>),
    /// An end tag.
    End,
}

struct Binding<'a> {
    prefix: &'a str,
    namespace: Cow<'a, str>,
    depth: usize,
}

/// Reads an element.
pub(super) struct StrictReader<'a> {
    text: &'a str,
    inner: Reader<&'a [u8]>,
    scope: Scope<'a>,
    limits: Limits,
    bindings: SmallVec<[Binding<'a>; 4]>,
    pub(super) attributes: SmallVec<[RawAttribute<'a>; 6]>,
    depth: usize,
    /// The last start tag was an empty element's.
    is_empty: bool,
}

impl<'a> StrictReader<'a> {
    pub(super) fn new(
        bytes: &'a [u8],
        scope: Scope<'a>,
        limits: &Limits,
    ) -> Result<Self, XmlError> {
        // Row X10: no lossy conversion; overlong forms and surrogates are no UTF-8.
        let text = std::str::from_utf8(bytes).map_err(|_| XmlError::BadFormat)?;
        if !has_only_chars(bytes) {
            return Err(XmlError::NotWellFormed);
        }
        Ok(Self {
            text,
            inner: Reader::from_str(text),
            scope,
            limits: *limits,
            bindings: SmallVec::new(),
            attributes: SmallVec::new(),
            depth: 0,
            is_empty: false,
        })
    }

    /// The next item; `None` at the end of the input, when every element is closed.
    pub(super) fn next(&mut self) -> Result<Option<Item<'a>>, XmlError> {
        if std::mem::take(&mut self.is_empty) {
            self.close();
            return Ok(Some(Item::End));
        }
        let from = self.position();
        let event = self
            .inner
            .read_event()
            .map_err(|_| XmlError::NotWellFormed)?;
        let raw = self
            .text
            .get(from..self.position())
            .ok_or(XmlError::NotWellFormed)?;
        let inside = |head: usize, tail: usize| {
            raw.get(head..raw.len().wrapping_sub(tail))
                .ok_or(XmlError::NotWellFormed)
        };
        let item = match event {
            Event::Start(_) => self.start(inside(1, 1)?)?,
            Event::Empty(_) => {
                self.is_empty = true;
                self.start(inside(1, 2)?)?
            }
            Event::End(_) => {
                self.close();
                Item::End
            }
            Event::Text(_) => Item::Text(character_data(raw)?),
            Event::CData(_) => Item::Text(normalise_lines(inside(9, 3)?)),
            Event::GeneralRef(_) => {
                let character = read_reference(inside(1, 1)?)?;
                Item::Text(Cow::Owned(character.to_string()))
            }
            Event::Eof if self.depth == 0 => return Ok(None),
            Event::Eof => return Err(XmlError::NotWellFormed),
            Event::Comment(_) | Event::PI(_) | Event::DocType(_) | Event::Decl(_) => {
                return Err(XmlError::Restricted);
            }
        };
        Ok(Some(item))
    }

    fn position(&self) -> usize {
        usize::try_from(self.inner.buffer_position()).unwrap_or(usize::MAX)
    }

    /// The bindings in scope, the innermost last.
    pub(super) fn bindings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.bindings
            .iter()
            .map(|binding| (binding.prefix, &*binding.namespace))
    }

    fn close(&mut self) {
        while self
            .bindings
            .last()
            .is_some_and(|binding| binding.depth == self.depth)
        {
            self.bindings.pop();
        }
        self.depth = self.depth.saturating_sub(1);
    }

    fn start(&mut self, tag: &'a str) -> Result<Item<'a>, XmlError> {
        self.depth += 1;
        let (name, mut rest) = split_name(tag);
        let (prefix, local) = self.split_qualified(name)?;
        self.attributes.clear();
        let mut declarations = 0;
        while let Some((name, raw, after)) = split_attribute(rest)? {
            rest = after;
            let (prefix, local) = self.split_qualified(name)?;
            let value = read_attribute(raw)?;
            if prefix == "xmlns" || (prefix.is_empty() && local == "xmlns") {
                declarations += 1;
                self.declare(
                    if prefix.is_empty() { "" } else { local },
                    value,
                    declarations,
                )?;
                continue;
            }
            if self.attributes.len() >= self.limits.attributes {
                return Err(XmlError::TooLarge("attributes"));
            }
            self.attributes.push(RawAttribute {
                prefix,
                local,
                namespace: Cow::Borrowed(""),
                value,
            });
        }
        self.resolve_attributes()?;
        let mut namespace = self.resolve(prefix)?;
        if !self.scope.content.is_empty() && namespace == self.scope.content {
            namespace = Cow::Borrowed(ns::CLIENT);
        }
        // Nothing is defined there, and no default declaration could name it.
        if namespace == ns::XML {
            return Err(XmlError::BadNamespacePrefix);
        }
        Ok(Item::Start { local, namespace })
    }

    /// Namespaces in XML 1.0 §4: a name has one colon at most, not at an end.
    fn split_qualified(&self, name: &'a str) -> Result<(&'a str, &'a str), XmlError> {
        if name.len() > self.limits.name_bytes {
            return Err(XmlError::TooLarge("name"));
        }
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        let is_qualified = prefix.len() + local.len() != name.len();
        if !is_name(local) || (is_qualified && !is_name(prefix)) {
            return Err(XmlError::NotWellFormed);
        }
        Ok((prefix, local))
    }

    /// Namespaces in XML 1.0 §3.
    fn declare(
        &mut self,
        prefix: &'a str,
        namespace: Cow<'a, str>,
        declarations: usize,
    ) -> Result<(), XmlError> {
        if declarations > self.limits.declarations || self.bindings.len() >= BINDINGS_MAX {
            return Err(XmlError::TooLarge("namespace declarations"));
        }
        if namespace.len() > self.limits.name_bytes {
            return Err(XmlError::TooLarge("namespace"));
        }
        let is_reserved = prefix == "xmlns"
            || (prefix == "xml") != (namespace == ns::XML)
            || namespace == ns::XMLNS;
        // A prefix cannot be undeclared in version 1.0.
        if is_reserved || (!prefix.is_empty() && namespace.is_empty()) {
            return Err(XmlError::BadNamespacePrefix);
        }
        let is_repeated = self
            .bindings
            .iter()
            .rev()
            .take_while(|binding| binding.depth == self.depth)
            .any(|binding| binding.prefix == prefix);
        if is_repeated {
            return Err(XmlError::NotWellFormed);
        }
        self.bindings.push(Binding {
            prefix,
            namespace,
            depth: self.depth,
        });
        Ok(())
    }

    fn resolve(&self, prefix: &str) -> Result<Cow<'a, str>, XmlError> {
        if prefix == "xml" {
            return Ok(Cow::Borrowed(ns::XML));
        }
        if let Some(binding) = self
            .bindings
            .iter()
            .rev()
            .find(|binding| binding.prefix == prefix)
        {
            return Ok(binding.namespace.clone());
        }
        if prefix.is_empty() {
            return Ok(Cow::Borrowed(self.scope.default));
        }
        let outer = self
            .scope
            .prefixes
            .iter()
            .rev()
            .find(|(known, _)| **known == *prefix);
        let (_, namespace) = outer.ok_or(XmlError::BadNamespacePrefix)?;
        Ok(Cow::Borrowed(namespace))
    }

    /// Namespaces in XML 1.0 §6.3: no attribute twice, by name and by namespace. The limit
    /// on attributes keeps the comparison of all with all cheap.
    fn resolve_attributes(&mut self) -> Result<(), XmlError> {
        for at in 0..self.attributes.len() {
            let prefix = self.attributes[at].prefix;
            if !prefix.is_empty() {
                self.attributes[at].namespace = self.resolve(prefix)?;
            }
            let (before, from) = self.attributes.split_at(at);
            let this = &from[0];
            let is_repeated = before
                .iter()
                .any(|other| other.local == this.local && other.namespace == this.namespace);
            if is_repeated {
                return Err(XmlError::NotWellFormed);
            }
        }
        Ok(())
    }
}

/// XML 1.0 §2.4: character data has no `]]>`.
fn character_data(raw: &str) -> Result<Cow<'_, str>, XmlError> {
    if raw.as_bytes().contains(&b']') && raw.contains("]]>") {
        return Err(XmlError::NotWellFormed);
    }
    Ok(normalise_lines(raw))
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn split_name(tag: &str) -> (&str, &str) {
    let end = tag.bytes().position(is_space).unwrap_or(tag.len());
    tag.split_at(end)
}

fn trim_start(text: &str) -> &str {
    let start = text
        .bytes()
        .position(|byte| !is_space(byte))
        .unwrap_or(text.len());
    &text[start..]
}

/// Splits one attribute off: name, raw value, and what follows (XML 1.0 §3.1). White space
/// before it is obligatory. quick-xml's own iterator is more lenient.
fn split_attribute(text: &str) -> Result<Option<(&str, &str, &str)>, XmlError> {
    let rest = trim_start(text);
    if rest.is_empty() {
        return Ok(None);
    }
    if rest.len() == text.len() {
        return Err(XmlError::NotWellFormed);
    }
    let end = rest.bytes().position(|byte| is_space(byte) || byte == b'=');
    let (name, rest) = rest.split_at(end.ok_or(XmlError::NotWellFormed)?);
    let rest = trim_start(rest)
        .strip_prefix('=')
        .ok_or(XmlError::NotWellFormed)?;
    let rest = trim_start(rest);
    let quote = match rest.as_bytes().first() {
        Some(b'"') => '"',
        Some(b'\'') => '\'',
        _ => return Err(XmlError::NotWellFormed),
    };
    let (value, rest) = rest[1..].split_once(quote).ok_or(XmlError::NotWellFormed)?;
    Ok(Some((name, value, rest)))
}

/// XML 1.0 §2.3 production Name, without the colon (Namespaces in XML 1.0, NCName).
pub(super) fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let Some(first) = bytes.next() else {
        return false;
    };
    if name.is_ascii() {
        return (first.is_ascii_alphabetic() || first == b'_')
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    }
    let mut characters = name.chars();
    characters.next().is_some_and(is_name_start) && characters.all(is_name_character)
}

/// DEVIATION: fewer than XML 1.0 allows since its fifth edition. Expat, and with it half of the
/// clients, has the fourth: a name it does not take would end the stream of everybody who gets
/// it (row X11). These letters of scripts in use are the same in both.
fn is_name_start(character: char) -> bool {
    matches!(character,
        'A'..='Z' | '_' | 'a'..='z'
        // Latin
        | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{131}' | '\u{134}'..='\u{13E}'
        | '\u{141}'..='\u{148}' | '\u{14A}'..='\u{17E}'
        // Greek, Cyrillic
        | '\u{388}'..='\u{38A}' | '\u{38E}'..='\u{3A1}' | '\u{3A3}'..='\u{3CE}'
        | '\u{401}'..='\u{40C}' | '\u{40E}'..='\u{44F}' | '\u{451}'..='\u{45C}'
        // Hebrew, Arabic, Devanagari, Thai
        | '\u{5D0}'..='\u{5EA}' | '\u{621}'..='\u{63A}' | '\u{641}'..='\u{64A}'
        | '\u{905}'..='\u{939}' | '\u{E01}'..='\u{E2E}'
        // Kana, Chinese characters, Hangul
        | '\u{3041}'..='\u{3094}' | '\u{30A1}'..='\u{30FA}' | '\u{4E00}'..='\u{9FA5}'
        | '\u{AC00}'..='\u{D7A3}')
}

fn is_name_character(character: char) -> bool {
    is_name_start(character)
        || matches!(character,
            '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{345}')
}
