//! What each kind of fault did to clients: how many messages it met, how long clients were
//! without a session, how many could resume theirs, how long messages waited for their answer.
//!
//! A fault that nobody has seen to be there, or that met no message under way, proves nothing.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::Findings;
use crate::history::{Event, Operation};
use crate::report::Histogram;

/// All faults of one kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Experiment {
    /// How often there was one.
    pub(crate) times: u64,
    /// Messages that were not acknowledged when they began.
    pub(crate) in_flight: u64,
    /// Messages acknowledged between the fault and the next one.
    pub(crate) acked: u64,
    /// Messages refused.
    pub(crate) failed: u64,
    /// Of the clients that lost their connection and not on purpose, those that resumed.
    pub(crate) resumed: u64,
    /// Those that had to begin a new session.
    pub(crate) not_resumed: u64,
    /// Those that the server has sent to another host.
    pub(crate) sent_elsewhere: u64,
    /// Those that were next seen on that very node.
    pub(crate) followed: u64,
    /// How long clients that lost their connection were without one.
    pub(crate) away: Histogram,
    /// From a message to its answer.
    pub(crate) answered: Histogram,
    /// From a heal to the next acknowledgement.
    pub(crate) service: Histogram,
    /// The longest that something was seen wrong after a heal.
    pub(crate) views: Histogram,
    /// From a fault until another node calls its victim down.
    pub(crate) down: Histogram,
    /// From a heal until all nodes call all others up.
    pub(crate) up: Histogram,
}

impl Experiment {
    /// Notes the longest that something was seen wrong behind one fault.
    pub(super) fn saw_wrong_for(&mut self, micros: u64) {
        self.views.record(Duration::from_micros(micros));
    }
}

/// A fault that has begun.
#[derive(Debug)]
struct Begun {
    fault: String,
    in_flight: u64,
    is_proven: bool,
}

/// The experiments of a history, while it is read.
#[derive(Debug, Default)]
pub(super) struct Experiments {
    kinds: BTreeMap<String, Experiment>,
    faults: BTreeMap<u32, Begun>,
    /// The kind of the last fault that began.
    current: Option<String>,
    /// Since when a client is without a session, and by which kind of fault.
    lost: HashMap<u32, (u64, Option<String>)>,
    /// Where a client was sent that is not back yet.
    sent_to: HashMap<u32, Option<u32>>,
    invoked: HashMap<Operation, u64>,
    healed_at: Option<u64>,
}

impl Experiments {
    /// Takes one event in.
    pub(super) fn take(&mut self, at: u64, event: &Event) {
        match event {
            Event::Fault {
                number,
                fault,
                in_flight,
                ..
            } => self.begin(*number, fault, *in_flight),
            Event::Proven { number, .. } => {
                if let Some(begun) = self.faults.get_mut(number) {
                    begun.is_proven = true;
                }
            }
            Event::Noticed {
                is_up, after_ms, ..
            } => self.with_current(|it| {
                let noticed = if *is_up { &mut it.up } else { &mut it.down };
                noticed.record(Duration::from_millis(*after_ms));
            }),
            Event::Healed { .. } => self.healed_at = Some(at),
            Event::Lost {
                account,
                on_purpose,
            } => {
                let fault = self.current.clone().filter(|_| !on_purpose);
                self.lost.insert(*account, (at, fault));
            }
            Event::SentElsewhere { account, node } => {
                self.sent_to.insert(*account, *node);
                self.count_return(*account, |it| it.sent_elsewhere += 1);
            }
            Event::Online { account, node } => {
                if self.sent_to.remove(account) == Some(Some(*node)) {
                    self.count_return(*account, |it| it.followed += 1);
                }
                self.came_back(at, *account);
            }
            Event::Resumed { account } => self.count_return(*account, |it| it.resumed += 1),
            Event::NotResumed { account } => self.count_return(*account, |it| it.not_resumed += 1),
            Event::Invoke { op, .. } => drop(self.invoked.insert(*op, at)),
            Event::Ok { op } => self.acknowledged(at, *op),
            Event::Fail { op, .. } => {
                self.invoked.remove(op);
                self.with_current(|it| it.failed += 1);
            }
            _ => {}
        }
    }

    fn begin(&mut self, number: u32, fault: &str, in_flight: u64) {
        let begun = Begun {
            fault: fault.to_owned(),
            in_flight,
            is_proven: false,
        };
        self.faults.insert(number, begun);
        self.current = Some(fault.to_owned());
        self.healed_at = None;
        self.with_current(|it| {
            it.times += 1;
            it.in_flight += in_flight;
        });
    }

    fn acknowledged(&mut self, at: u64, op: Operation) {
        let waited = self.invoked.remove(&op).map(|since| since_then(since, at));
        let healed = self.healed_at.take().map(|since| since_then(since, at));
        self.with_current(|it| {
            it.acked += 1;
            waited
                .into_iter()
                .for_each(|it_took| it.answered.record(it_took));
            healed
                .into_iter()
                .for_each(|it_took| it.service.record(it_took));
        });
    }

    fn came_back(&mut self, at: u64, account: u32) {
        let Some((since, Some(fault))) = self.lost.remove(&account) else {
            return;
        };
        let experiment = self.kinds.entry(fault).or_default();
        experiment.away.record(since_then(since, at));
    }

    fn count_return(&mut self, account: u32, count: impl FnOnce(&mut Experiment)) {
        if let Some((_, Some(fault))) = self.lost.get(&account) {
            count(self.kinds.entry(fault.clone()).or_default());
        }
    }

    fn with_current(&mut self, change: impl FnOnce(&mut Experiment)) {
        if let Some(fault) = &self.current {
            change(self.kinds.entry(fault.clone()).or_default());
        }
    }

    /// Hands the figures over, with what makes them prove less than they should.
    pub(super) fn conclude(&mut self, findings: &mut Findings) {
        for (fault, mut experiment) in std::mem::take(&mut self.kinds) {
            let known = findings.experiments.remove(&fault).unwrap_or_default();
            experiment.views.merge(&known.views);
            findings.experiments.insert(fault, experiment);
        }
        for (number, begun) in &self.faults {
            let fault = &begun.fault;
            if !begun.is_proven {
                let text = format!("fault {number}, {fault}, was not seen to be there");
                findings.unproven.push(text);
            }
            if begun.in_flight == 0 {
                let text = format!("fault {number}, {fault}, met no message under way");
                findings.unproven.push(text);
            }
        }
    }
}

fn since_then(since: u64, at: u64) -> Duration {
    Duration::from_micros(at.saturating_sub(since))
}
