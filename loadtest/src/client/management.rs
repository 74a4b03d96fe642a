//! Stream management (XEP-0198 version 1.6.3) on the client's side: both
//! counters, and what the server has not acknowledged yet.
//!
//! Generic over what is remembered for a stanza: a time for measuring, the
//! whole stanza for sending it again.

use std::collections::VecDeque;

use klatsch_protocol::xml::Fragment;

use super::Connection;
use crate::error::{LoadError, Result};

/// The namespace of stream management.
pub(crate) const NS: &str = "urn:xmpp:sm:3";

/// A request for an acknowledgement (§4).
pub(crate) const REQUEST: &str = "<r xmlns='urn:xmpp:sm:3'/>";

/// The counters of one session. They outlive the connection when it is resumed.
#[derive(Debug)]
pub(crate) struct Management<T> {
    /// The id to resume with, where the server gave one.
    pub(crate) resume_id: Option<String>,
    acked: u32,
    received: u32,
    unacked: VecDeque<T>,
}

impl<T> Management<T> {
    /// Enables management on a bound stream (§3), asking for resumption.
    pub(crate) async fn enable(connection: &mut Connection) -> Result<Self> {
        connection
            .send(&format!("<enable xmlns='{NS}' resume='true'/>"))
            .await?;
        loop {
            let answer = connection.element().await?;
            if answer.namespace() != NS {
                // Stanzas before <enabled/> are not counted (§4).
                continue;
            }
            if answer.name() != "enabled" {
                return Err(LoadError::Refused(format!(
                    "stream management: <{}/>",
                    answer.name()
                )));
            }
            let resume = matches!(answer.attr("resume"), Some("true" | "1"));
            let resume_id = if resume {
                answer.attr("id").map(str::to_owned)
            } else {
                None
            };
            return Ok(Self::new(resume_id));
        }
    }

    /// Counters at zero.
    pub(crate) fn new(resume_id: Option<String>) -> Self {
        Self {
            resume_id,
            acked: 0,
            received: 0,
            unacked: VecDeque::new(),
        }
    }

    /// Counts a stanza that was sent.
    pub(crate) fn sent(&mut self, stanza: T) {
        self.unacked.push_back(stanza);
    }

    /// How many stanzas the server has not acknowledged.
    pub(crate) fn in_flight(&self) -> usize {
        self.unacked.len()
    }

    /// The stanzas the server has not acknowledged, oldest first.
    pub(crate) fn unacked(&self) -> impl Iterator<Item = &T> {
        self.unacked.iter()
    }

    /// Gives up the counters for what is still to be sent again.
    pub(crate) fn into_unacked(self) -> VecDeque<T> {
        self.unacked
    }

    /// How many stanzas were received; what `<resume/>` tells the server.
    pub(crate) fn received(&self) -> u32 {
        self.received
    }

    /// Takes an incoming element into account: counts stanzas, answers
    /// requests, and hands out what an acknowledgement covers.
    pub(crate) fn incoming(
        &mut self,
        element: &Fragment,
        connection: &mut Connection,
    ) -> Result<Vec<T>> {
        if element.namespace() != NS {
            self.received = self.received.wrapping_add(1);
            return Ok(Vec::new());
        }
        match element.name() {
            "r" => {
                connection.queue(&format!("<a xmlns='{NS}' h='{}'/>", self.received));
                Ok(Vec::new())
            }
            "a" => self.acknowledge(element.attr("h")),
            _ => Ok(Vec::new()),
        }
    }

    /// Removes what the server has handled (§4): `h` counts modulo 2^32.
    pub(crate) fn acknowledge(&mut self, h: Option<&str>) -> Result<Vec<T>> {
        let h: u32 = h
            .and_then(|h| h.parse().ok())
            .ok_or_else(|| LoadError::protocol("an acknowledgement without a number"))?;
        let covered = h.wrapping_sub(self.acked) as usize;
        if covered > self.unacked.len() {
            let sent = self.acked.wrapping_add(self.unacked.len() as u32);
            return Err(LoadError::protocol(format!(
                "h={h} acknowledged, but only {sent} sent"
            )));
        }
        self.acked = h;
        Ok(self.unacked.drain(..covered).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::Management;

    #[test]
    fn an_acknowledgement_covers_the_oldest() {
        let mut management = Management::new(None);
        for stanza in 1..=5 {
            management.sent(stanza);
        }
        assert_eq!(management.acknowledge(Some("2")).expect("covered"), [1, 2]);
        assert_eq!(management.acknowledge(Some("2")).expect("again"), [0; 0]);
        assert_eq!(
            management.acknowledge(Some("5")).expect("the rest"),
            [3, 4, 5]
        );
    }

    #[test]
    fn an_acknowledgement_beyond_what_was_sent_is_an_error() {
        let mut management = Management::new(None);
        management.sent(());
        assert!(management.acknowledge(Some("2")).is_err());
        assert!(management.acknowledge(Some("x")).is_err());
        assert!(management.acknowledge(None).is_err());
    }

    #[test]
    fn the_counter_wraps_at_two_to_the_32() {
        let mut management = Management::new(None);
        management.acked = u32::MAX;
        management.sent("last");
        assert_eq!(
            management.acknowledge(Some("0")).expect("wrapped"),
            ["last"]
        );
    }
}
