//! Rooms of documents that an office has open, with a small host of documents behind it.

use axum::Router;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::routing::get;
use klatsch_protocol::features::muc::affiliation::Affiliation;
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;

use super::{Reply, account, call};
use crate::server::{DOMAIN, Server, Setup};

#[derive(Deserialize)]
struct Proof {
    access_token: String,
}

/// CheckFileInfo: a token is `NAME:rw` or `NAME:r`, and is good for every file but `secret`.
async fn check(Path(file): Path<String>, Query(proof): Query<Proof>) -> Result<String, StatusCode> {
    let (name, rights) = proof
        .access_token
        .split_once(':')
        .ok_or(StatusCode::UNAUTHORIZED)?;
    if file == "secret" {
        return Err(StatusCode::NOT_FOUND);
    }
    let info = json!({
        "BaseFileName": "Plan.odt",
        "OwnerId": format!("anna@{DOMAIN}"),
        "UserId": format!("{name}@{DOMAIN}"),
        "UserCanWrite": rights == "rw",
        "Version": "1",
    });
    Ok(info.to_string())
}

/// A server, and the address of a host of documents that it knows.
async fn server() -> (Server, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let host = Router::new().route("/wopi/files/{file}", get(check));
    // Ends with the test's runtime.
    tokio::spawn(async move { axum::serve(listener, host).await });
    let setup = Setup {
        accounts: ["anna", "bert", "carla"].map(str::to_owned).to_vec(),
        document_hosts: vec![origin.clone()],
        ..Setup::default()
    };
    (Server::start_with(setup).await, origin)
}

async fn open(server: &Server, name: &str, source: &str, proof: &str) -> Reply {
    let body = json!({"kind": "wopi", "id": source, "proof": proof}).to_string();
    call(server, name, ("POST", "/contexts/resolve"), &body).await
}

#[tokio::test]
async fn whoever_may_open_a_document_belongs_to_its_room() {
    let (server, origin) = server().await;
    let source = format!("{origin}/wopi/files/7");
    // Whoever may only read it makes no room.
    let early = open(&server, "carla", &source, "carla:r").await;
    assert_eq!(early.refusal(), (404, "item-not-found".into()));
    let first = open(&server, "anna", &source, "anna:rw").await;
    assert_eq!(first.field("role"), "owner");
    let room = first.field("room");
    assert!(room.starts_with("doc-"), "{room}");
    for (name, proof, role) in [
        ("bert", "bert:rw", "member"),
        ("carla", "carla:r", "reader"),
        ("anna", "anna:rw", "owner"),
        ("bert", "bert:r", "reader"),
    ] {
        let reply = open(&server, name, &source, proof).await;
        assert_eq!(
            (reply.field("role"), reply.field("room")),
            (role.into(), room.clone()),
            "{name}"
        );
    }
    let jid = klatsch_protocol::jid::BareJid::parse(&room).unwrap();
    let record = server.store.room(&jid).await.unwrap().unwrap();
    assert_eq!(&*record.config.name, "Plan.odt");
    for name in ["bert", "carla"] {
        assert_eq!(
            record.affiliation(&account(name)),
            Affiliation::Member,
            "{name}"
        );
    }
    // Another document is another room.
    let other = open(
        &server,
        "bert",
        &format!("{origin}/wopi/files/8"),
        "bert:rw",
    )
    .await;
    assert_ne!(other.field("room"), room);
}

#[tokio::test]
async fn r14_document_is_closed_to_whoever_cannot_open_it() {
    let (server, origin) = server().await;
    let source = format!("{origin}/wopi/files/7");
    open(&server, "anna", &source, "anna:rw")
        .await
        .field("room");
    let forbidden = (403, "forbidden".to_owned());
    // By the token of somebody else, by none that is good, and for a file that is not theirs.
    for (source, proof) in [
        (source.clone(), "anna:rw"),
        (source.clone(), "guess"),
        (format!("{origin}/wopi/files/secret"), "bert:rw"),
        ("http://127.0.0.1:1/wopi/files/7".to_owned(), "bert:rw"),
        ("https://evil.example/wopi/files/7".to_owned(), "bert:rw"),
    ] {
        let reply = open(&server, "bert", &source, proof).await;
        assert_eq!(reply.refusal(), forbidden, "{source} {proof}");
    }
    let bad = (400, "bad-request".to_owned());
    for body in [
        json!({"kind": "wopi", "id": source}),
        json!({"kind": "wopi", "id": source, "proof": "bert:rw", "members": [format!("carla@{DOMAIN}")]}),
        json!({"kind": "wopi", "id": "7", "proof": "bert:rw"}),
        json!({"kind": "thread", "id": "7", "proof": "bert:rw"}),
    ] {
        let reply = call(
            &server,
            "bert",
            ("POST", "/contexts/resolve"),
            &body.to_string(),
        )
        .await;
        assert_eq!(reply.refusal(), bad, "{body}");
    }
}
