//! The rules of the protocol: references, order, what is dropped and what is refused.

use super::*;

#[test]
fn heartbeat_is_answered_with_its_own_reference() {
    let heard = Talk::begin().hear(r#"[null,"5","phoenix","heartbeat",{}]"#);
    let answer = r#"[null,"5","phoenix","phx_reply",{"response":{},"status":"ok"}]"#;
    assert_eq!(heard.lines(), [answer]);
}

#[test]
fn w07_frame_that_cannot_be_read_is_refused_and_nothing_else_suffers() {
    let mut talk = Talk::begin();
    talk.enter();
    for bad in [
        "",
        "[",
        "null",
        "[1]",
        r#"["1","2","a"]"#,
        "\u{0}",
        r#"[{},1,2,3,4]"#,
    ] {
        let heard = talk.hear(bad);
        assert_eq!(heard.frames.len(), 1, "{bad}");
        assert_eq!(heard.frames[0][4]["status"], "error", "{bad}");
        assert!(heard.stanzas.is_empty());
    }
    for bad in [
        &b""[..],
        b"\x01",
        b"\x00\xff",
        b"\x00\x01\x01\x01\x01\xff\xff\xff\xff",
    ] {
        let heard = talk.hear_binary(bad);
        assert_eq!(heard.frames[0][4]["status"], "error", "{bad:?}");
    }
    let heard = talk.hear(&format!(r#"["1","9","{ROOM}","typing",{{}}]"#));
    assert_eq!(heard.frames[0][4]["status"], "ok");
}

#[test]
fn topic_that_is_not_joined_matches_nothing() {
    let heard = Talk::begin().hear(r#"["3","9","room:a@conference.x.test","send",{}]"#);
    let line = r#"[null,"9","room:a@conference.x.test","phx_reply",{"response":{"reason":"unmatched topic"},"status":"error"}]"#;
    assert_eq!(heard.lines(), [line]);
}

#[test]
fn topic_of_no_kind_cannot_be_joined() {
    let heard = Talk::begin().hear(r#"["3","3","lobby","phx_join",{}]"#);
    assert_eq!(heard.frames[0][0], Value::Null);
    assert_eq!(heard.frames[0][4]["response"]["reason"], "unmatched topic");
}

#[test]
fn leave_is_answered_before_the_channel_closes() {
    let mut talk = Talk::begin();
    talk.enter();
    let heard = talk.hear(&format!(r#"["1","29","{ROOM}","phx_leave",{{}}]"#));
    let reply = format!(r#"["1","29","{ROOM}","phx_reply",{{"response":{{}},"status":"ok"}}]"#);
    let close = format!(r#"["1","1","{ROOM}","phx_close",{{}}]"#);
    assert_eq!(heard.lines(), [reply, close]);
    assert_eq!(heard.stanza("presence").attr("type"), Some("unavailable"));
    let again = talk.hear(&format!(r#"["1","30","{ROOM}","phx_leave",{{}}]"#));
    assert_eq!(again.frames[0][4]["status"], "ok");
}

#[test]
fn join_of_a_joined_topic_closes_the_old_life_first() {
    let mut talk = Talk::begin();
    talk.enter();
    let heard = talk.hear(&format!(r#"["7","7","{ROOM}","phx_join",{{}}]"#));
    assert_eq!(
        heard.lines(),
        [format!(r#"["1","1","{ROOM}","phx_close",{{}}]"#)]
    );
    // The room has not been left, so nobody there sees anything.
    assert_eq!(heard.stanza("presence").attr("type"), None);
    let inside = talk.get(&own_presence("anna", ""));
    assert_eq!(inside.frames[0][0], "7");
    assert_eq!(inside.events(), ["phx_reply", "presence_state"]);
}

#[test]
fn word_to_an_earlier_life_is_dropped_and_one_without_a_life_is_heard() {
    let mut talk = Talk::begin();
    talk.enter();
    for event in ["typing", "phx_leave"] {
        let heard = talk.hear(&format!(r#"["0","8","{ROOM}","{event}",{{}}]"#));
        assert!(
            heard.frames.is_empty() && heard.stanzas.is_empty(),
            "{event}"
        );
    }
    let heard = talk.hear(&format!(r#"[null,"9","{ROOM}","typing",{{}}]"#));
    assert_eq!(heard.frames[0][4]["status"], "ok");
}

#[test]
fn one_topic_more_than_a_connection_may_have_is_refused() {
    let mut talk = Talk::with_channels_max(1);
    talk.enter();
    let heard = talk.hear(r#"["2","2","user:anna@x.test","phx_join",{}]"#);
    let reason = &heard.frames[0][4]["response"]["reason"];
    assert_eq!(*reason, "too many channels joined");
    // Joining what is joined takes no more room.
    let heard = talk.hear(&format!(r#"["3","3","{ROOM}","phx_join",{{}}]"#));
    assert_eq!(heard.events(), ["phx_close"]);
}

#[test]
fn denied_join_has_the_reason_and_leaves_no_channel() {
    let mut talk = Talk::begin();
    talk.hear(&format!(r#"["1","1","{ROOM}","phx_join",{{}}]"#));
    let heard = talk.get(
        "<presence from='team@conference.x.test/anna' type='error'><error type='auth'>\
         <forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>",
    );
    let line = format!(
        r#"["1","1","{ROOM}","phx_reply",{{"response":{{"reason":"forbidden"}},"status":"error"}}]"#
    );
    assert_eq!(heard.lines(), [line]);
    let heard = talk.hear(&format!(r#"["1","2","{ROOM}","typing",{{}}]"#));
    assert_eq!(heard.frames[0][4]["response"]["reason"], "unmatched topic");
}

#[test]
fn topics_are_written_as_the_server_writes_addresses() {
    let mut talk = Talk::begin();
    let heard = talk.hear(r#"["1","1","room:TEAM@Conference.x.test","phx_join",{}]"#);
    let response = &heard.frames[0][4]["response"];
    assert_eq!(response["address"], "team@conference.x.test");
    assert!(heard.stanzas.is_empty());
    for topic in [
        "room:",
        "room:@",
        "room:x.test",
        "room:a@x.test",
        "user:x.test",
        "presence:",
    ] {
        let heard = talk.hear(&format!(r#"["1","1","{topic}","phx_join",{{}}]"#));
        assert_eq!(heard.frames[0][4]["status"], "error", "{topic}");
    }
}

#[test]
fn binary_push_on_a_topic_of_json_is_refused_by_its_reference() {
    let mut talk = Talk::begin();
    talk.enter();
    let heard = talk.hear_binary(b"\x00\x01\x01\x1b\x0419room:team@conference.x.testsend\xff");
    assert_eq!(heard.frames[0][1], "9");
    assert_eq!(heard.frames[0][4]["status"], "error");
}

#[test]
fn failed_room_is_an_error_to_come_back_from_and_a_kick_is_not() {
    for (codes, last) in [
        ("<status code='307'/>", "phx_close"),
        ("<status code='301'/>", "phx_close"),
        ("<status code='332'/>", "phx_error"),
        ("<status code='307'/><status code='333'/>", "phx_error"),
    ] {
        let mut talk = Talk::begin();
        talk.enter();
        let out = own_presence("anna", codes).replace("<presence", "<presence type='unavailable'");
        let heard = talk.get(&out);
        assert_eq!(heard.events(), ["removed", last], "{codes}");
        assert_eq!(heard.frames[1][1], "1");
    }
}

#[test]
fn versions_two_are_served_and_no_others() {
    use crate::channels::is_served;
    for good in ["2.0.0", "2.0.1", "2.0.17"] {
        assert!(is_served(Some(good)), "{good}");
    }
    for bad in [
        "1.0.0", "2.1.0", "2", "2.0", "2.0.", "2.0.x", "", "3.0.0", "02.0.0",
    ] {
        assert!(!is_served(Some(bad)), "{bad}");
    }
    assert!(!is_served(None));
}
