//! Finds the end of a first-level element byte by byte, however the bytes arrive, and
//! enforces the limits before anything is built (rows X04 to X08).
//!
//! It knows just enough of XML to do that: tags, quotes, CDATA sections. It judges no names,
//! no characters and no namespaces; whatever it lets through is read again, strictly, as a
//! whole.

use super::{Limits, XmlError};

/// What the scanner has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// An XML declaration ended here.
    Declaration,
    /// The start tag of the stream ended here.
    Header,
    /// A first-level element ended here.
    Element,
    /// The end tag of the stream ended here.
    Footer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between first-level elements.
    Gap,
    /// In the character data of an element.
    Text,
    /// After `<`.
    Open,
    /// In a start tag.
    Tag,
    /// In a start tag, after `/`.
    Slash,
    /// In a value with this quotation mark.
    Quote(u8),
    /// In an end tag.
    EndTag,
    /// After `<!` and this many bytes of `[CDATA[`.
    Bang(u8),
    /// In a CDATA section, after this many `]`, two at most.
    CData(u8),
    /// In the XML declaration, after this many bytes of `xml ` and maybe a `?`.
    Declaration(u8, bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing has come: the only place of an XML declaration.
    Start,
    /// The stream header comes next.
    Prolog,
    /// In the stream.
    Stream,
    /// A document of its own: its root is what is looked for.
    Document,
    /// A document of its own: first its root's start tag, then the root's children.
    Wrapper,
}

/// The state of a scan. A few words; nothing of the input is kept.
#[derive(Debug, Clone)]
pub(super) struct Scanner {
    state: State,
    place: Place,
    /// Bytes since the last first-level element.
    bytes: usize,
    elements: usize,
    depth: usize,
    attributes: usize,
}

const CDATA: &[u8; 7] = b"[CDATA[";

impl Scanner {
    /// Before a stream.
    pub(super) fn stream() -> Self {
        Self::at(Place::Start)
    }

    /// Before a document that is one element.
    pub(super) fn document() -> Self {
        Self::at(Place::Document)
    }

    /// Before a document whose root's children are read one by one.
    pub(super) fn wrapper() -> Self {
        Self::at(Place::Wrapper)
    }

    fn at(place: Place) -> Self {
        Self {
            state: State::Gap,
            place,
            bytes: 0,
            elements: 0,
            depth: 0,
            attributes: 0,
        }
    }

    /// Tells whether no element has begun.
    pub(super) fn is_between(&self) -> bool {
        self.state == State::Gap
    }

    /// Reads on. `Ok(Some((what, n)))`: `what` ended with the `n`th of these bytes.
    /// In the gap the caller has skipped white space.
    pub(super) fn scan(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<Option<(Found, usize)>, XmlError> {
        let mut at = 0;
        // One byte more than allowed is enough to know.
        let within = bytes.len().min(
            limits
                .stanza_bytes
                .saturating_add(1)
                .saturating_sub(self.bytes),
        );
        while at < within {
            at += self.skip(&bytes[at..within]);
            let Some(&byte) = bytes[..within].get(at) else {
                break;
            };
            at += 1;
            if let Some(found) = self.step(byte, limits)? {
                if self.bytes + at > limits.stanza_bytes {
                    return Err(XmlError::TooLarge("bytes"));
                }
                self.bytes = 0;
                return Ok(Some((found, at)));
            }
        }
        self.bytes += at;
        if self.bytes > limits.stanza_bytes {
            return Err(XmlError::TooLarge("bytes"));
        }
        Ok(None)
    }

    /// How many of these bytes change nothing.
    fn skip(&self, bytes: &[u8]) -> usize {
        let stop = |is_stop: fn(&u8) -> bool| bytes.iter().position(is_stop).unwrap_or(bytes.len());
        match self.state {
            State::Text => stop(|&byte| byte == b'<'),
            State::Quote(b'"') => stop(|&byte| byte == b'"'),
            State::Quote(_) => stop(|&byte| byte == b'\''),
            State::EndTag => stop(|&byte| byte == b'>'),
            State::CData(0) => stop(|&byte| byte == b']'),
            _ => 0,
        }
    }

    fn step(&mut self, byte: u8, limits: &Limits) -> Result<Option<Found>, XmlError> {
        match (self.state, byte) {
            (State::Gap | State::Text, b'<') => self.state = State::Open,
            (State::Gap, _) => return Err(self.stray()),
            (State::Open, _) => self.open(byte, limits)?,
            (State::Tag, b'>') => return Ok(self.end_start_tag()),
            (State::Tag, b'/') => self.state = State::Slash,
            (State::Tag, b'"' | b'\'') => self.open_value(byte, limits)?,
            (State::Tag, b'<') => return Err(XmlError::NotWellFormed),
            (State::Slash, b'>') => return self.end_empty_tag(),
            (State::Slash, _) => return Err(XmlError::NotWellFormed),
            (State::Quote(quote), _) if quote == byte => self.state = State::Tag,
            (State::EndTag, b'>') => return self.end_end_tag(),
            (State::Bang(n), _) => self.state = bang(n, byte)?,
            (State::CData(n), _) => self.state = in_cdata(n, byte),
            (State::Declaration(n, question), _) => return self.declaration(n, question, byte),
            _ => {}
        }
        Ok(None)
    }

    /// Text where no text may stand.
    fn stray(&self) -> XmlError {
        match self.place {
            // RFC 6120 §4.9.3.1: well-formed, but no stanza.
            Place::Stream => XmlError::BadFormat,
            _ => XmlError::NotWellFormed,
        }
    }

    fn open(&mut self, byte: u8, limits: &Limits) -> Result<(), XmlError> {
        self.state = match byte {
            b'/' if self.depth > 0 || self.place == Place::Stream => State::EndTag,
            b'/' => return Err(XmlError::NotWellFormed),
            // `Place::Start` ends with the first thing found, so nothing can have come before.
            b'?' if self.place == Place::Start => State::Declaration(0, false),
            // RFC 6120 §11.1: no processing instructions.
            b'?' => return Err(XmlError::Restricted),
            // A CDATA section is character data, so it stands in elements alone.
            b'!' if self.depth > 0 => State::Bang(0),
            // RFC 6120 §11.1: no comments, no DTD.
            b'!' => return Err(XmlError::Restricted),
            b'>' | b'<' | b' ' | b'\t' | b'\r' | b'\n' => return Err(XmlError::NotWellFormed),
            _ => return self.open_start_tag(limits),
        };
        Ok(())
    }

    fn open_start_tag(&mut self, limits: &Limits) -> Result<(), XmlError> {
        self.state = State::Tag;
        self.attributes = 0;
        self.depth += 1;
        self.elements += 1;
        if self.depth > limits.depth {
            return Err(XmlError::TooLarge("depth"));
        }
        if self.elements > limits.elements {
            return Err(XmlError::TooLarge("elements"));
        }
        Ok(())
    }

    /// Row X07: every attribute has a value, so values are what is counted.
    fn open_value(&mut self, quote: u8, limits: &Limits) -> Result<(), XmlError> {
        self.state = State::Quote(quote);
        self.attributes += 1;
        if self.attributes > limits.attributes {
            return Err(XmlError::TooLarge("attributes"));
        }
        Ok(())
    }

    fn end_start_tag(&mut self) -> Option<Found> {
        if matches!(self.place, Place::Start | Place::Prolog | Place::Wrapper) {
            self.place = Place::Stream;
            self.reset();
            return Some(Found::Header);
        }
        self.state = State::Text;
        None
    }

    fn end_empty_tag(&mut self) -> Result<Option<Found>, XmlError> {
        // A stream that ends with its own header is none.
        if matches!(self.place, Place::Start | Place::Prolog) {
            return Err(XmlError::BadFormat);
        }
        self.depth -= 1;
        Ok(self.end_element())
    }

    fn end_end_tag(&mut self) -> Result<Option<Found>, XmlError> {
        match self.depth.checked_sub(1) {
            Some(depth) => self.depth = depth,
            None => {
                self.reset();
                return Ok(Some(Found::Footer));
            }
        }
        Ok(self.end_element())
    }

    fn end_element(&mut self) -> Option<Found> {
        self.state = State::Text;
        if self.depth > 0 {
            return None;
        }
        self.reset();
        Some(Found::Element)
    }

    fn reset(&mut self) {
        self.state = State::Gap;
        self.elements = 0;
        self.depth = 0;
    }

    /// `<?xml …?>` at the very start of a stream (RFC 6120 §11.6); other targets are
    /// processing instructions.
    fn declaration(
        &mut self,
        matched: u8,
        question: bool,
        byte: u8,
    ) -> Result<Option<Found>, XmlError> {
        let target: &[u8; 3] = b"xml";
        if let Some(&expected) = target.get(usize::from(matched)) {
            if byte != expected {
                return Err(XmlError::Restricted);
            }
            self.state = State::Declaration(matched + 1, false);
            return Ok(None);
        }
        if matched == 3 && !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            return Err(XmlError::Restricted);
        }
        if question && byte == b'>' {
            self.place = if self.place == Place::Start {
                Place::Prolog
            } else {
                self.place
            };
            self.reset();
            return Ok(Some(Found::Declaration));
        }
        self.state = State::Declaration(4, byte == b'?');
        Ok(None)
    }
}

fn bang(matched: u8, byte: u8) -> Result<State, XmlError> {
    if CDATA[usize::from(matched)] != byte {
        return Err(XmlError::Restricted);
    }
    Ok(if usize::from(matched) + 1 == CDATA.len() {
        State::CData(0)
    } else {
        State::Bang(matched + 1)
    })
}

fn in_cdata(brackets: u8, byte: u8) -> State {
    match (brackets, byte) {
        (2, b'>') => State::Text,
        (_, b']') => State::CData((brackets + 1).min(2)),
        _ => State::CData(0),
    }
}
