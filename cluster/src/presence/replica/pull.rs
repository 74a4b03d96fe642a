//! Questions for what is missing, and what their answers do.
//!
//! The writing node is asked; if it does not answer, whoever else has said that it has
//! something newer. One question to a peer is under way at a time.

use std::collections::BTreeMap;
use std::time::Duration;

use super::apply::{Refusal, Stage};
use super::{Broken, Replica, serve};
use crate::link::Lane;
use crate::node_id::{Incarnation, NodeId};
use crate::presence::shard::{Cause, Held};
use crate::presence::wire::{Answer, Ask, Message, Part, Want};
use crate::presence::{Key, Now, Value, Why};

/// Answers up to this size, bytes, travel with the deltas and keep their order with them:
/// larger ones would hold them up.
const SMALL_BYTES: usize = 8 * 1024;

/// What is missing in a shard is told to readers at once if it is no more than this.
const FEW: usize = 16;

/// A question under way.
#[derive(Debug)]
pub(super) struct Asking {
    number: u32,
    /// The writing node.
    pub(super) node: NodeId,
    /// The shards, by their place, and where their copies stood.
    places: Vec<(usize, Want)>,
    /// It is given up then.
    pub(super) until: Duration,
}

impl<K: Key, V: Value> Replica<K, V> {
    /// A copy is to be had of a node here.
    pub(super) fn hold(&mut self, place: usize, node: NodeId) {
        if let Some(peer) = self.peers.get(&node) {
            let is_shown = peer.is_shown() && self.shards[place].is_wanted();
            self.shards[place].hold(node, peer.incarnation, is_shown);
        }
    }

    /// A copy is behind, so much is known: at least this version exists (0: another than it).
    pub(super) fn is_behind(&mut self, node: NodeId, place: usize, version: u64) {
        let places = self.behind.entry(node).or_default();
        let known = places.entry(place).or_default();
        *known = version.max(*known);
    }

    /// A copy is wrong: all of it is fetched.
    pub(super) fn doubt(&mut self, node: NodeId, place: usize, refusal: Refusal) {
        if refusal != Refusal::Fingerprint {
            return;
        }
        if let Some(held) = self.shards[place].copies.get_mut(&node) {
            held.is_doubtful = true;
            held.stage = None;
        }
        self.is_behind(node, place, 0);
    }

    pub(super) fn ask_for_what_is_missing(&mut self, now: Now) {
        let nodes: Vec<NodeId> = self.behind.keys().copied().collect();
        for node in nodes {
            if let Some(source) = self.source_for(node, now) {
                self.ask(source, node, now);
            }
        }
    }

    /// Who is to be asked for what a node has written, if somebody can be now.
    fn source_for(&self, node: NodeId, now: Now) -> Option<NodeId> {
        let peer = self.peers.get(&node).filter(|peer| peer.is_shown())?;
        let can_be_reached = |node: &NodeId| self.peers.get(node).is_some_and(|it| it.is_shown());
        let relay = peer.relay.filter(can_be_reached);
        let relay = relay.filter(|_| peer.is_silent(now, self.settings.hello));
        let source = relay.unwrap_or(node);
        (!self.asking.contains_key(&source)).then_some(source)
    }

    fn ask(&mut self, source: NodeId, node: NodeId, now: Now) {
        let Some(places) = self.behind.get(&node) else {
            return;
        };
        let places = places.keys();
        let places = places.map(|place| (*place, self.want(*place, node)));
        let places: Vec<(usize, Want)> = places.collect();
        let Some(incarnation) = self.peers.get(&node).map(|peer| peer.incarnation) else {
            return;
        };
        let wants = places.iter().map(|(_, want)| *want).collect();
        self.asked = self.asked.wrapping_add(1);
        let ask = Ask {
            number: self.asked,
            node,
            incarnation,
            wants,
        };
        let asking = Asking {
            number: self.asked,
            node,
            places,
            until: now.at + self.settings.answer_within,
        };
        self.output.counts.asks += 1;
        self.asking.insert(source, asking);
        self.send(vec![source], Lane::Control, Message::Ask(ask));
    }

    fn want(&self, place: usize, node: NodeId) -> Want {
        let shard = &self.shards[place];
        let held = shard.copy(node);
        let (version, upto, count, fingerprint) = held.map_or((0, 0, 0, 0), Held::position);
        Want {
            shard: shard.number(),
            version,
            upto,
            count: count as u64,
            fingerprint,
        }
    }

    /// Questions that were not answered in time are asked again, elsewhere if possible.
    pub(super) fn give_up_waiting(&mut self, now: Now) {
        let late = self
            .asking
            .iter()
            .filter(|(_, asking)| asking.until <= now.at);
        let late: Vec<(NodeId, NodeId)> = late.map(|(asked, it)| (*asked, it.node)).collect();
        for (asked, node) in late {
            self.asking.remove(&asked);
            self.output.counts.unanswered += 1;
            if let Some(peer) = self.peers.get_mut(&node) {
                match asked == node {
                    true => peer.silent = Some(now.at),
                    false => peer.relay = None,
                }
            }
        }
    }

    /// Answers a question with as much as one message holds.
    pub(super) fn answer(&mut self, from: NodeId, ask: &Ask) -> Result<(), Refusal> {
        if ask.wants.len() > self.shards.len() {
            return Err(Refusal::TooLarge);
        }
        let incarnation = self.life_here(ask);
        let (mut parts, mut bytes, mut answered) = (Vec::new(), 0, 0);
        for want in &ask.wants {
            if bytes > self.settings.page_bytes {
                break;
            }
            let place = self.place(want.shard).ok_or(Refusal::Malformed)?;
            parts.extend(self.part(place, ask, want, &mut bytes));
            answered += 1;
        }
        let answer = Answer {
            number: ask.number,
            incarnation,
            answered,
            parts,
        };
        let lane = match bytes <= SMALL_BYTES {
            true => Lane::Control,
            false => Lane::Bulk,
        };
        self.send(vec![from], lane, Message::Answer(answer));
        Ok(())
    }

    /// Which life of the node asked about is known here.
    fn life_here(&self, ask: &Ask) -> Incarnation {
        match self.peers.get(&ask.node) {
            _ if ask.node == self.me.node => self.me.incarnation,
            Some(peer) => peer.incarnation,
            None => Incarnation(0),
        }
    }

    fn part(&self, place: usize, ask: &Ask, want: &Want, bytes: &mut usize) -> Option<Part<K, V>> {
        let (shard, page) = (&self.shards[place], self.settings.page_bytes);
        if ask.node == self.me.node {
            let is_this_life = ask.incarnation == self.me.incarnation;
            let nothing = Want::nothing(want.shard);
            let want = if is_this_life { want } else { &nothing };
            return serve::part(shard.own(), want, true, page, bytes);
        }
        let held = shard.copy(ask.node)?;
        let is_same_life = held.incarnation == ask.incarnation;
        is_same_life.then(|| serve::part(&held.snapshot, want, false, page, bytes))?
    }

    pub(super) fn hear_answer(
        &mut self,
        from: NodeId,
        answer: Answer<K, V>,
        now: Now,
    ) -> Result<(), Refusal> {
        let asked = self.asking.get(&from);
        if asked.is_none_or(|asking| asking.number != answer.number) {
            return Err(Refusal::NotAsked);
        }
        let Some(asking) = self.asking.remove(&from) else {
            return Ok(());
        };
        let node = asking.node;
        let life = self.peers.get(&node).map(|peer| peer.incarnation);
        if life != Some(answer.incarnation) {
            return self.hear_of_another_life(from, node);
        }
        let answered = asking.places.iter().take(usize::from(answer.answered));
        for (place, want) in answered {
            let part = answer.parts.iter().find(|part| part.shard == want.shard);
            if *want != self.want(*place, node) {
                // The copy has moved since: it is asked for again, if it is still behind.
                continue;
            }
            let heard = match part {
                Some(part) => self.hear_part(*place, node, from, part, now),
                None => {
                    self.is_settled(*place, node, from);
                    Ok(())
                }
            };
            heard.unwrap_or_else(|refusal| self.refuse(refusal));
        }
        Ok(())
    }

    /// Only a node itself, and membership, say that a node has begun another life: the number
    /// of the largest would shut the node out for good, so nobody else is believed. One who
    /// knows less than this node cannot help.
    fn hear_of_another_life(&mut self, from: NodeId, node: NodeId) -> Result<(), Refusal> {
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.relay = peer.relay.filter(|relay| *relay != from);
        }
        self.behind.remove(&node);
        Err(Refusal::NotAsked)
    }

    /// Who was asked has nothing newer.
    fn is_settled(&mut self, place: usize, node: NodeId, from: NodeId) {
        let is_doubtful = self.shards[place]
            .copy(node)
            .is_some_and(|held| held.is_doubtful);
        if is_doubtful && from == node {
            // The node has never written anything here.
            self.shards[place].forget(node, Cause::SAID);
            self.untold.insert(place);
        }
        self.is_up_to_date(place, node, u64::MAX);
    }

    /// A copy has got to a version.
    fn is_up_to_date(&mut self, place: usize, node: NodeId, version: u64) {
        if let Some(places) = self.behind.get_mut(&node) {
            if places.get(&place).is_some_and(|known| *known <= version) {
                places.remove(&place);
            }
            if places.is_empty() {
                self.behind.remove(&node);
                self.is_it_all(node);
            }
        }
    }

    /// A node that has come back is asked whether that was all: until then nobody's session
    /// ends because of what it had before.
    fn is_it_all(&mut self, node: NodeId) {
        if self
            .peers
            .get(&node)
            .is_some_and(|peer| peer.is_returning && peer.is_shown())
        {
            self.say_hello(&[node], true);
        }
    }

    fn hear_part(
        &mut self,
        place: usize,
        node: NodeId,
        from: NodeId,
        part: &Part<K, V>,
        now: Now,
    ) -> Result<(), Refusal> {
        self.hold(place, node);
        let is_torn = self.broken == Some(Broken::TornAnswers);
        let Some(held) = self.shards[place].copies.get_mut(&node) else {
            return Ok(());
        };
        let has_some = held.snapshot.version() > 0 || held.stage.is_some();
        let is_fresh = (part.from, part.after) == (0, 0) && has_some;
        // Only who has written it says that what is there is wrong.
        if is_fresh && from != node && !held.is_doubtful {
            return self.part_is_wrong(place, node, false, Refusal::NotAsked);
        }
        let mut stage = match held.stage.take() {
            Some(stage) if !is_fresh => stage,
            _ if is_fresh => Stage::fresh(),
            _ => Stage::on(&held.snapshot),
        };
        if !stage.is_continued_by(part) {
            return self.part_is_wrong(place, node, false, Refusal::Malformed);
        }
        let result = stage.advance(&held.snapshot, part);
        if result.is_ok() && !stage.is_complete() && !is_torn {
            held.stage = Some(stage);
            return Ok(());
        }
        let finished = match is_torn {
            true => result.map(|()| stage.tear(&held.snapshot)),
            false => result.and_then(|()| stage.finish(&held.snapshot, part.fingerprint)),
        };
        match finished {
            Ok(step) => {
                self.output.counts.merges += 1;
                self.is_up_to_date(place, node, step.version);
                let cause = self.cause_of(place, node, step.drops.len() + step.adds.len(), now);
                self.commit(place, node, step, cause, now);
                Ok(())
            }
            Err(refusal) => self.part_is_wrong(place, node, is_fresh, refusal),
        }
    }

    /// What was missing is asked for whole; if that is wrong too, it is left until the next
    /// hello, or the two nodes would do nothing else.
    fn part_is_wrong(
        &mut self,
        place: usize,
        node: NodeId,
        was_fresh: bool,
        refusal: Refusal,
    ) -> Result<(), Refusal> {
        let was_doubtful = self.shards[place]
            .copy(node)
            .is_some_and(|held| held.is_doubtful);
        match refusal {
            Refusal::Fingerprint if !was_fresh && !was_doubtful => {
                self.doubt(node, place, refusal);
            }
            _ => self.is_up_to_date(place, node, u64::MAX),
        }
        Err(refusal)
    }

    /// What comes with a node's return is told with it; much that was missed is told together.
    fn cause_of(&self, place: usize, node: NodeId, size: usize, now: Now) -> Cause {
        let is_returning = self.peers.get(&node).is_some_and(|peer| peer.is_returning);
        let why = if is_returning {
            Why::NodeBack
        } else {
            Why::Said
        };
        match size <= FEW && !is_returning {
            true => Cause::SAID,
            false => self.paced(place, why, self.settings.coalesce, now),
        }
    }
}

/// What is behind, by writing node: shards by their place, and a version known to exist.
pub(super) type Behind = BTreeMap<NodeId, BTreeMap<usize, u64>>;
