//! What waits for one node, and what is on its way to it: bounded in bytes.
//!
//! Two lanes, control before bulk, are emptied a batch at a time; a batch takes what is there,
//! so that nothing waits for company. ractor_cluster's own queues have no bounds and no
//! backpressure; therefore no more than [`WINDOW_BYTES`] are handed to it that the other side
//! has not said to have received. What does not fit the queue is dropped, and the other side
//! is told that it has missed something when it reads again.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::addresses::Listening;
use super::batch::{Token, Writer, envelope_bytes};
use crate::codec::MESSAGE_BYTES_MAX;
use crate::link::{Channel, Lane};
use crate::membership::Heartbeat;

/// So many envelopes are in a batch at most; from there on more make it no cheaper (measured:
/// 64 are eight to fifteen times cheaper than one, 256 no cheaper than 64).
const BATCH_ENVELOPES_MAX: usize = 64;

/// A batch takes no further envelope beyond so many bytes.
const BATCH_BYTES: usize = 64 * 1024;

/// So much may be on its way and not acknowledged when a batch is handed on, bytes: half a
/// gigabyte a second at 1 ms there and back, and little beside what TCP itself buffers.
const WINDOW_BYTES: u64 = 512 * 1024;

/// After so many bytes the sender is told what has been received even if there is nothing else
/// to say: an eighth of the window, so that it never closes for want of an answer.
const ACK_BYTES: u64 = WINDOW_BYTES / 8;

/// What an envelope takes in the queue besides its message, bytes: nothing is free.
const ENVELOPE_BYTES: usize = 64;

/// While messages are dropped without end, the other side is told once in this time.
const TELL_AGAIN: Duration = Duration::from_secs(1);

/// What waits for one node over one connection.
#[derive(Debug)]
pub(crate) struct Outbox {
    token: Token,
    lanes: [VecDeque<(Channel, Bytes)>; 2],
    queued_bytes: usize,
    queued_bytes_max: usize,
    heartbeat: Option<Heartbeat>,
    listening: Vec<Listening>,
    behind_since: Option<Duration>,
    sent: u64,
    acknowledged: u64,
    received: u64,
    told: u64,
}

/// What is handed on at once.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) bytes: Vec<u8>,
    pub(crate) envelopes: usize,
}

impl Outbox {
    /// Nothing waits yet. `token` is what the other side knows the connection by.
    pub(crate) fn new(token: Token, queued_bytes_max: usize) -> Self {
        Self {
            token,
            lanes: Default::default(),
            queued_bytes: 0,
            queued_bytes_max,
            heartbeat: None,
            listening: Vec::new(),
            behind_since: None,
            sent: 0,
            acknowledged: 0,
            received: 0,
            told: 0,
        }
    }

    /// Takes a message; tells whether it did.
    pub(crate) fn push(
        &mut self,
        lane: Lane,
        channel: Channel,
        message: Bytes,
        now: Duration,
    ) -> bool {
        let bytes = message.len() + ENVELOPE_BYTES;
        let is_too_much = self.queued_bytes + bytes > self.queued_bytes_max;
        if is_too_much || message.len() > MESSAGE_BYTES_MAX {
            self.behind_since.get_or_insert(now);
            return false;
        }
        self.queued_bytes += bytes;
        self.lanes[lane as usize].push_back((channel, message));
        true
    }

    /// Says that this node lives; only the latest word counts.
    pub(crate) fn beat(&mut self, beat: Heartbeat) {
        self.heartbeat = Some(beat);
    }

    /// Says where nodes listen; of each the latest word counts.
    pub(crate) fn tell(&mut self, told: Vec<Listening>) {
        let is_old = |it: &Listening| told.iter().any(|new| new.life.node == it.life.node);
        self.listening.retain(|it| !is_old(it));
        self.listening.extend(told);
    }

    /// A batch of so many bytes has been received. Tells whether its sender is waiting to hear
    /// so.
    pub(crate) fn received(&mut self, bytes: usize) -> bool {
        self.received += bytes as u64;
        self.owes_answer()
    }

    /// The other side says how many bytes it has received in all. Tells whether that lets
    /// something go that has waited.
    pub(crate) fn acknowledged(&mut self, bytes: u64) -> bool {
        let was_closed = !self.is_open();
        // More than was sent is nobody's honest word.
        self.acknowledged = self.acknowledged.max(bytes.min(self.sent));
        was_closed && self.is_open()
    }

    /// What waits, bytes.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// How many messages wait.
    pub(crate) fn queued(&self) -> usize {
        self.lanes.iter().map(VecDeque::len).sum()
    }

    /// The next batch, if something may and has to go.
    pub(crate) fn next(&mut self, now: Duration) -> Option<Sending> {
        let has_mail = self.is_open() && (self.queued() > 0 || self.tells_missed(now));
        let tells = !self.listening.is_empty();
        if !has_mail && !tells && self.heartbeat.is_none() && !self.owes_answer() {
            return None;
        }
        let mut writer = Writer::new(self.token, self.received, BATCH_BYTES);
        self.told = self.received;
        if let Some(beat) = self.heartbeat.take() {
            writer.heartbeat(&beat);
        }
        if tells {
            writer.listening(&std::mem::take(&mut self.listening));
        }
        // Addresses of many nodes beside a full batch might be more than a frame takes.
        let envelopes = match has_mail && !tells {
            true => self.fill(&mut writer, now),
            false => 0,
        };
        let bytes = writer.finish();
        self.sent += bytes.len() as u64;
        Some(Sending { bytes, envelopes })
    }

    fn fill(&mut self, writer: &mut Writer, now: Duration) -> usize {
        if self.tells_missed(now) {
            writer.missed();
            let is_over = self.has_caught_up();
            self.behind_since = (!is_over).then_some(now);
        }
        // Bulk gets one place in every batch: much control must not starve it.
        let kept = usize::from(!self.lanes[Lane::Bulk as usize].is_empty());
        let (mut envelopes, mut bytes) = (0, 0);
        for (lane, places) in [(0, BATCH_ENVELOPES_MAX - kept), (1, BATCH_ENVELOPES_MAX)] {
            let most = if lane == 0 {
                BATCH_BYTES / 2
            } else {
                BATCH_BYTES
            };
            while envelopes < places && (bytes < most) {
                let Some((channel, message)) = self.lanes[lane].pop_front() else {
                    break;
                };
                self.queued_bytes -= message.len() + ENVELOPE_BYTES;
                writer.envelope(channel, &message);
                (envelopes, bytes) = (envelopes + 1, bytes + envelope_bytes(&message));
            }
        }
        envelopes
    }

    /// Something may be handed on.
    fn is_open(&self) -> bool {
        self.sent - self.acknowledged < WINDOW_BYTES
    }

    fn owes_answer(&self) -> bool {
        self.received - self.told >= ACK_BYTES
    }

    /// The other side reads again: it has taken half of what waited.
    fn has_caught_up(&self) -> bool {
        self.queued_bytes <= self.queued_bytes_max / 2
    }

    fn tells_missed(&self, now: Duration) -> bool {
        let Some(since) = self.behind_since else {
            return false;
        };
        self.has_caught_up() || now.saturating_sub(since) >= TELL_AGAIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::wire::batch::{Batch, Item};
    use crate::node_id::{Incarnation, Life, NodeId};

    const MAX: usize = 4 * 1024 * 1024;

    fn outbox() -> Outbox {
        Outbox::new(7, MAX)
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn push(outbox: &mut Outbox, lane: Lane, message: impl Into<Bytes>) -> bool {
        outbox.push(lane, Channel::Mail, message.into(), at(0))
    }

    fn items(sending: &Sending) -> Vec<Item> {
        let batch = Batch::parse(&Bytes::from(sending.bytes.clone())).unwrap();
        batch.items().map(Result::unwrap).collect()
    }

    fn texts(sending: &Sending) -> Vec<String> {
        let texts = items(sending).into_iter().map(|item| match item {
            Item::Envelope(_, message) => String::from_utf8(message.to_vec()).unwrap(),
            other => format!("{other:?}"),
        });
        texts.collect()
    }

    #[test]
    fn what_is_there_goes_at_once_and_control_before_bulk() {
        let mut outbox = outbox();
        assert!(outbox.next(at(0)).is_none());
        assert!(push(&mut outbox, Lane::Bulk, "b1"));
        assert!(push(&mut outbox, Lane::Control, "c1"));
        assert!(push(&mut outbox, Lane::Bulk, "b2"));
        let sending = outbox.next(at(0)).unwrap();
        assert_eq!(texts(&sending), ["c1", "b1", "b2"]);
        assert_eq!((sending.envelopes, outbox.queued_bytes()), (3, 0));
        assert!(outbox.next(at(0)).is_none());
    }

    #[test]
    fn a_batch_has_its_bounds_and_order_is_kept_over_batches() {
        let mut outbox = outbox();
        for number in 0..100 {
            push(&mut outbox, Lane::Bulk, format!("{number}"));
        }
        let mut told = texts(&outbox.next(at(0)).unwrap());
        assert_eq!(told.len(), BATCH_ENVELOPES_MAX);
        told.extend(texts(&outbox.next(at(0)).unwrap()));
        let all: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        assert_eq!(told, all);
        for _ in 0..10 {
            push(&mut outbox, Lane::Bulk, vec![0; BATCH_BYTES / 2]);
        }
        assert_eq!(outbox.next(at(0)).unwrap().envelopes, 2);
    }

    #[test]
    fn much_control_does_not_starve_bulk() {
        let mut outbox = outbox();
        for _ in 0..1000 {
            push(&mut outbox, Lane::Control, "c");
        }
        push(&mut outbox, Lane::Bulk, "b");
        assert_eq!(texts(&outbox.next(at(0)).unwrap()).last().unwrap(), "b");
        for _ in 0..10 {
            push(&mut outbox, Lane::Control, vec![b'c'; 20_000]);
        }
        push(&mut outbox, Lane::Bulk, "b");
        while let Some(sending) = outbox.next(at(0)) {
            let sent = sending.bytes.len() as u64;
            outbox.acknowledged(outbox.acknowledged + sent);
            if texts(&sending).last().unwrap() == "b" {
                return;
            }
            assert!(sending.envelopes > 2, "a batch of bytes without bulk");
        }
        panic!("bulk was never sent");
    }

    #[test]
    fn no_more_is_on_its_way_than_the_window_until_it_is_acknowledged() {
        let mut outbox = outbox();
        for _ in 0..100 {
            push(&mut outbox, Lane::Bulk, vec![0; 32 * 1024]);
        }
        let mut sent = 0;
        while let Some(sending) = outbox.next(at(0)) {
            sent += sending.bytes.len() as u64;
        }
        assert!((WINDOW_BYTES..WINDOW_BYTES + 2 * BATCH_BYTES as u64).contains(&sent));
        assert!(!outbox.acknowledged(100), "the window is still closed");
        assert!(outbox.acknowledged(sent / 2));
        assert!(outbox.next(at(0)).is_some());
        // More than was sent opens it no further.
        outbox.acknowledged(u64::MAX);
        assert_eq!(outbox.acknowledged, outbox.sent);
    }

    #[test]
    fn a_closed_window_lets_heartbeats_and_answers_through() {
        let mut outbox = outbox();
        for _ in 0..100 {
            push(&mut outbox, Lane::Control, vec![0; 32 * 1024]);
        }
        while outbox.next(at(0)).is_some() {}
        let beat = Heartbeat {
            sent: 1,
            echo: 0,
            held: 0,
            silence: 0,
            is_leaving: false,
        };
        outbox.beat(beat);
        assert_eq!(items(&outbox.next(at(0)).unwrap()), [Item::Heartbeat(beat)]);
        assert!(!outbox.received(ACK_BYTES as usize - 1));
        assert!(outbox.next(at(0)).is_none());
        assert!(outbox.received(1));
        let answer = Bytes::from(outbox.next(at(0)).unwrap().bytes);
        let answer = Batch::parse(&answer).unwrap();
        assert_eq!((answer.received, answer.token), (ACK_BYTES, 7));
        assert!(outbox.next(at(0)).is_none());
    }

    #[test]
    fn addresses_go_before_mail_and_each_once() {
        let mut outbox = outbox();
        push(&mut outbox, Lane::Bulk, "mail");
        let told = |address: &str| Listening {
            life: Life {
                node: NodeId(3),
                incarnation: Incarnation(1),
            },
            address: address.into(),
        };
        outbox.tell(vec![told("old:1")]);
        outbox.tell(vec![told("new:1")]);
        let first = outbox.next(at(0)).unwrap();
        assert_eq!(items(&first), [Item::Listening(vec![told("new:1")])]);
        assert_eq!(texts(&outbox.next(at(0)).unwrap()), ["mail"]);
        assert!(outbox.next(at(0)).is_none());
    }

    #[test]
    fn what_overflows_is_dropped_and_told_when_the_other_side_reads_again() {
        let mut outbox = outbox();
        while push(&mut outbox, Lane::Bulk, vec![0; 32 * 1024]) {}
        assert!(outbox.queued_bytes() <= MAX);
        let mut told = 0;
        let mut batches = 0;
        while let Some(sending) = outbox.next(at(0)) {
            batches += 1;
            let is_told = items(&sending).contains(&Item::Missed);
            assert!(!is_told || batches >= 30, "told in batch {batches}");
            told += usize::from(is_told);
            outbox.acknowledged(outbox.sent);
        }
        assert_eq!(told, 1);
        push(&mut outbox, Lane::Bulk, "after");
        assert_eq!(texts(&outbox.next(at(9)).unwrap()), ["after"]);
    }

    #[test]
    fn who_never_catches_up_is_told_once_a_second() {
        let mut outbox = outbox();
        let mut told = 0;
        for tenth in 0..50 {
            let now = Duration::from_millis(100 * tenth);
            while outbox.push(Lane::Bulk, Channel::Mail, vec![0; 32 * 1024].into(), now) {}
            let sending = outbox.next(now).unwrap();
            told += usize::from(items(&sending).contains(&Item::Missed));
            outbox.acknowledged(outbox.sent);
        }
        assert_eq!(told, 4);
    }

    #[test]
    fn c04_a_message_larger_than_the_largest_is_dropped_not_sent() {
        let mut outbox = outbox();
        assert!(!push(
            &mut outbox,
            Lane::Bulk,
            vec![0; MESSAGE_BYTES_MAX + 1]
        ));
        assert_eq!(items(&outbox.next(at(0)).unwrap()), [Item::Missed]);
        assert!(push(&mut outbox, Lane::Bulk, vec![0; MESSAGE_BYTES_MAX]));
        let largest = outbox.next(at(0)).unwrap().bytes.len();
        assert!(largest < super::super::batch::FRAME_BYTES_MAX);
    }
}
