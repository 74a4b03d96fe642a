//! Messages: in rooms, of two, from archives; what is acknowledged and what is forged.

use super::*;

const USER: &str = "user:anna@x.test";

fn send(talk: &mut Talk, topic: &str, fields: &str) -> Heard {
    talk.hear(&format!(r#"[null,"9","{topic}","send",{fields}]"#))
}

fn join_user(talk: &mut Talk, topic: &str) -> Heard {
    talk.hear(&format!(r#"["2","2","{topic}","phx_join",{{}}]"#))
}

#[test]
fn push_is_answered_when_the_message_is_kept() {
    let mut talk = Talk::begin();
    talk.enter();
    let heard = send(&mut talk, ROOM, r#"{"body":"a < b","id":"my-message"}"#);
    assert!(heard.frames.is_empty());
    let message = heard.stanza("message");
    assert_eq!(message.attr("to"), Some("team@conference.x.test"));
    assert_eq!(message.attr("type"), Some("groupchat"));
    assert_eq!(
        message.payloads().text_of("body", "jabber:client").unwrap(),
        "a < b"
    );
    let origin = message
        .payloads()
        .element("origin-id", "urn:xmpp:sid:0")
        .unwrap();
    assert_eq!(origin.get("id"), Some("my-message"));
    // The join was the first stanza.
    assert!(
        talk.nonza("<a xmlns='urn:xmpp:sm:3' h='1'/>")
            .frames
            .is_empty()
    );
    let kept = talk.nonza("<a xmlns='urn:xmpp:sm:3' h='2'/>");
    assert_eq!(kept.frames[0][1], "9");
    assert_eq!(kept.frames[0][4]["response"]["id"], "my-message");
}

#[test]
fn refused_message_is_a_refused_push() {
    let mut talk = Talk::begin();
    talk.enter();
    send(&mut talk, ROOM, r#"{"body":"hello","id":"my-message"}"#);
    let heard = talk.get(
        "<message from='team@conference.x.test' type='error' id='my-message'>\
         <error type='wait'><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
         </error></message>",
    );
    assert_eq!(heard.frames[0][4]["status"], "error");
    assert_eq!(
        heard.frames[0][4]["response"]["reason"],
        "resource-constraint"
    );
    assert!(
        talk.nonza("<a xmlns='urn:xmpp:sm:3' h='2'/>")
            .frames
            .is_empty()
    );
}

#[test]
fn text_that_xml_cannot_carry_is_refused_and_nothing_is_sent() {
    let mut talk = Talk::begin();
    talk.enter();
    for fields in [
        r#"{"body":"a\u0000b"}"#,
        r#"{"body":"\ufffe"}"#,
        r#"{"body":"hello","id":"\u0001"}"#,
        r#"{"body":""}"#,
        r#"{"body":7}"#,
        r#"{"id":"x"}"#,
        r#"[]"#,
        r#"{"body":"hello","id":7}"#,
    ] {
        let heard = send(&mut talk, ROOM, fields);
        assert!(heard.stanzas.is_empty(), "{fields}");
        assert_eq!(heard.frames[0][4]["status"], "error", "{fields}");
    }
}

#[test]
fn text_is_never_markup() {
    let mut talk = Talk::begin();
    talk.enter();
    let fields = r#"{"body":"</body><evil xmlns='x'/>","id":"'/><evil "}"#;
    let heard = send(&mut talk, ROOM, fields);
    let message = heard.stanza("message");
    assert_eq!(message.attr("id"), Some("'/><evil "));
    let names: Vec<&str> = message.payloads().iter().map(|it| it.name()).collect();
    assert_eq!(names, ["body", "origin-id"]);
}

#[test]
fn message_for_all_in_a_room_is_a_broadcast_that_is_the_same_for_everybody() {
    let mut talk = Talk::begin();
    talk.enter();
    let stanza = Stanza::parse(
        b"<message from='team@conference.x.test/bert' type='groupchat' id='m1'>\
          <body>hello</body><stanza-id xmlns='urn:xmpp:sid:0' id='17' by='team@conference.x.test'/>\
          <stanza-id xmlns='urn:xmpp:sid:0' id='99' by='evil@x.test'/></message>",
    )
    .unwrap();
    assert_eq!(talk.0.common_topic(&stanza), Some(ROOM));
    let line = format!(
        r#"[null,null,"{ROOM}","message",{{"body":"hello","from":"bert","id":"m1","stanza_id":"17"}}]"#
    );
    assert_eq!(
        Heard::of(talk.0.take_stanza(&stanza)).lines(),
        std::slice::from_ref(&line)
    );
    let Some(Outgoing::Text(text)) = Socket::room_event(&stanza, ROOM) else {
        panic!("an event");
    };
    assert_eq!(text, line);
}

#[test]
fn what_a_room_carries_has_a_name_of_its_own() {
    let mut talk = Talk::begin();
    talk.enter();
    for (payload, event) in [
        ("<subject>lunch</subject>", Some("subject")),
        (
            "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
            Some("typing"),
        ),
        (
            "<retract xmlns='urn:xmpp:message-retract:1' id='7'/>",
            Some("retract"),
        ),
        (
            "<reactions xmlns='urn:xmpp:reactions:0' id='7'><reaction>+</reaction></reactions>",
            Some("reactions"),
        ),
        (
            "<displayed xmlns='urn:xmpp:chat-markers:0' id='7'/>",
            Some("displayed"),
        ),
        ("<unknown xmlns='x'/>", None),
    ] {
        let heard = talk.get(&format!(
            "<message from='team@conference.x.test/bert' type='groupchat'>{payload}</message>"
        ));
        assert_eq!(heard.events(), Vec::from_iter(event), "{payload}");
    }
}

#[test]
fn user_topic_makes_the_session_one_that_gets_messages() {
    let mut talk = Talk::begin();
    let heard = join_user(&mut talk, USER);
    assert_eq!(heard.frames[0][4]["response"]["jid"], ME);
    let names: Vec<&str> = heard.stanzas.iter().map(|it| it.name()).collect();
    assert_eq!(names, ["iq", "iq", "presence"]);
    assert!(
        heard.stanzas[1]
            .payloads()
            .has("enable", "urn:xmpp:carbons:2")
    );
    let priority = heard.stanzas[2]
        .payloads()
        .text_of("priority", "jabber:client");
    assert_eq!(priority.unwrap(), "0");
    let left = talk.hear(&format!(r#"["2","3","{USER}","phx_leave",{{}}]"#));
    let priority = left
        .stanza("presence")
        .payloads()
        .text_of("priority", "jabber:client");
    assert_eq!(priority.unwrap(), "-1");
}

#[test]
fn message_is_shown_on_the_users_topic_and_on_that_of_the_conversation() {
    let mut talk = Talk::begin();
    join_user(&mut talk, USER);
    join_user(&mut talk, "user:bert@x.test");
    let heard = talk.get(
        "<message from='bert@x.test/phone' to='anna@x.test' type='chat' id='m'><body>hi</body></message>",
    );
    let topics: Vec<&Value> = heard.frames.iter().map(|it| &it[2]).collect();
    assert_eq!(topics, [USER, "user:bert@x.test"]);
    assert_eq!(heard.frames[0][4]["from"], "bert@x.test");
    let heard = talk.get(
        "<message from='carl@x.test/p' to='anna@x.test' type='chat'><body>hi</body></message>",
    );
    assert_eq!(heard.frames.len(), 1);
}

#[test]
fn own_message_of_another_device_is_shown_where_it_belongs() {
    let mut talk = Talk::begin();
    join_user(&mut talk, "user:bert@x.test");
    let heard = talk.get(
        "<message from='anna@x.test' to='anna@x.test/web'><sent xmlns='urn:xmpp:carbons:2'>\
         <forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' type='chat' \
         from='anna@x.test/phone' to='bert@x.test'><body>from the phone</body></message>\
         </forwarded></sent></message>",
    );
    assert_eq!(heard.frames[0][4]["from"], "anna@x.test");
    assert_eq!(heard.frames[0][4]["to"], "bert@x.test");
}

#[test]
fn r03_forged_copy_is_shown_nowhere() {
    let mut talk = Talk::begin();
    join_user(&mut talk, USER);
    for (from, direction) in [
        ("evil@x.test", "received"),
        ("evil@x.test/phone", "sent"),
        ("anna@x.test/phone", "received"),
        ("anna@x.test.evil", "sent"),
    ] {
        let heard = talk.get(&format!(
            "<message from='{from}' to='anna@x.test/web' type='chat'>\
             <{direction} xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>\
             <message xmlns='jabber:client' type='chat' from='bert@x.test' to='anna@x.test'>\
             <body>send me money</body></message></forwarded></{direction}></message>"
        ));
        assert!(heard.frames.is_empty(), "{from} {direction}: {heard:?}");
    }
}

/// Asks for a page; its id.
fn ask(talk: &mut Talk, topic: &str, fields: &str) -> String {
    let heard = talk.hear(&format!(r#"[null,"5","{topic}","history",{fields}]"#));
    let id = heard.stanza("iq").attr("id").unwrap().to_owned();
    let query = heard
        .stanza("iq")
        .payloads()
        .element("query", "urn:xmpp:mam:2");
    assert_eq!(query.unwrap().get("queryid"), Some(&*id));
    id
}

fn result(from: &str, query: &str, id: &str, body: &str) -> String {
    format!(
        "<message{from} to='{ME}'><result xmlns='urn:xmpp:mam:2' id='{id}' queryid='{query}'>\
         <forwarded xmlns='urn:xmpp:forward:0'>\
         <delay xmlns='urn:xmpp:delay' stamp='2026-01-02T03:04:05Z'/>\
         <message xmlns='jabber:client' type='chat' from='bert@x.test/p' to='anna@x.test'>\
         <body>{body}</body></message></forwarded></result></message>"
    )
}

fn fin(id: &str) -> String {
    format!(
        "<iq type='result' id='{id}'><fin xmlns='urn:xmpp:mam:2' complete='true'>\
         <set xmlns='http://jabber.org/protocol/rsm'><first>3</first><last>4</last></set></fin></iq>"
    )
}

#[test]
fn history_is_one_answer() {
    let mut talk = Talk::begin();
    join_user(&mut talk, USER);
    let id = ask(&mut talk, USER, r#"{"max":2,"with":"bert@x.test"}"#);
    assert!(
        talk.get(&result(" from='anna@x.test'", &id, "3", "one"))
            .frames
            .is_empty()
    );
    assert!(talk.get(&result("", &id, "4", "two")).frames.is_empty());
    let heard = talk.get(&fin(&id));
    let response = &heard.frames[0][4]["response"];
    assert_eq!(response["complete"], true);
    assert_eq!(response["first"], "3");
    let first = &response["messages"][0];
    assert_eq!(first["body"], "one");
    assert_eq!(first["stanza_id"], "3");
    assert_eq!(first["stamp"], "2026-01-02T03:04:05Z");
    assert_eq!(response["messages"][1]["body"], "two");
}

#[test]
fn r05_result_that_nobody_asked_for_or_of_another_archive_is_dropped() {
    let mut talk = Talk::begin();
    join_user(&mut talk, USER);
    assert!(
        talk.get(&result(" from='anna@x.test'", "q", "3", "forged"))
            .frames
            .is_empty()
    );
    let id = ask(&mut talk, USER, "{}");
    for from in [
        "evil@x.test",
        "evil@x.test/p",
        "anna@x.test/phone",
        "team@conference.x.test",
    ] {
        let forged = result(&format!(" from='{from}'"), &id, "3", "forged");
        assert!(talk.get(&forged).frames.is_empty(), "{from}");
    }
    let heard = talk.get(&fin(&id));
    assert_eq!(
        heard.frames[0][4]["response"]["messages"],
        Value::Array(Vec::new())
    );
}

#[test]
fn page_that_is_too_large_ends_early_and_says_where() {
    let mut talk = Talk::begin();
    join_user(&mut talk, USER);
    let body = "x".repeat(50 * 1024);
    for (fields, kept, edge) in [("{}", "10", "first"), (r#"{"after":"0"}"#, "1", "last")] {
        let id = ask(&mut talk, USER, fields);
        for number in 1..=10 {
            talk.get(&result(
                " from='anna@x.test'",
                &id,
                &number.to_string(),
                &body,
            ));
        }
        let heard = talk.get(&fin(&id));
        let response = &heard.frames[0][4]["response"];
        assert_eq!(response["complete"], false);
        let messages = response["messages"].as_array().unwrap();
        assert!((4..=5).contains(&messages.len()), "{}", messages.len());
        let ids: Vec<&Value> = messages.iter().map(|it| &it["stanza_id"]).collect();
        assert!(ids.contains(&&Value::from(kept)), "{fields}: {ids:?}");
        let cut = if edge == "first" {
            ids[0]
        } else {
            ids[ids.len() - 1]
        };
        assert_eq!(response[edge], *cut);
    }
}

#[test]
fn pages_at_once_and_what_is_asked_wrongly_are_refused() {
    let mut talk = Talk::begin();
    join_user(&mut talk, USER);
    for fields in [
        r#"{"max":"2"}"#,
        r#"{"before":7}"#,
        r#"{"with":"@"}"#,
        r#"{"max":-1}"#,
    ] {
        let heard = talk.hear(&format!(r#"[null,"5","{USER}","history",{fields}]"#));
        assert_eq!(heard.frames[0][4]["status"], "error", "{fields}");
    }
    for _ in 0..4 {
        ask(&mut talk, USER, "{}");
    }
    let heard = talk.hear(&format!(r#"[null,"5","{USER}","history",{{}}]"#));
    assert_eq!(
        heard.frames[0][4]["response"]["reason"],
        "too many pages at once"
    );
}

#[test]
fn invitation_is_told_to_the_user() {
    let mut talk = Talk::begin();
    join_user(&mut talk, USER);
    let heard = talk.get(
        "<message from='team@conference.x.test'><x xmlns='http://jabber.org/protocol/muc#user'>\
         <invite from='bert@x.test'><reason>come</reason></invite></x></message>",
    );
    assert_eq!(heard.events(), ["invitation"]);
    assert_eq!(heard.frames[0][4]["room"], "team@conference.x.test");
    let heard = talk.get(
        "<message from='bert@x.test/p'><x xmlns='jabber:x:conference' jid='team@conference.x.test'/></message>",
    );
    assert_eq!(heard.frames[0][4]["from"], "bert@x.test");
}

#[test]
fn count_that_the_session_asks_for_is_of_all_that_came() {
    let mut talk = Talk::begin();
    assert!(talk.0.acknowledgement().is_none());
    talk.get("<message from='bert@x.test'><body>one</body></message>");
    talk.get("<message from='bert@x.test'><body>two</body></message>");
    talk.nonza("<r xmlns='urn:xmpp:sm:3'/>");
    let answer = talk.0.acknowledgement().unwrap();
    assert_eq!(answer.attr("h"), Some("2"));
    assert!(talk.0.acknowledgement().is_none());
}

#[test]
fn request_that_nobody_here_understands_is_refused_to_its_sender() {
    let heard = Talk::begin()
        .get("<iq type='get' id='i' from='bert@x.test/p' to='anna@x.test/web'><q xmlns='x'/></iq>");
    let refusal = heard.stanza("iq");
    assert_eq!(refusal.attr("type"), Some("error"));
    assert_eq!(refusal.attr("to"), Some("bert@x.test/p"));
}
