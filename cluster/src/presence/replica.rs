//! A group of shards on one node, as a pure state machine: what happens goes in, what is to be
//! sent and what readers are to be told comes out.
//!
//! Three ways bring copies up to date. **Deltas** carry what a node writes to the replicas of
//! the shard, some tens of milliseconds after it happens. **Hellos** compare what two nodes
//! have in a few bytes, when one comes into sight and every few seconds. **Pulls** fetch what
//! a delta or a hello shows to be missing; whoever needs something asks for it, a page at a
//! time, so nobody is ever sent more than it has asked for, and whoever answers keeps nothing.
//!
//! - `apply`: what deltas and parts of answers do to a copy
//! - `hello`: who has what
//! - `pull`: questions, and what answers do
//! - `serve`: answers
//! - `standing`: nodes that come, go, begin another life

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use self::apply::{Refusal, Verdict};
use self::pull::{Asking, Behind};
use self::standing::Peer;
use super::shard::{Cause, Shard, Unsent};
use super::snapshot::Entry;
use super::wire::{self, Beaten, Delta, ENTRY_BYTES_MAX, Envelope, Message, PAGE_BYTES};
use super::{Change, Key, Lost, Now, Settings, Value};
use crate::codec;
use crate::link::Lane;
use crate::node_id::{Life, NodeId};

pub mod apply;
mod hello;
mod pull;
mod serve;
mod standing;

pub use standing::Standing;

/// A delta has so many entries at most: beyond, others ask, and get it in pages.
const DELTA_ADDS_MAX: usize = 1024;

/// So many changes in one batch are many: the next one waits longer, so that more travel
/// together.
const BATCH_MANY: usize = 64;

/// A group of shards.
#[derive(Debug)]
pub struct Replica<K, V> {
    settings: Settings,
    me: Life,
    group: u8,
    shards: Vec<Shard<K, V>>,
    peers: BTreeMap<NodeId, Peer>,
    /// Written and not sent: shards by their place.
    unsent: BTreeSet<usize>,
    changed: usize,
    batch: Duration,
    batch_at: Option<Duration>,
    hello_at: Duration,
    behind: Behind,
    /// Questions under way, by who is asked.
    asking: BTreeMap<NodeId, Asking>,
    asked: u32,
    untold: BTreeSet<usize>,
    output: Output<K, V>,
    broken: Option<Broken>,
}

/// What comes out.
#[derive(Debug)]
pub struct Output<K, V> {
    /// Messages to be sent.
    pub sends: Vec<Outgoing<K, V>>,
    /// What readers of other nodes' entries see now, by shard.
    pub changes: Vec<(u16, Vec<Change<K, V>>)>,
    /// Entries of this node that have lost to another node's: their sessions have to end.
    pub lost: Vec<Lost<K>>,
    /// What happened, to be counted.
    pub counts: Counts,
}

impl<K, V> Default for Output<K, V> {
    fn default() -> Self {
        Self {
            sends: Vec::new(),
            changes: Vec::new(),
            lost: Vec::new(),
            counts: Counts::default(),
        }
    }
}

/// A message to be sent: encoded once, whoever is to get it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing<K, V> {
    /// To whom.
    pub to: Vec<NodeId>,
    /// In which lane.
    pub lane: Lane,
    /// What.
    pub envelope: Envelope<K, V>,
}

/// What happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Deltas made, one for each shard and batch.
    pub deltas: u64,
    /// Deltas of others that applied.
    pub applied: u64,
    /// Deltas of others that came before something that was missing.
    pub gaps: u64,
    /// Questions asked.
    pub asks: u64,
    /// Questions that were not answered in time.
    pub unanswered: u64,
    /// Copies brought up to date by answers.
    pub merges: u64,
    /// Entries that came and dots that went with deltas and answers.
    pub entries: u64,
    /// Keys seen to be claimed by two nodes.
    pub conflicts: u64,
    /// Entries of this node that are too large or too many to be told to others.
    pub oversize: u64,
    /// Entries that claim to be from the future.
    pub futures: u64,
    /// What was refused, by reason.
    pub refused: BTreeMap<Refusal, u64>,
}

/// Rules that can be broken on purpose, to see that the simulator notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// A delta that overlaps a copy only adds and removes what it names.
    Overlap,
    /// Of two entries for a key whichever was heard of first wins.
    FirstComesWins,
    /// A node's earlier life is not over when a later one begins.
    EarlierLives,
    /// Parts of an answer are seen as they come.
    TornAnswers,
}

impl<K: Key, V: Value> Replica<K, V> {
    /// A group of a node that knows no other.
    pub fn new(settings: Settings, me: Life, group: u8) -> Self {
        let shards = settings.shards_of(group);
        Self {
            shards: shards.map(|shard| Shard::new(shard, me)).collect(),
            me,
            group,
            peers: BTreeMap::new(),
            unsent: BTreeSet::new(),
            changed: 0,
            batch: settings.batch_min,
            batch_at: None,
            hello_at: settings.hello,
            behind: Behind::new(),
            asking: BTreeMap::new(),
            asked: 0,
            untold: BTreeSet::new(),
            output: Output::default(),
            broken: None,
            settings,
        }
    }

    /// Breaks a rule, for the simulator.
    pub fn break_rule(&mut self, rule: Broken) {
        self.broken = Some(rule);
        for shard in &mut self.shards {
            shard.first_comes_wins = rule == Broken::FirstComesWins;
        }
    }

    /// The shards.
    pub fn shards(&self) -> &[Shard<K, V>] {
        &self.shards
    }

    /// This node.
    pub fn me(&self) -> Life {
        self.me
    }

    /// The place of a shard of this group.
    fn place(&self, shard: u16) -> Option<usize> {
        let is_mine = shard < self.settings.shards && self.settings.group_of(shard) == self.group;
        is_mine.then(|| usize::from(shard) / usize::from(self.settings.groups.max(1)))
    }

    /// An entry of this node, or none any more. `since`: see [`Entry::since`].
    pub fn set(&mut self, shard: u16, key: K, value: Option<V>, since: u64, now: Now) {
        let Some(place) = self.place(shard) else {
            return;
        };
        let value = value.filter(|value| self.fits(place, &key, value, since));
        if self.shards[place].set(key, value, since) {
            self.changed += 1;
            self.unsent.insert(place);
            self.untold.insert(place);
            self.batch_at.get_or_insert(now.at + self.batch);
        }
        self.settle(now);
    }

    /// When this node's entry under a key began: as it was told, or just after the latest that
    /// it knew another node to have.
    pub fn began(&self, shard: u16, key: &K) -> Option<u64> {
        self.shards[self.place(shard)?].own_since(key)
    }

    fn fits(&mut self, place: usize, key: &K, value: &V, since: u64) -> bool {
        let entry = Entry { key, value, since };
        let is_small = codec::encoded_len(&entry).is_ok_and(|len| len <= ENTRY_BYTES_MAX);
        let fits = is_small && self.shards[place].own().len() < apply::ENTRIES_MAX;
        self.output.counts.oversize += u64::from(!fits);
        fits
    }

    /// A message has arrived from a node.
    pub fn receive(&mut self, from: NodeId, envelope: Envelope<K, V>, now: Now) {
        if let Err(refusal) = self.hear(from, envelope, now) {
            self.refuse(refusal);
        }
        self.settle(now);
    }

    fn hear(&mut self, from: NodeId, envelope: Envelope<K, V>, now: Now) -> Result<(), Refusal> {
        if envelope.group != self.group {
            return Err(Refusal::Malformed);
        }
        if !self.is_listened_to(from, envelope.incarnation, now)? {
            return Ok(());
        }
        match envelope.message {
            Message::Hello(hello) => self.hear_hello(from, &hello, now),
            Message::Deltas(deltas) => self.hear_deltas(from, &deltas, now),
            Message::Ask(ask) => self.answer(from, &ask),
            Message::Answer(answer) => self.hear_answer(from, answer, now),
            Message::Beaten(beaten) => self.hear_beaten(from, &beaten),
        }
    }

    /// A message could not be read or was refused before it got here.
    pub fn refuse(&mut self, refusal: Refusal) {
        *self.output.counts.refused.entry(refusal).or_default() += 1;
    }

    fn hear_deltas(
        &mut self,
        from: NodeId,
        deltas: &[Delta<K, V>],
        now: Now,
    ) -> Result<(), Refusal> {
        for delta in deltas {
            let place = self.place(delta.shard).ok_or(Refusal::Malformed)?;
            if !self.shards[place].is_wanted() {
                continue;
            }
            if let Err(refusal) = self.hear_delta(from, place, delta, now) {
                self.refuse(refusal);
            }
        }
        Ok(())
    }

    fn hear_delta(
        &mut self,
        from: NodeId,
        place: usize,
        delta: &Delta<K, V>,
        now: Now,
    ) -> Result<(), Refusal> {
        self.hold(place, from);
        let judge = match self.broken {
            Some(Broken::Overlap) => apply::judge_without_overlap,
            _ => apply::judge,
        };
        let Some(held) = self.shards[place].copy(from) else {
            return Ok(());
        };
        match judge(&held.snapshot, delta) {
            Ok(Verdict::Old) => {}
            Ok(Verdict::Gap) => {
                self.output.counts.gaps += 1;
                self.is_behind(from, place, delta.to);
            }
            Ok(Verdict::Step(step)) => {
                self.output.counts.applied += 1;
                self.commit(place, from, step, Cause::SAID, now);
            }
            Err(refusal) => {
                self.doubt(from, place, refusal);
                return Err(refusal);
            }
        }
        Ok(())
    }

    /// A copy takes a step that was checked.
    fn commit(
        &mut self,
        place: usize,
        node: NodeId,
        mut step: apply::Step<K, V>,
        cause: Cause,
        now: Now,
    ) {
        let limit = now.wall + self.settings.drift_max.as_millis() as u64;
        for (_, entry) in step
            .adds
            .iter_mut()
            .filter(|(_, entry)| entry.since > limit)
        {
            Arc::make_mut(entry).since = 0;
            self.output.counts.futures += 1;
        }
        self.output.counts.entries += (step.adds.len() + step.drops.len()) as u64;
        self.shards[place].commit(node, step, cause);
        self.untold.insert(place);
    }

    fn hear_beaten(&mut self, from: NodeId, beaten: &Beaten) -> Result<(), Refusal> {
        let place = self.place(beaten.shard).ok_or(Refusal::Malformed)?;
        // Whoever has no copy cannot know.
        if !self.shards[place].replicas().contains(&from) {
            return Err(Refusal::NotAsked);
        }
        // Who has copies sees for itself, and knows better.
        if self.shards[place].is_wanted() {
            return Ok(());
        }
        let lost = self.shards[place].hear_beaten(beaten);
        self.output.lost.extend(lost);
        Ok(())
    }

    /// What a peer has sent may have been lost: what it has is to be compared.
    pub fn missed(&mut self, from: NodeId, now: Now) {
        if let Some(peer) = self.peers.get_mut(&from).filter(|peer| peer.is_shown()) {
            peer.is_missed = true;
            self.say_hello(&[from], true);
        }
        self.settle(now);
    }

    /// Tells whether everything is here that a node has sent until now, as far as can be known.
    pub fn knows_all_of(&self, node: NodeId) -> bool {
        let is_whole = |peer: &Peer| peer.is_shown() && !peer.is_returning && !peer.is_missed;
        self.peers.get(&node).is_some_and(is_whole) && !self.behind.contains_key(&node)
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Now) {
        if now.at >= self.hello_at {
            self.hello_at = now.at + self.settings.hello;
            self.send_deltas();
            self.say_hello_to_all(false);
            self.remind();
        }
        self.give_up_waiting(now);
        self.forget_the_long_gone(now);
        self.settle(now);
    }

    /// When time is to be told next.
    pub fn next_tick(&self) -> Duration {
        let told = self.untold.iter();
        let told = told.filter_map(|place| self.shards[*place].due());
        let answers = self.asking.values().map(|asking| asking.until);
        let gone = self.peers.values().filter_map(|peer| peer.until);
        let all = told.chain(answers).chain(gone).chain(self.batch_at);
        all.chain([self.hello_at]).min().unwrap_or(self.hello_at)
    }

    /// Tells whether something that was set is still to be sent: it is gathered for a moment.
    pub fn has_unsent(&self) -> bool {
        self.batch_at.is_some()
    }

    /// What has come out since the last time.
    pub fn take_output(&mut self) -> Output<K, V> {
        std::mem::take(&mut self.output)
    }

    /// Does what is due, after anything has happened.
    fn settle(&mut self, now: Now) {
        if self.batch_at.is_some_and(|at| at <= now.at) {
            self.send_deltas();
        }
        self.ask_for_what_is_missing(now);
        self.tell(now);
    }

    fn tell(&mut self, now: Now) {
        if self.untold.is_empty() {
            return;
        }
        let returning = self.peers.iter().filter(|(_, peer)| peer.is_returning);
        let returning: BTreeSet<NodeId> = returning.map(|(node, _)| *node).collect();
        for place in std::mem::take(&mut self.untold) {
            let shard = &mut self.shards[place];
            let told = shard.tell(now.at, &returning);
            if shard.due().is_some() {
                self.untold.insert(place);
            }
            let number = shard.number();
            self.output.counts.conflicts += (told.lost.len() + told.beaten.len()) as u64;
            self.output.lost.extend(told.lost);
            if !told.changes.is_empty() {
                self.output.changes.push((number, told.changes));
            }
            self.send_beaten(told.beaten);
        }
    }

    fn remind(&mut self) {
        let all = self.shards.iter().flat_map(Shard::remind);
        let all = all.collect();
        self.send_beaten(all);
    }

    fn send_beaten(&mut self, beaten: Vec<(NodeId, Beaten)>) {
        for (node, beaten) in beaten {
            if self.peers.get(&node).is_some_and(Peer::is_shown) {
                self.send(vec![node], Lane::Control, Message::Beaten(beaten));
            }
        }
    }

    /// Sends what has been written to the replicas; the next batch waits longer if this one is
    /// large, and less if it is small.
    fn send_deltas(&mut self) {
        self.batch_at = None;
        self.batch = match self.changed > BATCH_MANY {
            true => (self.batch * 2).min(self.settings.batch_max),
            false => (self.batch / 2).max(self.settings.batch_min),
        };
        self.changed = 0;
        let mut better_ask = BTreeSet::new();
        let mut parcels: BTreeMap<Vec<NodeId>, Parcel<K, V>> = BTreeMap::new();
        for place in std::mem::take(&mut self.unsent) {
            let to = self.others_with_a_copy(place);
            match self.shards[place].take_unsent(DELTA_ADDS_MAX) {
                Unsent::Nothing => {}
                Unsent::TooMuch => better_ask.extend(to),
                Unsent::Delta(delta) if codec_len(&delta) > PAGE_BYTES => better_ask.extend(to),
                Unsent::Delta(delta) if !to.is_empty() => {
                    self.output.counts.deltas += 1;
                    let full = parcels.entry(to.clone()).or_default().add(delta);
                    if let Some(deltas) = full {
                        self.send(to, Lane::Control, Message::Deltas(deltas));
                    }
                }
                Unsent::Delta(_) => {}
            }
        }
        for (to, parcel) in parcels {
            self.send(to, Lane::Control, Message::Deltas(parcel.deltas));
        }
        let better_ask: Vec<NodeId> = better_ask.into_iter().collect();
        self.say_hello(&better_ask, false);
    }

    /// The other nodes that have a copy of a shard and may be reached.
    fn others_with_a_copy(&self, place: usize) -> Vec<NodeId> {
        let replicas = self.shards[place].replicas().iter().copied();
        replicas.filter(|node| *node != self.me.node).collect()
    }

    fn send(&mut self, to: Vec<NodeId>, lane: Lane, message: Message<K, V>) {
        let envelope = Envelope {
            group: self.group,
            incarnation: self.me.incarnation,
            message,
        };
        if !to.is_empty() {
            self.output.sends.push(Outgoing { to, lane, envelope });
        }
    }
}

/// Deltas that travel together.
struct Parcel<K, V> {
    deltas: Vec<Delta<K, V>>,
    bytes: usize,
}

impl<K, V> Default for Parcel<K, V> {
    fn default() -> Self {
        Self {
            deltas: Vec::new(),
            bytes: 0,
        }
    }
}

impl<K: Key, V: Value> Parcel<K, V> {
    /// Adds a delta; what was there before is answered when it does not fit in with it.
    fn add(&mut self, delta: Delta<K, V>) -> Option<Vec<Delta<K, V>>> {
        let bytes = codec_len(&delta);
        let full = (self.bytes + bytes > PAGE_BYTES).then(|| std::mem::take(self).deltas);
        self.bytes += bytes;
        self.deltas.push(delta);
        full.filter(|deltas| !deltas.is_empty())
    }
}

/// The bytes of a delta; as many as there can be, if it cannot be encoded.
fn codec_len<K: Key, V: Value>(delta: &Delta<K, V>) -> usize {
    codec::encoded_len(delta).unwrap_or(wire::MESSAGE_BYTES_MAX)
}
