//! Cuts a file of XEP-0227 into pieces, whatever server has written it.
//!
//! The file may be of any size: held is one element, of a bounded size, at a time. Files that
//! it includes (§5) are read in their place; a document type declaration is refused.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Component, Path, PathBuf};

use klatsch_protocol::features::pubsub;
use klatsch_protocol::xml::Element;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

use super::{NS, NS_ARCHIVE, NS_OWN, Piece};
use crate::error::Error;

const NS_INCLUDE: &str = "http://www.w3.org/2001/XInclude";

/// Bytes of one piece: twice what an account may keep in one (XEP-0049).
const PIECE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Levels within a piece.
const DEPTH_MAX: usize = 128;

/// A file includes hosts, and they include their users (§5.1).
const INCLUDES_MAX: usize = 3;

/// What stands in a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// An account begins.
    User {
        /// Its address, as the file has it.
        jid: String,
        /// Its password (§4.2).
        password: Option<String>,
    },
    /// A room begins; so it is called.
    Room(String),
    /// The nodes of a service begin.
    Service(String),
    /// Some of the data of the account or the room.
    Piece(Piece),
    /// It ends.
    UserEnd,
    /// It ends, or the service does.
    RoomEnd,
    /// Something that is passed over.
    Note(String),
}

/// Where the reader is.
#[derive(Debug, Clone)]
enum Scope {
    Data,
    Host(String),
    User,
    Room,
    Service,
    Parent { name: String, node: Option<String> },
}

/// Reads a file; each part is given away before the next is read.
///
/// # Errors
/// When the file cannot be read, is no XML or no such file, and whatever `take` refuses.
pub fn read(path: &Path, take: &mut dyn FnMut(Part) -> Result<(), Error>) -> Result<(), Error> {
    read_file(path, Vec::new(), 0, take)
}

fn read_file(
    path: &Path,
    scopes: Vec<Scope>,
    depth: usize,
    take: &mut dyn FnMut(Part) -> Result<(), Error>,
) -> Result<(), Error> {
    let file = File::open(path).map_err(Error::io("cannot read", path))?;
    let mut xml = NsReader::from_reader(BufReader::new(file));
    xml.config_mut().expand_empty_elements = true;
    let mut reader = FileReader {
        path,
        xml,
        base: scopes.len(),
        scopes,
        depth,
    };
    reader.run(take)
}

struct FileReader<'a, R: BufRead> {
    path: &'a Path,
    xml: NsReader<R>,
    /// Scopes of the files that include this one.
    base: usize,
    scopes: Vec<Scope>,
    depth: usize,
}

impl<R: BufRead> FileReader<'_, R> {
    fn wrong(&self, why: impl std::fmt::Display) -> Error {
        let at = self.xml.buffer_position();
        Error::Refused(format!("{}: byte {at}: {why}", self.path.display()))
    }

    fn run(&mut self, take: &mut dyn FnMut(Part) -> Result<(), Error>) -> Result<(), Error> {
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            let event = self.xml.read_event_into(&mut buffer);
            match event.map_err(|error| self.wrong(error))? {
                Event::Start(start) => {
                    let element = self.element(&start)?;
                    let end = start.name().as_ref().to_owned();
                    self.start(element, &end, take)?;
                }
                Event::End(_) => {
                    let ended = self.scopes.pop();
                    match ended {
                        Some(Scope::User) => take(Part::UserEnd)?,
                        Some(Scope::Room | Scope::Service) => take(Part::RoomEnd)?,
                        _ => {}
                    }
                }
                Event::DocType(_) => return Err(self.wrong("a document type declaration")),
                Event::Eof if self.scopes.len() == self.base => return Ok(()),
                Event::Eof => return Err(self.wrong("the file ends too early")),
                _ => {}
            }
        }
    }

    /// A start tag as an element without children.
    fn element(&self, start: &BytesStart<'_>) -> Result<Element, Error> {
        let resolver = self.xml.resolver();
        let (namespace, name) = resolver.resolve_element(start.name());
        let mut element = Element::new(name.as_ref().to_owned(), self.namespace(&namespace)?);
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| self.wrong(error))?;
            let key = attribute.key.as_ref();
            if key == "xmlns" || key.starts_with("xmlns:") {
                continue;
            }
            let value = attribute.normalized_value(XmlVersion::Explicit1_0);
            let value = value.map_err(|error| self.wrong(error))?.into_owned();
            // Attributes in namespaces other than XML's own are nobody's here.
            if !key.contains(':') || key.starts_with("xml:") {
                element = element.attr(key.to_owned(), value);
            }
        }
        Ok(element)
    }

    fn namespace(&self, resolved: &ResolveResult<'_>) -> Result<String, Error> {
        match resolved {
            ResolveResult::Bound(namespace) => Ok(namespace.as_ref().to_owned()),
            ResolveResult::Unbound => Ok(String::new()),
            ResolveResult::Unknown(_) => Err(self.wrong("a prefix without a namespace")),
        }
    }

    fn start(
        &mut self,
        element: Element,
        end: &str,
        take: &mut dyn FnMut(Part) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let scope = self.scopes.last().cloned();
        let (name, namespace) = (element.name().to_owned(), element.namespace().to_owned());
        let of = (name.as_str(), namespace.as_str());
        match (scope, of) {
            (None | Some(Scope::Data | Scope::Host(_)), ("include", NS_INCLUDE)) => {
                self.include(&element, take)?;
                self.skip(end)
            }
            (None, ("server-data", NS)) => {
                self.scopes.push(Scope::Data);
                Ok(())
            }
            (None | Some(Scope::Data), ("host", NS)) => {
                let jid = element
                    .get("jid")
                    .ok_or_else(|| self.wrong("a host without its name"))?;
                self.scopes.push(Scope::Host(jid.to_owned()));
                Ok(())
            }
            (Some(Scope::Host(host)), ("user", NS)) => {
                let name = element
                    .get("name")
                    .ok_or_else(|| self.wrong("a user without a name"))?;
                let jid = format!("{name}@{host}");
                let password = element.get("password").map(str::to_owned);
                take(Part::User { jid, password })?;
                self.scopes.push(Scope::User);
                Ok(())
            }
            (Some(Scope::Host(host)), ("room", NS_OWN)) => {
                let name = element
                    .get("name")
                    .ok_or_else(|| self.wrong("a room without a name"))?;
                take(Part::Room(format!("{name}@{host}")))?;
                self.scopes.push(Scope::Room);
                Ok(())
            }
            (Some(Scope::Host(host)), ("service", NS_OWN)) => {
                take(Part::Service(host))?;
                self.scopes.push(Scope::Service);
                Ok(())
            }
            (Some(Scope::Service), ("pubsub", pubsub::NS | pubsub::NS_OWNER)) => {
                self.scopes.push(Scope::Parent { name, node: None });
                Ok(())
            }
            (None, _) => Err(self.wrong("this is no file of XEP-0227")),
            (
                Some(Scope::User),
                ("pubsub", pubsub::NS | pubsub::NS_OWNER)
                | ("archive", NS_ARCHIVE)
                | ("offline-messages", _),
            ) => {
                self.scopes.push(Scope::Parent { name, node: None });
                Ok(())
            }
            (Some(Scope::Room), ("log", NS_OWN)) => {
                self.scopes.push(Scope::Parent { name, node: None });
                Ok(())
            }
            (Some(Scope::Parent { .. }), ("items", pubsub::NS)) => {
                let node = element.get("node").map(str::to_owned);
                self.scopes.push(Scope::Parent { name, node });
                Ok(())
            }
            (Some(Scope::User | Scope::Room | Scope::Service), _) => {
                self.piece(element, String::new(), None, take)
            }
            (Some(Scope::Parent { name: parent, node }), _) => {
                self.piece(element, parent, node, take)
            }
            (Some(Scope::Data | Scope::Host(_)), _) => {
                self.skip(end)?;
                take(Part::Note(format!("passed over: {name} of {namespace}")))
            }
        }
    }

    /// §5: a file beside this one, read as if it stood here.
    fn include(
        &mut self,
        include: &Element,
        take: &mut dyn FnMut(Part) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let href = include.get("href").unwrap_or_default();
        let file = PathBuf::from(percent_decoded(href));
        let is_below = file
            .components()
            .all(|it| matches!(it, Component::Normal(_)));
        if href.is_empty() || href.contains(':') || !is_below {
            return Err(self.wrong("an include of something that is no file below this one"));
        }
        if self.depth == INCLUDES_MAX {
            return Err(self.wrong("files that include files that include files"));
        }
        let folder = self.path.parent().unwrap_or(Path::new(""));
        // A file of a host includes users of that host; a host's own file stands alone.
        read_file(
            &folder.join(file),
            self.scopes.clone(),
            self.depth + 1,
            take,
        )
    }

    fn skip(&mut self, end: &str) -> Result<(), Error> {
        let name = quick_xml::name::QName(end);
        let skipped = self.xml.read_to_end_into(name, &mut Vec::new());
        skipped.map(drop).map_err(|error| self.wrong(error))
    }

    /// Reads an element to its end.
    fn piece(
        &mut self,
        element: Element,
        parent: String,
        node: Option<String>,
        take: &mut dyn FnMut(Part) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let begin = self.xml.buffer_position();
        let mut open = vec![element];
        let mut buffer = Vec::new();
        let whole = loop {
            buffer.clear();
            let event = self.xml.read_event_into(&mut buffer);
            let event = event.map_err(|error| self.wrong(error))?;
            if self.xml.buffer_position() - begin > PIECE_BYTES_MAX as u64 || open.len() > DEPTH_MAX
            {
                return Err(self.wrong("an element that is too large"));
            }
            let said = match event {
                Event::Start(start) => {
                    open.push(self.element(&start)?);
                    continue;
                }
                Event::End(_) => {
                    let Some(ended) = open.pop() else { continue };
                    match open.pop() {
                        Some(outer) => open.push(outer.child(ended)),
                        None => break ended,
                    }
                    continue;
                }
                Event::Text(content) => content.xml_content(XmlVersion::Explicit1_0).into_owned(),
                Event::CData(content) => content.xml_content(XmlVersion::Explicit1_0).into_owned(),
                Event::GeneralRef(reference) => self.reference(&reference)?,
                Event::DocType(_) => return Err(self.wrong("a document type declaration")),
                Event::Eof => return Err(self.wrong("the file ends too early")),
                _ => continue,
            };
            if let Some(inner) = open.pop() {
                open.push(inner.text(said));
            }
        };
        let xml = String::from_utf8_lossy(&whole.to_bytes()).into_owned();
        take(Part::Piece(Piece { parent, node, xml }))
    }

    /// The five names of XML itself, and characters by their numbers; there are no others.
    fn reference(&self, reference: &quick_xml::events::BytesRef<'_>) -> Result<String, Error> {
        let by_number = reference
            .resolve_char_ref()
            .map_err(|error| self.wrong(error))?;
        if let Some(character) = by_number {
            return Ok(character.to_string());
        }
        let known = match reference.as_ref() {
            "amp" => "&",
            "lt" => "<",
            "gt" => ">",
            "apos" => "'",
            "quot" => "\"",
            _ => return Err(self.wrong("an entity that is not defined")),
        };
        Ok(known.to_owned())
    }
}

/// A relative URI as the name of a file (RFC 3986 §2.1).
fn percent_decoded(href: &str) -> String {
    let bytes = href.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escaped = href
            .get(at + 1..at + 3)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match escaped.filter(|_| *byte == b'%') {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
