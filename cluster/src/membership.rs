//! Who is there, as one node hears it: a state machine without clock, socket or runtime.
//!
//! Every node says every second to every other that it lives; what else arrives from a node
//! counts as well. Three seconds of silence make it suspect, five make it down, and a little
//! more where the way there and back is long: a lost packet is then sent again much later, and
//! five seconds would mark down nodes that only are far away (at 2 s and 5 % loss nine seconds
//! bridge a packet that is lost twice). A node that is down is up again by a new connection
//! alone.
//!
//! A heartbeat says how long ago the other was heard, so that both ends of a link that carries
//! one way only give it up. A node in a later life replaces itself at once, an earlier life is
//! refused.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::members::{Member, Members, State};
use crate::node_id::{Life, NodeId};

/// A node that has said that it stops, and did, is forgotten after this time: long enough for
/// operators to see it, and nobody compares logs for its sake any more.
const FORGET_LEFT: Duration = Duration::from_secs(60);

/// A node that was lost is expected back for so long. While it is, logs are compared every
/// second, for it may write to the store behind a cut.
pub(crate) const FORGET_LOST: Duration = Duration::from_secs(24 * 3600);

/// Nodes that are known at once, with those that are gone: ten times as many as the largest
/// cluster this is measured for.
pub const NODES_MAX: usize = 1000;

/// How long a silence may be.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// How often nodes say that they live.
    pub heartbeat: Duration,
}

impl Timing {
    /// After such a silence a node is suspect.
    fn suspect(self, round_trip: Duration) -> Duration {
        3 * self.heartbeat + round_trip
    }

    /// After such a silence a node is down.
    fn down(self, round_trip: Duration) -> Duration {
        5 * self.heartbeat + (2 * round_trip).min(5 * self.heartbeat)
    }
}

/// What a node says to another every second. Times are microseconds of the sender's own clock,
/// which only the sender reads again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// When it was sent.
    pub sent: u64,
    /// `sent` of the last heartbeat that was had from the receiver, 0 if there was none.
    pub echo: u64,
    /// How long ago that heartbeat came.
    pub held: u64,
    /// How long ago the receiver was heard.
    pub silence: u64,
    /// The sender stops.
    pub is_leaving: bool,
}

/// Why a node is not spoken with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// It is the very node that asks.
    #[error("this is the node itself")]
    Itself,
    /// A later life of the node that asks is known.
    #[error("a later life of this node is known: incarnation {0}")]
    Superseded(u64),
    /// The number is that of a node with another name, or the name that of another number.
    #[error("another node has this name or number")]
    Taken,
    /// The two are connected, or about to be, and this connection is one too many.
    #[error("the nodes are connected already")]
    Connected,
    /// The certificate is another node's.
    #[error("the certificate is another node's")]
    Certificate,
    /// Too many nodes are known.
    #[error("too many nodes are known")]
    Full,
    /// There is no version of the protocol that both speak.
    #[error("no version of the protocol is spoken by both")]
    Version,
}

/// What one node thinks of all, and why.
#[derive(Debug)]
pub struct Membership {
    me: Life,
    name: Box<str>,
    timing: Timing,
    is_leaving: bool,
    is_superseded: bool,
    looked: Duration,
    /// When this node has last noticed that it had slept for so long that others may have given it
    /// up.
    woke: Option<Duration>,
    changes: u64,
    peers: BTreeMap<NodeId, Peer>,
}

#[derive(Debug)]
struct Peer {
    life: Life,
    name: Box<str>,
    state: State,
    changed: Duration,
    is_leaving: bool,
    is_connected: bool,
    /// The other end has closed the connection, or its kernel has.
    has_hung_up: bool,
    heard: Duration,
    round_trip: Duration,
    echo: Option<(u64, Duration)>,
}

/// What is known of a node besides its state.
#[derive(Debug, Clone, Copy)]
pub struct Vitals {
    /// How long a message and its answer take.
    pub round_trip: Duration,
    /// When the state has changed.
    pub changed: Duration,
    /// When it was heard.
    pub heard: Duration,
}

impl Membership {
    /// A node that knows no other.
    pub fn new(me: Life, name: &str, timing: Timing) -> Self {
        Self {
            me,
            name: name.into(),
            timing,
            is_leaving: false,
            is_superseded: false,
            looked: Duration::ZERO,
            woke: None,
            changes: 0,
            peers: BTreeMap::new(),
        }
    }

    /// Whether a node that says this of itself may be spoken with.
    pub fn check(&self, life: Life, name: &str) -> Result<(), Refusal> {
        if life.node == self.me.node {
            return Err(self.check_myself(life));
        }
        if name == &*self.name {
            return Err(Refusal::Taken);
        }
        for peer in self.peers.values() {
            if (peer.life.node == life.node) != (*peer.name == *name) {
                return Err(Refusal::Taken);
            }
        }
        match self.peers.get(&life.node) {
            Some(peer) if peer.life.incarnation > life.incarnation => {
                Err(Refusal::Superseded(peer.life.incarnation.0))
            }
            None if self.peers.len() >= NODES_MAX => Err(Refusal::Full),
            _ => Ok(()),
        }
    }

    /// Somebody has this node's own number: [`Refusal::Taken`] says that it is a later life.
    fn check_myself(&self, life: Life) -> Refusal {
        if life == self.me {
            return Refusal::Itself;
        }
        if life.incarnation > self.me.incarnation {
            return Refusal::Taken;
        }
        Refusal::Superseded(self.me.incarnation.0)
    }

    /// A later life of this node has been seen or told of. Tells whether that is news.
    pub fn superseded(&mut self) -> bool {
        !std::mem::replace(&mut self.is_superseded, true)
    }

    /// Tells whether a later life of this node is known.
    pub fn is_superseded(&self) -> bool {
        self.is_superseded
    }

    /// A node has come in touch by a new connection: it lives.
    pub fn connected(&mut self, life: Life, name: &str, round_trip: Duration, now: Duration) {
        let before = self.peers.get(&life.node);
        let is_same_life = |peer: &&Peer| peer.life == life && peer.state == State::Up;
        let changed = before.filter(is_same_life).map_or(now, |peer| peer.changed);
        let peer = Peer {
            life,
            name: name.into(),
            state: State::Up,
            changed,
            is_leaving: false,
            is_connected: true,
            has_hung_up: false,
            heard: now,
            round_trip,
            echo: None,
        };
        self.peers.insert(life.node, peer);
        self.changes += 1;
    }

    /// The connection to a node in this life is lost.
    pub fn disconnected(&mut self, life: Life, now: Duration) {
        let was_asleep = self.was_asleep(now);
        self.with(life, |peer, timing| {
            // Whoever is given up for its silence is hung up on; and who was silent itself, having
            // slept, is hung up on by those who live.
            peer.has_hung_up |= peer.state != State::Down && !was_asleep;
            peer.is_connected = false;
            peer.judge(timing, now)
        });
    }

    /// Something has come from a node.
    pub fn heard(&mut self, life: Life, now: Duration) {
        self.with(life, |peer, timing| {
            if !peer.is_connected {
                return false;
            }
            peer.heard = now;
            peer.judge(timing, now)
        });
    }

    /// A heartbeat has come. Tells whether the connection is to be closed, because the other
    /// side does not hear this one.
    pub fn heartbeat(&mut self, life: Life, beat: Heartbeat, now: Duration) -> bool {
        self.heard(life, now);
        self.with(life, |peer, timing| peer.take(timing, beat, now));
        let peer = self.peers.get(&life.node).filter(|peer| peer.life == life);
        let is_deaf = |peer: &Peer| peer.is_deaf(self.timing, beat);
        peer.is_some_and(is_deaf)
    }

    /// What to say to a node.
    pub fn beat_for(&self, node: NodeId, now: Duration) -> Option<Heartbeat> {
        let peer = self.peers.get(&node)?;
        let (echo, held) = match peer.echo {
            Some((sent, came)) => (sent, micros(now.saturating_sub(came))),
            None => (0, 0),
        };
        Some(Heartbeat {
            sent: micros(now),
            echo,
            held,
            silence: micros(now.saturating_sub(peer.heard)),
            is_leaving: self.is_leaving,
        })
    }

    /// Judges all. Answers the nodes whose connections are to be closed because they are down,
    /// with a last heartbeat, from which the other side learns that it is not heard.
    pub fn look(&mut self, now: Duration) -> Vec<Life> {
        // Who has slept (SIGSTOP, a machine without CPU) has not listened either: what has come
        // meanwhile is read before anybody is judged by it.
        let has_slept = self.has_slept(now);
        let slept = now.saturating_sub(std::mem::replace(&mut self.looked, now));
        if slept > self.timing.heartbeat {
            self.woke = if has_slept { Some(now) } else { self.woke };
            return Vec::new();
        }
        let mut closing = Vec::new();
        for peer in self.peers.values_mut() {
            self.changes += u64::from(peer.judge(self.timing, now));
            if peer.state == State::Down && std::mem::take(&mut peer.is_connected) {
                closing.push(peer.life);
            }
        }
        let known = self.peers.len();
        self.peers.retain(|_, peer| !peer.is_forgotten(now));
        self.changes += u64::from(self.peers.len() < known);
        closing
    }

    /// Whether it has not looked for so long that others may think that it is gone.
    fn has_slept(&self, now: Duration) -> bool {
        now.saturating_sub(self.looked) >= self.timing.suspect(Duration::ZERO)
    }

    /// The same of a moment ago: what has become of connections meanwhile is noticed little by
    /// little.
    fn was_asleep(&self, now: Duration) -> bool {
        let lately = self.timing.down(Duration::ZERO);
        let has_woken = |woke: Duration| now.saturating_sub(woke) < lately;
        self.has_slept(now) || self.woke.is_some_and(has_woken)
    }

    /// This node stops.
    pub fn leave(&mut self) {
        self.is_leaving = true;
        self.changes += 1;
    }

    /// Changes with everything that [`Membership::members`] shows.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// What is thought of all.
    pub fn members(&self) -> Members {
        let others = self.peers.values().map(|peer| Member {
            life: peer.life,
            name: peer.name.clone(),
            state: peer.state,
            is_silent: peer.is_silent(),
        });
        Members {
            me: self.me,
            others: others.collect(),
            is_leaving: self.is_leaving,
        }
    }

    /// What is known of a node besides its state.
    pub fn vitals(&self, node: NodeId) -> Option<Vitals> {
        self.peers.get(&node).map(|peer| Vitals {
            round_trip: peer.round_trip,
            changed: peer.changed,
            heard: peer.heard,
        })
    }

    /// Changes a node in this life; the change tells whether others would see it.
    fn with(&mut self, life: Life, change: impl FnOnce(&mut Peer, Timing) -> bool) {
        let peer = self.peers.get_mut(&life.node);
        if let Some(peer) = peer.filter(|peer| peer.life == life) {
            self.changes += u64::from(change(peer, self.timing));
        }
    }
}

impl Peer {
    /// Takes what a heartbeat says; tells whether the state has changed.
    fn take(&mut self, timing: Timing, beat: Heartbeat, now: Duration) -> bool {
        if !self.is_connected {
            return false;
        }
        self.is_leaving = beat.is_leaving;
        self.echo = Some((beat.sent, now));
        self.measure(beat, now);
        if self.is_deaf(timing, beat) {
            self.is_connected = false;
            return self.turn(State::Down, now);
        }
        self.judge(timing, now)
    }

    /// It has not heard this node for so long that it gives it up.
    fn is_deaf(&self, timing: Timing, beat: Heartbeat) -> bool {
        Duration::from_micros(beat.silence) >= timing.down(self.round_trip)
    }

    /// Thinks again of the node; tells whether the state has changed.
    fn judge(&mut self, timing: Timing, now: Duration) -> bool {
        let silence = now.saturating_sub(self.heard);
        let is_gone = self.is_leaving && !self.is_connected;
        let state = match self.state {
            State::Down => State::Down,
            _ if is_gone || silence >= timing.down(self.round_trip) => State::Down,
            _ if self.is_leaving => State::Leaving,
            _ if !self.is_connected || silence >= timing.suspect(self.round_trip) => State::Suspect,
            _ => State::Up,
        };
        self.turn(state, now)
    }

    fn is_silent(&self) -> bool {
        matches!(self.state, State::Suspect | State::Down) && !self.has_hung_up
    }

    fn turn(&mut self, state: State, now: Duration) -> bool {
        let is_new = self.state != state;
        if is_new {
            (self.state, self.changed) = (state, now);
        }
        is_new
    }

    /// Takes the time there and back from an echo; smoothed as TCP does, a quarter at a time,
    /// for there is one each second only.
    fn measure(&mut self, beat: Heartbeat, now: Duration) {
        let Some(taken) = micros(now).checked_sub(beat.echo) else {
            return;
        };
        let Some(taken) = taken.checked_sub(beat.held) else {
            return;
        };
        if beat.echo != 0 {
            self.round_trip = (3 * self.round_trip + Duration::from_micros(taken)) / 4;
        }
    }

    fn is_forgotten(&self, now: Duration) -> bool {
        let after = match self.is_leaving {
            true => FORGET_LEFT,
            false => FORGET_LOST,
        };
        self.state == State::Down && now.saturating_sub(self.changed) >= after
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
