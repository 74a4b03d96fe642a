//! How a message looks between nodes: a version byte, then bincode.
//!
//! The only file that names bincode (unmaintained, RUSTSEC-2025-0141): replacing it is a
//! change of this file. Peers are authenticated, but what they send is still bounded here.

use bincode::config::{Configuration, Limit, standard};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The version of the encoding, the first byte of every message.
pub const VERSION: u8 = 1;

/// Largest message, bytes: the largest stanza a peer server may send (512 KiB) and its
/// envelope, doubled because the same stanza may travel inside a forwarded one.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

const CONFIGURATION: Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    Limit<MESSAGE_BYTES_MAX>,
> = standard().with_limit::<MESSAGE_BYTES_MAX>();

/// Why a message could not be encoded or decoded.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The first byte names an encoding this node does not know.
    #[error("message has version {0}, this node knows {VERSION}")]
    Version(u8),
    /// There is not even a version.
    #[error("message is empty")]
    Empty,
    /// Something stands behind the message.
    #[error("message is followed by {0} bytes too many")]
    Trailing(usize),
    /// The message is larger than [`MESSAGE_BYTES_MAX`], or of a kind that has no encoding.
    #[error("message cannot be encoded: {0}")]
    Encode(#[from] bincode::error::EncodeError),
    /// The bytes are no message of this type.
    #[error("message cannot be decoded: {0}")]
    Decode(#[from] bincode::error::DecodeError),
}

/// Encodes a message.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, CodecError> {
    // Growing the buffer costs more than encoding: most messages are one stanza.
    let mut bytes = Vec::with_capacity(1024);
    bytes.push(VERSION);
    bincode::serde::encode_into_std_write(message, &mut bytes, CONFIGURATION)?;
    Ok(bytes)
}

/// How many bytes something takes inside a message.
pub fn encoded_len<T: Serialize>(part: &T) -> Result<usize, CodecError> {
    let mut counter = Counter(0);
    bincode::serde::encode_into_std_write(part, &mut counter, CONFIGURATION)?;
    Ok(counter.0)
}

/// Counts what is written to it.
struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Decodes a message; never allocates more than [`MESSAGE_BYTES_MAX`] on a peer's word.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (&version, body) = bytes.split_first().ok_or(CodecError::Empty)?;
    if version != VERSION {
        return Err(CodecError::Version(version));
    }
    let (message, read) = bincode::serde::decode_from_slice(body, CONFIGURATION)?;
    match body.len() - read {
        0 => Ok(message),
        trailing => Err(CodecError::Trailing(trailing)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    enum Sample {
        Number(u64),
        Text { name: String, values: Vec<u32> },
    }

    fn sample() -> Sample {
        Sample::Text {
            name: "room".into(),
            values: vec![1, 300],
        }
    }

    #[test]
    fn what_is_encoded_comes_back() {
        for message in [Sample::Number(u64::MAX), sample()] {
            let bytes = encode(&message).unwrap();
            assert_eq!(decode::<Sample>(&bytes).unwrap(), message);
        }
    }

    #[test]
    fn the_bytes_on_the_wire_stay_what_they_are() {
        assert_eq!(
            encode(&sample()).unwrap(),
            b"\x01\x01\x04room\x02\x01\xfb\x2c\x01"
        );
    }

    #[test]
    fn what_is_counted_is_what_is_encoded() {
        let bytes = encode(&sample()).unwrap();
        assert_eq!(encoded_len(&sample()).unwrap() + 1, bytes.len());
    }

    #[test]
    fn another_version_is_refused_by_its_number() {
        assert!(matches!(
            decode::<Sample>(&[9, 0, 0]),
            Err(CodecError::Version(9))
        ));
    }

    #[test]
    fn bytes_behind_a_message_are_refused() {
        let mut bytes = encode(&sample()).unwrap();
        bytes.push(0);
        assert!(matches!(
            decode::<Sample>(&bytes),
            Err(CodecError::Trailing(1))
        ));
    }

    #[test]
    fn c04_a_length_the_bytes_do_not_hold_is_refused_without_allocating() {
        // A vector of 2^40 elements is announced.
        let bytes = [
            &[VERSION, 1, 0][..],
            &[0xfd],
            &(1u64 << 40).to_le_bytes()[..],
        ]
        .concat();
        assert!(matches!(
            decode::<Sample>(&bytes),
            Err(CodecError::Decode(_))
        ));
    }

    #[test]
    fn cut_off_bytes_are_refused() {
        let bytes = encode(&sample()).unwrap();
        for end in 0..bytes.len() {
            assert!(decode::<Sample>(&bytes[..end]).is_err());
        }
    }
}
