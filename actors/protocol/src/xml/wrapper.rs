//! A document whose root only wraps what is meant, as the bodies of BOSH do (XEP-0124 §6): the
//! root's tag is read as soon as it is there, its children by the rules and limits of the
//! first-level elements of a stream.

use super::fragment::Fragment;
use super::reader::{Item, Scope, StrictReader};
use super::scanner::{Found, Scanner};
use super::{Limits, XmlError};
use crate::ns;

/// Reads such a document.
#[derive(Debug)]
pub struct Wrapper {
    scanner: Scanner,
    buffer: Vec<u8>,
    /// What of it the scanner has seen; behind the tag, once that is read.
    scanned: usize,
    /// Where the tag begins.
    start: usize,
    context: Option<Context>,
}

/// What the tag says about what follows.
#[derive(Debug)]
struct Context {
    /// The root's name as it was written, which its end tag must repeat.
    name: Box<str>,
    prefixes: Vec<(Box<str>, Box<str>)>,
    /// There is no end tag.
    is_empty: bool,
}

/// The root's tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrapperTag {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Namespace, name and value of its attributes.
    attributes: Vec<(String, String, String)>,
}

impl WrapperTag {
    /// The value of an attribute; the namespace is empty for one without prefix.
    pub fn attr(&self, namespace: &str, name: &str) -> Option<&str> {
        let mut all = self.attributes.iter();
        all.find(|(its, known, _)| its == namespace && known == name)
            .map(|(.., value)| &**value)
    }
}

impl Default for Wrapper {
    fn default() -> Self {
        Self {
            scanner: Scanner::wrapper(),
            buffer: Vec::new(),
            scanned: 0,
            start: 0,
            context: None,
        }
    }
}

impl Wrapper {
    /// Takes what was read. The caller bounds how much there may be of it.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The root's tag, once it is complete; ask until it is, and not again.
    ///
    /// # Errors
    /// It is no XML, breaks a limit, or has children in a namespace of their own by default.
    pub fn tag(&mut self, limits: &Limits) -> Result<Option<WrapperTag>, XmlError> {
        if self.scanner.is_between() {
            self.scanned = self.buffer.len() - trim(&self.buffer).len();
            self.start = self.scanned;
        }
        let found = self.scanner.scan(&self.buffer[self.scanned..], limits)?;
        let Some((found, length)) = found else {
            self.scanned = self.buffer.len();
            return Ok(None);
        };
        self.scanned += length;
        let bytes = &self.buffer[self.start..self.scanned];
        let (tag, context) = read_tag(bytes, found == Found::Element, limits)?;
        self.context = Some(context);
        Ok(Some(tag))
    }

    /// The children, when everything is pushed. Those without a namespace of their own are
    /// in `jabber:client` (XEP-0206 §2).
    ///
    /// # Errors
    /// The rest is no XML, is incomplete, or breaks a limit.
    pub fn children(
        mut self,
        limits: &Limits,
        count_max: usize,
    ) -> Result<Vec<Fragment>, XmlError> {
        let context = self.context.take().ok_or(XmlError::NotWellFormed)?;
        let scope = Scope {
            prefixes: &context.prefixes,
            ..Scope::of(ns::CLIENT)
        };
        let mut rest = trim(&self.buffer[self.scanned..]);
        let mut children = Vec::new();
        let mut is_over = context.is_empty;
        while !is_over {
            let found = self.scanner.scan(rest, limits)?;
            let (found, end) = found.ok_or(XmlError::NotWellFormed)?;
            let (bytes, after) = rest.split_at(end);
            match found {
                Found::Element if children.len() == count_max => {
                    return Err(XmlError::TooLarge("children"));
                }
                Found::Element => children.push(Fragment::read(bytes, scope, limits)?),
                Found::Footer if context.is_end(bytes) => is_over = true,
                _ => return Err(XmlError::NotWellFormed),
            }
            rest = trim(after);
        }
        match rest.is_empty() {
            true => Ok(children),
            false => Err(XmlError::NotWellFormed),
        }
    }
}

impl Context {
    fn is_end(&self, bytes: &[u8]) -> bool {
        let name = bytes
            .strip_prefix(b"</")
            .and_then(|rest| rest.strip_suffix(b">"));
        name.map(<[u8]>::trim_ascii_end) == Some(self.name.as_bytes())
    }
}

fn read_tag(
    bytes: &[u8],
    is_empty: bool,
    limits: &Limits,
) -> Result<(WrapperTag, Context), XmlError> {
    let outside = Scope::of("");
    let mut reader = StrictReader::new(bytes, outside, limits)?;
    let Some(Item::Start { local, namespace }) = reader.next()? else {
        return Err(XmlError::NotWellFormed);
    };
    let attributes = reader.attributes.iter();
    let attributes = attributes.map(|raw| {
        let (namespace, value) = (raw.namespace.to_string(), raw.value.to_string());
        (namespace, raw.local.to_owned(), value)
    });
    let tag = WrapperTag {
        name: local.to_owned(),
        namespace: namespace.to_string(),
        attributes: attributes.collect(),
    };
    let mut default = "";
    let mut prefixes = Vec::new();
    for (prefix, namespace) in reader.bindings() {
        match prefix {
            "" => default = namespace,
            _ => prefixes.push((prefix.into(), namespace.into())),
        }
    }
    // The canonical form knows one namespace that is not written (`Payloads`).
    if !is_empty && default != tag.namespace && default != ns::CLIENT {
        return Err(XmlError::InvalidNamespace);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| XmlError::BadFormat)?;
    let name = text[1..].split([' ', '\t', '\r', '\n', '>', '/']).next();
    let context = Context {
        name: name.unwrap_or_default().into(),
        prefixes,
        is_empty,
    };
    Ok((tag, context))
}

fn trim(bytes: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let start = bytes.iter().position(|byte| !is_space(byte));
    &bytes[start.unwrap_or(bytes.len())..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(document: &[u8]) -> Result<(WrapperTag, Vec<Fragment>), XmlError> {
        let mut wrapper = Wrapper::default();
        wrapper.push(document);
        let tag = wrapper.tag(&Limits::BEFORE_LOGIN)?;
        let tag = tag.ok_or(XmlError::NotWellFormed)?;
        Ok((tag, wrapper.children(&Limits::BEFORE_LOGIN, 3)?))
    }

    #[test]
    fn tag_comes_as_soon_as_it_is_complete() {
        let document = b" <body xmlns='h' rid='1' xmlns:x='y' x:a='b'><iq/></body>";
        let mut wrapper = Wrapper::default();
        for (at, byte) in document.iter().enumerate() {
            wrapper.push(&[*byte]);
            if let Some(tag) = wrapper.tag(&Limits::BEFORE_LOGIN).unwrap() {
                assert_eq!(tag.attr("", "rid"), Some("1"));
                assert_eq!(tag.attr("y", "a"), Some("b"));
                assert_eq!(tag.attr("", "a"), None);
                assert_eq!(document[at], b'>');
                wrapper.push(&document[at + 1..]);
                break;
            }
        }
        let children = wrapper.children(&Limits::BEFORE_LOGIN, 1).unwrap();
        assert!(children[0].is("iq", ns::CLIENT));
    }

    #[test]
    fn children_without_a_namespace_are_stanzas_down_to_their_text() {
        let text = "<body xmlns='h'><message><body>hi</body></message> \
                    <x xmlns='z'/><message xmlns='jabber:client'><body>ho</body></message></body> ";
        let (tag, children) = read(text.as_bytes()).unwrap();
        assert_eq!((&*tag.name, &*tag.namespace), ("body", "h"));
        assert_eq!(
            children[0].payloads().text_of("body", ns::CLIENT).unwrap(),
            "hi"
        );
        assert!(children[1].is("x", "z"));
        assert_eq!(
            children[2].payloads().text_of("body", ns::CLIENT).unwrap(),
            "ho"
        );
    }

    #[test]
    fn empty_root_has_no_children() {
        assert!(read(b"<body xmlns='h'/>").unwrap().1.is_empty());
        assert!(read(b"<body xmlns='h'></body>").unwrap().1.is_empty());
    }

    #[test]
    fn x01_x10_what_no_stream_may_have_no_wrapper_may_have() {
        let restricted: [&[u8]; 4] = [
            b"<!DOCTYPE a [<!ENTITY b 'x'>]><body xmlns='h'/>",
            b"<body xmlns='h'><!-- x --></body>",
            b"<body xmlns='h'><?php x ?></body>",
            b"<?xml version='1.0'?><body xmlns='h'/>",
        ];
        for document in restricted {
            assert_eq!(read(document).unwrap_err(), XmlError::Restricted);
        }
        let broken: [&[u8]; 8] = [
            b"<body xmlns='h'><iq>",
            b"<body xmlns='h'><iq/>",
            b"<body xmlns='h'/><body xmlns='h'/>",
            b"<body xmlns='h'><iq/></bodys>",
            b"<body xmlns='h'><iq>&bomb;</iq></body>",
            b"<body xmlns='h'><iq>\x01</iq></body>",
            b"<body xmlns='h'><iq>&#1;</iq></body>",
            b"<body xmlns='h' a='\x00'/>",
        ];
        for document in broken {
            let text = String::from_utf8_lossy(document).into_owned();
            assert_eq!(
                read(document).unwrap_err(),
                XmlError::NotWellFormed,
                "{text}"
            );
        }
        for document in [
            &b"<body xmlns='h'>x</body>"[..],
            b"<body xmlns='h'><iq>\xc0\xaf</iq></body>",
        ] {
            assert_eq!(read(document).unwrap_err(), XmlError::BadFormat);
        }
        let foreign = b"<b:body xmlns:b='h' xmlns='other'><a/></b:body>";
        assert_eq!(read(foreign).unwrap_err(), XmlError::InvalidNamespace);
    }

    #[test]
    fn limits_hold_for_each_child_and_for_their_number() {
        let deep = format!("<body xmlns='h'>{}", "<a>".repeat(40));
        let many = format!("<body xmlns='h'>{}</body>", "<a/>".repeat(4));
        let large = format!("<body xmlns='h'><a>{}</a></body>", "A".repeat(9000));
        let long = format!("<body xmlns='h' a='{}'/>", "A".repeat(9000));
        for document in [deep, many, large, long] {
            let error = read(document.as_bytes()).unwrap_err();
            assert!(matches!(error, XmlError::TooLarge(_)), "{error}");
        }
        // Two children may be more than one.
        let half = format!("<a>{}</a>", "A".repeat(5000));
        assert!(read(format!("<body xmlns='h'>{half}{half}</body>").as_bytes()).is_ok());
    }
}
