//! Frames on the wire: a JSON array `[join_ref, ref, topic, event, payload]`, or bytes with the
//! lengths of the same fields before them, where the payload is raw.
//!
//! The peer is `serializer.js` of the npm client. References are echoed as they came.

use bytes::Bytes;
use serde_json::Value;

/// A reference is the client's count, a few digits.
const REFERENCE_BYTES_MAX: usize = 64;

/// A topic may be a word and an address, whose two parts have 1023 bytes each at most.
const TOPIC_BYTES_MAX: usize = 2_100;

/// Events are words; in binary frames they cannot be longer.
const EVENT_BYTES_MAX: usize = 255;

/// What a client has sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Which life of the channel it belongs to.
    pub join_ref: Option<Box<str>>,
    /// What the client knows the answer by.
    pub reference: Option<Box<str>>,
    /// The channel.
    pub topic: Box<str>,
    /// What it is.
    pub event: Box<str>,
    /// What it says.
    pub payload: Payload,
}

/// What a frame says.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// JSON.
    Json(Value),
    /// Bytes that only the application understands.
    Binary(Bytes),
}

/// Why something is no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A text that is no JSON.
    #[error("not JSON")]
    NotJson,
    /// JSON, but no array with five elements.
    #[error("not an array of join_ref, ref, topic, event and payload")]
    Shape,
    /// A reference that is no string.
    #[error("a reference is neither a string nor null")]
    Reference,
    /// A topic or an event that is no string.
    #[error("topic and event are strings")]
    Name,
    /// A reference, a topic or an event without an end.
    #[error("a reference, topic or event is too long")]
    TooLong,
    /// A binary frame of another kind than a push.
    #[error("not a binary push")]
    Kind,
    /// A binary frame that ends before its fields do, or whose fields are no text.
    #[error("a binary push whose fields cannot be read")]
    Fields,
}

impl Frame {
    /// Reads a text frame. What follows the fifth element is passed over, as Phoenix does.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn parse_text(text: &str) -> Result<Self, FrameError> {
        let value = serde_json::from_str(text).map_err(|_| FrameError::NotJson)?;
        let Value::Array(fields) = value else {
            return Err(FrameError::Shape);
        };
        let mut fields = fields.into_iter();
        let mut next = || fields.next().ok_or(FrameError::Shape);
        let (join_ref, reference) = (next()?, next()?);
        let (topic, event, payload) = (next()?, next()?, next()?);
        Self {
            join_ref: read_reference(join_ref)?,
            reference: read_reference(reference)?,
            topic: read_name(topic)?,
            event: read_name(event)?,
            payload: Payload::Json(payload),
        }
        .bounded()
    }

    /// Reads a binary frame: `0`, the lengths of join_ref, ref, topic and event, these, data.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn parse_binary(bytes: &Bytes) -> Result<Self, FrameError> {
        let (&kind, lengths) = bytes.split_first().ok_or(FrameError::Kind)?;
        if kind != PUSH {
            return Err(FrameError::Kind);
        }
        let lengths: [u8; 4] = lengths
            .get(..4)
            .and_then(|lengths| lengths.try_into().ok())
            .ok_or(FrameError::Fields)?;
        let mut at = 5;
        let mut field = |length: u8| {
            let end = at + usize::from(length);
            let field = bytes.get(at..end).ok_or(FrameError::Fields)?;
            at = end;
            str::from_utf8(field).map_err(|_| FrameError::Fields)
        };
        let [join_ref, reference, topic, event] = lengths;
        let (join_ref, reference) = (field(join_ref)?, field(reference)?);
        let (topic, event) = (field(topic)?, field(event)?);
        let reference_of = |text: &str| (!text.is_empty()).then(|| text.into());
        Self {
            join_ref: reference_of(join_ref),
            reference: reference_of(reference),
            topic: topic.into(),
            event: event.into(),
            payload: Payload::Binary(bytes.slice(at..)),
        }
        .bounded()
    }

    fn bounded(self) -> Result<Self, FrameError> {
        let length = |reference: &Option<Box<str>>| reference.as_ref().map_or(0, |it| it.len());
        let is_long = length(&self.join_ref) > REFERENCE_BYTES_MAX
            || length(&self.reference) > REFERENCE_BYTES_MAX
            || self.topic.len() > TOPIC_BYTES_MAX
            || self.event.len() > EVENT_BYTES_MAX;
        match is_long {
            true => Err(FrameError::TooLong),
            false => Ok(self),
        }
    }
}

fn read_reference(value: Value) -> Result<Option<Box<str>>, FrameError> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.into())),
        _ => Err(FrameError::Reference),
    }
}

fn read_name(value: Value) -> Result<Box<str>, FrameError> {
    match value {
        Value::String(text) => Ok(text.into()),
        _ => Err(FrameError::Name),
    }
}

/// Writes a text frame.
pub(super) fn text(
    join_ref: Option<&str>,
    reference: Option<&str>,
    topic: &str,
    event: &str,
    payload: &Value,
) -> Bytes {
    let fields = (join_ref, reference, topic, event, payload);
    let written = serde_json::to_vec(&fields);
    written.expect("strings and values are always JSON").into()
}

/// What the three kinds of binary frames begin with.
const PUSH: u8 = 0;
const REPLY: u8 = 1;
const BROADCAST: u8 = 2;

/// Writes a binary push to one client; `None` when a field is longer than a frame can say.
#[must_use]
pub fn binary_push(join_ref: &str, topic: &str, event: &str, data: &[u8]) -> Option<Bytes> {
    binary(PUSH, &[join_ref, topic, event], data)
}

/// Writes a binary answer to a push; the status is `ok` or `error`.
#[must_use]
pub fn binary_reply(
    join_ref: &str,
    reference: &str,
    topic: &str,
    status: &str,
    data: &[u8],
) -> Option<Bytes> {
    binary(REPLY, &[join_ref, reference, topic, status], data)
}

/// Writes a binary event for everybody who is on the topic.
#[must_use]
pub fn binary_broadcast(topic: &str, event: &str, data: &[u8]) -> Option<Bytes> {
    binary(BROADCAST, &[topic, event], data)
}

fn binary(kind: u8, fields: &[&str], data: &[u8]) -> Option<Bytes> {
    let mut out = vec![kind];
    for field in fields {
        out.push(u8::try_from(field.len()).ok()?);
    }
    for field in fields {
        out.extend_from_slice(field.as_bytes());
    }
    out.extend_from_slice(data);
    Some(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Frame {
        Frame::parse_text(text).unwrap()
    }

    #[test]
    fn text_frame_is_five_fields_and_references_are_echoed_as_they_came() {
        let frame = parsed(r#"["4","6","room:a","echo",{"x":1}]"#);
        assert_eq!(frame.join_ref.as_deref(), Some("4"));
        assert_eq!(frame.reference.as_deref(), Some("6"));
        assert_eq!((&*frame.topic, &*frame.event), ("room:a", "echo"));
        let heartbeat = parsed(r#"[null,"5","phoenix","heartbeat",{},"more"]"#);
        assert_eq!(heartbeat.join_ref, None);
    }

    #[test]
    fn what_is_no_frame_has_a_name() {
        for (text, error) in [
            ("", FrameError::NotJson),
            ("[", FrameError::NotJson),
            ("{}", FrameError::Shape),
            ("[]", FrameError::Shape),
            (r#"[null,null,"a","b"]"#, FrameError::Shape),
            (r#"[1,null,"a","b",{}]"#, FrameError::Reference),
            (r#"[null,{},"a","b",{}]"#, FrameError::Reference),
            (r#"[null,null,null,"b",{}]"#, FrameError::Name),
            (r#"[null,null,"a",7,{}]"#, FrameError::Name),
        ] {
            assert_eq!(Frame::parse_text(text), Err(error), "{text}");
        }
        let deep = "[".repeat(10_000);
        assert_eq!(Frame::parse_text(&deep), Err(FrameError::NotJson));
        let long = format!(
            r#"[null,null,"{}","b",{{}}]"#,
            "a".repeat(TOPIC_BYTES_MAX + 1)
        );
        assert_eq!(Frame::parse_text(&long), Err(FrameError::TooLong));
    }

    #[test]
    fn binary_push_is_the_captured_one() {
        let bytes = Bytes::from_static(b"\x00\x01\x01\x06\x0447room:aecho\x01\x02\xff");
        let frame = Frame::parse_binary(&bytes).unwrap();
        assert_eq!(frame.join_ref.as_deref(), Some("4"));
        assert_eq!(frame.reference.as_deref(), Some("7"));
        assert_eq!((&*frame.topic, &*frame.event), ("room:a", "echo"));
        let data = Payload::Binary(Bytes::from_static(b"\x01\x02\xff"));
        assert_eq!(frame.payload, data);
    }

    #[test]
    fn every_cut_of_a_binary_push_is_refused_or_has_less_data() {
        let whole = Bytes::from_static(b"\x00\x01\x01\x06\x0447room:aecho\x01\x02\xff");
        for end in 0..whole.len() {
            let cut = whole.slice(..end);
            match Frame::parse_binary(&cut) {
                Ok(frame) => assert_eq!(frame.payload, Payload::Binary(cut.slice(17..))),
                Err(error) => assert!(end < 17, "{end}: {error}"),
            }
        }
        for strange in [
            &b"\x01\x01\x01\x01\x014567"[..],
            b"\x00\x00\x00\x01\x00\xff",
            b"\xff",
        ] {
            assert!(Frame::parse_binary(&Bytes::copy_from_slice(strange)).is_err());
        }
    }

    #[test]
    fn binary_frames_of_the_server_have_their_kind_and_lengths_first() {
        let push = binary_push("123", "top", "ev", b"\x01").unwrap();
        assert_eq!(&*push, b"\x00\x03\x03\x02123topev\x01");
        let reply = binary_reply("1", "2", "top", "ok", b"\x01").unwrap();
        assert_eq!(&*reply, b"\x01\x01\x01\x03\x0212topok\x01");
        let broadcast = binary_broadcast("top", "ev", b"\x01").unwrap();
        assert_eq!(&*broadcast, b"\x02\x03\x02topev\x01");
        assert_eq!(binary_broadcast(&"t".repeat(256), "ev", b""), None);
    }

    #[test]
    fn text_written_is_an_array_with_null_for_what_is_not_there() {
        let written = text(None, Some("5"), "phoenix", "phx_reply", &Value::Null);
        assert_eq!(&*written, br#"[null,"5","phoenix","phx_reply",null]"#);
    }
}
