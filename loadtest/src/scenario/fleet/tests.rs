//! A client against a server that loses it.

use std::path::PathBuf;

use super::*;
use crate::client::scripted::{self, BIND, ENABLE, server};
use crate::history::{self, History, Log, Operation, Subject, Truth};

const FIRST: Operation = Operation {
    sender: 1,
    sequence: 1,
};

/// A client's surroundings, and the history it writes.
fn surroundings(
    target: Arc<Target>,
    circle: Circle,
    name: &str,
) -> (Arc<Shared>, History, PathBuf) {
    let path = std::env::temp_dir().join(format!(
        "klatsch-sender-{name}-{}.jsonl",
        std::process::id()
    ));
    let (recorder, history) = Recorder::create(&path).expect("a writable folder");
    let habits = Habits {
        window: 8,
        pause: Duration::from_millis(1),
        drop_every: 0.0,
        change_every: 0.0,
        leave_every: 0.0,
    };
    let shared = Shared::new(vec![target], recorder, circle, habits, Random::new(1));
    (Arc::new(shared), history, path)
}

/// Lets a client that has contacts live until the server's part is over, and tells what both
/// have noted.
async fn play(connections: Vec<scripted::Lines>, name: &str) -> (Vec<String>, Vec<Event>) {
    let circle = Circle {
        clients: 4,
        run: "run".into(),
        ..Circle::default()
    };
    play_in(circle, connections, name).await
}

async fn play_in(
    circle: Circle,
    connections: Vec<scripted::Lines>,
    name: &str,
) -> (Vec<String>, Vec<Event>) {
    let (target, server) = server(connections).await;
    let (shared, history, path) = surroundings(target, circle, name);
    let (phase, phases) = watch::channel(Phase::Talking);
    let client = tokio::spawn(Sender::new(1, shared).live(phases));
    let heard = server.await.expect("the server's part is over");
    phase.send(Phase::Over).expect("the client lives");
    client.await.expect("the client ends");
    history.finish().expect("written");
    let events = history::read(&path)
        .expect("readable")
        .map(|line| line.expect("well-formed").1)
        .collect();
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

/// The client alone in a room: it has nobody else to talk to.
fn alone_in_a_room() -> Circle {
    Circle {
        clients: 1,
        rooms: 1,
        occupants: 1,
        service: "conference.example.org".into(),
        run: "run".into(),
        watches: true,
    }
}

/// What the room says when it lets the client in.
const INSIDE: &str = "<presence from='room-run-1@conference.example.org/n1'>\
    <x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/></x></presence>";

#[tokio::test]
async fn a_room_acknowledges_by_its_reflection() {
    let reflection = "<message type='groupchat' id='run-1-1' \
        from='room-run-1@conference.example.org/n1'><body>x</body>\
        <stanza-id xmlns='urn:xmpp:sid:0' by='room-run-1@conference.example.org' id='5'/>\
        </message><r xmlns='urn:xmpp:sm:3'/>";
    let lines = vec![
        BIND,
        ENABLE,
        ("</x></presence>", INSIDE),
        ("id='run-1-1'/></message>", reflection),
        // The presence of the room, and the reflection.
        ("h='2'/>", ""),
    ];
    let connections = vec![scripted::login(lines)];
    let (_, events) = play_in(alone_in_a_room(), connections, "reflected").await;
    let room = Log::Room(1);
    place(
        &events,
        &Event::Invoke {
            op: FIRST,
            to: room,
        },
    );
    place(&events, &Event::Ok { op: FIRST });
    let received = Event::Received {
        account: 1,
        session: 1,
        connection: 1,
        log: room,
        op: FIRST,
        id: Some("5".into()),
    };
    place(&events, &received);
    let inside = Subject::Occupant {
        room: 1,
        account: 1,
    };
    let shown = |truth| Event::Shows {
        subject: inside,
        truth,
    };
    assert!(place(&events, &shown(Truth::Present(0))) < place(&events, &shown(Truth::Unknown)));
}

#[tokio::test]
async fn what_was_said_in_a_room_is_said_again_when_the_client_is_inside_again() {
    let lost = vec![
        BIND,
        ENABLE,
        ("</x></presence>", INSIDE),
        ("id='run-1-1'/></message>", ""),
    ];
    let again = vec![
        ("previd='s1'/>", "<failed xmlns='urn:xmpp:sm:3'/>"),
        BIND,
        ENABLE,
        ("</x></presence>", "<r xmlns='urn:xmpp:sm:3'/>"),
        ("<a ", INSIDE),
        ("id='run-1-1'/></message>", ""),
    ];
    let connections = vec![scripted::login(lost), scripted::login(again)];
    let (heard, events) = play_in(alone_in_a_room(), connections, "again").await;
    let answered = heard[1].find("<a ").expect("asked how far it is");
    let said = heard[1].find("run-1-1").expect("said again");
    assert!(answered < said, "{}", heard[1]);
    assert!(
        place(&events, &Event::Forgets { viewer: 1 })
            < place(&events, &Event::Resent { op: FIRST })
    );
}
