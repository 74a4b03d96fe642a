//! The rules, one function each, over a history that was read to its end.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Arrival, Checker, Defect, Entry, Fate, Findings};
use crate::history::{Log, Operation};

impl Checker {
    /// Applies every rule.
    pub(super) fn judge(&mut self) {
        self.count_fates();
        self.check_walks();
        self.check_acked_are_kept();
        self.check_entries();
        self.check_order();
        self.check_both_archives_agree();
        self.check_nodes_agree();
        self.check_arrivals();
        self.check_gaps();
        self.count_not_live();
        self.experiments.conclude(&mut self.findings);
    }

    fn count_fates(&mut self) {
        for sent in self.sent.values() {
            let coverage = &mut self.findings.coverage;
            match sent.fate {
                Fate::Acked => coverage.acked += 1,
                Fate::Failed => coverage.failed += 1,
                Fate::Unknown | Fate::Open => coverage.unknown += 1,
            }
        }
    }

    /// An archive that was not read proves nothing about what it holds.
    fn check_walks(&mut self) {
        let accounts = (1..=self.clients).map(Log::Account);
        for log in accounts.chain((1..=self.rooms).map(Log::Room)) {
            for node in (1..=self.nodes).filter(|node| !self.walked.contains(&(log, *node))) {
                let text = format!("{log} from node {node}");
                self.findings.add(Defect::Unread, text);
            }
        }
    }

    /// D1: what was acknowledged is in the sender's archive and in the addressee's, or the room's.
    fn check_acked_are_kept(&mut self) {
        let kept = kept(&self.archives);
        for (op, sent) in sorted(&self.sent) {
            if sent.fate != Fate::Acked {
                continue;
            }
            for log in sent.logs(op.sender) {
                if !kept.contains(&(log, op)) {
                    let text = format!("{op} is not in the archive of {log}");
                    self.findings.add(Defect::LostAcked, text);
                }
            }
        }
    }

    /// D2, and what each line alone can have wrong.
    fn check_entries(&mut self) {
        for (log, entries) in &self.archives {
            let mut ops = HashSet::new();
            let mut ids: HashMap<&str, Operation> = HashMap::new();
            for Entry { id, op } in entries {
                let place = format!("{op} in the archive of {log}, id {id}");
                if !ops.insert(*op) {
                    self.findings.add(Defect::Duplicate, &place);
                }
                if let Some(other) = ids.insert(id, *op) {
                    self.findings
                        .add(Defect::IdReused, format!("{place}, as had {other}"));
                }
                match self.sent.get(op) {
                    None => self.findings.add(Defect::Phantom, place),
                    Some(sent) if sent.fate == Fate::Failed => {
                        self.findings.add(Defect::FailedButArchived, place)
                    }
                    Some(_) => {}
                }
            }
        }
    }

    /// D3: ids grow, and so do the messages of one sender in one conversation.
    fn check_order(&mut self) {
        for (log, entries) in &self.archives {
            let mut last: HashMap<(u32, Log), Operation> = HashMap::new();
            for Entry { id, op } in entries {
                let Some(sent) = self.sent.get(op) else {
                    continue;
                };
                let before = last.entry((op.sender, sent.to)).or_insert(*op);
                if op.sequence < before.sequence {
                    let text = format!("{op} behind {before} in the archive of {log}, id {id}");
                    self.findings.add(Defect::Reordered, text);
                }
                *before = (*before).max(*op);
            }
            for (earlier, later) in numbered(entries) {
                if later <= earlier {
                    self.findings.add(
                        Defect::IdNotIncreasing,
                        format!("{log}: {later} behind {earlier}"),
                    );
                }
            }
        }
    }

    /// Both parties of a conversation have the same messages, answered or not.
    fn check_both_archives_agree(&mut self) {
        let kept = kept(&self.archives);
        for (op, sent) in sorted(&self.sent) {
            let (with, without): (Vec<_>, Vec<_>) = sent
                .logs(op.sender)
                .partition(|log| kept.contains(&(*log, op)));
            if let (Some(has), false) = (with.first(), without.is_empty()) {
                let text = format!("{op} is in the archive of {has} only");
                self.findings.add(Defect::ArchivesDiverge, text);
            }
        }
    }

    /// A log is the same wherever it is read.
    fn check_nodes_agree(&mut self) {
        let is_comparable =
            |(log, node): &&(Log, u32)| *node > 1 && self.walked.contains(&(*log, 1));
        let walked = self.walked.iter().filter(is_comparable);
        let mut walked: Vec<_> = walked.copied().collect();
        walked.sort_unstable();
        for (log, node) in walked {
            let here = self.archives.get(&log).map_or(&[][..], Vec::as_slice);
            let there = self.elsewhere.get(&(log, node));
            let there = there.map_or(&[][..], Vec::as_slice);
            let length = here.len().max(there.len());
            if let Some(place) = (0..length).find(|place| here.get(*place) != there.get(*place)) {
                let (one, other) = (tell(here.get(place)), tell(there.get(place)));
                let text =
                    format!("{log}, entry {place}: {one} from node 1, {other} from node {node}");
                self.findings.add(Defect::NodesDiverge, text);
            }
        }
    }

    /// What sessions received is what the archive has, in its order and under its ids.
    fn check_arrivals(&mut self) {
        let places = places(&self.archives);
        let mut known: HashSet<(Log, u32, Operation)> = HashSet::new();
        for ((log, account, session), arrivals) in &self.arrivals {
            let repeated = arrivals
                .iter()
                .filter(|arrival| !known.insert((*log, *account, arrival.op)));
            self.findings.coverage.redelivered += repeated.count() as u64;
            let whose = (*log, *account, *session);
            check_session(whose, arrivals, &places, &mut self.findings);
        }
    }

    /// D4: between the first and the last entry that a session received, it received them all.
    fn check_gaps(&mut self) {
        for ((log, account, session), arrivals) in &self.arrivals {
            let Some(entries) = self.archives.get(log) else {
                continue;
            };
            // What it has sent itself it sees in rooms alone.
            let is_own = |entry: &Entry| *log == Log::Account(entry.op.sender);
            let received: HashSet<_> = arrivals.iter().map(|arrival| arrival.op).collect();
            let is_received = |entry: &Entry| received.contains(&entry.op);
            let (Some(first), Some(last)) = (
                entries.iter().position(is_received),
                entries.iter().rposition(is_received),
            ) else {
                continue;
            };
            for entry in &entries[first..=last] {
                if !is_own(entry) && !is_received(entry) {
                    let text = format!(
                        "{} of {log} did not reach account {account}, session {session}",
                        entry.op
                    );
                    self.findings.add(Defect::LiveGap, text);
                }
            }
        }
    }

    /// Counted, not judged: who was away reads the archive.
    fn count_not_live(&mut self) {
        let live: HashSet<_> = self
            .arrivals
            .values()
            .flatten()
            .map(|arrival| arrival.op)
            .collect();
        let not_live = self
            .sent
            .iter()
            .filter(|(_, sent)| matches!(sent.to, Log::Account(_)))
            .filter(|(op, sent)| sent.fate == Fate::Acked && !live.contains(op));
        self.findings.coverage.not_live = not_live.count() as u64;
    }
}

/// Messages in the order in which one session received them.
fn check_session(
    (log, account, session): (Log, u32, u32),
    arrivals: &[Arrival],
    places: &Places<'_>,
    findings: &mut Findings,
) {
    // By message, the connection it came on last.
    let mut seen: HashMap<Operation, u32> = HashMap::new();
    let mut furthest = 0;
    for Arrival {
        connection,
        op,
        id: live,
    } in arrivals
    {
        let text = || format!("{op} of {log} at account {account}, session {session}");
        if let Some(earlier) = seen.insert(*op, *connection) {
            // Repeated behind a resumption: allowed, and no order is asked of it.
            if earlier == *connection {
                findings.add(Defect::DeliveredTwice, text());
            }
            continue;
        }
        let Some((place, id)) = places.get(&(log, *op)) else {
            findings.add(Defect::DeliveredNotArchived, text());
            continue;
        };
        if *place < furthest {
            findings.add(Defect::LiveOrder, text());
        }
        furthest = furthest.max(*place);
        if let Some(live) = live
            && live != id
        {
            findings.add(
                Defect::IdChanged,
                format!("{}: {live} live, {id} in the archive", text()),
            );
        }
    }
}

/// By log and message, its first place there, and its id.
type Places<'a> = HashMap<(Log, Operation), (usize, &'a str)>;

fn places(archives: &BTreeMap<Log, Vec<Entry>>) -> Places<'_> {
    let mut places = HashMap::new();
    for (log, entries) in archives {
        for (place, entry) in entries.iter().enumerate() {
            places
                .entry((*log, entry.op))
                .or_insert((place, entry.id.as_str()));
        }
    }
    places
}

/// Which log has which message.
fn kept(archives: &BTreeMap<Log, Vec<Entry>>) -> HashSet<(Log, Operation)> {
    archives
        .iter()
        .flat_map(|(log, entries)| entries.iter().map(|entry| (*log, entry.op)))
        .collect()
}

/// A line for people.
fn tell(entry: Option<&Entry>) -> String {
    entry.map_or("nothing".into(), |Entry { id, op }| format!("{op} id {id}"))
}

/// In the order of senders and sequences, so that two checks of one history read alike.
fn sorted<T: Copy>(sent: &HashMap<Operation, T>) -> Vec<(Operation, T)> {
    let mut all: Vec<_> = sent.iter().map(|(op, sent)| (*op, *sent)).collect();
    all.sort_by_key(|(op, _)| *op);
    all
}

/// Neighbouring ids, where all of an archive's ids are numbers. Other servers
/// use random ids; those need only differ.
fn numbered(entries: &[Entry]) -> Vec<(u64, u64)> {
    let ids: Option<Vec<u64>> = entries.iter().map(|entry| entry.id.parse().ok()).collect();
    ids.map(|ids| ids.windows(2).map(|pair| (pair[0], pair[1])).collect())
        .unwrap_or_default()
}
