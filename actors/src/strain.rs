//! How strained this node is: what waits in memory for clients and from them, how full memory
//! and disk are, and what follows from it.
//!
//! Counting is everybody's, judging is [`governor`]'s; who measures memory and disk sits above
//! and says here what it found. A node that is not strained pays for it with a counter where
//! bytes really wait, and a load where somebody may be held back.

pub mod governor;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

pub use governor::{Governor, Level, Memory};

/// How long a reader rests before each read while the node is short of memory: a client is then
/// read at 160 KiB a second at most, and what it sent before is dealt with meanwhile.
pub const READER_REST: Duration = Duration::from_millis(100);

/// What bytes wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// A client that reads slowly.
    Outbound,
    /// The server, which has not dealt yet with what a client sent.
    Inbound,
    /// An acknowledgement, or a client that is away (XEP-0198): it is sent again on a resumption.
    Resume,
}

impl Queue {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Outbound, Self::Inbound, Self::Resume];

    /// The metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Outbound => "outbound",
            Self::Inbound => "inbound",
            Self::Resume => "resume",
        }
    }
}

/// The state of a node, shared by everybody on it.
#[derive(Default)]
pub struct Strain {
    // One cache line each: senders and readers of different clients must not meet here.
    queued: [Counter; Queue::ALL.len()],
    level: AtomicU8,
    holds_readers_back: AtomicBool,
    disk_is_low: AtomicBool,
}

#[derive(Default)]
#[repr(align(64))]
struct Counter(AtomicUsize);

impl Strain {
    /// Bytes that wait in a kind of queue, on the whole node.
    pub fn queued(&self, queue: Queue) -> usize {
        self.queued[queue as usize].0.load(Ordering::Relaxed)
    }

    /// Bytes that wait in all queues.
    pub fn queued_in_all(&self) -> usize {
        Queue::ALL.iter().map(|queue| self.queued(*queue)).sum()
    }

    /// How short of memory the node is.
    pub fn level(&self) -> Level {
        Level::of(self.level.load(Ordering::Relaxed))
    }

    /// Says what the governor found.
    pub fn set_level(&self, level: Level, holds_readers_back: bool) {
        self.level.store(level as u8, Ordering::Relaxed);
        self.holds_readers_back
            .store(holds_readers_back, Ordering::Relaxed);
    }

    /// Tells whether new sessions are refused.
    pub fn refuses_sessions(&self) -> bool {
        self.level() >= Level::Scarce
    }

    /// How long the last bytes may wait for a client that closes or is closed: so long usually,
    /// and hardly at all while the node is short of memory.
    pub fn closing_patience(&self, usual: Duration) -> Duration {
        match self.refuses_sessions() {
            true => usual.min(READER_REST),
            false => usual,
        }
    }

    /// How long a reader rests before it reads on, if it must.
    pub fn reader_rest(&self) -> Option<Duration> {
        self.holds_readers_back
            .load(Ordering::Relaxed)
            .then_some(READER_REST)
    }

    /// Tells whether the disk is too full for messages (row C13).
    pub fn disk_is_low(&self) -> bool {
        self.disk_is_low.load(Ordering::Relaxed)
    }

    /// Says that the disk is too full for messages, or no longer.
    pub fn set_disk_is_low(&self, is_low: bool) {
        self.disk_is_low.store(is_low, Ordering::Relaxed);
    }
}

/// One owner's part of what waits; it goes with its owner.
pub struct Charge {
    strain: Arc<Strain>,
    queue: Queue,
    bytes: usize,
}

impl Charge {
    /// Nothing yet.
    pub fn new(strain: Arc<Strain>, queue: Queue) -> Self {
        let bytes = 0;
        Self {
            strain,
            queue,
            bytes,
        }
    }

    /// So much waits now. Costs a comparison as long as nothing changes.
    pub fn set(&mut self, bytes: usize) {
        let counter = &self.strain.queued[self.queue as usize].0;
        if bytes > self.bytes {
            counter.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else if bytes < self.bytes {
            counter.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }

    /// What waits.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_knows_the_sum_of_what_waits() {
        let strain = Arc::new(Strain::default());
        let mut one = Charge::new(Arc::clone(&strain), Queue::Outbound);
        let mut other = Charge::new(Arc::clone(&strain), Queue::Outbound);
        let mut third = Charge::new(Arc::clone(&strain), Queue::Resume);
        one.set(100);
        other.set(50);
        third.set(7);
        one.set(30);
        assert_eq!(strain.queued(Queue::Outbound), 80);
        assert_eq!(strain.queued_in_all(), 87);
        drop(one);
        assert_eq!(strain.queued(Queue::Outbound), 50);
        drop((other, third));
        assert_eq!(strain.queued_in_all(), 0);
    }
}
