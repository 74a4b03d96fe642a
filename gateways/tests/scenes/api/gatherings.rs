//! Rooms that come with a thread of mail or an event.

use klatsch_protocol::ns;
use tokio::net::TcpStream;

use super::{Reply, account, basic, call, send};
use crate::client::Client;
use crate::server::{DOMAIN, PASSWORD, Server, Setup};

async fn server() -> Server {
    let accounts = ["anna", "bert", "carla"].map(str::to_owned).to_vec();
    Server::start_with(Setup {
        accounts,
        ..Setup::default()
    })
    .await
}

async fn resolve(server: &Server, name: &str, id: &str, members: &[&str]) -> Reply {
    let members: Vec<String> = members.iter().map(|it| format!("\"{it}\"")).collect();
    let members = members.join(",");
    let body =
        format!(r#"{{"kind":"thread","id":"{id}","title":"Re: Budget","members":[{members}]}}"#);
    call(server, name, ("POST", "/contexts/resolve"), &body).await
}

/// Enters a room; answers the condition of the refusal.
async fn enter(server: &Server, name: &str, room: &str) -> Result<Client<TcpStream>, String> {
    let mut client = Client::connect(server.c2s).await;
    client.session(name, "desk").await;
    let muc = "<x xmlns='http://jabber.org/protocol/muc'/>";
    client
        .send(&format!("<presence to='{room}/{name}'>{muc}</presence>"))
        .await;
    let own = format!("{room}/{name}");
    let answer = client
        .expect(|it| it.name() == "presence" && it.attr("from") == Some(&own))
        .await;
    match answer.payloads().element("error", ns::CLIENT) {
        None => Ok(client),
        Some(error) => Err(error.children().next().unwrap().name().to_owned()),
    }
}

/// Says something to all; the error is the condition of the refusal.
async fn say(client: &mut Client<TcpStream>, room: &str, text: &str) -> Result<(), String> {
    client
        .send(&format!(
            "<message to='{room}' type='groupchat' id='{text}'><body>{text}</body></message>"
        ))
        .await;
    let answer = client
        .expect(|it| it.name() == "message" && it.attr("id") == Some(text))
        .await;
    match answer.payloads().element("error", ns::CLIENT) {
        None => Ok(()),
        Some(error) => Err(error.children().next().unwrap().name().to_owned()),
    }
}

#[tokio::test]
async fn thread_has_one_room_for_who_was_named() {
    let server = server().await;
    let first = resolve(&server, "anna", "<1@mail>", &["bert@klatsch.test"]).await;
    assert_eq!(first.field("role"), "owner", "{first:?}");
    let room = first.field("room");
    assert!(
        room.starts_with("ctx-") && room.ends_with("@conference.klatsch.test"),
        "{room}"
    );
    assert_eq!(first.field("join"), format!("xmpp:{room}?join"));
    let again = resolve(&server, "anna", "<1@mail>", &[]).await;
    assert_eq!(
        (again.field("room"), again.field("role")),
        (room.clone(), "owner".into())
    );
    let bert = resolve(&server, "bert", "<1@mail>", &[]).await;
    assert_eq!(
        (bert.field("room"), bert.field("role")),
        (room.clone(), "member".into())
    );
    assert_ne!(
        resolve(&server, "anna", "<2@mail>", &[])
            .await
            .field("room"),
        room
    );
    assert!(enter(&server, "bert", &room).await.is_ok());
}

#[tokio::test]
async fn knowing_the_id_lets_nobody_in_and_being_named_by_a_member_does() {
    let server = server().await;
    let room = resolve(&server, "anna", "<1@mail>", &["bert@klatsch.test"]).await;
    let room = room.field("room");
    // Carla names herself, and is nobody.
    let carla = resolve(&server, "carla", "<1@mail>", &["carla@klatsch.test"]).await;
    assert_eq!(carla.refusal(), (403, "forbidden".into()));
    let refused = enter(&server, "carla", &room).await.err();
    assert_eq!(refused.as_deref(), Some("registration-required"));
    let bert = resolve(&server, "bert", "<1@mail>", &["carla@klatsch.test"]).await;
    assert_eq!(bert.status, 200, "{bert:?}");
    let carla = resolve(&server, "carla", "<1@mail>", &[]).await;
    assert_eq!(carla.field("role"), "member");
    assert!(enter(&server, "carla", &room).await.is_ok());
}

#[tokio::test]
async fn r14_nobody_of_another_organisation_is_let_in() {
    let server = server().await;
    let room = resolve(
        &server,
        "anna",
        "<1@mail>",
        &["eve@other.test", "x@far.example"],
    )
    .await;
    let record = server.store.room(&room.field("room").parse_bare()).await;
    let record = record.unwrap().unwrap();
    let people: Vec<&str> = record.affiliations.keys().map(|it| it.as_str()).collect();
    assert_eq!(people, ["anna@klatsch.test"]);
    assert!(!record.config.public && record.config.members_only);
}

/// An address in a text.
trait ParseBare {
    fn parse_bare(&self) -> klatsch_protocol::jid::BareJid;
}

impl ParseBare for String {
    fn parse_bare(&self) -> klatsch_protocol::jid::BareJid {
        klatsch_protocol::jid::BareJid::parse(self).unwrap()
    }
}

async fn put(server: &Server, name: &str, calendar: &str) -> Reply {
    let proof = basic(name, PASSWORD);
    let fields = [
        ("Authorization", proof.as_str()),
        ("Content-Type", "text/calendar; charset=utf-8"),
    ];
    send(server.http, ("PUT", "/events"), &fields, calendar).await
}

fn meeting(sequence: u32, attendees: &[&str], more: &str) -> String {
    let attendees: String = attendees
        .iter()
        .map(|it| format!("ATTENDEE;CN=\"X, Y\";PARTSTAT=NEEDS-ACTION:mailto:{it}@{DOMAIN}\r\n"))
        .collect();
    format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:4711@kolab\r\n\
         SEQUENCE:{sequence}\r\nSUMMARY:Weekly\r\nORGANIZER:mailto:anna@{DOMAIN}\r\n\
         {attendees}{more}END:VEVENT\r\nEND:VCALENDAR\r\n"
    )
}

/// Who belongs to a room besides its owner.
async fn members(server: &Server, room: &str) -> Vec<String> {
    let record = server.store.room(&room.to_owned().parse_bare()).await;
    let record = record.unwrap().expect("a room");
    let others = record
        .affiliations
        .keys()
        .filter(|it| **it != account("anna"));
    others
        .map(|it| it.localpart().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test]
async fn event_has_one_room_that_follows_its_versions() {
    let server = server().await;
    let first = put(&server, "anna", &meeting(1, &["bert"], "")).await;
    assert_eq!(first.status, 200, "{first:?}");
    let room = first.field("room");
    assert!(room.starts_with("ev-"), "{room}");
    let lines = first.json()["lines"].clone();
    assert_eq!(lines[1], format!("X-KLATSCH-ROOM:xmpp:{room}?join"));
    assert_eq!(members(&server, &room).await, ["bert"]);

    let again = put(&server, "anna", &meeting(1, &["bert"], "")).await;
    assert_eq!(again.text, first.text);
    put(&server, "anna", &meeting(3, &["carla"], "")).await;
    assert_eq!(members(&server, &room).await, ["carla"]);
    // What arrives late changes nothing.
    let late = put(&server, "anna", &meeting(2, &["bert"], "")).await;
    assert_eq!(late.text, first.text);
    assert_eq!(members(&server, &room).await, ["carla"]);
}

#[tokio::test]
async fn who_is_invited_finds_the_room_and_nobody_else_makes_or_finds_it() {
    let server = server().await;
    let event = meeting(1, &["bert"], "");
    for name in ["bert", "carla"] {
        let none = put(&server, name, &event).await;
        assert_eq!(none.refusal(), (403, "forbidden".into()), "{name}");
    }
    let room = put(&server, "anna", &event).await.field("room");
    let carla = put(&server, "carla", &meeting(9, &["carla"], "")).await;
    assert_eq!(carla.refusal(), (403, "forbidden".into()));
    let bert = put(&server, "bert", &meeting(9, &["bert", "carla"], "")).await;
    assert_eq!(bert.field("room"), room);
    assert_eq!(members(&server, &room).await, ["bert"]);
    assert!(enter(&server, "bert", &room).await.is_ok());
    let refused = enter(&server, "carla", &room).await.err();
    assert_eq!(refused.as_deref(), Some("registration-required"));
}

#[tokio::test]
async fn event_that_is_called_off_leaves_a_room_to_be_read() {
    let server = server().await;
    let room = put(&server, "anna", &meeting(1, &["bert"], "")).await;
    let room = room.field("room");
    let mut bert = enter(&server, "bert", &room).await.unwrap();
    assert_eq!(say(&mut bert, &room, "before-it-is-off").await, Ok(()));
    let off = put(
        &server,
        "anna",
        &meeting(2, &["bert"], "STATUS:CANCELLED\r\n"),
    )
    .await;
    assert_eq!(off.status, 200, "{off:?}");
    let refused = say(&mut bert, &room, "after-it-is-off").await;
    assert_eq!(refused, Err("forbidden".into()));
    let mut anna = enter(&server, "anna", &room).await.unwrap();
    assert_eq!(say(&mut anna, &room, "the-last-word").await, Ok(()));
    put(&server, "anna", &meeting(3, &["bert"], "")).await;
    assert_eq!(say(&mut bert, &room, "it-is-on-again").await, Ok(()));
}

#[tokio::test]
async fn hostile_calendars_are_refused_and_make_nothing() {
    let server = server().await;
    let many = vec!["bert"; 501];
    for (calendar, refusal) in [
        (String::new(), (400, "bad-request")),
        ("BEGIN:VCALENDAR\r\n".repeat(1000), (413, "too-large")),
        (meeting(1, &many, ""), (413, "too-large")),
        (
            meeting(1, &[], &"X:y\r\n".repeat(60_000)),
            (413, "too-large"),
        ),
        (
            meeting(1, &[], "ORGANIZER:mailto:ceo@other.test\r\n"),
            (403, "forbidden"),
        ),
        (
            meeting(1, &[], "SEQUENCE:99999999999999999999\r\n"),
            (400, "bad-request"),
        ),
        (meeting(1, &[], "X-\u{0}:y\r\n"), (400, "bad-request")),
    ] {
        let reply = put(&server, "anna", &calendar).await;
        assert_eq!(
            reply.refusal(),
            (refusal.0, refusal.1.into()),
            "{:.60}",
            calendar
        );
    }
    let rooms = server
        .store
        .rooms("conference.klatsch.test", None, 10)
        .await;
    assert!(rooms.unwrap().is_empty());
}
