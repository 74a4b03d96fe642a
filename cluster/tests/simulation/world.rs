//! Several nodes, their network and time, and the invariants that are checked whenever
//! anything has happened (I1–I13 of the design).

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher;

use bytes::Bytes;
use klatsch_cluster::codec;
use klatsch_cluster::node_id::{Incarnation, Life, NodeId};
use klatsch_cluster::presence::wire::read;
use klatsch_cluster::presence::{Broken, Lost, Output, Settings, Standing};
use xxhash_rust::xxh3::Xxh3;

use crate::network::{Letter, Network, Place, Time, Weather};
use crate::node::Node;
use crate::oracle::{Entries, Key, Oracle, Value};
use crate::random::Random;

/// How often nodes hear of each other.
const BEAT: Time = 500;

/// How long it may take at most until others hear that a session has ended, in bad weather.
const ENDED_LATELY: Time = 5_000;

/// Every node's clock is at most so far off, milliseconds: a node whose clock is further off
/// than that from the store's does not join.
const CLOCK_MAX: u64 = 60_000;

/// What a simulation is like.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) settings: Settings,
    pub(crate) nodes: usize,
    pub(crate) weather: Weather,
    /// Nodes know of each other over third ones: a cut between two does not part them.
    pub(crate) is_indirect: bool,
    pub(crate) broken: Option<Broken>,
}

/// The simulated world.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) random: Random,
    pub(crate) now: Time,
    pub(crate) nodes: Vec<Option<Node>>,
    pub(crate) network: Network,
    pub(crate) oracle: Oracle,
    lives: u64,
    next_beat: Time,
    values: Value,
    /// When a session under a key has last ended.
    ended: BTreeMap<Key, Time>,
    trace: Xxh3,
    /// How often anything was delivered or ticked.
    pub(crate) steps: u64,
}

impl World {
    pub(crate) fn new(plan: Plan, seed: u64) -> Self {
        let mut world = Self {
            random: Random::new(seed),
            now: 0,
            nodes: (0..plan.nodes).map(|_| None).collect(),
            network: Network::new(plan.weather),
            oracle: Oracle::default(),
            lives: 0,
            next_beat: 0,
            values: 0,
            ended: BTreeMap::new(),
            trace: Xxh3::new(),
            steps: 0,
            plan,
        };
        for place in 0..world.plan.nodes {
            world.start(place);
        }
        world
    }

    /// The sum of everything that has happened.
    pub(crate) fn trace(&self) -> u64 {
        self.trace.finish()
    }

    fn note(&mut self, what: &str, numbers: &[u64], bytes: &[u8]) {
        self.trace.write_u64(self.now);
        self.trace.write(what.as_bytes());
        numbers
            .iter()
            .for_each(|number| self.trace.write_u64(*number));
        self.trace.write(bytes);
    }

    /// A node begins a life, if it has none.
    pub(crate) fn start(&mut self, place: Place) {
        if self.nodes[place].is_some() {
            return;
        }
        self.lives += 1;
        let life = Life {
            node: NodeId(place as u16 + 1),
            incarnation: Incarnation(self.lives),
        };
        let node = Node::new(&self.plan.settings, life, self.now, self.plan.broken);
        self.nodes[place] = Some(node);
        self.note("start", &[place as u64], &[]);
    }

    /// A node is gone without a word.
    pub(crate) fn crash(&mut self, place: Place) {
        self.nodes[place] = None;
        self.note("crash", &[place as u64], &[]);
    }

    /// A clock jumps.
    pub(crate) fn jump(&mut self, place: Place) {
        let clock = self.random.below(2 * CLOCK_MAX) as i64 - CLOCK_MAX as i64;
        if let Some(node) = &mut self.nodes[place] {
            node.clock = clock;
        }
    }

    /// The shard of a key.
    pub(crate) fn shard_of(&self, key: Key) -> u16 {
        key % self.plan.settings.shards
    }

    /// A session begins or shows something else.
    pub(crate) fn show(&mut self, place: Place, key: Key) -> Result<(), String> {
        self.values += 1;
        let value = self.values;
        let now = self.now;
        let Some(node) = &mut self.nodes[place] else {
            return Ok(());
        };
        let wall = node.now(now).wall;
        let since = *node.sessions.entry(key).or_insert(wall);
        self.set(place, key, Some(value), since)
    }

    /// A session ends.
    pub(crate) fn end(&mut self, place: Place, key: Key) -> Result<(), String> {
        let Some(node) = &mut self.nodes[place] else {
            return Ok(());
        };
        match node.sessions.remove(&key) {
            Some(since) => {
                self.ended.insert(key, self.now);
                self.set(place, key, None, since)
            }
            None => Ok(()),
        }
    }

    /// The keys under which a session has ended within the last seconds.
    pub(crate) fn ended_lately(&self) -> BTreeSet<Key> {
        let lately = self.ended.iter();
        let lately = lately.filter(|(_, at)| **at + ENDED_LATELY > self.now);
        lately.map(|(key, _)| *key).collect()
    }

    fn set(
        &mut self,
        place: Place,
        key: Key,
        value: Option<Value>,
        since: u64,
    ) -> Result<(), String> {
        let (shard, now) = (self.shard_of(key), self.now);
        let Some(node) = &mut self.nodes[place] else {
            return Ok(());
        };
        let at = node.now(now);
        node.replica.set(shard, key, value, since, at);
        let since = node.replica.began(shard, &key).unwrap_or(since);
        node.sessions.entry(key).and_modify(|began| *began = since);
        self.oracle.set(node.life, shard, key, value, since);
        self.note("set", &[place as u64, u64::from(key), since], &[]);
        self.after(place)
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, time: Time) -> Result<(), String> {
        let end = self.now + time;
        loop {
            let ticks = self.nodes.iter().flatten().map(Node::tick_at).min();
            let next = [Some(self.next_beat), self.network.next_at(), ticks];
            let next = next.into_iter().flatten().min().unwrap_or(end);
            if next > end {
                self.now = end;
                return Ok(());
            }
            self.now = next.max(self.now);
            self.step()?;
        }
    }

    fn step(&mut self) -> Result<(), String> {
        if self.next_beat <= self.now {
            self.next_beat = self.now + BEAT;
            self.beat()?;
        }
        while let Some(letter) = self.network.take(self.now) {
            self.deliver(&letter)?;
        }
        for place in 0..self.nodes.len() {
            let now = self.now;
            if let Some(node) = self.nodes[place]
                .as_mut()
                .filter(|node| node.tick_at() <= now)
            {
                node.replica.tick(node.now(now));
                if node.tick_at() <= now {
                    return Err(format!("node {place} wants to be woken in the past"));
                }
                self.after(place)?;
            }
        }
        Ok(())
    }

    fn deliver(&mut self, letter: &Letter) -> Result<(), String> {
        let now = self.now;
        let numbers = [letter.from as u64, letter.to as u64];
        self.note("deliver", &numbers, &letter.bytes);
        let Some(node) = &mut self.nodes[letter.to] else {
            return Ok(());
        };
        if node.life.incarnation.0 != letter.life {
            return Ok(());
        }
        let envelope = read(&letter.bytes).map_err(|refusal| format!("refused: {refusal:?}"))?;
        let at = node.now(now);
        node.replica
            .receive(NodeId(letter.from as u16 + 1), envelope, at);
        self.after(letter.to)
    }

    /// Nodes hear of each other, or do not.
    fn beat(&mut self) -> Result<(), String> {
        for place in 0..self.nodes.len() {
            for other in 0..self.nodes.len() {
                if self.hears(place, other) {
                    self.hear(place, other);
                }
            }
        }
        for place in 0..self.nodes.len() {
            let now = self.now;
            let says_missed = self.random.chance(50);
            let Some(node) = &mut self.nodes[place] else {
                continue;
            };
            let known: Vec<NodeId> = node.heard.keys().copied().collect();
            let before: Vec<bool> = known.iter().map(|it| node.reaches(*it)).collect();
            if let Some(members) = node.new_opinion(now) {
                let at = node.now(now);
                node.replica.members(&members, at);
                // The link says so when it is back; but that is a message like others.
                for (other, _) in known.iter().zip(before).filter(|(_, before)| !before) {
                    if says_missed && node.reaches(*other) {
                        node.replica.missed(*other, at);
                    }
                }
                self.after(place)?;
            }
        }
        Ok(())
    }

    fn hear(&mut self, place: Place, other: Place) {
        let Some(life) = self.nodes[other].as_ref().map(|node| node.life) else {
            return;
        };
        let now = self.now;
        if let Some(node) = &mut self.nodes[place] {
            node.heard.insert(life.node, (life.incarnation, now));
        }
    }

    fn hears(&self, place: Place, other: Place) -> bool {
        if place == other || self.nodes[place].is_none() || self.nodes[other].is_none() {
            return false;
        }
        let sees = |a, b| !self.network.is_cut((a, b)) && !self.network.is_cut((b, a));
        let over =
            |third: Place| self.nodes[third].is_some() && sees(place, third) && sees(third, other);
        sees(place, other) || (self.plan.is_indirect && (0..self.nodes.len()).any(over))
    }

    /// Carries out what has come of something, and checks the invariants.
    fn after(&mut self, place: Place) -> Result<(), String> {
        self.steps += 1;
        let Some(node) = &mut self.nodes[place] else {
            return Ok(());
        };
        let mut output = node.replica.take_output();
        node.tell(&output)?;
        self.send(place, &mut output);
        self.check_copies(place)?;
        // A session that has lost ends: its node is the only one that does anything.
        for Lost { key, .. } in output.lost {
            self.note("lost", &[place as u64, u64::from(key)], &[]);
            self.check_lost(place, key)?;
            self.end(place, key)?;
        }
        Ok(())
    }

    fn send(&mut self, place: Place, output: &mut Output<Key, Value>) {
        for send in std::mem::take(&mut output.sends) {
            let bytes = Bytes::from(codec::encode(&send.envelope).expect("can be encoded"));
            for to in send.to {
                let to = usize::from(to.0) - 1;
                let Some(receiver) = &self.nodes[to] else {
                    continue;
                };
                let letter = Letter {
                    from: place,
                    to,
                    life: receiver.life.incarnation.0,
                    bytes: bytes.clone(),
                };
                // What does not fit in is lost; a hello notices.
                self.network.send(self.now, letter, &mut self.random);
            }
        }
    }

    /// I1, I2, I4, I13: every copy is exactly what its writing node had at that version, in
    /// the latest life that is known, and never goes back.
    fn check_copies(&mut self, place: Place) -> Result<(), String> {
        let Some(node) = &mut self.nodes[place] else {
            return Ok(());
        };
        let mut checked = BTreeMap::new();
        for shard in node.replica.shards() {
            for (writer, held) in shard.copies() {
                let now = (
                    held.incarnation,
                    held.snapshot.version(),
                    held.snapshot.fingerprint(),
                );
                let known = node.replica.standing(writer).map(|(known, _)| known);
                if known != Some(held.incarnation) {
                    let had = held.incarnation;
                    return Err(format!("I4: node {place} has life {had} of {writer}"));
                }
                let name = (writer, shard.number());
                let before = node.checked.get(&name);
                if before.is_some_and(|before| (before.0, before.1) > (now.0, now.1)) {
                    return Err(format!("I2: node {place}: {before:?} becomes {now:?}"));
                }
                checked.insert(name, now);
                if before == Some(&now) {
                    continue;
                }
                let entries = held.snapshot.entries();
                let had: Entries = entries
                    .map(|(dot, it)| (dot, (it.key, it.value, it.since)))
                    .collect();
                let life = Life {
                    node: writer,
                    incarnation: held.incarnation,
                };
                let truth = self.oracle.at(life, shard.number(), now.1);
                if truth.as_ref() != Some(&had) {
                    return Err(format!(
                        "I1: node {place} has of {writer} at {now:?} {had:?}, not {truth:?}"
                    ));
                }
            }
        }
        node.checked = checked;
        Ok(())
    }

    /// I7: a session ends only for one that some node has begun and that ranks higher.
    fn check_lost(&self, place: Place, key: Key) -> Result<(), String> {
        let Some(node) = &self.nodes[place] else {
            return Ok(());
        };
        let shard = self.shard_of(key);
        let shard = node.replica.shards().iter().find(|it| it.number() == shard);
        let winner = shard.and_then(|shard| shard.visible().find(|(it, ..)| **it == key));
        let is_replica = shard.is_some_and(|shard| shard.is_wanted());
        match winner {
            Some((_, claim, _)) if claim.node == node.life.node && is_replica => {
                Err(format!("I7: node {place} is to end {key}, which wins"))
            }
            _ => Ok(()),
        }
    }

    /// I3, I5, I7, I8, I11 after all is healed and quiet: everyone sees the same, which is
    /// what there is.
    pub(crate) fn check_convergence(&self) -> Result<(), String> {
        let mut truth: BTreeMap<Key, (NodeId, Value)> = BTreeMap::new();
        for node in self.nodes.iter().flatten() {
            for shard in 0..self.plan.settings.shards {
                for (key, value, _) in self.oracle.latest(node.life, shard).into_values() {
                    if let Some(other) = truth.insert(key, (node.life.node, value)) {
                        let here = node.life.node;
                        return Err(format!("I7: {key} is on {here} and {}", other.0));
                    }
                }
            }
        }
        for node in self.nodes.iter().flatten() {
            self.check_view(node, &truth)?;
        }
        Ok(())
    }

    /// For every key the session that is to stay: of those there are, the one that wins.
    pub(crate) fn best_sessions(&self) -> BTreeMap<Key, (u64, Incarnation, NodeId)> {
        let mut best = BTreeMap::new();
        for node in self.nodes.iter().flatten() {
            for (key, since) in &node.sessions {
                let rank = (*since, node.life.incarnation, node.life.node);
                let known = best.entry(*key).or_insert(rank);
                *known = rank.max(*known);
            }
        }
        best
    }

    fn check_view(
        &self,
        node: &Node,
        truth: &BTreeMap<Key, (NodeId, Value)>,
    ) -> Result<(), String> {
        let me = node.life.node;
        let mut told = BTreeMap::new();
        for shard in node.replica.shards() {
            let is_seen = |owner: NodeId| shard.is_wanted() || owner == me;
            let visible = shard.visible();
            let seen: BTreeMap<Key, (NodeId, Value)> = visible
                .map(|(key, claim, value)| (*key, (claim.node, *value)))
                .collect();
            let due = truth.iter().filter(|(key, (owner, _))| {
                self.shard_of(**key) == shard.number() && is_seen(*owner)
            });
            let due: BTreeMap<_, _> = due.map(|(key, it)| (*key, *it)).collect();
            if seen != due {
                let number = shard.number();
                return Err(format!(
                    "I3: node {me} shard {number} sees {seen:?}, not {due:?}"
                ));
            }
            if shard.pending_len() > 0 {
                return Err(format!("I8: node {me} owes its readers something"));
            }
            told.extend(
                seen.iter()
                    .filter(|(_, it)| it.0 != me)
                    .map(|(key, it)| (*key, it.1)),
            );
            for (writer, _) in shard.copies() {
                let is_gone = self.nodes[usize::from(writer.0) - 1].is_none();
                let standing = node.replica.standing(writer);
                if is_gone && standing.is_none_or(|(_, it)| it != Standing::Hidden) {
                    return Err(format!(
                        "I5: node {me} keeps a copy of {writer}, which is gone"
                    ));
                }
            }
        }
        match told == node.told {
            true => Ok(()),
            false => Err(format!(
                "I8: readers of {me} know {:?}, not {told:?}",
                node.told
            )),
        }
    }

    /// I5: nothing is left of nodes that have been gone for longer than copies are kept.
    pub(crate) fn check_nothing_is_left_of_the_gone(&self) -> Result<(), String> {
        let gone = |writer: NodeId| self.nodes[usize::from(writer.0) - 1].is_none();
        for node in self.nodes.iter().flatten() {
            let copies = node
                .replica
                .shards()
                .iter()
                .flat_map(|shard| shard.copies());
            if let Some((writer, _)) = copies.into_iter().find(|(writer, _)| gone(*writer)) {
                let me = node.life.node;
                return Err(format!("I5: node {me} still has a copy of {writer}"));
            }
        }
        Ok(())
    }
}
