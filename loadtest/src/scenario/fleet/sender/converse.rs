//! What a client does while it is connected: it talks to its contacts and in its rooms, changes
//! its presence, and leaves now and then.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use klatsch_protocol::xml::Fragment;
use tokio::sync::watch;
use tokio::time::Instant;

use super::super::Phase;
use super::super::visits::{News, configure, enter, said};
use super::{Pending, Sender};
use crate::client::archive::STANZA_IDS;
use crate::client::management::{self, Management};
use crate::client::{Connection, condition_of};
use crate::error::{LoadError, Result};
use crate::history::{Event, Log, Operation, Truth};
use crate::scenario::answer_request;

/// A server that acknowledges nothing for so long has lost the connection.
const ACK_MAX: Duration = Duration::from_secs(15);

/// Messages that a client begins at once, at most.
const BURST_MAX: u64 = 4;

/// Their average, which the pauses between bursts make up for.
const BURST_MEAN: f64 = (BURST_MAX as f64 + 1.0) / 2.0;

/// Between two looks at what else is to be done.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How a conversation ended, when not by an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The client has dropped its connection.
    Dropped,
    /// It has ended its session.
    LoggedOut,
    /// The same, but nobody has said farewell: the server may still have the session.
    Unheard,
    /// The run is over.
    Over,
}

/// When a client does what it does by itself.
struct Moments {
    send: Instant,
    drop: Instant,
    change: Instant,
    leave: Instant,
    look: Instant,
}

impl Sender {
    /// Sends and receives until the connection ends, or the run does.
    pub(super) async fn converse(
        &mut self,
        mut connection: Connection,
        phases: &mut watch::Receiver<Phase>,
    ) -> Result<End> {
        let mut moments = self.moments();
        let mut acked_at = Instant::now();
        loop {
            let is_talking = *phases.borrow() == Phase::Talking;
            let in_flight = self.management.as_ref().map_or(0, Management::in_flight);
            let may_send = is_talking && in_flight < self.shared.habits.window;
            tokio::select! {
                element = connection.element() => {
                    if self.take_in(&element?, &mut connection)? {
                        acked_at = Instant::now();
                    }
                }
                () = tokio::time::sleep_until(moments.send), if may_send => {
                    if in_flight == 0 {
                        acked_at = Instant::now();
                    }
                    self.send_burst(&mut connection);
                    moments.send = Instant::now() + self.pause();
                }
                () = tokio::time::sleep_until(moments.drop), if is_talking => {
                    self.record(Event::Dropped { account: self.number });
                    return Ok(End::Dropped);
                }
                () = tokio::time::sleep_until(moments.leave), if is_talking => {
                    return self.log_out(connection).await;
                }
                () = tokio::time::sleep_until(acked_at + ACK_MAX), if in_flight > 0 => {
                    self.record(Event::Dropped { account: self.number });
                    return Err(LoadError::Timeout("no acknowledgement"));
                }
                () = tokio::time::sleep_until(moments.look) => {
                    if in_flight == 0 {
                        acked_at = Instant::now();
                    }
                    self.look_around(&mut connection, is_talking, &mut moments);
                }
                _ = phases.changed() => {
                    if *phases.borrow() == Phase::Over {
                        connection.close().await;
                        return Ok(End::Over);
                    }
                }
            }
        }
    }

    /// Ends the session. Until the server has ended its side it says what has become of messages.
    async fn log_out(&mut self, mut connection: Connection) -> Result<End> {
        let (last, is_heard) = connection.close_and_hear().await;
        for element in last {
            self.take_in(&element, &mut connection)?;
        }
        Ok(if is_heard {
            End::LoggedOut
        } else {
            End::Unheard
        })
    }

    fn moments(&mut self) -> Moments {
        let now = Instant::now();
        let habits = self.shared.habits;
        Moments {
            send: now + self.pause(),
            drop: now + self.some_time(habits.drop_every),
            change: now + self.some_time(habits.change_every),
            leave: now + self.some_time(habits.leave_every),
            look: now + LOOK_EVERY,
        }
    }

    /// Asks rooms again that have not let it in, and changes its presence when it is time.
    fn look_around(
        &mut self,
        connection: &mut Connection,
        is_talking: bool,
        moments: &mut Moments,
    ) {
        let now = Instant::now();
        moments.look = now + LOOK_EVERY;
        let asked = self.enter_rooms(connection);
        let is_due = is_talking && now >= moments.change;
        if is_due {
            self.send_presence(connection);
            self.show(Truth::Present(self.view.token));
            moments.change = now + self.some_time(self.shared.habits.change_every);
        }
        if asked || is_due {
            connection.queue(management::REQUEST);
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
        let Some(to) = self.choose_log() else { return };
        self.sequence += 1;
        let op = Operation {
            sender: self.number,
            sequence: self.sequence,
        };
        let id = format!("{}-{op}", self.shared.circle.run);
        let text = match to {
            Log::Account(other) => said(&self.shared.account(other), "chat", &id),
            Log::Room(room) => said(&self.shared.circle.address(room), "groupchat", &id),
        };
        self.record(Event::Invoke { op, to });
        self.shared.in_flight.fetch_add(1, Ordering::Relaxed);
        let (op, text) = (Some(op), text.into());
        self.put(Pending { op, to, text }, connection);
    }

    /// Sends a message of a lost session in the new one.
    pub(super) fn send_again(&mut self, pending: Pending, connection: &mut Connection) {
        if let Some(op) = pending.op {
            self.record(Event::Resent { op });
        }
        self.put(pending, connection);
    }

    /// Shows itself, with a number that tells this presence from those before.
    pub(super) fn send_presence(&mut self, connection: &mut Connection) {
        self.view.token += 1;
        let text = match self.shared.circle.watches {
            true => self.view.own(),
            false => "<presence/>".into(),
        };
        self.put_other(text, connection);
    }

    /// Asks the rooms that have not let it in yet; tells whether there were any.
    pub(super) fn enter_rooms(&mut self, connection: &mut Connection) -> bool {
        let due = self.visits.due(Instant::now());
        for room in &due {
            let text = enter(&self.shared.circle, *room, self.number);
            self.put_other(text, connection);
        }
        !due.is_empty()
    }

    fn put_other(&mut self, text: String, connection: &mut Connection) {
        let pending = Pending {
            op: None,
            to: Log::Account(self.number),
            text: text.into(),
        };
        self.put(pending, connection);
    }

    fn put(&mut self, pending: Pending, connection: &mut Connection) {
        connection.queue(&pending.text);
        if let Some(management) = &mut self.management {
            management.sent(pending);
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
        match element.name() {
            "message" => self.take_message(element),
            "presence" => self.take_presence(element, connection),
            _ => answer_request(element, connection),
        }
        Ok(any)
    }

    fn take_message(&mut self, message: &Fragment) {
        let Some(op) = message.attr("id").and_then(|id| self.parse_id(id)) else {
            return;
        };
        let is_own = op.sender == self.number;
        if message.attr("type") == Some("error") {
            if is_own && self.settled.insert(op) {
                self.record(Event::Fail {
                    op,
                    why: condition_of(message),
                });
            }
            return;
        }
        self.shared.arrivals.fetch_add(1, Ordering::Relaxed);
        let from = message.attr("from").unwrap_or_default();
        let room = from.split('/').next().unwrap_or_default();
        let (log, session, by) = match self.shared.circle.room_of(room) {
            Some(number) => {
                let visit = self.visits.get(number).map_or(0, |visit| visit.number);
                (Log::Room(number), visit, room)
            }
            None => (Log::Account(self.number), self.session, &*self.account),
        };
        self.record(Event::Received {
            account: self.number,
            session,
            connection: self.connection,
            log,
            op,
            id: stanza_id(message, by),
        });
        // D1: a room reflects what is in its log.
        if is_own && matches!(log, Log::Room(_)) && self.is_open(op) && self.settled.insert(op) {
            self.record(Event::Ok { op });
        }
    }

    /// Whether a message has no acknowledgement yet.
    fn is_open(&self, op: Operation) -> bool {
        let open = self.management.iter().flat_map(Management::unacked);
        open.into_iter().any(|pending| pending.op == Some(op))
    }

    fn take_presence(&mut self, presence: &Fragment, connection: &mut Connection) {
        let from = presence.attr("from").unwrap_or_default();
        let room = from.split('/').next().unwrap_or_default();
        if let Some(room) = self.shared.circle.room_of(room) {
            self.hear_of_room(room, presence, connection);
        }
        let shared = Arc::clone(&self.shared);
        let number_of = |bare: &str| shared.number_of(bare);
        // Where nobody looks at presence, what a client sees of itself says nothing either.
        if shared.circle.watches
            && let Some((subject, seen)) = self.view.take(presence, &shared.circle, number_of)
        {
            let viewer = self.number;
            self.record(Event::Sees {
                viewer,
                subject,
                seen,
            });
        }
    }

    fn hear_of_room(&mut self, room: u32, presence: &Fragment, connection: &mut Connection) {
        let Some(visit) = self.visits.get(room) else {
            return;
        };
        match visit.take(presence) {
            News::Others => return,
            News::Left => self.show_in(room, Truth::Absent),
            News::Entered { is_new } => {
                let backlog = std::mem::take(&mut visit.backlog);
                self.show_in(room, Truth::Present(0));
                if is_new {
                    self.put_other(configure(&self.shared.circle, room), connection);
                }
                for pending in backlog {
                    self.send_again(pending, connection);
                }
                connection.queue(management::REQUEST);
            }
        }
        self.take_seats(self.visits.inside().count() as i64);
    }

    /// Where the next message goes: in one of three cases to a room, if it is in one.
    fn choose_log(&mut self) -> Option<Log> {
        let pick = |random: &mut crate::random::Random, all: &[u32]| {
            let place = random.below(all.len() as u64) as usize;
            all.get(place).copied()
        };
        let rooms: Vec<_> = self.visits.inside().collect();
        if !rooms.is_empty() && self.random.below(3) == 0 {
            return pick(&mut self.random, &rooms).map(Log::Room);
        }
        let contacts = self.shared.circle.contacts(self.number);
        pick(&mut self.random, &contacts).map(Log::Account)
    }

    fn parse_id(&self, id: &str) -> Option<Operation> {
        id.strip_prefix(&self.shared.circle.run)?
            .strip_prefix('-')?
            .parse()
            .ok()
    }

    /// Pauses are exponential: messages of one client sometimes crowd together.
    fn pause(&mut self) -> Duration {
        let stretch = BURST_MEAN * -(1.0 - self.random.fraction()).ln();
        self.shared.habits.pause.mul_f64(stretch)
    }

    /// As long as it takes on average, or longer or shorter; 0 is never.
    fn some_time(&mut self, average: f64) -> Duration {
        const NEVER: f64 = 1e6;
        let seconds = if average > 0.0 {
            average * -(1.0 - self.random.fraction()).ln()
        } else {
            NEVER
        };
        Duration::from_secs_f64(seconds.min(NEVER))
    }
}

/// The id that a log gave a message (XEP-0359).
fn stanza_id(message: &Fragment, by: &str) -> Option<String> {
    let mut ids = message
        .payloads()
        .elements()
        .filter(|child| child.is("stanza-id", STANZA_IDS) && child.get("by") == Some(by));
    ids.find_map(|child| child.get("id").map(str::to_owned))
}
