//! XMPP over BOSH: what every client of it relies on. What nobody may do with it: `bosh/abuse.rs`
//! (rows W09 and those of XML) and `bosh/origins.rs` (rows W01 and W10, and what is not encrypted).

mod abuse;
mod origins;

use std::time::Duration;

use klatsch_protocol::ns;
use klatsch_protocol::stream::sm;

use crate::client::Client;
use crate::requests::{Reply, Requests, begin, post};
use crate::server::{DOMAIN, Server};

fn ended(reply: &Reply, condition: &str) {
    assert_eq!(reply.end().as_deref(), Some(condition), "{reply:?}");
}

fn message(to: &str, id: &str) -> String {
    format!("<message to='{to}' type='chat' id='{id}'><body>{id}</body></message>")
}

#[tokio::test]
async fn client_chats_over_bosh_with_one_over_tcp() {
    let server = Server::start().await;
    let mut web = Requests::begin(server.http).await;
    let address = web.session("anna").await;
    let mut tcp = Client::connect(server.c2s).await;
    tcp.session("bert", "home").await;
    // Two in one body, one of them without a namespace of its own (XEP-0206 §2).
    let bert = format!("bert@{DOMAIN}/home");
    let second = message(&bert, "2").replace("<message", "<message xmlns='jabber:client'");
    let parked = web.park(web.request(web.rid, "", &(message(&bert, "1") + &second)));
    for id in ["1", "2"] {
        let heard = tcp.expect(|it| it.name() == "message").await;
        assert_eq!(heard.attr("id"), Some(id));
        assert_eq!(heard.payloads().text_of("body", ns::CLIENT).unwrap(), id);
    }
    // A request that waits is answered as soon as there is something.
    tcp.send(&message(&address, "3")).await;
    let reply = parked.await.unwrap();
    let heard = &reply.payloads()[0];
    assert!(
        heard.is("message", ns::CLIENT) && heard.attr("id") == Some("3"),
        "{reply:?}"
    );
}

#[tokio::test]
async fn first_answer_says_what_was_agreed_on() {
    let server = Server::start().await;
    let reply = post(
        server.http,
        &[],
        begin(7, "ack='1' content='text/html'").as_bytes(),
    )
    .await;
    assert_eq!(reply.status, 200);
    assert!(
        reply.head.contains("content-type: text/xml; charset=utf-8"),
        "{}",
        reply.head
    );
    assert!(reply.head.contains("content-length:"), "{}", reply.head);
    for (name, value) in [
        ("wait", "30"),
        ("hold", "1"),
        ("requests", "2"),
        ("ver", "1.11"),
        ("from", DOMAIN),
        ("ack", "7"),
    ] {
        assert_eq!(reply.attr(name).as_deref(), Some(value), "{name}");
    }
    for name in ["polling", "inactivity", "maxpause"] {
        assert!(
            reply.attr(name).unwrap().parse::<u64>().unwrap() > 0,
            "{name}"
        );
    }
    let xbosh = klatsch_protocol::stream::bosh::NS_XMPP;
    assert_eq!(reply.tag().attr(xbosh, "restartlogic"), Some("true"));
    assert_eq!(reply.tag().attr(xbosh, "version"), Some("1.0"));
    let features = &reply.payloads()[0];
    assert!(features.is("features", ns::STREAMS));
    assert!(!features.payloads().has("starttls", ns::TLS));
}

#[tokio::test]
async fn requests_that_overtake_each_other_are_heard_in_order() {
    let server = Server::start().await;
    let mut web = Requests::begin(server.http).await;
    web.session("anna").await;
    let mut tcp = Client::connect(server.c2s).await;
    tcp.session("bert", "home").await;
    let bert = format!("bert@{DOMAIN}/home");
    let late = web.park(web.request(web.rid + 1, "", &message(&bert, "second")));
    web.deliver(web.request(web.rid, "", &message(&bert, "first")))
        .await;
    for id in ["first", "second"] {
        let heard = tcp.expect(|it| it.name() == "message").await;
        assert_eq!(heard.attr("id"), Some(id));
    }
    drop(late);
}

#[tokio::test]
async fn request_that_is_sent_again_takes_the_place_of_the_first() {
    let server = Server::start().await;
    let mut web = Requests::begin(server.http).await;
    let address = web.session("anna").await;
    let mut tcp = Client::connect(server.c2s).await;
    tcp.session("bert", "home").await;
    let request = web.request(web.rid, "", "");
    let parked = [web.park(request.clone()), web.park(request)];
    // One of them is told to forget it (XEP-0124 §14.3); only then is there news.
    let [mut first, mut second] = parked;
    let (told, other) = tokio::select! {
        told = &mut first => (told, second),
        told = &mut second => (told, first),
    };
    assert_eq!(told.unwrap().attr("type").as_deref(), Some("error"));
    tcp.send(&message(&address, "news")).await;
    let reply = other.await.unwrap();
    assert_eq!(reply.payloads()[0].attr("id"), Some("news"));
}

#[tokio::test]
async fn polling_client_is_answered_at_once() {
    let server = Server::start().await;
    let body = begin(1, "").replace("wait='30'", "wait='0'");
    let reply = post(server.http, &[], body.as_bytes()).await;
    assert_eq!(reply.attr("wait").as_deref(), Some("0"));
    let sid = reply.attr("sid").unwrap();
    let ns = klatsch_protocol::stream::bosh::NS;
    let request = |rid: u64| format!("<body xmlns='{ns}' sid='{sid}' rid='{rid}'/>");
    // Twice, and there was nothing (§12); the first answer had the features.
    for rid in [2, 3] {
        let reply = post(server.http, &[], request(rid).as_bytes()).await;
        match rid {
            2 => assert_eq!(reply.end(), None, "{reply:?}"),
            _ => ended(&reply, "policy-violation"),
        }
    }
}

#[tokio::test]
async fn pause_sends_the_waiting_request_home_and_nothing_is_lost() {
    let server = Server::start().await;
    let mut web = Requests::begin(server.http).await;
    let address = web.session("anna").await;
    let mut tcp = Client::connect(server.c2s).await;
    tcp.session("bert", "home").await;
    let parked = web.park(web.request(web.rid, "", ""));
    web.rid += 1;
    let reply = web.say("pause='60'", "").await;
    assert_eq!((reply.end(), reply.payloads().len()), (None, 0));
    assert_eq!(parked.await.unwrap().payloads().len(), 0);
    tcp.send(&message(&address, "meanwhile")).await;
    tcp.ping().await;
    web.expect(|it| it.attr("id") == Some("meanwhile")).await;
}

#[tokio::test]
async fn end_is_answered_and_the_last_words_are_heard() {
    let server = Server::start().await;
    let mut web = Requests::begin(server.http).await;
    web.session("anna").await;
    let mut tcp = Client::connect(server.c2s).await;
    tcp.session("bert", "home").await;
    let parked = web.park(web.request(web.rid, "", ""));
    // One more than may wait may be sent to end it (§11).
    let words = message(&format!("bert@{DOMAIN}/home"), "bye");
    let last = web
        .deliver(web.request(web.rid + 1, "type='terminate'", &words))
        .await;
    let parked = parked.await.unwrap();
    let ends = [parked.end(), last.end()];
    assert!(ends.contains(&Some(String::new())), "{ends:?}");
    tcp.expect(|it| it.attr("id") == Some("bye")).await;
    ended(
        &web.deliver(web.request(web.rid + 2, "", "")).await,
        "item-not-found",
    );
}

#[tokio::test]
async fn session_is_resumed_by_another_one_and_nothing_is_lost() {
    let server = Server::start().await;
    let mut web = Requests::begin(server.http).await;
    let address = web.session("anna").await;
    let mut tcp = Client::connect(server.c2s).await;
    tcp.session("bert", "home").await;
    web.say("", &format!("<enable xmlns='{}' resume='true'/>", sm::NS))
        .await;
    let enabled = web.expect(|it| it.is("enabled", sm::NS)).await;
    let previd = enabled.attr("id").unwrap().to_owned();
    let parked = web.park(web.request(web.rid, "", ""));
    tcp.send(&message(&address, "news")).await;
    let lost = parked.await.unwrap();
    assert_eq!(lost.payloads()[0].attr("id"), Some("news"));
    // The answer was lost on its way, as far as anybody knows.
    let mut again = Requests::begin(server.http).await;
    again.login("anna").await;
    let resume = format!("<resume xmlns='{}' previd='{previd}' h='0'/>", sm::NS);
    again.say("", &resume).await;
    again.expect(|it| it.is("resumed", sm::NS)).await;
    again.expect(|it| it.attr("id") == Some("news")).await;
    // Who comes back to the old one is told.
    let reply = web.deliver(web.request(web.rid + 1, "", "")).await;
    assert!(reply.end().is_some(), "{reply:?}");
    again.ping().await;
}

#[tokio::test]
async fn server_that_stops_says_so() {
    let server = Server::start().await;
    let mut web = Requests::begin(server.http).await;
    web.session("anna").await;
    // When the first is answered, the second is what waits.
    let first = web.park(web.request(web.rid, "", ""));
    let words = message(&format!("bert@{DOMAIN}"), "m");
    let second = web.park(web.request(web.rid + 1, "", &words));
    assert_eq!(first.await.unwrap().end(), None);
    server.trigger.trigger();
    let patience = Duration::from_secs(5);
    server.gateways.clients.sessions.shut_down(patience).await;
    let reply = second.await.unwrap();
    ended(&reply, "remote-stream-error");
    assert_eq!(reply.stream_error().as_deref(), Some("system-shutdown"));
}
