//! The stream of an external component up to its handshake: XEP-0114 version 1.6,
//! <https://xmpp.org/extensions/xep-0114.html>
//!
//! ```text
//! header ─ our header with an id ─ handshake ─ empty handshake ─ stanzas
//! ```
//!
//! Left out: `jabber:component:connect` (§2), where the server would call the component; TLS,
//! which the specification does not have.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use subtle::ConstantTimeEq;

use super::{closing, header};
use crate::jid::BareJid;
use crate::ns;
use crate::sasl::{Hash, Secret};
use crate::stanza::{StreamCondition, StreamError};
use crate::xml::{StreamHeader, Token, write_attribute};

/// The components there may be: the host of each, and what it proves to be it with.
pub type Secrets = BTreeMap<BareJid, Secret>;

/// A component's connection that has proved nothing yet.
pub struct ComponentStream {
    secrets: Arc<Secrets>,
    id: String,
    phase: Phase,
}

enum Phase {
    /// Its header is due.
    Opening,
    /// Its handshake is due, for this host.
    Challenged(BareJid),
    /// It has proved to be the component.
    Proved,
    Closed,
}

/// How far a component has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It has to say more.
    GoOn,
    /// It is the component of this host: take it in, then [`ComponentStream::accept`] or
    /// [`ComponentStream::fail`].
    Proved(BareJid),
    /// Its stream is over, for this reason.
    Closed(Option<StreamCondition>),
}

impl ComponentStream {
    /// A connection that has said nothing yet; `entropy` makes its stream id, which nobody may
    /// guess, for whoever knew it before could have the handshake made elsewhere.
    #[must_use]
    pub fn new(secrets: Arc<Secrets>, entropy: [u8; 16]) -> Self {
        Self {
            secrets,
            id: header::stream_id(entropy),
            phase: Phase::Opening,
        }
    }

    /// Takes what the component has sent, and appends what it is answered.
    pub fn take(&mut self, token: &Token, out: &mut Vec<u8>) -> Step {
        match (&self.phase, token) {
            (Phase::Closed, _) => Step::Closed(None),
            (_, Token::Footer) => self.end(None, out),
            (Phase::Opening, Token::Header(header)) => self.open(header, out),
            (Phase::Challenged(host), Token::Fragment(fragment)) => {
                // §3: read as all that is in the stream's content namespace.
                let is_handshake = fragment.is("handshake", ns::CLIENT);
                match is_handshake && self.is_right(host, fragment.text().trim()) {
                    true => {
                        let host = host.clone();
                        self.phase = Phase::Proved;
                        Step::Proved(host)
                    }
                    // §3; RFC 6120 §4.9.3.12 also for data before the handshake.
                    false => self.fail(StreamCondition::NotAuthorized, out),
                }
            }
            // RFC 6120 §4.9.3.1: nothing of this is what comes next.
            _ => self.fail(StreamCondition::BadFormat, out),
        }
    }

    /// §3: an empty handshake says that the stream may be used.
    pub fn accept(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"<handshake/>");
    }

    /// Ends the stream with an error, in a stream of our own if there is none yet (§3, RFC
    /// 6120 §4.9.1.2).
    pub fn fail(&mut self, condition: StreamCondition, out: &mut Vec<u8>) -> Step {
        if matches!(self.phase, Phase::Opening) {
            self.write_header(None, out);
        }
        self.end(Some(condition), out)
    }

    fn end(&mut self, condition: Option<StreamCondition>, out: &mut Vec<u8>) -> Step {
        let error = condition.map(StreamError::new);
        for bytes in closing::closing(super::Transport::Tcp, error.as_ref()) {
            out.extend_from_slice(&bytes);
        }
        self.phase = Phase::Closed;
        Step::Closed(condition)
    }

    fn open(&mut self, header: &StreamHeader, out: &mut Vec<u8>) -> Step {
        if header.content_ns != ns::COMPONENT {
            return self.fail(StreamCondition::InvalidNamespace, out);
        }
        // §3: `to` is the component's name, not the server's.
        let host = header.to.as_deref().and_then(|to| BareJid::parse(to).ok());
        match host.filter(|host| self.secrets.contains_key(host)) {
            Some(host) => {
                self.write_header(Some(&host), out);
                self.phase = Phase::Challenged(host);
                Step::GoOn
            }
            None => self.fail(StreamCondition::HostUnknown, out),
        }
    }

    fn write_header(&self, host: Option<&BareJid>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"<?xml version='1.0'?><stream:stream");
        write_attribute(out, "xmlns", ns::COMPONENT);
        write_attribute(out, "xmlns:stream", ns::STREAMS);
        write_attribute(out, "id", &self.id);
        if let Some(host) = host {
            write_attribute(out, "from", host.as_str());
        }
        out.push(b'>');
    }

    /// Compares in a time that tells nothing of the secret.
    fn is_right(&self, host: &BareJid, said: &str) -> bool {
        let Some(secret) = self.secrets.get(host) else {
            return false;
        };
        let right = handshake(&self.id, secret);
        said.as_bytes().ct_eq(right.as_bytes()).into()
    }
}

/// §3: the SHA-1 of the stream id and the secret, in hexadecimal, lower-case.
#[must_use]
pub fn handshake(stream_id: &str, secret: &Secret) -> String {
    let text = [stream_id, secret.expose()].concat();
    let mut hex = String::with_capacity(40);
    for byte in Hash::Sha1.digest(text.as_bytes()) {
        // A string takes everything.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Limits, Tokenizer};

    const OPEN: &str = "<stream:stream xmlns='jabber:component:accept' \
        xmlns:stream='http://etherx.jabber.org/streams' to='plays.shakespeare.lit'>";

    struct Script {
        stream: ComponentStream,
        tokenizer: Tokenizer,
    }

    impl Script {
        fn new() -> Self {
            let host = BareJid::parse("plays.shakespeare.lit").unwrap();
            let secrets = Secrets::from([(host, Secret::new("test"))]);
            Self {
                stream: ComponentStream::new(Arc::new(secrets), [7; 16]),
                tokenizer: Tokenizer::new(Limits::BEFORE_LOGIN),
            }
        }

        fn says(&mut self, text: &str) -> (Step, String) {
            self.tokenizer.push(text.as_bytes());
            let (mut step, mut out) = (Step::GoOn, Vec::new());
            while let Some(token) = self.tokenizer.next().unwrap() {
                step = self.stream.take(&token, &mut out);
            }
            (step, String::from_utf8(out).unwrap())
        }

        fn proof(&self, secret: &str) -> String {
            let proof = handshake(&self.stream.id, &Secret::new(secret));
            format!("<handshake>{proof}</handshake>")
        }
    }

    fn closed(condition: StreamCondition) -> Step {
        Step::Closed(Some(condition))
    }

    #[test]
    fn the_handshake_is_the_hash_of_id_and_secret() {
        // §3, whose example is made with this secret.
        let hash = handshake("3BF96D32", &Secret::new("test"));
        assert_eq!(hash, "aaee83c26aeeafcbabeabfcbcd50df997e0a2a1e");
    }

    #[test]
    fn who_knows_the_secret_is_the_component() {
        let mut script = Script::new();
        let (step, answer) = script.says(OPEN);
        assert_eq!(step, Step::GoOn);
        for part in [
            "xmlns='jabber:component:accept'",
            "from='plays.shakespeare.lit'",
            "id='07070707070707070707070707070707'",
        ] {
            assert!(answer.contains(part), "{part} in {answer}");
        }
        let proof = script.proof("test");
        let (step, answer) = script.says(&proof);
        let host = BareJid::parse("plays.shakespeare.lit").unwrap();
        assert_eq!((step, answer.as_str()), (Step::Proved(host), ""));
        let mut out = Vec::new();
        script.stream.accept(&mut out);
        assert_eq!(out, b"<handshake/>");
    }

    #[test]
    fn a_wrong_secret_and_words_before_the_handshake_are_not_authorized() {
        let guess = Script::new().proof("guess");
        let short = Script::new().proof("test").replace("</", "x</");
        let message = "<message from='plays.shakespeare.lit' to='a@b'/>";
        for wrong in [guess.as_str(), short.as_str(), "<handshake/>", message] {
            let mut script = Script::new();
            script.says(OPEN);
            let (step, answer) = script.says(wrong);
            assert_eq!(step, closed(StreamCondition::NotAuthorized), "{wrong}");
            assert!(answer.ends_with("</stream:stream>"), "{answer}");
            let proof = script.proof("test");
            assert_eq!(script.says(&proof), (Step::Closed(None), String::new()));
        }
    }

    #[test]
    fn errors_of_the_header_stand_in_a_stream() {
        for (header, condition) in [
            (OPEN.replace("plays", "poems"), "host-unknown"),
            (
                OPEN.replace(" to='plays.shakespeare.lit'", ""),
                "host-unknown",
            ),
            (
                OPEN.replace("component:accept", "client"),
                "invalid-namespace",
            ),
            (
                OPEN.replace("component:accept", "component:connect"),
                "invalid-namespace",
            ),
        ] {
            let (_, answer) = Script::new().says(&header);
            assert!(answer.starts_with("<?xml version='1.0'?><stream:stream "));
            assert!(answer.contains(&format!("<{condition} ")), "{answer}");
        }
    }

    #[test]
    fn stanzas_of_a_component_are_read_as_those_of_clients() {
        let mut script = Script::new();
        script.says(OPEN);
        script.tokenizer.push(
            b"<message from='plays.shakespeare.lit'><body>a</body>\
            <forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:component:accept'/>\
            </forwarded></message>",
        );
        let Some(Token::Fragment(fragment)) = script.tokenizer.next().unwrap() else {
            panic!("a stanza");
        };
        assert!(fragment.is("message", ns::CLIENT));
        assert_eq!(
            &fragment.payloads().bytes()[..],
            b"<body>a</body><forwarded xmlns='urn:xmpp:forward:0'>\
            <message xmlns='jabber:client'/></forwarded>"
        );
    }
}
