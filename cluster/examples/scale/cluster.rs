//! The replicas of one group of shards on all nodes, with a network that takes a millisecond.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use klatsch_cluster::codec;
use klatsch_cluster::members::{Member, Members, State};
use klatsch_cluster::node_id::{Incarnation, Life, NodeId};
use klatsch_cluster::presence::{Now, Replica, Settings, wire};

use crate::report::on_processor;

type Net = Replica<Arc<str>, Arc<str>>;

const WALL: u64 = 1_700_000_000_000;

/// How long a message takes.
const LATENCY: Duration = Duration::from_millis(1);

/// Nothing takes longer than this to settle; what does, never will.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);

/// What something has cost.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cost {
    /// Bytes that each node has sent.
    pub(crate) sent: Vec<u64>,
    pub(crate) messages: u64,
    pub(crate) cpu: Duration,
    /// Differences that readers were told.
    pub(crate) told: u64,
    /// How long it took.
    pub(crate) time: Duration,
}

impl Cost {
    /// Groups do their work beside each other.
    pub(crate) fn add(&mut self, other: &Self) {
        self.sent.resize(other.sent.len(), 0);
        self.sent
            .iter_mut()
            .zip(&other.sent)
            .for_each(|(sum, it)| *sum += it);
        self.messages += other.messages;
        self.cpu += other.cpu;
        self.told += other.told;
        self.time = self.time.max(other.time);
    }
}

/// The cluster.
pub(crate) struct Cluster {
    nodes: Vec<Net>,
    /// When each wants to know of the time.
    ticks: Vec<Duration>,
    side: Vec<usize>,
    is_up: Vec<bool>,
    group: u8,
    settings: Settings,
    flying: BTreeMap<(Duration, u64), (usize, usize, Bytes)>,
    count: u64,
    now: Duration,
    began: Duration,
    cost: Cost,
    /// When counting began, on the clock and on the processor: on a busy machine a stretch of
    /// time is not a stretch of work.
    counting: (Instant, u64),
    lives: u64,
}

impl Cluster {
    pub(crate) fn new(nodes: usize, group: u8) -> Self {
        let settings = Settings::default();
        let lives = (0..nodes).map(|node| life(node, 1));
        let mut cluster = Self {
            nodes: lives
                .map(|life| Replica::new(settings.clone(), life, group))
                .collect(),
            ticks: vec![Duration::ZERO; nodes],
            side: vec![0; nodes],
            is_up: vec![true; nodes],
            group,
            settings,
            flying: BTreeMap::new(),
            count: 0,
            now: Duration::ZERO,
            began: Duration::ZERO,
            cost: Cost::default(),
            counting: (Instant::now(), on_processor()),
            lives: 1,
        };
        cluster.reset();
        cluster.publish();
        cluster.settle();
        cluster.reset();
        cluster
    }

    fn clock(&self) -> Now {
        Now {
            at: self.now,
            wall: WALL + self.now.as_millis() as u64,
        }
    }

    /// Counts anew.
    pub(crate) fn reset(&mut self) {
        self.began = self.now;
        self.counting = (Instant::now(), on_processor());
        self.cost = Cost {
            sent: vec![0; self.nodes.len()],
            ..Cost::default()
        };
    }

    /// What has been counted.
    pub(crate) fn cost(&self) -> Cost {
        let (began, before) = self.counting;
        let worked = Duration::from_nanos(on_processor() - before);
        let share = worked.as_secs_f64() / began.elapsed().as_secs_f64().max(1e-9);
        Cost {
            time: self.now - self.began,
            cpu: self.cost.cpu.mul_f64(share.min(1.0)),
            ..self.cost.clone()
        }
    }

    /// What has been counted; begins anew.
    pub(crate) fn taken(&mut self) -> Cost {
        let cost = self.cost();
        self.reset();
        cost
    }

    /// Waits until all see the same; what that has cost.
    pub(crate) fn settled(&mut self) -> Cost {
        self.settle();
        self.taken()
    }

    /// The shard of a number of a node's session.
    fn shard(&self, number: usize) -> u16 {
        let places = usize::from(self.settings.shards) / usize::from(self.settings.groups);
        let place = number % places;
        (place * usize::from(self.settings.groups)) as u16 + u16::from(self.group)
    }

    fn set(&mut self, node: usize, number: usize, shows: Option<&str>) {
        // As long as addresses and presences are: 33 bytes and 61.
        let key = format!("user{number:07}.{node:03}@example.org/phone");
        let shard = self.shard(number);
        let value = shows.map(|show| {
            format!("<show>{show}</show><status>At work</status><c node='a' ver='{number:07}'/>")
        });
        let clock = self.clock();
        let began = Instant::now();
        self.nodes[node].set(shard, key.into(), value.map(Into::into), WALL, clock);
        self.cost.cpu += began.elapsed();
        self.post(node);
    }

    pub(crate) fn log_in(&mut self, node: usize, numbers: Range<usize>) {
        self.each(numbers, |cluster, number| {
            cluster.set(node, number, Some("chat"))
        });
    }

    pub(crate) fn log_out(&mut self, node: usize, numbers: Range<usize>) {
        self.each(numbers, |cluster, number| cluster.set(node, number, None));
    }

    pub(crate) fn change(&mut self, node: usize, numbers: Range<usize>) {
        self.each(numbers, |cluster, number| {
            cluster.set(node, number, Some("away"))
        });
    }

    /// A thousand in a tenth of a second.
    fn each(&mut self, numbers: Range<usize>, act: impl Fn(&mut Self, usize)) {
        for number in numbers {
            act(self, number);
            if number % 1_000 == 999 {
                self.run(Duration::from_millis(100));
            }
        }
    }

    /// The network is cut into sides.
    pub(crate) fn split(&mut self, side: impl Fn(usize) -> usize) {
        self.side = (0..self.nodes.len()).map(side).collect();
        self.publish();
    }

    pub(crate) fn heal(&mut self) {
        self.split(|_| 0);
    }

    pub(crate) fn lose(&mut self, node: usize) {
        self.is_up[node] = false;
        self.publish();
    }

    pub(crate) fn find(&mut self, node: usize) {
        self.is_up[node] = true;
        self.publish();
    }

    /// A node begins another life.
    pub(crate) fn restart(&mut self, node: usize) {
        self.lives += 1;
        let life = life(node, self.lives);
        self.nodes[node] = Replica::new(self.settings.clone(), life, self.group);
        self.find(node);
    }

    fn sees(&self, one: usize, other: usize) -> bool {
        self.is_up[one] && self.is_up[other] && self.side[one] == self.side[other]
    }

    fn publish(&mut self) {
        for node in 0..self.nodes.len() {
            let others = (0..self.nodes.len()).filter(|other| *other != node);
            let others = others.map(|other| Member {
                life: self.nodes[other].me(),
                name: "node".into(),
                state: if self.sees(node, other) {
                    State::Up
                } else {
                    State::Down
                },
                is_silent: false,
            });
            let members = Members {
                others: others.collect(),
                ..Members::alone(self.nodes[node].me())
            };
            let clock = self.clock();
            let began = Instant::now();
            self.nodes[node].members(&members, clock);
            self.cost.cpu += began.elapsed();
            self.post(node);
        }
    }

    /// Takes what has come out of a node.
    fn post(&mut self, node: usize) {
        self.ticks[node] = self.nodes[node].next_tick();
        let output = self.nodes[node].take_output();
        self.cost.told += output
            .changes
            .iter()
            .map(|(_, it)| it.len() as u64)
            .sum::<u64>();
        for send in output.sends {
            let began = Instant::now();
            let bytes = Bytes::from(codec::encode(&send.envelope).expect("can be encoded"));
            self.cost.cpu += began.elapsed();
            for to in send.to {
                let to = usize::from(to.0) - 1;
                self.cost.sent[node] += bytes.len() as u64;
                self.cost.messages += 1;
                self.count += 1;
                let at = self.now + LATENCY;
                self.flying
                    .insert((at, self.count), (node, to, bytes.clone()));
            }
        }
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    /// Waits until all see the same and have said so.
    pub(crate) fn settle(&mut self) {
        let limit = self.now + SETTLED_WITHIN;
        let is_settled = |cluster: &Self| cluster.flying.is_empty() && cluster.is_converged();
        // Looking is dear, so it is done in steps that grow.
        let mut wait = Duration::from_millis(10);
        while !is_settled(self) {
            assert!(self.now < limit, "not settled");
            self.run(wait);
            wait = (wait + wait / 8).min(Duration::from_millis(250));
        }
    }

    fn step(&mut self, end: Duration) -> bool {
        let ticks = self.ticks.iter().min().copied();
        let letter = self.flying.keys().next().map(|(at, _)| *at);
        let next = [ticks, letter].into_iter().flatten().min();
        let Some(next) = next.filter(|next| *next <= end) else {
            return false;
        };
        self.now = self.now.max(next);
        while let Some(first) = self
            .flying
            .first_entry()
            .filter(|it| it.key().0 <= self.now)
        {
            let (from, to, bytes) = first.remove();
            if self.sees(from, to) {
                self.deliver(from, to, &bytes);
            }
        }
        for node in 0..self.nodes.len() {
            if self.ticks[node] <= self.now {
                let clock = self.clock();
                let began = Instant::now();
                self.nodes[node].tick(clock);
                self.cost.cpu += began.elapsed();
                self.post(node);
            }
        }
        true
    }

    fn deliver(&mut self, from: usize, to: usize, bytes: &[u8]) {
        let clock = self.clock();
        let began = Instant::now();
        let envelope = wire::read(bytes).expect("what was encoded can be read");
        self.nodes[to].receive(node_id(from), envelope, clock);
        self.cost.cpu += began.elapsed();
        self.post(to);
    }

    /// All copies that are to be seen are where their writers are, and told.
    fn is_converged(&self) -> bool {
        let up = (0..self.nodes.len()).filter(|node| self.is_up[*node]);
        up.clone().all(|node| {
            let shards = self.nodes[node].shards().iter();
            let mut wanted = shards.filter(|shard| shard.is_wanted());
            let seen = up
                .clone()
                .filter(|other| *other != node && self.sees(node, *other));
            let seen: Vec<usize> = seen.collect();
            wanted.all(|shard| {
                let is_same = |other: &usize| {
                    let number = shard.number();
                    let place = usize::from(number) / usize::from(self.settings.groups);
                    let written = self.nodes[*other].shards()[place].own();
                    let copy = shard.copy(node_id(*other));
                    let have = copy.map_or((0, 0), |held| {
                        (held.snapshot.version(), held.snapshot.fingerprint())
                    });
                    have == (written.version(), written.fingerprint())
                };
                shard.pending_len() == 0 && seen.iter().all(is_same)
            })
        })
    }

    /// How many entries of others all nodes have together.
    pub(crate) fn copies(&self) -> usize {
        let shards = self.nodes.iter().flat_map(|node| node.shards());
        let copies = shards.flat_map(|shard| shard.copies());
        copies.map(|(_, held)| held.snapshot.len()).sum()
    }
}

fn node_id(node: usize) -> NodeId {
    NodeId(node as u16 + 1)
}

fn life(node: usize, incarnation: u64) -> Life {
    Life {
        node: node_id(node),
        incarnation: Incarnation(incarnation),
    }
}
