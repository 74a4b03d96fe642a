//! What travels between two nodes: batches of items.
//!
//! A batch is one cast to the other node's router: a version byte, the token that says which
//! connection it belongs to, how many bytes of batches its sender has received, and items. An
//! item is a kind, a channel, a length and that many bytes; kinds and channels that this node
//! does not know (row C06) are passed over and counted, so a later version may say more.
//! Envelopes are not decoded here: a slice of the batch is what is handed on.
//!
//! Row C04: no length is believed that the bytes do not hold, nothing is allocated for it, and
//! what is larger or more than a node of ours ever sends ends the connection.

use bytes::Bytes;

use super::addresses::Listening;
use crate::codec;
use crate::link::Channel;
use crate::membership::Heartbeat;

/// The version of this framing, the first byte of every batch.
const VERSION: u8 = 1;

/// Version, token, bytes received.
const HEAD_BYTES: usize = 1 + 16 + 8;

/// Kind, channel, length.
const ITEM_HEAD_BYTES: usize = 1 + 1 + 4;

/// So many items are in a batch at most: four times what a node of ours sends.
const ITEMS_MAX: usize = 256;

/// Largest frame of the link, bytes: a full batch, the largest message as its last item, and
/// what ractor_cluster writes around it.
pub(crate) const FRAME_BYTES_MAX: usize = codec::MESSAGE_BYTES_MAX + 128 * 1024;

/// Which connection a batch belongs to: 128 random bits that each end gave the other in the
/// handshake. Who does not know them speaks for nobody (row C05).
pub(crate) type Token = u128;

/// The kinds of items, as they are numbered on the wire.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Kind {
    Envelope = 1,
    Heartbeat = 2,
    Missed = 3,
    Listening = 4,
}

/// One thing that a node says to another.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// A message for a channel.
    Envelope(Channel, Bytes),
    /// The sender lives.
    Heartbeat(Heartbeat),
    /// What was sent before may have been dropped.
    Missed,
    /// Where nodes listen.
    Listening(Vec<Listening>),
    /// Something this version does not know.
    Unknown,
}

/// A batch that has arrived.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Which connection it came by.
    pub(crate) token: Token,
    /// How many bytes of batches the sender has received.
    pub(crate) received: u64,
    items: Bytes,
}

/// Why bytes are no batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BatchError {
    #[error("batch has version {0}, this node knows {VERSION}")]
    Version(u8),
    #[error("batch is cut off")]
    CutOff,
    #[error("batch has more than {ITEMS_MAX} items")]
    TooMany,
    #[error("message of {0} bytes is too large")]
    TooLarge(usize),
}

/// A batch that is being filled.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new(token: Token, received: u64, capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + capacity);
        bytes.push(VERSION);
        bytes.extend_from_slice(&token.to_le_bytes());
        bytes.extend_from_slice(&received.to_le_bytes());
        Self(bytes)
    }

    pub(crate) fn envelope(&mut self, channel: Channel, message: &[u8]) {
        self.item(Kind::Envelope, channel as u8, message);
    }

    pub(crate) fn heartbeat(&mut self, beat: &Heartbeat) {
        if let Ok(bytes) = codec::encode(beat) {
            self.item(Kind::Heartbeat, 0, &bytes);
        }
    }

    pub(crate) fn missed(&mut self) {
        self.item(Kind::Missed, 0, &[]);
    }

    pub(crate) fn listening(&mut self, told: &[Listening]) {
        // What has no encoding is told by others.
        if let Ok(bytes) = codec::encode(&told) {
            self.item(Kind::Listening, 0, &bytes);
        }
    }

    fn item(&mut self, kind: Kind, channel: u8, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).expect("a message is no larger than the codec's");
        self.0.extend_from_slice(&[kind as u8, channel]);
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// What an envelope takes in a batch, bytes.
pub(crate) fn envelope_bytes(message: &Bytes) -> usize {
    ITEM_HEAD_BYTES + message.len()
}

impl Batch {
    /// Takes the head off.
    pub(crate) fn parse(bytes: &Bytes) -> Result<Self, BatchError> {
        match bytes.first() {
            Some(&VERSION) if bytes.len() >= HEAD_BYTES => {}
            Some(&VERSION) | None => return Err(BatchError::CutOff),
            Some(&version) => return Err(BatchError::Version(version)),
        }
        let token = u128::from_le_bytes(array(&bytes[1..17]));
        let received = u64::from_le_bytes(array(&bytes[17..HEAD_BYTES]));
        Ok(Self {
            token,
            received,
            items: bytes.slice(HEAD_BYTES..),
        })
    }

    /// The whole batch's bytes.
    pub(crate) fn len(&self) -> usize {
        HEAD_BYTES + self.items.len()
    }

    /// The items in their order; none follows an error.
    pub(crate) fn items(self) -> impl Iterator<Item = Result<Item, BatchError>> {
        let (mut rest, mut count) = (self.items, 0);
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            count += 1;
            let item = match count > ITEMS_MAX {
                true => Err(BatchError::TooMany),
                false => take_item(&mut rest),
            };
            if item.is_err() {
                rest.clear();
            }
            Some(item)
        })
    }
}

fn take_item(rest: &mut Bytes) -> Result<Item, BatchError> {
    if rest.len() < ITEM_HEAD_BYTES {
        return Err(BatchError::CutOff);
    }
    let head = rest.split_to(ITEM_HEAD_BYTES);
    let length = u32::from_le_bytes(array(&head[2..])) as usize;
    if length > codec::MESSAGE_BYTES_MAX {
        return Err(BatchError::TooLarge(length));
    }
    if length > rest.len() {
        return Err(BatchError::CutOff);
    }
    Ok(read_item(head[0], head[1], rest.split_to(length)))
}

fn read_item(kind: u8, channel: u8, bytes: Bytes) -> Item {
    const ENVELOPE: u8 = Kind::Envelope as u8;
    const HEARTBEAT: u8 = Kind::Heartbeat as u8;
    const MISSED: u8 = Kind::Missed as u8;
    const LISTENING: u8 = Kind::Listening as u8;
    match kind {
        ENVELOPE => match Channel::from_number(channel) {
            Some(channel) => Item::Envelope(channel, bytes),
            None => Item::Unknown,
        },
        HEARTBEAT => codec::decode(&bytes).map_or(Item::Unknown, Item::Heartbeat),
        MISSED => Item::Missed,
        LISTENING => codec::decode(&bytes).map_or(Item::Unknown, Item::Listening),
        _ => Item::Unknown,
    }
}

/// `N` bytes of a slice that has them.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the slice is as long as the array")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::node_id::{Incarnation, Life, NodeId};

    const TOKEN: Token = 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10;

    fn beat() -> Heartbeat {
        Heartbeat {
            sent: 1_000_000,
            echo: 999_000,
            held: 250,
            silence: 40,
            is_leaving: false,
        }
    }

    fn whole() -> Vec<u8> {
        let mut writer = Writer::new(TOKEN, 513, 100);
        writer.heartbeat(&beat());
        writer.envelope(Channel::Mail, b"hello");
        writer.missed();
        writer.finish()
    }

    fn items(bytes: Vec<u8>) -> Result<Vec<Item>, BatchError> {
        Batch::parse(&Bytes::from(bytes))?.items().collect()
    }

    #[test]
    fn the_bytes_of_a_batch_stay_what_they_are() {
        let head = b"\x01\x10\x0f\x0e\x0d\x0c\x0b\x0a\x09\x08\x07\x06\x05\x04\x03\x02\x01\
                     \x01\x02\0\0\0\0\0\0";
        let heartbeat = b"\x02\0\x0e\0\0\0\x01\xfc\x40\x42\x0f\0\xfc\x58\x3e\x0f\0\xfa\x28\0";
        let envelope = b"\x01\x02\x05\0\0\0hello";
        let missed = b"\x03\0\0\0\0\0";
        let golden = [&head[..], heartbeat, envelope, missed].concat();
        assert_eq!(whole(), golden);
    }

    #[test]
    fn the_bytes_of_addresses_stay_what_they_are() {
        let told = vec![Listening {
            life: Life {
                node: NodeId(3),
                incarnation: Incarnation(7),
            },
            address: "n3:5290".into(),
        }];
        let mut writer = Writer::new(TOKEN, 0, 0);
        writer.listening(&told);
        let bytes = writer.finish();
        let golden = b"\x04\0\x0c\0\0\0\x01\x01\x03\x07\x07n3:5290";
        assert_eq!(bytes[HEAD_BYTES..], golden[..]);
        assert_eq!(items(bytes).unwrap(), [Item::Listening(told)]);
    }

    #[test]
    fn what_is_written_is_read() {
        let batch = Batch::parse(&Bytes::from(whole())).unwrap();
        assert_eq!((batch.token, batch.received), (TOKEN, 513));
        let hello = Bytes::from_static(b"hello");
        assert_eq!(
            items(whole()).unwrap(),
            [
                Item::Heartbeat(beat()),
                Item::Envelope(Channel::Mail, hello),
                Item::Missed
            ]
        );
    }

    #[test]
    fn c06_kinds_channels_and_contents_of_a_later_version_are_passed_over() {
        let mut bytes = Writer::new(TOKEN, 0, 0).finish();
        bytes.extend_from_slice(b"\x09\0\x02\0\0\0??");
        bytes.extend_from_slice(b"\x01\xff\x02\0\0\0??");
        bytes.extend_from_slice(b"\x02\0\x03\0\0\0\x01\x02\x03");
        bytes.extend_from_slice(b"\x01\x01\x02\0\0\0ok");
        let ok = Item::Envelope(Channel::Presence, Bytes::from_static(b"ok"));
        assert_eq!(
            items(bytes).unwrap(),
            [Item::Unknown, Item::Unknown, Item::Unknown, ok]
        );
    }

    #[test]
    fn c06_another_framing_is_refused_by_its_number() {
        let mut bytes = whole();
        bytes[0] = 2;
        assert_eq!(items(bytes), Err(BatchError::Version(2)));
    }

    #[test]
    fn c04_cut_off_batches_are_refused_wherever_they_are_cut() {
        let bytes = whole();
        let ends = [
            HEAD_BYTES,
            HEAD_BYTES + 6 + 14,
            bytes.len() - ITEM_HEAD_BYTES,
        ];
        for end in 0..bytes.len() {
            let read = items(bytes[..end].to_vec());
            match ends.contains(&end) {
                true => assert!(read.is_ok(), "{end}: {read:?}"),
                false => assert_eq!(read, Err(BatchError::CutOff), "{end}"),
            }
        }
    }

    proptest! {
        #[test]
        fn c04_whatever_comes_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut batch = Writer::new(TOKEN, 0, 0).finish();
            batch.extend_from_slice(&bytes);
            let read: Vec<_> = Batch::parse(&Bytes::from(batch)).unwrap().items().collect();
            prop_assert!(read.len() <= 1 + bytes.len() / ITEM_HEAD_BYTES);
            prop_assert!(read.iter().rev().skip(1).all(Result::is_ok));
        }
    }

    #[test]
    fn c04_lengths_that_nobody_sends_are_refused() {
        let bomb = |item: &[u8]| items([&Writer::new(TOKEN, 0, 0).finish()[..], item].concat());
        let huge = bomb(b"\x01\x02\xff\xff\xff\xff");
        assert_eq!(huge, Err(BatchError::TooLarge(u32::MAX as usize)));
        let missing = bomb(b"\x01\x02\0\0\x10\0");
        assert_eq!(missing, Err(BatchError::CutOff));
        let many = bomb(&b"\x03\0\0\0\0\0".repeat(ITEMS_MAX + 1));
        assert_eq!(many, Err(BatchError::TooMany));
    }
}
