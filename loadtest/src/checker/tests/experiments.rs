//! What faults did to clients, and when a run proves nothing.

use super::*;

/// A fault at 1 s that is healed at 4 s, with what happens meanwhile.
fn faced(in_flight: u64, proven: bool, meanwhile: Vec<(u64, Event)>) -> Findings {
    let begin = Event::Fault {
        number: 1,
        fault: "kill".into(),
        what: "node 2".into(),
        in_flight,
    };
    let mut events = vec![(1000, begin)];
    if proven {
        let by = "its process is gone".into();
        events.push((1001, Event::Proven { number: 1, by }));
    }
    events.extend(meanwhile);
    events.push((4000, Event::Healed { number: 1 }));
    events.push((4200, invoke(op(1, 9), 2)));
    events.push((4250, Event::Ok { op: op(1, 9) }));
    let events = events.into_iter();
    Checker::check(events.map(|(at, event)| Ok((at * 1000, event)))).expect("it is well-formed")
}

#[test]
fn a_fault_counts_when_it_was_seen_and_met_something() {
    let about = |findings: &Findings| {
        let missing = findings.missing().into_iter();
        missing.filter(|it| it.starts_with("fault 1")).count()
    };
    assert_eq!(about(&faced(3, true, Vec::new())), 0);
    assert_eq!(about(&faced(3, false, Vec::new())), 1);
    assert_eq!(about(&faced(0, true, Vec::new())), 1);
}

#[test]
fn nobody_is_called_down_without_need() {
    let count = |meanwhile| faced(3, true, meanwhile).count(Defect::CalledDown);
    let (number, after_ms) = (1, 5500);
    let called = Event::CalledDown { number, node: 3 };
    assert_eq!(count(vec![(3000, called)]), 1);
    let is_up = false;
    let noticed = Event::Noticed {
        number,
        is_up,
        after_ms,
    };
    assert_eq!(count(vec![(3000, noticed)]), 0);
}

#[test]
fn figures_belong_to_the_fault_before_them() {
    let lost = |account, on_purpose| Event::Lost {
        account,
        on_purpose,
    };
    let online = |account| Event::Online { account, node: 1 };
    let noticed = |is_up, after_ms| Event::Noticed {
        number: 1,
        is_up,
        after_ms,
    };
    let findings = faced(
        3,
        true,
        vec![
            (1002, lost(1, false)),
            (1002, lost(2, false)),
            (1003, lost(3, true)),
            (2002, Event::Resumed { account: 1 }),
            (2002, online(1)),
            (3002, Event::NotResumed { account: 2 }),
            (3002, online(2)),
            (3003, Event::NotResumed { account: 3 }),
            (3003, online(3)),
            (3500, noticed(false, 2500)),
            (5000, noticed(true, 1000)),
        ],
    );
    let kill = &findings.experiments["kill"];
    assert_eq!((kill.times, kill.in_flight, kill.acked), (1, 3, 1));
    assert_eq!((kill.resumed, kill.not_resumed), (1, 1));
    assert_eq!((kill.away.count(), kill.away.max_ms()), (2, 2000.0));
    assert_eq!((kill.down.max_ms(), kill.up.max_ms()), (2500.0, 1000.0));
    assert_eq!(kill.answered.max_ms(), 50.0);
    assert_eq!(kill.service.max_ms(), 250.0);
}
