//! What nobody may do over BOSH: take over or use up sessions (row W09), and send what no stream
//! takes.

use std::time::Duration;

use klatsch_gateways::listener::Limits;

use super::{ended, message};
use crate::client::Client;
use crate::requests::{Requests, begin, post};
use crate::server::{DOMAIN, Server, Setup};

#[tokio::test]
async fn w09_guessed_session_ids_are_none() {
    let server = Server::start().await;
    let mut web = Requests::begin(server.http).await;
    web.session("anna").await;
    let real = web.sid.clone();
    let almost = format!("{}0", &real[..real.len() - 1]);
    let upper = real.to_uppercase();
    for guess in ["", "1", &almost, &upper, &real[..8], &"0".repeat(40)] {
        if guess == real {
            continue;
        }
        let body = web.request(web.rid, "", "").replace(&real, guess);
        ended(&web.deliver(body).await, "item-not-found");
    }
    web.ping().await;
}

#[tokio::test]
async fn w09_ids_beyond_the_window_end_the_session_for_everybody() {
    let server = Server::start().await;
    for distance in [3, 1_000_000, (1 << 53) - 2000] {
        let mut web = Requests::begin(server.http).await;
        web.session("anna").await;
        let parked = web.park(web.request(web.rid, "", ""));
        web.rid += 1;
        // It may overtake the parked one, so that it is far enough in any case.
        let reply = web.deliver(web.request(web.rid + distance, "", "")).await;
        ended(&reply, "item-not-found");
        let parked = parked.await.unwrap();
        let end = parked.end().unwrap();
        assert!(end == "other-request" || end == "item-not-found", "{end}");
        ended(
            &web.deliver(web.request(web.rid, "", "")).await,
            "item-not-found",
        );
    }
}

#[tokio::test]
async fn w09_repeated_request_gets_its_answer_again_and_is_done_once() {
    let server = Server::start().await;
    let mut web = Requests::begin(server.http).await;
    web.session("anna").await;
    let mut tcp = Client::connect(server.c2s).await;
    tcp.session("bert", "home").await;
    let ping = format!("<iq type='get' id='q' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>");
    let both = message(&format!("bert@{DOMAIN}/home"), "once") + &ping;
    let request = web.request(web.rid, "", &both);
    web.rid += 1;
    let first = web.deliver(request.clone()).await;
    let second = web.deliver(request.clone()).await;
    assert_eq!((&first.text, first.end()), (&second.text, None));
    for id in ["a", "b", "c"] {
        let both = message(&format!("bert@{DOMAIN}/home"), id) + &ping;
        web.say("", &both).await;
    }
    // Too old: nobody is given what others asked for.
    ended(&web.deliver(request).await, "item-not-found");
    for id in ["once", "a", "b", "c"] {
        let heard = tcp.expect(|it| it.name() == "message").await;
        assert_eq!(heard.attr("id"), Some(id));
    }
}

#[tokio::test]
async fn w09_stolen_id_is_of_no_use_without_tls_and_does_no_harm() {
    let server = Server::start().await;
    let mut web = Requests::begin_with(server.https, true, &[]).await;
    web.session("anna").await;
    let stolen = web.request(web.rid, "type='terminate'", "");
    let reply = post(server.http, &[], stolen.as_bytes()).await;
    assert_eq!(reply.status, 403);
    web.ping().await;
}

#[tokio::test]
async fn w09_requests_can_not_be_parked_without_end() {
    let server = Server::start().await;
    let mut web = Requests::begin(server.http).await;
    web.session("anna").await;
    // All of the same id: each could take the place of the one before.
    let request = web.request(web.rid, "", "");
    let parked: Vec<_> = (0..40).map(|_| web.park(request.clone())).collect();
    let mut ends = Vec::new();
    for parked in parked {
        ends.extend(parked.await.unwrap().end());
    }
    assert!(ends.iter().any(|end| end == "policy-violation"), "{ends:?}");
    let again = web.deliver(web.request(web.rid + 1, "", "")).await;
    ended(&again, "item-not-found");
}

#[tokio::test]
async fn w09_sessions_of_an_address_are_counted() {
    let limits = Limits {
        trusted: Vec::new(),
        connections_per_address: 6,
        ..Setup::default().limits
    };
    let setup = Setup {
        limits,
        ..Setup::default()
    };
    let server = Server::start_with(setup).await;
    for rid in 1..=6 {
        let reply = post(server.http, &[], begin(rid, "").as_bytes()).await;
        assert!(reply.attr("sid").is_some(), "{reply:?}");
        server.emptied().await;
    }
    let reply = post(server.http, &[], begin(7, "").as_bytes()).await;
    ended(&reply, "policy-violation");
}

#[tokio::test]
async fn w09_who_does_not_log_in_is_sent_away_at_the_deadline() {
    let limits = Limits {
        negotiation_timeout: Duration::from_millis(300),
        ..Setup::default().limits
    };
    let setup = Setup {
        limits,
        ..Setup::default()
    };
    let server = Server::start_with(setup).await;
    let web = Requests::begin(server.http).await;
    let reply = web.deliver(web.request(web.rid, "", "")).await;
    ended(&reply, "remote-stream-error");
    assert_eq!(reply.stream_error().as_deref(), Some("connection-timeout"));
    ended(
        &web.deliver(web.request(web.rid + 1, "", "")).await,
        "item-not-found",
    );
}

#[tokio::test]
async fn w09_keys_keep_strangers_out() {
    let server = Server::start().await;
    // The specification's own keys, in the order in which they are used (§15.4).
    let [first, second, third] = [
        "newkey='ca393b51b682f61f98e7877d61146407f3d0a770'",
        "key='bfb06a6f113cd6fd3838ab9d300fdb4fe3da2f7d'",
        "key='6f825e81f4532b2c5fa2d12457d8a1f22e8f838e'",
    ];
    for wrong in [second, ""] {
        let reply = post(server.http, &[], begin(1, first).as_bytes()).await;
        let sid = reply.attr("sid").unwrap();
        let request = |rid: u64, key: &str| {
            let ns = klatsch_protocol::stream::bosh::NS;
            format!("<body xmlns='{ns}' sid='{sid}' rid='{rid}' pause='1' {key}/>")
        };
        for (rid, key) in [(2, second), (3, third)] {
            let reply = post(server.http, &[], request(rid, key).as_bytes()).await;
            assert_eq!(reply.end(), None, "{reply:?}");
        }
        let reply = post(server.http, &[], request(4, wrong).as_bytes()).await;
        ended(&reply, "item-not-found");
    }
}

#[tokio::test]
async fn x01_x10_xml_is_as_strict_as_on_a_stream() {
    let server = Server::start().await;
    let payloads: [&[u8]; 8] = [
        b"<!DOCTYPE a [<!ENTITY b 'x'>]><iq/>",
        b"<iq>&b;</iq>",
        b"<!-- hi -->",
        b"<?php hi ?>",
        b"<iq>\x00</iq>",
        b"<iq>&#x1;</iq>",
        b"<iq>\xc0\xaf</iq>",
        b"words",
    ];
    for payload in payloads {
        let web = Requests::begin(server.http).await;
        let mut body = web.request(web.rid, "", "@").into_bytes();
        let at = body.iter().rposition(|byte| *byte == b'@').unwrap();
        body.splice(at..=at, payload.iter().copied());
        let reply = web.deliver(body).await;
        ended(&reply, "bad-request");
        ended(
            &web.deliver(web.request(web.rid + 1, "", "")).await,
            "item-not-found",
        );
    }
    let bodies: [&[u8]; 8] = [
        b"",
        b"hello",
        b"<body/>",
        b"<body xmlns='http://jabber.org/protocol/httpbind'/>",
        b"<!DOCTYPE a [<!ENTITY b 'x'>]><body xmlns='http://jabber.org/protocol/httpbind' rid='1'/>",
        b"<body xmlns='http://jabber.org/protocol/httpbind' rid='1' to='&b;'/>",
        b"<body xmlns='http://jabber.org/protocol/httpbind' rid='1' to='\xff'/>",
        b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams' rid='1'>",
    ];
    for body in bodies {
        ended(&post(server.http, &[], body).await, "bad-request");
    }
}

#[tokio::test]
async fn x04_x05_x06_depth_size_and_number_are_limited_before_and_after_login() {
    let server = Server::start().await;
    let text = |bytes: usize| format!("<message><body>{}</body></message>", "A".repeat(bytes));
    let deep = "<a xmlns='b'>".repeat(400);
    let many = format!("<message>{}</message>", "<a/>".repeat(40));
    for payload in [text(9000), deep.clone(), many] {
        let web = Requests::begin(server.http).await;
        ended(
            &web.deliver(web.request(web.rid, "", &payload)).await,
            "policy-violation",
        );
    }
    for payload in [
        text(300_000),
        text(600_000),
        deep,
        "<presence/>".repeat(600),
    ] {
        let mut web = Requests::begin(server.http).await;
        web.session("anna").await;
        ended(
            &web.deliver(web.request(web.rid, "", &payload)).await,
            "policy-violation",
        );
    }
    // A wrapper has no stanza's size to grow to.
    let wide = begin(1, &format!("a='{}'", "A".repeat(9000)));
    let reply = post(server.http, &[], wide.as_bytes()).await;
    ended(&reply, "policy-violation");
}

#[tokio::test]
async fn stream_errors_are_in_the_last_answer() {
    let server = Server::start().await;
    let web = Requests::begin(server.http).await;
    let early = web.request(web.rid, "", "<message to='x'/>");
    let reply = web.deliver(early).await;
    ended(&reply, "remote-stream-error");
    assert_eq!(reply.stream_error().as_deref(), Some("not-authorized"));
    let streams = "xmlns:stream='http://etherx.jabber.org/streams'";
    assert!(reply.text.contains(streams), "{}", reply.text);
}

#[tokio::test]
async fn domains_that_are_not_served_are_named_as_such() {
    let server = Server::start().await;
    for (to, condition) in [
        ("elsewhere.example", "host-unknown"),
        ("", "improper-addressing"),
    ] {
        let body = begin(1, "").replace(DOMAIN, to);
        ended(&post(server.http, &[], body.as_bytes()).await, condition);
    }
    let none = begin(1, "").replace(&format!("to='{DOMAIN}'"), "");
    ended(
        &post(server.http, &[], none.as_bytes()).await,
        "improper-addressing",
    );
}

#[tokio::test]
async fn old_clients_get_statuses_for_what_they_do_wrong() {
    let server = Server::start().await;
    let body = begin(1, "").replace("ver='1.11'", "");
    let reply = post(server.http, &[], body.as_bytes()).await;
    assert_eq!((reply.status, reply.attr("ver")), (200, None));
    let (sid, ns) = (
        reply.attr("sid").unwrap(),
        klatsch_protocol::stream::bosh::NS,
    );
    let far = format!("<body xmlns='{ns}' sid='{sid}' rid='99'/>");
    let reply = post(server.http, &[], far.as_bytes()).await;
    assert_eq!(reply.status, 404);
    ended(&reply, "item-not-found");
}
