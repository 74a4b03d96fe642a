//! What stands in logs and waits there while the client is in the background (XEP-0352
//! version 1.0.0). [`csi`](klatsch_protocol::features::csi) says what may wait; here is for how
//! long. Nothing is copied: while a session dozes it takes no entries, its cursors stay, and
//! when it wakes it reads on from them, so that the order of messages is that of the log.

use std::time::Duration;

use tokio::time::Instant;

use super::{Connection, Live};

/// A room that is busy without a mention is shown within this time: long enough to spare the
/// radio, short enough that somebody who looks at the phone sees what others see.
const DOZE_MAX: Duration = Duration::from_secs(300);

/// Whether entries wait, since when, and how many.
#[derive(Debug, Default)]
pub(super) struct Doze {
    since: Option<Instant>,
    count: usize,
}

impl Doze {
    /// Tells whether entries may be taken.
    pub(super) fn is_awake(&self) -> bool {
        self.since.is_none()
    }
}

impl Live {
    /// An entry is there that may wait, or one that may not.
    pub(super) fn doze_or_wake(&mut self, may_wait: bool) {
        if !self.session.facts.inactive || !matches!(self.connection, Connection::Here(_)) {
            return;
        }
        self.doze.count += 1;
        if may_wait && self.doze.count < self.world.settings.held_stanzas_max {
            self.doze.since.get_or_insert_with(Instant::now);
        } else {
            self.wake();
        }
    }

    /// Wakes a session that has dozed for long, or that has missed a hint: what it missed may
    /// be what it would have been woken for.
    pub(super) fn wake_in_time(&mut self, has_missed: bool) {
        let Some(since) = self.doze.since else { return };
        if has_missed || since.elapsed() >= DOZE_MAX {
            self.wake();
        }
    }

    /// Everything that has waited goes to the client.
    pub(super) fn wake(&mut self) {
        let dozed = std::mem::take(&mut self.doze);
        self.release_held();
        if dozed.since.is_some() {
            self.go_on_reading();
        }
    }
}
