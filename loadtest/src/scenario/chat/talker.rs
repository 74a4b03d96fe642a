//! One client of an exchange, and what it counts.
//!
//! A message's id says who sent it, as which of its messages and when, so the
//! receiver needs to know nothing else: `RUN-SENDER-SEQUENCE-MICROSECONDS`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use klatsch_protocol::xml::{Fragment, Token};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::exchange::Shared;
use crate::client::Connection;
use crate::client::login::in_time;
use crate::client::management::{self, Management};
use crate::error::{LoadError, Result};
use crate::options::Target;
use crate::report::Histogram;
use crate::scenario::answer_request;

/// What the talkers counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Messages sent.
    pub(crate) sent: u64,
    /// Messages received, each once.
    pub(crate) delivered: u64,
    /// Messages that came back as an error.
    pub(crate) refused: u64,
    /// Messages received again.
    pub(crate) twice: u64,
    /// Messages received behind a later one of the same sender.
    pub(crate) reordered: u64,
    /// Connections that ended before they should.
    pub(crate) connections_lost: u64,
    /// From sending to receiving.
    pub(crate) latency: Histogram,
    /// From sending to the acknowledgement.
    pub(crate) ack_latency: Histogram,
}

impl Tally {
    /// Adds another client's counts.
    pub(crate) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.delivered += other.delivered;
        self.refused += other.refused;
        self.twice += other.twice;
        self.reordered += other.reordered;
        self.connections_lost += other.connections_lost;
        self.latency.merge(&other.latency);
        self.ack_latency.merge(&other.ack_latency);
    }
}

/// A client that talks with its partner.
pub(crate) struct Talker {
    number: usize,
    connection: Connection,
    /// Times of sending, with `None` for stanzas that are no message.
    management: Option<Management<Option<u64>>>,
    /// The partner's address, as messages name it.
    to: String,
    sequence: u64,
    /// The partner's highest sequence number seen, and those below it still missing.
    highest: u64,
    missing: Vec<u64>,
    tally: Tally,
}

impl Talker {
    /// Logs a client in and makes it available.
    pub(crate) async fn log_in(target: &Arc<Target>, number: usize, managed: bool) -> Result<Self> {
        let (mut connection, offers) = Connection::login(target, number).await?;
        let mut management = None;
        if managed {
            if !offers.management {
                return Err(LoadError::Refused(
                    "the server offers no stream management".into(),
                ));
            }
            let enable = Management::enable(&mut connection);
            management = Some(in_time(target.patience(), "stream management", enable).await?);
        }
        connection.send("<presence/>").await?;
        if let Some(management) = &mut management {
            management.sent(None);
        }
        Ok(Self {
            number,
            connection,
            management,
            to: String::new(),
            sequence: 0,
            highest: 0,
            missing: Vec::new(),
            tally: Tally::default(),
        })
    }

    /// The account's number.
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    /// Makes two clients partners.
    pub(crate) fn introduce(one: &mut Self, other: &mut Self, full: bool) {
        let address = |talker: &Self| match full {
            true => talker.connection.jid.clone(),
            false => talker.connection.target().account(talker.number),
        };
        (one.to, other.to) = (address(other), address(one));
    }

    /// Talks until told to stop; a lost connection ends it, counted.
    pub(crate) async fn talk(
        mut self,
        shared: Arc<Shared>,
        mut stop: watch::Receiver<bool>,
    ) -> Tally {
        let ended = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => false,
            _ = self.converse(&shared) => true,
        };
        if ended {
            self.tally.connections_lost += 1;
            return self.tally;
        }
        self.connection.close().await;
        self.tally
    }

    async fn converse(&mut self, shared: &Shared) -> Result<()> {
        match shared.plan.rate {
            Some(rate) => self.send_at_rate(shared, rate).await,
            None => self.send_in_turn(shared).await,
        }
    }

    /// Closed loop: every message received starts the next.
    async fn send_in_turn(&mut self, shared: &Shared) -> Result<()> {
        // The pair's messages start on both sides; a lone one starts with the first.
        let starts = if self.number % 2 == 1 {
            shared.plan.window.div_ceil(2)
        } else {
            shared.plan.window / 2
        };
        self.send(shared, starts, shared.clock.micros());
        loop {
            let received = self.receive(shared).await?;
            self.send(shared, received, shared.clock.micros());
        }
    }

    /// Open loop: messages start when they are due.
    async fn send_at_rate(&mut self, shared: &Shared, rate: f64) -> Result<()> {
        let period = Duration::from_secs_f64(shared.plan.clients as f64 / rate.max(0.001));
        // Clients start evenly spread over one period, or all would send at once.
        let phase = period.mul_f64(self.number as f64 / shared.plan.clients as f64);
        let start = Instant::now() + phase;
        let mut ticks = interval_at(start, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        loop {
            tokio::select! {
                due = ticks.tick() => {
                    let late = u64::try_from(due.elapsed().as_micros()).unwrap_or(0);
                    self.send(shared, 1, shared.clock.micros().saturating_sub(late));
                    self.connection.flush().await?;
                }
                received = self.receive(shared) => { received?; }
            }
        }
    }

    /// Takes in all that has arrived, and tells how many messages there were.
    async fn receive(&mut self, shared: &Shared) -> Result<usize> {
        let element = self.connection.element().await?;
        let mut messages = self.take_in(&element, shared)?;
        while let Some(token) = self.connection.buffered()? {
            match token {
                Token::Fragment(element) => messages += self.take_in(&element, shared)?,
                _ => return Err(LoadError::Closed(String::new())),
            }
        }
        Ok(messages)
    }

    /// Takes one element in; 1 if it was a message of this exchange.
    fn take_in(&mut self, element: &Fragment, shared: &Shared) -> Result<usize> {
        if let Some(management) = &mut self.management {
            let acked = management.incoming(element, &mut self.connection)?;
            self.record_acks(acked.into_iter().flatten(), shared);
        }
        if element.name() != "message" {
            answer_request(element, &mut self.connection);
            return Ok(0);
        }
        let Some((sequence, sent)) = element.attr("id").and_then(|id| parse_id(id, &shared.run))
        else {
            return Ok(0);
        };
        if element.attr("type") == Some("error") {
            self.tally.refused += 1;
            return Ok(0);
        }
        Ok(self.record_delivery(sequence, sent, shared))
    }

    /// Counts an arrival; 0 if it had arrived before.
    fn record_delivery(&mut self, sequence: u64, sent: u64, shared: &Shared) -> usize {
        if sequence > self.highest {
            self.missing.extend(self.highest + 1..sequence);
            self.highest = sequence;
        } else if let Some(at) = self.missing.iter().position(|missing| *missing == sequence) {
            self.missing.swap_remove(at);
            self.tally.reordered += 1;
        } else {
            self.tally.twice += 1;
            return 0;
        }
        self.tally.delivered += 1;
        shared.delivered.fetch_add(1, Ordering::Relaxed);
        if sent >= shared.measured_from.load(Ordering::Relaxed) {
            self.tally.latency.record(Duration::from_micros(
                shared.clock.micros().saturating_sub(sent),
            ));
        }
        1
    }

    fn record_acks(&mut self, acked: impl Iterator<Item = u64>, shared: &Shared) {
        for sent in acked {
            shared.acked.fetch_add(1, Ordering::Relaxed);
            if sent >= shared.measured_from.load(Ordering::Relaxed) {
                self.tally.ack_latency.record(Duration::from_micros(
                    shared.clock.micros().saturating_sub(sent),
                ));
            }
        }
    }

    /// Queues messages, with a request for their acknowledgement.
    fn send(&mut self, shared: &Shared, count: usize, due: u64) {
        let mut sent = 0;
        while sent < count && shared.may_send() {
            self.sequence += 1;
            self.tally.sent += 1;
            sent += 1;
            let message = message(
                &self.to,
                &shared.run,
                self.number,
                self.sequence,
                due,
                shared.plan.size,
            );
            self.connection.queue(&message);
            if let Some(management) = &mut self.management {
                management.sent(Some(due));
            }
        }
        if sent > 0 && self.management.is_some() {
            self.connection.queue(management::REQUEST);
        }
    }
}

/// A message of `size` bytes, with its id as origin id too (XEP-0359).
fn message(to: &str, run: &str, number: usize, sequence: u64, due: u64, size: usize) -> String {
    let id = format!("{run}-{number}-{sequence}-{due}");
    let head = format!("<message to='{to}' type='chat' id='{id}'><body>");
    let tail = format!("</body><origin-id xmlns='urn:xmpp:sid:0' id='{id}'/></message>");
    let filler = size.saturating_sub(head.len() + tail.len()).max(1);
    format!("{head}{:x<filler$}{tail}", "")
}

/// The sequence number and time in the id of a message of this run.
fn parse_id(id: &str, run: &str) -> Option<(u64, u64)> {
    let mut parts = id.strip_prefix(run)?.strip_prefix('-')?.split('-').skip(1);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_size_asked_for_and_tells_its_sequence_and_time() {
        let message = message("user2@example.org", "00c0ffee", 1, 17, 123_456, 300);
        assert_eq!(message.len(), 300);
        assert!(message.contains("id='00c0ffee-1-17-123456'"));
        assert_eq!(
            parse_id("00c0ffee-1-17-123456", "00c0ffee"),
            Some((17, 123_456))
        );
        assert_eq!(parse_id("00c0ffef-1-17-123456", "00c0ffee"), None);
        assert_eq!(parse_id("other", "00c0ffee"), None);
    }
}
