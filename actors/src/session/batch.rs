//! Messages that a session gives to the log writer, many at a time, and what becomes of them.

use std::sync::Arc;

use klatsch_protocol::effect::{DedupKey, Keep};
use klatsch_protocol::stanza::{Message, Stanza, StreamCondition, StreamError};
use klatsch_store::Dedup;
use tokio::time::{Duration, Instant};
use xxhash_rust::xxh3::xxh3_128;

use super::Live;
use crate::log_writer::{Job, LogWriterMsg, Outcome, payload_hash};
use crate::sessions::Credit;

/// Messages that are committed together.
#[derive(Default)]
pub(super) struct Batch {
    number: u64,
    jobs: Vec<Job>,
    kept: Vec<Kept>,
    in_flight_since: Option<Instant>,
}

/// What is settled with a batch, in the order in which the client sent it.
enum Kept {
    Message(Arc<Stanza>, Credit),
    /// Answered behind the messages before it: many clients ask after every one of them, and
    /// that must not make a batch of each.
    AckRequest,
}

/// A commit with no answer for so long has none to come: the log writer gives up after 30 s.
const COMMIT_PATIENCE: Duration = Duration::from_secs(40);

impl Batch {
    /// Tells whether it is with the log writer.
    pub(super) fn is_in_flight(&self) -> bool {
        self.in_flight_since.is_some()
    }

    /// Tells whether no message waits in it.
    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// The client asks what has been handled, behind these messages.
    pub(super) fn note_ack_request(&mut self) {
        self.kept.push(Kept::AckRequest);
    }

    /// Tells whether the log writer owes an answer for longer than it may.
    pub(super) fn is_overdue(&self) -> bool {
        self.in_flight_since
            .is_some_and(|since| since.elapsed() > COMMIT_PATIENCE)
    }
}

impl Live {
    /// A message is to be kept, with those before it.
    pub(super) fn batch_up(&mut self, keep: Keep, stanza: Arc<Stanza>, credit: Credit) {
        let Keep {
            message,
            recipient,
            are_colleagues,
            dedup,
        } = keep;
        let dedup = self.dedup(&message, &dedup);
        let sender = self.cell.jid.clone();
        self.batch.jobs.push(Job {
            sender,
            recipient,
            are_colleagues,
            message,
            dedup,
        });
        self.batch.kept.push(Kept::Message(stanza, credit));
    }

    /// The key by which the store recognises a replay (D2).
    fn dedup(&self, message: &Message, key: &DedupKey) -> Dedup {
        let payload = payload_hash(message);
        let account = self.cell.jid.as_str();
        let text = match key {
            DedupKey::Origin(id) => format!("origin\0{account}\0{id}"),
            DedupKey::Stanza(id) => format!("stanza\0{account}\0{id}\0{payload}"),
            DedupKey::Counted => self.counted_key(),
        };
        Dedup {
            key: xxh3_128(text.as_bytes()).to_be_bytes(),
            payload,
        }
    }

    /// Without any id the place in the session tells a stanza: a client that resumes sends
    /// what was not acknowledged again, and it gets the same place.
    pub(super) fn counted_key(&self) -> String {
        let place = self.batch.jobs.len() as u32;
        match &self.session.sm {
            Some(sm) if sm.is_resumable() => {
                format!("counted\0{}\0{}", sm.id, sm.handled().wrapping_add(place))
            }
            // Nobody can send it again but by sending another message.
            _ => format!("once\0{}", crate::sessions::random_id()),
        }
    }

    /// What has been gathered goes to the log writer.
    pub(super) fn send_batch(&mut self) {
        self.batch.number += 1;
        self.batch.in_flight_since = Some(Instant::now());
        let jobs = std::mem::take(&mut self.batch.jobs);
        let count = jobs.len();
        let append = LogWriterMsg::Append {
            slot: self.slot,
            batch: self.batch.number,
            jobs,
        };
        if self.world.log_writer().cast(append).is_err() {
            // It is being started again; it has not seen this batch.
            self.appended(self.batch.number, vec![Outcome::Refused; count]);
        }
    }

    /// A batch has been committed or refused: acknowledge it.
    pub(super) fn appended(&mut self, number: u64, outcomes: Vec<Outcome>) {
        if number != self.batch.number || !self.batch.is_in_flight() {
            return;
        }
        self.batch.in_flight_since = None;
        let kept = std::mem::take(&mut self.batch.kept);
        let mut outcomes = outcomes.into_iter();
        for kept in kept {
            match kept {
                Kept::AckRequest => self.answer_ack_request(),
                Kept::Message(stanza, credit) => {
                    // One answer for each job; what is missing was certainly not kept.
                    let outcome = outcomes.next().unwrap_or(Outcome::Refused);
                    self.settle(&stanza, outcome);
                    drop(credit);
                }
            }
        }
        self.drive();
    }

    /// D1: the sender is acknowledged now, and only now. D5: a refusal is said.
    fn settle(&mut self, stanza: &Stanza, outcome: Outcome) {
        if outcome == Outcome::Uncertain {
            // The client's replay settles it.
            self.end(Some(StreamError::new(StreamCondition::InternalServerError)));
            return;
        }
        let refusal = outcome.refusal();
        if let Some(reply) = refusal.and_then(|error| stanza.error_reply(&error)) {
            self.hand_over(reply);
        }
        if outcome == Outcome::Refused {
            self.note_refusal(stanza);
        }
        self.count_handled();
    }
}
