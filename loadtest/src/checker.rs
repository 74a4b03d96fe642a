//! Says whether a history keeps the promises D1–D4 and D6 of the delivery contract.
//!
//! Ids are unique, so every rule is a comparison of sets or sequences in
//! linear time; nothing is searched. What nobody promised is counted, not
//! judged: a message without an answer may be there or not, but the same in
//! both archives and at most once; a message may be delivered again to a
//! session that was resumed or to a later one.
//!
//! The rules about messages stand in `checker/rules.rs`, one function each; those about presence
//! in `sight.rs`. `experiments.rs` tells what each kind of fault did to clients.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use crate::error::{LoadError, Result};
use crate::history::{Event, Log, Operation};

mod coverage;
mod defect;
mod experiments;
mod rules;
mod sight;
#[cfg(test)]
mod tests;

pub(crate) use coverage::Coverage;
pub(crate) use defect::Defect;
pub(crate) use experiments::Experiment;
use experiments::Experiments;
use sight::Sight;

/// Examples kept of each defect.
const EXAMPLES: usize = 5;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// No answer yet.
    Open,
    /// Acknowledged.
    Acked,
    /// Refused.
    Failed,
    /// The run ended without an answer.
    Unknown,
}

/// A message as its sender knows it.
#[derive(Clone, Copy, Debug)]
struct Sent {
    to: Log,
    fate: Fate,
    is_sent_again: bool,
}

impl Sent {
    /// The logs that a message of `sender` stands in.
    fn logs(self, sender: u32) -> impl Iterator<Item = Log> {
        let own = match self.to {
            Log::Account(_) => Some(Log::Account(sender)),
            Log::Room(_) => None,
        };
        own.into_iter().chain([self.to])
    }
}

/// A line of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    id: String,
    op: Operation,
}

/// Something a session received.
#[derive(Clone, Debug)]
struct Arrival {
    connection: u32,
    op: Operation,
    id: Option<String>,
}

/// What the checker found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// How much happened.
    pub(crate) coverage: Coverage,
    /// What each kind of fault did.
    pub(crate) experiments: BTreeMap<String, Experiment>,
    /// What makes the experiments prove less than they should.
    unproven: Vec<String>,
    defects: BTreeMap<Defect, (u64, Vec<String>)>,
}

impl Findings {
    /// Whether no promise was broken.
    pub(crate) fn is_clean(&self) -> bool {
        self.defects.is_empty()
    }

    /// How often each promise was broken.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (Defect, u64)> {
        self.defects
            .iter()
            .map(|(defect, (count, _))| (*defect, *count))
    }

    /// How often a promise was broken.
    #[cfg(test)]
    pub(crate) fn count(&self, defect: Defect) -> u64 {
        self.defects.get(&defect).map_or(0, |(count, _)| *count)
    }

    /// Why the run does not count, if it does not.
    pub(crate) fn missing(&self) -> Vec<String> {
        let missing = self.coverage.missing().into_iter().map(str::to_owned);
        missing.chain(self.unproven.iter().cloned()).collect()
    }

    fn add(&mut self, defect: Defect, example: impl fmt::Display) {
        let (count, examples) = self.defects.entry(defect).or_default();
        *count += 1;
        if examples.len() < EXAMPLES {
            examples.push(example.to_string());
        }
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}", self.coverage)?;
        for (defect, (count, examples)) in &self.defects {
            writeln!(f, "{} × {count}", defect.name())?;
            for example in examples {
                writeln!(f, "    {example}")?;
            }
        }
        Ok(())
    }
}

/// A history, sorted by what the rules ask for.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    clients: u32,
    rooms: u32,
    nodes: u32,
    sent: HashMap<Operation, Sent>,
    /// In the log's order, as the first node tells it.
    archives: BTreeMap<Log, Vec<Entry>>,
    /// As the others tell it.
    elsewhere: BTreeMap<(Log, u32), Vec<Entry>>,
    walked: HashSet<(Log, u32)>,
    /// By log, account and session, in the order of arrival.
    arrivals: BTreeMap<(Log, u32, u32), Vec<Arrival>>,
    sight: Sight,
    experiments: Experiments,
    findings: Findings,
}

impl Checker {
    /// Checks a whole history: events with the microseconds at which they happened.
    pub(crate) fn check(events: impl Iterator<Item = Result<(u64, Event)>>) -> Result<Findings> {
        let mut checker = Self::default();
        for event in events {
            let (at, event) = event?;
            checker.take(at, event)?;
        }
        checker.judge();
        Ok(checker.findings)
    }

    /// Takes one event in.
    fn take(&mut self, at: u64, event: Event) -> Result<()> {
        self.experiments.take(at, &event);
        self.sight.take(at, &event, &mut self.findings);
        self.count(&event);
        match event {
            Event::Run {
                clients,
                rooms,
                nodes,
                ..
            } => (self.clients, self.rooms, self.nodes) = (clients, rooms, nodes),
            Event::Invoke { op, to } => self.invoke(op, to)?,
            Event::Ok { op } => self.decide(op, Fate::Acked)?,
            Event::Fail { op, .. } => self.decide(op, Fate::Failed)?,
            Event::Info { op } => self.decide(op, Fate::Unknown)?,
            Event::Resent { op } => self.ask_again(op),
            Event::Received {
                account,
                session,
                connection,
                log,
                op,
                id,
            } => {
                let arrivals = self.arrivals.entry((log, account, session));
                arrivals.or_default().push(Arrival { connection, op, id });
            }
            Event::Archived {
                log,
                node,
                id,
                op,
                from,
                to,
                text,
            } => {
                let line = format!("{log} id {id}");
                let entry = self.read_entry(&line, op, (from, to), text);
                if let Some(op) = entry {
                    self.keep_entry(log, node, Entry { id, op });
                }
            }
            Event::Walked { log, node } => drop(self.walked.insert((log, node))),
            Event::CalledDown { number, node } => self.findings.add(
                Defect::CalledDown,
                format!("fault {number}: node {node} calls one down that lives"),
            ),
            Event::Trouble { what } => self.findings.add(Defect::Trouble, what),
            _ => {}
        }
        Ok(())
    }

    /// What is only counted.
    fn count(&mut self, event: &Event) {
        let coverage = &mut self.findings.coverage;
        match event {
            Event::Invoke { .. } => coverage.invoked += 1,
            Event::Resent { .. } => coverage.resent += 1,
            Event::Received { .. } => coverage.received += 1,
            Event::Archived { .. } => coverage.archived += 1,
            Event::Dropped { .. } => coverage.dropped += 1,
            Event::Resumed { .. } => {
                coverage.resumed += 1;
                coverage.resumed_after_stop += u64::from(coverage.was_stopped);
            }
            Event::NotResumed { .. } => {
                coverage.not_resumed += 1;
                coverage.not_resumed_after_stop += u64::from(coverage.was_stopped);
            }
            Event::Killed { in_flight } => {
                coverage.kills += 1;
                coverage.was_stopped = false;
                coverage.fault(*in_flight);
            }
            Event::Stopped { in_flight } => {
                coverage.stops += 1;
                coverage.was_stopped = true;
                coverage.fault(*in_flight);
            }
            Event::Filled { in_flight } => {
                coverage.fills += 1;
                coverage.fault(*in_flight);
            }
            Event::Fault { in_flight, .. } => {
                coverage.faults += 1;
                coverage.fault(*in_flight);
            }
            _ => {}
        }
    }

    fn invoke(&mut self, op: Operation, to: Log) -> Result<()> {
        let sent = Sent {
            to,
            fate: Fate::Open,
            is_sent_again: false,
        };
        match self.sent.insert(op, sent) {
            None => Ok(()),
            Some(_) => Err(broken(op, "invoked twice")),
        }
    }

    fn decide(&mut self, op: Operation, fate: Fate) -> Result<()> {
        let sent = self
            .sent
            .get_mut(&op)
            .ok_or_else(|| broken(op, "answered, but never invoked"))?;
        match (sent.fate, fate) {
            // A session that knows nothing of the one before, and a store that is away, refuse
            // what was sent again, and not what was sent first: that may be kept.
            (Fate::Open, Fate::Failed) if sent.is_sent_again => sent.fate = Fate::Unknown,
            (Fate::Open, _) => sent.fate = fate,
            // A refusal may come behind an acknowledgement: `h` counts what was handled, not what was kept.
            (Fate::Acked, Fate::Failed) => sent.fate = fate,
            _ => return Err(broken(op, "answered twice")),
        }
        Ok(())
    }

    /// A refusal of the type `wait` asks to try again (RFC 6120 §8.3.2). A client does when a node
    /// goes on with its session that was told of no refusal: what it sends again is kept or not.
    fn ask_again(&mut self, op: Operation) {
        let Some(sent) = self.sent.get_mut(&op) else {
            return;
        };
        sent.is_sent_again = true;
        if matches!(sent.fate, Fate::Failed | Fate::Unknown) {
            sent.fate = Fate::Open;
        }
    }

    /// The message that a line of a log is of, if it is of this run.
    fn read_entry(
        &mut self,
        line: &str,
        op: Option<Operation>,
        parties: (Option<u32>, Option<Log>),
        text: Option<String>,
    ) -> Option<Operation> {
        let Some(op) = op else {
            match text {
                Some(text) => self
                    .findings
                    .add(Defect::Phantom, format!("{line}: {text}")),
                None => self.findings.coverage.foreign += 1,
            }
            return None;
        };
        if let Some(sent) = self.sent.get(&op)
            && parties != (Some(op.sender), Some(sent.to))
        {
            self.findings.add(
                Defect::Phantom,
                format!("{line}: {op} from and to {parties:?}"),
            );
        }
        Some(op)
    }

    fn keep_entry(&mut self, log: Log, node: u32, entry: Entry) {
        let entries = match node {
            1 => self.archives.entry(log).or_default(),
            _ => self.elsewhere.entry((log, node)).or_default(),
        };
        entries.push(entry);
    }
}

/// A history that its own rules do not allow: the driver is wrong, not the server.
fn broken(op: Operation, what: &str) -> LoadError {
    LoadError::protocol(format!("broken history: {op} {what}"))
}
