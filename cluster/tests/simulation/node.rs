//! One node of the simulation: its replica, what it thinks of the others, its sessions, and
//! what its readers have been told.

use std::collections::BTreeMap;
use std::time::Duration;

use klatsch_cluster::members::{Member, Members, State};
use klatsch_cluster::node_id::{Incarnation, Life, NodeId};
use klatsch_cluster::presence::{Broken, Change, Now, Output, Replica, Settings};

use crate::network::Time;
use crate::oracle::{Key, Value};

/// The wall clock when the simulation begins, milliseconds.
const WALL: u64 = 1_700_000_000_000;

/// A node is down when nothing was heard of it for so long.
pub(crate) const DOWN_AFTER: Time = 5_000;

/// A node.
pub(crate) struct Node {
    pub(crate) replica: Replica<Key, Value>,
    pub(crate) life: Life,
    pub(crate) started: Time,
    /// How far its clock is off, milliseconds.
    pub(crate) clock: i64,
    /// Of every other: which life, and when it was last heard.
    pub(crate) heard: BTreeMap<NodeId, (Incarnation, Time)>,
    opinion: Option<Members>,
    /// Its sessions: since when.
    pub(crate) sessions: BTreeMap<Key, u64>,
    /// What its readers have been told of others' entries.
    pub(crate) told: BTreeMap<Key, Value>,
    /// How often they were told anything.
    pub(crate) changes: usize,
    /// What was last checked of its copies: by writing node and shard.
    pub(crate) checked: BTreeMap<(NodeId, u16), (Incarnation, u64, u64)>,
}

impl Node {
    pub(crate) fn new(
        settings: &Settings,
        life: Life,
        started: Time,
        broken: Option<Broken>,
    ) -> Self {
        let mut replica = Replica::new(settings.clone(), life, 0);
        if let Some(rule) = broken {
            replica.break_rule(rule);
        }
        Self {
            replica,
            life,
            started,
            clock: 0,
            heard: BTreeMap::new(),
            opinion: None,
            sessions: BTreeMap::new(),
            told: BTreeMap::new(),
            changes: 0,
            checked: BTreeMap::new(),
        }
    }

    /// What its clocks say.
    pub(crate) fn now(&self, now: Time) -> Now {
        Now {
            at: Duration::from_millis(now - self.started),
            wall: (WALL + now).saturating_add_signed(self.clock),
        }
    }

    /// When its replica wants to know of the time.
    pub(crate) fn tick_at(&self) -> Time {
        let at = self.replica.next_tick().as_micros().div_ceil(1000) as Time;
        self.started + at
    }

    /// What membership thinks now, if that is something else than before.
    pub(crate) fn new_opinion(&mut self, now: Time) -> Option<Members> {
        let others = self.heard.iter().map(|(node, (incarnation, at))| Member {
            life: Life {
                node: *node,
                incarnation: *incarnation,
            },
            name: "node".into(),
            state: match now - at {
                ago if ago >= DOWN_AFTER => State::Down,
                ago if ago >= DOWN_AFTER / 2 => State::Suspect,
                _ => State::Up,
            },
            is_silent: false,
        });
        let members = Members {
            others: others.collect(),
            ..Members::alone(self.life)
        };
        let is_new = self.opinion.as_ref() != Some(&members);
        is_new.then(|| self.opinion.insert(members).clone())
    }

    /// Tells whether a node can be reached, as this one thinks.
    pub(crate) fn reaches(&self, node: NodeId) -> bool {
        self.opinion
            .as_ref()
            .is_some_and(|members| members.reaches(node))
    }

    /// Readers hear of changes: each must begin with what they know, and change it.
    pub(crate) fn tell(&mut self, output: &Output<Key, Value>) -> Result<(), String> {
        for (_, changes) in &output.changes {
            for change in changes {
                self.changes += 1;
                self.hear(change)?;
            }
        }
        Ok(())
    }

    fn hear(&mut self, change: &Change<Key, Value>) -> Result<(), String> {
        let known = self.told.get(&change.key).copied();
        if known != change.before {
            return Err(format!(
                "I8: readers know {known:?}, and hear of {change:?}"
            ));
        }
        match change.after {
            Some(value) => self.told.insert(change.key, value),
            None => self.told.remove(&change.key),
        };
        Ok(())
    }
}
