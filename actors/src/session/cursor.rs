//! How far a session has read its account's log.
//!
//! Hints say that an entry exists; they may be lost, repeated or late. The next id is
//! delivered, a known id is dropped, a gap is read from the log. So a session that keeps its
//! connection misses nothing, whatever becomes of the hints (D4).

use serde::{Deserialize, Serialize};

/// How far a session has read its account's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The id it waits for.
    next: u64,
    /// The largest id it has heard of.
    tail: u64,
    /// Entries up to this one were there before the session could take them: they are late.
    late_until: u64,
}

/// What to do with a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// It is the next entry: deliver it.
    Next,
    /// It has been seen.
    Known,
    /// Entries before it are missing, or cannot be taken now: read them from the log.
    Missing,
}

impl Cursor {
    /// Of a session bound when the log ended here: what comes behind is for it.
    pub fn at(head: u64) -> Self {
        Self {
            next: head + 1,
            tail: head,
            late_until: 0,
        }
    }

    /// Takes a hint; `can_take` says whether the client can take an entry now.
    pub fn hint(&mut self, id: u64, can_take: bool) -> Hint {
        self.tail = self.tail.max(id);
        if id < self.next {
            Hint::Known
        } else if id == self.next && can_take {
            self.next += 1;
            Hint::Next
        } else {
            Hint::Missing
        }
    }

    /// Hears where the log ends.
    pub fn hear_tail(&mut self, head: u64) {
        self.tail = self.tail.max(head);
    }

    /// Takes an entry read from the log; false when it has been seen meanwhile.
    pub fn take(&mut self, id: u64) -> bool {
        let is_new = id >= self.next;
        if is_new {
            self.next = id + 1;
            self.tail = self.tail.max(id);
        }
        is_new
    }

    /// Tells whether entries are known to be waiting in the log.
    pub fn is_behind(&self) -> bool {
        self.next <= self.tail
    }

    /// The last entry heard of.
    pub fn tail(&self) -> u64 {
        self.tail
    }

    /// The last entry taken.
    pub fn position(&self) -> u64 {
        self.next - 1
    }

    /// Goes back to what the account has not taken delivery of: the client is there now.
    /// What was committed so far counts as late.
    pub fn go_back_to(&mut self, delivered: u64) {
        if delivered < self.position() {
            self.late_until = self.position();
            self.next = delivered + 1;
        }
    }

    /// A room has shown what was said until an entry to one who has entered. Whoever enters once
    /// more has not taken all of it, perhaps: a question that was long on its way is answered
    /// with what was said meanwhile, too.
    pub fn catch_up(&mut self, id: u64) {
        self.tail = self.tail.max(id);
        self.next = self.next.min(id + 1);
    }

    /// Goes back to an entry that was sent and not acknowledged: it is sent again.
    pub fn rewind_to(&mut self, id: u64) {
        self.next = self.next.min(id);
    }

    /// Tells whether this entry was there before the session could take it.
    pub fn is_late(&self, id: u64) -> bool {
        id <= self.late_until
    }

    /// The log turned out to end earlier than was heard, as after a restore: waits for what
    /// comes next.
    pub fn settle(&mut self) {
        self.tail = self.position();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_entry_is_delivered_and_a_known_one_dropped() {
        let mut cursor = Cursor::at(4);
        assert_eq!(cursor.hint(4, true), Hint::Known);
        assert_eq!(cursor.hint(5, true), Hint::Next);
        assert_eq!(cursor.hint(5, true), Hint::Known);
        assert!(!cursor.is_behind());
    }

    #[test]
    fn a_gap_is_read_from_the_log() {
        let mut cursor = Cursor::at(4);
        assert_eq!(cursor.hint(7, true), Hint::Missing);
        assert!(cursor.is_behind());
        assert!(cursor.take(5) && cursor.take(6) && cursor.take(7));
        assert!(!cursor.is_behind());
        assert_eq!(cursor.hint(7, true), Hint::Known);
    }

    #[test]
    fn who_enters_a_room_once_more_skips_nothing_that_was_not_taken() {
        let mut cursor = Cursor::at(402);
        cursor.catch_up(404);
        assert!(cursor.is_behind());
        assert!(cursor.take(403) && cursor.take(404));
        assert!(!cursor.is_behind());
        cursor.catch_up(404);
        assert_eq!(cursor.hint(405, true), Hint::Next);
    }

    #[test]
    fn what_was_heard_before_history_was_shown_hides_nothing_behind_the_history() {
        let mut cursor = Cursor::at(6);
        assert_eq!(cursor.hint(7, true), Hint::Next);
        cursor.catch_up(5);
        assert_eq!(cursor.position(), 5);
        assert!(cursor.is_behind());
    }

    #[test]
    fn what_the_client_cannot_take_waits_in_the_log() {
        let mut cursor = Cursor::at(0);
        assert_eq!(cursor.hint(1, false), Hint::Missing);
        assert_eq!(cursor.hint(2, true), Hint::Missing);
        assert_eq!(cursor.position(), 0);
        assert!(cursor.take(1) && cursor.take(2) && !cursor.take(2));
    }

    #[test]
    fn a_tail_heard_without_hints_is_behind() {
        let mut cursor = Cursor::at(2);
        cursor.hear_tail(2);
        assert!(!cursor.is_behind());
        cursor.hear_tail(3);
        assert!(cursor.is_behind());
    }

    #[test]
    fn what_waited_before_the_session_is_late_and_what_comes_after_is_not() {
        let mut cursor = Cursor::at(10);
        cursor.go_back_to(7);
        assert!(cursor.is_behind());
        assert!(cursor.is_late(8) && cursor.is_late(10) && !cursor.is_late(11));
        cursor.go_back_to(100);
        assert_eq!(cursor.position(), 7);
    }
}
