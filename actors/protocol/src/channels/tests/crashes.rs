//! Work that fails half-way: whose channel it costs.

use super::*;
use crate::channels::Cause;

fn crash(talk: &mut Talk, cause: Cause<'_>) -> Option<Heard> {
    talk.0.crashed(cause).map(Heard::of)
}

#[test]
fn crash_costs_the_channel_of_the_frame_and_no_other() {
    let mut talk = Talk::begin();
    talk.enter();
    talk.hear(r#"["2","2","user:anna@x.test","phx_join",{}]"#);
    let frame = format!(r#"["1","9","{ROOM}","send",{{}}]"#);
    let heard = crash(&mut talk, Cause::Text(&frame)).unwrap();
    let line = format!(r#"["1","1","{ROOM}","phx_error",{{}}]"#);
    assert_eq!(heard.lines(), [line]);
    // Whoever is in the room sees the client go, until it is back.
    assert_eq!(heard.stanza("presence").attr("type"), Some("unavailable"));
    let again = talk.hear(&format!(r#"["5","5","{ROOM}","phx_join",{{}}]"#));
    assert_eq!(again.stanza("presence").attr("type"), None);
    let other = talk.hear(r#"["2","6","user:anna@x.test","phx_leave",{}]"#);
    assert_eq!(other.frames[0][4]["status"], "ok");
}

#[test]
fn crash_of_a_join_is_its_answer() {
    let mut talk = Talk::begin();
    let join = format!(r#"["1","1","{ROOM}","phx_join",{{}}]"#);
    let line = format!(
        r#"["1","1","{ROOM}","phx_reply",{{"response":{{"reason":"join crashed"}},"status":"error"}}]"#
    );
    // Before the channel was there, and after.
    let heard = crash(&mut talk, Cause::Text(&join)).unwrap();
    assert_eq!(heard.lines(), std::slice::from_ref(&line));
    talk.hear(&join);
    let presence = Stanza::parse(own_presence("anna", "").as_bytes()).unwrap();
    let heard = crash(&mut talk, Cause::Stanza(&presence)).unwrap();
    assert_eq!(heard.lines(), [line]);
}

#[test]
fn crash_at_a_stanza_costs_its_room_or_the_channels_of_its_kind() {
    let mut talk = Talk::begin();
    talk.enter();
    talk.hear(r#"["2","2","user:anna@x.test","phx_join",{}]"#);
    let said = |from: &str| {
        let message = format!("<message from='{from}' type='chat'><body>hi</body></message>");
        Stanza::parse(message.as_bytes()).unwrap()
    };
    let topic = |heard: Heard| (heard.frames.len(), heard.frames[0][2].clone());
    let heard = crash(&mut talk, Cause::Stanza(&said("bert@x.test/a"))).unwrap();
    assert_eq!(topic(heard), (1, "user:anna@x.test".into()));
    let from_room = said("team@conference.x.test/bert");
    let heard = crash(&mut talk, Cause::Stanza(&from_room)).unwrap();
    assert_eq!(topic(heard), (1, ROOM.into()));
}

#[test]
fn crash_that_no_channel_can_be_blamed_for_is_the_connections() {
    let mut talk = Talk::begin();
    talk.enter();
    let iq = Stanza::parse(b"<iq type='result' id='1' from='x.test'/>").unwrap();
    assert!(talk.0.crashed(Cause::Stanza(&iq)).is_none());
    for frame in [
        "[",
        r#"[null,"5","phoenix","heartbeat",{}]"#,
        r#"[null,"5","room:b@conference.x.test","send",{}]"#,
    ] {
        assert!(talk.0.crashed(Cause::Text(frame)).is_none(), "{frame}");
    }
}

#[test]
fn crash_on_a_topic_of_an_app_leaves_it() {
    let mut talk = Talk::begin();
    talk.hear(r#"["3","3","app:shop:a","phx_join",{}]"#);
    talk.0.entered("app:shop:a", Ok(None));
    let frame = Bytes::from_static(b"\x00\x01\x01\x0a\x0439app:shop:adraw\xff");
    let heard = crash(&mut talk, Cause::Binary(&frame)).unwrap();
    assert_eq!(heard.errands, [Errand::Leave("app:shop:a".into())]);
    assert_eq!(heard.events(), ["phx_error"]);
}
