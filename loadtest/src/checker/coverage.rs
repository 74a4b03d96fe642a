//! How much happened in a history, without judging it.

/// How much happened. A run without faults that hit something proves nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Coverage {
    /// Messages sent.
    pub(crate) invoked: u64,
    /// Messages acknowledged.
    pub(crate) acked: u64,
    /// Messages refused.
    pub(crate) failed: u64,
    /// Messages without an answer.
    pub(crate) unknown: u64,
    /// Messages sent again.
    pub(crate) resent: u64,
    /// Arrivals at sessions.
    pub(crate) received: u64,
    /// Arrivals of what the account had received before.
    pub(crate) redelivered: u64,
    /// Lines of archives read.
    pub(crate) archived: u64,
    /// Lines of archives that are of no message of this run.
    pub(crate) foreign: u64,
    /// Times the server was killed.
    pub(crate) kills: u64,
    /// Times the server was stopped as an operator stops it.
    pub(crate) stops: u64,
    /// Times the disk was filled.
    pub(crate) fills: u64,
    /// Faults of experiments.
    pub(crate) faults: u64,
    /// Faults that came with messages in flight.
    pub(crate) faults_that_hit: u64,
    /// Messages that were in flight at faults.
    pub(crate) hit: u64,
    /// Sessions resumed.
    pub(crate) resumed: u64,
    /// Sessions the server knew no more.
    pub(crate) not_resumed: u64,
    /// Of both, those that came between a stop and the next kill: a session that can be resumed
    /// gets over a stop.
    pub(crate) resumed_after_stop: u64,
    /// See there.
    pub(crate) not_resumed_after_stop: u64,
    /// The last fault that took the server away was a stop.
    pub(super) was_stopped: bool,
    /// Connections dropped by clients.
    pub(crate) dropped: u64,
    /// Acknowledged messages that no session of the addressee received live.
    pub(crate) not_live: u64,
}

impl Coverage {
    pub(super) fn fault(&mut self, in_flight: u64) {
        self.faults_that_hit += u64::from(in_flight > 0);
        self.hit += in_flight;
    }

    /// What must have happened, but did not.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let needed = [
            (
                self.kills + self.stops + self.fills + self.faults,
                "no fault happened",
            ),
            (self.faults_that_hit, "no fault hit a message in flight"),
            (self.acked, "nothing was acknowledged"),
            (self.received, "nothing was delivered"),
            (self.archived, "no archive had anything"),
            // A full disk alone is answered with refusals; a kill is not.
            (
                self.resent + self.failed,
                "nothing was sent again, nothing refused",
            ),
        ];
        needed
            .into_iter()
            .filter(|(count, _)| *count == 0)
            .map(|(_, what)| what)
            .collect()
    }
}
