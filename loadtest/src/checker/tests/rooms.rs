//! Rooms have logs of their own, and every node tells the same of them.

use super::*;

const ROOM: Log = Log::Room(1);

/// Account 1 says three things in a room of two, on two nodes; all is well.
fn sound() -> Vec<Event> {
    let mut events = vec![Event::Run {
        seed: 1,
        clients: 0,
        run: "r".into(),
        rooms: 1,
        nodes: 2,
    }];
    for sequence in 1..=3 {
        let said = op(1, sequence);
        events.push(Event::Invoke { op: said, to: ROOM });
        events.push(Event::Ok { op: said });
        for account in 1..=2 {
            events.push(heard(account, 1, said));
        }
    }
    events.push(Event::Killed { in_flight: 1 });
    events.push(Event::Resent { op: op(1, 3) });
    for node in 1..=2 {
        events.extend((1..=3).map(|sequence| kept(node, op(1, sequence))));
        events.push(Event::Walked { log: ROOM, node });
    }
    events
}

fn heard(account: u32, visit: u32, op: Operation) -> Event {
    Event::Received {
        account,
        session: visit,
        connection: 1,
        log: ROOM,
        op,
        id: Some(op.sequence.to_string()),
    }
}

fn kept(node: u32, op: Operation) -> Event {
    Event::Archived {
        log: ROOM,
        node,
        id: op.sequence.to_string(),
        op: Some(op),
        from: Some(op.sender),
        to: Some(ROOM),
        text: None,
    }
}

fn without(gone: impl Fn(&Event) -> bool) -> Vec<Event> {
    let all = sound().into_iter();
    all.filter(|event| !gone(event)).collect()
}

#[test]
fn a_sound_room_is_clean() {
    let findings = check(sound());
    assert!(findings.is_clean(), "{findings}");
    assert!(findings.missing().is_empty());
    assert_eq!(
        (findings.coverage.acked, findings.coverage.not_live),
        (3, 0)
    );
}

#[test]
fn what_a_room_has_reflected_is_in_its_log() {
    let lost = |event: &Event| (1..=2).any(|node| *event == kept(node, op(1, 3)));
    let findings = check(without(lost));
    assert_eq!(findings.count(Defect::LostAcked), 1, "{findings}");
    assert_eq!(findings.count(Defect::DeliveredNotArchived), 2);
    assert_eq!(findings.count(Defect::ArchivesDiverge), 0);
}

#[test]
fn every_node_tells_the_same_of_a_log() {
    let findings = check(without(|event| *event == kept(2, op(1, 2))));
    assert_eq!(findings.count(Defect::NodesDiverge), 1, "{findings}");
    assert_eq!(findings.counts().count(), 1);
    let mut other_id = without(|event| *event == kept(2, op(1, 3)));
    let at = other_id.len() - 1;
    other_id.insert(
        at,
        Event::Archived {
            log: ROOM,
            node: 2,
            id: "4".into(),
            op: Some(op(1, 3)),
            from: Some(1),
            to: Some(ROOM),
            text: None,
        },
    );
    assert_eq!(check(other_id).count(Defect::NodesDiverge), 1);
}

#[test]
fn a_log_that_one_node_did_not_tell_is_unread_there() {
    let unread = Event::Walked { log: ROOM, node: 2 };
    let findings = check(without(|event| *event == unread));
    assert_eq!(findings.count(Defect::Unread), 1);
}

#[test]
fn who_is_inside_hears_everything_in_the_order_of_the_log() {
    let findings = check(without(|event| *event == heard(2, 1, op(1, 2))));
    assert_eq!(findings.count(Defect::LiveGap), 1, "{findings}");
    // What one has said oneself is heard too.
    let findings = check(without(|event| *event == heard(1, 1, op(1, 2))));
    assert_eq!(findings.count(Defect::LiveGap), 1, "{findings}");
    let mut events = without(|event| *event == heard(2, 1, op(1, 1)));
    events.push(heard(2, 1, op(1, 1)));
    assert_eq!(check(events).count(Defect::LiveOrder), 1);
}

#[test]
fn who_comes_again_may_have_missed_what_was_said_between_two_visits() {
    let mut events =
        without(|event| *event == heard(2, 1, op(1, 2)) || *event == heard(2, 1, op(1, 3)));
    events.push(heard(2, 2, op(1, 3)));
    assert!(check(events).is_clean());
}

#[test]
fn what_stands_in_another_rooms_log_is_a_phantom() {
    let mut events = sound();
    let stray = Event::Archived {
        log: Log::Room(2),
        node: 1,
        id: "1".into(),
        op: Some(op(1, 1)),
        from: Some(1),
        to: Some(Log::Room(2)),
        text: None,
    };
    events.push(stray);
    assert_eq!(check(events).count(Defect::Phantom), 1);
}
