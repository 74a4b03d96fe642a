//! Accounts that write to people who do not know them (row R17).

use std::time::{Duration, Instant};

use klatsch_actors::strangers;
use klatsch_actors::world::Settings;
use klatsch_gateways::listener::Limits;
use klatsch_protocol::xml::Fragment;
use tokio::net::TcpStream;

use crate::client::Client;
use crate::server::{DOMAIN, Server, Setup};

const BERT: &str = "bert@klatsch.test";

/// What a stranger may say at once.
const BURST: u32 = 20;
/// To how many people for the first time.
const NEW: u32 = 5;

/// A server that trusts nobody, not even this machine, and reads as fast as one sends.
async fn strict(accounts: &[&str]) -> Server {
    let limits = Limits {
        trusted: Vec::new(),
        connection_rate_per_address: 1000,
        session_stanza_rate: 0,
        session_byte_rate: 0,
        close_timeout: Duration::from_millis(500),
        ..Limits::default()
    };
    let strangers = strangers::Settings {
        message_rate: 1,
        message_burst: BURST,
        new_rate: 1,
        new_burst: NEW,
    };
    Server::start_with(Setup {
        limits,
        settings: Settings {
            strangers,
            ..Settings::default()
        },
        accounts: accounts.iter().map(ToString::to_string).collect(),
        ..Setup::default()
    })
    .await
}

async fn session(server: &Server, name: &str, resource: &str) -> Client<TcpStream> {
    let mut client = Client::connect(server.c2s).await;
    client.session(name, resource).await;
    client
}

fn message(to: &str, id: &str) -> String {
    format!("<message to='{to}' type='chat' id='{id}'><body>Buy!</body></message>")
}

/// What has come until the answer to a ping does.
async fn heard(client: &mut Client<TcpStream>) -> Vec<Fragment> {
    client
        .send(&format!(
            "<iq type='get' id='so far' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>"
        ))
        .await;
    let mut heard = Vec::new();
    loop {
        let next = client.expect(|_| true).await;
        if next.attr("id") == Some("so far") {
            return heard;
        }
        heard.push(next);
    }
}

/// How many of these messages were refused, every one of them for being too many.
fn refused(heard: &[Fragment]) -> usize {
    let errors = heard.iter().filter(|it| it.attr("type") == Some("error"));
    errors
        .map(|it| {
            let error = it.payloads().element("error", "jabber:client").unwrap();
            assert_eq!(error.get("type"), Some("wait"), "{it:?}");
            assert!(format!("{error:?}").contains("policy-violation"), "{it:?}");
        })
        .count()
}

async fn kept(client: &mut Client<TcpStream>) -> usize {
    client
        .send(
            "<iq type='set' id='mam'><query xmlns='urn:xmpp:mam:2'>\
             <set xmlns='http://jabber.org/protocol/rsm'><max>0</max></set></query></iq>",
        )
        .await;
    let end = client.expect(|it| it.attr("id") == Some("mam")).await;
    let fin = end.payloads().element("fin", "urn:xmpp:mam:2").unwrap();
    let set = fin.find("set", "http://jabber.org/protocol/rsm").unwrap();
    let count = set.find("count", "http://jabber.org/protocol/rsm").unwrap();
    count.text_content().parse().unwrap()
}

#[tokio::test]
async fn r17_flood_of_a_stranger_over_many_sessions_reaches_nobody() {
    let server = strict(&["anna", "bert"]).await;
    let start = Instant::now();
    let (mut sent, mut refusals) = (0, 0);
    for round in 0..10 {
        // Half of them at once with others, half of them after another login.
        let mut spammers = vec![session(&server, "anna", &format!("a{round}")).await];
        spammers.push(session(&server, "anna", &format!("b{round}")).await);
        for (place, spammer) in spammers.iter_mut().enumerate() {
            let flood: String = (0..100)
                .map(|n| message(BERT, &format!("{place}-{n}")))
                .collect();
            spammer.send(&flood).await;
            sent += 100;
            refusals += refused(&heard(spammer).await);
        }
    }
    let mut bert = session(&server, "bert", "home").await;
    let arrived = kept(&mut bert).await;
    assert_eq!(arrived + refusals, sent, "nothing is dropped in silence");
    let allowed = BURST as usize + start.elapsed().as_secs() as usize + 1;
    assert!((BURST as usize..=allowed).contains(&arrived), "{arrived}");
}

#[tokio::test]
async fn r17_only_so_many_strangers_hear_of_an_account_and_contacts_all_of_it() {
    let names: Vec<String> = (0..20).map(|n| format!("person{n}")).collect();
    let mut accounts: Vec<&str> = names.iter().map(String::as_str).collect();
    accounts.extend(["anna", "bert"]);
    let server = strict(&accounts).await;
    let mut anna = session(&server, "anna", "home").await;
    for name in &names {
        anna.send(&message(&format!("{name}@{DOMAIN}"), name)).await;
    }
    let told = heard(&mut anna).await;
    assert_eq!(refused(&told), names.len() - NEW as usize);
    let mut bert = session(&server, "bert", "home").await;
    bert.send("<presence/>").await;
    anna.send(&message(BERT, "too many")).await;
    assert_eq!(refused(&heard(&mut anna).await), 1);
    // He asks to see her, so she is no stranger to him.
    bert.send(&format!("<presence type='subscribe' to='anna@{DOMAIN}'/>"))
        .await;
    bert.ping().await;
    for n in 0..100 {
        anna.send(&message(BERT, &format!("answer {n}"))).await;
    }
    assert_eq!(refused(&heard(&mut anna).await), 0);
    bert.expect(|it| it.attr("id") == Some("answer 99")).await;
}

#[tokio::test]
async fn r17_whoever_is_trusted_may_write_to_anybody() {
    let strangers = strangers::Settings {
        message_burst: 1,
        new_burst: 1,
        ..strangers::Settings::default()
    };
    let server = Server::start_with(Setup {
        settings: Settings {
            strangers,
            ..Settings::default()
        },
        ..Setup::default()
    })
    .await;
    let mut anna = session(&server, "anna", "home").await;
    for n in 0..50 {
        anna.send(&message(BERT, &format!("m{n}"))).await;
    }
    assert_eq!(refused(&heard(&mut anna).await), 0);
}
