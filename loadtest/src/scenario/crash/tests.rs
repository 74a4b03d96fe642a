//! A client of a crash run against a server that loses it.

use std::path::PathBuf;

use super::*;
use crate::client::scripted::{self, BIND, ENABLE, server};
use crate::history::Operation;

const FIRST: Operation = Operation {
    sender: 1,
    sequence: 1,
};

/// A client's surroundings, and the history it writes.
fn surroundings(target: Arc<Target>, name: &str) -> (Arc<Shared>, History, PathBuf) {
    let path = std::env::temp_dir().join(format!(
        "klatsch-sender-{name}-{}.jsonl",
        std::process::id()
    ));
    let (recorder, history) = Recorder::create(&path).expect("a writable folder");
    let shared = Shared {
        target,
        recorder,
        run: "run".into(),
        clients: 4,
        window: 8,
        pause: Duration::from_millis(1),
        drop_every: 0.0,
        random: Random::new(1),
        in_flight: AtomicI64::new(0),
        arrivals: AtomicU64::new(0),
        bound: AtomicI64::new(0),
    };
    (Arc::new(shared), history, path)
}

/// Lets a client live until the server's part is over, and tells what both have noted.
async fn play(connections: Vec<scripted::Lines>, name: &str) -> (Vec<String>, Vec<Event>) {
    let (target, server) = server(connections).await;
    let (shared, history, path) = surroundings(target, name);
    let (phase, phases) = watch::channel(Phase::Talking);
    let client = tokio::spawn(Sender::new(1, shared).live(phases));
    let heard = server.await.expect("the server's part is over");
    phase.send(Phase::Over).expect("the client lives");
    client.await.expect("the client ends");
    history.finish().expect("written");
    let events = history::read(&path)
        .expect("readable")
        .collect::<Result<_>>()
        .expect("well-formed");
    std::fs::remove_file(&path).expect("it is there");
    (heard, events)
}

fn place(events: &[Event], wanted: &Event) -> usize {
    events
        .iter()
        .position(|event| event == wanted)
        .unwrap_or_else(|| panic!("no {wanted:?} in {events:?}"))
}

#[tokio::test]
async fn a_message_without_an_answer_is_sent_again_with_its_ids_when_the_session_is_lost() {
    let lost = vec![BIND, ENABLE, ("id='run-1-1'/></message>", "")];
    let failed = ("previd='s1'/>", "<failed xmlns='urn:xmpp:sm:3' h='0'/>");
    let again = vec![failed, BIND, ENABLE, ("id='run-1-1'/></message>", "")];
    let (heard, events) = play(
        vec![scripted::login(lost), scripted::login(again)],
        "failed",
    )
    .await;
    let invoked = events
        .iter()
        .position(|event| matches!(event, Event::Invoke { op: FIRST, .. }));
    let resent = place(&events, &Event::Resent { op: FIRST });
    assert!(invoked.is_some_and(|invoked| invoked < resent));
    assert!(place(&events, &Event::NotResumed { account: 1 }) < resent);
    place(&events, &Event::Info { op: FIRST });
    // Sent again before anything new.
    let behind = heard[1]
        .split_once("resume='true'/>")
        .expect("enabled again")
        .1;
    assert!(behind.starts_with("<presence/><message"), "{behind}");
    assert!(
        behind.find("run-1-1").expect("sent again") < behind.find("</message>").expect("complete")
    );
}

#[tokio::test]
async fn a_resumed_session_sends_again_only_what_the_server_has_not_handled() {
    let lost = vec![BIND, ENABLE, ("id='run-1-1'/></message>", "")];
    // The presence and the first message were handled.
    let resumed = vec![
        (
            "previd='s1'/>",
            "<resumed xmlns='urn:xmpp:sm:3' previd='s1' h='2'/>",
        ),
        ("<r ", ""),
    ];
    let (heard, events) = play(
        vec![scripted::login(lost), scripted::login(resumed)],
        "resumed",
    )
    .await;
    place(&events, &Event::Resumed { account: 1 });
    place(&events, &Event::Ok { op: FIRST });
    assert!(!heard[1].contains("run-1-1"));
    assert!(!heard[1].contains("<bind"));
}

#[tokio::test]
async fn a_refused_message_fails_even_when_it_is_acknowledged_later() {
    let refusal = "<message type='error' id='run-1-1'><error type='wait'>\
        <resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>\
        <a xmlns='urn:xmpp:sm:3' h='2'/><r xmlns='urn:xmpp:sm:3'/>";
    let lines = vec![
        BIND,
        ENABLE,
        ("id='run-1-1'/></message>", refusal),
        ("h='1'/>", ""),
    ];
    let (_, events) = play(vec![scripted::login(lines)], "refused").await;
    let failed = Event::Fail {
        op: FIRST,
        why: "resource-constraint".into(),
    };
    place(&events, &failed);
    assert!(!events.contains(&Event::Ok { op: FIRST }));
}

#[tokio::test]
async fn an_acknowledgement_beyond_what_was_sent_is_trouble() {
    let lines = vec![
        BIND,
        ENABLE,
        (
            "id='run-1-1'/></message>",
            "<a xmlns='urn:xmpp:sm:3' h='99'/>",
        ),
        ("never", ""),
    ];
    let (_, events) = play(vec![scripted::login(lines)], "beyond").await;
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::Trouble { what } if what.contains("h=99")))
    );
}
