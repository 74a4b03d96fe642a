//! Acknowledgements that wait until other nodes could go on with the session from there
//! (XEP-0198 §4, D1): a client that is told so much does not send it again, so whoever goes on
//! must not know of less.
//!
//! What sessions have recorded is shown ten times a second. When it is on its way, a word goes
//! after it to every node that is not given up, and is sent back; once it is back from all of
//! them, the clients are told. It costs a client a tenth of a second or two, and what is committed
//! is delivered meanwhile. A node that is silent makes all wait until it is heard or given up.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use klatsch_cluster::node_id::NodeId;
use tokio::time::Instant;

use crate::slot::Slot;

/// A node that is heard and does not send back what it is sent keeps nobody waiting for longer,
/// and nobody a second time: it is of a version that does not know how. Silence is over earlier.
const ECHO_MAX: Duration = Duration::from_secs(12);

/// What does not come back for so long is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What a session tells its client once it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// The connection that has asked, as its session counts them.
    pub connection: u32,
    /// What is handled.
    pub h: u32,
}

/// Those of one round are told at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Round(pub(crate) u64);

/// Of each session the latest, in the order of what becomes of them.
#[derive(Default)]
pub(super) struct Acks(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    unshown: HashMap<Slot, Ack>,
    last: Round,
    /// When it was asked for.
    asked: Option<Instant>,
    rounds: VecDeque<(Round, Instant, HashMap<Slot, Ack>)>,
    /// What is known. It may be kept from the clients for as long as the store does not say
    /// whether their sessions are still here.
    known: HashMap<Slot, Ack>,
    echoes: HashMap<NodeId, Round>,
    /// Those who send nothing back.
    mute: HashSet<NodeId>,
}

impl Acks {
    /// A session's client has asked.
    pub(super) fn ask(&self, slot: Slot, ack: Ack) {
        self.waiting().unshown.insert(slot, ack);
    }

    /// What has been asked for is being shown now. It makes a round, whose number goes after it
    /// and is to come back from the others.
    pub(super) fn shown(&self, now: Instant) -> Option<Round> {
        let mut waiting = self.waiting();
        let shown = std::mem::take(&mut waiting.unshown);
        if !shown.is_empty() {
            waiting.last.0 += 1;
            let round = waiting.last;
            waiting.rounds.push_back((round, now, shown));
        } else if !waiting.is_to_ask_again(now) {
            return None;
        }
        waiting.asked = Some(now);
        Some(waiting.last)
    }

    /// A node has sent a number back: everything shown before is there.
    pub(super) fn came_back(&self, from: NodeId, round: Round) {
        let mut waiting = self.waiting();
        waiting.mute.remove(&from);
        let known = waiting.echoes.entry(from).or_default();
        *known = round.max(*known);
    }

    /// Looks which numbers are back from all these nodes; tells whether anybody can be told.
    pub(super) fn are_known_by(&self, nodes: &[NodeId], now: Instant) -> bool {
        let mut waiting = self.waiting();
        waiting.echoes.retain(|node, _| nodes.contains(node));
        waiting.mute.retain(|node| nodes.contains(node));
        waiting.give_up(nodes, now);
        let until = waiting.known_by(nodes);
        while let Some((_, _, acks)) = waiting.rounds.pop_front_if(|(round, ..)| *round <= until) {
            waiting.known.extend(acks);
        }
        !waiting.known.is_empty()
    }

    /// Those who can be told, of each the latest.
    pub(super) fn take_known(&self) -> HashMap<Slot, Ack> {
        std::mem::take(&mut self.waiting().known)
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.0.lock().expect("no holder panics")
    }
}

impl Waiting {
    /// What all these nodes have sent back that send anything back.
    fn known_by(&self, nodes: &[NodeId]) -> Round {
        let speaking = nodes.iter().filter(|node| !self.mute.contains(*node));
        let known = speaking.map(|node| self.echo_of(*node)).min();
        known.unwrap_or(self.last)
    }

    fn echo_of(&self, node: NodeId) -> Round {
        self.echoes.get(&node).copied().unwrap_or_default()
    }

    /// Nodes that have not sent back what they were asked for long ago.
    fn give_up(&mut self, nodes: &[NodeId], now: Instant) {
        let is_old = |since: Instant| now.duration_since(since) >= ECHO_MAX;
        let Some((oldest, since, _)) = self.rounds.front() else {
            return;
        };
        if is_old(*since) {
            let owes = |node: &&NodeId| self.echo_of(**node) < *oldest;
            let mute: Vec<NodeId> = nodes.iter().filter(owes).copied().collect();
            self.mute.extend(mute);
        }
    }

    /// What was sent or came back may be lost.
    fn is_to_ask_again(&self, now: Instant) -> bool {
        let is_long_ago = |asked: Instant| now.duration_since(asked) >= ASK_AGAIN;
        !self.rounds.is_empty() && self.asked.is_none_or(is_long_ago)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::Slots;

    const ONE: NodeId = NodeId(1);
    const TWO: NodeId = NodeId(2);

    fn ack(h: u32) -> Ack {
        Ack { connection: 1, h }
    }

    fn told(acks: &Acks, nodes: &[NodeId], now: Instant) -> Vec<u32> {
        acks.are_known_by(nodes, now);
        let told = acks.take_known().into_values();
        told.map(|ack| ack.h).collect()
    }

    #[test]
    fn a_client_is_answered_when_what_it_asked_for_is_where_others_are() {
        let (acks, now) = (Acks::default(), Instant::now());
        let slot = Slots::default().reserve(1);
        acks.ask(slot, ack(1));
        acks.ask(slot, ack(2));
        let first = acks.shown(now).expect("it is on its way");
        acks.came_back(ONE, first);
        assert!(told(&acks, &[ONE, TWO], now).is_empty());
        acks.came_back(TWO, first);
        assert_eq!(told(&acks, &[ONE, TWO], now), [2]);
        assert!(told(&acks, &[ONE, TWO], now).is_empty(), "once");
        acks.ask(slot, ack(3));
        let second = acks.shown(now).expect("there is more");
        assert!(second > first);
        assert!(told(&acks, &[ONE, TWO], now).is_empty());
    }

    #[test]
    fn nobody_waits_for_a_node_that_is_given_up_and_everybody_for_one_that_is_silent() {
        let (acks, now) = (Acks::default(), Instant::now());
        let slot = Slots::default().reserve(1);
        for h in 1..=3 {
            acks.ask(slot, ack(h));
            if let Some(round) = acks.shown(now) {
                acks.came_back(ONE, round);
            }
        }
        assert!(told(&acks, &[ONE, TWO], now).is_empty());
        assert_eq!(told(&acks, &[ONE], now), [3], "the latest alone");
        acks.ask(slot, ack(4));
        acks.shown(now);
        assert_eq!(told(&acks, &[], now), [4], "there is nobody else");
    }

    #[test]
    fn a_node_that_comes_back_knows_nothing_of_what_it_knew() {
        let (acks, now) = (Acks::default(), Instant::now());
        let slot = Slots::default().reserve(1);
        acks.ask(slot, ack(1));
        let round = acks.shown(now).expect("it is on its way");
        acks.came_back(ONE, Round(round.0 + 5));
        assert_eq!(told(&acks, &[], now), [1], "it is given up");
        acks.ask(slot, ack(2));
        acks.shown(now);
        assert!(told(&acks, &[ONE], now).is_empty());
    }

    #[test]
    fn a_store_that_does_not_answer_has_each_session_wait_once() {
        let (acks, now) = (Acks::default(), Instant::now());
        let slot = Slots::default().reserve(1);
        for h in 1..=100 {
            acks.ask(slot, ack(h));
            let round = acks.shown(now).expect("it is on its way");
            acks.came_back(ONE, round);
            assert!(acks.are_known_by(&[ONE], now));
        }
        assert_eq!(acks.waiting().known.len(), 1);
        assert!(acks.waiting().rounds.is_empty());
        assert_eq!(told(&acks, &[ONE], now), [100]);
    }

    #[test]
    fn a_number_that_was_lost_is_asked_for_again() {
        let (acks, now) = (Acks::default(), Instant::now());
        acks.ask(Slots::default().reserve(1), ack(1));
        let round = acks.shown(now);
        assert!(round.is_some());
        assert_eq!(acks.shown(now), None);
        let later = now + ASK_AGAIN;
        assert_eq!(acks.shown(later), round);
        assert_eq!(acks.shown(later), None);
        assert_eq!(told(&acks, &[], later), [1]);
        assert_eq!(acks.shown(later + ASK_AGAIN), None, "nobody waits");
    }

    #[test]
    fn a_node_that_is_heard_and_never_answers_keeps_nobody_waiting_twice() {
        let (acks, now) = (Acks::default(), Instant::now());
        let slot = Slots::default().reserve(1);
        let asked = |h, now| {
            acks.ask(slot, ack(h));
            acks.shown(now)
        };
        asked(1, now);
        assert!(told(&acks, &[ONE], now).is_empty());
        let later = now + ECHO_MAX;
        assert_eq!(told(&acks, &[ONE], later), [1]);
        let round = asked(2, later).expect("it is on its way");
        assert_eq!(told(&acks, &[ONE], later), [2]);
        acks.came_back(ONE, round);
        asked(3, later);
        assert!(told(&acks, &[ONE], later).is_empty(), "it has spoken");
    }
}
