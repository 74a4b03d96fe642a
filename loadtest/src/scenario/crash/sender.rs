//! One client of a crash run: it sends, loses its connection, comes back with
//! `<resume/>` (XEP-0198 §5) or a new binding, and sends again what was not
//! acknowledged, with the same ids, until it has an answer.
//!
//! It writes down what it does and what it sees, and judges nothing.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use klatsch_protocol::xml::Fragment;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Phase, Shared};
use crate::client::archive::STANZA_IDS;
use crate::client::login::{Offers, RESOURCE, in_time};
use crate::client::management::{self, Management};
use crate::client::{Connection, condition_of};
use crate::error::{LoadError, Result};
use crate::history::{Event, Operation};
use crate::random::Random;
use crate::scenario::answer_request;

/// The longest pause before another attempt to connect.
const BACK_OFF_MAX: f64 = 2.0;

/// A server that acknowledges nothing for so long has lost the connection.
const ACK_MAX: Duration = Duration::from_secs(15);

/// Messages that a client begins at once, at most.
const BURST_MAX: u64 = 4;

/// Their average, which the pauses between bursts make up for.
const BURST_MEAN: f64 = (BURST_MAX as f64 + 1.0) / 2.0;

/// A message that has no answer yet.
#[derive(Clone, Debug)]
struct Pending {
    op: Operation,
    stanza: Arc<str>,
}

/// A client. Its stanzas that are no messages are remembered as `None`.
pub(super) struct Sender {
    number: u32,
    shared: Arc<Shared>,
    random: Random,
    management: Option<Management<Option<Pending>>>,
    /// What a lost session leaves to be sent again.
    backlog: VecDeque<Pending>,
    sequence: u32,
    session: u32,
    connection: u32,
    /// Messages the server refused: an acknowledgement means nothing for them.
    failed: HashSet<Operation>,
    account: String,
}

impl Sender {
    /// A client that has not connected yet.
    pub(super) fn new(number: u32, shared: Arc<Shared>) -> Self {
        Self {
            number,
            random: shared.random.part(u64::from(number)),
            account: shared.target.account(number as usize),
            management: None,
            backlog: VecDeque::new(),
            sequence: 0,
            session: 0,
            connection: 0,
            failed: HashSet::new(),
            shared,
        }
    }

    /// Lives until the run is over; messages without an answer are written down as such.
    pub(super) async fn live(mut self, mut phases: watch::Receiver<Phase>) {
        let mut attempts = 0;
        while *phases.borrow() != Phase::Over {
            if let Ok(connection) = self.come_online().await {
                attempts = 0;
                self.shared.bound.fetch_add(1, Ordering::Relaxed);
                let ended = self.converse(connection, &mut phases).await;
                self.shared.bound.fetch_sub(1, Ordering::Relaxed);
                if let Err(error @ LoadError::Protocol(_)) = ended {
                    self.trouble(format!("account {}: {error}", self.number));
                    self.give_up_session();
                }
                continue;
            }
            attempts += 1;
            tokio::select! {
                () = tokio::time::sleep(self.back_off(attempts)) => {}
                _ = phases.wait_for(|phase| *phase == Phase::Over) => {}
            }
        }
        self.give_up_session();
        for pending in std::mem::take(&mut self.backlog) {
            self.record(Event::Info { op: pending.op });
        }
    }

    /// Connects; resumes the session, or binds a new one and sends the backlog.
    async fn come_online(&mut self) -> Result<Connection> {
        let target = Arc::clone(&self.shared.target);
        let (mut connection, offers) =
            Connection::authenticate(&target, self.number as usize).await?;
        self.connection += 1;
        if !in_time(target.patience(), "resume", self.resume(&mut connection)).await? {
            in_time(
                target.patience(),
                "bind",
                self.bind(&mut connection, offers),
            )
            .await?;
        }
        Ok(connection)
    }

    /// Tries to resume. After `<failed/>` the unacknowledged messages are the backlog.
    async fn resume(&mut self, connection: &mut Connection) -> Result<bool> {
        let Some(management) = &self.management else {
            return Ok(false);
        };
        let Some(previd) = management.resume_id.clone() else {
            self.give_up_session();
            return Ok(false);
        };
        let h = management.received();
        connection
            .send(&format!(
                "<resume xmlns='{}' h='{h}' previd='{previd}'/>",
                management::NS
            ))
            .await?;
        let answer = connection.element().await?;
        match answer.name() {
            "resumed" => self.resumed(&answer, connection).map(|()| true),
            "failed" => {
                self.record(Event::NotResumed {
                    account: self.number,
                });
                // §5: a server that still knows how far it came may say so.
                if answer.attr("h").is_some() {
                    self.acknowledge(&answer)?;
                }
                self.give_up_session();
                Ok(false)
            }
            other => Err(LoadError::protocol(format!(
                "<{other}/> instead of <resumed/>"
            ))),
        }
    }

    /// §5: what the server has not handled is sent again, in order, uncounted.
    fn resumed(&mut self, answer: &Fragment, connection: &mut Connection) -> Result<()> {
        self.record(Event::Resumed {
            account: self.number,
        });
        self.acknowledge(answer)?;
        let Some(management) = &self.management else {
            return Ok(());
        };
        for stanza in management.unacked() {
            match stanza {
                Some(pending) => {
                    self.record(Event::Resent { op: pending.op });
                    connection.queue(&pending.stanza);
                }
                None => connection.queue("<presence/>"),
            }
        }
        connection.queue(management::REQUEST);
        Ok(())
    }

    /// Binds a new session, and sends the backlog before anything new (D3).
    async fn bind(&mut self, connection: &mut Connection, offers: Offers) -> Result<()> {
        if !offers.management {
            return Err(LoadError::Refused(
                "the server offers no stream management".into(),
            ));
        }
        connection.bind(RESOURCE, offers).await?;
        let mut management = Management::enable(connection).await?;
        self.session += 1;
        connection.queue("<presence/>");
        management.sent(None);
        for pending in std::mem::take(&mut self.backlog) {
            self.record(Event::Resent { op: pending.op });
            connection.queue(&pending.stanza);
            management.sent(Some(pending));
        }
        connection.queue(management::REQUEST);
        self.management = Some(management);
        Ok(())
    }

    /// Sends and receives until the connection ends, or the run does.
    async fn converse(
        &mut self,
        mut connection: Connection,
        phases: &mut watch::Receiver<Phase>,
    ) -> Result<()> {
        let drop_at = Instant::now() + self.drop_after();
        let mut next = Instant::now() + self.pause();
        let mut acked_at = Instant::now();
        loop {
            let phase = *phases.borrow();
            let in_flight = self.management.as_ref().map_or(0, Management::in_flight);
            let may_send = phase == Phase::Talking && in_flight < self.shared.window;
            tokio::select! {
                element = connection.element() => {
                    if self.take_in(&element?, &mut connection)? {
                        acked_at = Instant::now();
                    }
                }
                () = tokio::time::sleep_until(next), if may_send => {
                    if in_flight == 0 {
                        acked_at = Instant::now();
                    }
                    self.send_burst(&mut connection);
                    next = Instant::now() + self.pause();
                }
                () = tokio::time::sleep_until(drop_at), if phase == Phase::Talking => {
                    self.record(Event::Dropped { account: self.number });
                    return Ok(());
                }
                () = tokio::time::sleep_until(acked_at + ACK_MAX), if in_flight > 0 => {
                    self.record(Event::Dropped { account: self.number });
                    return Err(LoadError::Timeout("no acknowledgement"));
                }
                _ = phases.changed() => {
                    if *phases.borrow() == Phase::Over {
                        connection.close().await;
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Sends a few messages in one go: order can only break among neighbours.
    fn send_burst(&mut self, connection: &mut Connection) {
        for _ in 0..=self.random.below(BURST_MAX) {
            self.send(connection);
        }
        connection.queue(management::REQUEST);
    }

    /// Begins a new message.
    fn send(&mut self, connection: &mut Connection) {
        self.sequence += 1;
        let op = Operation {
            sender: self.number,
            sequence: self.sequence,
        };
        let to = self.choose_partner();
        let stanza = self.stanza(op, to);
        self.record(Event::Invoke { op, to });
        self.shared.in_flight.fetch_add(1, Ordering::Relaxed);
        connection.queue(&stanza);
        if let Some(management) = &mut self.management {
            management.sent(Some(Pending {
                op,
                stanza: stanza.into(),
            }));
        }
    }

    /// Takes an element in; tells whether it acknowledged something.
    fn take_in(&mut self, element: &Fragment, connection: &mut Connection) -> Result<bool> {
        let Some(management) = &mut self.management else {
            return Ok(false);
        };
        let acked = management.incoming(element, connection)?;
        let any = !acked.is_empty();
        self.answered(acked);
        if element.name() == "message" {
            self.take_message(element);
        } else {
            answer_request(element, connection);
        }
        Ok(any)
    }

    fn take_message(&mut self, message: &Fragment) {
        let Some(op) = message.attr("id").and_then(|id| self.parse_id(id)) else {
            return;
        };
        if message.attr("type") == Some("error") {
            if op.sender == self.number && self.failed.insert(op) {
                self.record(Event::Fail {
                    op,
                    why: condition_of(message),
                });
            }
            return;
        }
        self.shared.arrivals.fetch_add(1, Ordering::Relaxed);
        let id = message
            .payloads()
            .elements()
            .filter(|child| {
                child.is("stanza-id", STANZA_IDS) && child.get("by") == Some(&self.account)
            })
            .find_map(|child| child.get("id").map(str::to_owned));
        let (session, connection) = (self.session, self.connection);
        self.record(Event::Received {
            account: self.number,
            session,
            connection,
            op,
            id,
        });
    }

    fn acknowledge(&mut self, answer: &Fragment) -> Result<()> {
        if let Some(management) = &mut self.management {
            let acked = management.acknowledge(answer.attr("h"))?;
            self.answered(acked);
        }
        Ok(())
    }

    /// Writes down what the server has acknowledged.
    fn answered(&mut self, acked: Vec<Option<Pending>>) {
        for pending in acked.into_iter().flatten() {
            self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
            if !self.failed.contains(&pending.op) {
                self.record(Event::Ok { op: pending.op });
            }
        }
    }

    /// Forgets the session; its unanswered messages become the backlog, refused ones excepted.
    fn give_up_session(&mut self) {
        let Some(management) = self.management.take() else {
            return;
        };
        for pending in management.into_unacked().into_iter().flatten() {
            if self.failed.contains(&pending.op) {
                self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
            } else {
                self.backlog.push_back(pending);
            }
        }
    }

    /// The partner of the pair, or a neighbour on either side: every account has several conversations.
    fn choose_partner(&mut self) -> u32 {
        let me = self.number - 1;
        let clients = self.shared.clients;
        let other = match self.random.below(3) {
            0 if (me ^ 1) < clients => me ^ 1,
            1 => (me + 2) % clients,
            _ => (me + clients - 2) % clients,
        };
        other + 1
    }

    /// The message: one id as stanza id, as origin id and in the body.
    fn stanza(&self, op: Operation, to: u32) -> String {
        let to = self.shared.target.account(to as usize);
        let id = format!("{}-{op}", self.shared.run);
        format!(
            "<message to='{to}' type='chat' id='{id}'><body>{id} {:x<150}</body>\
             <origin-id xmlns='{STANZA_IDS}' id='{id}'/></message>",
            ""
        )
    }

    fn parse_id(&self, id: &str) -> Option<Operation> {
        id.strip_prefix(&self.shared.run)?
            .strip_prefix('-')?
            .parse()
            .ok()
    }

    /// Pauses are exponential: messages of one client sometimes crowd together.
    fn pause(&mut self) -> Duration {
        let stretch = BURST_MEAN * -(1.0 - self.random.fraction()).ln();
        self.shared.pause.mul_f64(stretch)
    }

    fn drop_after(&mut self) -> Duration {
        const NEVER: f64 = 1e6;
        let every = self.shared.drop_every;
        let seconds = if every > 0.0 {
            every * -(1.0 - self.random.fraction()).ln()
        } else {
            NEVER
        };
        Duration::from_secs_f64(seconds.min(NEVER))
    }

    /// Doubles with every attempt, between half and the whole of it.
    fn back_off(&mut self, attempts: u32) -> Duration {
        let longest = (0.05 * f64::from(2u32.saturating_pow(attempts.min(16)))).min(BACK_OFF_MAX);
        Duration::from_secs_f64(self.random.between(longest / 2.0, longest))
    }

    fn trouble(&self, what: String) {
        self.record(Event::Trouble { what });
    }

    fn record(&self, event: Event) {
        self.shared.recorder.record(event);
    }
}
