//! Stream Management: XEP-0198 version 1.6.3,
//! <https://xmpp.org/extensions/xep-0198.html>
//!
//! The counters of one session and what its client has not acknowledged, as plain data. What
//! is unacknowledged are ids of log entries wherever possible, not stanzas: an entry is read
//! from the log again when it has to be sent again.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::jid::BareJid;
use crate::routing::Share;
use crate::stanza::{Stanza, StreamCondition, StreamError, StreamErrorDetail};
use crate::xml::Element;

/// The namespace, and the stream feature that announces it.
pub const NS: &str = "urn:xmpp:sm:3";

/// So many stanzas may be unacknowledged before the session stops reading from its log:
/// what is in the log can wait there.
pub const UNACKED_ENTRIES_PAUSE: usize = 500;

/// So many may be unacknowledged at all: a client that asks for acknowledgements and gives
/// none is ended, its messages are in the log.
pub const UNACKED_MAX: usize = 2_000;

/// What a stanza takes besides its content, about.
const STANZA_BYTES: usize = 256;

/// The counters of a session with stream management.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sm {
    /// What the client resumes by; empty when it asked for no resumption.
    pub id: String,
    /// Stanzas of the client that have been handled for good (§4), modulo 2^32.
    handled: u32,
    /// Stanzas sent to the client, modulo 2^32.
    sent: u32,
    /// What it has not acknowledged, oldest first.
    unacked: VecDeque<Unacked>,
    /// What the stanzas among them take, about.
    unacked_bytes: usize,
    /// An acknowledgement has been asked for and not come yet.
    request_is_open: bool,
}

/// Something sent and not acknowledged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Unacked {
    /// An entry of the account's log.
    Entry {
        /// Its id.
        id: u64,
        /// How it was sent.
        share: Share,
    },
    /// An entry of a room's log.
    RoomEntry {
        /// The room.
        room: BareJid,
        /// Its id.
        id: u64,
    },
    /// A stanza that stands in no log.
    Stanza(Box<Stanza>),
    /// The refusal of something that was no stanza; it is not sent again.
    Refusal(Box<Element>),
}

impl Unacked {
    /// What it takes besides its place in the queue, about: an entry stands in the log.
    fn bytes(&self) -> usize {
        match self {
            Self::Entry { .. } | Self::RoomEntry { .. } => 0,
            Self::Stanza(stanza) => STANZA_BYTES + stanza.payloads().bytes().len(),
            Self::Refusal(_) => STANZA_BYTES,
        }
    }

    /// Tells whether it says that a message was refused.
    pub fn is_message_error(&self) -> bool {
        matches!(self, Self::Stanza(stanza) if stanza.is_message_error())
    }

    /// Tells whether somebody waits for its acknowledgement: the archive, or what the client
    /// has sent behind a message that was refused.
    fn is_awaited(&self) -> bool {
        match self {
            Self::Entry { .. } | Self::RoomEntry { .. } => true,
            Self::Stanza(_) => self.is_message_error(),
            Self::Refusal(_) => false,
        }
    }
}

impl Sm {
    /// Starts counting. `id` is empty when the client wants no resumption.
    pub fn new(id: String) -> Self {
        Self {
            id,
            handled: 0,
            sent: 0,
            unacked: VecDeque::new(),
            unacked_bytes: 0,
            request_is_open: false,
        }
    }

    /// Counters of a session whose node is gone: what the client has handled is what it was
    /// sent, as far as anybody knows, and what it has not comes from the logs again.
    pub fn revived(id: String, handled: u32, h: u32) -> Self {
        Self {
            handled,
            sent: h,
            ..Self::new(id)
        }
    }

    /// Tells whether the client may resume.
    pub fn is_resumable(&self) -> bool {
        !self.id.is_empty()
    }

    /// What has been handled of the client's stanzas.
    pub fn handled(&self) -> u32 {
        self.handled
    }

    /// A stanza of the client has been handled for good.
    pub fn count_handled(&mut self) {
        // §4: the counters wrap.
        self.handled = self.handled.wrapping_add(1);
    }

    /// A stanza is being sent.
    pub fn count_sent(&mut self, what: Unacked) {
        self.sent = self.sent.wrapping_add(1);
        self.unacked_bytes += what.bytes();
        self.unacked.push_back(what);
    }

    /// How much is unacknowledged.
    pub fn unacked_len(&self) -> usize {
        self.unacked.len()
    }

    /// What the unacknowledged stanzas take that stand in no log, about.
    pub fn unacked_bytes(&self) -> usize {
        self.unacked_bytes
    }

    /// The first entry of the account's log that has been written and not acknowledged.
    pub fn first_unacked_entry(&self) -> Option<u64> {
        let id = |unacked: &Unacked| match unacked {
            Unacked::Entry { id, .. } => Some(*id),
            _ => None,
        };
        self.unacked.iter().find_map(id)
    }

    /// The same for the log of a room.
    pub fn first_unacked_in_room(&self, room: &BareJid) -> Option<u64> {
        let id = |unacked: &Unacked| match unacked {
            Unacked::RoomEntry { room: of, id } if of == room => Some(*id),
            _ => None,
        };
        self.unacked.iter().find_map(id)
    }

    /// What is unacknowledged, oldest first.
    pub fn unacked(&self) -> impl Iterator<Item = &Unacked> {
        self.unacked.iter()
    }

    /// Takes what is unacknowledged out, to send it again; the counter goes back to where
    /// the client stands (§5).
    pub fn take_unacked(&mut self) -> VecDeque<Unacked> {
        self.sent = self.sent.wrapping_sub(self.unacked.len() as u32);
        self.request_is_open = false;
        self.unacked_bytes = 0;
        std::mem::take(&mut self.unacked)
    }

    /// The client has handled so many; what that acknowledges is answered.
    ///
    /// # Errors
    /// §6: a client that acknowledges more than it was sent is told so and ended.
    pub fn acknowledge(&mut self, h: u32) -> Result<Vec<Unacked>, StreamError> {
        self.request_is_open = false;
        let acked_before = self.sent.wrapping_sub(self.unacked.len() as u32);
        let count = h.wrapping_sub(acked_before) as usize;
        if count > self.unacked.len() {
            return Err(handled_count_too_high(h, self.sent));
        }
        let acked: Vec<Unacked> = self.unacked.drain(..count).collect();
        self.unacked_bytes -= acked.iter().map(Unacked::bytes).sum::<usize>();
        if self.unacked.is_empty() {
            // An idle session holds no memory for a queue it had once.
            self.unacked = VecDeque::new();
        }
        Ok(acked)
    }

    /// Tells whether to ask for an acknowledgement now, and remembers that it was.
    pub fn wants_ack(&mut self, urgent: bool) -> bool {
        // A request behind each message lets its delivery be known at once; what is less
        // urgent is asked for every ten stanzas, so that phones sleep.
        let wanted = !self.request_is_open && (urgent || self.unacked.len() >= 10);
        self.request_is_open |= wanted;
        wanted
    }

    /// The same behind an acknowledgement that has come: what was sent while it was on its
    /// way is not covered by it, and perhaps nothing is sent that would ask for it.
    pub fn wants_another_ack(&mut self) -> bool {
        let is_urgent = self.unacked.iter().any(Unacked::is_awaited);
        !self.unacked.is_empty() && self.wants_ack(is_urgent)
    }
}

/// `<r/>`: asks for an acknowledgement (§4).
pub fn request() -> Element {
    Element::new("r", NS)
}

/// `<a h/>`: acknowledges (§4).
pub fn answer(h: u32) -> Element {
    Element::new("a", NS).attr("h", h.to_string())
}

/// `<enabled/>` (§3), with the time for which a lost session is kept, in seconds.
pub fn enabled(sm: &Sm, resume_seconds: u64) -> Element {
    let element = Element::new("enabled", NS);
    if !sm.is_resumable() {
        return element;
    }
    element
        .attr("resume", "true")
        .attr("id", sm.id.clone())
        .attr("max", resume_seconds.to_string())
}

/// `<failed/>` with a stanza error condition (§3, §5).
pub fn failed(condition: &'static str, h: Option<u32>) -> Element {
    let failed = Element::new("failed", NS).child(Element::new(condition, crate::ns::STANZAS));
    match h {
        Some(h) => failed.attr("h", h.to_string()),
        None => failed,
    }
}

/// Reads the `h` of `<a/>` or `<resume/>`: a number of 32 bits, nothing else (row X20).
pub fn parse_h(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// Tells whether a counter is behind another (§4: they wrap).
pub fn is_before(h: u32, other: u32) -> bool {
    h != other && other.wrapping_sub(h) < 1 << 31
}

/// §6: the application-specific condition for an `h` beyond what was sent.
fn handled_count_too_high(h: u32, sent: u32) -> StreamError {
    StreamError::new(StreamCondition::UndefinedCondition)
        .with_detail(StreamErrorDetail::HandledCountTooHigh { h, sent })
        .with_text(format!("acknowledged {h} stanzas, only {sent} were sent"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_compared_across_their_end() {
        assert!(is_before(1, 2) && !is_before(2, 1) && !is_before(2, 2));
        assert!(is_before(u32::MAX, 0) && !is_before(0, u32::MAX));
    }

    fn entry(id: u64) -> Unacked {
        Unacked::Entry {
            id,
            share: Share::Addressed,
        }
    }

    fn with_sent(count: u64) -> Sm {
        let mut sm = Sm::new("id".into());
        (1..=count).for_each(|id| sm.count_sent(entry(id)));
        sm
    }

    #[test]
    fn an_acknowledgement_takes_what_it_covers_and_no_more() {
        let mut sm = with_sent(3);
        assert_eq!(sm.acknowledge(2).unwrap(), vec![entry(1), entry(2)]);
        assert_eq!(sm.acknowledge(2).unwrap(), vec![]);
        assert_eq!(sm.acknowledge(3).unwrap(), vec![entry(3)]);
    }

    #[test]
    fn acknowledging_more_than_was_sent_ends_the_stream() {
        assert!(with_sent(3).acknowledge(4).is_err());
        assert!(with_sent(3).acknowledge(u32::MAX).is_err());
    }

    #[test]
    fn client_that_acknowledges_too_much_is_told_both_counts() {
        let mut written = Vec::new();
        let error = with_sent(3).acknowledge(4).unwrap_err();
        error.write(&mut written);
        assert_eq!(
            String::from_utf8(written).unwrap(),
            "<stream:error>\
             <undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
             <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>\
             acknowledged 4 stanzas, only 3 were sent</text>\
             <handled-count-too-high xmlns='urn:xmpp:sm:3' h='4' send-count='3'/>\
             </stream:error>"
        );
    }

    #[test]
    fn the_counters_wrap_at_two_to_the_thirty_two() {
        let mut sm = with_sent(0);
        sm.sent = u32::MAX - 1;
        (1..=4).for_each(|id| sm.count_sent(entry(id)));
        assert_eq!(sm.acknowledge(u32::MAX).unwrap(), vec![entry(1)]);
        assert_eq!(
            sm.acknowledge(2).unwrap(),
            vec![entry(2), entry(3), entry(4)]
        );
    }

    #[test]
    fn only_what_stands_in_no_log_takes_memory() {
        let mut sm = with_sent(3);
        assert_eq!(sm.unacked_bytes(), 0);
        let presence = crate::testkit::stanza("<presence><status>here</status></presence>");
        sm.count_sent(Unacked::Stanza(Box::new(presence)));
        let one = sm.unacked_bytes();
        assert!(one > STANZA_BYTES);
        let again = sm.take_unacked();
        assert_eq!(sm.unacked_bytes(), 0);
        again.into_iter().for_each(|what| sm.count_sent(what));
        assert_eq!(sm.unacked_bytes(), one);
        sm.acknowledge(4).unwrap();
        assert_eq!(sm.unacked_bytes(), 0);
    }

    #[test]
    fn what_is_sent_again_is_counted_again() {
        let mut sm = with_sent(5);
        sm.acknowledge(2).unwrap();
        let again = sm.take_unacked();
        again.into_iter().for_each(|what| sm.count_sent(what));
        assert_eq!(sm.acknowledge(5).unwrap().len(), 3);
    }

    #[test]
    fn one_request_is_open_at_a_time() {
        let mut sm = with_sent(1);
        assert!(sm.wants_ack(true));
        assert!(!sm.wants_ack(true));
        sm.acknowledge(1).unwrap();
        assert!(sm.wants_ack(true));
    }

    #[test]
    fn what_was_sent_while_an_acknowledgement_was_on_its_way_is_asked_for() {
        let mut sm = with_sent(1);
        assert!(sm.wants_ack(true));
        (2..=3).for_each(|id| sm.count_sent(entry(id)));
        assert!(!sm.wants_ack(true));
        sm.acknowledge(1).unwrap();
        assert!(sm.wants_another_ack());
        sm.acknowledge(3).unwrap();
        assert!(!sm.wants_another_ack());
    }

    #[test]
    fn a_refusal_sent_while_an_acknowledgement_was_on_its_way_is_asked_for() {
        let mut sm = with_sent(1);
        assert!(sm.wants_ack(true));
        for xml in ["<message type='chat'/>", "<message type='error'/>"] {
            let stanza = crate::testkit::stanza(xml);
            sm.count_sent(Unacked::Stanza(Box::new(stanza)));
        }
        sm.acknowledge(1).unwrap();
        assert!(sm.wants_another_ack());
        sm.count_sent(Unacked::Stanza(Box::new(crate::testkit::stanza(
            "<message type='chat'/>",
        ))));
        sm.acknowledge(3).unwrap();
        assert!(!sm.wants_another_ack());
    }

    #[test]
    fn x20_an_h_that_is_no_number_of_32_bits_is_none() {
        for text in [
            "",
            "-1",
            "+1",
            "4294967296",
            "1e3",
            " 1",
            "18446744073709551616",
        ] {
            assert_eq!(parse_h(text), None, "{text:?}");
        }
        assert_eq!(parse_h("4294967295"), Some(u32::MAX));
    }
}
