//! Says whether a history keeps the promises D1–D3 of the delivery contract.
//!
//! Ids are unique, so every rule is a comparison of sets or sequences in
//! linear time; nothing is searched. What nobody promised is counted, not
//! judged: a message without an answer may be there or not, but the same in
//! both archives and at most once; a message may be delivered again to a
//! session that was resumed or to a later one.
//!
//! The rules stand in `checker/rules.rs`, one function each.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::error::{LoadError, Result};
use crate::history::{Event, Operation};

mod rules;
#[cfg(test)]
mod tests;

/// Examples kept of each defect.
const EXAMPLES: usize = 5;

/// A broken promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Defect {
    /// Acknowledged, but not in an archive (D1).
    LostAcked,
    /// Twice in one archive (D2).
    Duplicate,
    /// In an archive, but never sent so.
    Phantom,
    /// Refused, but in an archive (D5).
    FailedButArchived,
    /// Two messages of an account had the same id.
    IdReused,
    /// A message was delivered under another id than its archive's.
    IdChanged,
    /// Numbered ids that do not grow.
    IdNotIncreasing,
    /// Behind a later message of the same sender and conversation (D3).
    Reordered,
    /// In one party's archive, but not in the other's.
    ArchivesDiverge,
    /// Delivered, but not in the receiver's archive.
    DeliveredNotArchived,
    /// Delivered in another order than the archive's (D3).
    LiveOrder,
    /// Delivered twice on one connection.
    DeliveredTwice,
    /// A session received what came before and after, but not this (D4).
    LiveGap,
    /// An archive could not be read.
    Unread,
    /// The driver met what the protocol does not allow, or the run did not come to rest.
    Trouble,
}

impl Defect {
    /// The name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::LostAcked => "LOST-acked",
            Self::Duplicate => "duplicate-in-archive",
            Self::Phantom => "phantom",
            Self::FailedButArchived => "failed-but-archived",
            Self::IdReused => "stanza-id-reused",
            Self::IdChanged => "stanza-id-changed",
            Self::IdNotIncreasing => "stanza-id-not-increasing",
            Self::Reordered => "reordered",
            Self::ArchivesDiverge => "archives-diverge",
            Self::DeliveredNotArchived => "delivered-not-archived",
            Self::LiveOrder => "live-order",
            Self::DeliveredTwice => "delivered-twice",
            Self::LiveGap => "live-gap",
            Self::Unread => "archive-unread",
            Self::Trouble => "trouble",
        }
    }
}

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
    to: u32,
    fate: Fate,
}

/// A line of an archive.
#[derive(Clone, Debug)]
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

/// How much happened. A run without faults that hit something proves nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Coverage {
    /// Messages sent.
    pub(crate) invoked: u64,
    /// Messages acknowledged.
    pub(crate) acked: u64,
    /// Messages refused.
    pub(crate) failed: u64,
    /// Messages without an answer.
    pub(crate) unknown: u64,
    /// Messages sent again.
    pub(crate) resent: u64,
    /// Arrivals at sessions.
    pub(crate) received: u64,
    /// Arrivals of what the account had received before.
    pub(crate) redelivered: u64,
    /// Lines of archives read.
    pub(crate) archived: u64,
    /// Lines of archives that are of no message of this run.
    pub(crate) foreign: u64,
    /// Times the server was killed.
    pub(crate) kills: u64,
    /// Times the server was stopped as an operator stops it.
    pub(crate) stops: u64,
    /// Times the disk was filled.
    pub(crate) fills: u64,
    /// Faults that came with messages in flight.
    pub(crate) faults_that_hit: u64,
    /// Messages that were in flight at faults.
    pub(crate) hit: u64,
    /// Sessions resumed.
    pub(crate) resumed: u64,
    /// Sessions the server knew no more.
    pub(crate) not_resumed: u64,
    /// Of both, those that came between a stop and the next kill: a session that can be resumed
    /// gets over a stop.
    pub(crate) resumed_after_stop: u64,
    /// See there.
    pub(crate) not_resumed_after_stop: u64,
    /// The last fault that took the server away was a stop.
    was_stopped: bool,
    /// Connections dropped by clients.
    pub(crate) dropped: u64,
    /// Acknowledged messages that no session of the addressee received live.
    pub(crate) not_live: u64,
}

impl Coverage {
    fn fault(&mut self, in_flight: u64) {
        self.faults_that_hit += u64::from(in_flight > 0);
        self.hit += in_flight;
    }

    /// What must have happened, but did not.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let needed = [
            (self.kills + self.stops + self.fills, "no fault happened"),
            (self.faults_that_hit, "no fault hit a message in flight"),
            (self.acked, "nothing was acknowledged"),
            (self.received, "nothing was delivered"),
            (self.archived, "no archive had anything"),
            // A full disk alone is answered with refusals; a kill is not.
            (
                self.resent + self.failed,
                "nothing was sent again, nothing refused",
            ),
        ];
        needed
            .into_iter()
            .filter(|(count, _)| *count == 0)
            .map(|(_, what)| what)
            .collect()
    }
}

/// What the checker found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// How much happened.
    pub(crate) coverage: Coverage,
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
    sent: HashMap<Operation, Sent>,
    /// By account, in the archive's order.
    archives: BTreeMap<u32, Vec<Entry>>,
    walked: Vec<u32>,
    /// By account and session, in the order of arrival.
    arrivals: BTreeMap<(u32, u32), Vec<Arrival>>,
    findings: Findings,
}

impl Checker {
    /// Checks a whole history.
    pub(crate) fn check(events: impl Iterator<Item = Result<Event>>) -> Result<Findings> {
        let mut checker = Self::default();
        for event in events {
            checker.take(event?)?;
        }
        checker.judge();
        Ok(checker.findings)
    }

    /// Takes one event in.
    fn take(&mut self, event: Event) -> Result<()> {
        let coverage = &mut self.findings.coverage;
        match event {
            Event::Run { clients, .. } => self.clients = clients,
            Event::Invoke { op, to } => {
                coverage.invoked += 1;
                if self
                    .sent
                    .insert(
                        op,
                        Sent {
                            to,
                            fate: Fate::Open,
                        },
                    )
                    .is_some()
                {
                    return Err(broken(op, "invoked twice"));
                }
            }
            Event::Ok { op } => self.decide(op, Fate::Acked)?,
            Event::Fail { op, .. } => self.decide(op, Fate::Failed)?,
            Event::Info { op } => self.decide(op, Fate::Unknown)?,
            Event::Resent { .. } => coverage.resent += 1,
            Event::Received {
                account,
                session,
                connection,
                op,
                id,
            } => {
                coverage.received += 1;
                self.arrivals
                    .entry((account, session))
                    .or_default()
                    .push(Arrival { connection, op, id });
            }
            Event::Resumed { .. } => {
                coverage.resumed += 1;
                coverage.resumed_after_stop += u64::from(coverage.was_stopped);
            }
            Event::NotResumed { .. } => {
                coverage.not_resumed += 1;
                coverage.not_resumed_after_stop += u64::from(coverage.was_stopped);
            }
            Event::Dropped { .. } => coverage.dropped += 1,
            Event::Killed { in_flight } => {
                coverage.kills += 1;
                coverage.was_stopped = false;
                coverage.fault(in_flight);
            }
            Event::Stopped { in_flight } => {
                coverage.stops += 1;
                coverage.was_stopped = true;
                coverage.fault(in_flight);
            }
            Event::Filled { in_flight } => {
                coverage.fills += 1;
                coverage.fault(in_flight);
            }
            Event::Started { .. } | Event::Freed => {}
            Event::Archived {
                account,
                id,
                op,
                from,
                to,
                text,
            } => {
                self.take_entry(account, id, op, (from, to), text);
            }
            Event::Walked { account } => self.walked.push(account),
            Event::Trouble { what } => self.findings.add(Defect::Trouble, what),
        }
        Ok(())
    }

    fn decide(&mut self, op: Operation, fate: Fate) -> Result<()> {
        let sent = self
            .sent
            .get_mut(&op)
            .ok_or_else(|| broken(op, "answered, but never invoked"))?;
        match (sent.fate, fate) {
            (Fate::Open, _) => sent.fate = fate,
            // A refusal may come behind an acknowledgement: `h` counts what was handled, not what was kept.
            (Fate::Acked, Fate::Failed) => sent.fate = fate,
            _ => return Err(broken(op, "answered twice")),
        }
        Ok(())
    }

    fn take_entry(
        &mut self,
        account: u32,
        id: String,
        op: Option<Operation>,
        parties: (Option<u32>, Option<u32>),
        text: Option<String>,
    ) {
        self.findings.coverage.archived += 1;
        let Some(op) = op else {
            match text {
                Some(text) => self.findings.add(
                    Defect::Phantom,
                    format!("account {account} id {id}: {text}"),
                ),
                None => self.findings.coverage.foreign += 1,
            }
            return;
        };
        if let Some(sent) = self.sent.get(&op)
            && parties != (Some(op.sender), Some(sent.to))
        {
            self.findings.add(
                Defect::Phantom,
                format!("account {account} id {id}: {op} from and to {parties:?}"),
            );
        }
        self.archives
            .entry(account)
            .or_default()
            .push(Entry { id, op });
    }
}

/// A history that its own rules do not allow: the driver is wrong, not the server.
fn broken(op: Operation, what: &str) -> LoadError {
    LoadError::protocol(format!("broken history: {op} {what}"))
}
