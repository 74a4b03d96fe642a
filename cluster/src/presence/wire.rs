//! What replicas say to each other. The order of variants and fields is on the wire.
//!
//! Dots that rise are written as the gaps between them: one byte each, mostly. An envelope
//! names the group first, so that it can be given to the actor of the group undecoded.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::replica::apply::Refusal;
use super::snapshot::{Entry, VERSION_MAX};
use super::{Key, Value};
use crate::codec;
use crate::node_id::{Incarnation, NodeId};

/// The largest message, bytes: a page of [`PAGE_BYTES`] with one entry too many.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// An answer is cut when it has got so long, bytes. The next part is asked for when it has
/// arrived, so this is what is on its way at a time, for each group and peer.
pub const PAGE_BYTES: usize = 128 * 1024;

/// The largest entry, bytes: what a large presence has, and small enough that a page never
/// exceeds a message.
pub const ENTRY_BYTES_MAX: usize = 64 * 1024;

/// A message with its sender's life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope<K, V> {
    /// Which group of shards.
    pub group: u8,
    /// The life of the node that says this.
    pub incarnation: Incarnation,
    /// What it says.
    pub message: Message<K, V>,
}

impl<K, V> Envelope<K, V> {
    /// The entries in a message that has just been read and that nobody else has.
    pub fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry<K, V>> {
        let (deltas, parts) = match &mut self.message {
            Message::Deltas(deltas) => (deltas.as_mut_slice(), &mut [][..]),
            Message::Answer(answer) => (&mut [][..], answer.parts.as_mut_slice()),
            Message::Hello(_) | Message::Ask(_) | Message::Beaten(_) => (&mut [][..], &mut [][..]),
        };
        let of_deltas = deltas.iter_mut().flat_map(|delta| &mut delta.adds);
        let of_parts = parts.iter_mut().flat_map(|part| &mut part.adds);
        let adds = of_deltas.chain(of_parts);
        adds.filter_map(|add| Arc::get_mut(&mut add.entry))
    }
}

/// Reads an envelope. What is too large, or holds an entry that is, is refused unread.
pub fn read<K: Key, V: Value>(bytes: &[u8]) -> Result<Envelope<K, V>, Refusal> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(Refusal::TooLarge);
    }
    let envelope = codec::decode(bytes).map_err(|_| Refusal::Malformed)?;
    // A message this small holds no entry that is too large.
    match bytes.len() <= ENTRY_BYTES_MAX || has_small_entries(&envelope) {
        true => Ok(envelope),
        false => Err(Refusal::TooLarge),
    }
}

fn has_small_entries<K: Key, V: Value>(envelope: &Envelope<K, V>) -> bool {
    let is_small =
        |add: &Add<K, V>| codec::encoded_len(&add.entry).is_ok_and(|len| len <= ENTRY_BYTES_MAX);
    match &envelope.message {
        Message::Deltas(deltas) => deltas.iter().flat_map(|it| &it.adds).all(is_small),
        Message::Answer(answer) => answer.parts.iter().flat_map(|it| &it.adds).all(is_small),
        Message::Hello(_) | Message::Ask(_) | Message::Beaten(_) => true,
    }
}

/// The group an encoded envelope is for.
pub fn group_of(envelope: &[u8]) -> Option<u8> {
    // Behind the codec's version, as the golden bytes below show.
    envelope.get(1).copied()
}

/// A message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Message<K, V> {
    /// What the sender has.
    Hello(Hello),
    /// What the sender has written.
    Deltas(Vec<Delta<K, V>>),
    /// What the sender wants to be brought up to.
    Ask(Ask),
    /// What was asked for.
    Answer(Answer<K, V>),
    /// An entry of the receiver has lost to another node's (said by a replica, to a node that
    /// is none of this shard).
    Beaten(Beaten),
}

/// What a node has, in a few bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// How many shards the sender knows: another number is another cluster.
    pub shards: u16,
    /// The sender wants to know what the receiver has.
    pub wants_reply: bool,
    /// Its copies, for the shards of which the receiver is a replica.
    pub roots: Vec<Root>,
}

/// All copies of one writing node in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Root {
    /// The writing node.
    pub node: NodeId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// The sum over the shards.
    pub root: u64,
}

/// What the sender has written in a shard between two versions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delta<K, V> {
    /// The shard.
    pub shard: u16,
    /// After this version…
    pub from: u64,
    /// …up to this one.
    pub to: u64,
    /// All entries written in between that are still there at `to`.
    pub adds: Vec<Add<K, V>>,
    /// All dots removed in between, as gaps.
    pub removed: Vec<u64>,
    /// Of the snapshot at `to`.
    pub fingerprint: u64,
}

/// An entry with its dot, as the gap from the one before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Add<K, V> {
    /// How far its dot is from the one before.
    pub gap: u64,
    /// The entry.
    pub entry: Arc<Entry<K, V>>,
}

/// A question for what a node has written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The answer repeats it.
    pub number: u32,
    /// The writing node; any replica may answer for it.
    pub node: NodeId,
    /// Which life of it is known.
    pub incarnation: Incarnation,
    /// Where the copies stand.
    pub wants: Vec<Want>,
}

/// Where a copy stands: it has all dots up to `upto` that are there at `version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// The shard.
    pub shard: u16,
    /// At which version.
    pub version: u64,
    /// Up to which dot: less than `version` while a copy comes in parts.
    pub upto: u64,
    /// How many dots.
    pub count: u64,
    /// Of these dots.
    pub fingerprint: u64,
}

impl Want {
    /// There is no copy yet.
    pub fn nothing(shard: u16) -> Self {
        Self {
            shard,
            version: 0,
            upto: 0,
            count: 0,
            fingerprint: 0,
        }
    }
}

/// The answer to an [`Ask`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer<K, V> {
    /// The question's.
    pub number: u32,
    /// Which life of the writing node the parts are of.
    pub incarnation: Incarnation,
    /// So many of the wants are dealt with, from the first on; those without a part need none.
    pub answered: u16,
    /// What brings copies further.
    pub parts: Vec<Part<K, V>>,
}

/// What brings a copy from where it stands further, perhaps all the way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part<K, V> {
    /// The shard.
    pub shard: u16,
    /// From this version…
    pub from: u64,
    /// …and this dot; 0 and 0: whatever there is, is to be replaced.
    pub after: u64,
    /// To this version…
    pub version: u64,
    /// …and this dot. The same number: that is all.
    pub upto: u64,
    /// What has gone since `from`.
    pub gone: Gone,
    /// The entries after the dot `after`, up to `upto`.
    pub adds: Vec<Add<K, V>>,
    /// Of the whole snapshot at `version`.
    pub fingerprint: u64,
}

/// Which dots up to `after` have gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gone {
    /// These, as gaps; dots beyond `after` that came and went are named too.
    Removed(Vec<u64>),
    /// None: there are as many as before.
    Nothing,
    /// All but these, as gaps: the log of removals does not reach back so far.
    AllBut(Vec<u64>),
}

/// An entry of the receiver has lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beaten {
    /// The shard.
    pub shard: u16,
    /// The dot of the entry that lost.
    pub dot: u64,
    /// The one that won.
    pub winner: Rank,
}

/// Which of two entries for a key wins: the greater, on every node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rank {
    /// The session that began later…
    pub since: u64,
    /// …of the younger life…
    pub incarnation: Incarnation,
    /// …of the node with the greater number.
    pub node: NodeId,
    /// A node has one entry for a key; one that errs is decided too.
    pub dot: u64,
}

/// Rising numbers as gaps from `after`.
pub fn to_gaps(after: u64, numbers: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let mut last = after;
    let gaps = numbers.into_iter().map(|number| {
        let gap = number.wrapping_sub(last);
        last = number;
        gap
    });
    gaps.collect()
}

/// Gaps as rising numbers above `after`; `None` when they do not rise, or beyond what is one.
pub fn from_gaps(after: u64, gaps: &[u64]) -> Option<Vec<u64>> {
    let mut last = after;
    let mut numbers = Vec::with_capacity(gaps.len());
    for gap in gaps {
        last = rise(last, *gap)?;
        numbers.push(last);
    }
    Some(numbers)
}

/// The next number after a gap.
pub fn rise(last: u64, gap: u64) -> Option<u64> {
    let next = last.checked_add(gap)?;
    (gap > 0 && next <= VERSION_MAX).then_some(next)
}

/// Entries with their dots, ready to be sent.
pub fn to_adds<'a, K: 'a, V: 'a>(
    after: u64,
    entries: impl IntoIterator<Item = (u64, &'a Arc<Entry<K, V>>)>,
) -> Vec<Add<K, V>> {
    let mut last = after;
    let adds = entries.into_iter().map(|(dot, entry)| {
        let gap = dot.wrapping_sub(last);
        last = dot;
        let entry = entry.clone();
        Add { gap, entry }
    });
    adds.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Sample = Envelope<String, u8>;

    fn envelope(message: Message<String, u8>) -> Sample {
        Envelope {
            group: 9,
            incarnation: Incarnation(7),
            message,
        }
    }

    fn entry(key: &str) -> Arc<Entry<String, u8>> {
        Arc::new(Entry {
            key: key.into(),
            value: 42,
            since: 300,
        })
    }

    /// Version 1 of the codec, group 9, life 7, and then the message.
    fn golden(message: Message<String, u8>, bytes: &[u8]) {
        let encoded = codec::encode(&envelope(message.clone())).unwrap();
        assert_eq!(encoded, [&[1, 9, 7], bytes].concat());
        assert_eq!(group_of(&encoded), Some(9));
        assert_eq!(
            codec::decode::<Sample>(&encoded).unwrap(),
            envelope(message)
        );
    }

    #[test]
    fn c06_the_bytes_of_every_message_stay_what_they_are() {
        let root = Root {
            node: NodeId(2),
            incarnation: Incarnation(3),
            root: 4,
        };
        let hello = Hello {
            shards: 256,
            wants_reply: true,
            roots: vec![root],
        };
        golden(Message::Hello(hello), &[0, 251, 0, 1, 1, 1, 2, 3, 4]);
        let delta = Delta {
            shard: 5,
            from: 10,
            to: 12,
            adds: to_adds(10, [(12, &entry("a"))]),
            removed: to_gaps(0, [3, 9]),
            fingerprint: 6,
        };
        let bytes = [1, 1, 5, 10, 12, 1, 2, 1, b'a', 42, 251, 44, 1, 2, 3, 6, 6];
        golden(Message::Deltas(vec![delta]), &bytes);
        let want = Want {
            shard: 5,
            version: 10,
            upto: 8,
            count: 2,
            fingerprint: 6,
        };
        let ask = Ask {
            number: 1,
            node: NodeId(2),
            incarnation: Incarnation(3),
            wants: vec![want],
        };
        golden(Message::Ask(ask), &[2, 1, 2, 3, 1, 5, 10, 8, 2, 6]);
        let part = |gone| Part {
            shard: 5,
            from: 10,
            after: 8,
            version: 12,
            upto: 12,
            gone,
            adds: to_adds(8, [(12, &entry("a"))]),
            fingerprint: 6,
        };
        let answer = Answer {
            number: 1,
            incarnation: Incarnation(3),
            answered: 3,
            parts: vec![
                part(Gone::Removed(vec![3])),
                part(Gone::Nothing),
                part(Gone::AllBut(vec![4])),
            ],
        };
        let head = [5, 10, 8, 12, 12];
        let tail = [1, 4, 1, b'a', 42, 251, 44, 1, 6];
        let gone = [&[0, 1, 3][..], &[1], &[2, 1, 4]];
        let parts = gone.map(|gone| [&head, gone, &tail].concat()).concat();
        golden(
            Message::Answer(answer),
            &[&[3, 1, 3, 3, 3], &parts[..]].concat(),
        );
        let beaten = Beaten {
            shard: 5,
            dot: 12,
            winner: Rank {
                since: 1,
                incarnation: Incarnation(2),
                node: NodeId(3),
                dot: 4,
            },
        };
        golden(Message::Beaten(beaten), &[4, 5, 12, 1, 2, 3, 4]);
    }

    #[test]
    fn gaps_come_back_as_the_numbers_they_were() {
        let numbers = vec![4, 5, 900];
        let gaps = to_gaps(3, numbers.clone());
        assert_eq!(gaps, [1, 1, 895]);
        assert_eq!(from_gaps(3, &gaps), Some(numbers));
    }

    #[test]
    fn c07_numbers_that_do_not_rise_or_are_no_versions_are_refused() {
        assert_eq!(from_gaps(3, &[1, 0]), None);
        assert_eq!(from_gaps(3, &[u64::MAX]), None);
        assert_eq!(from_gaps(3, &[VERSION_MAX]), None);
    }
}
