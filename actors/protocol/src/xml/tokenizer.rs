//! Turns the bytes of a TCP stream into its header, its first-level elements and its footer
//! (RFC 6120 §4), however the bytes are cut into reads.

use super::fragment::Fragment;
use super::reader::{Item, Scope, StrictReader};
use super::scanner::{Found, Scanner};
use super::{Limits, XmlError};
use crate::ns;

/// One thing of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// The stream begins (RFC 6120 §4.2).
    Header(StreamHeader),
    /// A first-level element.
    Fragment(Fragment),
    /// The stream ends (RFC 6120 §4.4).
    Footer,
}

/// The start tag of a stream (RFC 6120 §4.7).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamHeader {
    /// Whom the stream is for (§4.7.2).
    pub to: Option<String>,
    /// Whom it is from (§4.7.1).
    pub from: Option<String>,
    /// Its id, set by the receiving side (§4.7.3).
    pub id: Option<String>,
    /// The version of XMPP (§4.7.5).
    pub version: Option<String>,
    /// The language of what people read (§4.7.4).
    pub lang: Option<String>,
    /// The default namespace (§4.8.2); empty if none is declared.
    pub content_ns: String,
}

/// Reads a stream. After an error or a footer it gives nothing more.
#[derive(Debug)]
pub struct Tokenizer {
    limits: Limits,
    scanner: Scanner,
    /// What has come and is not consumed; its part before `scanned` needs no second look.
    buffer: Vec<u8>,
    consumed: usize,
    scanned: usize,
    context: Option<Box<Context>>,
    outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Open,
    Ended,
    Failed(XmlError),
}

/// What the header has declared for the elements of the stream.
#[derive(Debug)]
struct Context {
    /// The header's name as it was written, which the footer must repeat.
    name: Box<str>,
    content_ns: Box<str>,
    prefixes: Vec<(Box<str>, Box<str>)>,
}

impl Tokenizer {
    /// Before a stream.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            scanner: Scanner::stream(),
            buffer: Vec::new(),
            consumed: 0,
            scanned: 0,
            context: None,
            outcome: Outcome::Open,
        }
    }

    /// Other limits, from the next byte on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// A new stream begins, as after STARTTLS and SASL: everything that has come is
    /// forgotten, so that nothing sent before the negotiation counts after it (row A01,
    /// RFC 6120 §5.4.3.3).
    pub fn restart(&mut self) {
        *self = Self::new(self.limits);
    }

    /// Bytes held back until an element is complete.
    pub fn buffered(&self) -> usize {
        self.buffer.len() - self.consumed
    }

    /// Takes what was read. Call [`Self::next`] until it gives nothing before pushing more.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.outcome != Outcome::Open {
            return;
        }
        // Row X18: white space between elements costs nothing.
        let bytes = match self.buffered() {
            0 if self.skips_space() => trim_space(bytes),
            _ => bytes,
        };
        self.buffer.extend_from_slice(bytes);
    }

    /// The next token, if it is complete.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator that ends can go on after a push"
    )]
    pub fn next(&mut self) -> Result<Option<Token>, XmlError> {
        match self.outcome {
            Outcome::Open => {}
            Outcome::Ended => return Ok(None),
            Outcome::Failed(error) => return Err(error),
        }
        let token = self.advance();
        match &token {
            Ok(Some(Token::Footer)) => self.end(Outcome::Ended),
            Err(error) => self.end(Outcome::Failed(*error)),
            Ok(_) => {}
        }
        token
    }

    fn end(&mut self, outcome: Outcome) {
        self.outcome = outcome;
        self.buffer = Vec::new();
        self.consumed = 0;
        self.scanned = 0;
    }

    fn advance(&mut self) -> Result<Option<Token>, XmlError> {
        loop {
            self.skip_space();
            let unseen = &self.buffer[self.scanned..];
            let Some((found, length)) = self.scanner.scan(unseen, &self.limits)? else {
                self.scanned = self.buffer.len();
                self.release();
                return Ok(None);
            };
            let end = self.scanned + length;
            let bytes = &self.buffer[self.consumed..end];
            let token = match found {
                Found::Declaration => None,
                Found::Header => {
                    let (header, context) = read_header(bytes, &self.limits)?;
                    self.context = Some(Box::new(context));
                    Some(Token::Header(header))
                }
                Found::Element => {
                    let context = self.context.as_ref().ok_or(XmlError::NotWellFormed)?;
                    Some(Token::Fragment(Fragment::read(
                        bytes,
                        context.scope(),
                        &self.limits,
                    )?))
                }
                Found::Footer => {
                    let context = self.context.as_ref().ok_or(XmlError::NotWellFormed)?;
                    context.check_footer(bytes)?;
                    Some(Token::Footer)
                }
            };
            self.consumed = end;
            self.scanned = end;
            if token.is_some() {
                self.release();
                return Ok(token);
            }
        }
    }

    /// XML 1.0 §2.8: before a declaration there is nothing, not even white space; we are
    /// lenient there, for RFC 6120 §4.6.1 lets white space stand between all elements.
    fn skips_space(&self) -> bool {
        self.scanner.is_between()
    }

    fn skip_space(&mut self) {
        if self.skips_space() {
            let rest = &self.buffer[self.scanned..];
            self.scanned += rest.len() - trim_space(rest).len();
            self.consumed = self.scanned;
        }
    }

    /// An idle connection holds no buffer; a busy one moves what is left to its front.
    fn release(&mut self) {
        if self.consumed == self.buffer.len() {
            self.buffer = Vec::new();
        } else if self.consumed > 0 && self.scanned == self.buffer.len() {
            self.buffer.drain(..self.consumed);
        } else {
            return;
        }
        self.scanned -= self.consumed;
        self.consumed = 0;
    }
}

impl Context {
    fn scope(&self) -> Scope<'_> {
        match &*self.content_ns {
            // Stanzas are the same on every stream, only the name of their namespace is not
            // (RFC 6120 §4.8.2): within, they are of `jabber:client`.
            ns::COMPONENT => Scope {
                default: ns::CLIENT,
                prefixes: &self.prefixes,
                content: ns::COMPONENT,
            },
            default => Scope {
                prefixes: &self.prefixes,
                ..Scope::of(default)
            },
        }
    }

    fn check_footer(&self, bytes: &[u8]) -> Result<(), XmlError> {
        let name = bytes
            .strip_prefix(b"</")
            .and_then(|rest| rest.strip_suffix(b">"));
        let name = name.map(|name| name.trim_ascii_end());
        if name != Some(self.name.as_bytes()) {
            return Err(XmlError::NotWellFormed);
        }
        Ok(())
    }
}

fn trim_space(bytes: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let start = bytes
        .iter()
        .position(|byte| !is_space(byte))
        .unwrap_or(bytes.len());
    &bytes[start..]
}

fn read_header(bytes: &[u8], limits: &Limits) -> Result<(StreamHeader, Context), XmlError> {
    let mut reader = StrictReader::new(bytes, Scope::of(""), limits)?;
    let Some(Item::Start { local, namespace }) = reader.next()? else {
        return Err(XmlError::NotWellFormed);
    };
    // RFC 6120 §4.9.3.10, §4.9.3.1.
    if namespace != ns::STREAMS {
        return Err(XmlError::InvalidNamespace);
    }
    if local != "stream" {
        return Err(XmlError::BadFormat);
    }
    let attribute = |namespace: &str, name: &str| {
        let mut all = reader.attributes.iter();
        let found = all.find(|known| known.local == name && known.namespace == namespace)?;
        Some(found.value.to_string())
    };
    let mut header = StreamHeader {
        to: attribute("", "to"),
        from: attribute("", "from"),
        id: attribute("", "id"),
        version: attribute("", "version"),
        lang: attribute(ns::XML, "lang"),
        content_ns: String::new(),
    };
    let mut prefixes = Vec::new();
    for (prefix, namespace) in reader.bindings() {
        match prefix {
            "" => header.content_ns = namespace.to_owned(),
            _ => prefixes.push((prefix.into(), namespace.into())),
        }
    }
    let text = std::str::from_utf8(bytes).map_err(|_| XmlError::BadFormat)?;
    let name = text[1..]
        .split([' ', '\t', '\r', '\n', '>'])
        .next()
        .unwrap_or_default();
    let context = Context {
        name: name.into(),
        content_ns: header.content_ns.as_str().into(),
        prefixes,
    };
    Ok((header, context))
}
