//! Topics of an integrator's own: over two nodes, with bytes, and who may what.

use futures_util::SinkExt;
use klatsch_gateways::channels::ChannelsSettings;
use klatsch_protocol::channels::Grant;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::talker::{Talker, handshake};
use crate::server::{Server, Setup};

const TOPIC: &str = "app:shop:door";

/// Somebody with a token for these apps.
async fn with_token(server: &Server, name: &str, apps: &[&str], more: &str) -> Talker {
    let apps = apps.iter().map(|app| app.parse().unwrap()).collect();
    let token = server.api_token_for(name, &Grant::of(apps)).await;
    let query = format!("vsn=2.0.0&token={token}{more}");
    Talker::connect_with(server, &query).await
}

/// A server where every account may use one app and listen to another.
async fn open_server(more: ChannelsSettings) -> Server {
    let apps = ["shop", "news:listen"].map(|app| app.parse().unwrap());
    let channels = ChannelsSettings {
        apps: apps.into(),
        ..more
    };
    Server::start_with(Setup {
        channels,
        ..Setup::default()
    })
    .await
}

fn metas<'a>(frame: &'a Value, side: &str, jid: &str) -> &'a Value {
    &frame[side][jid]["metas"]
}

/// Waits for a difference with somebody on one side; their first meta.
async fn told(talker: &mut Talker, side: &str, jid: &str) -> Value {
    let is_it = |it: &Value| {
        it[2] == TOPIC && it[3] == "presence_diff" && !metas(&it[4], side, jid).is_null()
    };
    let frame = talker.expect(is_it).await;
    metas(&frame[4], side, jid)[0].clone()
}

#[tokio::test]
async fn pages_on_two_nodes_see_and_hear_each_other() {
    let [first, second] = Server::pair().await;
    let mut anna = with_token(&first, "anna", &["shop"], "&resource=page").await;
    let mut bert = with_token(&second, "bert", &["shop"], "&resource=page").await;
    let joined = anna.join(TOPIC, json!({"meta": {"colour": "red"}})).await;
    assert_eq!(
        joined,
        json!({"jid": "anna@klatsch.test/page", "push": true})
    );
    let mine = told(&mut anna, "joins", "anna@klatsch.test").await;
    assert_eq!(mine["colour"], "red");
    bert.join(TOPIC, json!({"meta": {"colour": "blue"}})).await;
    told(&mut anna, "joins", "bert@klatsch.test").await;
    anna.ask(TOPIC, "presence", json!({"colour": "green"}))
        .await;
    // On another node the same state has the same reference.
    let mine_now = told(&mut anna, "joins", "anna@klatsch.test").await;
    assert_eq!(mine_now["phx_ref_prev"], mine["phx_ref"]);
    let is_green = |it: &Value| {
        metas(&it[4], "joins", "anna@klatsch.test")[0]["phx_ref"] == mine_now["phx_ref"]
    };
    bert.expect(is_green).await;
    let mut late = with_token(&second, "bert", &["shop"], "&resource=late").await;
    late.join(TOPIC, json!({})).await;
    let state = late.event(TOPIC, "presence_state").await;
    assert_eq!(
        state["anna@klatsch.test"]["metas"][0]["phx_ref"],
        mine_now["phx_ref"]
    );
    let answer = bert.ask(TOPIC, "knock", json!({"times": 3})).await;
    assert_eq!(answer, ("ok".to_owned(), json!({})));
    for talker in [&mut anna, &mut bert, &mut late] {
        assert_eq!(talker.event(TOPIC, "knock").await, json!({"times": 3}));
    }
    drop(bert);
    let gone = told(&mut anna, "leaves", "bert@klatsch.test").await;
    assert_eq!(gone["colour"], "blue");
    anna.beat().await;
    assert!(!anna.has_heard(|it| it[3] == "knock"), "it came twice");
}

#[tokio::test]
async fn bytes_go_as_bytes_and_a_room_has_no_use_for_them() {
    let server = open_server(ChannelsSettings::default()).await;
    let (mut anna, mut bert) = (
        Talker::connect(&server, "anna").await,
        Talker::connect(&server, "bert").await,
    );
    for talker in [&mut anna, &mut bert] {
        talker.join(TOPIC, json!({"self": false})).await;
    }
    let push = b"\x00\x01\x02\x0d\x04177app:shop:doordraw\x00\xff".to_vec();
    anna.socket.send(Message::binary(push)).await.unwrap();
    let reply = anna.expect(|it| it[1] == "77").await;
    assert_eq!(reply[4], json!({"status": "ok", "response": {}}));
    assert_eq!(
        bert.binary().await,
        b"\x02\x0d\x04app:shop:doordraw\x00\xff"
    );
    let broken = b"\x00\x01\x02\xff\x04177app".to_vec();
    anna.socket.send(Message::binary(broken)).await.unwrap();
    let error = anna.expect(|it| it[2] == "phoenix").await;
    assert_eq!(error[4]["status"], "error");
    anna.beat().await;
}

#[tokio::test]
async fn who_may_what_is_said_by_settings_and_tokens() {
    let server = open_server(ChannelsSettings::default()).await;
    let refused = |why: &str| ("error".to_owned(), json!({"reason": why}));
    let mut anna = Talker::connect(&server, "anna").await;
    assert_eq!(anna.join("app:news:today", json!({})).await["push"], false);
    let pushed = anna.ask("app:news:today", "say", json!({})).await;
    assert_eq!(pushed, refused("unauthorized"));
    let other = anna.ask("app:board:x", "phx_join", json!({})).await;
    assert_eq!(other, refused("unauthorized"));
    let mut press = with_token(&server, "bert", &["news"], "").await;
    press.join("app:news:today", json!({})).await;
    press
        .ask("app:news:today", "say", json!("hear, hear"))
        .await;
    assert_eq!(
        anna.event("app:news:today", "say").await,
        json!("hear, hear")
    );
    for topic in [
        TOPIC,
        "user:bert@klatsch.test",
        "room:r@conference.klatsch.test",
        "presence:*",
    ] {
        let answer = press.ask(topic, "phx_join", json!({})).await;
        assert_eq!(answer, refused("unauthorized"), "{topic}");
    }
}

#[tokio::test]
async fn w01_token_for_an_app_opens_nothing_to_a_page_from_elsewhere() {
    let server = open_server(ChannelsSettings::default()).await;
    let apps = vec!["shop".parse().unwrap()];
    let token = server.api_token_for("anna", &Grant::of(apps)).await;
    let query = format!("vsn=2.0.0&token={token}");
    for (origin, expected) in [
        ("http://klatsch.test", 101),
        ("https://evil.example", 403),
        ("null", 403),
        ("http://klatsch.test.evil.example", 403),
    ] {
        let answer = handshake(server.http, &query, &[("Origin", origin)]).await;
        assert_eq!(answer.status, expected, "{origin}");
    }
}

#[tokio::test]
async fn bounds_are_kept_and_named() {
    let server = open_server(ChannelsSettings {
        topics_max: 3,
        app_topics_max: 2,
        app_subscribers_max: 1,
        app_payload_bytes_max: 1_000,
        app_pushes_per_second: 1,
        ..ChannelsSettings::default()
    })
    .await;
    let refused = |why: &str| ("error".to_owned(), json!({"reason": why}));
    let mut anna = Talker::connect(&server, "anna").await;
    let quiet = json!({"presence": false});
    anna.join(TOPIC, quiet.clone()).await;
    anna.join("app:shop:2", quiet.clone()).await;
    let third = anna.ask("app:shop:3", "phx_join", quiet.clone()).await;
    assert_eq!(third, refused("too many topics"));
    let mut bert = Talker::connect(&server, "bert").await;
    let second = bert.ask(TOPIC, "phx_join", quiet.clone()).await;
    assert_eq!(second, refused("too many subscribers"));
    let large = anna.ask(TOPIC, "say", json!("x".repeat(2_000))).await;
    assert_eq!(large, refused("payload too large"));
    // As many at once as it may have topics, and hardly more until the test is over.
    let mut answers = Vec::new();
    for _ in 0..10 {
        answers.push(anna.ask(TOPIC, "say", json!({})).await);
    }
    assert_eq!(answers[..3], [(); 3].map(|()| ("ok".to_owned(), json!({}))));
    assert!(answers.contains(&refused("too many pushes")));
    anna.ask(TOPIC, "phx_leave", json!({})).await;
    bert.join(TOPIC, quiet).await;
}

#[tokio::test]
async fn second_connection_of_a_device_takes_its_place_on_the_topic() {
    let server = open_server(ChannelsSettings::default()).await;
    let mut looker = Talker::connect(&server, "bert").await;
    looker.join(TOPIC, json!({})).await;
    let mut first = with_token(&server, "anna", &["shop"], "&resource=page").await;
    first.join(TOPIC, json!({"meta": {"n": 1}})).await;
    told(&mut looker, "joins", "anna@klatsch.test").await;
    let mut second = with_token(&server, "anna", &["shop"], "&resource=page").await;
    second.join(TOPIC, json!({"meta": {"n": 2}})).await;
    let is_second = |it: &Value| metas(&it[4], "joins", "anna@klatsch.test")[0]["n"] == 2;
    looker.expect(is_second).await;
    looker.beat().await;
    let mut third = Talker::connect(&server, "bert").await;
    third.join(TOPIC, json!({})).await;
    let state = third.event(TOPIC, "presence_state").await;
    let there = state["anna@klatsch.test"]["metas"].as_array().unwrap();
    assert_eq!((there.len(), &there[0]["n"]), (1, &json!(2)));
}
