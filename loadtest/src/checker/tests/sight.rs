//! Ghosts, people who are not seen, and what is excused.

use super::*;
use crate::history::{Subject, Truth};

const SECOND: u64 = 1_000_000;

/// What happens to two contacts, at seconds; both are there and see each other from the first.
fn judged(events: impl IntoIterator<Item = (u64, Event)>) -> Findings {
    let mut all = vec![
        (0, watches(1, 2)),
        (0, watches(2, 1)),
        (0, shows(1, Truth::Present(1))),
        (0, shows(2, Truth::Present(1))),
        (0, sees(1, 2, Some(1))),
        (0, sees(2, 1, Some(1))),
    ];
    all.extend(events);
    let all = all.into_iter();
    Checker::check(all.map(|(at, event)| Ok((at * SECOND, event)))).expect("it is well-formed")
}

fn watches(viewer: u32, other: u32) -> Event {
    let subject = Subject::Contact(other);
    Event::Watches { viewer, subject }
}

fn shows(account: u32, truth: Truth) -> Event {
    let subject = Subject::Contact(account);
    Event::Shows { subject, truth }
}

fn sees(viewer: u32, other: u32, seen: Option<u32>) -> Event {
    let subject = Subject::Contact(other);
    Event::Sees {
        viewer,
        subject,
        seen,
    }
}

fn fault() -> Event {
    Event::Fault {
        number: 1,
        fault: "split".into(),
        what: "node 1".into(),
        in_flight: 1,
    }
}

const HEALED: Event = Event::Healed { number: 1 };

#[test]
fn what_is_true_may_be_seen() {
    let findings = judged([(40, Event::Settled)]);
    assert!(findings.is_clean(), "{findings}");
}

#[test]
fn news_may_take_ten_seconds() {
    let change = [(10, shows(1, Truth::Present(2)))];
    let at = |second| {
        let seen = [(second, sees(2, 1, Some(2))), (40, Event::Settled)];
        judged(change.iter().cloned().chain(seen))
    };
    assert!(at(19).is_clean());
    assert_eq!(at(21).count(Defect::PresenceLate), 1);
    assert_eq!(at(21).count(Defect::Ghost), 0);
}

#[test]
fn somebody_who_is_not_seen_is_a_defect() {
    let findings = judged([(10, sees(2, 1, None)), (40, Event::Settled)]);
    assert_eq!(findings.count(Defect::PresenceLate), 1, "{findings}");
}

#[test]
fn somebody_who_has_gone_is_a_ghost_after_thirty_seconds_even_during_a_fault() {
    let gone = |settled| {
        judged([
            (10, fault()),
            (11, shows(1, Truth::Absent)),
            (settled - 1, HEALED),
            (settled, Event::Settled),
        ])
    };
    assert!(gone(40).is_clean());
    let findings = gone(42);
    assert_eq!(findings.count(Defect::Ghost), 1, "{findings}");
    assert_eq!(findings.count(Defect::PresenceLate), 0);
}

#[test]
fn a_fault_excuses_until_ten_seconds_behind_its_heal() {
    let split = [(10, fault()), (11, sees(2, 1, None)), (60, HEALED)];
    let healed = |second| {
        let seen = [(second, sees(2, 1, Some(1))), (90, Event::Settled)];
        judged(split.iter().cloned().chain(seen))
    };
    let findings = healed(69);
    assert!(findings.is_clean(), "{findings}");
    let views = &findings.experiments["split"].views;
    assert!((views.max_ms() - 9000.0).abs() < 1.0);
    assert_eq!(healed(71).count(Defect::PresenceLate), 1);
    // As long as it was wrong before the fault counts as well.
    let findings = judged([
        (10, sees(2, 1, None)),
        (21, fault()),
        (22, sees(2, 1, Some(1))),
        (23, HEALED),
        (40, Event::Settled),
    ]);
    assert_eq!(findings.count(Defect::PresenceLate), 1);
}

#[test]
fn who_has_lost_its_connection_judges_nobody_and_is_not_judged() {
    let findings = judged([
        (10, shows(1, Truth::Unknown)),
        (11, sees(2, 1, None)),
        (12, shows(2, Truth::Present(2))),
        (90, Event::Settled),
    ]);
    assert!(findings.is_clean(), "{findings}");
}

#[test]
fn who_begins_again_has_to_be_told_who_is_there() {
    let again = |seen| {
        judged([
            (10, shows(2, Truth::Unknown)),
            (11, Event::Forgets { viewer: 2 }),
            (12, shows(2, Truth::Present(2))),
            (13, sees(1, 2, Some(2))),
            (14, sees(2, 1, seen)),
            (40, Event::Settled),
        ])
    };
    assert!(again(Some(1)).is_clean());
    assert_eq!(again(None).count(Defect::PresenceLate), 1);
}

#[test]
fn occupants_are_judged_by_occupants_alone() {
    let inside = |account| Subject::Occupant { room: 1, account };
    let enter = |account, truth| Event::Shows {
        subject: inside(account),
        truth,
    };
    let seen = |seen| Event::Sees {
        viewer: 2,
        subject: inside(3),
        seen,
    };
    let watch = Event::Watches {
        viewer: 2,
        subject: inside(3),
    };
    let begin = [(1, watch), (1, enter(3, Truth::Present(0)))];
    // Outside one sees nobody.
    let findings = judged(begin.iter().cloned().chain([(40, Event::Settled)]));
    assert!(findings.is_clean(), "{findings}");
    let entered = begin
        .iter()
        .cloned()
        .chain([(2, enter(2, Truth::Present(0)))]);
    let findings = judged(entered.clone().chain([(40, Event::Settled)]));
    assert_eq!(findings.count(Defect::PresenceLate), 1);
    let ghost = entered.chain([
        (3, seen(Some(0))),
        (4, enter(3, Truth::Absent)),
        (40, Event::Settled),
    ]);
    assert_eq!(judged(ghost).count(Defect::Ghost), 1);
}

#[test]
fn nothing_is_judged_when_clients_leave() {
    let findings = judged([
        (40, Event::Settled),
        (41, shows(1, Truth::Absent)),
        (
            99,
            Event::Walked {
                log: Log::Account(1),
                node: 1,
            },
        ),
    ]);
    assert!(findings.is_clean(), "{findings}");
}
