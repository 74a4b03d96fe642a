//! The account's log as this session reads it: hints of new entries, and pages of what it has missed.

use klatsch_protocol::archive::{Direction, Entry};
use klatsch_protocol::effect::Effect;
use klatsch_protocol::facts::Views;
use klatsch_protocol::features::{csi, muc};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::pipeline;
use klatsch_protocol::routing::{self, Share};
use klatsch_protocol::stanza::{StreamCondition, StreamError};
use klatsch_protocol::stream::sm::{self, Unacked};
use klatsch_store::StoreError;
use tokio::time::Instant;

use super::cursor::Hint;
use super::{Connection, LAG_MAX, Live, Pull, SessionMsg};
use crate::mail::Committed;
use crate::metrics;
use crate::router::patiently;

/// The session reads on from its log while the connection has less than this queued, bytes:
/// about what a slow link takes in a second.
const QUEUED_PAUSE: usize = 32 * 1024;

/// So many entries are read from the log at once.
pub(super) const PAGE: u32 = 50;

impl Live {
    /// Takes a hint: an entry has been committed to the account's log.
    pub(super) fn take_hint(&mut self, committed: &Committed, share: Share) {
        let share = self.share_for_me(committed, share);
        if share != Share::Nothing {
            self.doze_or_wake(csi::entry_waits(&committed.message, share));
        }
        let can_take = self.can_take_entries() && self.pull == Pull::Idle;
        match self.session.cursor.hint(committed.id, can_take) {
            Hint::Next => self.deliver_entry(committed, share),
            Hint::Known => {}
            Hint::Missing => self.go_on_reading(),
        }
    }

    /// Hears where the log ends; it may have missed hints.
    pub(super) fn take_tail(&mut self, head: u64) {
        if self.batch.is_overdue() {
            self.end(Some(StreamError::new(StreamCondition::InternalServerError)));
            return;
        }
        self.wake_in_time(head > self.session.cursor.tail());
        self.session.cursor.hear_tail(head);
        if !self.keeps_up(Instant::now()) {
            let error = StreamError::new(StreamCondition::PolicyViolation);
            self.end(Some(error.with_text("too far behind")));
            return;
        }
        self.go_on_reading();
        self.schedule_tail_check();
    }

    /// Tells whether the client has everything, or has had it not too long ago.
    fn keeps_up(&mut self, now: Instant) -> bool {
        let unacked = self.session.sm.as_ref().map_or(0, |sm| sm.unacked_len());
        if unacked == 0 && !self.session.cursor.is_behind() {
            self.caught_up = now;
        }
        now.duration_since(self.caught_up) < LAG_MAX
    }

    pub(super) fn can_take_entries(&self) -> bool {
        let Connection::Here(sink) = &self.connection else {
            return false;
        };
        let unacked = self.session.sm.as_ref().map_or(0, |sm| sm.unacked_len());
        self.doze.is_awake()
            && !self.is_appearing
            && sink.queued() < QUEUED_PAUSE
            && unacked < sm::UNACKED_ENTRIES_PAUSE
    }

    /// Reads on from the log, if there is something and the client can take it.
    pub(super) fn go_on_reading(&mut self) {
        self.go_on_showing_contacts();
        self.go_on_reading_rooms();
        let behind = self.session.cursor.is_behind();
        if !behind || self.pull == Pull::UnderWay || !self.can_take_entries() {
            return;
        }
        self.pull = Pull::UnderWay;
        metrics::log_read();
        let (world, slot) = (self.world.clone(), self.slot);
        let (account, after) = (self.cell.jid.clone(), self.session.cursor.position());
        tokio::spawn(async move {
            let page = patiently(world.store.entries(&account, after, PAGE)).await;
            world.directory.slots.send(slot, SessionMsg::Pulled(page));
        });
    }

    /// The next entries of the log have come.
    pub(super) fn pulled(&mut self, page: Result<Vec<Entry>, StoreError>) {
        self.pull = Pull::Idle;
        if !matches!(self.connection, Connection::Here(_)) {
            return;
        }
        match page {
            Ok(entries) if entries.is_empty() => self.session.cursor.settle(),
            Ok(entries) => {
                for entry in entries {
                    self.take_entry(&entry);
                }
                self.go_on_reading();
            }
            // The next look at the tail tries again.
            Err(error) => tracing::warn!(%error, "the log cannot be read"),
        }
    }

    fn take_entry(&mut self, entry: &Entry) {
        if self.has_ended || !self.session.cursor.take(entry.id) {
            return;
        }
        let Some(committed) = Committed::from_entry(entry) else {
            tracing::error!(id = entry.id, "an entry of the log is no message");
            return;
        };
        let share = if self.session.cursor.is_late(entry.id) {
            routing::share_of_waiting(&committed.message, committed.direction)
        } else {
            let share = self
                .world
                .directory
                .share_of(&committed, &self.session.facts.jid);
            self.share_for_me(&committed, share)
        };
        self.deliver_entry(&committed, share);
    }

    /// The session alone knows in which rooms it is: what goes to occupants of these. And what it
    /// shows, before others see it where it has just come to.
    fn share_for_me(&self, committed: &Committed, share: Share) -> Share {
        let share = match share {
            Share::Nothing => self.share_of_unseen(committed),
            share => share,
        };
        let Committed {
            message, direction, ..
        } = committed;
        let is_inside = |room: &BareJid| self.session.rooms.contains_key(room);
        let data = self.cell.data();
        let facts = self
            .world
            .facts(&self.cell.jid, &data, Some(&self.session.facts));
        muc::share_of_private(message, *direction, is_inside, &facts).unwrap_or(share)
    }

    /// What a session gets that is not seen yet as what it is.
    fn share_of_unseen(&self, committed: &Committed) -> Share {
        let view = self.world.directory.view(&self.cell.jid);
        let seen = view.resource(&self.session.facts.jid);
        let is_seen = seen.is_some_and(|it| it.presence.is_some());
        if is_seen || self.session.facts.presence.is_none() {
            return Share::Nothing;
        }
        let me = self.session.resource(&self.cell, false);
        routing::share(&committed.message, committed.direction, &me, &view)
    }

    fn deliver_entry(&mut self, committed: &Committed, share: Share) {
        let id = committed.id;
        if share == Share::Nothing {
            self.pass_over(committed);
            return;
        }
        let data = self.cell.data();
        let facts = self
            .world
            .facts(&self.cell.jid, &data, Some(&self.session.facts));
        let effects =
            pipeline::decide_entry(id, committed.stamp, &committed.message, share, &facts);
        for effect in effects {
            match effect {
                Effect::Reply(stanza) => {
                    let unacked = self
                        .session
                        .sm
                        .is_some()
                        .then_some(Unacked::Entry { id, share });
                    self.write(&stanza, unacked);
                    if self.session.sm.is_none() {
                        // Without stream management, written is as much as can be known.
                        self.note_delivery(id, share);
                    }
                }
                other => self.perform_delivery(other),
            }
        }
    }

    /// What the account has sent itself needs no delivery, so the delivery cursor need not
    /// stop at it.
    fn pass_over(&self, committed: &Committed) {
        let id = committed.id;
        if committed.direction == Direction::Sent && self.cell.delivered() + 1 == id {
            self.world.accounts.delivered(&self.cell, id);
        }
    }

    pub(super) fn note_delivery(&self, id: u64, share: Share) {
        if matches!(share, Share::Addressed | Share::Late) {
            self.world.accounts.delivered(&self.cell, id);
        }
    }
}
