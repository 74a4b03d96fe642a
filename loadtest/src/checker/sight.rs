//! Whether clients saw of each other what was true (D6): the driver knows when its own clients
//! came, changed their presence and went, and everybody writes down what they see.
//!
//! What is wrong for a moment is not judged: news travel. Nor is what cannot be known, as while
//! a connection is lost and its session may wait for it. A fault excuses everything but ghosts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Defect, Findings};
use crate::history::{Event, Subject, Truth};

/// D6: what clients see is true so soon after a heal, microseconds.
pub(super) const CONVERGED_MAX: u64 = 10_000_000;

/// D6: nobody sees somebody who has been gone for so long, microseconds, whatever goes on.
pub(super) const GHOST_MAX: u64 = 30_000_000;

/// Who is seen by whom.
type Pair = (u32, Subject);

/// Something that is seen wrong.
#[derive(Clone, Copy, Debug)]
struct Wrong {
    since: u64,
    is_ghost: bool,
    is_late: bool,
    is_old_ghost: bool,
}

/// What is true, and what is seen, at one moment of a history.
#[derive(Debug, Default)]
pub(super) struct Sight {
    truths: HashMap<Subject, Truth>,
    seen: HashMap<Pair, u32>,
    viewers: HashMap<Subject, Vec<u32>>,
    subjects: HashMap<u32, Vec<Subject>>,
    wrong: BTreeMap<Pair, Wrong>,
    /// Faults that are there.
    faults: BTreeSet<u32>,
    /// Since when there is none.
    calm_since: u64,
    /// The experiment of the last fault, and the longest that something stayed wrong behind it.
    last: Option<(String, u64)>,
    is_over: bool,
}

impl Sight {
    /// Takes one event in.
    pub(super) fn take(&mut self, at: u64, event: &Event, findings: &mut Findings) {
        if self.is_over {
            return;
        }
        match event {
            Event::Watches { viewer, subject } => {
                self.viewers.entry(*subject).or_default().push(*viewer);
                self.subjects.entry(*viewer).or_default().push(*subject);
            }
            Event::Shows { subject, truth } => self.show(at, *subject, *truth, findings),
            Event::Sees {
                viewer,
                subject,
                seen,
            } => {
                match seen {
                    Some(seen) => self.seen.insert((*viewer, *subject), *seen),
                    None => self.seen.remove(&(*viewer, *subject)),
                };
                self.look(at, (*viewer, *subject), findings);
            }
            Event::Forgets { viewer } => self.forget(at, *viewer, findings),
            Event::Fault { number, fault, .. } => self.begin_fault(at, *number, fault, findings),
            Event::Healed { number } => {
                self.faults.remove(number);
                self.calm_since = at;
            }
            Event::Settled => {
                self.judge_all(at, findings);
                self.close_experiment(findings);
                self.is_over = true;
            }
            _ => {}
        }
    }

    /// A client's own presence has changed: what others see of it is judged anew, and so is
    /// what it sees itself in these surroundings.
    fn show(&mut self, at: u64, subject: Subject, truth: Truth, findings: &mut Findings) {
        if self.truths.insert(subject, truth) == Some(truth) {
            return;
        }
        for viewer in self.viewers.get(&subject).cloned().unwrap_or_default() {
            self.end((viewer, subject), at, findings);
            self.look(at, (viewer, subject), findings);
        }
        let (Subject::Contact(viewer)
        | Subject::Occupant {
            account: viewer, ..
        }) = subject;
        for other in self.subjects.get(&viewer).cloned().unwrap_or_default() {
            if other.seen_by(viewer) == subject {
                self.look(at, (viewer, other), findings);
            }
        }
    }

    fn forget(&mut self, at: u64, viewer: u32, findings: &mut Findings) {
        for subject in self.subjects.get(&viewer).cloned().unwrap_or_default() {
            self.seen.remove(&(viewer, subject));
            self.look(at, (viewer, subject), findings);
        }
    }

    /// Before a fault excuses what is wrong, it is judged.
    fn begin_fault(&mut self, at: u64, number: u32, fault: &str, findings: &mut Findings) {
        if self.faults.is_empty() {
            self.judge_all(at, findings);
            self.close_experiment(findings);
            self.last = Some((fault.to_owned(), 0));
        }
        self.faults.insert(number);
    }

    /// Compares what somebody sees with what is true.
    fn look(&mut self, at: u64, pair: Pair, findings: &mut Findings) {
        let Some(is_ghost) = self.is_wrong(pair) else {
            self.end(pair, at, findings);
            return;
        };
        let before = self.wrong.get(&pair).map(|wrong| wrong.is_ghost);
        if before != Some(is_ghost) {
            self.end(pair, at, findings);
            let wrong = Wrong {
                since: at,
                is_ghost,
                is_late: false,
                is_old_ghost: false,
            };
            self.wrong.insert(pair, wrong);
        }
    }

    /// `Some` when what is seen is wrong; true when somebody is seen who is not there.
    fn is_wrong(&self, (viewer, subject): Pair) -> Option<bool> {
        let can_see = matches!(
            self.truths.get(&subject.seen_by(viewer)),
            Some(Truth::Present(_))
        );
        if !can_see {
            return None;
        }
        let seen = self.seen.get(&(viewer, subject));
        match (self.truths.get(&subject)?, seen) {
            (Truth::Unknown, _) | (Truth::Absent, None) => None,
            (Truth::Absent, Some(_)) => Some(true),
            (Truth::Present(shown), Some(seen)) if shown == seen => None,
            (Truth::Present(_), _) => Some(false),
        }
    }

    fn end(&mut self, pair: Pair, at: u64, findings: &mut Findings) {
        self.judge(pair, at, findings);
        self.wrong.remove(&pair);
    }

    fn judge_all(&mut self, at: u64, findings: &mut Findings) {
        let pairs: Vec<_> = self.wrong.keys().copied().collect();
        for pair in pairs {
            self.judge(pair, at, findings);
        }
    }

    /// How long something has been wrong, and whether that is too long.
    fn judge(&mut self, pair: Pair, at: u64, findings: &mut Findings) {
        let Some(wrong) = self.wrong.get_mut(&pair) else {
            return;
        };
        let (viewer, subject) = pair;
        let since = at.saturating_sub(wrong.since);
        if wrong.is_ghost && since > GHOST_MAX && !wrong.is_old_ghost {
            wrong.is_old_ghost = true;
            let text = format!(
                "account {viewer} saw {subject}, gone for {}",
                seconds(since)
            );
            findings.add(Defect::Ghost, text);
        }
        if !self.faults.is_empty() {
            return;
        }
        let since = at.saturating_sub(wrong.since.max(self.calm_since));
        if let Some((_, longest)) = &mut self.last {
            *longest = since.max(*longest);
        }
        if since > CONVERGED_MAX && !wrong.is_late {
            wrong.is_late = true;
            let text = format!(
                "account {viewer} saw {subject} wrong for {} without a fault",
                seconds(since)
            );
            findings.add(Defect::PresenceLate, text);
        }
    }

    fn close_experiment(&mut self, findings: &mut Findings) {
        if let Some((fault, longest)) = self.last.take() {
            let experiment = findings.experiments.entry(fault).or_default();
            experiment.saw_wrong_for(longest);
        }
    }
}

fn seconds(micros: u64) -> String {
    format!("{:.1} s", micros as f64 / 1e6)
}
