//! The line between a session and its channels client: the machine that translates, and what
//! waits on both sides of it, bounded.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use klatsch_actors::session::{Pressure, Sink};
use klatsch_actors::strain::{Charge, Queue, Strain};
use klatsch_protocol::channels::{Action, Cause, Outgoing, Socket};
use klatsch_protocol::jid::Jid;
use klatsch_protocol::stanza::{Stanza, StreamCondition, StreamError};
use klatsch_protocol::xml::{Element, Fragment};
use tokio::sync::Notify;

use super::common::Common;
use super::contained::contained;
use super::membership::Membership;
use crate::listener::Limits;
use crate::metrics;

/// Stanzas that may wait for the session: what one push leads to, and answers to what others ask
/// of the client while its session has enough to do.
const ERRANDS_MAX: usize = 256;

/// How a connection is closed: a code of RFC 6455 §7.4.1. Clients before 1.8 come back after any
/// but 1000, newer ones always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// Coming back is of no use.
    Final,
    /// The client was silent for too long.
    GoingAway,
    /// It broke the rules, or reads too slowly.
    Policy,
    /// A defect of ours that is no single channel's.
    Fault,
    /// There is no room for it.
    TryAgain,
    /// The server starts again.
    Restart,
}

impl Closing {
    /// The code.
    pub(super) fn code(self) -> u16 {
        match self {
            Self::Final => 1000,
            Self::GoingAway => 1001,
            Self::Policy => 1008,
            Self::Fault => 1011,
            Self::Restart => 1012,
            Self::TryAgain => 1013,
        }
    }

    fn of(error: Option<&StreamError>) -> Self {
        match error.map(|error| error.condition) {
            Some(StreamCondition::SystemShutdown) => Self::Restart,
            Some(StreamCondition::ResourceConstraint) => Self::TryAgain,
            // Another connection has this one's resource, or the account is no longer what it
            // was: whoever comes back would do so for ever.
            Some(StreamCondition::Conflict | StreamCondition::NotAuthorized) => Self::Final,
            Some(_) => Self::Policy,
            None => Self::GoingAway,
        }
    }
}

/// What is to be done next.
pub(super) enum Next {
    /// Something for the client.
    Frame(Outgoing),
    /// Something for the session.
    Errand(Fragment),
    /// Nothing more: everything for the client has been taken.
    Closing(Closing),
}

/// One client's line.
pub(super) struct Line {
    state: Mutex<State>,
    changed: Notify,
    common: Arc<Common>,
    pub(super) membership: Membership,
    soft_bytes: usize,
    bytes_max: usize,
    is_trusted: bool,
}

struct State {
    socket: Socket,
    frames: VecDeque<Outgoing>,
    errands: VecDeque<Fragment>,
    waiting: Charge,
    closing: Option<Closing>,
    is_pressed: bool,
}

impl Line {
    pub(super) fn new(
        mut socket: Socket,
        client: IpAddr,
        limits: &Limits,
        strain: Arc<Strain>,
        common: Arc<Common>,
        membership: Membership,
    ) -> Self {
        let first = socket.begin();
        let mut state = State {
            socket,
            frames: VecDeque::new(),
            errands: VecDeque::new(),
            waiting: Charge::new(strain, Queue::Outbound),
            closing: None,
            is_pressed: false,
        };
        let bytes_max = limits.send_queue_bytes_max;
        state.perform(first, bytes_max);
        Self {
            state: Mutex::new(state),
            changed: Notify::new(),
            common,
            membership,
            soft_bytes: limits.send_queue_soft_bytes,
            bytes_max,
            is_trusted: limits.trusts(client),
        }
    }

    /// The client has sent what is no frame.
    pub(super) fn refuse(&self, why: &str) {
        self.turn(|socket| socket.refuse_frame(why));
    }

    pub(super) fn turn(&self, work: impl FnOnce(&mut Socket) -> Vec<Action>) -> Pressure {
        self.turn_for(None, work, |actions| actions)
    }

    /// Has the machine work for its client or its session. Should it fail, the channel does that
    /// the work was for; `take` takes out what is done without the lock.
    pub(super) fn turn_for(
        &self,
        cause: Option<Cause<'_>>,
        work: impl FnOnce(&mut Socket) -> Vec<Action>,
        take: impl FnOnce(Vec<Action>) -> Vec<Action>,
    ) -> Pressure {
        let mut state = self.lock();
        if state.closing.is_some() {
            return Pressure::Closed;
        }
        match contained(&mut state.socket, cause, work) {
            Some(actions) => self.perform(&mut state, take(actions)),
            None => {
                state.close(Closing::Fault);
                self.changed.notify_one();
                Pressure::Closed
            }
        }
    }

    fn perform(&self, state: &mut State, actions: Vec<Action>) -> Pressure {
        if !state.perform(actions, self.bytes_max) {
            // The client reads too slowly for what it asked for. What is worth keeping is in
            // logs; it catches up when it comes back.
            metrics::stream_error(StreamCondition::PolicyViolation.as_str());
            state.close(Closing::Policy);
        }
        self.changed.notify_one();
        if state.closing.is_some() {
            return Pressure::Closed;
        }
        match state.waiting.bytes() > self.soft_bytes {
            true => {
                state.is_pressed = true;
                Pressure::Queued(state.waiting.bytes())
            }
            false => Pressure::Free,
        }
    }

    /// What is to be done next; cancelling loses nothing.
    pub(super) async fn next(&self) -> Next {
        loop {
            if let Some(next) = self.try_next() {
                return next;
            }
            self.changed.notified().await;
        }
    }

    fn try_next(&self) -> Option<Next> {
        let mut state = self.lock();
        if let Some(frame) = state.take_frame() {
            return Some(Next::Frame(frame));
        }
        if let Some(closing) = state.closing {
            return Some(Next::Closing(closing));
        }
        if let Some(errand) = state.errands.pop_front() {
            return Some(Next::Errand(errand));
        }
        // Everything is written: the session may know how much that was (XEP-0198).
        state.socket.acknowledgement().map(Next::Errand)
    }

    /// The next frame for the client; `None` once there will be no more.
    pub(super) async fn next_frame(&self) -> Option<Outgoing> {
        loop {
            {
                let mut state = self.lock();
                if let Some(frame) = state.take_frame() {
                    return Some(frame);
                }
                if state.closing.is_some() {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    /// The next errand for the session, if there is one.
    pub(super) fn take_errand(&self) -> Option<Fragment> {
        let mut state = self.lock();
        if state.closing.is_some() {
            return None;
        }
        let errand = state.errands.pop_front();
        match state.frames.is_empty() {
            true => errand.or_else(|| state.socket.acknowledgement()),
            false => errand,
        }
    }

    /// Waits until something was added, or the end was. One at a time may wait.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Tells whether something waits for the client.
    pub(super) fn has_frames(&self) -> bool {
        !self.lock().frames.is_empty()
    }

    /// Whatever waits for the client, of at most so many bytes, but one frame at least if there
    /// is any.
    pub(super) fn take_frames(&self, bytes_max: usize) -> Vec<Outgoing> {
        let mut state = self.lock();
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some(frame) = state.frames.front() {
            bytes += frame.len();
            if !taken.is_empty() && bytes > bytes_max {
                break;
            }
            taken.extend(state.take_frame());
        }
        taken
    }

    /// Tells whether somebody held back and may go on, now that everything has been taken.
    pub(super) fn has_drained(&self) -> bool {
        let mut state = self.lock();
        state.frames.is_empty() && std::mem::take(&mut state.is_pressed)
    }

    /// Takes nothing more; what waits is still sent.
    pub(super) fn seal(&self, closing: Closing) {
        self.lock().close(closing);
        self.changed.notify_one();
    }

    /// How it closes, if it does.
    pub(super) fn closing(&self) -> Option<Closing> {
        self.lock().closing
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Does what the machine wants; false: more would wait than may.
    fn perform(&mut self, actions: Vec<Action>, bytes_max: usize) -> bool {
        for action in actions {
            match action {
                Action::Send(frame) => {
                    let bytes = self.waiting.bytes() + frame.len();
                    if bytes > bytes_max {
                        return false;
                    }
                    self.waiting.set(bytes);
                    self.frames.push_back(frame);
                }
                Action::Stanza(_) if self.errands.len() >= ERRANDS_MAX => return false,
                Action::Stanza(fragment) => self.errands.push_back(fragment),
                // Only what the client says leads to these.
                Action::App(_) => debug_assert!(false, "an errand for topics is lost"),
            }
        }
        true
    }

    fn take_frame(&mut self) -> Option<Outgoing> {
        let frame = self.frames.pop_front()?;
        let left = self.waiting.bytes() - frame.len();
        self.waiting.set(left);
        if self.frames.is_empty() {
            self.frames = VecDeque::new();
        }
        Some(frame)
    }

    fn close(&mut self, closing: Closing) {
        self.closing.get_or_insert(closing);
        self.errands = VecDeque::new();
    }
}

impl Sink for Line {
    fn stanza(&self, stanza: &Stanza) -> Pressure {
        let cause = Some(Cause::Stanza(stanza));
        self.turn_for(
            cause,
            |socket| socket.take_stanza(stanza),
            |actions| actions,
        )
    }

    fn stanza_to(&self, stanza: &Stanza, _to: &Jid) -> Pressure {
        let work = |socket: &mut Socket| {
            let Some(topic) = socket.common_topic(stanza) else {
                return socket.take_stanza(stanza);
            };
            let event = self.common.event(stanza, topic);
            socket.passed_on();
            event.map(Action::Send).into_iter().collect()
        };
        self.turn_for(Some(Cause::Stanza(stanza)), work, |actions| actions)
    }

    fn nonza(&self, element: &Element) -> Pressure {
        self.turn(|socket| socket.take_nonza(element))
    }

    fn close(&self, error: Option<StreamError>) {
        if let Some(error) = &error {
            metrics::stream_error(error.condition.as_str());
        }
        self.seal(Closing::of(error.as_ref()));
    }

    fn queued(&self) -> usize {
        self.lock().waiting.bytes()
    }

    fn is_trusted(&self) -> bool {
        self.is_trusted
    }

    fn cut(&self) {
        let mut state = self.lock();
        state.frames = VecDeque::new();
        state.waiting.set(0);
        state.close(Closing::TryAgain);
        drop(state);
        self.changed.notify_one();
    }
}
