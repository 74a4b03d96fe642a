//! External components through a whole server (XEP-0114): who may be one, what one may say, and
//! what comes of it.

use klatsch_protocol::ns;
use klatsch_protocol::sasl::Secret;
use klatsch_protocol::stream::component::handshake;
use klatsch_protocol::xml::{Fragment, Token};
use tokio::net::TcpStream;

use crate::client::{Client, End, until};
use crate::server::{COMPONENT_SECRET, DOMAIN, Server};

const BOT: &str = "bot.klatsch.test";
const ANNA: &str = "anna@klatsch.test";

pub(crate) type Component = Client<TcpStream>;

fn header(to: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='{}' xmlns:stream='{}' to='{to}'>",
        ns::COMPONENT,
        ns::STREAMS
    )
}

/// Opens a stream and gives the id that the server gave it.
async fn open(server: &Server, host: &str) -> (Component, String) {
    let mut component = Client::connect(server.component).await;
    component.send(&header(host)).await;
    match component.token().await {
        Some(Token::Header(header)) => {
            assert_eq!(header.content_ns, ns::COMPONENT);
            assert_eq!(header.from.as_deref(), Some(host));
            (component, header.id.expect("an id"))
        }
        other => panic!("{other:?}"),
    }
}

async fn shake_hands(component: &mut Component, id: &str, secret: &str) {
    let proof = handshake(id, &Secret::new(secret));
    component
        .send(&format!("<handshake>{proof}</handshake>"))
        .await;
}

/// A component that is connected.
pub(crate) async fn connect(server: &Server, host: &str) -> Component {
    let (mut component, id) = open(server, host).await;
    shake_hands(&mut component, &id, COMPONENT_SECRET).await;
    component.expect(|it| it.is("handshake", ns::CLIENT)).await;
    component
}

/// Everything the component has sent before has been dealt with.
pub(crate) async fn sync(component: &mut Component, host: &str) {
    component
        .send(&format!(
            "<iq type='get' id='sync' from='{host}' to='{DOMAIN}'>\
             <ping xmlns='urn:xmpp:ping'/></iq>"
        ))
        .await;
    let answer = component.expect(|it| it.attr("id") == Some("sync")).await;
    assert_eq!(answer.attr("type"), Some("result"), "{answer:?}");
}

async fn online(server: &Server, name: &str, resource: &str) -> Component {
    let mut client = Client::connect(server.c2s).await;
    client.session(name, resource).await;
    client.send("<presence/>").await;
    client.ping().await;
    client
}

fn has_body(fragment: &Fragment, body: &str) -> bool {
    let text = fragment.payloads().text_of("body", ns::CLIENT);
    fragment.name() == "message" && text.is_some_and(|text| text == body)
}

fn error_of(fragment: &Fragment) -> String {
    let error = fragment.payloads().element("error", ns::CLIENT);
    let error = error.unwrap_or_else(|| panic!("{fragment:?}"));
    let condition = error.children().next().expect("a condition");
    condition.name().to_owned()
}

/// The bodies in anna's archive of what was said with this address.
async fn archived(client: &mut Component, with: &str) -> Vec<String> {
    let query = format!(
        "<iq type='set' id='mam'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' \
         type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>\
         <field var='with'><value>{with}</value></field></x></query></iq>"
    );
    client.send(&query).await;
    let mut bodies = Vec::new();
    loop {
        let fragment = client
            .expect(|it| it.attr("id") == Some("mam") || it.name() == "message")
            .await;
        if fragment.name() == "iq" {
            return bodies;
        }
        let text = String::from_utf8(fragment.payloads().bytes().to_vec()).unwrap();
        if let Some((_, rest)) = text.split_once("<body>") {
            bodies.push(rest.split('<').next().unwrap_or_default().to_owned());
        }
    }
}

#[tokio::test]
async fn who_is_not_the_component_is_told_by_name() {
    let server = Server::start().await;
    for (header, condition) in [
        (header("poems.klatsch.test"), "host-unknown"),
        (header(DOMAIN), "host-unknown"),
        (
            header(BOT).replace("component:accept", "client"),
            "invalid-namespace",
        ),
    ] {
        let mut stranger = Client::connect(server.component).await;
        stranger.send(&header).await;
        assert_eq!(stranger.end().await, End::Error(condition.into()));
    }
    let (mut stranger, id) = open(&server, BOT).await;
    shake_hands(&mut stranger, &id, "a guess").await;
    assert_eq!(stranger.end().await, End::Error("not-authorized".into()));
    let (mut stranger, _) = open(&server, BOT).await;
    stranger
        .send(&format!("<message from='{BOT}' to='{ANNA}'/>"))
        .await;
    assert_eq!(stranger.end().await, End::Error("not-authorized".into()));
    server.emptied().await;
}

#[tokio::test]
async fn second_connection_of_a_host_is_refused_and_the_first_lives_on() {
    let server = Server::start().await;
    let mut first = connect(&server, BOT).await;
    let (mut second, id) = open(&server, BOT).await;
    shake_hands(&mut second, &id, COMPONENT_SECRET).await;
    assert_eq!(second.end().await, End::Error("conflict".into()));
    sync(&mut first, BOT).await;
    first.send("</stream:stream>").await;
    assert_eq!(first.end().await, End::Footer);
    server.emptied().await;
    connect(&server, BOT).await;
}

#[tokio::test]
async fn r01_r02_component_that_speaks_for_others_loses_its_stream() {
    let server = Server::start().await;
    let mut anna = online(&server, "anna", "a").await;
    for (from, condition) in [
        ("from='bert@klatsch.test'", "invalid-from"),
        ("from='klatsch.test'", "invalid-from"),
        ("from='push.klatsch.test'", "invalid-from"),
        ("from='x@y.bot.klatsch.test'", "invalid-from"),
        ("", "improper-addressing"),
    ] {
        let mut bot = connect(&server, BOT).await;
        bot.send(&format!(
            "<message {from} to='{ANNA}' type='chat'><body>forged</body></message>"
        ))
        .await;
        assert_eq!(bot.end().await, End::Error(condition.into()), "{from}");
        drop(bot);
        // Until the host is free again.
        until(async || server.connections() <= 1).await;
    }
    assert!(archived(&mut anna, DOMAIN).await.is_empty());
    let log = archived(&mut anna, "bert@klatsch.test").await;
    assert!(log.is_empty(), "{log:?}");
}

#[tokio::test]
async fn what_is_said_with_a_component_stands_in_the_accounts_log_and_on_all_its_devices() {
    let server = Server::start().await;
    let mut bot = connect(&server, BOT).await;
    let mut anna = online(&server, "anna", "a").await;
    let mut other = online(&server, "anna", "b").await;
    for client in [&mut anna, &mut other] {
        client
            .send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
            .await;
        client.expect(|it| it.attr("id") == Some("c")).await;
    }
    anna.send(&format!(
        "<message to='echo@{BOT}' type='chat' id='question-1'><body>question</body></message>"
    ))
    .await;
    let question = bot.expect(|it| has_body(it, "question")).await;
    assert_eq!(question.attr("from"), Some("anna@klatsch.test/a"));
    let is_sent = |it: &Fragment| it.payloads().has("sent", "urn:xmpp:carbons:2");
    other.expect(is_sent).await;
    bot.send(&format!(
        "<message from='echo@{BOT}/1' to='anna@klatsch.test/a' type='chat' id='answer-123'>\
         <body>answer</body></message>"
    ))
    .await;
    let answer = anna.expect(|it| has_body(it, "answer")).await;
    assert!(answer.payloads().has("stanza-id", "urn:xmpp:sid:0"));
    let is_copy = |it: &Fragment| it.payloads().has("received", "urn:xmpp:carbons:2");
    other.expect(is_copy).await;
    let log = archived(&mut anna, &format!("echo@{BOT}")).await;
    assert_eq!(log, ["question", "answer"]);
}

#[tokio::test]
async fn what_a_component_says_waits_for_who_is_away_and_is_there_once() {
    let server = Server::start().await;
    let mut bot = connect(&server, BOT).await;
    for _ in 0..2 {
        bot.send(&format!(
            "<message from='{BOT}' to='{ANNA}' type='chat' id='1'><body>waits</body>\
             <origin-id xmlns='urn:xmpp:sid:0' id='o-1'/></message>"
        ))
        .await;
    }
    bot.send(&format!(
        "<message from='{BOT}' to='{ANNA}' type='chat' id='2'><body>other</body>\
         <origin-id xmlns='urn:xmpp:sid:0' id='o-1'/></message>\
         <message from='{BOT}' to='nobody@{DOMAIN}' type='chat' id='3'><body>x</body></message>"
    ))
    .await;
    let conflict = bot.expect(|it| it.attr("id") == Some("2")).await;
    assert_eq!(error_of(&conflict), "conflict");
    let nobody = bot.expect(|it| it.attr("id") == Some("3")).await;
    assert_eq!(error_of(&nobody), "service-unavailable");
    let mut anna = Client::connect(server.c2s).await;
    anna.session("anna", "a").await;
    anna.send("<presence/>").await;
    let late = anna.expect(|it| has_body(it, "waits")).await;
    assert!(late.payloads().has("delay", "urn:xmpp:delay"));
    assert_eq!(archived(&mut anna, BOT).await, ["waits"]);
}

#[tokio::test]
async fn presence_goes_to_and_fro_by_subscription() {
    let server = Server::start().await;
    let mut bot = connect(&server, BOT).await;
    let mut anna = online(&server, "anna", "a").await;
    let contact = format!("weather@{BOT}");
    anna.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
        .await;
    anna.send(&format!("<presence type='subscribe' to='{contact}'/>"))
        .await;
    let asked = bot.expect(|it| it.attr("type") == Some("subscribe")).await;
    assert_eq!(asked.attr("from"), Some(ANNA));
    for kind in ["subscribed", "subscribe"] {
        bot.send(&format!(
            "<presence type='{kind}' from='{contact}' to='{ANNA}'/>"
        ))
        .await;
    }
    anna.expect(|it| it.attr("type") == Some("subscribed"))
        .await;
    anna.expect(|it| it.attr("type") == Some("subscribe")).await;
    anna.send(&format!("<presence type='subscribed' to='{contact}'/>"))
        .await;
    bot.expect(|it| it.attr("type") == Some("subscribed")).await;
    bot.expect(|it| it.attr("from") == Some("anna@klatsch.test/a") && it.name() == "presence")
        .await;
    bot.send(&format!(
        "<presence from='{contact}/sun' to='{ANNA}'><show>chat</show></presence>"
    ))
    .await;
    anna.expect(|it| it.attr("from") == Some(&format!("{contact}/sun")[..]))
        .await;
    // Anna comes again: the contact is asked, as one elsewhere.
    let mut again = online(&server, "anna", "b").await;
    let probe = bot.expect(|it| it.attr("type") == Some("probe")).await;
    assert_eq!(probe.attr("to"), Some(&contact[..]));
    // And the component's contact asks for Anna's presence.
    bot.send(&format!(
        "<presence type='probe' from='{contact}' to='{ANNA}'/>"
    ))
    .await;
    bot.expect(|it| it.attr("from") == Some("anna@klatsch.test/b"))
        .await;
    again.send("</stream:stream>").await;
    bot.expect(|it| {
        it.attr("from") == Some("anna@klatsch.test/b") && it.attr("type") == Some("unavailable")
    })
    .await;
}

#[tokio::test]
async fn components_are_found_at_the_domain_and_asked_by_anybody() {
    let server = Server::start().await;
    let mut bot = connect(&server, BOT).await;
    let mut anna = online(&server, "anna", "a").await;
    anna.send(&format!(
        "<iq type='get' id='items' to='{DOMAIN}'>\
         <query xmlns='http://jabber.org/protocol/disco#items'/></iq>"
    ))
    .await;
    let items = anna.expect(|it| it.attr("id") == Some("items")).await;
    let text = String::from_utf8(items.payloads().bytes().to_vec()).unwrap();
    assert!(text.contains(&format!("<item jid='{BOT}'/>")), "{text}");
    anna.send(&format!(
        "<iq type='get' id='info' to='{BOT}'>\
         <query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
    ))
    .await;
    let asked = bot.expect(|it| it.attr("id") == Some("info")).await;
    assert_eq!(asked.attr("from"), Some("anna@klatsch.test/a"));
    bot.send(&format!(
        "<iq type='result' id='info' from='{BOT}' to='anna@klatsch.test/a'>\
         <query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
    ))
    .await;
    let told = anna.expect(|it| it.attr("id") == Some("info")).await;
    assert_eq!(told.attr("type"), Some("result"));
    // What is for accounts alone is not told to components.
    for (id, payload) in [
        (
            "info2",
            "<query xmlns='http://jabber.org/protocol/disco#info'/>",
        ),
        ("turn", "<services xmlns='urn:xmpp:extdisco:2'/>"),
    ] {
        bot.send(&format!(
            "<iq type='get' id='{id}' from='{BOT}' to='{DOMAIN}'>{payload}</iq>"
        ))
        .await;
        let answer = bot.expect(|it| it.attr("id") == Some(id)).await;
        let is_told = answer.attr("type") == Some("result");
        assert_eq!(is_told, id == "info2", "{answer:?}");
    }
}

#[tokio::test]
async fn what_is_for_a_component_that_is_away_comes_back_and_stands_in_the_log() {
    let server = Server::start().await;
    let mut anna = online(&server, "anna", "a").await;
    anna.send(&format!(
        "<message to='{BOT}' type='chat' id='lost-12345'><body>hello?</body></message>"
    ))
    .await;
    let back = anna.expect(|it| it.attr("id") == Some("lost-12345")).await;
    assert_eq!(error_of(&back), "remote-server-timeout");
    anna.send(&format!(
        "<iq to='{BOT}' type='get' id='q'><ping xmlns='urn:xmpp:ping'/></iq>"
    ))
    .await;
    let back = anna.expect(|it| it.attr("id") == Some("q")).await;
    assert_eq!(error_of(&back), "remote-server-timeout");
    assert_eq!(archived(&mut anna, BOT).await, ["hello?"]);
}

#[tokio::test]
async fn r20_errors_make_no_errors_and_a_component_does_not_echo_itself() {
    let server = Server::start().await;
    let mut bot = connect(&server, BOT).await;
    let mut anna = online(&server, "anna", "a").await;
    let error = "<error type='cancel'><item-not-found \
        xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    for to in [
        "nobody@klatsch.test",
        "anna@klatsch.test/nowhere",
        "klatsch.test",
        "room@conference.klatsch.test/nick",
        "push.klatsch.test",
        "elsewhere.example",
        BOT,
    ] {
        for stanza in [
            format!(
                "<message type='error' id='e' from='{BOT}' to='{to}'><body>x</body>{error}</message>"
            ),
            format!("<iq type='error' id='e' from='{BOT}' to='{to}'>{error}</iq>"),
            format!("<presence type='error' id='e' from='{BOT}' to='{to}'>{error}</presence>"),
        ] {
            bot.send(&stanza).await;
        }
    }
    // What it says to itself is refused once, and its refusal of the refusal goes nowhere.
    bot.send(&format!(
        "<message from='a@{BOT}' to='b@{BOT}' type='chat' id='echo'><body>x</body></message>"
    ))
    .await;
    bot.send(&format!(
        "<iq type='get' id='sync' from='{BOT}' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>"
    ))
    .await;
    let first = bot.expect(|it| it.name() != "handshake").await;
    assert_eq!(first.attr("id"), Some("echo"), "{first:?}");
    assert_eq!(error_of(&first), "not-allowed");
    let next = bot.expect(|_| true).await;
    assert_eq!(next.attr("id"), Some("sync"), "{next:?}");
    // An error for an account comes to its session and no further.
    anna.ping().await;
}

#[tokio::test]
async fn somebody_at_a_component_is_inside_a_room_until_the_component_goes() {
    let server = Server::start().await;
    let mut bot = connect(&server, BOT).await;
    let mut anna = online(&server, "anna", "a").await;
    let room = "tea@conference.klatsch.test";
    let enter = "<x xmlns='http://jabber.org/protocol/muc'/>";
    anna.send(&format!("<presence to='{room}/anna'>{enter}</presence>"))
        .await;
    anna.expect(|it| it.attr("from") == Some(&format!("{room}/anna")[..]))
        .await;
    anna.send(&format!(
        "<iq type='set' id='form' to='{room}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
         <x xmlns='jabber:x:data' type='submit'/></query></iq>"
    ))
    .await;
    anna.expect(|it| it.attr("id") == Some("form")).await;
    bot.send(&format!(
        "<presence from='hook@{BOT}/1' to='{room}/hook'>{enter}</presence>"
    ))
    .await;
    let has_entered = |it: &Fragment| it.attr("from") == Some(&format!("{room}/hook")[..]);
    bot.expect(has_entered).await;
    anna.expect(has_entered).await;
    anna.send(&format!(
        "<message to='{room}' type='groupchat' id='g1'><body>hello hook</body></message>"
    ))
    .await;
    let heard = bot.expect(|it| has_body(it, "hello hook")).await;
    assert_eq!(heard.attr("to"), Some(&format!("hook@{BOT}/1")[..]));
    bot.send(&format!(
        "<message from='hook@{BOT}/1' to='{room}' type='groupchat' id='g2'>\
         <body>build is green</body></message>"
    ))
    .await;
    anna.expect(|it| has_body(it, "build is green")).await;
    drop(bot);
    anna.expect(|it| has_entered(it) && it.attr("type") == Some("unavailable"))
        .await;
}

#[tokio::test]
async fn app_server_is_told_once_of_each_message_and_no_more_when_it_refuses() {
    const PUSH: &str = "push.klatsch.test";
    let server = Server::start().await;
    let mut push = connect(&server, PUSH).await;
    let mut phone = online(&server, "anna", "phone").await;
    phone
        .send(&format!(
            "<iq type='set' id='on'><enable xmlns='urn:xmpp:push:0' jid='{PUSH}' node='n'/></iq>"
        ))
        .await;
    let enabled = phone.expect(|it| it.attr("id") == Some("on")).await;
    assert_eq!(enabled.attr("type"), Some("result"));
    phone.send("</stream:stream>").await;
    assert_eq!(phone.end().await, End::Footer);
    let mut bert = online(&server, "bert", "b").await;
    let mut write = async |text: &str| {
        bert.send(&format!(
            "<message to='{ANNA}' type='chat' id='{text}-12345'><body>{text}</body></message>"
        ))
        .await;
        bert.ping().await;
    };
    let is_notice = |it: &Fragment| {
        it.payloads()
            .has("pubsub", "http://jabber.org/protocol/pubsub")
    };
    write("one").await;
    let notice = push.expect(is_notice).await;
    assert_eq!(notice.attr("from"), Some(ANNA));
    let answer = |notice: &Fragment, kind: &str, inner: &str| {
        let id = notice.attr("id").unwrap_or_default();
        format!("<iq type='{kind}' id='{id}' from='{PUSH}' to='{ANNA}'>{inner}</iq>")
    };
    push.send(&answer(&notice, "result", "")).await;
    // The next thing it hears is of the next message.
    write("two").await;
    let second = push.expect(|it| it.name() == "iq").await;
    assert!(is_notice(&second) && second.attr("id") != notice.attr("id"));
    let gone = "<error type='cancel'><item-not-found \
        xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    // Another component's word, with the same id, does not count.
    let mut bot = connect(&server, BOT).await;
    bot.send(&answer(&second, "error", gone).replace(PUSH, BOT))
        .await;
    sync(&mut bot, BOT).await;
    write("three").await;
    push.expect(is_notice).await;
    push.send(&answer(&second, "error", gone)).await;
    // From then on only another node of it is told, which shows that nothing more comes.
    let mut phone = online(&server, "anna", "tablet").await;
    phone
        .send(&format!(
            "<iq type='set' id='on'><enable xmlns='urn:xmpp:push:0' jid='{PUSH}' node='m'/></iq>"
        ))
        .await;
    phone.expect(|it| it.attr("id") == Some("on")).await;
    phone.send("</stream:stream>").await;
    phone.end().await;
    let mut clean = 0;
    for count in 0..50 {
        write(&format!("more-{count}")).await;
        clean += 1;
        while is_for_first(&push.expect(is_notice).await) {
            clean = 0;
        }
        if clean == 3 {
            return;
        }
    }
    panic!("a node that refuses is told for ever");
}

/// Tells whether a notification is for the node n.
fn is_for_first(notice: &Fragment) -> bool {
    let text = String::from_utf8(notice.payloads().bytes().to_vec()).unwrap();
    text.contains("node='n'")
}
