//! A client that has a session, however its frames travel.

use std::sync::Arc;

use klatsch_actors::strain::Strain;

use super::line::Line;
use crate::hold::Hold;
use crate::pace::Pace;

/// What its connection has.
pub(super) struct Client {
    pub(super) line: Arc<Line>,
    pub(super) _on_topics: OnTopics,
    pub(super) hold: Hold,
    pub(super) pace: Option<Box<Pace>>,
    pub(super) strain: Arc<Strain>,
}

/// A client's hold on the topics of apps that it is on, which ends however its connection does.
pub(super) struct OnTopics(pub(super) Arc<Line>);

impl Drop for OnTopics {
    fn drop(&mut self) {
        self.0.leave_topics();
    }
}

impl Client {
    /// The client has sent something of so many bytes.
    pub(super) fn count(&mut self, bytes: usize) {
        if let Some(pace) = &mut self.pace {
            pace.count_bytes(bytes);
            // Each frame costs an answer, whatever it is.
            pace.count_stanza();
        }
    }
}
