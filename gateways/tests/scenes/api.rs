//! The HTTP API, with clients of XMPP on the other side.

mod documents;
mod doors;
mod friends;
mod gatherings;
mod tokens;

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use klatsch_protocol::features::roster::{RosterChange, RosterItem, Subscription};
use klatsch_protocol::jid::BareJid;
use serde_json::Value;

use crate::http::ask;
use crate::server::{DOMAIN, PASSWORD, Server};

/// An answer of the API.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The text of a field.
    pub(crate) fn field(&self, name: &str) -> String {
        let json = self.json();
        let text = json[name].as_str();
        text.unwrap_or_else(|| panic!("no {name} in {json}"))
            .to_owned()
    }

    /// The status, and the error's name.
    pub(crate) fn refusal(&self) -> (u16, String) {
        assert!(
            self.head.contains("content-type: application/json"),
            "{self:?}"
        );
        (self.status, self.field("error"))
    }
}

/// Asks with these header fields.
pub(crate) async fn send(
    address: SocketAddr,
    (method, path): (&str, &str),
    fields: &[(&str, &str)],
    body: &str,
) -> Reply {
    let mut request = format!(
        "{method} /api/v1{path} HTTP/1.1\r\nHost: {DOMAIN}\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in fields {
        request += &format!("{name}: {value}\r\n");
    }
    let answer = ask(address, &format!("{request}\r\n{body}")).await;
    let (head, text) = answer.split_once("\r\n\r\n").expect("a whole answer");
    let status = head.split(' ').nth(1).unwrap_or_default();
    Reply {
        status: status.parse().expect("a status"),
        head: head.to_lowercase(),
        text: text.to_owned(),
    }
}

pub(crate) fn basic(name: &str, password: &str) -> String {
    let said = format!("{name}@{DOMAIN}:{password}");
    format!("Basic {}", STANDARD.encode(said))
}

/// Asks as an account by its password; the body is JSON, or none.
pub(crate) async fn call(server: &Server, name: &str, asked: (&str, &str), body: &str) -> Reply {
    let proof = basic(name, PASSWORD);
    let mut fields = vec![("Authorization", proof.as_str())];
    if !body.is_empty() {
        fields.push(("Content-Type", "application/json"));
    }
    send(server.http, asked, &fields, body).await
}

/// Asks with a token.
pub(crate) async fn with_token(
    server: &Server,
    token: &str,
    asked: (&str, &str),
    body: &str,
) -> Reply {
    let proof = format!("Bearer {token}");
    let fields = [
        ("Authorization", proof.as_str()),
        ("Content-Type", "application/json"),
    ];
    send(server.http, asked, &fields, body).await
}

pub(crate) fn account(name: &str) -> BareJid {
    BareJid::new(Some(name), DOMAIN).unwrap()
}

/// Puts somebody on somebody's roster.
pub(crate) async fn list(server: &Server, owner: &str, contact: &str, how: Subscription) {
    let owner = account(owner);
    let roster = server.store.roster(&owner).await.unwrap();
    let item = RosterItem {
        subscription: how,
        listed: true,
        ..RosterItem::new(account(contact))
    };
    let change = vec![RosterChange::Put(item)];
    let changed = server.store.change_roster(&owner, roster.version, change);
    changed.await.unwrap();
}

/// Two who see each other.
pub(crate) async fn befriend(server: &Server, one: &str, other: &str) {
    list(server, one, other, Subscription::Both).await;
    list(server, other, one, Subscription::Both).await;
}
