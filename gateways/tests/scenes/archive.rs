//! Archives: searching them (XEP-0431), and what they are to hold (XEP-0441).

use tokio::net::TcpStream;

use crate::client::Client;
use crate::server::Server;

const MAM: &str = "urn:xmpp:mam:2";
const ANNA: &str = "anna@klatsch.test";

async fn bound(server: &Server, name: &str) -> Client<TcpStream> {
    let mut client = Client::connect(server.c2s).await;
    client.session(name, "scene").await;
    client
}

async fn write(client: &mut Client<TcpStream>, to: &str, id: &str, content: &str) {
    client
        .send(&format!(
            "<message to='{to}' type='chat' id='{id}-12345678'>{content}</message>"
        ))
        .await;
    client.ping().await;
}

/// Asks an archive and gives back its answer's type, and every result as text.
async fn ask(client: &mut Client<TcpStream>, to: &str, inner: &str) -> (String, Vec<String>) {
    let to = if to.is_empty() {
        String::new()
    } else {
        format!(" to='{to}'")
    };
    client
        .send(&format!(
            "<iq type='set' id='ask'{to}><query xmlns='{MAM}'>{inner}</query></iq>"
        ))
        .await;
    let mut results = Vec::new();
    loop {
        let it = client
            .expect(|it| it.attr("id") == Some("ask") || it.payloads().has("result", MAM))
            .await;
        if it.attr("id") == Some("ask") {
            let kind = it.attr("type").unwrap_or_default().to_owned();
            let text = String::from_utf8(it.payloads().bytes().to_vec()).unwrap();
            return (if kind == "result" { kind } else { text }, results);
        }
        results.push(String::from_utf8(it.payloads().bytes().to_vec()).unwrap());
    }
}

fn words(text: &str) -> String {
    format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>{MAM}</value></field>\
         <field var='{{urn:xmpp:fulltext:0}}fulltext'><value>{text}</value></field></x>"
    )
}

async fn search(client: &mut Client<TcpStream>, to: &str, text: &str) -> Vec<String> {
    let (kind, results) = ask(client, to, &words(text)).await;
    assert_eq!(kind, "result");
    results
}

#[tokio::test]
async fn what_was_written_is_found_by_both_and_by_nobody_else() {
    let server = Server::start().await;
    let mut bert = bound(&server, "bert").await;
    write(
        &mut bert,
        ANNA,
        "one",
        "<body>Wherefore art thou Roméo?</body>",
    )
    .await;
    write(
        &mut bert,
        ANNA,
        "two",
        "<body>Good night, good night!</body>",
    )
    .await;
    write(
        &mut bert,
        ANNA,
        "three",
        "<body>romeo: encrypted</body><encrypted xmlns='eu.siacs.conversations.axolotl'/>",
    )
    .await;
    let mut anna = bound(&server, "anna").await;
    for client in [&mut anna, &mut bert] {
        let found = search(client, "", "romeo").await;
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("Wherefore"), "{found:?}");
        assert_eq!(search(client, "", "good ni").await.len(), 1);
        assert!(search(client, "", "tybalt").await.is_empty());
    }
    let (refused, _) = ask(&mut anna, "bert@klatsch.test", &words("night")).await;
    assert!(refused.contains("error"), "{refused}");
}

#[tokio::test]
async fn accounts_say_that_they_can_be_searched_and_offer_the_field() {
    let server = Server::start().await;
    let mut anna = bound(&server, "anna").await;
    anna.send(&format!(
        "<iq type='get' id='d' to='{ANNA}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
    ))
    .await;
    let info = anna.expect(|it| it.attr("id") == Some("d")).await;
    let info = String::from_utf8(info.payloads().bytes().to_vec()).unwrap();
    assert!(info.contains("urn:xmpp:fulltext:0"), "{info}");
    anna.send(&format!(
        "<iq type='get' id='f'><query xmlns='{MAM}'/></iq>"
    ))
    .await;
    let form = anna.expect(|it| it.attr("id") == Some("f")).await;
    let form = String::from_utf8(form.payloads().bytes().to_vec()).unwrap();
    assert!(form.contains("{urn:xmpp:fulltext:0}fulltext"), "{form}");
}

#[tokio::test]
async fn a_room_is_searched_by_those_who_may_read_it() {
    let server = Server::start().await;
    let room = "tea@conference.klatsch.test";
    let mut anna = bound(&server, "anna").await;
    anna.send(&format!(
        "<presence to='{room}/Anna'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
    ))
    .await;
    anna.expect(|it| it.name() == "message" && it.payloads().has("subject", "jabber:client"))
        .await;
    anna.send(&format!(
        "<iq type='set' id='c' to='{room}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
         <x xmlns='jabber:x:data' type='submit'/></query></iq>"
    ))
    .await;
    anna.expect(|it| it.attr("id") == Some("c")).await;
    for (id, text) in [("k1", "the kettle is on"), ("k2", "which one?")] {
        anna.send(&format!(
            "<message to='{room}' type='groupchat' id='{id}-12345678'><body>{text}</body></message>"
        ))
        .await;
        anna.expect(|it| it.payloads().has("body", "jabber:client"))
            .await;
    }
    let found = search(&mut anna, room, "KETTLE").await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("the kettle is on"));
    let mut bert = bound(&server, "bert").await;
    assert_eq!(search(&mut bert, room, "which").await.len(), 1);
}

#[tokio::test]
async fn c08_text_that_looks_like_a_command_is_words_and_too_many_searches_wait() {
    let server = Server::start().await;
    let mut anna = bound(&server, "anna").await;
    write(&mut anna, ANNA, "one", "<body>tea or coffee</body>").await;
    for text in [
        "tea&quot; OR &quot;milk",
        "tea NEAR milk",
        "tea&apos;; DROP TABLE entry; --",
    ] {
        assert!(search(&mut anna, "", text).await.is_empty(), "{text}");
    }
    let (refused, _) = ask(&mut anna, "", &words(&"x".repeat(2000))).await;
    assert!(refused.contains("not-acceptable"), "{refused}");
    let mut answers = Vec::new();
    for _ in 0..60 {
        let (kind, results) = ask(&mut anna, "", &words("coffee")).await;
        match kind.as_str() {
            "result" => assert_eq!(results.len(), 1),
            _ => answers.push(kind),
        }
    }
    assert!(!answers.is_empty(), "nobody had to wait");
    assert!(answers[0].contains("resource-constraint") && answers[0].contains("wait"));
    // Plain pages have no part in it.
    let (kind, results) = ask(&mut anna, "", "").await;
    assert_eq!((kind.as_str(), results.len()), ("result", 1));
}

#[tokio::test]
async fn what_an_account_does_not_want_is_delivered_and_not_found() {
    let server = Server::start().await;
    let mut anna = bound(&server, "anna").await;
    let prefs = format!(
        "<prefs xmlns='{MAM}' default='always'><never><jid>bert@klatsch.test</jid></never></prefs>"
    );
    anna.send(&format!("<iq type='set' id='p'>{prefs}</iq>"))
        .await;
    let set = anna.expect(|it| it.attr("id") == Some("p")).await;
    assert_eq!(set.attr("type"), Some("result"));
    anna.send(&format!(
        "<iq type='get' id='g'><prefs xmlns='{MAM}'/></iq>"
    ))
    .await;
    let told = anna.expect(|it| it.attr("id") == Some("g")).await;
    let told = told.payloads().element("prefs", MAM).unwrap();
    assert_eq!(told.get("default"), Some("always"));
    let never = told.find("never", MAM).unwrap();
    let never: Vec<String> = never.children().map(|it| it.text_content()).collect();
    assert_eq!(never, ["bert@klatsch.test"]);
    anna.send("</stream:stream>").await;
    drop(anna);

    let mut bert = bound(&server, "bert").await;
    write(&mut bert, ANNA, "one", "<body>for now only</body>").await;
    let mut anna = bound(&server, "anna").await;
    anna.send("<presence/>").await;
    let late = anna
        .expect(|it| it.payloads().has("body", "jabber:client"))
        .await;
    assert!(late.payloads().has("delay", "urn:xmpp:delay"), "{late:?}");
    let (kind, results) = ask(&mut anna, "", "").await;
    assert_eq!((kind.as_str(), results.len()), ("result", 0));
    assert!(search(&mut anna, "", "only").await.is_empty());
    assert_eq!(search(&mut bert, "", "only").await.len(), 1);
}
