//! Histories written by hand, each with one defect: the checker must see it,
//! and see nothing in the sound one.

use super::*;

mod experiments;
mod rooms;
mod sight;

fn op(sender: u32, sequence: u32) -> Operation {
    Operation { sender, sequence }
}

/// Two messages from 1 to 2, one back; all acknowledged, delivered and kept; one kill that hit.
fn sound() -> Vec<Event> {
    let mut events = vec![Event::Run {
        seed: 1,
        clients: 2,
        run: "r".into(),
        rooms: 0,
        nodes: 1,
    }];
    for (message, to) in [(op(1, 1), 2), (op(1, 2), 2), (op(2, 1), 1)] {
        events.push(invoke(message, to));
        events.push(Event::Ok { op: message });
    }
    events.push(Event::Killed { in_flight: 1 });
    events.push(Event::Resent { op: op(1, 2) });
    events.push(received(2, 1, op(1, 1), "11"));
    events.push(received(2, 1, op(1, 2), "12"));
    events.push(received(1, 1, op(2, 1), "23"));
    for (account, ids) in [(1, ["21", "22", "23"]), (2, ["11", "12", "13"])] {
        for (id, (message, to)) in ids
            .iter()
            .zip([(op(1, 1), 2), (op(1, 2), 2), (op(2, 1), 1)])
        {
            events.push(archived(account, id, message, to));
        }
        events.push(walked(account));
    }
    events
}

fn invoke(op: Operation, to: u32) -> Event {
    let to = Log::Account(to);
    Event::Invoke { op, to }
}

fn walked(account: u32) -> Event {
    let log = Log::Account(account);
    Event::Walked { log, node: 1 }
}

fn received(account: u32, connection: u32, op: Operation, id: &str) -> Event {
    Event::Received {
        account,
        session: 1,
        connection,
        log: Log::Account(account),
        op,
        id: Some(id.into()),
    }
}

fn archived(account: u32, id: &str, op: Operation, to: u32) -> Event {
    Event::Archived {
        log: Log::Account(account),
        node: 1,
        id: id.into(),
        op: Some(op),
        from: Some(op.sender),
        to: Some(Log::Account(to)),
        text: None,
    }
}

/// A millisecond between two events.
fn timed(events: Vec<Event>) -> impl Iterator<Item = Result<(u64, Event)>> {
    (1..).map(|n| n * 1000).zip(events).map(Ok)
}

fn check(events: Vec<Event>) -> Findings {
    Checker::check(timed(events)).expect("the history is well-formed")
}

/// Leaves out every event that `is_gone` names.
fn without(is_gone: impl Fn(&Event) -> bool) -> Vec<Event> {
    sound()
        .into_iter()
        .filter(|event| !is_gone(event))
        .collect()
}

fn is_archived(event: &Event, who: u32, what: Operation) -> bool {
    matches!(event, Event::Archived { log, op, .. } if *log == Log::Account(who) && *op == Some(what))
}

/// Puts an event before the archive of account `account` begins.
fn with_before_archive(account: u32, event: Event) -> Vec<Event> {
    let mut events = sound();
    let at = events
        .iter()
        .position(|event| is_archived(event, account, op(1, 1)))
        .expect("it is there");
    events.insert(at, event);
    events
}

#[test]
fn a_sound_history_is_clean_and_counts() {
    let findings = check(sound());
    assert!(findings.is_clean(), "{findings}");
    assert!(findings.missing().is_empty());
    assert_eq!(findings.coverage.acked, 3);
    assert_eq!(findings.coverage.hit, 1);
}

#[test]
fn an_acknowledged_message_that_no_archive_has_is_lost() {
    let findings = check(without(|event| {
        is_archived(event, 1, op(1, 2)) || is_archived(event, 2, op(1, 2))
    }));
    assert_eq!(findings.count(Defect::LostAcked), 2);
    assert_eq!(findings.count(Defect::ArchivesDiverge), 0);
    assert_eq!(findings.count(Defect::DeliveredNotArchived), 1);
}

#[test]
fn a_message_that_one_archive_has_diverges() {
    let mut events = without(|event| is_archived(event, 2, op(2, 1)));
    // Even when nobody promised anything about it.
    events.retain(|event| *event != Event::Ok { op: op(2, 1) });
    events.push(Event::Info { op: op(2, 1) });
    let findings = check(events);
    assert_eq!(findings.count(Defect::ArchivesDiverge), 1);
    assert_eq!(findings.count(Defect::LostAcked), 0);
}

#[test]
fn a_message_without_an_answer_may_be_nowhere() {
    let mut events = without(|event| {
        *event == Event::Ok { op: op(2, 1) }
            || is_archived(event, 1, op(2, 1))
            || is_archived(event, 2, op(2, 1))
            || matches!(event, Event::Received { account: 1, .. })
    });
    events.push(Event::Info { op: op(2, 1) });
    let findings = check(events);
    assert!(findings.is_clean(), "{findings}");
    assert_eq!(findings.coverage.unknown, 1);
}

#[test]
fn a_message_twice_in_an_archive_is_a_duplicate() {
    let findings = check(with_before_archive(2, archived(2, "10", op(1, 1), 2)));
    assert_eq!(findings.count(Defect::Duplicate), 1);
}

#[test]
fn a_message_that_nobody_sent_is_a_phantom() {
    let findings = check(with_before_archive(2, archived(2, "10", op(1, 9), 2)));
    assert_eq!(findings.count(Defect::Phantom), 1);
}

#[test]
fn a_message_with_other_parties_or_another_body_is_a_phantom() {
    let mut events = without(|event| is_archived(event, 2, op(2, 1)));
    events.push(archived(2, "13", op(2, 1), 7));
    assert_eq!(check(events).count(Defect::Phantom), 1);
    let text = Some("another body".to_owned());
    let strange = Event::Archived {
        log: Log::Account(2),
        node: 1,
        id: "10".into(),
        op: None,
        from: None,
        to: None,
        text,
    };
    assert_eq!(
        check(with_before_archive(2, strange)).count(Defect::Phantom),
        1
    );
}

#[test]
fn a_refused_message_must_not_be_kept() {
    let mut events = without(|event| *event == Event::Ok { op: op(2, 1) });
    events.push(Event::Fail {
        op: op(2, 1),
        why: "wait".into(),
    });
    assert_eq!(check(events).count(Defect::FailedButArchived), 2);
}

#[test]
fn a_refused_message_that_was_sent_again_may_be_kept() {
    let mut events = without(|event| *event == Event::Ok { op: op(2, 1) });
    events.push(Event::Fail {
        op: op(2, 1),
        why: "wait".into(),
    });
    events.push(Event::Resent { op: op(2, 1) });
    assert!(check(events).is_clean());
}

#[test]
fn a_message_that_was_sent_again_and_then_refused_may_be_kept() {
    let mut events = without(|event| *event == Event::Ok { op: op(2, 1) });
    events.push(Event::Resent { op: op(2, 1) });
    events.push(Event::Fail {
        op: op(2, 1),
        why: "wait".into(),
    });
    assert!(check(events).is_clean());
}

#[test]
fn a_refusal_behind_the_acknowledgement_counts_as_one() {
    let mut events = sound();
    events.push(Event::Fail {
        op: op(2, 1),
        why: "wait".into(),
    });
    assert_eq!(check(events).count(Defect::FailedButArchived), 2);
}

#[test]
fn an_id_belongs_to_one_message() {
    let mut events = without(|event| is_archived(event, 2, op(2, 1)));
    events.push(archived(2, "12", op(2, 1), 1));
    let findings = check(events);
    assert_eq!(findings.count(Defect::IdReused), 1);
    assert_eq!(findings.count(Defect::IdNotIncreasing), 1);
}

#[test]
fn numbered_ids_grow() {
    let mut events = without(|event| is_archived(event, 2, op(2, 1)));
    events.push(archived(2, "5", op(2, 1), 1));
    assert_eq!(check(events).count(Defect::IdNotIncreasing), 1);
}

#[test]
fn ids_without_numbers_need_only_differ() {
    let mut events = without(|event| is_archived(event, 2, op(2, 1)));
    events.push(archived(2, "a5", op(2, 1), 1));
    assert!(check(events).is_clean());
}

#[test]
fn an_id_stays_what_it_was_when_the_message_was_delivered() {
    let mut events = without(|event| matches!(event, Event::Received { account: 1, .. }));
    events.push(received(1, 1, op(2, 1), "99"));
    assert_eq!(check(events).count(Defect::IdChanged), 1);
}

#[test]
fn messages_of_a_sender_and_a_conversation_keep_their_order() {
    let mut events =
        without(|event| is_archived(event, 2, op(1, 1)) || is_archived(event, 2, op(1, 2)));
    let at = events
        .iter()
        .position(|event| is_archived(event, 2, op(2, 1)))
        .expect("it is there");
    events.insert(at, archived(2, "11", op(1, 2), 2));
    events.insert(at + 1, archived(2, "12", op(1, 1), 2));
    let findings = check(events);
    assert_eq!(findings.count(Defect::Reordered), 1);
    assert_eq!(findings.count(Defect::LiveOrder), 1);
}

#[test]
fn a_session_sees_the_order_of_its_archive() {
    let mut events = without(|event| matches!(event, Event::Received { account: 2, .. }));
    events.push(received(2, 1, op(1, 2), "12"));
    events.push(received(2, 1, op(1, 1), "11"));
    assert_eq!(check(events).count(Defect::LiveOrder), 1);
}

#[test]
fn a_message_is_delivered_once_on_a_connection() {
    let mut events = sound();
    events.push(received(2, 1, op(1, 1), "11"));
    assert_eq!(check(events).count(Defect::DeliveredTwice), 1);
}

#[test]
fn a_message_may_be_repeated_behind_a_resumption() {
    let mut events = sound();
    events.push(received(2, 2, op(1, 1), "11"));
    let findings = check(events);
    assert!(findings.is_clean(), "{findings}");
    assert_eq!(findings.coverage.redelivered, 1);
}

#[test]
fn a_session_has_no_gap() {
    let mut events = with_before_archive(2, invoke(op(1, 3), 2));
    events.retain(|event| !is_archived(event, 2, op(2, 1)));
    // 1-3 was received, and 1-2 before it was not.
    events.retain(
        |event| !matches!(event, Event::Received { op: received, .. } if *received == op(1, 2)),
    );
    events.push(Event::Info { op: op(1, 3) });
    events.push(archived(2, "13", op(2, 1), 1));
    events.push(archived(2, "14", op(1, 3), 2));
    events.push(archived(1, "24", op(1, 3), 2));
    events.push(received(2, 1, op(1, 3), "14"));
    let findings = check(events);
    assert_eq!(findings.count(Defect::LiveGap), 1, "{findings}");
    assert_eq!(findings.coverage.not_live, 1);
}

#[test]
fn what_was_delivered_is_in_the_archive() {
    let mut events = with_before_archive(2, invoke(op(1, 3), 2));
    events.push(received(2, 1, op(1, 3), "14"));
    assert_eq!(check(events).count(Defect::DeliveredNotArchived), 1);
}

#[test]
fn an_archive_that_was_not_read_is_a_defect() {
    let findings = check(without(|event| *event == walked(2)));
    assert_eq!(findings.count(Defect::Unread), 1);
}

#[test]
fn trouble_is_a_defect() {
    let mut events = sound();
    events.push(Event::Trouble {
        what: "h beyond what was sent".into(),
    });
    assert_eq!(check(events).count(Defect::Trouble), 1);
}

#[test]
fn a_run_whose_kills_hit_nothing_does_not_count() {
    let findings = check(without(|event| matches!(event, Event::Killed { .. })));
    assert!(findings.is_clean());
    assert_eq!(findings.missing().len(), 2);
}

#[test]
fn a_full_disk_is_a_fault_too() {
    let mut events = without(|event| matches!(event, Event::Killed { .. }));
    events.push(Event::Filled { in_flight: 2 });
    events.push(Event::Freed);
    let findings = check(events);
    assert!(findings.missing().is_empty());
    assert_eq!(findings.coverage.hit, 2);
}

#[test]
fn who_resumes_after_a_stop_is_counted_apart_from_who_resumes_after_a_kill() {
    let mut events = sound();
    let (back, gone) = (
        Event::Resumed { account: 1 },
        Event::NotResumed { account: 2 },
    );
    events.extend([gone.clone(), Event::Stopped { in_flight: 1 }, back.clone()]);
    events.extend([Event::Killed { in_flight: 1 }, gone, back]);
    let coverage = check(events).coverage;
    assert_eq!((coverage.stops, coverage.kills), (1, 2));
    assert_eq!((coverage.resumed, coverage.not_resumed), (2, 2));
    let after_stop = (coverage.resumed_after_stop, coverage.not_resumed_after_stop);
    assert_eq!(after_stop, (1, 0));
}

#[test]
fn a_history_that_answers_twice_is_no_history() {
    let mut events = sound();
    events.push(Event::Ok { op: op(1, 1) });
    assert!(Checker::check(timed(events)).is_err());
    let mut events = sound();
    events.push(Event::Ok { op: op(5, 1) });
    assert!(Checker::check(timed(events)).is_err());
}
