//! What clients may not do on the socket of channels (rows W02 to W08), and that a bad frame
//! harms nothing else.

use futures_util::SinkExt;
use klatsch_gateways::channels::ChannelsSettings;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use super::talker::{Talker, as_user, handshake};
use crate::server::{Server, Setup};
use crate::socket::{end_of, masked, raw, send_bomb};

const ROOM: &str = "room:team@conference.klatsch.test";

#[tokio::test]
async fn w02_header_bomb_ends_early() {
    let server = Server::start().await;
    send_bomb(server.http, "/channels/websocket?vsn=2.0.0").await;
    server.emptied().await;
}

#[tokio::test]
async fn w03_w05_frames_against_the_rules_are_protocol_errors() {
    let server = Server::start().await;
    let text = OpCode::Data(Data::Text);
    let cases = [
        (
            "unmasked",
            FrameHeader {
                mask: None,
                ..masked(text, true)
            },
        ),
        (
            "reserved bit",
            FrameHeader {
                rsv2: true,
                ..masked(text, true)
            },
        ),
        (
            "compressed",
            FrameHeader {
                rsv1: true,
                ..masked(text, true)
            },
        ),
        (
            "reserved opcode",
            masked(OpCode::Data(Data::Reserved(3)), true),
        ),
        (
            "fragmented ping",
            masked(OpCode::Control(Control::Ping), false),
        ),
        (
            "continuation of nothing",
            masked(OpCode::Data(Data::Continue), true),
        ),
    ];
    for (name, header) in cases {
        let offer = [("Sec-WebSocket-Extensions", "permessage-deflate")];
        let mut answer = handshake(server.http, &as_user("anna"), &offer).await;
        assert!(
            !answer.head.contains("sec-websocket-extensions"),
            "{}",
            answer.head
        );
        raw(&mut answer.tcp, header, b"[]").await.unwrap();
        assert_eq!(end_of(answer.tcp).await.code, Some(1002), "{name}");
    }
}

#[tokio::test]
async fn w04_length_without_content_is_refused_before_it_is_stored() {
    let server = Server::start().await;
    let mut tcp = handshake(server.http, &as_user("anna"), &[]).await.tcp;
    let mut header = vec![0x81, 0xff];
    header.extend_from_slice(&(1_u64 << 62).to_be_bytes());
    header.extend_from_slice(&[1, 2, 3, 4]);
    tcp.write_all(&header).await.unwrap();
    assert_eq!(end_of(tcp).await.code, Some(1009));
    server.emptied().await;
}

#[tokio::test]
async fn w04_empty_fragments_without_end_are_stopped() {
    let server = Server::start().await;
    let mut tcp = handshake(server.http, &as_user("anna"), &[]).await.tcp;
    raw(&mut tcp, masked(OpCode::Data(Data::Text), false), b"")
        .await
        .unwrap();
    let flood = [0x00, 0x80, 1, 2, 3, 4].repeat(1000);
    let mut rounds = 0;
    while rounds < 10_000 && tcp.write_all(&flood).await.is_ok() {
        rounds += 1;
    }
    assert!(rounds < 10_000, "ten million fragments taken");
    drop(tcp);
    server.emptied().await;
}

#[tokio::test]
async fn w04_frame_larger_than_any_may_be_closes() {
    let server = Server::start_with(Setup {
        channels: ChannelsSettings {
            frame_bytes_max: 1024,
            ..ChannelsSettings::default()
        },
        ..Setup::default()
    })
    .await;
    let mut anna = Talker::connect(&server, "anna").await;
    let frame = json!([null, "1", "phoenix", "heartbeat", "x".repeat(2000)]).to_string();
    anna.send(&frame).await;
    assert_eq!(anna.end().await, Some(1009));
}

#[tokio::test]
async fn w06_json_without_end_or_bottom_is_answered_and_forgotten() {
    let server = Server::start().await;
    let mut anna = Talker::connect(&server, "anna").await;
    for text in [
        "[".repeat(60_000),
        format!("[{}", "1,".repeat(30_000)),
        "{".to_owned(),
    ] {
        anna.send(&text).await;
        assert_eq!(anna.frame().await[4]["status"], "error");
    }
    anna.quiet().await;
}

#[tokio::test]
async fn w07_frame_that_cannot_be_read_gets_an_error_and_the_channels_go_on() {
    let server = Server::start().await;
    let mut anna = Talker::connect(&server, "anna").await;
    anna.join(ROOM, json!({})).await;
    anna.event(ROOM, "presence_state").await;
    for bad in ["", "{}", "[1,2,3,4,5]", "null", r#"["1","2",3,4,{}]"#] {
        anna.send(bad).await;
        let error = anna.expect(|it| it[4]["status"] == "error").await;
        assert_eq!(
            (&error[1], &error[2]),
            (&Value::Null, &json!("phoenix")),
            "{bad}"
        );
    }
    for bad in [&b""[..], b"\x07", b"\x00\x09\x09\x09\x09x"] {
        let frame = Message::Binary(Bytes::copy_from_slice(bad));
        anna.socket.send(frame).await.unwrap();
        anna.expect(|it| it[4]["status"] == "error").await;
    }
    let (status, _) = anna.ask(ROOM, "send", json!({"body": "still here"})).await;
    assert_eq!(status, "ok");
}

#[tokio::test]
async fn w07_text_that_is_no_utf8_closes() {
    let server = Server::start().await;
    let mut tcp = handshake(server.http, &as_user("anna"), &[]).await.tcp;
    let text = masked(OpCode::Data(Data::Text), true);
    raw(&mut tcp, text, b"[\xff\xfe]").await.unwrap();
    assert_eq!(end_of(tcp).await.code, Some(1007));
}

#[tokio::test]
async fn w08_ping_flood_is_stopped() {
    let server = Server::start().await;
    let tcp = handshake(server.http, &as_user("anna"), &[]).await.tcp;
    let mut socket = WebSocketStream::from_raw_socket(tcp, Role::Client, None).await;
    for _ in 0..100 {
        let ping = Frame::ping(Bytes::from_static(b"flood"));
        if socket.send(Message::Frame(ping)).await.is_err() {
            break;
        }
    }
    let end = crate::socket::Socket { socket }.end().await;
    assert_eq!(end.code, Some(1008));
}

#[tokio::test]
async fn topics_beyond_the_bound_are_refused() {
    let server = Server::start_with(Setup {
        channels: ChannelsSettings {
            topics_max: 2,
            ..ChannelsSettings::default()
        },
        ..Setup::default()
    })
    .await;
    let mut anna = Talker::connect(&server, "anna").await;
    anna.join("user:anna@klatsch.test", json!({})).await;
    anna.join("user:bert@klatsch.test", json!({})).await;
    let (status, response) = anna.ask("presence:*", "phx_join", json!({})).await;
    let reason = json!("too many channels joined");
    assert_eq!((&*status, &response["reason"]), ("error", &reason));
}

#[tokio::test]
async fn client_that_reads_nothing_loses_its_connection_and_others_go_on() {
    let server = Server::start_with(Setup {
        limits: klatsch_gateways::listener::Limits {
            send_queue_bytes_max: 64 * 1024,
            send_queue_soft_bytes: 16 * 1024,
            ..Setup::default().limits
        },
        ..Setup::default()
    })
    .await;
    let mut deaf = Talker::connect(&server, "bert").await;
    deaf.join(ROOM, json!({})).await;
    let mut anna = Talker::connect(&server, "anna").await;
    anna.join(ROOM, json!({})).await;
    // Chat states stand in no log: they are all that can pile up.
    let long = "x".repeat(20_000);
    let mut gone = false;
    for _ in 0..2000 {
        let (status, _) = anna
            .ask(ROOM, "status", json!({"show": "away", "status": long}))
            .await;
        assert_eq!(status, "ok");
        let (status, _) = anna
            .ask(ROOM, "status", json!({"show": "dnd", "status": long}))
            .await;
        assert_eq!(status, "ok");
        let left = |it: &Value| it[4]["leaves"]["bert"].is_object() && it[4]["joins"] == json!({});
        if anna.has_heard(left) {
            gone = true;
            break;
        }
    }
    assert!(gone, "forty megabytes wait for somebody who reads nothing");
}
