//! XMPP over BOSH: what every client of it relies on, and what nobody may do with it (rows W09
//! and W10, and those of XML and logins that hold on every transport).

use std::time::Duration;

use klatsch_gateways::http::HttpSettings;
use klatsch_gateways::listener::Limits;
use klatsch_protocol::ns;
use klatsch_protocol::stream::sm;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Client;
use crate::requests::{Reply, Requests, begin, post};
use crate::server::{DOMAIN, Server, Setup};

fn ended(reply: &Reply, condition: &str) {
    assert_eq!(reply.end().as_deref(), Some(condition), "{reply:?}");
}

fn message(to: &str, id: &str) -> String {
    format!("<message to='{to}' type='chat' id='{id}'><body>{id}</body></message>")
}

async fn server_with(http: HttpSettings) -> Server {
    Server::start_with(Setup {
        http,
        ..Setup::default()
    })
    .await
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

#[tokio::test]
async fn w10_w01_bosh_believes_neither_strangers_nor_foreign_pages() {
    let server = Server::start().await;
    let refused = [
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Forwarded-Proto", "https"),
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
    ];
    for header in refused {
        let reply = post(server.http, &[header], begin(1, "").as_bytes()).await;
        assert_eq!(reply.status, 403, "{header:?}");
        assert!(!reply.head.contains("access-control"), "{}", reply.head);
    }
    let http = HttpSettings {
        trusted_proxies: vec!["127.0.0.1".parse().unwrap()],
        allowed_origins: vec!["https://intranet.example".to_owned()],
    };
    let server = server_with(http).await;
    let plain = [("X-Forwarded-Proto", "http")];
    assert_eq!(
        post(server.http, &plain, begin(1, "").as_bytes())
            .await
            .status,
        403
    );
    let page = [
        ("X-Forwarded-Proto", "https"),
        ("Origin", "https://intranet.example"),
    ];
    let reply = post(server.http, &page, begin(1, "").as_bytes()).await;
    let allowed = "access-control-allow-origin: https://intranet.example";
    assert!(reply.head.contains(allowed), "{}", reply.head);
    // §19.1: the proxy's https is TLS, so that plain requests do not get into the session.
    let sid = reply.attr("sid").unwrap();
    assert!(reply.text.contains("PLAIN"), "{}", reply.text);
    let ns = klatsch_protocol::stream::bosh::NS;
    let next = format!("<body xmlns='{ns}' sid='{sid}' rid='2'/>");
    assert_eq!(post(server.http, &plain, next.as_bytes()).await.status, 403);
}

#[tokio::test]
async fn w10_sessions_are_counted_by_the_address_the_proxy_saw() {
    let limits = Limits {
        connections_per_address: 1,
        ..Setup::default().limits
    };
    let http = HttpSettings {
        trusted_proxies: vec!["127.0.0.1".parse().unwrap()],
        ..HttpSettings::default()
    };
    let setup = Setup {
        limits,
        http,
        ..Setup::default()
    };
    let server = Server::start_with(setup).await;
    // What stands left of the proxy's word, anybody can have written.
    for (seen, is_taken) in [
        ("192.0.2.1", true),
        ("192.0.2.2", true),
        ("192.0.2.9, 192.0.2.1", false),
    ] {
        let headers = [("X-Forwarded-Proto", "https"), ("X-Forwarded-For", seen)];
        let reply = post(server.http, &headers, begin(1, "").as_bytes()).await;
        assert_eq!(reply.attr("sid").is_some(), is_taken, "{seen}");
    }
}

async fn ask(server: &Server, head: &str) -> String {
    let mut tcp = TcpStream::connect(server.http).await.unwrap();
    let request = format!("{head}\r\nHost: {DOMAIN}\r\nConnection: close\r\n\r\n");
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.unwrap();
    answer.to_lowercase()
}

#[tokio::test]
async fn w01_browsers_ask_first_and_hear_whose_pages_may() {
    let http = HttpSettings {
        allowed_origins: vec!["https://intranet.example".to_owned()],
        ..HttpSettings::default()
    };
    let server = server_with(http).await;
    let options = "OPTIONS /http-bind HTTP/1.1\r\nAccess-Control-Request-Method: POST\r\nOrigin: ";
    let answer = ask(&server, &format!("{options}https://intranet.example")).await;
    assert!(answer.starts_with("http/1.1 204"), "{answer}");
    for header in [
        "access-control-allow-origin: https://intranet.example",
        "access-control-allow-methods: post, options",
        "access-control-allow-headers: content-type",
    ] {
        assert!(answer.contains(header), "{answer}");
    }
    assert!(!answer.contains("credentials"), "{answer}");
    let answer = ask(&server, &format!("{options}https://evil.example")).await;
    assert!(answer.starts_with("http/1.1 403"), "{answer}");
    assert!(!answer.contains("access-control"), "{answer}");
    // With a browser there is nothing to see.
    let answer = ask(&server, "GET /http-bind HTTP/1.1").await;
    assert!(answer.starts_with("http/1.1 405"), "{answer}");
    assert!(answer.contains("allow: post, options"), "{answer}");
    let reply = post(server.http, &[("Content-Encoding", "gzip")], b"x").await;
    assert_eq!(reply.status, 415);
}

#[tokio::test]
async fn a05_plain_bosh_takes_logins_but_no_passwords() {
    let server = Server::start_with(Setup {
        require_tls: true,
        ..Setup::default()
    })
    .await;
    let reply = post(server.http, &[], begin(1, "").as_bytes()).await;
    assert!(reply.text.contains("SCRAM-SHA-256"), "{}", reply.text);
    assert!(!reply.text.contains("PLAIN"), "{}", reply.text);
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
