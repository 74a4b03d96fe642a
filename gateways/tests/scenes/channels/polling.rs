//! Channels by long-poll: questions that wait, one connection a request.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::talker::{Talker, as_user};
use crate::client::PATIENCE;
use crate::server::Server;

/// One request; the head of the answer, and its body as JSON.
async fn request(address: SocketAddr, head: &str, headers: &str, body: &[u8]) -> (String, Value) {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let head = format!(
        "{head} HTTP/1.1\r\nHost: klatsch.test\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n"
    );
    tcp.write_all(head.as_bytes()).await.unwrap();
    tcp.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(2 * PATIENCE, tcp.read_to_end(&mut answer)).await;
    read.expect("an answer").unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (
        head.to_lowercase(),
        serde_json::from_str(body).unwrap_or(Value::Null),
    )
}

struct Poller {
    address: SocketAddr,
    query: String,
    token: String,
    heard: Vec<Value>,
}

impl Poller {
    async fn begin(server: &Server, name: &str) -> Self {
        let (address, query) = (server.http, as_user(name));
        let line = format!("GET /channels/longpoll?{query}");
        let (head, answer) = request(address, &line, "", b"").await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert_eq!(
            (&answer["status"], &answer["messages"]),
            (&json!(410), &json!([]))
        );
        let token = answer["token"].as_str().unwrap().to_owned();
        Self {
            address,
            query,
            token,
            heard: Vec::new(),
        }
    }

    fn line(&self, method: &str) -> String {
        format!(
            "{method} /channels/longpoll?{}&token={}",
            self.query, self.token
        )
    }

    async fn poll(&self) -> Value {
        request(self.address, &self.line("GET"), "", b"").await.1
    }

    async fn say(&self, body: &[u8]) -> Value {
        request(self.address, &self.line("POST"), "", body).await.1
    }

    async fn expect(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            if let Some(at) = self.heard.iter().position(&fits) {
                return self.heard.remove(at);
            }
            let answer = self.poll().await;
            assert_eq!(answer["status"], 200, "{answer}");
            assert_eq!(answer["token"], self.token.as_str());
            let frames = answer["messages"].as_array().unwrap().iter();
            let frames = frames.map(|it| serde_json::from_str(it.as_str().unwrap()).unwrap());
            self.heard.extend(frames);
        }
    }
}

#[tokio::test]
async fn who_polls_talks_with_who_has_a_socket() {
    let server = Server::start().await;
    let mut anna = Poller::begin(&server, "anna").await;
    let topic = "user:bert@klatsch.test";
    let join = format!(r#"["1","1","{topic}","phx_join",{{}}]"#);
    let push = format!(r#"["1","2","{topic}","send",{{"body":"by poll"}}]"#);
    let mut bert = Talker::connect(&server, "bert").await;
    bert.join("user:anna@klatsch.test", json!({})).await;
    let said = anna.say(format!("{join}\n{push}\n").as_bytes()).await;
    assert_eq!(said["status"], 200);
    anna.expect(|it| it[1] == "1" && it[4]["status"] == "ok")
        .await;
    anna.expect(|it| it[1] == "2" && it[4]["status"] == "ok")
        .await;
    let message = bert.event("user:anna@klatsch.test", "message").await;
    assert_eq!(message["body"], "by poll");
    bert.ask(
        "user:anna@klatsch.test",
        "send",
        json!({"body": "by socket"}),
    )
    .await;
    let answer = anna
        .expect(|it| it[3] == "message" && it[4]["from"] == "bert@klatsch.test")
        .await;
    assert_eq!(answer[4]["body"], "by socket");
}

#[tokio::test]
async fn binary_and_broken_frames_are_answered() {
    let server = Server::start().await;
    let mut anna = Poller::begin(&server, "anna").await;
    // A binary push in Base64 to a topic that is not joined, then what is nothing.
    let push = "AAEBBgQ0N3Jvb206YWVjaG8BAv8=";
    let said = anna.say(format!("{push}\n***\n[broken\n").as_bytes()).await;
    assert_eq!(said["status"], 200);
    anna.expect(|it| it[4]["response"]["reason"] == "unmatched topic")
        .await;
    anna.expect(|it| it[4]["status"] == "error" && it[2] == "phoenix")
        .await;
    anna.expect(|it| it[4]["status"] == "error" && it[2] == "phoenix")
        .await;
    let too_many = "[]\n".repeat(101);
    let (head, _) = request(server.http, &anna.line("POST"), "", too_many.as_bytes()).await;
    assert!(head.starts_with("http/1.1 413"), "{head}");
}

#[tokio::test]
async fn who_is_not_known_hears_it_in_the_answer() {
    let server = Server::start().await;
    let line = "GET /channels/longpoll?vsn=2.0.0&jid=anna&password=wrong";
    assert_eq!(request(server.http, line, "", b"").await.1["status"], 403);
    let line = format!("POST /channels/longpoll?{}&token=unknown", as_user("anna"));
    assert_eq!(
        request(server.http, &line, "", b"[]").await.1["status"],
        410
    );
    let line = format!("GET /channels/longpoll?{}&token=unknown", as_user("anna"));
    assert_eq!(request(server.http, &line, "", b"").await.1["status"], 410);
}

#[tokio::test]
async fn w01_page_from_elsewhere_may_not_poll() {
    let server = Server::start().await;
    let line = format!("GET /channels/longpoll?{}", as_user("anna"));
    let (head, _) = request(server.http, &line, "Origin: https://evil.example\r\n", b"").await;
    assert!(head.starts_with("http/1.1 403"), "{head}");
    assert!(!head.contains("access-control-allow-origin"), "{head}");
    let (head, answer) = request(server.http, &line, "Origin: http://klatsch.test\r\n", b"").await;
    assert!(
        head.contains("access-control-allow-origin: http://klatsch.test"),
        "{head}"
    );
    assert_eq!(answer["status"], 410);
}

#[tokio::test]
async fn session_that_ends_is_told_to_who_waits() {
    let server = Server::start().await;
    let query = format!("{}&resource=page", as_user("anna"));
    let line = format!("GET /channels/longpoll?{query}");
    let (_, answer) = request(server.http, &line, "", b"").await;
    let token = answer["token"].as_str().unwrap();
    let poll = format!("{line}&token={token}");
    let waiting = tokio::spawn({
        let address = server.http;
        async move { request(address, &poll, "", b"").await.1 }
    });
    let _taken = Talker::connect_with(&server, &query).await;
    let answer = waiting.await.unwrap();
    assert_eq!(answer["status"], 500, "{answer}");
}
