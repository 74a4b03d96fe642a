//! A channels client made for tests: the frames are as the npm client's, and can be wrong.

use std::collections::VecDeque;
use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::client::PATIENCE;
use crate::server::{PASSWORD, Server};

/// What a handshake is answered with: the status, the head, and the connection.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) tcp: TcpStream,
}

/// The parameters of somebody who logs in by password.
pub(super) fn as_user(name: &str) -> String {
    format!(
        "vsn=2.0.0&jid={name}&password={}",
        PASSWORD.replace(' ', "+")
    )
}

/// A handshake without a library, so that it can be wrong.
pub(super) async fn handshake(
    address: SocketAddr,
    query: &str,
    changes: &[(&str, &str)],
) -> Answer {
    let mut fields = vec![
        ("Host", "klatsch.test"),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    fields.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    fields.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    let mut request = format!("GET /channels/websocket?{query} HTTP/1.1\r\n");
    for (name, value) in fields {
        request += &format!("{name}: {value}\r\n");
    }
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all((request + "\r\n").as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let byte = timeout(PATIENCE, tcp.read_u8()).await.expect("an answer");
        head.push(byte.expect("an answer"));
    }
    let head = String::from_utf8(head).unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_lowercase(),
        tcp,
    }
}

/// A client on its socket.
pub(super) struct Talker {
    pub(super) socket: WebSocketStream<TcpStream>,
    count: u64,
    heard: VecDeque<Value>,
}

impl Talker {
    /// Logs in as a user.
    pub(super) async fn connect(server: &Server, name: &str) -> Self {
        Self::connect_with(server, &as_user(name)).await
    }

    pub(super) async fn connect_with(server: &Server, query: &str) -> Self {
        let answer = handshake(server.http, query, &[]).await;
        assert_eq!(answer.status, 101, "{}", answer.head);
        Self {
            socket: WebSocketStream::from_raw_socket(answer.tcp, Role::Client, None).await,
            count: 0,
            heard: VecDeque::new(),
        }
    }

    pub(super) async fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// Pushes without waiting for the answer; its reference.
    pub(super) async fn push(&mut self, topic: &str, event: &str, payload: Value) -> String {
        self.count += 1;
        let reference = self.count.to_string();
        let join_ref = (event == "phx_join").then(|| reference.clone());
        let frame = json!([join_ref, reference, topic, event, payload]);
        self.send(&frame.to_string()).await;
        reference
    }

    /// Pushes and waits for the answer: its status and response.
    pub(super) async fn ask(
        &mut self,
        topic: &str,
        event: &str,
        payload: Value,
    ) -> (String, Value) {
        let reference = self.push(topic, event, payload).await;
        let is_reply = |it: &Value| it[3] == "phx_reply" && it[1] == reference.as_str();
        let reply = self.expect(is_reply).await;
        let status = reply[4]["status"].as_str().unwrap().to_owned();
        (status, reply[4]["response"].clone())
    }

    /// Joins a topic that it is let into.
    pub(super) async fn join(&mut self, topic: &str, payload: Value) -> Value {
        let (status, response) = self.ask(topic, "phx_join", payload).await;
        assert_eq!(status, "ok", "{topic}: {response}");
        response
    }

    /// The next event of this kind on a topic; what comes before it is kept for others to find.
    pub(super) async fn event(&mut self, topic: &str, event: &str) -> Value {
        let frame = self.expect(|it| it[2] == topic && it[3] == event).await;
        frame[4].clone()
    }

    /// The next frame that fits.
    pub(super) async fn expect(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.heard.iter().position(&fits) {
            return self.heard.remove(at).unwrap();
        }
        loop {
            let frame = self.frame().await;
            if fits(&frame) {
                return frame;
            }
            self.heard.push_back(frame);
        }
    }

    pub(super) async fn frame(&mut self) -> Value {
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await;
            match message.expect("a frame").expect("an open socket") {
                Ok(Message::Text(text)) => return serde_json::from_str(&text).expect("JSON"),
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next binary frame; text before it is kept for others to find.
    pub(super) async fn binary(&mut self) -> Vec<u8> {
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await;
            match message.expect("a frame").expect("an open socket") {
                Ok(Message::Binary(bytes)) => return bytes.to_vec(),
                Ok(Message::Text(text)) => {
                    let frame = serde_json::from_str(&text).expect("JSON");
                    self.heard.push_back(frame);
                }
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Tells whether something that fits has come already.
    pub(super) fn has_heard(&self, fits: impl Fn(&Value) -> bool) -> bool {
        self.heard.iter().any(fits)
    }

    /// Proves that nothing else was sent before: a heartbeat is answered next.
    pub(super) async fn quiet(&mut self) {
        self.send(r#"[null,"beat","phoenix","heartbeat",{}]"#).await;
        let frame = self.frame().await;
        assert_eq!(frame[1], "beat", "{frame}");
        assert!(self.heard.is_empty(), "{:?}", self.heard);
    }

    /// Waits for the heartbeat's answer, whatever comes before.
    pub(super) async fn beat(&mut self) {
        self.send(r#"[null,"beat","phoenix","heartbeat",{}]"#).await;
        self.expect(|it| it[1] == "beat").await;
    }

    /// Reads to the end; the close code.
    pub(super) async fn end(&mut self) -> Option<u16> {
        let mut code = None;
        while let Some(Ok(message)) = timeout(PATIENCE, self.socket.next()).await.expect("an end") {
            if let Message::Close(frame) = message {
                code = frame.map(|frame| frame.code.into());
            }
        }
        code
    }
}
