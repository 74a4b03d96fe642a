//! One client of a run with faults: it sends, loses its connection, comes back with `<resume/>`
//! (XEP-0198 §5) or a new binding, on whatever node answers, and sends again what was not
//! acknowledged, with the same ids, until it has an answer.
//!
//! `converse.rs` is what it does while it is connected. It writes down what it does and what it
//! sees, and judges nothing.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use klatsch_protocol::xml::Fragment;
use tokio::sync::watch;

use super::home::{Home, Sent};
use super::view::View;
use super::visits::Visits;
use super::{Phase, Shared};
use crate::client::Connection;
use crate::client::login::{Offers, RESOURCE, in_time};
use crate::client::management::{self, Management};
use crate::error::{LoadError, Result};
use crate::history::{Event, Log, Operation, Subject, Truth};
use crate::random::Random;

mod converse;

use converse::End;

/// The longest pause before another attempt to connect.
const BACK_OFF_MAX: f64 = 2.0;

/// How long a client that has logged out stays away, seconds.
const AWAY: (f64, f64) = (3.0, 8.0);

/// A stanza that has no answer yet.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    /// The message, if it is one.
    op: Option<Operation>,
    /// Where it goes, when it is one.
    to: Log,
    text: Arc<str>,
}

/// A client.
pub(super) struct Sender {
    number: u32,
    shared: Arc<Shared>,
    random: Random,
    home: Home,
    management: Option<Management<Pending>>,
    /// What a lost session leaves to be sent again, but for rooms' messages.
    backlog: VecDeque<Pending>,
    visits: Visits,
    view: View,
    sequence: u32,
    session: u32,
    connection: u32,
    /// Messages the server refused, and those that a room has reflected: an acknowledgement
    /// means nothing for them.
    settled: HashSet<Operation>,
    account: String,
    /// The rooms it counts for.
    seats: i64,
}

impl Sender {
    /// A client that has not connected yet.
    pub(super) fn new(number: u32, shared: Arc<Shared>) -> Self {
        Self {
            number,
            random: shared.random.part(u64::from(number)),
            home: Home::new(Arc::clone(&shared.nodes), number),
            account: shared.account(number),
            management: None,
            backlog: VecDeque::new(),
            visits: Visits::new(shared.circle.rooms_of(number)),
            view: View::default(),
            sequence: 0,
            session: 0,
            connection: 0,
            settled: HashSet::new(),
            seats: 0,
            shared,
        }
    }

    /// Lives until the run is over; messages without an answer are written down as such.
    pub(super) async fn live(mut self, mut phases: watch::Receiver<Phase>) {
        let mut attempts = 0;
        while *phases.borrow() != Phase::Over {
            let pause = match self.come_online().await {
                Ok(connection) => {
                    attempts = 0;
                    self.shared.bound.fetch_add(1, Ordering::Relaxed);
                    let ended = self.converse(connection, &mut phases).await;
                    self.shared.bound.fetch_sub(1, Ordering::Relaxed);
                    self.has_left(ended)
                }
                Err(_) => {
                    attempts += 1;
                    self.home.move_on();
                    self.back_off(attempts)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = phases.wait_for(|phase| *phase == Phase::Over) => {}
            }
        }
        self.give_up_session();
        let rooms = self.visits.0.iter_mut();
        let said_in_rooms: Vec<_> = rooms.flat_map(|visit| visit.backlog.drain(..)).collect();
        for pending in self.backlog.drain(..).chain(said_in_rooms) {
            if let Some(op) = pending.op {
                self.shared.recorder.record(Event::Info { op });
            }
        }
    }

    /// A connection has ended: what is known of this client now, and how long it stays away.
    fn has_left(&mut self, ended: Result<End>) -> Duration {
        let on_purpose = ended.is_ok();
        let is_gone = matches!(ended, Ok(End::LoggedOut));
        self.show(if is_gone {
            Truth::Absent
        } else {
            Truth::Unknown
        });
        self.take_seats(0);
        let account = self.number;
        match ended {
            Ok(End::Over) => {}
            Ok(End::LoggedOut) => {
                self.give_up_session();
                return Duration::from_secs_f64(self.random.between(AWAY.0, AWAY.1));
            }
            _ => self.record(Event::Lost {
                account,
                on_purpose,
            }),
        }
        match ended {
            Ok(_) if on_purpose => self.home.move_anywhere(&mut self.random),
            Ok(_) => {}
            Err(error) => {
                self.note_where(account, &error);
                if let LoadError::Protocol(_) = error {
                    self.trouble(format!("account {account}: {error}"));
                    self.give_up_session();
                }
            }
        }
        Duration::ZERO
    }

    /// Goes where the server has sent it, if it has.
    fn note_where(&mut self, account: u32, error: &LoadError) {
        let node = match self.home.ended(error) {
            Sent::Nowhere => return,
            Sent::Away => None,
            Sent::To(node) => Some(node),
        };
        self.record(Event::SentElsewhere { account, node });
    }

    /// Connects; resumes the session, or binds a new one and sends the backlog.
    async fn come_online(&mut self) -> Result<Connection> {
        let target = self.home.target();
        let (mut connection, offers) =
            Connection::authenticate(&target, self.number as usize).await?;
        self.connection += 1;
        let patience = target.patience();
        if !in_time(patience, "resume", self.resume(&mut connection)).await? {
            in_time(patience, "bind", self.bind(&mut connection, offers)).await?;
        }
        self.show(Truth::Present(self.view.token));
        self.take_seats(self.visits.inside().count() as i64);
        self.record(Event::Online {
            account: self.number,
            node: self.home.number(),
        });
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
        for Pending { op, text, .. } in management.unacked() {
            if let Some(op) = *op {
                self.record(Event::Resent { op });
            }
            connection.queue(text);
        }
        connection.queue(management::REQUEST);
        Ok(())
    }

    /// Binds a new session, and sends the backlog before anything new (D3). What was for a room
    /// waits until the client is inside.
    async fn bind(&mut self, connection: &mut Connection, offers: Offers) -> Result<()> {
        if !offers.management {
            return Err(LoadError::Refused(
                "the server offers no stream management".into(),
            ));
        }
        connection.bind(RESOURCE, offers).await?;
        let management = Management::enable(connection).await?;
        self.management = Some(management);
        self.session += 1;
        self.visits.leave_all();
        self.view.forget();
        self.record(Event::Forgets {
            viewer: self.number,
        });
        self.send_presence(connection);
        self.enter_rooms(connection);
        for pending in std::mem::take(&mut self.backlog) {
            self.send_again(pending, connection);
        }
        connection.queue(management::REQUEST);
        Ok(())
    }

    fn acknowledge(&mut self, answer: &Fragment) -> Result<()> {
        if let Some(management) = &mut self.management {
            let acked = management.acknowledge(answer.attr("h"))?;
            self.answered(acked);
        }
        Ok(())
    }

    /// Writes down what the server has acknowledged.
    fn answered(&mut self, acked: Vec<Pending>) {
        for op in acked.into_iter().filter_map(|pending| pending.op) {
            self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
            if !self.settled.contains(&op) {
                self.record(Event::Ok { op });
            }
        }
    }

    /// Forgets the session; its unanswered messages become the backlog, settled ones excepted.
    fn give_up_session(&mut self) {
        let Some(management) = self.management.take() else {
            return;
        };
        for pending in management.into_unacked() {
            let Some(op) = pending.op else { continue };
            if self.settled.contains(&op) {
                self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let backlog = match pending.to {
                Log::Room(room) => self.visits.get(room).map(|visit| &mut visit.backlog),
                Log::Account(_) => None,
            };
            backlog.unwrap_or(&mut self.backlog).push_back(pending);
        }
    }

    /// Writes down what is true of this client's presence, everywhere.
    fn show(&self, truth: Truth) {
        let account = self.number;
        self.record(Event::Shows {
            subject: Subject::Contact(account),
            truth,
        });
        let in_room = match truth {
            Truth::Present(_) => Truth::Present(0),
            other => other,
        };
        for room in self.visits.inside() {
            self.show_in(room, in_room);
        }
    }

    fn show_in(&self, room: u32, truth: Truth) {
        let account = self.number;
        let subject = Subject::Occupant { room, account };
        self.record(Event::Shows { subject, truth });
    }

    /// Counts the rooms it is in.
    fn take_seats(&mut self, seats: i64) {
        let change = seats - self.seats;
        self.shared.inside.fetch_add(change, Ordering::Relaxed);
        self.seats = seats;
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
