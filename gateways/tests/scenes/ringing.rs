//! One-to-one calls through a whole server: the messages around a Jingle session (XEP-0353 0.8.0)
//! have no body, and still ring on every device, are copied, archived and pushed.

use klatsch_protocol::xml::Fragment;
use tokio::net::TcpStream;

use crate::client::{Client, End};
use crate::component::connect;
use crate::server::Server;

const JMI: &str = "urn:xmpp:jingle-message:0";
const CARBONS: &str = "urn:xmpp:carbons:2";
const MAM: &str = "urn:xmpp:mam:2";
const ANNA: &str = "anna@klatsch.test";

async fn device(server: &Server, name: &str, resource: &str) -> Client<TcpStream> {
    let mut client = Client::connect(server.c2s).await;
    client.session(name, resource).await;
    client.send("<presence/>").await;
    client
        .send(&format!(
            "<iq type='set' id='copies'><enable xmlns='{CARBONS}'/></iq>"
        ))
        .await;
    client.expect(|it| it.attr("id") == Some("copies")).await;
    client
}

/// A message as XEP-0353 §4 wants it.
async fn say(client: &mut Client<TcpStream>, to: &str, what: &str, inner: &str) {
    client
        .send(&format!(
            "<message to='{to}' type='chat' id='{what}-12345678'><{what} xmlns='{JMI}' id='call-1'>\
             {inner}</{what}><store xmlns='urn:xmpp:hints'/></message>"
        ))
        .await;
}

fn says(what: &'static str) -> impl Fn(&Fragment) -> bool {
    move |it| it.payloads().has(what, JMI)
}

/// A copy of what another device of the account has sent or received.
fn copies(direction: &'static str, what: &'static str) -> impl Fn(&Fragment) -> bool {
    move |it| {
        let text = String::from_utf8_lossy(it.payloads().bytes()).into_owned();
        it.payloads().has(direction, CARBONS) && text.contains(&format!("<{what} "))
    }
}

/// How often each word of a call stands in an archive.
async fn archived(client: &mut Client<TcpStream>, what: &str) -> usize {
    client
        .send(&format!(
            "<iq type='set' id='log'><query xmlns='{MAM}'/></iq>"
        ))
        .await;
    let mut count = 0;
    loop {
        let it = client
            .expect(|it| it.attr("id") == Some("log") || it.payloads().has("result", MAM))
            .await;
        if it.attr("id") == Some("log") {
            return count;
        }
        let text = String::from_utf8_lossy(it.payloads().bytes()).into_owned();
        count += usize::from(text.contains(&format!("<{what} ")));
    }
}

#[tokio::test]
async fn call_rings_on_all_devices_and_the_word_that_takes_it_reaches_the_others() {
    let server = Server::start().await;
    let mut phone = device(&server, "anna", "phone").await;
    let mut tablet = device(&server, "anna", "tablet").await;
    let mut bert = device(&server, "bert", "desk").await;
    let mut old = device(&server, "bert", "old").await;
    let media = "<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/>";
    say(&mut bert, ANNA, "propose", media).await;
    let rings = phone.expect(says("propose")).await;
    tablet.expect(says("propose")).await;
    old.expect(copies("sent", "propose")).await;
    let caller = rings.attr("from").unwrap_or_default().to_owned();
    assert_eq!(caller, "bert@klatsch.test/desk");
    // §5.4: said to the device that calls; the others of both accounts see a copy.
    say(&mut phone, &caller, "proceed", "").await;
    bert.expect(says("proceed")).await;
    tablet.expect(copies("sent", "proceed")).await;
    old.expect(copies("received", "proceed")).await;
    say(&mut phone, &caller, "finish", "").await;
    bert.expect(says("finish")).await;
    for archive in [&mut tablet, &mut old] {
        for word in ["propose", "proceed", "finish"] {
            assert_eq!(archived(archive, word).await, 1, "{word}");
        }
    }
}

#[tokio::test]
async fn session_between_strangers_is_carried_and_one_with_nobody_is_answered_at_once() {
    let server = Server::start().await;
    let mut phone = device(&server, "anna", "phone").await;
    let mut bert = device(&server, "bert", "desk").await;
    let ask = |id: &str, resource: &str| {
        format!(
            "<iq type='set' id='{id}' to='{ANNA}/{resource}'><jingle xmlns='urn:xmpp:jingle:1' \
             action='session-initiate' sid='call-1'/></iq>"
        )
    };
    bert.send(&ask("there", "phone")).await;
    phone.expect(|it| it.attr("id") == Some("there")).await;
    phone
        .send("<iq type='result' id='there' to='bert@klatsch.test/desk'/>")
        .await;
    let answer = bert.expect(|it| it.attr("id") == Some("there")).await;
    assert_eq!(answer.attr("type"), Some("result"));
    bert.send(&ask("gone", "tablet")).await;
    let answer = bert.expect(|it| it.attr("id") == Some("gone")).await;
    assert_eq!(answer.attr("type"), Some("error"));
}

#[tokio::test]
async fn telephone_that_is_away_is_woken_by_a_call() {
    const PUSH: &str = "push.klatsch.test";
    let server = Server::start().await;
    let mut push = connect(&server, PUSH).await;
    let mut phone = device(&server, "anna", "phone").await;
    phone
        .send(&format!(
            "<iq type='set' id='on'><enable xmlns='urn:xmpp:push:0' jid='{PUSH}' node='n'/></iq>"
        ))
        .await;
    phone.expect(|it| it.attr("id") == Some("on")).await;
    phone.send("</stream:stream>").await;
    assert_eq!(phone.end().await, End::Footer);
    let mut bert = device(&server, "bert", "desk").await;
    let media = "<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/>";
    say(&mut bert, ANNA, "propose", media).await;
    let notice = push.expect(|it| it.name() == "iq").await;
    assert_eq!(notice.attr("from"), Some(ANNA));
    // What has waited rings when the telephone is there.
    let mut phone = device(&server, "anna", "phone").await;
    assert_eq!(archived(&mut phone, "propose").await, 1);
}
